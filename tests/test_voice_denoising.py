"""From sound to cepstra, and speech out of noise."""

from __future__ import annotations

import shutil
import struct

import numpy as np
import pytest

pytest.importorskip("pocketsphinx")

from edge_agent.voice import cepstra, sphinx
from edge_agent.voice.cepstra import TO_CEPSTRA, TO_LOGARITHMS
from edge_agent.voice.denoising import COMPONENTS, cleaned, speech_of
from edge_agent.voice.types import RATE_HZ

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@pytest.fixture(scope="module")
def speech():
    return speech_of(sphinx.acoustic_model())


def tone(hz: float, seconds: float = 0.5) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def test_a_second_has_a_hundred_frames_and_a_moment_has_none():
    assert cepstra.spectrum(np.zeros(RATE_HZ + 250, np.float32)).shape == (100, 257)
    assert cepstra.spectrum(np.zeros(409, np.float32)).shape == (0, 257)


def test_logarithms_made_of_cepstra_have_these_cepstra():
    assert np.allclose(TO_LOGARITHMS @ TO_CEPSTRA, np.eye(cepstra.COUNT))


@pytest.mark.parametrize("warp", [0.9, 1.15, 1.25])
def test_a_warped_filter_hears_the_tone_that_is_so_much_higher(warp):
    plain = cepstra.filtered(cepstra.spectrum(tone(1000)), 1.0).mean(0)
    warped = cepstra.filtered(cepstra.spectrum(tone(1000 * warp)), warp).mean(0)
    assert plain.argmax() == warped.argmax()


def test_louder_sound_differs_in_the_first_cepstrum_alone():
    quiet, loud = (cepstra.cepstra(cepstra.filtered(cepstra.spectrum(x))) for x in (tone(700), 4 * tone(700)))
    assert np.allclose(quiet[:, 1:], loud[:, 1:], atol=0.05)
    assert (loud[:, 0] > quiet[:, 0] + 1).all()


def test_speech_is_a_mixture_around_nothing_of_the_model(speech):
    assert speech.means.shape == speech.variances.shape == (COMPONENTS, cepstra.COUNT)
    assert np.exp(speech.log_weights).sum() == pytest.approx(1)
    assert (speech.variances > 0).all()


@needs_espeak
@pytest.mark.parametrize("snr_db", [5, 10])
def test_noise_is_taken_away(speech, snr_db):
    from benchmarks import voice_sound

    said = voice_sound.spoken("what happened in the last five minutes", "en-us", 150)
    noise = np.random.default_rng(1).normal(size=len(said))
    level = np.sqrt(np.mean(said[np.abs(said) > 0.01] ** 2)) * 10 ** (-snr_db / 20)
    floor = 0.001 * np.random.default_rng(2).normal(size=len(said))
    clean, noisy = (
        cepstra.filtered(cepstra.spectrum((said + more).astype(np.float32)))
        for more in (floor, floor + noise * level)
    )
    voiced = clean.sum(1) > np.median(clean.sum(1))
    wanted = cepstra.cepstra(clean)[voiced]
    before = np.abs(cepstra.cepstra(noisy)[voiced] - wanted).mean()
    after = np.abs(cleaned(noisy, speech)[voiced] - wanted).mean()
    assert after < 0.9 * before


def test_what_is_shorter_than_its_edges_is_cleaned_too(speech):
    power = cepstra.filtered(cepstra.spectrum(tone(500, 0.15)))
    assert np.isfinite(cleaned(power, speech)).all()


def test_a_model_of_another_byte_order_is_refused(tmp_path):
    (tmp_path / "means").write_bytes(b"s3\nversion 1.0\nendhdr\n" + struct.pack(">4i", 0x11223344, 1, 1, 1))
    with pytest.raises(ValueError, match="little-endian"):
        speech_of(tmp_path)

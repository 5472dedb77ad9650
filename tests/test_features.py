"""Log-mel features against a slow, separate computation, and what the device relies on."""

from __future__ import annotations

import numpy as np
import pytest

from edge_agent.perception import features


def _mel(hz: float) -> float:
    return 2595.0 * np.log10(1.0 + hz / 700.0)


def _reference(samples: np.ndarray) -> np.ndarray:
    """Frame by frame, a Fourier sum written out, band by band, in float64."""
    hann = np.array([0.5 - 0.5 * np.cos(2 * np.pi * n / 400) for n in range(400)])
    hann *= 2 / hann.sum()
    edges = np.array([700 * (10 ** (m / 2595) - 1) for m in np.linspace(_mel(50), _mel(8000), 66)])
    k, n = np.arange(257)[:, None], np.arange(400)[None]
    fourier = np.exp(-2j * np.pi * k * n / 512)
    rows = []
    for start in range(0, len(samples) - 399, 320):
        power = np.abs(fourier @ (samples[start : start + 400] * hann)) ** 2
        bands = []
        for left, centre, right in zip(edges[:-2], edges[1:-1], edges[2:], strict=True):
            total = 0.0
            for b, hz in enumerate(np.arange(257) * 16000 / 512):
                if left < hz <= centre:
                    total += power[b] * (hz - left) / (centre - left)
                elif centre < hz < right:
                    total += power[b] * (right - hz) / (right - centre)
            bands.append((10 * np.log10(max(total, 1e-8)) + 45) / 20)
        rows.append(bands)
    return np.array(rows)


def test_agrees_with_the_written_out_sum() -> None:
    samples = np.random.default_rng(1).normal(0, 0.05, 2000).astype(np.float32)
    assert np.allclose(features.log_mel(samples), _reference(samples), atol=2e-3)


def test_a_window_of_two_seconds_gives_99_frames_of_64_bands() -> None:
    window = np.zeros(32000, np.float32)
    found = features.log_mel(window)
    assert (found.shape, found.dtype) == ((99, 64), np.float32)
    assert features.frames_of(32000) == 99


def test_digital_silence_is_the_floor_and_finite() -> None:
    found = features.log_mel(np.zeros(32000, np.float32))
    floor = (10 * np.log10(features.FLOOR) - features.CENTRE_DB) / features.SCALE_DB
    assert np.allclose(found, floor)


@pytest.mark.parametrize("hz", [200.0, 1000.0, 6000.0])
def test_a_tone_is_loudest_in_its_own_band(hz: float) -> None:
    tone = np.sin(2 * np.pi * hz * np.arange(32000) / 16000).astype(np.float32)
    centres = 700 * (10 ** (np.linspace(_mel(50), _mel(8000), 66)[1:-1] / 2595) - 1)
    loudest = int(features.log_mel(tone).mean(0).argmax())
    assert abs(loudest - int(np.abs(centres - hz).argmin())) <= 1


def test_ten_times_the_amplitude_is_twenty_decibels_everywhere() -> None:
    samples = np.random.default_rng(2).normal(0, 0.02, 32000).astype(np.float32)
    step = features.log_mel(10 * samples) - features.log_mel(samples)
    assert np.allclose(step, 20 / features.SCALE_DB, atol=1e-3)


def test_leading_dimensions_are_kept() -> None:
    samples = np.random.default_rng(3).normal(0, 0.1, (2, 3, 4000)).astype(np.float32)
    found = features.log_mel(samples)
    assert found.shape == (2, 3, features.frames_of(4000), 64)
    assert np.allclose(found[1, 2], features.log_mel(samples[1, 2]), atol=1e-5)


def test_no_band_is_empty() -> None:
    noise = np.random.default_rng(4).normal(0, 0.1, 32000).astype(np.float32)
    assert (features.mel_power(noise).mean(0) > 1e-6).all()


def test_less_than_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="399 samples"):
        features.log_mel(np.zeros(399, np.float32))

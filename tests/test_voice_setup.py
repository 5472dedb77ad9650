"""The voice in the configuration, and the recognisers' process: what is refused, and how it says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import wait_for

from edge_agent import config, manifest
from edge_agent.delivery.backoff import FullJitter
from edge_agent.errors import ConfigurationError, VoiceError
from edge_agent.voice.recogniser import Recogniser, RemotePhrase, RemoteTranscriber
from edge_agent.voice.requirements import microphone_of, require
from edge_agent.voicing import recogniser_settings

MICROPHONE = """
[[sensor]]
kind = "microphone"
name = "mic"
"""
OTHER = """
[[sensor]]
kind = "simulated"
name = "phone"
slot = "imu_phone"
"""


def loaded(model: Path, voice: str, sensors: str = MICROPHONE + OTHER) -> config.Config:
    return config.loads(f"[model]\npath = '{model}'\n[voice]\nenabled = true\n{voice}\n{sensors}", Path("/f"))


def refused(model: Path, voice: str, sensors: str = MICROPHONE + OTHER) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        require(loaded(model, voice, sensors), manifest.read(model))
    return caught.value


def test_a_microphone_without_a_slot_is_enough(random_model: Path):
    pytest.importorskip("pocketsphinx")
    settings = loaded(random_model, "synthesiser = 'espeak-ng'")
    assert microphone_of(settings).name == "mic"
    assert microphone_of(settings).slot == ""


def test_off_it_needs_nothing(random_model: Path):
    settings = config.loads(f"[model]\npath = '{random_model}'\n{OTHER}", Path("/f"))
    require(settings, manifest.read(random_model))


@pytest.mark.parametrize(
    ("voice", "sensors", "key", "says"),
    [
        ("", OTHER, "voice.enabled", "no microphone"),
        ("", MICROPHONE, "voice.transcriber", "nothing to ask"),
        ("microphone = 'phone'", OTHER + MICROPHONE, "voice.microphone", '"phone" is no sensor of kind'),
        ("microphone = 'mik'", MICROPHONE, "voice.microphone", '"mik" is no sensor of kind'),
        (
            "transcriber = 'vosk'\ntranscriber_model = 'none'",
            MICROPHONE,
            "voice.transcriber_model",
            "/f/none",
        ),
    ],
)
def test_what_it_cannot_have_is_refused(random_model: Path, voice: str, sensors: str, key: str, says: str):
    error = refused(random_model, voice, sensors)
    assert error.key == key
    assert says in str(error)
    assert error.hint


@pytest.mark.parametrize(
    ("voice", "says"),
    [
        ("wake_fraze = 'x'", "wake_phrase"),
        ("pause_s = 0.0", "pause_s"),
        ("transcriber = 'siri'", "transcriber"),
        ("transcriber = 'vosk'", "transcriber_model"),
        ("synthesiser = 'piper'", "synthesiser_model"),
        ("[voice.button]\nbaud_rate = 9600", "voice.button.port"),
    ],
)
def test_a_wrong_line_is_told(random_model: Path, voice: str, says: str):
    with pytest.raises(ConfigurationError) as caught:
        loaded(random_model, voice)
    assert says in f"{caught.value} {caught.value.hint}"


def recogniser(model: Path, voice: str = "") -> Recogniser:
    pytest.importorskip("pocketsphinx", reason="pip install 'iotlm-edge[voice]'")
    return Recogniser(recogniser_settings(loaded(model, voice)), FullJitter(0.05, 0.1))


@pytest.mark.e2e
@pytest.mark.timeout(400)
def test_the_recognisers_are_a_process_that_is_replaced_when_it_dies(random_model: Path):
    made = recogniser(random_model)
    assert not made.ready
    with pytest.raises(VoiceError, match="not started"):
        made.call("transcribe")
    made.start()
    try:
        made.wait_ready(300)
        silence = np.zeros(8000, np.float32)
        assert not RemotePhrase(made, "wake").feed(silence)
        assert RemoteTranscriber(made, 60.0).transcribe(np.zeros(0, np.float32)).text == ""
        with pytest.raises(VoiceError, match="nothing to sing with"):
            made.call("sing", silence)
        assert made.ready
        first = made.pid
        assert made._process is not None
        made._process.kill()

        def replaced() -> bool:
            made.supervise()
            return made.pid not in {None, first}

        wait_for(replaced, 60, "another process")
        assert not made.ready
        assert made.restarts == 1
    finally:
        made.stop()
    assert made.pid is None
    made.supervise()
    assert made.pid is None, "stopped means stopped"


@pytest.mark.e2e
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("voice", "says"),
    [
        ("transcriber = 'pocketsphinx'\nwake_phrase = 'hello xqzzyk'", '"xqzzyk"'),
        ("transcriber = 'pocketsphinx'\nwake_phrase = 'hi'", "too short"),
        ("wake_phrase = 'hi'", "too short"),
    ],
)
def test_a_phrase_that_cannot_be_heard_is_a_wrong_configuration(random_model: Path, voice: str, says: str):
    made = recogniser(random_model, voice)
    made.start()
    try:
        with pytest.raises(ConfigurationError, match="voice: ") as caught:
            made.wait_ready(300)
    finally:
        made.stop()
    assert says in str(caught.value)
    assert caught.value.hint

"""The voice in the configuration, and the recognisers' process: what is refused, and how it says so."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from conftest import wait_for

from edge_agent import config, manifest
from edge_agent.assembly import assemble
from edge_agent.clock import SystemClock
from edge_agent.delivery.backoff import FullJitter
from edge_agent.delivery.commands import Request
from edge_agent.delivery.message import Message
from edge_agent.errors import ConfigurationError, VoiceError
from edge_agent.stages import Acquisition
from edge_agent.voice.machine import Event
from edge_agent.voice.recogniser import Recogniser, RemotePhrase, RemoteTranscriber
from edge_agent.voice.requirements import microphone_of, require
from edge_agent.voicing import recogniser_settings, voice_of
from edge_agent.wording import Wording

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


def test_the_recognisers_are_told_what_the_configuration_has_now(random_model: Path):
    one = recogniser_settings(loaded(random_model, "wake_phrase = 'good morning'"))
    assert (one["slots"], one["names"], one["wake"]) == (["imu_phone"], ["mic", "phone"], "good morning")
    sensors = MICROPHONE + "slot = 'audio'\n" + OTHER
    assert recogniser_settings(loaded(random_model, "", sensors))["slots"] == ["audio", "imu_phone"]


def spoken_question(model: Path, folder: Path, voice: str = "") -> tuple[list[Message], Request]:
    """One that was understood by the voice of an agent in `folder`: what is published, and what is asked."""
    pytest.importorskip("pocketsphinx", reason="pip install 'iotlm-edge[voice]'")
    state = f"[node]\nstate_directory = '{folder}'\n"
    text = f"{state}[model]\npath = '{model}'\n{MICROPHONE}{OTHER}[voice]\nenabled = true\n{voice}"
    parts = assemble(config.loads(text, folder), SystemClock())
    said: list[Message] = []
    wording = Wording(parts, lambda: None, said.append)
    sensing = [Acquisition(sensor, parts.clock, pytest.fail) for sensor in parts.sensors]
    made = voice_of(parts, sensing, wording, said.append, pytest.fail)
    assert made is not None
    loop, happened = made.loop, (Event.FOUND, Event.TALK, Event.CHIMED, Event.SPEECH, Event.SILENCE)
    for event in happened:
        loop._on(event)
    loop._on(Event.HEARD, detail="what do you hear")
    job = wording.jobs.take(1.0)
    assert job is not None
    assert job.request is not None
    made.stop()
    return said, job.request


def test_a_spoken_question_is_a_dialog_of_its_own_and_every_step_stays_published(
    random_model: Path, tmp_path: Path
):
    said, request = spoken_question(random_model, tmp_path)
    assert (request.question, request.asker) == ("what do you hear", "voice")
    assert [(json.loads(m.payload)["state"], m.retain) for m in said] == [
        (state, True) for state in ("waiting", "chiming", "listening", "hearing", "transcribing", "thinking")
    ]
    assert {m.topic for m in said} == {"edge/edge/voice/state"}
    assert not list(tmp_path.rglob("*.wav"))


def test_its_sound_is_kept_only_where_the_configuration_says_so(random_model: Path, tmp_path: Path):
    spoken_question(random_model, tmp_path, "store_audio = true")
    assert [path.parent.name for path in tmp_path.rglob("*.wav")] == ["questions"]


@pytest.mark.e2e
@pytest.mark.timeout(400)
def test_the_recognisers_are_a_process_that_is_replaced_when_it_hangs_or_dies(random_model: Path):
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
        assert first is not None
        os.kill(first, signal.SIGSTOP)  # it hangs
        with pytest.raises(VoiceError, match=r"longer than 0\.5 s"):
            made.call("wake", silence, 0.5)
        assert made.pid is None

        def replaced(before: int) -> bool:
            made.supervise()
            return made.pid not in {None, before}

        wait_for(lambda: replaced(first), 60, "another process")
        assert not made.ready
        second = made.pid
        assert second is not None
        os.kill(second, signal.SIGKILL)
        wait_for(lambda: replaced(second), 60, "a third process")
        assert made.restarts == 2
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

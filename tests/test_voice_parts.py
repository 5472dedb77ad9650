"""The small parts of the voice loop: ends of speech, the mouth, the chime, the light, what is kept."""

from __future__ import annotations

import threading
import wave
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import wait_for
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.clock import ManualClock
from edge_agent.errors import SensorError, VoiceError
from edge_agent.voice import kept as keeping
from edge_agent.voice.chime import chime
from edge_agent.voice.kept import KeptAudio
from edge_agent.voice.led import Led
from edge_agent.voice.machine import Event, State, Transition
from edge_agent.voice.mouth import Mouth, at_rate
from edge_agent.voice.status import Counts, Status
from edge_agent.voice.utterance import Gate, Utterance

RATE_HZ = 16_000


class Loudness:
    frame = 512

    def is_speech(self, frame: np.ndarray) -> bool:
        assert frame.shape == (self.frame,)
        return bool(frame.max() > 0.1)

    def reset(self) -> None: ...


def sound(*parts: tuple[float, float]) -> np.ndarray:
    """(loudness, seconds), one after the other."""
    return np.concatenate([np.full(round(s * RATE_HZ), v, np.float32) for v, s in parts])


def pieces(samples: np.ndarray, length: int) -> list[np.ndarray]:
    return [samples[i : i + length] for i in range(0, len(samples), length)]


@settings(max_examples=40, deadline=None)
@given(length=st.integers(1, 3000))
def test_an_utterance_is_the_same_in_any_pieces(length: int):
    utterance = Utterance(Loudness(), pause_s=0.7)
    said = sound((0, 1.0), (0.5, 0.05), (0, 0.5), (0.5, 1.0), (0, 0.4), (0.5, 0.5), (0, 1.0), (0.5, 1.0))
    for piece in pieces(said, length):
        utterance.feed(piece)
    assert utterance.over
    assert (utterance.samples == 0.5).sum() / RATE_HZ == pytest.approx(1.5, abs=0.06)
    assert len(utterance.samples) / RATE_HZ == pytest.approx(0.4 + 1.9 + 0.7, abs=0.15)
    utterance.reset()
    assert not utterance.begun
    assert len(utterance.samples) == 0


@settings(max_examples=40, deadline=None)
@given(length=st.integers(1, 3000))
def test_the_gate_lets_speech_through_with_its_surroundings(length: int):
    gate = Gate(Loudness())
    passed = [gate.feed(p) for p in pieces(sound((0, 5.0), (0.5, 1.0), (0, 5.0)), length)]
    through = np.concatenate(passed)
    assert (through == 0.5).sum() == RATE_HZ
    assert len(through) / RATE_HZ == pytest.approx(0.4 + 1.0 + 1.0, abs=0.1)
    assert not gate.open


class Output:
    """A loudspeaker that takes what it has room for, as a sound card does, and plays at its own pace."""

    latency_s = 0.1

    def __init__(self, rate_hz: int, pace: float = 1.0) -> None:
        self.taken: list[np.ndarray] = []
        self.writes = threading.Semaphore(0)
        self.stuck = False
        self._rate_hz, self._pace = rate_hz, pace

    @property
    def room(self) -> int:
        return 0 if self.stuck else 480

    def write(self, samples: np.ndarray) -> None:
        assert samples.dtype == np.int16
        self.taken.append(samples)
        self.writes.release()
        threading.Event().wait(len(samples) / self._rate_hz / self._pace)

    @property
    def played(self) -> np.ndarray:
        return np.concatenate(self.taken) if self.taken else np.zeros(0, np.int16)


class Voice:
    """Speaks a tone for each word."""

    def __init__(self, rate_hz: int = 22_050, *, broken: bool = False) -> None:
        self.rate_hz, self.broken, self.spoken = rate_hz, broken, 0

    def speak(self, text: str, stop: threading.Event):
        if self.broken:
            raise VoiceError("cannot start espeak-ng", hint="apt install espeak-ng")
        for _ in text.split():
            if stop.is_set():
                return
            self.spoken += 1
            t_s = np.arange(self.rate_hz // 5) / self.rate_hz
            yield (8000 * np.sin(2 * np.pi * 440 * t_s)).astype(np.int16), self.rate_hz


@contextmanager
def mouth(voice: Voice, output: Output, *, faulty: bool = False):
    done: list[tuple[Event, int, str]] = []

    @contextmanager
    def opened(device: str | None, rate_hz: int):
        assert (device, rate_hz) == ("speaker", 48_000)
        if faulty:
            raise SensorError("cannot open the loudspeaker", hint="is it plugged in?")
        yield output

    made, stop = Mouth(voice, opened, "speaker", 48_000, lambda *what: done.append(what)), threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    try:
        yield made, done
    finally:
        stop.set()
        made.end()
        thread.join(10)
        assert not thread.is_alive()


def test_a_sentence_is_spoken_at_the_loudspeakers_rate_and_its_end_is_told():
    voice, output = Voice(), Output(48_000, pace=20)
    with mouth(voice, output) as (made, done):
        made.say(3, "one two three four five")
        wait_for(lambda: done, 20, "the end")
    assert done == [(Event.SPOKEN, 3, "")]
    assert made.spoken == 1
    assert len(output.played) / 48_000 == pytest.approx(1.0 + output.latency_s, abs=0.01)
    spectrum = np.abs(np.fft.rfft(output.played[:48_000].astype(float)))
    assert np.argmax(spectrum) == pytest.approx(440, abs=2)


def test_it_falls_silent_within_a_tenth_of_a_second():
    """In what the loudspeaker was given; what it still has in itself is dropped when it is closed."""
    voice, output = Voice(), Output(48_000)
    with mouth(voice, output) as (made, done):
        made.say(1, "word " * 100)
        assert output.writes.acquire(timeout=20)
        made.hush()
        taken = len(output.played)
        wait_for(lambda: done, 20, "the end")
    assert len(output.played) - taken <= 0.1 * 48_000
    assert voice.spoken < 100


def test_another_saying_takes_the_place_of_this_one():
    voice, output = Voice(), Output(48_000)
    with mouth(voice, output) as (made, done):
        made.say(1, "word " * 100)
        assert output.writes.acquire(timeout=20)
        made.say(2, None)
        wait_for(lambda: len(done) == 2, 20, "the chime")
    assert [(event, turn) for event, turn, _ in done] == [(Event.SPOKEN, 1), (Event.CHIMED, 2)]


@pytest.mark.parametrize(
    ("voice", "output", "faulty", "why"),
    [
        (Voice(broken=True), Output(48_000), False, "espeak-ng"),
        (Voice(), Output(48_000), True, "plugged in"),
    ],
)
def test_what_cannot_be_said_is_reported_and_over(voice: Voice, output: Output, faulty: bool, why: str):
    with mouth(voice, output, faulty=faulty) as (made, done):
        made.say(1, "hello")
        wait_for(lambda: done, 20, "the end")
    ((event, turn, problem),) = done
    assert (event, turn) == (Event.SPOKEN, 1)
    assert why in problem


def test_a_loudspeaker_that_takes_nothing_holds_nobody_up():
    voice, output = Voice(), Output(48_000)
    output.stuck = True
    with mouth(voice, output) as (made, done):
        made.say(1, "hello")
        wait_for(lambda: done, 20, "the end")
    assert "has taken no sound for 2 s" in done[0][2]


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 48_000])
def test_pieces_of_speech_become_one_sound_at_another_rate(rate_hz: int):
    t_s = np.arange(rate_hz) / rate_hz
    tone = (10_000 * np.sin(2 * np.pi * 500 * t_s)).astype(np.int16)
    out = np.concatenate(list(at_rate(((p, rate_hz) for p in pieces(tone, 700)), 44_100)))
    assert len(out) == pytest.approx(44_100, abs=2)
    wanted = 10_000 * np.sin(2 * np.pi * 500 * np.arange(len(out)) / 44_100)
    assert np.abs(out[2000:-2000] - wanted[2000:-2000]).max() < 100


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 48_000])
def test_the_chime_is_short_loud_enough_and_does_not_click(rate_hz: int):
    tone = chime(rate_hz)
    assert len(tone) / rate_hz == pytest.approx(0.18, abs=0.001)
    assert 4000 < np.abs(tone).max() < 12_000
    assert abs(int(tone[0])) < 50
    assert abs(int(tone[-1])) < 500
    spectrum = np.abs(np.fft.rfft(tone[: len(tone) // 2].astype(float)))
    assert np.argmax(spectrum) * rate_hz / (len(tone) // 2) == pytest.approx(659, abs=12)


def test_a_light_is_as_bright_as_it_can_be(tmp_path: Path):
    (tmp_path / "max_brightness").write_text("255\n")
    file = tmp_path / "brightness"
    file.write_text("0\n")
    led = Led(file)
    led.show(on=True)
    assert file.read_text() == "255\n"
    file.write_text("7\n")
    led.show(on=True)
    assert file.read_text() == "7\n", "written without need"
    led.show(on=False)
    assert file.read_text() == "0\n"


def test_a_light_that_is_not_there_is_told_once_and_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    led = Led(tmp_path / "led" / "brightness")
    for on in (True, False, True):
        led.show(on=on)
    assert len(caplog.records) == 1
    (tmp_path / "led").mkdir()
    led.show(on=True)
    assert (tmp_path / "led" / "brightness").read_text() == "1\n"


def test_questions_are_kept_as_wav_for_this_user_and_the_oldest_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(keeping, "MOST", 3)
    folder = tmp_path / "questions"
    kept = KeptAudio(folder)
    for name in "abcde":
        kept.keep(name, np.array([0.0, 0.5, -1.5], np.float32))
    assert [path.stem for path in sorted(folder.iterdir())] == ["c", "d", "e"]
    assert folder.stat().st_mode & 0o077 == 0
    with wave.open(str(folder / "e.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert np.frombuffer(file.readframes(3), "<i2").tolist() == [0, 16383, -32767]


@pytest.mark.parametrize("state", State)
def test_what_is_published_says_whether_the_microphone_may_be_open(state: State):
    status = Status(ManualClock(5), lambda: Counts(answered=3, restarts=1))
    body = status.message(Transition(State.WAITING, state, Event.LOST, 7, 4), "unplugged")
    assert body["microphone_open"] == (state not in {State.MUTED, State.OFFLINE})
    assert (body["state"], body["previous"], body["turn"]) == (state, "waiting", 7)
    assert body["reason"] == "microphone lost: unplugged"
    assert (body["answered"], body["recogniser_restarts"]) == (3, 1)
    assert body["recent"][-1]["state"] == state


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "questions").write_text("in the way")
    KeptAudio(tmp_path / "questions").keep("a", np.zeros(3, np.float32))
    assert "was not kept" in caplog.text

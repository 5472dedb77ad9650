"""The voice loop on a clock moved by hand: what it does at each step, and what it never does."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest

from edge_agent.clock import NS_PER_S, ManualClock
from edge_agent.config_voice import VoiceSettings
from edge_agent.errors import ConfigurationError, VoiceError
from edge_agent.types import Chunk, SensorHealth, SensorState
from edge_agent.voice.around import Ears, Surroundings
from edge_agent.voice.loop import BUSY, CHUNKS_WAITING, NOT_UNDERSTOOD, TOO_LATE, VoiceLoop
from edge_agent.voice.machine import Event, State, Transition

CHUNK_S = 0.05
SPEECH, WAKE_UP, STOP_IT, QUIET = 0.5, 0.9, 0.7, 0.0
"""Sounds, told apart by how loud they are."""


class Loudness:
    """Takes what is loud for speech."""

    frame = 400

    def is_speech(self, frame: np.ndarray) -> bool:
        return bool(frame.max() > 0.1)

    def reset(self) -> None: ...


class Phrase:
    """A phrase that is a loudness."""

    def __init__(self, value: float) -> None:
        self.value, self.fed, self.resets, self.broken = value, 0, 0, False

    def feed(self, samples: np.ndarray) -> bool:
        if self.broken:
            raise VoiceError("the recogniser is busy")
        self.fed += len(samples)
        return bool(np.isclose(samples, self.value).any())

    def reset(self) -> None:
        self.resets += 1


@dataclass
class World:
    """Everybody around the loop, who do what the test says and note what they were asked."""

    ready: bool = True
    reason: str = "the recogniser is loading"
    broken: bool = False
    room: bool = True
    steps: list[Transition] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    said: list[str | None] = field(default_factory=list)
    hushed: int = 0
    taken: list[np.ndarray] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    light: list[bool] = field(default_factory=list)
    failures: list[ConfigurationError] = field(default_factory=list)

    def say(self, turn: int, text: str | None) -> None:
        self.said.append(text)

    def hush(self) -> None:
        self.hushed += 1

    def take(self, turn: int, samples: np.ndarray) -> None:
        self.taken.append(samples)

    def supervise(self) -> None:
        if self.broken:
            raise ConfigurationError("voice: no such model")

    def ask(self, question: str, answered) -> bool:
        self.asked.append(question)
        self.answered = answered
        return self.room

    def tell(self, step: Transition, detail: str) -> None:
        self.steps.append(step)
        self.details.append(detail)

    def show(self, *, on: bool) -> None:
        self.light.append(on)

    @property
    def states(self) -> list[State]:
        return [step.after for step in self.steps]


class Rig:
    """A loop with its world; `sound` lets time pass."""

    def __init__(self, **settings: object) -> None:
        self.clock = ManualClock(NS_PER_S)
        self.world = World()
        self.health = SensorHealth(SensorState.ONLINE, "listening")
        self.wake, self.stop = Phrase(WAKE_UP), Phrase(STOP_IT)
        w = self.world
        self.loop = VoiceLoop(
            VoiceSettings(enabled=True, **settings),
            self.clock,
            Ears(self.health, Loudness(), self.wake, self.stop),
            Surroundings(w, w, w, w.ask, w.tell, w.failures.append, light=w),
        )
        self.loop.step()

    @property
    def state(self) -> State:
        return self.loop.machine.state

    def sound(self, value: float, seconds: float = CHUNK_S) -> None:
        for _ in range(max(1, round(seconds / CHUNK_S))):
            begin_ns = self.clock.monotonic_ns()
            self.clock.advance(CHUNK_S)
            times_ns = begin_ns + np.arange(800) * 62_500
            self.loop.hear(Chunk("mic", times_ns, np.full((800, 1), value, np.float32)))
            self.loop.step()

    def until_listening(self) -> None:
        self.loop.talk()
        self.loop.step()
        self.loop.happened(Event.CHIMED, self.loop.machine.turn)
        self.loop.step()
        assert self.state is State.LISTENING

    def until_speaking(self, answer: str = "The person is walking.") -> None:
        self.until_listening()
        self.sound(QUIET, 0.4)
        self.sound(SPEECH, 1.0)
        self.sound(QUIET, 1.0)
        self.loop.happened(Event.HEARD, self.loop.machine.turn, "what is the person doing")
        self.loop.step()
        self.world.answered(answer)
        self.loop.step()
        assert self.state is State.SPEAKING


def test_a_question_from_its_wake_phrase_to_the_end_of_its_answer():
    rig = Rig()
    assert rig.state is State.WAITING
    rig.sound(QUIET, 0.5)
    rig.sound(WAKE_UP)
    assert rig.state is State.CHIMING
    assert rig.world.said == [None]
    rig.loop.happened(Event.CHIMED, 1)
    rig.loop.step()
    rig.sound(QUIET, 0.5)
    rig.sound(SPEECH, 1.0)
    assert rig.state is State.HEARING
    assert rig.world.light[-1]
    rig.sound(QUIET, 0.9)
    assert rig.state is State.TRANSCRIBING
    assert not rig.world.light[-1]
    (said,) = rig.world.taken
    assert 0.9 < (said == SPEECH).sum() / 16_000 <= 1.0
    assert said[0] == QUIET
    rig.loop.happened(Event.HEARD, 1, "what is the person doing")
    rig.loop.step()
    assert rig.world.asked == ["what is the person doing"]
    rig.world.answered("The person is walking.")
    rig.loop.step()
    assert rig.world.said == [None, "The person is walking."]
    rig.loop.happened(Event.SPOKEN, 1)
    rig.loop.step()
    rig.clock.advance(0.4)
    rig.loop.step()
    assert rig.world.states == [
        State.WAITING, State.CHIMING, State.LISTENING, State.HEARING, State.TRANSCRIBING, State.THINKING,
        State.SPEAKING, State.SETTLING, State.WAITING,
    ]  # fmt: skip
    assert rig.loop.answered == 1
    assert not rig.loop.machine.ignored


def test_it_does_not_hear_its_chime_nor_its_own_voice():
    rig = Rig(barge_in=False, stop_phrase="")
    rig.loop.talk()
    rig.loop.step()
    rig.sound(SPEECH, 0.3)  # the chime
    rig.loop.happened(Event.CHIMED, 1)
    rig.loop.step()
    rig.sound(SPEECH, 0.25)  # its echo
    assert rig.state is State.LISTENING
    rig.sound(QUIET, 6.5)
    assert rig.state is State.WAITING
    rig.loop._ears = Ears(rig.health, Loudness(), rig.wake, None)
    rig.until_speaking()
    fed = rig.wake.fed
    rig.sound(WAKE_UP, 2.0)
    assert rig.state is State.SPEAKING
    assert rig.wake.fed == fed


def test_nobody_speaks_and_it_waits_again():
    rig = Rig(patience_s=3.0)
    rig.until_listening()
    rig.sound(QUIET, 2.9)
    assert rig.state is State.LISTENING
    rig.sound(QUIET, 0.2)
    assert rig.state is State.WAITING
    assert rig.world.said == [None]


def test_a_click_is_no_question_and_an_endless_one_is_cut():
    rig = Rig(question_s=2.0)
    rig.until_listening()
    rig.sound(QUIET, 0.4)
    rig.sound(SPEECH, 0.1)
    rig.sound(QUIET, 0.2)
    assert rig.state is State.LISTENING
    rig.sound(SPEECH, 2.5)
    assert rig.state is State.TRANSCRIBING
    assert len(rig.world.taken[0]) < 3.0 * 16_000


@pytest.mark.parametrize(
    ("event", "detail", "said"),
    [(Event.UNHEARD, "", NOT_UNDERSTOOD), (Event.UNHEARD, "it died", NOT_UNDERSTOOD), (None, "", TOO_LATE)],
)
def test_what_was_not_understood_is_said(event: Event | None, detail: str, said: str):
    rig = Rig(recognition_s=2.0)
    rig.until_listening()
    rig.sound(QUIET, 0.4)
    rig.sound(SPEECH, 1.0)
    rig.sound(QUIET, 1.0)
    assert rig.state is State.TRANSCRIBING
    if event is None:
        rig.clock.advance(3.1)
    else:
        rig.loop.happened(event, 1, detail)
    rig.loop.step()
    assert rig.world.said[-1] == said
    assert rig.loop.answered == 0
    assert rig.world.details[-1] == detail


def test_what_hangs_holds_it_up_no_longer_than_its_deadline():
    """A loudspeaker at the chime, whoever answers, a loudspeaker at the answer: none of them ever reports."""
    rig = Rig(answer_s=20.0)
    rig.loop.talk()
    rig.loop.step()
    rig.clock.advance(1.9)
    rig.loop.step()
    assert rig.state is State.CHIMING
    rig.clock.advance(0.2)
    rig.loop.step()
    assert rig.state is State.LISTENING
    rig.sound(QUIET, 0.4)
    rig.sound(SPEECH, 1.0)
    rig.sound(QUIET, 1.0)
    rig.loop.happened(Event.HEARD, 1, "what do you hear")
    rig.loop.step()
    rig.clock.advance(29.9)
    rig.loop.step()
    assert rig.state is State.THINKING
    rig.clock.advance(0.2)
    rig.loop.step()
    assert rig.state is State.SPEAKING
    assert rig.world.said[-1] == TOO_LATE
    hushed = rig.world.hushed
    rig.clock.advance(20.1)
    rig.loop.step()
    assert rig.state is State.SETTLING
    assert rig.world.hushed == hushed + 1
    rig.clock.advance(0.4)
    rig.loop.step()
    assert rig.state is State.WAITING


def test_too_many_questions_wait():
    rig = Rig()
    rig.world.room = False
    rig.until_listening()
    rig.sound(QUIET, 0.4)
    rig.sound(SPEECH, 1.0)
    rig.sound(QUIET, 1.0)
    rig.loop.happened(Event.HEARD, 1, "what do you hear")
    rig.loop.step()
    rig.loop.step()
    assert rig.world.said[-1] == BUSY


def test_the_wake_phrase_interrupts_an_answer_whose_end_then_means_nothing():
    rig = Rig()
    rig.until_speaking()
    hushed = rig.world.hushed
    rig.sound(QUIET, 0.2)
    rig.sound(WAKE_UP)
    assert rig.state is State.CHIMING
    assert rig.world.hushed == hushed + 1
    rig.loop.happened(Event.SPOKEN, 1)
    rig.loop.step()
    assert rig.state is State.CHIMING
    assert rig.loop.machine.ignored == {"late": 1}


def test_the_stop_phrase_ends_an_answer():
    rig = Rig()
    rig.until_speaking()
    rig.sound(STOP_IT)
    assert rig.state is State.SETTLING
    assert rig.world.hushed == 1


def test_stop_means_nothing_to_one_that_waits():
    rig = Rig()
    rig.sound(STOP_IT, 0.5)
    assert rig.state is State.WAITING


@pytest.mark.parametrize("moment", ["until_listening", "until_speaking"])
def test_muting_ends_everything_and_what_was_said_is_forgotten(moment: str):
    rig = Rig()
    getattr(rig, moment)()
    rig.health.state = SensorState.MUTED
    rig.loop.step()
    assert rig.state is State.MUTED
    assert not rig.world.light[-1]
    for event in (Event.TALK, Event.WAKE, Event.SPEECH, Event.ANSWERED):
        rig.loop.happened(event, 1)
    rig.sound(WAKE_UP, 1.0)
    assert rig.state is State.MUTED
    rig.health.state = SensorState.ONLINE
    rig.loop.step()
    assert rig.state is State.WAITING
    assert rig.world.states[-2:] == [State.OFFLINE, State.WAITING]
    rig.until_listening()
    rig.sound(QUIET, 6.1)
    assert len(rig.world.taken) == (moment == "until_speaking")


def test_muted_it_keeps_no_sound():
    rig = Rig()
    rig.until_listening()
    rig.sound(QUIET, 0.4)
    rig.sound(SPEECH, 1.0)
    assert rig.state is State.HEARING
    assert len(rig.loop._utterance.samples) > 0
    forgotten = rig.wake.resets
    rig.health.state = SensorState.MUTED
    rig.loop.step()
    assert rig.state is State.MUTED
    assert len(rig.loop._utterance.samples) == 0
    assert rig.wake.resets == forgotten + 1


def test_a_lost_microphone_is_said_and_its_return_too():
    rig = Rig()
    rig.health.state, rig.health.reason = SensorState.OFFLINE, "no sound has come for 2 s"
    rig.world.reason = ""
    rig.loop.step()
    assert rig.state is State.WAITING
    rig.clock.advance(0.6)
    rig.loop.step()
    assert rig.state is State.OFFLINE
    assert rig.world.details[-1] == "no sound has come for 2 s"
    rig.health.state = SensorState.ONLINE
    rig.loop.step()
    assert rig.state is State.WAITING


def test_an_answer_is_spoken_though_the_microphone_is_gone():
    rig = Rig()
    rig.until_speaking()
    rig.health.state = SensorState.OFFLINE
    rig.loop.step()
    rig.clock.advance(5.0)
    rig.loop.step()
    assert rig.state is State.SPEAKING
    rig.loop.happened(Event.SPOKEN, 1)
    rig.loop.step()
    rig.loop.step()
    assert rig.state is State.OFFLINE


def test_without_recognisers_it_is_offline_and_says_why():
    rig = Rig()
    rig.world.ready = False
    rig.loop.step()
    rig.clock.advance(1.0)
    rig.loop.step()
    assert rig.state is State.OFFLINE
    assert rig.world.details[-1] == "the recogniser is loading"


def test_settings_that_cannot_work_end_the_agent():
    rig = Rig()
    rig.world.broken = True
    rig.loop.step()
    assert [str(error) for error in rig.world.failures] == ["voice: no such model"]


def test_a_recogniser_that_fails_at_the_wake_phrase_leaves_the_loop_alive():
    rig = Rig()
    rig.wake.broken = True
    rig.sound(WAKE_UP, 1.0)
    assert rig.state is State.WAITING
    rig.wake.broken = False
    rig.sound(WAKE_UP)
    assert rig.state is State.CHIMING


def test_sound_that_comes_too_fast_is_dropped_and_counted():
    rig = Rig()
    chunk = Chunk("mic", np.arange(800), np.zeros((800, 1), np.float32))
    for _ in range(CHUNKS_WAITING + 7):
        rig.loop.hear(chunk)
    assert rig.loop.dropped == 7


def test_without_a_chime_it_listens_at_once():
    rig = Rig(chime=False)
    rig.loop.talk()
    rig.loop.step()
    rig.loop.step()
    assert rig.state is State.LISTENING
    rig.sound(SPEECH, 0.3)
    assert rig.state is State.HEARING
    assert rig.world.said == []


def test_it_ends_when_it_is_told_to_and_falls_silent():
    rig = Rig()
    rig.until_speaking()
    stop = threading.Event()
    stop.set()
    hushed = rig.world.hushed
    rig.loop.run(stop)
    assert rig.world.hushed == hushed + 1
    assert not rig.world.light[-1]


def test_a_loop_that_does_not_move_is_a_problem():
    rig = Rig()
    assert rig.loop.problem == ""
    rig.clock.advance(21.0)
    assert "21 s" in rig.loop.problem

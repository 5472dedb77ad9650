"""The voice loop: sound and commands in, transitions of the machine, and what each of them sets going.

A stage: `run` is for a thread of the runtime. Whatever takes time (recognising, answering, speaking) is done
elsewhere and reports back through `happened`; here nothing waits but for the next piece of sound.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

import numpy as np

from edge_agent.clock import NS_PER_S
from edge_agent.config_voice import VoiceSettings
from edge_agent.errors import ConfigurationError, VoiceError
from edge_agent.mailbox import Mailbox
from edge_agent.types import Chunk, Clock, Float32, SensorState
from edge_agent.voice.around import Ears, Surroundings
from edge_agent.voice.machine import (
    INDICATED,
    NEEDS_MICROPHONE,
    OPEN,
    Event,
    Machine,
    State,
    Transition,
)
from edge_agent.voice.utterance import Gate, Utterance

CHUNKS_WAITING = 100
"""Five seconds of sound."""
STEP_S = 0.05
LOST_S = 0.5
"""A microphone that is away for less is not reported: muting closes it before it says that it is muted."""
STUCK_S = 20.0
NOT_UNDERSTOOD = "Sorry, I did not understand that."
TOO_LATE = "Sorry, that took too long."
BUSY = "I have too many questions to answer. Please ask again in a moment."
_log = logging.getLogger(__name__)


class VoiceLoop:
    """`hear`, `talk`, `hush` and `happened` from any thread; `run` in one."""

    name = "voice"

    def __init__(self, settings: VoiceSettings, clock: Clock, ears: Ears, around: Surroundings) -> None:
        self.machine = Machine(deadlines_s(settings), clock.monotonic_ns)
        self.answered = 0
        self._settings = settings
        self._clock = clock
        self._ears = ears
        self._around = around
        self._chunks: Mailbox[Chunk] = Mailbox(CHUNKS_WAITING)
        self._events: Mailbox[tuple[Event, int | None, str]] = Mailbox(64)
        self._gate = Gate(ears.detector)
        self._utterance = Utterance(ears.detector, settings.pause_s)
        self._words = ""
        self._deaf_until_ns = 0
        self._away_since_ns: int | None = None
        self._moved_ns = clock.monotonic_ns()

    # -- from any thread ---------------------------------------------------------------------------------

    def hear(self, chunk: Chunk) -> None:
        """Take a piece of the microphone's sound; never waits, the oldest goes first."""
        self._chunks.put(chunk)

    def talk(self) -> None:
        """Push to talk: as the wake phrase."""
        self.happened(Event.TALK, None)

    def hush(self) -> None:
        """Stop what is going on, be it a question or an answer."""
        self.happened(Event.STOP, None)

    def happened(self, event: Event, turn: int | None, detail: str = "") -> None:
        """Report the end of some work of that turn."""
        self._events.put((event, turn, detail))
        self._chunks.wake()

    @property
    def dropped(self) -> int:
        """Pieces of sound that were not listened to because the loop was late."""
        return self._chunks.dropped

    @property
    def problem(self) -> str:
        """Why the watchdog must not be fed; empty when all is well."""
        still_s = (self._clock.monotonic_ns() - self._moved_ns) / NS_PER_S
        return f"the voice loop has not moved for {still_s:.0f} s" if still_s > STUCK_S else ""

    # -- in its own thread -------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Until `stop`."""
        try:
            while not stop.is_set():
                self.step()
        finally:
            self._around.speaker.hush()
            self._show(on=False)

    def step(self) -> None:
        """Everything that has happened, and one piece of sound if there is one."""
        self._moved_ns = self._clock.monotonic_ns()
        chunk = self._chunks.take(STEP_S)
        try:
            self._around.recognisers.supervise()
        except ConfigurationError as error:
            self._around.failed(error)
        self._watch_microphone()
        for event, turn, detail in self._events.take_all():
            self._on(event, turn, detail)
        if chunk is not None and (heard := self._listen(chunk)) is not None:
            self._on(heard, self.machine.turn)
        if (step := self.machine.tick()) is not None:
            self._enter(step)

    def _watch_microphone(self) -> None:
        """The microphone's own state, and the recogniser's, as events."""
        health, state = self._ears.health, self.machine.state
        if health.state is SensorState.MUTED:
            if state in OPEN:
                self._on(Event.MUTE)
            return
        if state is State.MUTED:
            self._on(Event.UNMUTE)
        there = health.state is not SensorState.OFFLINE and self._around.recognisers.ready
        if there:
            self._away_since_ns = None
            if self.machine.state is State.OFFLINE:
                self._on(Event.FOUND)
            return
        now_ns = self._clock.monotonic_ns()
        since_ns = self._away_since_ns = now_ns if self._away_since_ns is None else self._away_since_ns
        if self.machine.state in NEEDS_MICROPHONE and now_ns - since_ns >= LOST_S * NS_PER_S:
            self._on(Event.LOST, detail=self._around.recognisers.reason or health.reason)

    def _listen(self, chunk: Chunk) -> Event | None:
        """What the sound says to this state; most states are deaf, so that it does not hear itself."""
        samples = chunk.values[chunk.times_ns >= self._deaf_until_ns, 0].astype(np.float32)
        match self.machine.state:
            case State.WAITING:
                return self._heard(samples, wake=True, stop=False)
            case State.SPEAKING:
                return self._heard(samples, wake=self._settings.barge_in, stop=True)
            case State.LISTENING | State.HEARING:
                self._utterance.feed(samples)
                if self.machine.state is State.LISTENING:
                    return Event.SPEECH if self._utterance.begun else None
                return Event.SILENCE if self._utterance.over else None
            case _:
                return None

    def _heard(self, samples: Float32, *, wake: bool, stop: bool) -> Event | None:
        wanted = {
            Event.WAKE: self._ears.wake if wake else None,
            Event.STOP: self._ears.stop if stop else None,
        }
        phrases = {event: phrase for event, phrase in wanted.items() if phrase is not None}
        if not phrases:
            return None
        was_open = self._gate.open
        through = self._gate.feed(samples)
        try:
            for event, phrase in phrases.items():
                if len(through) and phrase.feed(through):
                    return event
                if was_open and not self._gate.open:
                    phrase.reset()
        except VoiceError as error:
            _log.warning("the wake phrase is not listened for: %s", error)
        return None

    def _on(self, event: Event, turn: int | None = None, detail: str = "") -> None:
        if event in {Event.HEARD, Event.ANSWERED} and (turn is None or turn == self.machine.turn):
            self._words = detail
        if (step := self.machine.on(event, turn)) is not None:
            self._enter(step, detail if event not in {Event.HEARD, Event.ANSWERED} else "")

    # -- what a transition sets going --------------------------------------------------------------------

    def _enter(self, step: Transition, detail: str = "") -> None:
        if step.before in {State.CHIMING, State.SPEAKING} and step.event not in {Event.CHIMED, Event.SPOKEN}:
            self._around.speaker.hush()
        if step.before is not step.after or detail:
            _log.debug("%s -> %s (%s)", step.before, step.after, step.event)
        self._show(on=step.after in INDICATED)
        self._around.tell(step, detail)
        work = {
            State.MUTED: self._wait,
            State.WAITING: self._wait,
            State.CHIMING: self._chime,
            State.LISTENING: self._begin,
            State.TRANSCRIBING: self._transcribe,
            State.THINKING: self._think,
            State.SPEAKING: self._speak,
        }.get(step.after)
        if work is not None:
            work(step)

    def _show(self, *, on: bool) -> None:
        if self._around.light is not None:
            self._around.light.show(on=on)

    def _wait(self, step: Transition) -> None:
        """Forget all sound: it begins anew, or, muted, must not keep any."""
        if step.before is State.WAITING and self._gate.open:
            return  # the phrase may just be spoken
        self._gate.reset()
        try:
            for phrase in (self._ears.wake, self._ears.stop):
                if phrase is not None:
                    phrase.reset()
        except VoiceError as error:
            _log.debug("not reset: %s", error)  # `supervise` finds out what is the matter
        self._utterance.reset()

    def _chime(self, step: Transition) -> None:
        if self._settings.chime:
            self._around.speaker.say(step.turn, None)
        else:
            self.happened(Event.CHIMED, step.turn)

    def _begin(self, step: Transition) -> None:
        """From here on what is said is the question; not what the loudspeaker still gives to the room."""
        tail_s = self._settings.tail_s if self._settings.chime else 0.0
        self._deaf_until_ns = step.at_ns + round(tail_s * NS_PER_S)
        self._utterance.reset()

    def _transcribe(self, step: Transition) -> None:
        samples = self._utterance.samples
        self._utterance.reset()
        if self._around.keep is not None:
            self._around.keep(step.turn, samples)
        self._around.understander.take(step.turn, samples)

    def _think(self, step: Transition) -> None:
        def answered(text: str) -> None:
            self.happened(Event.ANSWERED, step.turn, text)

        if not self._around.ask(self._words, answered):
            answered(BUSY)

    def _speak(self, step: Transition) -> None:
        sorry: Mapping[Event, str] = {Event.UNHEARD: NOT_UNDERSTOOD, Event.DEADLINE: TOO_LATE}
        self.answered += step.event is Event.ANSWERED
        self._gate.reset()
        self._deaf_until_ns = step.at_ns
        self._around.speaker.say(step.turn, sorry.get(step.event, self._words))


def deadlines_s(settings: VoiceSettings) -> dict[State, float]:
    """State -> seconds in which it ends by itself."""
    return {
        State.MUTED: 60.0,
        State.OFFLINE: 60.0,
        State.WAITING: 60.0,
        State.CHIMING: 2.0,
        State.LISTENING: settings.patience_s,
        State.HEARING: settings.question_s,
        State.TRANSCRIBING: settings.recognition_s + 1.0,
        State.THINKING: 30.0,
        State.SPEAKING: settings.answer_s,
        State.SETTLING: max(0.05, settings.tail_s),
    }

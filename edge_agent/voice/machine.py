"""What the voice loop is doing, as a table: a state, what happened, the next state. No I/O, no threads.

Every state has a deadline. In a state of work its end leads on, so that nothing that hangs (a recogniser, a
program, a loudspeaker) holds the loop up; in a state of rest it enters the same state anew, which makes the
loop set everything right that belongs to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from edge_agent.clock import NS_PER_S


class State(StrEnum):
    """What it says of itself on `edge/<node>/voice/state`."""

    MUTED = "muted"
    OFFLINE = "offline"
    WAITING = "waiting"
    CHIMING = "chiming"
    LISTENING = "listening"
    HEARING = "hearing"
    TRANSCRIBING = "transcribing"
    THINKING = "thinking"
    SPEAKING = "speaking"
    SETTLING = "settling"


class Event(StrEnum):
    """What can happen to it."""

    MUTE = "mute"
    UNMUTE = "unmute"
    LOST = "microphone lost"
    FOUND = "microphone there"
    WAKE = "wake phrase"
    TALK = "push to talk"
    STOP = "stop"
    CHIMED = "chime over"
    SPEECH = "speech begins"
    SILENCE = "speech ends"
    HEARD = "words recognised"
    UNHEARD = "nothing recognised"
    ANSWERED = "answer"
    SPOKEN = "answer spoken"
    DEADLINE = "deadline"


REST = frozenset({State.MUTED, State.OFFLINE, State.WAITING})
"""Where it may stay: nobody waits for anything."""
OPEN = frozenset(State) - {State.MUTED}
"""Where the microphone may be open."""
NEEDS_MICROPHONE = frozenset({State.WAITING, State.CHIMING, State.LISTENING, State.HEARING, State.SETTLING})
INDICATED = frozenset({State.LISTENING, State.HEARING})
"""Where what is said is kept for the recogniser: the light is on."""
OF_A_TURN = frozenset(
    {Event.CHIMED, Event.SPEECH, Event.SILENCE, Event.HEARD, Event.UNHEARD, Event.ANSWERED, Event.SPOKEN}
)
"""Results of work; those of an earlier turn come too late and are nothing to this one."""


def _table() -> dict[tuple[State, Event], State]:
    s, e = State, Event
    begins = {e.WAKE: s.CHIMING, e.TALK: s.CHIMING}
    rows: dict[State, dict[Event, State]] = {
        s.MUTED: {e.UNMUTE: s.OFFLINE, e.DEADLINE: s.MUTED},
        s.OFFLINE: {e.FOUND: s.WAITING, e.DEADLINE: s.OFFLINE},
        s.WAITING: {**begins, e.DEADLINE: s.WAITING},
        s.CHIMING: {e.CHIMED: s.LISTENING, e.STOP: s.WAITING, e.DEADLINE: s.LISTENING},
        s.LISTENING: {e.SPEECH: s.HEARING, e.STOP: s.WAITING, e.DEADLINE: s.WAITING},
        s.HEARING: {e.SILENCE: s.TRANSCRIBING, e.STOP: s.WAITING, e.DEADLINE: s.TRANSCRIBING},
        s.TRANSCRIBING: {
            e.HEARD: s.THINKING, e.UNHEARD: s.SPEAKING, e.STOP: s.WAITING, e.DEADLINE: s.SPEAKING,
        },
        s.THINKING: {e.ANSWERED: s.SPEAKING, e.STOP: s.WAITING, e.DEADLINE: s.SPEAKING},
        s.SPEAKING: {**begins, e.SPOKEN: s.SETTLING, e.STOP: s.SETTLING, e.DEADLINE: s.SETTLING},
        s.SETTLING: {**begins, e.DEADLINE: s.WAITING},
    }  # fmt: skip
    for state in NEEDS_MICROPHONE:
        rows[state][e.LOST] = s.OFFLINE
    for state in OPEN:
        rows[state][e.MUTE] = s.MUTED
    return {(state, event): after for state, row in rows.items() for event, after in row.items()}


TABLE: Mapping[tuple[State, Event], State] = _table()
"""A pair that is not in it is ignored and counted."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One step. `turn` counts the questions: it is new with every CHIMING."""

    before: State
    after: State
    event: Event
    turn: int
    at_ns: int


class Machine:
    """Where the table stands, and since when.

    `deadlines_s` has every state; `now_ns` gives the time. Raises ValueError when a state has no deadline.
    """

    def __init__(
        self, deadlines_s: Mapping[State, float], now_ns: Callable[[], int], state: State = State.OFFLINE
    ) -> None:
        if missing := [name for name in State if not deadlines_s.get(name, 0) > 0]:
            raise ValueError(f"states without a deadline: {', '.join(missing)}")
        self.state = state
        self.turn = 0
        self.ignored: Counter[str] = Counter()
        self._deadlines_s = dict(deadlines_s)
        self._now_ns = now_ns
        self._since_ns = now_ns()

    @property
    def deadline_ns(self) -> int:
        """When the present state ends by itself."""
        return self._since_ns + round(self._deadlines_s[self.state] * NS_PER_S)

    def on(self, event: Event, turn: int | None = None) -> Transition | None:
        """Take what happened; None when it changes nothing. `turn`: which question it belongs to."""
        if event in OF_A_TURN and turn is not None and turn != self.turn:
            self.ignored["late"] += 1
            return None
        if (after := TABLE.get((self.state, event))) is None:
            self.ignored[event.value] += 1
            return None
        before, self.state, self._since_ns = self.state, after, self._now_ns()
        self.turn += after is State.CHIMING
        return Transition(before, after, event, self.turn, self._since_ns)

    def tick(self) -> Transition | None:
        """The step that the deadline makes, when it has come."""
        return self.on(Event.DEADLINE) if self._now_ns() >= self.deadline_ns else None

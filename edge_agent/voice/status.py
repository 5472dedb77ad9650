"""What the voice loop says of itself on `edge/<node>/voice/state`, at every step that it makes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.delivery import payloads
from edge_agent.types import Clock
from edge_agent.voice.machine import OPEN, State, Transition

RECENT = 12
"""A retained topic keeps the newest message only, so of steps that follow at once the last names all."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What it counts: questions that were answered, pieces of sound dropped, events that meant nothing."""

    answered: int = 0
    dropped_chunks: int = 0
    ignored: int = 0
    restarts: int = 0


class Status:
    """Makes the message for each step; for one thread."""

    def __init__(self, clock: Clock, counts: Callable[[], Counts]) -> None:
        self._clock = clock
        self._counts = counts
        self._recent: deque[payloads.Json] = deque(maxlen=RECENT)

    def message(self, step: Transition, detail: str) -> payloads.Json:
        """The body (schema `voice`) after `step`."""
        time_utc = payloads.utc_of(self._clock, step.at_ns)
        if step.before is not step.after or not self._recent:
            self._recent.append({"state": str(step.after), "reason": str(step.event), "time_utc": time_utc})
        counts = self._counts()
        return {
            "state": str(step.after),
            "reason": f"{step.event}: {detail}" if detail else str(step.event),
            "previous": str(step.before),
            "microphone_open": step.after in OPEN and step.after is not State.OFFLINE,
            "turn": step.turn,
            "recent": list(self._recent),
            "answered": counts.answered,
            "dropped_chunks": counts.dropped_chunks,
            "ignored_events": counts.ignored,
            "recogniser_restarts": counts.restarts,
            "time_utc": time_utc,
        }

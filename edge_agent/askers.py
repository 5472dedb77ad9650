"""What each asker said last, for as long as one question can follow on another."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from edge_agent.clock import NS_PER_S
from edge_agent.types import Clock

ASKERS = 32
DIALOG_S = 300.0
"""A question follows on the one before it only within so many seconds."""
T = TypeVar("T")


class Askers(Generic[T]):
    """asker -> the last of theirs; of the newest askers alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: OrderedDict[str, tuple[T, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._last)

    def last(self, asker: str) -> T | None:
        """Theirs, where it is not too long ago."""
        said, at_ns = self._last.get(asker, (None, 0))
        return said if self._clock.monotonic_ns() - at_ns <= DIALOG_S * NS_PER_S else None

    def remember(self, asker: str, said: T) -> None:
        """Instead of what they said before."""
        self._last[asker] = said, self._clock.monotonic_ns()
        self._last.move_to_end(asker)
        while len(self._last) > ASKERS:
            self._last.popitem(last=False)

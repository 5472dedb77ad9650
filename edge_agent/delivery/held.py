"""What the broker would not take now and may take later (quota exceeded). Pure.

While it takes nothing at all, nothing is given up: all waits, with growing pauses, until it is no longer
worth sending. A message that it refuses again and again while it takes others is refused for good.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from edge_agent.delivery.backoff import FullJitter

MOST_ATTEMPTS = 5
"""So often a message is refused while others are taken, until that is for good."""
BASE_S, CAP_S = 1.0, 60.0
One = TypeVar("One")


class Held(Generic[One]):
    """Holds what was refused for now. Owned by one thread; `now_s` is a monotonic clock."""

    def __init__(self, now_s: Callable[[], float], backoff: FullJitter | None = None) -> None:
        self._now_s = now_s
        self._backoff = backoff or FullJitter(BASE_S, CAP_S)
        self._waiting: list[One] = []
        self._until_s = now_s()
        self._refused: dict[object, tuple[int, int]] = {}
        """Key of a message -> (how often while others were taken, how many had been taken then)."""

    def count(self, kind: type) -> int:
        """How many of a kind are held; safe from any thread."""
        return sum(isinstance(one, kind) for one in list(self._waiting))

    @property
    def rests(self) -> bool:
        """Whether nothing at all is to be sent now."""
        return self._now_s() < self._until_s

    def add(self, key: object, one: One, taken: int) -> bool:
        """Hold a message; False: it has been refused for good. `taken` counts what the broker took so far."""
        times, before = self._refused.get(key, (0, -1))
        times += taken > before
        if times >= MOST_ATTEMPTS:
            del self._refused[key]
            return False
        self._refused[key] = (times, taken)
        self._waiting.append(one)
        if not self.rests:
            self._until_s = self._now_s() + self._backoff.next_s()
        return True

    def take(self, most: int) -> list[One]:
        """Up to `most` that are held, to be tried again; none while it rests."""
        if self.rests:
            return []
        taken, self._waiting = self._waiting[:most], self._waiting[most:]
        return taken

    def forget(self, key: object) -> None:
        """A message was taken, so the next pause is a short one."""
        self._refused.pop(key, None)
        self._backoff.reset()

    def clear(self) -> list[One]:
        """A new connection: what was held."""
        waiting, self._waiting = self._waiting, []
        return waiting

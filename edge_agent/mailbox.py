"""A bounded queue between two threads: the newest is worth more than the oldest, so the oldest is dropped."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """Any thread puts, any thread takes; `dropped` counts what did not fit."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"a mailbox holds at least one item, not {limit}")
        self.dropped = 0
        self._limit = limit
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()

    def put(self, item: Item) -> Item | None:
        """Append; returns the oldest item when it had to make room."""
        with self._changed:
            oldest = None
            if len(self._items) >= self._limit:
                oldest = self._items.popleft()
                self.dropped += 1
            self._items.append(item)
            self._changed.notify()
            return oldest

    def offer(self, item: Item) -> bool:
        """Append only where there is room; False where there is none."""
        with self._changed:
            if len(self._items) >= self._limit:
                return False
            self._items.append(item)
            self._changed.notify()
            return True

    def take(self, timeout_s: float) -> Item | None:
        """The oldest item, waiting at most `timeout_s` for one."""
        with self._changed:
            if not self._items:
                self._changed.wait(timeout_s)
            return self._items.popleft() if self._items else None

    def take_all(self) -> list[Item]:
        """Everything that is there now, oldest first."""
        with self._changed:
            items = list(self._items)
            self._items.clear()
            return items

    def wake(self) -> None:
        """End a `take` that waits."""
        with self._changed:
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._items)

"""What waits to be told to a host: on disk in an outbox of its own, or in memory where there is none.

Sparkplug publishes data with QoS 0, which nobody acknowledges. What was sent is therefore kept until the
broker has answered something that we sent after it on the same connection (node.py).
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.delivery import stamp
from edge_agent.delivery.message import Message
from edge_agent.delivery.outbox import Entry, Outbox
from edge_agent.delivery.sparkplug.picture import NODE
from edge_agent.delivery.sparkplug.readings import STORE
from edge_agent.delivery.sparkplug.values import DataType, Reading
from edge_agent.errors import DeliveryError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message as it was published, and whether it waited for a session (`historical`)."""

    message: Message
    body: Mapping[str, Any]
    historical: bool
    entry: Entry | None = None


class Kept:
    """`put` from any thread, the rest for the thread of the connection. `limit` bounds what is in memory."""

    def __init__(self, outbox: Outbox | None, limit: int) -> None:
        self.outbox = outbox
        self.dropped = 0
        """Messages lost because too many waited in memory."""
        self.unstored = 0
        """Messages that the disk could not take and that wait in memory only."""
        self.storage = ""
        """Why the disk took none lately; empty while it does."""
        self._lock = threading.Lock()
        self._limit = limit
        self._memory: deque[Message] = deque()
        self._old = 0

    def open(self) -> None:
        """Open the file; where that fails it is reported, and messages wait in memory."""
        if self.outbox is None:
            return
        try:
            self.outbox.open()
        except DeliveryError as error:
            _log.error("%s; what is for Sparkplug waits in memory only (%s)", error, error.hint)
            self.storage = str(error)
            self.outbox = None

    def close(self) -> None:
        """Free the file: what waits there is told in the next session."""
        if self.outbox is not None:
            self.outbox.close()

    def put(self, message: Message) -> None:
        """Keep a message until it was told; waits for the disk at most."""
        if self.outbox is not None:
            try:
                self.outbox.accept(message)
            except DeliveryError as error:
                self.storage = str(error)
                self.unstored += 1
            else:
                self.storage = ""
                return
        with self._lock:
            if len(self._memory) >= self._limit:
                self._memory.popleft()
                self._old = max(0, self._old - 1)
                self.dropped += 1
            self._memory.append(message)

    @property
    def queued(self) -> int:
        """Messages that wait, those on their way included."""
        on_disk = 0 if self.outbox is None else self.outbox.queued
        return on_disk + len(self._memory)

    def readings(self, at_ms: int) -> list[Reading]:
        """What waits and what became of the rest; null where there are no books."""
        counts: list[int | None] = [self.queued, self.dropped, None, None, None]
        if self.outbox is not None:
            total = self.outbox.ledger().total
            counts[2:] = [total.delivered, total.expired, total.evicted]
        return [
            Reading(NODE, name, DataType.INT64, count, at_ms)
            for name, count in zip(STORE, counts, strict=True)
        ]

    def begin(self) -> None:
        """A birth: all that waits now is of the past, also what was sent and not confirmed."""
        if self.outbox is not None:
            self.outbox.begin()
        with self._lock:
            self._old = len(self._memory)

    def take(self, most: int) -> list[Waiting]:
        """Up to `most` messages to tell, what is on disk first, there the newest first."""
        entries = [] if self.outbox is None else self.outbox.take(most)
        found = [_waiting(entry.message, entry) for entry in entries]
        with self._lock:
            while self._memory and len(found) < most:
                found.append(_waiting(self._memory.popleft(), None, historical=self._old > 0))
                self._old = max(0, self._old - 1)
        return found

    def give_back(self, told: Sequence[Waiting]) -> None:
        """The connection was lost before these were confirmed; on disk they still are."""
        with self._lock:
            for one in reversed(told):
                if one.entry is None and len(self._memory) < self._limit:
                    self._memory.appendleft(one.message)
                else:
                    self.dropped += one.entry is None

    def confirm(self, told: Sequence[Waiting]) -> None:
        """The broker has these."""
        if self.outbox is not None:
            self.outbox.acknowledge([one.entry for one in told if one.entry is not None])


def _waiting(message: Message, entry: Entry | None, *, historical: bool = False) -> Waiting:
    body: Mapping[str, Any] = json.loads(message.payload)
    if entry is not None:
        historical = bool(body.get(stamp.KEY, {}).get("historical"))
    return Waiting(message, body, historical, entry)

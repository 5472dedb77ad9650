"""A message on its way out, a message that came in, and the bounded queue of those that wait."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum


class Kind(IntEnum):
    """What a message is worth: where room or time is short, the lower goes first."""

    TELEMETRY = 0
    """Percepts and health: the next one says nearly the same."""
    ANSWER = 1
    """What somebody asked for, and the sentence to an event."""
    EVENT = 2
    """What happened, and the alarms among it: said once."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is published with QoS 1, mostly UTF-8 JSON. `correlation` and `expiry_s` count in MQTT 5 only.

    `source` names the stream that the message is the next of ("event", "percept/main"); empty: of none, so
    the outbox gives it no sequence number. `expiry_s`: how long the broker may keep it for who is away.
    """

    topic: str
    payload: bytes
    retain: bool = False
    correlation: bytes | None = None
    kind: Kind = Kind.TELEMETRY
    source: str = ""
    expiry_s: int | None = None


Publish = Callable[[Message], None]
"""Takes a message to be sent; never waits for the broker."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """What was received. `response_topic` and `correlation` are None in MQTT 3.1.1."""

    topic: str
    payload: bytes
    retain: bool = False
    response_topic: str | None = None
    correlation: bytes | None = None


class Backlog:
    """Messages waiting for the broker. Thread-safe, bounded; the oldest go first and are counted.

    A retained message is a state, not an event: only the newest of its topic is kept, it never counts
    against the limit, and it is said again on every new connection, since a broker may forget.
    """

    def __init__(self, limit: int) -> None:
        self.dropped = 0
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: deque[Message] = deque()
        self._retained: dict[str, Message] = {}
        self._unsaid: dict[str, None] = {}

    def put(self, message: Message) -> None:
        """Append, dropping the oldest message when full."""
        with self._lock:
            if message.retain:
                self._retained[message.topic] = message
                self._unsaid[message.topic] = None
                return
            if len(self._waiting) >= self._limit:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(message)

    def take(self) -> Message | None:
        """The next message, states before events; None when there is none."""
        with self._lock:
            if self._unsaid:
                topic = next(iter(self._unsaid))
                del self._unsaid[topic]
                return self._retained[topic]
            return self._waiting.popleft() if self._waiting else None

    def give_back(self, messages: list[Message]) -> None:
        """Return messages that were sent but never acknowledged, oldest first, to the front."""
        with self._lock:
            for message in reversed(messages):
                if message.retain:
                    self._unsaid[message.topic] = None
                elif len(self._waiting) >= self._limit:
                    self.dropped += 1
                else:
                    self._waiting.appendleft(message)

    def forget(self, message: Message) -> None:
        """Say a state no more, unless there is a newer one."""
        with self._lock:
            if self._retained.get(message.topic) is message:
                del self._retained[message.topic]
                self._unsaid.pop(message.topic, None)

    def repeat_states(self) -> None:
        """Say every retained message again."""
        with self._lock:
            self._unsaid = dict.fromkeys(self._retained)

    def __len__(self) -> int:
        with self._lock:
            return len(self._waiting) + len(self._unsaid)

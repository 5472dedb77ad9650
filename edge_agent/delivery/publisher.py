"""Keeps the agent in touch with its broker: birth and last will, the queue while it is away, commands.

`run` is the whole life of the connection, in the thread its owner gives it. A broker that is down at the
start, refuses us or goes away is reported in `status` and tried again; it never stops the agent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_agent.config import Mqtt
from edge_agent.delivery.backoff import FullJitter
from edge_agent.delivery.message import Backlog, Incoming, Message
from edge_agent.delivery.mqtt import Connection
from edge_agent.errors import EdgeAgentError

MAX_UNACKNOWLEDGED = 20
_STEP_S = 0.5
_FAREWELL_S = 0.7
"""What the last messages may take: the agent has two seconds to end."""
_BACKOFF_BASE_S = 0.5
_BACKOFF_CAP_S = 10.0


@dataclass(slots=True)
class DeliveryStatus:
    """Counters, written by the publisher's thread alone and read by the health report."""

    connected: bool = False
    reason: str = "not connected yet"
    hint: str = ""
    connects: int = 0
    acknowledged: int = 0
    refused: int = 0
    steps: int = 0


class Publisher:
    """`publish` from any thread, `run` in one. `on_command` is called in the thread of `run`."""

    def __init__(
        self,
        settings: Mqtt,
        *,
        client_id: str,
        birth: Message,
        will: Message,
        command_topics: Sequence[str] = (),
        on_command: Callable[[Incoming], None] = lambda _: None,
        backoff: FullJitter | None = None,
    ) -> None:
        self.status = DeliveryStatus()
        self._settings = settings
        self._client_id = client_id
        self._will = will
        self._command_topics = tuple(command_topics)
        self._on_command = on_command
        self._backoff = backoff or FullJitter(_BACKOFF_BASE_S, _BACKOFF_CAP_S)
        self._backlog = Backlog(settings.queue_limit)
        self._backlog.put(birth)
        self._connection: Connection | None = None

    @property
    def queued(self) -> int:
        """Messages that wait for the broker."""
        return len(self._backlog)

    @property
    def dropped(self) -> int:
        """Messages lost because too many waited."""
        return self._backlog.dropped

    def publish(self, message: Message) -> None:
        """Queue a message; never blocks, drops the oldest one when the queue is full."""
        self._backlog.put(message)
        self.wake()

    def wake(self) -> None:
        """End the wait of `run` at once; to be called after `stop` was set."""
        if (connection := self._connection) is not None:
            connection.wake()

    def run(self, stop: threading.Event) -> None:
        """Connect, deliver, reconnect, until `stop`; then say goodbye. Raises nothing."""
        while not stop.is_set():
            try:
                self._live(stop)
            except EdgeAgentError as error:
                self._lost(error)
                stop.wait(self._backoff.next_s())

    def _lost(self, error: EdgeAgentError) -> None:
        self.status.steps += 1
        self.status.connected = False
        self.status.reason = str(error)
        self.status.hint = error.hint

    def _live(self, stop: threading.Event) -> None:
        """One connection from its first to its last byte. Raises DeliveryError when it is lost."""
        connection = Connection(self._settings, client_id=self._client_id, will=self._will)
        flying: dict[int, Message] = {}
        try:
            connection.open()
            connection.await_consent(stop.is_set)
            if not stop.is_set():
                self._welcome(connection)
            while not stop.is_set():
                self._exchange(connection, flying, _STEP_S)
            self._farewell(connection, flying)
        finally:
            self._connection = None
            self.status.connected = False
            self._backlog.give_back(list(flying.values()))
            connection.close()

    def _welcome(self, connection: Connection) -> None:
        """A new connection: states first (birth is one), then the commands we take."""
        self._connection = connection
        self._backoff.reset()
        self._backlog.repeat_states()
        for topic in self._command_topics:
            connection.subscribe(topic)
        self.status.connected = True
        self.status.reason = ""
        self.status.hint = ""
        self.status.connects += 1

    def _exchange(self, connection: Connection, flying: dict[int, Message], timeout_s: float) -> None:
        """Send what may be sent, wait, and take in what came."""
        self.status.steps += 1
        while len(flying) < MAX_UNACKNOWLEDGED and (message := self._backlog.take()) is not None:
            flying[connection.send(message)] = message
        connection.step(timeout_s)
        while connection.acknowledged:
            if flying.pop(connection.acknowledged.popleft(), None) is not None:
                self.status.acknowledged += 1
        while connection.refused:
            identity, why = connection.refused.popleft()
            if (message := flying.pop(identity, None)) is not None:
                self.status.refused += 1
                self.status.reason = f"the broker refused a message on {message.topic}: {why}"
                self.status.hint = "check the broker's access rules for mqtt.username"
        while connection.received:
            self._on_command(connection.received.popleft())

    def _farewell(self, connection: Connection, flying: dict[int, Message]) -> None:
        """Deliver what is queued and the offline state, as far as the time goes."""
        if not connection.connected:
            return
        self._backlog.put(self._will)
        deadline_s = time.monotonic() + _FAREWELL_S
        while (self.queued or flying) and time.monotonic() < deadline_s:
            self._exchange(connection, flying, 0.1)

"""Keeps the agent in touch with its broker: birth and last will, the queue while it is away, commands.

`run` is the whole life of the connection, in the thread its owner gives it. A broker that is down at the
start, refuses us or goes away is reported in `status` and tried again; it never stops the agent.

States are kept in memory, since only the newest counts. All else is kept in the outbox until its own PUBACK;
without an outbox, or while its disk takes nothing, in memory too.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from edge_agent.config import Mqtt
from edge_agent.delivery.backoff import FullJitter
from edge_agent.delivery.delivery import DeliveryStatus
from edge_agent.delivery.held import Held
from edge_agent.delivery.message import Backlog, Incoming, Message
from edge_agent.delivery.mqtt import Connection
from edge_agent.delivery.outbox import Entry, Outbox
from edge_agent.errors import DeliveryError, EdgeAgentError

MAX_UNACKNOWLEDGED = 20
"""In flight at most, less where the broker takes less at once: so many may arrive twice after a crash."""
_STEP_S = 0.5
_FAREWELL_S = 0.7
"""What the last messages may take: the agent has two seconds to end."""
_BACKOFF_BASE_S = 0.5
_BACKOFF_CAP_S = 10.0
Flying = dict[int, Message | Entry]
"""Packet id -> what was sent under it and is not acknowledged yet."""
_ACCESS = "check the broker's access rules for mqtt.username"
_QUOTA = "raise the broker's quota, or make room there"
_TOO_LARGE = "raise the broker's largest packet (mosquitto: max_packet_size)"
_log = logging.getLogger(__name__)


class Publisher:
    """`publish` from any thread, `run` in one. `on_command` is called in the thread of `run`."""

    def __init__(
        self,
        settings: Mqtt,
        *,
        client_id: str,
        birth: Message | None = None,
        will: Message | None = None,
        command_topics: Sequence[str] = (),
        on_command: Callable[[Incoming], None] = lambda _: None,
        backoff: FullJitter | None = None,
        outbox: Outbox | None = None,
        quota_backoff: FullJitter | None = None,
        beside: Callable[[Message], None] = lambda _: None,
    ) -> None:
        """`beside` is given every message that is published, before it is queued."""
        self.status = DeliveryStatus()
        self._settings = settings
        self._client_id = client_id
        self._will = will
        self._command_topics = tuple(command_topics)
        self._on_command = on_command
        self._backoff = backoff or FullJitter(_BACKOFF_BASE_S, _BACKOFF_CAP_S)
        self._backlog = Backlog(settings.queue_limit)
        if birth is not None:
            self._backlog.put(birth)
        self._outbox = outbox
        self._beside = beside
        self._connection: Connection | None = None
        self._held: Held[Message | Entry] = Held(time.monotonic, quota_backoff)

    @property
    def queued(self) -> int:
        """Messages that wait for the broker; those on their way count where they are in the outbox."""
        held = self._held.count(Message)
        return len(self._backlog) + held + (0 if self._outbox is None else self._outbox.queued)

    @property
    def outbox(self) -> Outbox | None:
        """Where messages wait on disk; None: in memory."""
        return self._outbox

    @property
    def dropped(self) -> int:
        """Messages lost because too many waited."""
        return self._backlog.dropped

    def publish(self, message: Message) -> None:
        """Queue a message; waits for the disk at most, drops the oldest one when the queue is full."""
        self._beside(message)
        if message.retain or self._outbox is None:
            self._backlog.put(message)
        else:
            self._store(message, self._outbox)
        self.wake()

    def _store(self, message: Message, outbox: Outbox) -> None:
        try:
            outbox.accept(message)
            self.status.storage = ""
        except DeliveryError as error:
            self.status.storage = str(error)
            self.status.unstored += 1
            self._backlog.put(message)

    def open(self) -> None:
        """Open the outbox; where that fails it is reported, and messages wait in memory."""
        if self._outbox is None:
            return
        try:
            self._outbox.open()
        except DeliveryError as error:
            _log.error("%s; messages wait in memory only (%s)", error, error.hint)
            self.status.storage = str(error)
            self._outbox = None

    def close(self) -> None:
        """Close the outbox: what waits there is sent at the next start."""
        if self._outbox is not None:
            self._outbox.close()

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
        connection = Connection(self._settings, client_id=self._client_id, will=self._will, keep_session=True)
        flying: Flying = {}
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
            connection.close()
            self._settle(connection, flying)  # what was acknowledged before it broke is not sent again
            if connection.too_large:
                self._drop_largest(flying)
            unsaid = [*self._held.clear(), *flying.values()]
            self._backlog.give_back([one for one in unsaid if isinstance(one, Message)])

    def _welcome(self, connection: Connection) -> None:
        """A new connection: states first (birth is one), then the commands we take."""
        self._connection = connection
        self._backoff.reset()
        self._backlog.repeat_states()
        if self._outbox is not None:
            self._outbox.begin()
        for topic in self._command_topics:
            connection.subscribe(topic)
        self.status.connected = True
        self.status.reason = ""
        self.status.hint = ""
        self.status.connects += 1

    def _exchange(self, connection: Connection, flying: Flying, timeout_s: float) -> None:
        """Send what may be sent, wait, and take in what came."""
        self.status.steps += 1
        self._fill(connection, flying)
        before = len(connection.acknowledged)
        connection.step(timeout_s)
        # Half of what is in flight goes into one commit, while the other half is on its way.
        if len(connection.acknowledged) == before or 2 * len(connection.acknowledged) >= len(flying):
            self._settle(connection, flying)
        while connection.received:
            self._on_command(connection.received.popleft())

    def _fill(self, connection: Connection, flying: Flying) -> None:
        if self._held.rests:
            return
        window = min(MAX_UNACKNOWLEDGED, connection.receive_maximum)
        for one in self._held.take(window - len(flying)):
            if not isinstance(one, Entry) or (self._outbox is not None and self._outbox.retake(one)):
                self._send(connection, flying, one)
        while len(flying) < window and (message := self._backlog.take()) is not None:
            self._send(connection, flying, message)
        entries = [] if self._outbox is None else self._outbox.take(window - len(flying))
        if entries:
            with connection.together():
                for entry in entries:
                    self._send(connection, flying, entry)

    def _send(self, connection: Connection, flying: Flying, one: Message | Entry) -> None:
        message = _message(one)
        if connection.fits(message):
            flying[connection.send(message)] = one
        else:
            self._refuse(one, f"it takes no more than {connection.maximum_bytes} bytes at once", _TOO_LARGE)

    def _settle(self, connection: Connection, flying: Flying) -> None:
        """Note what the broker has, what it will never take, and what it does not take now."""
        delivered = []
        while connection.acknowledged:
            if (one := flying.pop(connection.acknowledged.popleft(), None)) is not None:
                self.status.acknowledged += 1
                self._held.forget(_key(one))
                delivered.append(one)
        if self._outbox is not None:
            self._outbox.acknowledge([one for one in delivered if isinstance(one, Entry)])
        while connection.refused:
            identity, why = connection.refused.popleft()
            if (one := flying.pop(identity, None)) is not None:
                self._refuse(one, why, _ACCESS)
        while connection.deferred:
            identity, why = connection.deferred.popleft()
            if (one := flying.pop(identity, None)) is not None:
                self._defer(one, why)

    def _defer(self, one: Message | Entry, why: str) -> None:
        self.status.deferred += 1
        if not self._held.add(_key(one), one, self.status.acknowledged):
            self._refuse(one, f"{why}, again and again while it takes others", _QUOTA)
            return
        self.status.reason = f"the broker takes no more now: {why}; trying again later"
        self.status.hint = _QUOTA
        if isinstance(one, Entry) and self._outbox is not None:
            self._outbox.release(one)  # while it waits it may expire, or make room

    def _refuse(self, one: Message | Entry, why: str, hint: str) -> None:
        self.status.refused += 1
        self.status.reason = f"the broker refused a message on {_message(one).topic}: {why}"
        self.status.hint = hint
        _log.warning("%s (%s)", self.status.reason, hint)
        if isinstance(one, Entry) and self._outbox is not None:
            self._outbox.refuse(one)

    def _drop_largest(self, flying: Flying) -> None:
        """The broker ended the connection for a packet that was too large: else it would do so for ever."""
        if flying:
            largest = max(flying, key=lambda identity: len(_message(flying[identity]).payload))
            one = flying.pop(largest)
            self._refuse(one, "it is too large", _TOO_LARGE)
            if isinstance(one, Message):
                self._backlog.forget(one)

    def _farewell(self, connection: Connection, flying: Flying) -> None:
        """Deliver what is queued and the offline state, as far as the time goes."""
        if not connection.connected:
            return
        if self._will is not None:
            self._backlog.put(self._will)
        deadline_s = time.monotonic() + _FAREWELL_S
        while (self.queued or flying) and time.monotonic() < deadline_s:
            self._exchange(connection, flying, 0.1)

    def drain(self, timeout_s: float) -> None:
        """Deliver all that waits on one connection, in the caller's thread, for `timeout_s` at most.

        Raises DeliveryError when the broker is away, refuses us or is lost.
        """
        deadline_s = time.monotonic() + timeout_s
        connection = Connection(self._settings, client_id=self._client_id)
        flying: Flying = {}
        try:
            connection.open()
            connection.await_consent(lambda: time.monotonic() > deadline_s)
            self._welcome(connection)
            while (self.queued or flying) and time.monotonic() < deadline_s:
                self._exchange(connection, flying, _STEP_S)
        finally:
            self._connection = None
            connection.close()
            self._settle(connection, flying)


def _message(one: Message | Entry) -> Message:
    return one.message if isinstance(one, Entry) else one


def _key(one: Message | Entry) -> object:
    """What a message is known by when it is tried again; a state by its topic."""
    return one.id if isinstance(one, Entry) else one.topic

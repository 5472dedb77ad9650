"""The edge node at work: one connection at a time, on which it is born, tells, and dies.

`run` is its whole life, in the thread its owner gives it. It is fed the messages of docs/mqtt.md, so both say
the same. What is said while there is no session waits (kept.py) and is told as history in the next one.

Source: Sparkplug 3.0.0, chapter 5; the names of its assertions stand where they are kept.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_agent.config import Mqtt
from edge_agent.config_sparkplug import Sparkplug
from edge_agent.delivery.backoff import FullJitter
from edge_agent.delivery.commands import TokenBucket
from edge_agent.delivery.delivery import DeliveryStatus
from edge_agent.delivery.message import Incoming, Message
from edge_agent.delivery.mqtt import Connection
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.sparkplug.birth_number import BirthNumbers
from edge_agent.delivery.sparkplug.host import PrimaryHost
from edge_agent.delivery.sparkplug.kept import Kept, Waiting
from edge_agent.delivery.sparkplug.orders import Orders
from edge_agent.delivery.sparkplug.picture import Picture
from edge_agent.delivery.sparkplug.readings import KINDS, Outline, declared, readings_of
from edge_agent.delivery.sparkplug.receipts import Receipts
from edge_agent.delivery.sparkplug.servers import Servers
from edge_agent.delivery.sparkplug.session import Aliases, Place, Session
from edge_agent.delivery.sparkplug.values import Reading
from edge_agent.delivery.topics import Topics
from edge_agent.errors import DeliveryError, EdgeAgentError
from edge_agent.types import Clock

_STEP_S = 0.5
_FAREWELL_S = 0.7
_BACKOFF_BASE_S = 0.5
_BACKOFF_CAP_S = 10.0
_AT_ONCE = 50
"""Messages of which the metrics travel together; more would be packets that some brokers do not take."""
_REBIRTHS = 5
_REBIRTH_HZ = 1.0
_NS_PER_MS = 1_000_000
_log = logging.getLogger(__name__)


class EdgeNode:
    """`publish` from any thread, `run` in one. Where it goes first is the first of `settings.servers`."""

    def __init__(
        self,
        settings: Sparkplug,
        mqtt: Mqtt,
        *,
        topics: Topics,
        outline: Outline,
        state_directory: Path,
        clock: Clock,
        outbox: Outbox | None,
        backoff: FullJitter | None = None,
    ) -> None:
        self.status = DeliveryStatus()
        self._settings = settings
        self._topics = topics
        self._outline = outline
        self._clock = clock
        self._place = Place(settings.group_id, settings.edge_node_id or topics.node)
        self._client_id = f"edge-agent-{topics.node}-sparkplug"
        self._servers = Servers(settings, mqtt)
        self._host = PrimaryHost(settings.primary_host_id)
        self._numbers = BirthNumbers(state_directory)
        self._aliases = Aliases()
        self._orders = Orders(self._place, self._aliases)
        self._kept = Kept(outbox, mqtt.queue_limit)
        self._picture = Picture(declared(outline, self._now_ms()), absent=outline.sensors)
        self._backoff = backoff or FullJitter(_BACKOFF_BASE_S, _BACKOFF_CAP_S)
        self._bucket = TokenBucket(clock.monotonic_ns, burst=_REBIRTHS, rate_hz=_REBIRTH_HZ)
        self._connection: Connection | None = None
        self._rebirth_asked = False
        self._receipts = Receipts()
        self._picture.take_in(self._orders.readings(self._now_ms()))

    # -- for its owner -----------------------------------------------------------------------------------

    @property
    def queued(self) -> int:
        """Messages that wait for a host."""
        return self._kept.queued

    @property
    def outbox(self) -> Outbox | None:
        """Where messages wait on disk; None: in memory."""
        return self._kept.outbox

    @property
    def dropped(self) -> int:
        """Messages lost because too many waited."""
        return self._kept.dropped

    def publish(self, message: Message) -> None:
        """Take in a message of docs/mqtt.md; what is no metric is passed over."""
        kind = self._topics.kind_of(message.topic)
        if kind not in KINDS:
            return
        body = json.loads(message.payload)
        if not (readings := self._readings(kind, body)):
            return
        if not message.retain:
            self._kept.put(message)
        self._picture.take_in(readings)
        if kind == "sensor":
            self._picture.seen(body["sensor"], there=body["state"] != "offline")
        elif kind == "health":
            self._picture.take_in(self._kept.readings(self._now_ms()))
        self.status.storage, self.status.unstored = self._kept.storage, self._kept.unstored
        self.wake()

    def open(self) -> None:
        """Open what waits on disk; where that fails it is reported, and messages wait in memory."""
        self._kept.open()

    def close(self) -> None:
        """Free the file: what waits there is told in the next session."""
        self._numbers.keep()
        self._kept.close()

    def wake(self) -> None:
        """End the wait of `run` at once; to be called after `stop` was set."""
        if (connection := self._connection) is not None:
            connection.wake()

    def run(self, stop: threading.Event) -> None:
        """Be born, tell, reconnect, until `stop`; then die in order. Raises nothing."""
        while not stop.is_set():
            try:
                told = self._live(stop)
            except EdgeAgentError as error:
                self._waits_for(str(error), error.hint)
                told = False
            self.status.steps += 1
            self.status.connected = False
            self._servers.walk()
            if not told:
                stop.wait(self._backoff.next_s())

    # -- one session -------------------------------------------------------------------------------------

    def _live(self, stop: threading.Event) -> bool:
        """One connection from its first to its last byte; whether it was a session, with births.

        Raises DeliveryError when it is lost.
        """
        server = self._servers.here
        session = Session(self._place, self._numbers.take(), self._aliases)
        connection = Connection(server, client_id=self._client_id, will=session.death(self._now_ms()))
        self._receipts = Receipts()
        wait_until_s = time.monotonic() + self._settings.host_wait_s
        try:
            try:
                connection.open()
            except DeliveryError:
                self._numbers.give_back()  # there was no CONNECT packet
                raise
            connection.await_consent(stop.is_set)
            if not stop.is_set():
                self._welcome(connection)
            while not stop.is_set() and not self._leaves(session, wait_until_s):
                self._exchange(connection, session, wait_until_s)
            self._farewell(connection, session)
        finally:
            self._connection = None
            self._kept.give_back(self._receipts.unconfirmed)
            connection.close(with_will=True)
        return session.born

    def _welcome(self, connection: Connection) -> None:
        """Before anything is published, subscribe to what we obey and to the host's state (5.4)."""
        self._connection = connection
        self._host.begin(self._servers.name)
        connection.subscribe(self._place.topic("NCMD"))
        if self._settings.device_commands == "refuse":
            connection.subscribe(self._place.device_commands)
        if self._host.topic is not None:
            connection.subscribe(self._host.topic)
        self.status.connected = True
        self.status.connects += 1
        waits = f"waits for the primary host {self._settings.primary_host_id}"
        self._waits_for("" if self._host.online else waits)

    def _waits_for(self, reason: str, hint: str = "") -> None:
        """Report why nothing is told; "" where something is. The log hears of it once."""
        if reason != self.status.reason:
            _log.info("sparkplug: %s", reason or f"born at {self._servers.name}")
        self.status.reason, self.status.hint = reason, hint

    def _leaves(self, session: Session, wait_until_s: float) -> bool:
        """Whether to go to the next server: the host left this one, or is not here (5.5, 5.13)."""
        if self._host.online:
            return False
        if session.born:
            return True
        return self._servers.several and (self._host.offline or time.monotonic() > wait_until_s)

    def _exchange(self, connection: Connection, session: Session, wait_until_s: float) -> None:
        """Tell what there is to tell, wait, and take in what came."""
        self.status.steps += 1
        if self._host.online:
            if self._rebirth_asked and self._bucket.take():
                self._rebirth_asked, session.wants_birth = False, True
            if session.wants_birth:
                self._give_birth(connection, session)
            self._tell(connection, session)
        connection.step(_STEP_S)
        self._take_receipts(connection)
        while connection.received and not self._leaves(session, wait_until_s):
            self._hear(connection.received.popleft())

    def _give_birth(self, connection: Connection, session: Session) -> None:
        if not session.born:
            # From here on what is published is live; all before it is history.
            self._kept.begin()
            self._backoff.reset()
        self._waits_for("")
        with connection.together():
            self._send(connection, session.births(self._picture.now(), self._now_ms()))

    def _tell(self, connection: Connection, session: Session) -> None:
        """What waits, as far as there is room, and then whatever else is not as it was told."""
        while waiting := self._kept.take(min(self._receipts.room, _AT_ONCE)):
            with connection.together():
                self._send(connection, self._messages(session, waiting))
            self._receipts.sent += waiting
        self._send(connection, session.follow(self._picture.now(), self._now_ms()))
        self._receipts.ask(lambda: connection.subscribe(self._place.topic("NCMD")))

    def _messages(self, session: Session, waiting: Sequence[Waiting]) -> list[Message]:
        now_ms, old = self._now_ms(), list[Reading]()
        messages: list[Message] = []
        for one in waiting:
            readings = self._readings(self._topics.kind_of(one.message.topic), one.body)
            if one.historical:
                old += readings
                continue
            for device in dict.fromkeys(reading.device for reading in readings):
                mine = [reading for reading in readings if reading.device == device]
                messages += session.tell(device, mine, now_ms)
        return messages + session.recall(old, now_ms)

    @staticmethod
    def _send(connection: Connection, messages: Sequence[Message]) -> None:
        for message in messages:
            connection.send(message, qos=0)

    def _take_receipts(self, connection: Connection) -> None:
        connection.acknowledged.clear()  # of QoS 0 it only says that it left
        while connection.subscribed:
            told = self._receipts.come(connection.subscribed.popleft())
            self._kept.confirm(told)
            self.status.acknowledged += len(told)

    def _hear(self, incoming: Incoming) -> None:
        if incoming.topic == self._host.topic:
            self._host.hear(incoming)
        else:
            self._rebirth_asked = self._orders.judge(incoming) or self._rebirth_asked
            self.status.refused = self._orders.refused
            self._picture.take_in(self._orders.readings(self._now_ms()))

    def _farewell(self, connection: Connection, session: Session) -> None:
        """The last data, then the NDEATH before the DISCONNECT (tck-id-...-intentional-disconnect-ndeath)."""
        if not connection.connected:
            return
        if session.born and self._host.online:
            self._tell(connection, session)
        death = connection.send(session.death(self._now_ms()))
        deadline_s = time.monotonic() + _FAREWELL_S
        while time.monotonic() < deadline_s:
            connection.step(0.1)
            if death in connection.acknowledged:
                self._kept.confirm(self._receipts.all_come())
                return

    # -- what is told ------------------------------------------------------------------------------------

    def _readings(self, kind: str, body: Mapping[str, Any]) -> list[Reading]:
        """What a message says to the agent that we are now; one that waited may be of another model's."""
        try:
            return readings_of(kind, body, self._outline)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            _log.warning("a %s cannot be told to a host: %r", kind, error)
            return []

    def _now_ms(self) -> int:
        return self._clock.wall_ns() // _NS_PER_MS

"""One MQTT connection, driven by the thread that owns it. The only module that knows paho.

There is no hidden thread: `step` waits for the socket or for `wake`, then reads, writes and keeps the
connection alive. Everything but `wake` is for the owner's thread alone.

Source: OASIS MQTT 5.0 and 3.1.1; section numbers are of MQTT 5.0.
"""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, Literal

from paho.mqtt import MQTTException
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.config import Mqtt
from edge_agent.delivery import faults
from edge_agent.delivery.message import Incoming, Message
from edge_agent.delivery.tls import tls_context
from edge_agent.delivery.wire import Waiter, corked
from edge_agent.errors import DeliveryError

MAX_PACKET_BYTES = 256 * 1024
"""What we let the broker send us in one packet (3.1.2.11.4)."""
_CONNECT_TIMEOUT_S = 1.5
"""Under the two seconds in which the agent must be able to end."""
_CONNACK_TIMEOUT_S = 10.0
_MISC_S = 1.0
_RECEIVE_MAXIMUM = 65_535
"""Where the broker names none."""
_NO_LIMIT_BYTES = 268_435_460
"""The largest packet that there can be: four bytes of length, and one before them (2.1.4)."""
_PACKET_TOO_LARGE, _QUOTA_EXCEEDED = 0x95, 0x97
"""Reason codes (2.4)."""
_HEAD_BYTES = 128
"""More than all of a PUBLISH but its topic, payload and correlation takes."""
_NOT_MQTT = (MQTTException, ValueError, IndexError, KeyError, TypeError, struct.error)
"""What paho lets through when it reads a packet that no broker should send."""
_VERSIONS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


class Connection:
    """A connection to the broker of `settings`. Its owner empties the four queues.

    `refused` holds (id, why) of messages that an MQTT 5 broker would not take, `deferred` of those that it
    may take later; 3.1.1 cannot say so.
    """

    def __init__(
        self, settings: Mqtt, *, client_id: str, will: Message | None = None, keep_session: bool = False
    ) -> None:
        """With `keep_session` the broker keeps what is subscribed, and what comes meanwhile (3.1.2.11.2)."""
        self.received: deque[Incoming] = deque()
        self.acknowledged: deque[int] = deque()
        self.refused: deque[tuple[int, str]] = deque()
        self.deferred: deque[tuple[int, str]] = deque()
        self.subscribed: deque[int] = deque()
        self.connected = False
        self.receive_maximum = _RECEIVE_MAXIMUM
        """How many messages the broker takes before it acknowledged the first (3.2.2.3.3)."""
        self.maximum_bytes = _NO_LIMIT_BYTES
        """The largest packet that the broker takes, as far as it says (3.2.2.3.6)."""
        self.too_large = False
        """Whether the broker ended the connection because a packet was too large (3.14.2.1)."""
        self.session_present = False
        """Whether the broker had kept the session (3.2.2.1.1)."""
        self._settings = settings
        self._place = f"{settings.host}:{settings.port}"
        self._keeps = keep_session and settings.session_expiry_s > 0
        self._failure: DeliveryError | None = None
        self._v5 = settings.protocol == "5"
        self._said = ""
        """What the socket complained of last before the broker accepted us."""
        self._client = self._make_client(client_id, will)
        self._waiter = Waiter()

    def _make_client(self, client_id: str, will: Message | None) -> paho.Client:
        settings = self._settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=_VERSIONS[settings.protocol],
            clean_session=None if self._v5 else not self._keeps,
            transport=settings.transport,
        )
        if settings.transport == "websockets":
            client.ws_set_options(path=settings.websocket_path)
        client.connect_timeout = _CONNECT_TIMEOUT_S
        if settings.username is not None:
            client.username_pw_set(settings.username, settings.read_password())
        if settings.tls is not None:
            client.tls_set_context(tls_context(settings.tls))
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        client.on_log = self._on_log
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        return client

    def open(self) -> None:
        """Connect; the broker's consent comes later (`await_consent`). Raises DeliveryError."""
        settings, limits = self._settings, None
        clean_start: bool | Literal[3] = paho.MQTT_CLEAN_START_FIRST_ONLY  # says nothing in 3.1.1
        if self._v5:
            expiry_s = settings.session_expiry_s if self._keeps else 0
            limits = _properties(
                PacketTypes.CONNECT, MaximumPacketSize=MAX_PACKET_BYTES, SessionExpiryInterval=expiry_s
            )
            clean_start = not self._keeps
        try:
            self._client.connect(
                settings.host, settings.port, _ping_s(settings), clean_start=clean_start, properties=limits
            )
        except paho.WebsocketConnectionError as error:
            raise faults.no_web_socket(self._place, error) from error
        except (OSError, ValueError) as error:
            raise faults.unreachable(self._place, error) from error

    def await_consent(self, stopped: Callable[[], bool]) -> None:
        """Step until the broker accepted us or `stopped()` is true. Raises DeliveryError."""
        deadline_s = time.monotonic() + _CONNACK_TIMEOUT_S
        while not self.connected and not stopped():
            self.step(0.2)
            if time.monotonic() > deadline_s:
                raise DeliveryError(
                    f"{self._place} took the connection and said nothing",
                    hint="is that port an MQTT port, and does it expect TLS?",
                )

    def step(self, timeout_s: float) -> None:
        """Wait up to `timeout_s` for the socket or `wake`, then do what is due.

        Raises DeliveryError when the connection was refused or is lost.
        """
        wire = self._client.socket()
        if wire is None:
            raise self._failure or DeliveryError("the connection to the broker was lost")
        to_write = self._client.want_write()
        readable, writable = self._waiter.wait(wire, min(timeout_s, _MISC_S), to_write=to_write)
        try:
            if readable:
                self._client.loop_read()
            if writable:
                self._client.loop_write()
            alive = self._client.loop_misc() == MQTTErrorCode.MQTT_ERR_SUCCESS
        except _NOT_MQTT as error:
            raise DeliveryError(
                f"{self._place} sends what is not MQTT: {error}",
                hint="is mqtt.port the port of an MQTT broker?",
            ) from error
        if not alive and self._failure is None:
            self._failure = DeliveryError("the broker does not answer any more")
        if self._failure is not None:
            raise self._failure

    def wake(self) -> None:
        """End a `step` that waits; safe from any thread, also after `close`."""
        self._waiter.wake()

    def fits(self, message: Message) -> bool:
        """Whether the broker takes a packet as large as this message needs."""
        size_bytes = len(message.topic.encode()) + len(message.payload) + len(message.correlation or b"")
        return size_bytes + _HEAD_BYTES <= self.maximum_bytes

    def send(self, message: Message, qos: int = 1) -> int:
        """Publish; the returned id appears in `acknowledged` when the broker has it (QoS 0: when it left)."""
        properties = _publishing(message.correlation, message.expiry_s) if self._v5 else None
        info = self._client.publish(message.topic, message.payload, qos, message.retain, properties)
        return info.mid

    def together(self) -> AbstractContextManager[None]:
        """What is sent in this block goes out in as few pieces as TCP can make of it."""
        return corked(self._client.socket())

    def request(self, message: Message, response_topic: str) -> int:
        """As `send`, naming where the reply shall go (4.10; MQTT 5 only)."""
        properties = _properties(
            PacketTypes.PUBLISH, ResponseTopic=response_topic, CorrelationData=message.correlation or b""
        )
        if message.expiry_s is not None:
            properties.MessageExpiryInterval = message.expiry_s
        return self._client.publish(message.topic, message.payload, 1, message.retain, properties).mid

    def subscribe(self, topic: str) -> int:
        """Ask for a topic or filter with QoS 1; a refusal by the broker fails the next `step`.

        The returned id appears in `subscribed` when the broker has agreed.
        """
        return self._client.subscribe(topic, qos=1)[1] or 0

    def close(self, *, with_will: bool = False) -> None:
        """Say goodbye when still connected and free the sockets.

        The broker then forgets the will, unless it is asked to say it (`with_will`, 3.14.2.1; MQTT 5 only).
        """
        self._client.on_disconnect = None
        said = ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message")
        self._client.disconnect(said if with_will and self._v5 else None)
        self._client.loop_misc()
        wire = self._client.socket()
        if wire is not None:
            wire.close()
        self._waiter.close()

    def _on_connect(self, _client: Any, _data: Any, flags: Any, reason: ReasonCode, props: Any) -> None:
        if reason.is_failure:
            self._failure = faults.refused("the broker refused the connection", str(reason))
        else:
            self.receive_maximum = getattr(props, "ReceiveMaximum", _RECEIVE_MAXIMUM)
            self.maximum_bytes = getattr(props, "MaximumPacketSize", _NO_LIMIT_BYTES)
            self.session_present = bool(flags.session_present)
            self.connected = True
            self._client.on_log = None  # from now on it would only cost time

    def _on_log(self, _client: Any, _data: Any, level: int, text: str) -> None:
        # Why a broker hangs up after the TLS handshake is told nowhere else.
        if level == LogLevel.MQTT_LOG_ERR:
            self._said = text

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _props: Any) -> None:
        self.connected = False
        self.too_large = self.too_large or reason.value == _PACKET_TOO_LARGE
        if self._failure is None:
            self._failure = faults.lost(str(reason), self._said)

    def _on_publish(self, _client: Any, _data: Any, mid: int, reason: ReasonCode, _props: Any) -> None:
        if reason.value == _QUOTA_EXCEEDED:
            self.deferred.append((mid, str(reason)))
        elif reason.is_failure:
            self.refused.append((mid, str(reason)))
        else:
            self.acknowledged.append(mid)

    def _on_subscribe(self, _client: Any, _data: Any, mid: int, reasons: Any, _props: Any) -> None:
        self.subscribed.append(mid)
        for reason in reasons:
            if reason.is_failure:
                self._failure = faults.refused("the broker refused a subscription", str(reason))

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        properties = message.properties
        self.received.append(
            Incoming(
                topic=message.topic,
                payload=bytes(message.payload),
                retain=message.retain,
                response_topic=getattr(properties, "ResponseTopic", None),
                correlation=getattr(properties, "CorrelationData", None),
            )
        )


def _properties(packet: int, **values: object) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]  # paho leaves this one untyped
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


def _ping_s(settings: Mqtt) -> int:
    """Seconds of silence before a ping, and then before its answer counts as lost.

    Half of the keep-alive, so that a connection that swallows everything is noticed within all of it.
    """
    return max(1, (settings.keepalive_s - 1) // 2)


@lru_cache(maxsize=64)
def _publishing(correlation: bytes | None, expiry_s: int | None) -> Properties | None:
    given = {"CorrelationData": correlation, "MessageExpiryInterval": expiry_s}
    known = {name: value for name, value in given.items() if value is not None}
    return _Packed(_properties(PacketTypes.PUBLISH, **known)) if known else None


class _Packed(Properties):
    """Properties that many messages share, packed once: paho packs them for each, a tenth of what it does."""

    def __init__(self, properties: Properties) -> None:
        super().__init__(properties.packetType)  # type: ignore[no-untyped-call]
        object.__setattr__(self, "_bytes", properties.pack())  # type: ignore[no-untyped-call]

    def pack(self) -> bytes:
        """As on the wire."""
        packed: bytes = object.__getattribute__(self, "_bytes")
        return packed

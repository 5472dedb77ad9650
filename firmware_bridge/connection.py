"""The conversation without I/O, in the manner of h11: bytes in, events out, and the reverse.

link = Connection(Role.HOST)
port.write(link.send(Hello("edge-agent")))
link.receive_data(port.read())
while (event := link.next_event()) is not NEED_DATA: ...
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from firmware_bridge import wire
from firmware_bridge.errors import LocalProtocolError, RemoteProtocolError
from firmware_bridge.events import (
    PROTOCOL_VERSION,
    ClockReply,
    ClockRequest,
    Describe,
    Error,
    Event,
    Hello,
    Log,
    Samples,
    SensorDescriptor,
    Start,
    Stop,
)
from firmware_bridge.framing import DELIMITER, Counters, Framer, encode_frame


class Role(Enum):
    """Which side a `Connection` speaks for."""

    HOST = "host"
    DEVICE = "device"


class State(Enum):
    """How far the conversation is, as this side knows it."""

    GREETING = "greeting"
    """The device has not (again) said who it is."""
    READY = "ready"
    STREAMING = "streaming"
    ERROR = "error"
    """The peer broke the protocol; start a new Connection."""


class NeedData(Enum):
    """The type of NEED_DATA."""

    NEED_DATA = "need_data"


NEED_DATA: Final = NeedData.NEED_DATA

_H, _D = Role.HOST, Role.DEVICE
_READY: dict[tuple[Role, type[Event]], State] = {
    (_H, Hello): State.GREETING,
    (_D, Hello): State.READY,
    (_H, Describe): State.READY,
    (_D, SensorDescriptor): State.READY,
    (_H, ClockRequest): State.READY,
    (_D, ClockReply): State.READY,
    (_H, Start): State.STREAMING,
    (_H, Stop): State.READY,
    (_D, Error): State.READY,
    (_D, Log): State.READY,
}
TRANSITIONS: dict[State, dict[tuple[Role, type[Event]], State]] = {
    State.GREETING: {
        (_H, Hello): State.GREETING,
        (_D, Hello): State.READY,
        (_D, Error): State.GREETING,
        (_D, Log): State.GREETING,
    },
    State.READY: _READY,
    State.STREAMING: {
        **dict.fromkeys(_READY, State.STREAMING),
        (_H, Hello): State.GREETING,
        (_D, Hello): State.READY,
        (_H, Stop): State.READY,
        (_D, Samples): State.STREAMING,
    },
    State.ERROR: {},
}
"""state -> (who sends, what) -> next state. Both sides use this one table."""

SENDS: dict[Role, frozenset[type[Event]]] = {
    role: frozenset(kind for row in TRANSITIONS.values() for who, kind in row if who is role) for role in Role
}
"""What each role may ever send: an arrival outside it is an error, one out of time is only late."""


class Connection:
    """One side of one conversation. Not thread-safe: one owner."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.peer = _D if role is _H else _H
        self.state = State.GREETING
        self.counters = Counters()
        self.descriptors: dict[int, SensorDescriptor] = {}
        """The sensors described since the last hello, by id."""
        self._framer = Framer(self.counters)
        self._sequence_out = 0
        self._sequence_in: int | None = None

    def receive_data(self, data: bytes) -> None:
        """Take what the line gave, in any portions. Never raises for its content."""
        self._framer.receive_data(data)

    def next_event(self) -> Event | NeedData:
        """Return the next event, or NEED_DATA. Raises RemoteProtocolError, and then always."""
        if self.state is State.ERROR:
            raise RemoteProtocolError("the connection has failed before; start a new one")
        while (body := self._framer.next_body()) is not None:
            try:
                event = self._accept(body)
            except RemoteProtocolError:
                self.state = State.ERROR
                raise
            if event is not None:
                return event
        return NEED_DATA

    def send(self, event: Event) -> bytes:
        """Return the bytes to write for `event`.

        Raises LocalProtocolError, and changes nothing, where it is not allowed now or does not fit.
        """
        following = TRANSITIONS[self.state].get((self.role, type(event)))
        if following is None:
            raise LocalProtocolError(
                f"a {self.role.value} cannot send {type(event).__name__} while {self.state.value}"
            )
        self._check_sensor(event, LocalProtocolError)
        code, payload = wire.encode(event)
        frame = encode_frame(bytes((code, self._sequence_out)) + payload)
        self._sequence_out = (self._sequence_out + 1) & 0xFF
        self._remember(event, following)
        # A delimiter before a hello ends whatever noise the line holds, so that the hello is not lost.
        return DELIMITER + frame if isinstance(event, Hello) else frame

    def _accept(self, body: bytearray) -> Event | None:
        """Judge one intact body; None for what is counted and skipped."""
        if len(body) < 2:
            self.counters.unknown_frames += 1
            return None
        kind = wire.event_type(body[0])
        self._follow_sequence(body[1], kind)
        if kind is None:
            self.counters.unknown_frames += 1
            return None
        if kind not in SENDS[self.peer]:
            raise RemoteProtocolError(f"a {self.peer.value} never sends {kind.__name__}")
        following = TRANSITIONS[self.state].get((self.peer, kind))
        if following is None:
            self.counters.stray_frames += 1
            return None
        event = wire.decode(body[0], memoryview(body)[2:])
        self._check_received(event)
        self._remember(event, following)
        return event

    def _follow_sequence(self, sequence: int, kind: type[Event] | None) -> None:
        if self._sequence_in is not None and kind is not Hello:
            self.counters.lost_frames += (sequence - self._sequence_in) & 0xFF
        self._sequence_in = (sequence + 1) & 0xFF

    def _check_received(self, event: Event) -> None:
        self._check_sensor(event, RemoteProtocolError)
        # The device answers any version with its own, so that the host can name the mismatch.
        if isinstance(event, Hello) and self.role is _H and event.version != PROTOCOL_VERSION:
            raise RemoteProtocolError(
                f"the device {event.name!r} speaks version {event.version}, this host {PROTOCOL_VERSION}"
            )

    def _check_sensor(self, event: Event, error: type[LocalProtocolError | RemoteProtocolError]) -> None:
        """Samples are as their sensor was described, and it is described once and for all."""
        if isinstance(event, Samples):
            self._check_samples(event, error)
        elif isinstance(event, SensorDescriptor):
            known = self.descriptors.get(event.sensor_id)
            if known is not None and wire.encode(known) != wire.encode(event):
                raise error(f"sensor {event.sensor_id} was described differently since the last hello")

    def _check_samples(self, event: Samples, error: type[LocalProtocolError | RemoteProtocolError]) -> None:
        descriptor = self.descriptors.get(event.sensor_id)
        if descriptor is None:
            raise error(f"samples of sensor {event.sensor_id}, which was not described")
        if len(event.data) != event.count * descriptor.sample_bytes:
            raise error(
                f"{event.count} samples of {descriptor.name!r} take {event.count * descriptor.sample_bytes} "
                f"bytes, not {len(event.data)}"
            )

    def _remember(self, event: Event, following: State) -> None:
        self.state = following
        if isinstance(event, Hello):
            self.descriptors.clear()
        elif isinstance(event, SensorDescriptor):
            self.descriptors[event.sensor_id] = event

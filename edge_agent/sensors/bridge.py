"""The host's half of a conversation with a microcontroller, without I/O: bytes in, chunks out.

It asks in order (who are you, what time is it, what do you have, start), asks again what was not
answered, and turns samples into the slot's channels, units and the host's time. One board can carry
several sensors; each has its own health.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edge_agent.errors import SensorError
from edge_agent.sensors.channels import Channel, Fit, fit, listed
from edge_agent.types import BoardClock, Chunk, Float32, SensorHealth, SensorState
from firmware_bridge import (
    NEED_DATA,
    ClockEstimator,
    ClockMap,
    ClockReply,
    ClockRequest,
    Connection,
    Describe,
    Error,
    Event,
    Hello,
    Log,
    Role,
    SampleFormat,
    Samples,
    SensorDescriptor,
    Start,
    State,
    Stop,
)

SILENCE_NS = 3_000_000_000
"""A board that says nothing at all for so long is opened anew."""
QUIET_NS = 2_000_000_000
"""A stream without samples for so long, on a board that answers, is reported offline."""
_ASK_AGAIN_NS = 500_000_000
_SYNC_NS = 1_000_000_000
_FIRST_SYNC_NS = 20_000_000
_FIRST_SYNCS = 4
_DTYPES = {SampleFormat.INT16: "<i2", SampleFormat.INT32: "<i4", SampleFormat.FLOAT32: "<f4"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """Where one of the board's sensors goes.

    `channels` and `units` are the slot's, in its order; both empty: what the board says, unchanged.
    A channel that the board does not have is NaN. The pixels of an image are channels of their own, named
    as `SensorDescriptor.columns` does; an image of as many pixels fills the slot row by row.
    """

    sensor: str
    slot: str
    channels: tuple[str, ...] = ()
    units: tuple[str, ...] = ()


@dataclass(slots=True)
class _Stream:
    """One sensor that is being received."""

    descriptor: SensorDescriptor
    target: StreamTarget
    health: SensorHealth
    scale: Float32
    offset: Float32
    """Both (channels of the board, the repeated ones included)."""
    matched: Fit
    missing: str
    """Why it is degraded; empty where it is not."""
    started_ns: int = 0
    expected_index: int = 0
    last_ns: int = 0


@dataclass(slots=True)
class BridgeSession:
    """One conversation, from the opening of the port to its loss. Not thread-safe: one owner."""

    targets: Mapping[str, StreamTarget]
    """Name of a sensor on the board -> where it goes."""
    healths: Mapping[str, SensorHealth]
    """Logical name -> health; outlives the session."""
    simulated: bool = False
    connection: Connection = field(default_factory=lambda: Connection(Role.HOST))
    device: str = ""
    _clock: ClockEstimator = field(default_factory=ClockEstimator)
    _syncs: int = 0
    _next_ask_ns: int = 0
    _next_sync_ns: int = 0
    _heard_ns: int | None = None
    _described: dict[int, SensorDescriptor] = field(default_factory=dict)
    _streams: dict[int, _Stream] = field(default_factory=dict)
    _errors_reported: int = 0

    @property
    def clock_map(self) -> ClockMap | None:
        """The device's clock in the host's time, as known now."""
        return self._clock.map

    def outgoing(self, now_ns: int) -> bytes:
        """Return what is due to be written now. Raises SensorError when the board has fallen silent."""
        if self._heard_ns is None:
            self._heard_ns = now_ns
        if now_ns - self._heard_ns > SILENCE_NS:
            raise SensorError(
                "the board does not answer",
                hint="Check that it runs the firmware bridge, and that both sides have the same baud rate.",
            )
        self._report_quiet(now_ns)
        return self._sync(now_ns) + self._ask(now_ns)

    def receive(self, data: bytes, now_ns: int) -> list[Chunk]:
        """Take what the line gave at `now_ns`. Raises RemoteProtocolError for what no board may send."""
        self.connection.receive_data(data)
        chunks = []
        try:
            while (event := self.connection.next_event()) is not NEED_DATA:
                self._heard_ns = now_ns
                chunk = self._take(event, now_ns)
                if chunk is not None:
                    chunks.append(chunk)
        finally:
            self._count_errors()
        return chunks

    def goodbye(self) -> bytes:
        """Return the bytes that leave the board quiet."""
        ready = self.connection.state in (State.READY, State.STREAMING)
        return self.connection.send(Stop()) if ready else b""

    def _sync(self, now_ns: int) -> bytes:
        if self.connection.state not in (State.READY, State.STREAMING) or now_ns < self._next_sync_ns:
            return b""
        self._next_sync_ns = now_ns + (_SYNC_NS if self._syncs >= _FIRST_SYNCS else _FIRST_SYNC_NS)
        return self.connection.send(ClockRequest(now_ns))

    def _ask(self, now_ns: int) -> bytes:
        """Return the one question that is open, again every half second until it is answered."""
        question = self._question()
        if question is None or now_ns < self._next_ask_ns:
            return b""
        self._next_ask_ns = now_ns + _ASK_AGAIN_NS
        if isinstance(question, Start):
            for stream in self._streams.values():
                stream.started_ns, stream.expected_index = now_ns, 0
        return self.connection.send(question)

    def _question(self) -> Event | None:
        if self.connection.state is State.GREETING:
            return Hello("edge-agent")
        if self._clock.map is None:
            return None  # samples mean nothing before the clocks are related
        total = next((d.total for d in self._described.values()), None)
        if total is None or len(self._described) < total:
            return Describe()
        silent = all(stream.last_ns < stream.started_ns for stream in self._streams.values())
        if self._streams and (self.connection.state is State.READY or silent):
            return Start(tuple(self._streams))
        return None

    def _take(self, event: Event, now_ns: int) -> Chunk | None:
        match event:
            case Samples():
                return self._chunk(event, now_ns)
            case ClockReply():
                if self._clock.add(event.sent_ns, event.received_us, event.replied_us, now_ns):
                    self._syncs += 1
                    self._next_ask_ns = now_ns if self._syncs == 1 else self._next_ask_ns
                    self._tell_clock()
            case Hello():
                self._restart(event)
            case SensorDescriptor():
                self._describe(event)
            case Error():
                _log.warning("%s: error %d: %s", self.device, event.code, event.message)
            case Log():
                _log.info("%s: %s: %s", self.device, event.level.name.lower(), event.message)
            case _:
                raise AssertionError(event)  # the connection lets no host's event through
        return None

    def _restart(self, hello: Hello) -> None:
        """A hello voids what the board said before: its clock and its counts begin anew."""
        self.device = f"{hello.name} {hello.firmware}".strip()
        self._clock, self._syncs = ClockEstimator(), 0
        self._next_sync_ns = self._next_ask_ns = 0
        self._described.clear()
        self._streams.clear()
        self._tell_clock()

    def _tell_clock(self) -> None:
        clock = None
        if (found := self._clock.map) is not None:
            clock = BoardClock(found.offset_ns / 1e6, found.drift_ppm, found.error_ns / 1e6)
        for health in self.healths.values():
            health.clock = clock

    def _describe(self, descriptor: SensorDescriptor) -> None:
        self._described[descriptor.sensor_id] = descriptor
        if len(self._described) < descriptor.total:
            return
        self._next_ask_ns = 0
        names = {d.name: d for d in self._described.values()}
        for name, target in self.targets.items():
            health = self.healths[target.sensor]
            if name not in names:
                _offline(health, f'the board has no sensor "{name}"; it has {", ".join(sorted(names))}')
                continue
            try:
                stream = _stream(names[name], target, health)
            except ValueError as error:
                _offline(health, str(error))
            else:
                self._streams.setdefault(names[name].sensor_id, stream)

    def _chunk(self, event: Samples, now_ns: int) -> Chunk | None:
        stream, clock_map = self._streams.get(event.sensor_id), self._clock.map
        if stream is None or clock_map is None:
            return None
        lost = (event.first_index - stream.expected_index) & 0xFFFFFFFF
        if lost >= 1 << 31:
            lost = 0  # the count went back: the board began anew
        stream.expected_index = (event.first_index + event.count) & 0xFFFFFFFF
        since_us = np.asarray(event.times_us(), np.int64) - clock_map.device_us
        times_ns = clock_map.host_ns + np.rint(since_us * clock_map.ns_per_us).astype(np.int64)
        # No sample is from the future, and a better estimate of the clock does not turn time back.
        times_ns = np.maximum.accumulate(np.clip(times_ns, stream.last_ns, max(now_ns, stream.last_ns)))
        stream.last_ns = int(times_ns[-1])
        _receive_health(stream, event.count, lost)
        return Chunk(
            stream.target.sensor,
            times_ns,
            _values(stream, event),
            lost,
            self.simulated or stream.descriptor.simulated,
        )

    def _report_quiet(self, now_ns: int) -> None:
        for stream in self._streams.values():
            if now_ns - max(stream.started_ns, stream.last_ns) > QUIET_NS:
                _offline(stream.health, "the board answers, but sends no samples")

    def _count_errors(self) -> None:
        """Line errors cannot be told apart by sensor: each sensor of the line shows them all."""
        errors = self.connection.counters.errors
        for health in self.healths.values():
            health.errors += errors - self._errors_reported
        self._errors_reported = errors


def _stream(descriptor: SensorDescriptor, target: StreamTarget, health: SensorHealth) -> _Stream:
    """Fit a board's sensor to its slot. Raises ValueError where that is impossible."""
    columns = descriptor.columns()
    have = [Channel(column.name, column.unit) for column in columns]
    try:
        matched = fit(have, target.channels, target.units, in_order=descriptor.repeat > 1)
    except ValueError as error:
        raise ValueError(f'"{descriptor.name}": {error}') from error
    scale = np.array([column.scale for column in columns], np.float32)
    offset = np.array([column.offset for column in columns], np.float32)
    missing = f"no channel {listed(matched.missing)}" if matched.missing else ""
    return _Stream(descriptor, target, health, scale, offset, matched, missing)


def _values(stream: _Stream, event: Samples) -> Float32:
    """Raw data -> (count, channels of the slot) in the slot's units; what was not read is NaN."""
    form = stream.descriptor.format
    raw = np.frombuffer(event.data, _DTYPES[form]).reshape(event.count, -1)
    values = raw.astype(np.float32) * stream.scale + stream.offset
    if form.unreadable is not None:
        values[raw == form.unreadable] = np.nan
    return stream.matched.apply(values)


def _receive_health(stream: _Stream, count: int, lost: int) -> None:
    health = stream.health
    health.samples += count
    health.lost += lost
    health.state = SensorState.DEGRADED if stream.missing else SensorState.ONLINE
    health.reason = stream.missing


def _offline(health: SensorHealth, reason: str) -> None:
    health.state, health.reason = SensorState.OFFLINE, reason

"""Events to payloads and back: the tables of PROTOCOL.md, "Payloads". Little-endian throughout.

A reader ignores what follows the last field that it knows, so that a later version can append.
`Samples` alone is exact. Raises `LocalProtocolError` for a field that does not fit, and
`RemoteProtocolError` for a payload that is too short or says the impossible.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from firmware_bridge.errors import LocalProtocolError, RemoteProtocolError
from firmware_bridge.events import (
    Channel,
    ClockReply,
    ClockRequest,
    Describe,
    Error,
    Event,
    Hello,
    Log,
    LogLevel,
    SampleFormat,
    Samples,
    SensorDescriptor,
    Start,
    Stop,
)
from firmware_bridge.framing import MAX_BODY_BYTES

_HEAD_BYTES = 2
"""Type and sequence."""
_DESCRIPTOR = struct.Struct("<BBBBBfH")
_CHANNEL = struct.Struct("<ff")
_SAMPLES = struct.Struct("<BBIQH")
_INTERVAL = struct.Struct("<I")
_CLOCK_REQUEST = struct.Struct("<Q")
_CLOCK_REPLY = struct.Struct("<QQQ")
_REGULAR, _IRREGULAR = 0, 1
_SIMULATED = 1
_MAX_UID_BYTES = 32
MAX_SAMPLE_BYTES = MAX_BODY_BYTES - _HEAD_BYTES - _SAMPLES.size - _INTERVAL.size
"""The largest sample of a sensor: a frame holds one, whatever its timing."""


class _Reader:
    """Walks over a payload; running over its end is the peer's error."""

    def __init__(self, payload: memoryview) -> None:
        self._payload = payload
        self._at = 0

    def fields(self, layout: struct.Struct) -> tuple[Any, ...]:
        return layout.unpack(self.take(layout.size))

    def take(self, size: int) -> memoryview:
        part = self._payload[self._at : self._at + size]
        if len(part) != size:
            raise RemoteProtocolError(f"payload ends {size - len(part)} bytes early")
        self._at += size
        return part

    def text(self) -> str:
        return str(self.take(self.byte()), "utf-8", "replace")

    def byte(self) -> int:
        return self.take(1)[0]

    def rest(self) -> memoryview:
        return self._payload[self._at :]


def _short(data: bytes, limit: int = 255) -> bytes:
    if len(data) > limit:
        raise LocalProtocolError(f"{len(data)} bytes are over the limit of {limit}: {data[:40]!r}...")
    return bytes([len(data)]) + data


def _text(text: str) -> bytes:
    return _short(text.encode())


def _nothing(_: Event) -> bytes:
    return b""


def _write_hello(event: Hello) -> bytes:
    return (
        bytes([event.version]) + _short(event.uid, _MAX_UID_BYTES) + _text(event.name) + _text(event.firmware)
    )


def _read_hello(reader: _Reader) -> Hello:
    version = reader.byte()
    uid = bytes(reader.take(reader.byte()))
    if len(uid) > _MAX_UID_BYTES:
        raise RemoteProtocolError(f"a uid of {len(uid)} bytes")
    return Hello(uid=uid, name=reader.text(), firmware=reader.text(), version=version)


def _check_shape(event: SensorDescriptor, error: type[LocalProtocolError | RemoteProtocolError]) -> None:
    if not 0 < event.sample_bytes <= MAX_SAMPLE_BYTES:
        raise error(
            f"sensor {event.name!r}: {len(event.channels)} channels, {event.repeat} times, are no sample of "
            f"1 to {MAX_SAMPLE_BYTES} bytes"
        )


def _write_descriptor(event: SensorDescriptor) -> bytes:
    _check_shape(event, LocalProtocolError)
    flags = _SIMULATED if event.simulated else 0
    head = _DESCRIPTOR.pack(
        event.sensor_id, event.position, event.total, flags, event.format, event.rate_hz, event.repeat
    )
    parts = [head, _text(event.name), _text(event.modality), bytes([len(event.channels)])]
    for channel in event.channels:
        parts += (_text(channel.name), _text(channel.unit), _CHANNEL.pack(channel.scale, channel.offset))
    return b"".join(parts)


def _read_descriptor(reader: _Reader) -> SensorDescriptor:
    sensor_id, position, total, flags, code, rate_hz, repeat = reader.fields(_DESCRIPTOR)
    name, modality, count = reader.text(), reader.text(), reader.byte()
    if position >= total or code not in set(SampleFormat):
        raise RemoteProtocolError(f"descriptor of {name!r}: number {position} of {total}, format {code}")
    channels = tuple(Channel(reader.text(), reader.text(), *reader.fields(_CHANNEL)) for _ in range(count))
    descriptor = SensorDescriptor(
        sensor_id,
        name,
        modality,
        channels,
        rate_hz,
        SampleFormat(code),
        position,
        total,
        bool(flags & _SIMULATED),
        repeat,
    )
    _check_shape(descriptor, RemoteProtocolError)
    return descriptor


def _write_samples(event: Samples) -> bytes:
    irregular = event.interval_us is None
    if not event.count or (irregular and len(event.deltas_us) != event.count - 1):
        raise LocalProtocolError(f"{event.count} samples with {len(event.deltas_us)} deltas")
    head = _SAMPLES.pack(
        event.sensor_id, _IRREGULAR if irregular else _REGULAR, event.first_index, event.time_us, event.count
    )
    if event.interval_us is not None:
        return head + _INTERVAL.pack(event.interval_us) + event.data
    return head + struct.pack(f"<{event.count - 1}H", *event.deltas_us) + event.data


def _read_samples(reader: _Reader) -> Samples:
    sensor_id, timing, first_index, time_us, count = reader.fields(_SAMPLES)
    if not count or timing not in (_REGULAR, _IRREGULAR):
        raise RemoteProtocolError(f"{count} samples with timing {timing}")
    if timing == _REGULAR:
        (interval_us,) = reader.fields(_INTERVAL)
        return Samples(sensor_id, first_index, time_us, count, bytes(reader.rest()), interval_us)
    deltas_us = struct.unpack(f"<{count - 1}H", reader.take(2 * (count - 1)))
    return Samples(sensor_id, first_index, time_us, count, bytes(reader.rest()), None, deltas_us)


def _read_log(reader: _Reader) -> Log:
    level = reader.byte()
    if level not in set(LogLevel):
        raise RemoteProtocolError(f"log level {level}")
    return Log(LogLevel(level), str(reader.rest(), "utf-8", "replace"))


_Write = Callable[[Any], bytes]
_Read = Callable[[_Reader], Event]
_TABLE: dict[int, tuple[type[Event], _Write, _Read]] = {
    0x01: (Hello, _write_hello, _read_hello),
    0x02: (Describe, _nothing, lambda _: Describe()),
    0x03: (SensorDescriptor, _write_descriptor, _read_descriptor),
    0x04: (Start, lambda e: _short(bytes(e.sensor_ids)), lambda r: Start(tuple(r.take(r.byte())))),
    0x05: (Stop, _nothing, lambda _: Stop()),
    0x06: (Samples, _write_samples, _read_samples),
    0x07: (
        ClockRequest,
        lambda e: _CLOCK_REQUEST.pack(e.sent_ns),
        lambda r: ClockRequest(*r.fields(_CLOCK_REQUEST)),
    ),
    0x08: (
        ClockReply,
        lambda e: _CLOCK_REPLY.pack(e.sent_ns, e.received_us, e.replied_us),
        lambda r: ClockReply(*r.fields(_CLOCK_REPLY)),
    ),
    0x09: (
        Error,
        lambda e: bytes([e.code]) + e.message.encode(),
        lambda r: Error(r.byte(), str(r.rest(), "utf-8", "replace")),
    ),
    0x0A: (Log, lambda e: bytes([e.level]) + e.message.encode(), _read_log),
}
_CODES = {event_type: code for code, (event_type, _, _) in _TABLE.items()}


def encode(event: Event) -> tuple[int, bytes]:
    """Return the frame type and the payload of `event`."""
    code = _CODES[type(event)]
    try:
        return code, _TABLE[code][1](event)
    except (struct.error, ValueError, OverflowError, UnicodeEncodeError) as error:
        raise LocalProtocolError(f"{type(event).__name__} does not fit on the wire: {error}") from error


def event_type(code: int) -> type[Event] | None:
    """The event that a frame type stands for; None where this version does not know it."""
    row = _TABLE.get(code)
    return row[0] if row else None


def decode(code: int, payload: memoryview) -> Event:
    """Return the event of a known frame type."""
    return _TABLE[code][2](_Reader(payload))

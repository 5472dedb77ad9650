"""What the two sides say to each other. Pure data; every field with its unit. See PROTOCOL.md."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from enum import IntEnum

PROTOCOL_VERSION = 1


class SampleFormat(IntEnum):
    """How one raw value lies in `Samples.data`: little-endian."""

    INT16 = 1
    INT32 = 2
    FLOAT32 = 3

    @property
    def size_bytes(self) -> int:
        """Bytes of one raw value."""
        return 2 if self is SampleFormat.INT16 else 4

    @property
    def unreadable(self) -> int | None:
        """The raw value that says "no reading": the most negative integer; a float says NaN."""
        return {SampleFormat.INT16: -(2**15), SampleFormat.INT32: -(2**31)}.get(self)


class LogLevel(IntEnum):
    """The severity of a `Log`."""

    DEBUG = 1
    INFO = 2
    WARNING = 3
    ERROR = 4


@dataclass(frozen=True, slots=True)
class Hello:
    """Both sides, first.

    From the host: "who are you? stop everything". From the device: the answer, or the announcement
    that it has just started; its clock and its counters begin anew.
    """

    name: str
    uid: bytes = b""
    """The device's unchanging identity, up to 32 bytes; empty from a host."""
    firmware: str = ""
    version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class Describe:
    """Host: send a `SensorDescriptor` for every sensor."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One column: value in `unit` = raw * scale + offset. `scale` and `offset` travel as float32."""

    name: str
    unit: str
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class SensorDescriptor:
    """Device: one of its sensors, number `position` of `total`."""

    sensor_id: int
    name: str
    modality: str
    channels: tuple[Channel, ...]
    rate_hz: float
    """Nominal; the truth is in the timestamps."""
    format: SampleFormat = SampleFormat.INT16
    position: int = 0
    total: int = 1
    simulated: bool = False
    """The values were made up by a model of the sensor: never so for a recording that is played."""
    repeat: int = 1
    """How often a sample has the channels, one list after the other: the rows of an image, say."""

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return len(self.channels) * self.repeat * self.format.size_bytes

    def columns(self) -> tuple[Channel, ...]:
        """The channel of every value of a sample, in order, (channels * repeat,).

        Where the channels repeat, each name ends in which repetition it is, padded with zeros: `c00_07`.
        """
        if self.repeat == 1:
            return self.channels
        width = len(str(self.repeat - 1))
        return tuple(
            replace(channel, name=f"{channel.name}_{number:0{width}}")
            for number in range(self.repeat)
            for channel in self.channels
        )


@dataclass(frozen=True, slots=True)
class Start:
    """Host: stream these sensors (none named: all). Sample indices begin at 0."""

    sensor_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Stop:
    """Host: stop streaming. Samples that are still under way are dropped on arrival."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Device: n samples of one sensor.

    `data` is n x repeat x channels raw values in row order, in the descriptor's format. The first sample
    was taken at `time_us` of the device's clock; then every `interval_us`, or, where that is None, each
    `deltas_us[i]` after the one before (n - 1 of them, each under 65,536 us: a longer pause begins a
    new frame).
    """

    sensor_id: int
    first_index: int
    """Number of the first sample since `Start`, modulo 2**32: a hole is a loss."""
    time_us: int
    count: int
    data: bytes
    interval_us: int | None = None
    deltas_us: tuple[int, ...] = ()

    def times_us(self) -> list[int]:
        """The device time of each sample, (count,)."""
        if self.interval_us is None:
            return list(itertools.accumulate(self.deltas_us, initial=self.time_us))
        return [self.time_us + i * self.interval_us for i in range(self.count)]


@dataclass(frozen=True, slots=True)
class ClockRequest:
    """Host: what is your time? `sent_ns` (t1) is the host's own clock, opaque to the device."""

    sent_ns: int


@dataclass(frozen=True, slots=True)
class ClockReply:
    """Device: t1 returned, and its own clock when the request came (t2) and when this left (t3)."""

    sent_ns: int
    received_us: int
    replied_us: int


@dataclass(frozen=True, slots=True)
class Error:
    """Device: something failed (a sensor does not answer, a buffer overflowed). It goes on."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Log:
    """Device: a line for a human."""

    level: LogLevel
    message: str


Event = Hello | Describe | SensorDescriptor | Start | Stop | Samples | ClockRequest | ClockReply | Error | Log

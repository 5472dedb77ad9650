"""A satellite receiver on a serial port: its NMEA 0183 sentences, merged into one sample per epoch.

What a sentence says is read by `nmea`; a receiver says several of them about each moment, in a burst.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from edge_agent.errors import SensorError
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.nmea import KINDS, Part, parse
from edge_agent.sensors.serial import SerialSensor
from edge_agent.types import Chunk, Clock, SatelliteFix, Sensor, SensorHealth, SensorState

CHANNELS = (
    Channel("latitude", "deg"),
    Channel("longitude", "deg"),
    Channel("altitude", "m"),
    Channel("speed", "m/s"),
    Channel("course", "deg"),
    Channel("hdop", "1"),
    Channel("satellites", "1"),
    Channel("fix_quality", "1"),
)
"""Altitude is above mean sea level, course is over ground from true north. Quality is the one of GGA: 0 none,
1 autonomous, 2 differential, 4 and 5 RTK, 6 estimated, 8 simulated. Chunks hold float64:
float32 would round a place by up to 0.9 m."""
SILENCE_NS = 3_000_000_000
"""A receiver without one right sentence for so long is opened anew; slower ones are not supported."""
BURST_END_NS = 100_000_000
"""A line that gives nothing for so long has told all of the epoch."""
SAME_EPOCH_NS = 500_000_000
"""The same time again within so long is the rest of a burst that was torn apart, and no new sample."""
OFFSETS_KEPT = 60

_MAX_SENTENCE = 120
"""The standard allows 82 bytes; receivers with high precision exceed it."""
_PIECE = re.compile(rb"\$[^$\n]*|\n|[^$\n]+")
_TIMED = ("GGA", "RMC")
_WITHOUT_FIX = ("satellites", "fix_quality")
"""What the receiver knows of itself also where it does not know its place."""


@dataclass(slots=True)
class _Epoch:
    """One burst of sentences about one moment."""

    start_ns: int
    """Arrival of the burst's first byte."""
    time: dt.time | None = None
    parts: dict[str, Part] = field(default_factory=dict)

    def ended_by(self, part: Part) -> bool:
        """True where `part` is about another moment. Without a time, the same kind again means that."""
        if part.kind not in _TIMED:
            return False
        if part.time is None or self.time is None:
            return part.kind in self.parts
        return part.time != self.time

    def take(self, part: Part) -> None:
        self.parts.setdefault(part.kind, part)
        self.time = self.time or part.time

    def merged(self) -> dict[str, float]:
        """The first of KINDS that has a value gives it."""
        values: dict[str, float] = {}
        for kind in KINDS:
            for name, value in self.parts[kind].values.items() if kind in self.parts else ():
                if math.isnan(values.get(name, math.nan)):
                    values[name] = value
        if values.get("dimensions") == 2:  # a flat fix holds its altitude and does not measure it
            values["altitude"] = math.nan
        return values

    def utc_ns(self) -> int | None:
        """When it was, as the receiver says; None without RMC."""
        rmc = self.parts.get("RMC")
        if rmc is None or rmc.date is None or rmc.time is None:
            return None
        return round(dt.datetime.combine(rmc.date, rmc.time).timestamp() * 1e6) * 1000


@dataclass(slots=True)
class NmeaSession:
    """One conversation with a receiver, which does all of the talking. Not thread-safe: one owner."""

    name: str
    health: SensorHealth
    clock: Clock
    simulated: bool = False
    _offsets_ns: deque[int] = field(default_factory=lambda: deque(maxlen=OFFSETS_KEPT))
    """The receiver's UTC minus our wall clock, of the last epochs with a date and a fix."""
    _heard_ns: int | None = None
    _last_byte_ns: int = 0
    _quiet: bool = True
    _burst_ns: int | None = None
    _line: bytes = b""
    _line_ns: int = 0
    _synchronised: bool = False
    _epoch: _Epoch | None = None
    _last: _Epoch | None = None

    def outgoing(self, now_ns: int) -> bytes:
        """Nothing is ever asked. Raises SensorError when the receiver has fallen silent."""
        if self._heard_ns is None:
            self._heard_ns = now_ns
        if now_ns - self._heard_ns > SILENCE_NS:
            raise SensorError(
                "the receiver says nothing that is NMEA 0183",
                hint="Check its wiring, and that both sides have the same baud rate.",
            )
        return b""

    def receive(self, data: bytes, now_ns: int) -> list[Chunk]:
        """Take what the line gave; a wrong sentence is counted and skipped."""
        if data and self._quiet:
            self._burst_ns, self._quiet = now_ns, False
        chunks = [self._take(part, start_ns, now_ns) for part, start_ns in self._parts(data, now_ns)]
        if data:
            self._last_byte_ns = now_ns
        elif now_ns - self._last_byte_ns >= BURST_END_NS:
            chunks.append(self._finish(now_ns))
            self._quiet = True
        return [chunk for chunk in chunks if chunk is not None]

    def goodbye(self) -> bytes:
        """Nothing: a receiver cannot be told to be quiet."""
        return b""

    def _parts(self, data: bytes, now_ns: int) -> Iterator[tuple[Part, int]]:
        for line, start_ns in self._lines(data, now_ns):
            try:
                part = parse(line)
            except ValueError:
                self.health.errors += 1
                continue
            self._heard_ns = now_ns
            if part is not None:
                yield part, start_ns

    def _lines(self, data: bytes, now_ns: int) -> Iterator[tuple[bytes, int]]:
        """Every line that begins with `$`, with the arrival of that."""
        for piece in _PIECE.findall(data):
            if piece.startswith(b"$"):
                self._skip(self._line)
                self._line, self._line_ns, self._synchronised = piece[: _MAX_SENTENCE + 1], now_ns, True
            elif piece != b"\n":
                self._line = (self._line + piece)[: _MAX_SENTENCE + 1]
            elif self._line.startswith(b"$"):
                line, self._line = self._line.rstrip(b"\r"), b""
                yield line, self._line_ns
            else:
                self._skip(self._line)
                self._line = b""

    def _skip(self, junk: bytes) -> None:
        """Count what is no sentence, but not the rest of the one that was on the line at the opening."""
        if self._synchronised and junk.strip():
            self.health.errors += 1

    def _take(self, part: Part, start_ns: int, now_ns: int) -> Chunk | None:
        chunk = self._finish(now_ns) if self._epoch is not None and self._epoch.ended_by(part) else None
        if self._epoch is None:
            # Between bursts without a pause, the first sentence that has another time begins the next.
            self._epoch = _Epoch(start_ns if self._burst_ns is None else self._burst_ns)
            self._burst_ns = None
        self._epoch.take(part)
        return chunk

    def _finish(self, now_ns: int) -> Chunk | None:
        """The open epoch as a sample; None where it says nothing of a place, or was told already."""
        epoch, self._epoch = self._epoch, None
        if epoch is None or not any(kind in epoch.parts for kind in _TIMED):
            return None
        last, self._last = self._last, epoch
        if last and last.time and last.time == epoch.time and epoch.start_ns - last.start_ns < SAME_EPOCH_NS:
            return None
        values = epoch.merged()
        fix = all(part.fix for part in epoch.parts.values()) and math.isfinite(values["latitude"])
        self.health.state = SensorState.ONLINE if fix else SensorState.DEGRADED
        self.health.reason = "" if fix else "no fix"
        if fix and (utc_ns := epoch.utc_ns()) is not None:
            self._offsets_ns.append(utc_ns - self.clock.wall_ns() + now_ns - epoch.start_ns)
        quality = values.get("fix_quality", math.nan)
        self.health.fix = SatelliteFix(0 if math.isnan(quality) else round(quality), self._utc_offset_s())
        row = [values.get(c.name, math.nan) if fix or c.name in _WITHOUT_FIX else math.nan for c in CHANNELS]
        return Chunk(
            self.name,
            np.array([epoch.start_ns], np.int64),
            np.array([row], np.float64),
            simulated=self.simulated or any(part.simulated for part in epoch.parts.values()),
        )

    def _utc_offset_s(self) -> float | None:
        """None until it is known.

        There is no PPS: an epoch is told some time after it was, never before, so the largest of the last
        offsets is the nearest. What remains is the receiver's own delay, tens to hundreds of milliseconds.
        """
        return max(self._offsets_ns) / 1e9 if self._offsets_ns else None


def gps_sensor(
    name: str, slot: str, port: str, *, baud_rate: int = 9600, simulated: bool = False, clock: Clock
) -> Sensor:
    """A receiver that speaks NMEA 0183: a sample per epoch, at the arrival of the first byte of it."""
    return SerialSensor(
        name,
        slot,
        port,
        lambda health: NmeaSession(name, health, clock, simulated),
        baud_rate=baud_rate,
        channels={name: CHANNELS},
        monotonic_ns=clock.monotonic_ns,
    )

"""LDROBOT LD06 and LD19: a turning laser scanner that talks by itself as soon as it has power.

Source: LDROBOT LD19 Development Manual v2.3, section 3 (communication protocol, with a worked example of a
packet and the CRC's table); the LD06 speaks the same. 230400 baud, packets of 12 points, nothing is asked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from edge_agent.errors import SensorError
from edge_agent.sensors.scan import CHANNELS, Scan, turn
from edge_agent.sensors.serial import SerialSensor
from edge_agent.types import Chunk, Clock, Sensor, SensorHealth, SensorState

POINTS = 12
HEADER = b"\x54\x2c"
"""0x54, then the kind of packet (1) in three bits and the number of points in five."""
PACKET = struct.Struct("<2sHH36sHHB")
"""Header, speed in deg/s, first angle in 0.01 deg, points (mm, intensity), last angle, time in ms, CRC."""
CLOCK_MS = 30_000
"""Where the scanner's clock begins again."""
SILENCE_NS = 3_000_000_000
"""A scanner that completes no turn for so long is opened anew."""
_POINT = struct.Struct("<HB")
_CRC_POLYNOMIAL = 0x4D


def _crc_of_byte(crc: int) -> int:
    for _ in range(8):
        crc = (crc << 1 ^ _CRC_POLYNOMIAL if crc & 0x80 else crc << 1) & 0xFF
    return crc


_CRC_TABLE = bytes(map(_crc_of_byte, range(256)))


def crc8(data: bytes) -> int:
    """CRC-8, polynomial 0x4D, from 0, not reflected (manual, section 3)."""
    crc = 0
    for byte in data:
        crc = _CRC_TABLE[crc ^ byte]
    return crc


class Packet(NamedTuple):
    """12 points on evenly spaced angles, from the first to the last."""

    speed_deg_s: int
    start_deg: float
    end_deg: float
    ranges_m: tuple[float, ...]
    time_ms: int

    @property
    def angles_deg(self) -> list[float]:
        """(12,) in 0..360; they begin again at 0 where the turn ends within the packet."""
        step_deg = (self.end_deg - self.start_deg) % 360 / (POINTS - 1)
        return [(self.start_deg + i * step_deg) % 360 for i in range(POINTS)]


def parse(data: bytes) -> Packet:
    """Read one packet of 47 bytes. Raises ValueError for a wrong header, CRC or angle."""
    header, speed_deg_s, start, points, end, time_ms, crc = PACKET.unpack(data)
    if header != HEADER or crc != crc8(data[:-1]):
        raise ValueError("no packet with a right CRC")
    if start >= 36_000 or end >= 36_000:
        raise ValueError(f"no angles: {start / 100}, {end / 100}")
    ranges_m = tuple(mm / 1000 for mm, _ in _POINT.iter_unpack(points))
    return Packet(speed_deg_s, start / 100, end / 100, ranges_m, time_ms)


@dataclass(slots=True)
class Ld06Session:
    """One conversation with a scanner, which does all of the talking. Not thread-safe: one owner."""

    name: str
    health: SensorHealth
    simulated: bool = False
    _buffer: bytearray = field(default_factory=bytearray)
    _in_step: bool = False
    _scan: Scan | None = None
    """The open turn; None until its beginning was seen."""
    _last: Packet | None = None
    _lost: int = 0
    _end_ns: int = 0
    _heard_ns: int | None = None
    _turned_ns: int | None = None

    def outgoing(self, now_ns: int) -> bytes:
        """Nothing is ever asked. Raises SensorError when it is silent or does not turn for too long."""
        if self._heard_ns is None or self._turned_ns is None:
            self._heard_ns = self._turned_ns = now_ns
        if now_ns - self._heard_ns > SILENCE_NS:
            raise SensorError("the lidar says nothing", hint="Check its power, its wiring and the baud rate.")
        if now_ns - self._turned_ns > SILENCE_NS:
            raise SensorError("the lidar does not turn", hint="Check that nothing holds it.")
        return b""

    def receive(self, data: bytes, now_ns: int) -> list[Chunk]:
        """Take what the line gave; a wrong packet is counted and skipped."""
        packets = list(self._packets(data))
        if not packets:
            return []
        self._heard_ns = now_ns
        chunks = []
        for packet in packets:
            # The newest packet has just come; the others lay in a buffer, and their clock says how long.
            age_ms = (packets[-1].time_ms - packet.time_ms) % CLOCK_MS
            chunks += self._take(packet, now_ns - age_ms * 1_000_000)
        self._turned_ns = now_ns if chunks else self._turned_ns
        return chunks

    def goodbye(self) -> bytes:
        """Nothing: it cannot be told to be quiet."""
        return b""

    def _packets(self, data: bytes) -> Iterator[Packet]:
        self._buffer += data
        while len(self._buffer) >= PACKET.size:
            try:
                packet = parse(bytes(self._buffer[: PACKET.size]))
            except ValueError:
                self.health.errors += self._in_step  # the half packet of the opening is no error
                self._in_step = False
                at = self._buffer.find(HEADER, 1)
                del self._buffer[: at if at >= 0 else len(self._buffer) - 1]  # a header may be cut in two
                continue
            self._in_step = True
            del self._buffer[: PACKET.size]
            yield packet

    def _take(self, packet: Packet, arrival_ns: int) -> list[Chunk]:
        self._count_lost(packet)
        chunks = []
        before_deg = self._last.end_deg if self._last else packet.start_deg
        for angle_deg, range_m in zip(packet.angles_deg, packet.ranges_m, strict=True):
            if angle_deg < before_deg - 180:
                chunks += self._finish(packet, arrival_ns)
            before_deg = angle_deg
            if self._scan is not None:
                self._scan.add(angle_deg, range_m)
        self._last = packet
        return chunks

    def _finish(self, packet: Packet, arrival_ns: int) -> list[Chunk]:
        """The open turn ended within the packet or directly before it; the next one begins."""
        done, self._scan = self._scan, Scan()
        if done is None:
            return []
        since_ns = round(packet.end_deg / max(1, packet.speed_deg_s) * 1e9)
        self._end_ns = max(self._end_ns, arrival_ns - since_ns)
        self.health.state, self.health.reason = SensorState.ONLINE, ""
        lost, self._lost = self._lost, 0
        return [turn(self.name, self._end_ns, done, lost=lost, simulated=self.simulated)]

    def _count_lost(self, packet: Packet) -> None:
        """Where half a turn or more is missing before `packet`, the open one is not worth telling."""
        if self._last is None or self._scan is None:
            return
        passed_s = (packet.time_ms - self._last.time_ms) % CLOCK_MS / 1000
        missing = passed_s * packet.speed_deg_s / 360
        if missing >= 0.5:
            self._lost += max(1, round(missing))
            self._scan = None


def ld06_sensor(
    name: str, slot: str, port: str, *, baud_rate: int = 230_400, simulated: bool = False, clock: Clock
) -> Sensor:
    """An LD06 or LD19, from its settings."""
    return SerialSensor(
        name,
        slot,
        port,
        lambda health: Ld06Session(name, health, simulated),
        baud_rate=baud_rate,
        channels={name: CHANNELS},
        monotonic_ns=clock.monotonic_ns,
    )

"""SLAMTEC RPLIDAR A1: a turning laser scanner that is asked for its state and then told to scan.

Source: SLAMTEC RPLIDAR Low Cost 360 Degree Laser Range Scanner, Interface Protocol and Application Notes,
rev. 1.1 (2018-03-08): requests, response descriptors, GET_INFO, GET_HEALTH, SCAN (the standard scan), STOP
and RESET. 115200 baud. Points carry no checksum, only three bits that are known.
"""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from edge_agent.errors import SensorError
from edge_agent.sensors.scan import CHANNELS, Scan, turn
from edge_agent.sensors.serial import SerialSensor
from edge_agent.types import Chunk, Clock, Sensor, SensorHealth, SensorState

STOP = b"\xa5\x25"
RESET = b"\xa5\x40"
SILENCE_NS = 3_000_000_000
"""A scanner that answers nothing, or completes no turn, for so long is opened anew."""
SETTLE_NS = 20_000_000
"""After STOP nothing is to be asked for a millisecond; what it had under way takes longer to arrive."""
ASK_AGAIN_NS = 500_000_000
POINT = struct.Struct("<BHH")
CONFIRM_POINTS = 8
"""Chance fits one point in six; so many in a row, and the bytes are in step."""
INFO = struct.Struct("<BBBB16s")
HEALTH = struct.Struct("<BH")

_log = logging.getLogger(__name__)


class Question(Enum):
    """What is asked, one after the other: the request, and the descriptor that its answer begins with."""

    INFO = (b"\xa5\x50", b"\xa5\x5a\x14\x00\x00\x00\x04")
    HEALTH = (b"\xa5\x52", b"\xa5\x5a\x03\x00\x00\x00\x06")
    SCAN = (b"\xa5\x20", b"\xa5\x5a\x05\x00\x00\x40\x81")


class Point(NamedTuple):
    """One measurement; the range is 0 where nothing came back."""

    begins_turn: bool
    angle_deg: float
    range_m: float


def parse_point(data: bytes) -> Point | None:
    """Read 5 bytes; None where the start flag, its inverse, the check bit or the angle cannot be."""
    flags, angle, distance = POINT.unpack(data)
    if flags & 3 not in (1, 2) or not angle & 1 or angle >> 1 >= 360 * 64:
        return None
    return Point(bool(flags & 1), (angle >> 1) / 64, distance / 4000)


def follows(before_deg: float, after_deg: float) -> bool:
    """True where a point may come after another: a little further on, or back by the angle's own error."""
    return (after_deg - before_deg + 10) % 360 < 55


@dataclass(slots=True)
class RplidarSession:
    """One conversation with a scanner. Not thread-safe: one owner."""

    name: str
    health: SensorHealth
    simulated: bool = False
    device: str = ""
    """Model, firmware and serial number, once they were told."""
    _stopped: bool = False
    _open: list[Question] = field(default_factory=lambda: list(Question))
    """What was not answered yet; empty while it scans."""
    _next_ask_ns: int = 0
    _progress_ns: int | None = None
    _warning: str = ""
    _protected: bool = False
    _buffer: bytearray = field(default_factory=bytearray)
    _in_step: bool = True
    _scan: Scan | None = None
    """The open turn; None until its beginning was seen."""
    _last_deg: float | None = None
    _lost: int = 0

    def outgoing(self, now_ns: int) -> bytes:
        """Return the question that is open, again every half second. Raises SensorError for silence."""
        if self._progress_ns is None:
            self._progress_ns = now_ns
        if now_ns - self._progress_ns > SILENCE_NS:
            if self._open:
                raise SensorError("the lidar does not answer", hint="Check its power and the baud rate.")
            raise SensorError("the lidar completes no turn", hint="Check that nothing holds it.")
        if not self._stopped:
            self._stopped, self._next_ask_ns = True, now_ns + SETTLE_NS
            return STOP
        if not self._open or now_ns < self._next_ask_ns:
            return b""
        self._next_ask_ns = now_ns + ASK_AGAIN_NS
        return self._open[0].value[0]

    def receive(self, data: bytes, now_ns: int) -> list[Chunk]:
        """Take what the line gave. Raises SensorError where the scanner says that it is broken."""
        self._buffer += data
        while self._open and self._answered(self._open[0]):
            del self._open[0]
            self._next_ask_ns, self._progress_ns = now_ns, now_ns
        return [] if self._open else self._points(now_ns)

    def goodbye(self) -> bytes:
        """Stop the laser; a scanner that has stopped itself is started again instead."""
        return RESET if self._protected else STOP

    def _answered(self, question: Question) -> bool:
        """Take the answer where it has come. What is before it is left over from another scan."""
        descriptor = question.value[1]
        at = self._buffer.find(descriptor)
        if at < 0:
            del self._buffer[: max(0, len(self._buffer) - len(descriptor) + 1)]
            return False
        size = 0 if question is Question.SCAN else descriptor[2]
        end = at + len(descriptor) + size
        if len(self._buffer) < end:
            return False
        answer = bytes(self._buffer[end - size : end])
        del self._buffer[:end]
        if question is Question.INFO:
            self._take_info(answer)
        elif question is Question.HEALTH:
            self._take_health(answer)
        return True

    def _take_info(self, answer: bytes) -> None:
        model, minor, major, hardware, serial = INFO.unpack(answer)
        self.device = f"model {model:#04x} firmware {major}.{minor:02} hardware {hardware} {serial.hex()}"
        _log.info("%s: RPLIDAR %s", self.name, self.device)

    def _take_health(self, answer: bytes) -> None:
        status, code = HEALTH.unpack(answer)
        if status == 2:
            self._protected = True
            raise SensorError(
                f"the lidar has stopped to protect itself, error code {code:#06x}",
                hint="It is reset now; if that does not help, check that it turns freely.",
            )
        self._warning = f"the lidar warns, error code {code:#06x}" if status else ""

    def _points(self, now_ns: int) -> list[Chunk]:
        chunks = []
        while (point := self._next_point()) is not None:
            del self._buffer[: POINT.size]
            self._last_deg = point.angle_deg
            chunks += self._take(point, now_ns)
        return chunks

    def _next_point(self) -> Point | None:
        """The point that the buffer begins with; None where more bytes are needed to know it."""
        while len(self._buffer) >= POINT.size:
            point = parse_point(bytes(self._buffer[: POINT.size]))
            right = point is not None and (self._last_deg is None or follows(self._last_deg, point.angle_deg))
            if right and point is not None and self._in_step and not point.begins_turn:
                return point
            # What would end a turn, or bring us back into step, is believed when others like it follow.
            if right and len(self._buffer) < POINT.size * CONFIRM_POINTS:
                return None
            if right and self._confirmed():
                self._in_step = True
                return point
            if self._in_step:
                self._fall_out_of_step()
            del self._buffer[0]
        return None

    def _confirmed(self) -> bool:
        """True where the next points all may be points, and each may follow on the other."""
        ends = range(POINT.size, POINT.size * (CONFIRM_POINTS + 1), POINT.size)
        points = [parse_point(bytes(self._buffer[end - POINT.size : end])) for end in ends]
        angles = [point.angle_deg for point in points if point is not None]
        return len(angles) == CONFIRM_POINTS and all(map(follows, angles, angles[1:]))

    def _fall_out_of_step(self) -> None:
        """Bytes were lost or added: what the open turn took since then cannot be trusted."""
        self.health.errors += 1
        self._lost += self._scan is not None
        self._in_step, self._scan, self._last_deg = False, None, None

    def _take(self, point: Point, now_ns: int) -> list[Chunk]:
        done = self._scan
        if point.begins_turn:
            self._scan = Scan()
        if self._scan is not None:
            self._scan.add(point.angle_deg, point.range_m)
        if done is None or done is self._scan:
            return []
        self._progress_ns = now_ns
        self.health.state = SensorState.DEGRADED if self._warning else SensorState.ONLINE
        self.health.reason = self._warning
        lost, self._lost = self._lost, 0
        return [turn(self.name, now_ns, done, lost=lost, simulated=self.simulated)]


def rplidar_sensor(
    name: str, slot: str, port: str, *, baud_rate: int = 115_200, simulated: bool = False, clock: Clock
) -> Sensor:
    """An RPLIDAR A1, from its settings. The adapter of its kit holds the motor while DTR is set."""
    return SerialSensor(
        name,
        slot,
        port,
        lambda health: RplidarSession(name, health, simulated),
        baud_rate=baud_rate,
        channels={name: CHANNELS},
        monotonic_ns=clock.monotonic_ns,
        dtr=False,
    )

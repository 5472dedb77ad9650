"""An LD06 at the far end of a pty, in a recorded or invented room; `ld06` names the manual it keeps to."""

from __future__ import annotations

import struct
from pathlib import Path

from edge_agent.sensors.ld06 import CLOCK_MS, HEADER, PACKET, POINTS, crc8
from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.sensors.simulated_lidar import Turntable
from edge_agent.sensors.simulated_serial import SimulatedSerial
from edge_agent.types import Clock

POINTS_PER_S = 4500
_INTENSITY = 200


class Ld06Device:
    """The LD06 without its line: it talks once its motor has spun up."""

    def __init__(self, world: Signal, *, turns_hz: float, spin_up_us: int) -> None:
        self.turntable = Turntable(world, POINTS_PER_S, turns_hz)
        self._spin_up_us = spin_up_us

    def boot(self, age_us: int) -> bytes:
        """Power comes back; it says nothing yet."""
        self.turntable.start(age_us + self._spin_up_us)
        return b""

    def receive(self, data: bytes, age_us: int) -> bytes:
        """It does not listen."""
        del data, age_us
        return b""

    def due(self, age_us: int) -> list[bytes]:
        """Every packet whose 12 points are measured."""
        packets = []
        while (ready_us := self.next_due_us()) <= age_us:
            packets.append(self._packet(ready_us // 1000 % CLOCK_MS))
        return packets

    def next_due_us(self) -> int:
        """When the next 12 points are measured."""
        return self.turntable.ready_us(POINTS)

    def _packet(self, time_ms: int) -> bytes:
        points = [self.turntable.next() for _ in range(POINTS)]
        start, end = (round(points[i][1] * 100) % 36_000 for i in (0, -1))
        data = b"".join(
            struct.pack("<HB", round(range_m * 1000), _INTENSITY if range_m else 0)
            for _, _, range_m in points
        )
        speed_deg_s = 0 if self.turntable.held else round(360 * self.turntable.turns_hz)
        packet = PACKET.pack(HEADER, speed_deg_s, start, data, end, time_ms, 0)
        return packet[:-1] + bytes([crc8(packet[:-1])])


class SimulatedLd06(SimulatedSerial):
    """An LD06 in `world`; see SimulatedSerial for the line and its faults."""

    def __init__(
        self,
        world: Signal,
        clock: Clock,
        *,
        link: Path | None = None,
        turns_hz: float = 10.0,
        spin_up_s: float = 0.2,
        drift_ppm: float = 40.0,
        seed: int = 0,
    ) -> None:
        self._lidar = Ld06Device(world, turns_hz=turns_hz, spin_up_us=round(spin_up_s * 1e6))
        super().__init__(
            self._lidar, link=link, drift_ppm=drift_ppm, seed=seed, monotonic_ns=clock.monotonic_ns
        )

    def hold(self, *, held: bool = True) -> None:
        """Keep it from turning, or let it go."""
        self._lidar.turntable.held = held

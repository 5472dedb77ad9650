"""An RPLIDAR A1 at the far end of a pty, in a recorded or invented room; `rplidar` names its document."""

from __future__ import annotations

from pathlib import Path

from edge_agent.sensors.rplidar import HEALTH, INFO, POINT, RESET, STOP, Question
from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.sensors.simulated_lidar import Turntable
from edge_agent.sensors.simulated_serial import SimulatedSerial
from edge_agent.types import Clock

POINTS_PER_S = 2000
_FRAME_POINTS = 16
"""Points that reach the line together, as in the packets of a USB adapter."""
_QUALITY = 15


class RplidarDevice:
    """The RPLIDAR A1 without its line.

    It measures from SCAN on, once its motor has spun up, until any other request. In protection it answers,
    but does not scan, until RESET.
    """

    BANNER = b"RP LIDAR System.\r\nFirmware Ver 1.29, HW Ver 7\r\nModel: 18\r\n"
    INFO = INFO.pack(0x18, 29, 1, 7, bytes(range(16)))

    def __init__(self, world: Signal, *, turns_hz: float, spin_up_us: int) -> None:
        self.turntable = Turntable(world, POINTS_PER_S, turns_hz)
        self.health = (0, 0)
        """Status (0 good, 1 warning, 2 error, which is protection) and error code."""
        self._spin_up_us = spin_up_us
        self._scanning = False
        self._request = b""

    def boot(self, age_us: int) -> bytes:
        """Power comes back, or RESET: what was wrong is forgotten, and nothing is measured."""
        del age_us
        self.health, self._scanning, self._request = (0, 0), False, b""
        return self.BANNER

    def receive(self, data: bytes, age_us: int) -> bytes:
        """Answer requests; what is none is skipped."""
        answers = []
        self._request += data
        while len(self._request) >= 2:
            if self._request[0] != STOP[0]:
                self._request = self._request[1:]
                continue
            request, self._request = self._request[:2], self._request[2:]
            answers.append(self._answer(request, age_us))
        return b"".join(answers)

    def due(self, age_us: int) -> list[bytes]:
        """Points that are measured, sixteen together."""
        self._scanning = self._scanning and self.health[0] != 2
        frames = []
        while self._scanning and self.turntable.ready_us(_FRAME_POINTS) <= age_us:
            frames.append(b"".join(self._point() for _ in range(_FRAME_POINTS)))
        return frames

    def next_due_us(self) -> int | None:
        """When sixteen more are measured; None while it does not scan."""
        return self.turntable.ready_us(_FRAME_POINTS) if self._scanning else None

    def _answer(self, request: bytes, age_us: int) -> bytes:
        self._scanning = False
        if request == RESET:
            return self.boot(age_us)
        for question, answer in (
            (Question.INFO, self.INFO),
            (Question.HEALTH, HEALTH.pack(*self.health)),
        ):
            if request == question.value[0]:
                return question.value[1] + answer
        if request == Question.SCAN.value[0] and self.health[0] != 2:
            self._scanning = True
            self.turntable.start(age_us + self._spin_up_us)
            return Question.SCAN.value[1]
        return b""

    def _point(self) -> bytes:
        begins, angle_deg, range_m = self.turntable.next()
        flags = (_QUALITY if range_m else 0) << 2 | (1 if begins else 2)
        return POINT.pack(flags, int(angle_deg * 64) << 1 | 1, round(range_m * 4000))


class SimulatedRplidar(SimulatedSerial):
    """An RPLIDAR A1 in `world`; see SimulatedSerial for the line and its faults."""

    def __init__(
        self,
        world: Signal,
        clock: Clock,
        *,
        link: Path | None = None,
        turns_hz: float = 5.5,
        spin_up_s: float = 0.2,
        drift_ppm: float = 40.0,
        seed: int = 0,
    ) -> None:
        self._lidar = RplidarDevice(world, turns_hz=turns_hz, spin_up_us=round(spin_up_s * 1e6))
        super().__init__(
            self._lidar, link=link, drift_ppm=drift_ppm, seed=seed, monotonic_ns=clock.monotonic_ns
        )

    def hold(self, *, held: bool = True) -> None:
        """Keep it from turning, or let it go."""
        self._lidar.turntable.held = held

    def warn(self, code: int) -> None:
        """Something may break: it goes on, and says so from the next GET_HEALTH on."""
        self._lidar.health = (1, code)

    def protect(self, code: int) -> None:
        """It stops itself, until RESET or until power comes back."""
        self._lidar.health = (2, code)

"""A simulated BH1750: commands of one byte, and a data register that holds the last measurement.

ROHM BH1750FVI technical note 2009.04 rev. B: instructions page 5, measurement page 6, read format page 10,
adjustment of the measurement time page 11.
"""

from __future__ import annotations

from edge_agent.sensors.i2c import bh1750 as driver
from edge_agent.sensors.simulated_chips.room import invented_room
from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.types import Clock

POWER_DOWN, POWER_ON, RESET = 0b0000_0000, 0b0000_0001, 0b0000_0111
CONTINUOUS_H, ONE_TIME_H = 0b0001_0000, 0b0010_0000
TIME_HIGH, TIME_LOW = 0b01000, 0b011
USUAL_TIME = 69
MEASURE_NS = 120_000_000
"""Typical, in H-resolution mode at the usual measurement time."""


class SimulatedBh1750:
    """`signal` gives lx. What lies beyond the two bytes of a read is the idle bus.

    Of the modes it knows H-resolution, once and continuously.
    """

    def __init__(self, clock: Clock, signal: Signal) -> None:
        self.monotonic_ns = clock.monotonic_ns
        self.powered = False
        self.time = USUAL_TIME
        self._signal = signal
        self._born_ns = clock.monotonic_ns()
        self._data = 0
        self._due_ns: int | None = None
        self._continuous = False

    def write(self, data: bytes) -> None:
        """One command; what follows it without a stop is not taken (page 10)."""
        self._measure()
        if not data:
            return
        command = data[0]
        if command == POWER_DOWN:
            self._sleep()
        elif command == POWER_ON:
            self.powered = True
        elif command == RESET:
            self._data = 0 if self.powered else self._data
        elif command in (CONTINUOUS_H, ONE_TIME_H):
            self.powered, self._continuous = True, command == CONTINUOUS_H
            self._due_ns = self.monotonic_ns() + self._period_ns()
        elif command >> 3 == TIME_HIGH:
            self.time = (command & 7) << 5 | self.time & 31
        elif command >> 5 == TIME_LOW:
            self.time = self.time & 0xE0 | command & 31

    def read(self, count: int) -> bytes:
        """The last measurement, whether it is new or not."""
        self._measure()
        return self._data.to_bytes(2, "big").ljust(count, b"\xff")[:count]

    def _period_ns(self) -> int:
        return MEASURE_NS * self.time // USUAL_TIME

    def _measure(self) -> None:
        """The newest measurement that is over goes into the data; after a single one it sleeps (page 5)."""
        now_ns = self.monotonic_ns()
        if self._due_ns is None or now_ns < self._due_ns:
            return
        self._due_ns += (now_ns - self._due_ns) // self._period_ns() * self._period_ns()
        lux = float(self._signal((self._due_ns - self._born_ns) * 1e-9)[0])
        self._data = min(0xFFFF, max(0, round(lux * 6 / 5 * self.time / USUAL_TIME)))
        if self._continuous:
            self._due_ns += self._period_ns()
        else:
            self._sleep()

    def _sleep(self) -> None:
        self.powered, self._due_ns = False, None


def invented(seed: int) -> Signal:
    """See chips.Invent: it is in a room that people come to and leave."""
    return invented_room(driver.CHANNELS, seed)


def simulated(clock: Clock, signal: Signal | None = None, seed: int = 0) -> SimulatedBh1750:
    """See chips.Simulate."""
    return SimulatedBh1750(clock, signal or invented(seed))

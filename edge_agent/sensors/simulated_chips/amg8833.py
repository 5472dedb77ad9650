"""A simulated Grid-EYE AMG8833: measures 10 or 1 frames a second into its registers, and sleeps.

Panasonic, Infrared Array Sensor Grid-EYE (AMG88), reference specifications: register map.
"""

from __future__ import annotations

import math

from edge_agent.sensors.i2c import amg8833 as driver
from edge_agent.sensors.simulated_chips.chip import RegisterChip
from edge_agent.sensors.simulated_chips.thermal_scene import walking_person
from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.types import Clock

AFTER_RESET = {driver.PCTL: driver.NORMAL, driver.FPSC: 0, driver.STAT: 0}
WRITE_ONLY = (driver.RST, driver.SCLR)
LARGEST = 0x7FF


class SimulatedAmg8833(RegisterChip):
    """`signal` gives degC, 64 pixels and then the thermistor. The registers hold a frame until the next."""

    def __init__(self, clock: Clock, signal: Signal) -> None:
        super().__init__(clock.monotonic_ns, AFTER_RESET)
        self._signal = signal
        self._born_ns = clock.monotonic_ns()
        self._frame_s = -1.0
        """When the frame in the registers was measured, since the start."""

    def loaded(self, register: int) -> int:
        """Asleep it tells nothing but that; otherwise what is due is measured first."""
        if register in WRITE_ONLY:
            return 0
        if self.registers[driver.PCTL] == driver.SLEEP:
            return driver.SLEEP if register == driver.PCTL else 0
        self._measure()
        return super().loaded(register)

    def stored(self, register: int, value: int) -> None:
        """What is measured cannot be written, and a chip that sleeps can only be woken."""
        if self.registers[driver.PCTL] == driver.SLEEP and register != driver.PCTL:
            return
        match register:
            case driver.RST if value == driver.INITIAL_RESET:
                self.registers = dict(AFTER_RESET)
            case driver.RST if value == driver.FLAG_RESET:
                self.registers[driver.STAT] = 0
            case driver.SCLR:
                self.registers[driver.STAT] &= ~value
            case driver.PCTL | driver.FPSC:
                super().stored(register, value)

    def _measure(self) -> None:
        period_s = 1.0 if self.registers[driver.FPSC] & driver.ONE_A_SECOND else 0.1
        now_s = (self.monotonic_ns() - self._born_ns) * 1e-9
        frame_s = math.floor(now_s / period_s + 1e-6) * period_s
        if frame_s == self._frame_s and driver.PIXELS in self.registers:
            return
        self._frame_s = frame_s
        *pixels, own = (float(value) for value in self._signal(frame_s))
        for i, celsius in enumerate(pixels):
            self.put(driver.PIXELS + 2 * i, self._pixel(celsius))
        self.put(driver.THERMISTOR, self._thermistor(own))

    def _pixel(self, celsius: float) -> bytes:
        """Quarters of a degree, negative ones counted down from 1000h."""
        quarters = round(celsius * 4)
        if not -LARGEST - 1 <= quarters <= LARGEST:
            self.registers[driver.STAT] |= driver.PIXEL_OVERFLOW
            quarters = max(-LARGEST - 1, min(quarters, LARGEST))
        return (quarters if quarters >= 0 else 0x1000 + quarters).to_bytes(2, "little")

    def _thermistor(self, celsius: float) -> bytes:
        """Sixteenths of a degree, and a sign in bit 11."""
        sixteenths = round(abs(celsius) * 16)
        if sixteenths > LARGEST:
            self.registers[driver.STAT] |= driver.THERMISTOR_OVERFLOW
            sixteenths = LARGEST
        return (sixteenths + (0x800 if celsius < 0 else 0)).to_bytes(2, "little")


def invented(seed: int) -> Signal:
    """See chips.Invent: somebody walks through a room."""
    return walking_person(8, 8, seed)


def simulated(clock: Clock, signal: Signal | None = None, seed: int = 0) -> SimulatedAmg8833:
    """See chips.Simulate."""
    return SimulatedAmg8833(clock, signal or invented(seed))

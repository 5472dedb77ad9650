"""A simulated VL53L0X: paged registers, a reset that takes time, calibrations, and ranging at its own pace.

Data sheet DocID029104 rev. 2 (reference registers 3.2, boot sequence), UM2039 for the steps of a measurement
and their durations. It ranges only as it was set up: with no voltage calibration it reports a hardware fault.
"""

from __future__ import annotations

import math

import numpy as np

from edge_agent.sensors.i2c import vl53l0x as driver
from edge_agent.sensors.simulated_chips.chip import RegisterChip
from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.types import Clock, Float32

BOOT_NS = 1_200_000
CALIBRATION_NS = 5_000_000
MEMORY_NS = 100_000
FARTHEST_M = 2.0
BEYOND_MM = 8190
"""What it gives for the distance where it sees no target."""
NO_TARGET, COMPLETE = 4, 11
STOP_VARIABLE = 0x3C
FACTORY_SPADS = 0x80 | 5  # with aperture, five of them
GOOD_SPADS = b"\x0f\xf7\xfb\x3f\x0f\x00"
AFTER_RESET = {
    0xC0: 0xEE, 0xC1: 0xAA, 0xC2: 0x10, 0x51: 0x00, 0x52: 0x99, 0x61: 0x00, 0x62: 0x00, driver.SEQUENCE: 0xFF,
    0x100 | driver.STOP_VARIABLE: STOP_VARIABLE,
    **{driver.REF_SPADS + i: spads for i, spads in enumerate(GOOD_SPADS)},
}  # fmt: skip
"""Page and register -> value."""


class SimulatedVl53l0x(RegisterChip):
    """`signal` gives metres and millions of counts a second; a distance that is NaN is no target.

    `fault` is a code of RESULT_RANGE_STATUS that every measurement ends with while it is set.
    """

    def __init__(self, clock: Clock, signal: Signal) -> None:
        super().__init__(clock.monotonic_ns, AFTER_RESET)
        self.fault = 0
        self._signal = signal
        self._born_ns = clock.monotonic_ns()
        self._held = False
        self._up_ns = 0
        self._page = 0
        self._calibrated: set[int] = set()
        self._mode = 0
        self._started_ns = 0
        self._taken = 0
        self._memory_ns: int | None = None

    def loaded(self, register: int) -> int:
        """Everything is 0 in reset and until it has booted."""
        if self._held or self.monotonic_ns() < self._up_ns:
            return 0
        if self._page == 0:
            self._range()
        if (self._page, register) in ((7, 0x83), (7, 0x92)):
            return self._memory(register)
        return super().loaded(self._page << 8 | register)

    def stored(self, register: int, value: int) -> None:
        """PAGE chooses the page of all others; START, SOFT_RESET and INTERRUPT_CLEAR act."""
        if register == driver.PAGE:
            self._page = value
            return
        super().stored(self._page << 8 | register, value)
        if self._page == 7 and register == 0x83 and value == 0:
            self._memory_ns = self.monotonic_ns()
        if self._page:
            return
        if register == driver.SOFT_RESET:
            self._reset(held=not value & 1)
        elif register == driver.START:
            self._mode, self._started_ns, self._taken = value, self.monotonic_ns(), 0
        elif register == driver.INTERRUPT_CLEAR:
            self.registers[driver.INTERRUPT_STATUS] = 0

    def _reset(self, *, held: bool) -> None:
        self._held = held
        self._up_ns = self.monotonic_ns() + BOOT_NS
        self.registers = dict(AFTER_RESET)
        self._calibrated.clear()
        self._mode = 0

    def _memory(self, register: int) -> int:
        """0x83 tells that the read of the factory's memory, asked for in 0x94, is done; 0x92 has it."""
        asked = self.registers.get(0x794) == 0x6B and self._memory_ns is not None
        done = asked and self.monotonic_ns() - (self._memory_ns or 0) >= MEMORY_NS
        if register == 0x92:
            return FACTORY_SPADS if done else 0
        return 0x10 if done else self.registers.get(0x783, 0)

    def _range(self) -> None:
        """What was due until now."""
        passed_ns = self.monotonic_ns() - self._started_ns
        if self._mode & driver.SINGLE:
            if passed_ns >= CALIBRATION_NS:
                self._calibrated.add(self._mode & driver.VHV_CALIBRATION)
                self._mode = self.registers[driver.START] = 0
                self.registers[driver.INTERRUPT_STATUS] = self.registers.get(driver.INTERRUPT_CONFIG, 0)
        elif self._mode & driver.BACK_TO_BACK and (done := passed_ns // self.period_ns()) > self._taken:
            self._taken = done
            moment_ns = self._started_ns + done * self.period_ns() - self._born_ns
            self._measured(self._signal(moment_ns * 1e-9))
            self.registers[driver.INTERRUPT_STATUS] = self.registers.get(driver.INTERRUPT_CONFIG, 0)

    def _measured(self, values: Float32) -> None:
        distance_m, signal_rate = (float(value) for value in values)
        count_rate = min(0xFFFF, max(0, round(signal_rate * 128)))
        least = self.registers.get(0x44, 0) << 8 | self.registers.get(0x45, 0)
        status, distance_mm = NO_TARGET, BEYOND_MM
        if not math.isnan(distance_m) and distance_m <= FARTHEST_M and count_rate >= least:
            status, distance_mm = COMPLETE, max(0, round(distance_m * 1000))
        if self._calibrated != {driver.VHV_CALIBRATION, driver.PHASE_CALIBRATION}:
            status = 3
        self.put(0x14, bytes(((self.fault or status) << 3,)))
        self.put(0x1A, count_rate.to_bytes(2, "big"))
        self.put(0x1E, distance_mm.to_bytes(2, "big"))

    def period_ns(self) -> int:
        """The steps that SEQUENCE names, one after the other, as long as their time-outs allow."""
        steps = self.registers.get(driver.SEQUENCE, 0)
        pre_ns, final_ns = (2304 * 1655 * 2 * (self.registers.get(r, 0) + 1) // 1000 for r in (0x50, 0x70))
        pre_macros, final_macros = self._macros(0x51), self._macros(0x71)
        first_ns = (self.registers.get(0x46, 0) + 1) * pre_ns
        total_ns = 2_870_000
        if steps & 0x10:
            total_ns += first_ns + 590_000
        if steps & 0x08:
            total_ns += 2 * (first_ns + 690_000)
        elif steps & 0x04:
            total_ns += first_ns + 660_000
        if steps & 0x40:
            total_ns += pre_macros * pre_ns + 660_000
            final_macros -= pre_macros
        if steps & 0x80:
            total_ns += max(0, final_macros) * final_ns + 550_000
        return total_ns

    def _macros(self, register: int) -> int:
        return (self.registers.get(register + 1, 0) << self.registers.get(register, 0)) + 1


def hand(seed: int, *, nearest_m: float, farthest_m: float, rate: float) -> Signal:
    """A hand that comes and goes before a sensor, and a second value around `rate`."""
    rng = np.random.default_rng(seed)
    phase, period_s = rng.uniform(0, 2 * np.pi), rng.uniform(3.0, 6.0)
    middle_m, reach_m = (farthest_m + nearest_m) / 2, (farthest_m - nearest_m) / 2

    def signal(seconds: float) -> Float32:
        swing = np.sin(2 * np.pi * seconds / period_s + phase)
        return np.array([middle_m + reach_m * swing, rate * (1 - 0.5 * swing)], np.float32)

    return signal


def invented(seed: int) -> Signal:
    """See chips.Invent: a hand moves before it."""
    return hand(seed, nearest_m=0.05, farthest_m=0.6, rate=8.0)


def simulated(clock: Clock, signal: Signal | None = None, seed: int = 0) -> SimulatedVl53l0x:
    """See chips.Simulate."""
    return SimulatedVl53l0x(clock, signal or invented(seed))

"""A simulated VL53L1X: deaf until it has booted, ranging with its own period, first range unchecked.

Data sheet DocID031281 rev. 3 (reference registers, boot sequence); UM2510 and UM2356 for what the
registers mean and how long a measurement takes.
"""

from __future__ import annotations

import math

from edge_agent.sensors.i2c import vl53l1x as driver
from edge_agent.sensors.simulated_chips.chip import NackError, RegisterChip
from edge_agent.sensors.simulated_chips.vl53l0x import hand
from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.types import Clock, Float32

BOOT_NS = 1_200_000
GUARD_NS = 4_528_000
"""What a measurement needs beside its two phases."""
FARTHEST_M = 4.0
OSC_CALIBRATION = 0x06F0
"""The low ten bits count in a millisecond."""
FAST_OSC = 0xBCCC
LEVEL_OF_INTERRUPT, INTERRUPT_CONFIG, NEW_SAMPLE = 0x30, 0x46, 0x20
NO_TARGET, COMPLETE, COMPLETE_NOT_CHECKED = 4, 9, 19
AFTER_RESET = {
    0x06: FAST_OSC >> 8, 0x07: FAST_OSC & 0xFF, 0xDE: OSC_CALIBRATION >> 8, 0xDF: OSC_CALIBRATION & 0xFF,
    0xE5: 0x03, 0x10F: 0xEA, 0x110: 0xCC, 0x111: 0x10,
}  # fmt: skip


class SimulatedVl53l1x(RegisterChip):
    """`signal` gives metres and millions of counts a second; a distance that is NaN is no target.

    `fault` is a code of RESULT__RANGE_STATUS that every measurement ends with while it is set.
    """

    index_bytes = 2

    def __init__(self, clock: Clock, signal: Signal) -> None:
        super().__init__(clock.monotonic_ns, AFTER_RESET)
        self.fault = 0
        self._signal = signal
        self._born_ns = clock.monotonic_ns()
        self._up_ns = 0
        self._started_ns = 0
        self._taken = 0
        self._new = False

    def write(self, data: bytes) -> None:
        """While it boots it does not acknowledge."""
        self._awake()
        super().write(data)

    def read(self, count: int) -> bytes:
        """While it boots it does not acknowledge."""
        self._awake()
        return super().read(count)

    def loaded(self, register: int) -> int:
        """The interrupt's level stands in 0x31; 0x30 says which level is active."""
        self._range()
        if register == driver.INTERRUPT_LEVEL:
            active_high = not self.registers.get(LEVEL_OF_INTERRUPT, 0) & 0x10
            return 0x02 | int(self._new == active_high)
        return super().loaded(register)

    def stored(self, register: int, value: int) -> None:
        """SOFT_RESET, MODE and INTERRUPT_CLEAR act."""
        self._range()
        super().stored(register, value)
        if register == driver.SOFT_RESET:
            self.registers = dict(AFTER_RESET)
            self._new = False
            if value & 1:
                self._up_ns = self.monotonic_ns() + BOOT_NS
        elif register == driver.MODE:
            self._started_ns, self._taken = self.monotonic_ns(), 0
        elif register == driver.INTERRUPT_CLEAR and value & 1:
            self._new = False

    def _awake(self) -> None:
        if self.monotonic_ns() < self._up_ns:
            raise NackError

    def _range(self) -> None:
        """What was due until now."""
        if self.registers.get(driver.MODE) != driver.RANGING:
            return
        passed_ns = self.monotonic_ns() - self._started_ns - self.ranging_ns()
        done = max(0, passed_ns // self.period_ns() + 1)
        if done <= self._taken:
            return
        moment_ns = self._started_ns + self.ranging_ns() + (done - 1) * self.period_ns() - self._born_ns
        self._measured(self._signal(moment_ns * 1e-9), COMPLETE if self._taken else COMPLETE_NOT_CHECKED)
        self._taken = done
        self._new = self._new or self.registers.get(INTERRUPT_CONFIG) == NEW_SAMPLE

    def _measured(self, values: Float32, complete: int) -> None:
        distance_m, ambient_rate = (float(value) for value in values)
        seen = not math.isnan(distance_m) and distance_m <= FARTHEST_M
        self.put(driver.RESULT, bytes((self.fault or (complete if seen else NO_TARGET),)))
        self.put(0x90, min(0xFFFF, max(0, round(ambient_rate * 128))).to_bytes(2, "big"))
        self.put(0x96, (max(0, round(distance_m * 1000)) if seen else 0).to_bytes(2, "big"))

    def ranging_ns(self) -> int:
        """Both phases as long as their time-outs allow: a macro period is 2304 periods of the laser."""
        pll_ps = (1 << 30) / self._u16(0x0006) / (1 << 24) * 1e6
        phases_ps = 0.0
        for timeout, laser_period in ((0x5E, 0x60), (0x61, 0x63)):
            get = self.registers.get
            macros = (get(timeout + 1, 0) << get(timeout, 0)) + 1
            phases_ps += macros * 2304 * 2 * (get(laser_period, 0) + 1) * pll_ps
        return round(phases_ps / 1000) + GUARD_NS

    def period_ns(self) -> int:
        """The period that is set, or the time of a measurement where that is longer."""
        ticks = self._u16(0x6C) << 16 | self._u16(0x6E)
        ticks_per_ms = self._u16(0x00DE) % 1024
        return max(self.ranging_ns(), round(ticks / (ticks_per_ms * 1.075) * 1e6))

    def _u16(self, register: int) -> int:
        return self.registers.get(register, 0) << 8 | self.registers.get(register + 1, 0)


def invented(seed: int) -> Signal:
    """See chips.Invent: somebody comes and goes before it."""
    return hand(seed, nearest_m=0.4, farthest_m=3.2, rate=0.6)


def simulated(clock: Clock, signal: Signal | None = None, seed: int = 0) -> SimulatedVl53l1x:
    """See chips.Simulate."""
    return SimulatedVl53l1x(clock, signal or invented(seed))

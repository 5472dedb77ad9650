"""A simulated MPR121: electrodes with a capacitance, charged by what the chip was told or found itself.

Data sheet rev. 4, chapter 5; the baseline filter as AN3891 tells it. Auto-reconfiguration, the proximity
electrode and the pins as outputs are not simulated, no driver here uses them.
"""

from __future__ import annotations

import math

import numpy as np

from edge_agent.sensors.i2c import mpr121 as driver
from edge_agent.sensors.simulated_chips.chip import RegisterChip
from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.types import Clock, Float32

N = 12
AFTER_RESET = {0x5C: 0x10, 0x5D: 0x24}
ECR, SOFT_RESET, LAST_OUTPUT = 0x5E, 0x80, 0x2A
CURRENT, TIME = 0x5F, 0x6C  # of each electrode: a byte, and half a byte
OVER_CURRENT, CONFIG_FAILED = 0x80, 0x80  # of registers 0x01 and 0x03
SAMPLES = (4, 6, 10, 18)
FIRST_BASELINE = (0, 0, 0x3E0, 0x3FF)
"""Which bits of the first data the baseline begins with, by the two upper bits of ECR."""
SUPPLY_V = 3.3
MOST_BEHIND = 2000
"""Updates that are worked through when nobody asked for long."""


class SimulatedMpr121(RegisterChip):
    """`signal` gives the counts by which each electrode's data falls; nobody touches while it configures.

    `capacitance_pf` (12,) is what the electrodes are, `over_current` a fault at REXT; both may change.
    """

    def __init__(self, clock: Clock, signal: Signal, capacitance_pf: Float32) -> None:
        super().__init__(clock.monotonic_ns, AFTER_RESET)
        self.capacitance_pf = capacitance_pf
        self.over_current = False
        self._signal = signal
        self._born_ns = clock.monotonic_ns()
        self._stop()

    def _stop(self) -> None:
        self._on_ns = 0
        self._taken = 0
        self._baseline = np.zeros(N, np.int64)
        self._touched = np.zeros(N, bool)
        self._drifting = np.zeros(N, np.int64)
        """For how many updates in a row each electrode's data was far from its baseline."""

    def loaded(self, register: int) -> int:
        """The outputs are brought up to date first."""
        if register <= LAST_OUTPUT:
            self._update()
        return super().loaded(register)

    def stored(self, register: int, value: int) -> None:
        """In run mode only the reset and the run mode itself can be written."""
        if register == SOFT_RESET and value == driver.RESET_KEY:
            # Only writing to it is said to clear the over-current flag.
            self.registers = {**AFTER_RESET, 0x01: self.registers.get(0x01, 0) & OVER_CURRENT}
            self._stop()
        elif register == ECR:
            self._switch(value)
        elif register == 0x01 and value & OVER_CURRENT:
            self.registers[0x01] = 0
        elif register > LAST_OUTPUT and not self._running():
            super().stored(register, value)

    def _running(self) -> bool:
        return bool(self.registers.get(ECR, 0) & 0x0F)

    def _switch(self, value: int) -> None:
        """Into run mode, or out of it. With the over-current flag set this is not heard."""
        if self.registers.get(0x01, 0) & OVER_CURRENT:
            return
        starting = value & 0x0F and not self._running()
        super().stored(ECR, value)
        if not starting:
            return
        self._stop()
        self._on_ns = self.monotonic_ns()
        if self.registers.get(0x7B, 0) & 1:
            self._configure()

    def _configure(self) -> None:
        """Current and time of each electrode, for a level as near the target as can be (5.11)."""
        upper, lower, target = (4 * self.registers.get(register, 0) for register in (0x7D, 0x7E, 0x7F))
        for i, capacitance in enumerate(self.capacitance_pf):
            charge = target / 1024 * SUPPLY_V * float(capacitance)
            time = next((t for t in range(1, 8) if charge / (0.5 * 2 ** (t - 1)) <= 63), 7)
            self.registers[CURRENT + i] = min(63, max(1, round(charge / (0.5 * 2 ** (time - 1)))))
            shift = 4 * (i % 2)
            others = self.registers.get(TIME + i // 2, 0) & ~(7 << shift)
            self.registers[TIME + i // 2] = others | time << shift
        levels = self._levels()
        failed = sum(1 << i for i in range(N) if not lower <= levels[i] <= upper)
        self.put(0x02, bytes((failed & 0xFF, failed >> 8 | (CONFIG_FAILED if failed else 0))))

    def _levels(self) -> np.ndarray:
        """(12,) what the untouched electrodes read: counts = I T / (C VDD) 1024 (equation 4)."""
        get = self.registers.get
        current = np.array([get(CURRENT + i, 0) or get(0x5C, 0) & 63 for i in range(N)])
        own = [get(TIME + i // 2, 0) >> 4 * (i % 2) & 7 for i in range(N)]
        time_us = 0.5 * 2.0 ** (np.array([t or get(0x5D, 0) >> 5 for t in own]) - 1)
        counts: np.ndarray = np.rint(current * time_us / (self.capacitance_pf * SUPPLY_V) * 1024)
        return counts.clip(max=1023)

    def _update(self) -> None:
        """Everything that was due until now: data, baseline and touch of each electrode."""
        if not self._running():
            return
        if self.over_current:
            self.registers.update(dict.fromkeys(range(LAST_OUTPUT + 1), 0))
            self.registers[0x01] = OVER_CURRENT
            self.registers[ECR] &= 0xC0
            return
        config = self.registers[0x5D]
        period_ns = SAMPLES[config >> 3 & 3] * 2 ** (config & 7) * 1_000_000
        due = (self.monotonic_ns() - self._on_ns) // period_ns
        if due > self._taken:
            self._take(due, period_ns)

    def _take(self, due: int, period_ns: int) -> None:
        """All updates up to number `due`, and the outputs as they are then."""
        levels = self._levels()
        if self._taken == 0:
            self._baseline = levels.astype(np.int64) & FIRST_BASELINE[self.registers[ECR] >> 6]
        enabled = np.arange(N) < self.registers[ECR] & 0x0F
        self._taken = max(self._taken, due - MOST_BEHIND)
        while self._taken < due:
            self._taken += 1
            seconds = (self._on_ns - self._born_ns + self._taken * period_ns) * 1e-9
            data = np.clip(np.rint(levels - self._signal(seconds)), 0, 1023).astype(np.int64) * enabled
            self._touch(data)
            self._follow(data)
        touched = int((self._touched << np.arange(N)).sum())
        self.put(0x00, touched.to_bytes(2, "little"))
        self.put(0x04, data.astype("<u2").tobytes())
        self.put(0x1E, (self._baseline >> 2).astype(np.uint8).tobytes())

    def _touch(self, data: np.ndarray) -> None:
        """Touched above one threshold, no longer touched below the other."""
        thresholds = np.array([self.registers.get(0x41 + i, 0) for i in range(2 * N)]).reshape(N, 2)
        fallen = self._baseline - data
        self._touched = np.where(self._touched, fallen >= thresholds[:, 1], fallen > thresholds[:, 0])

    def _follow(self, data: np.ndarray) -> None:
        """The baseline follows small changes, and by steps large ones that last; never a touch."""
        off = data - self._baseline
        rising, falling = (np.array([self.registers.get(at + i, 0) for i in range(4)]) for at in (0x2B, 0x2F))
        half, step, count, delay = np.where((off > 0)[:, np.newaxis], rising, falling).T
        moving = ~self._touched & (self._taken % (delay + 1) == 0)
        small = np.abs(off) <= 2 * half
        self._drifting = np.where(small | self._touched, 0, self._drifting + moving)
        lasting = self._drifting > count
        self._drifting[lasting] = 0
        self._baseline += moving * np.where(small, off, lasting * np.sign(off) * step)


def invented(seed: int) -> Signal:
    """See chips.Invent: a finger slides over the electrodes, leaves, and comes back."""
    rng = np.random.default_rng(seed)
    period_s, counts = rng.uniform(5, 8), rng.uniform(70, 130)

    def signal(seconds: float) -> Float32:
        where = (seconds / period_s % 1) * 3 * N - N  # over the electrodes for a third of the time
        return np.array([counts * math.exp(-((where - i) ** 2)) for i in range(N)], np.float32)

    return signal


def simulated(clock: Clock, signal: Signal | None = None, seed: int = 0) -> SimulatedMpr121:
    """See chips.Simulate."""
    capacitance_pf = np.random.default_rng(seed).uniform(8, 20, N).astype(np.float32)
    return SimulatedMpr121(clock, signal or invented(seed), capacitance_pf)

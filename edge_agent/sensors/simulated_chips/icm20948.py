"""A simulated ICM-20948: four banks of registers, asleep after reset, a FIFO that fills and overflows.

Data sheet DS-000189 rev. 1.3. Its clock is a little off, as a real one is. The accelerometer and the
gyroscope are queued each at its own rate, and a FIFO in stream mode loses its oldest bytes when full.
"""

from __future__ import annotations

import math
import struct
from collections import deque

import numpy as np

from edge_agent.sensors.simulated_chips.chip import RegisterChip
from edge_agent.sensors.simulated_chips.world import Signal, walking
from edge_agent.types import Clock

BANK_SEL, BANK = 0x7F, 0x100
"""A register is kept under its bank times BANK plus its address."""
USER_CTRL, PWR_MGMT_1, PWR_MGMT_2, INT_ENABLE_2, INT_STATUS_2 = 0x03, 0x06, 0x07, 0x12, 0x1B
FIFO_EN_2, FIFO_RST, FIFO_COUNTH, FIFO_COUNTL, FIFO_R_W = 0x67, 0x68, 0x70, 0x71, 0x72
GYRO_DIV, GYRO_CONFIG_1 = 2 * BANK + 0x00, 2 * BANK + 0x01
ACCEL_DIV_H, ACCEL_DIV_L, ACCEL_CONFIG = 2 * BANK + 0x10, 2 * BANK + 0x11, 2 * BANK + 0x14
SLEEP, RESET = 0x40, 0x80
AFTER_RESET = {0x00: 0xEA, PWR_MGMT_1: 0x41, 0x05: 0x40, GYRO_CONFIG_1: 0x01, ACCEL_CONFIG: 0x01}
FIFO_BYTES = 512
CLOCK_ERROR = 1.003
GYRO_START_UP_S = 0.035
LSB_PER_G = (16384, 8192, 4096, 2048)
LSB_PER_DPS = (131.0, 65.5, 32.8, 16.4)
"""By the range bits 2 and 1 of ACCEL_CONFIG and GYRO_CONFIG_1 (tables 2 and 1)."""
ACCEL, GYRO = 0, 1
"""In the order in which they are queued: that of their registers."""


class SimulatedIcm20948(RegisterChip):
    """`signal` gives m/s2 and rad/s."""

    def __init__(self, clock: Clock, signal: Signal) -> None:
        super().__init__(clock.monotonic_ns, AFTER_RESET)
        self._signal = signal
        self._born_ns = self._awake_ns = self._on_ns = clock.monotonic_ns()
        self._fifo: deque[int] = deque()
        self._queued = [0, 0]
        """Of each sensor, since the FIFO was switched on."""

    def loaded(self, register: int) -> int:
        """INT_STATUS_2 clears when it is read; FIFO_R_W gives the oldest byte."""
        self._sample()
        key = self._key(register)
        if key == FIFO_R_W:
            return self._fifo.popleft() if self._fifo else 0xFF
        if key in (FIFO_COUNTH, FIFO_COUNTL):
            return len(self._fifo).to_bytes(2, "big")[key - FIFO_COUNTH]
        if key == INT_STATUS_2:
            return self.registers.pop(key, 0)
        return super().loaded(key)

    def following(self, register: int) -> int:
        """The FIFO's data register stays."""
        return register if self._key(register) == FIFO_R_W else super().following(register)

    def stored(self, register: int, value: int) -> None:
        """Reset, waking, and the start of sampling; FIFO_RST empties the FIFO and holds it empty."""
        self._sample()
        key = self._key(register)
        if key == PWR_MGMT_1 and value & RESET:
            self.registers = dict(AFTER_RESET)
            self._fifo.clear()
            return
        now_ns = self.monotonic_ns()
        if key == PWR_MGMT_1 and self.registers[key] & SLEEP and not value & SLEEP:
            self._awake_ns = now_ns
        super().stored(key, value)
        if key == FIFO_RST and value:
            self._fifo.clear()
        if key in (FIFO_EN_2, FIFO_RST, USER_CTRL, PWR_MGMT_1, GYRO_DIV, ACCEL_DIV_L):
            self._on_ns, self._queued = now_ns, [0, 0]

    def _key(self, register: int) -> int:
        bank = self.registers.get(BANK_SEL, 0) >> 4 & 3
        return register if register == BANK_SEL else bank * BANK + register

    def _rate_hz(self, sensor: int) -> float:
        """Undivided where the filter is switched off (FCHOICE, 10.2 and 10.15)."""
        get = self.registers.get
        if not get((ACCEL_CONFIG, GYRO_CONFIG_1)[sensor], 0) & 1:
            return CLOCK_ERROR * (4500, 9000)[sensor]
        divider = (get(ACCEL_DIV_H, 0) & 15) << 8 | get(ACCEL_DIV_L, 0)
        return CLOCK_ERROR * 1125 / (1 + (get(GYRO_DIV, 0) if sensor == GYRO else divider))

    def _queueing(self) -> list[int]:
        """The sensors whose samples go into the FIFO now; of the gyroscope all axes or none."""
        get = self.registers.get
        on = get(USER_CTRL, 0) & 0x40 and not get(PWR_MGMT_1, 0) & SLEEP and not get(FIFO_RST, 0)
        enabled = (get(FIFO_EN_2, 0) & 0x10, get(FIFO_EN_2, 0) & 0x0E == 0x0E)
        return [sensor for sensor in (ACCEL, GYRO) if on and enabled[sensor]]

    def _sample(self) -> None:
        """Everything that was due until now goes into the FIFO, in the order of time."""
        elapsed_s = (self.monotonic_ns() - self._on_ns) * 1e-9
        due = []
        for sensor in self._queueing():
            rate_hz = self._rate_hz(sensor)
            newest = int(elapsed_s * rate_hz)
            oldest = max(self._queued[sensor], newest - FIFO_BYTES)  # more would be pushed out at once
            due += [(n / rate_hz, sensor) for n in range(oldest + 1, newest + 1)]
            self._queued[sensor] = newest
        for after_s, sensor in sorted(due):
            self._push(sensor, self._on_ns + round(after_s * 1e9))

    def _push(self, sensor: int, at_ns: int) -> None:
        values = self._signal((at_ns - self._born_ns) * 1e-9).astype(np.float64)
        if sensor == ACCEL:
            bits = values[:3] / 9.80665 * LSB_PER_G[self.registers[ACCEL_CONFIG] >> 1 & 3]
        else:
            spinning = (at_ns - self._awake_ns) * 1e-9 >= GYRO_START_UP_S
            per_dps = LSB_PER_DPS[self.registers[GYRO_CONFIG_1] >> 1 & 3]
            bits = values[3:] / math.pi * 180 * per_dps * spinning
        self._fifo.extend(struct.pack(">3h", *(int(v) for v in np.clip(np.rint(bits), -32768, 32767))))
        while len(self._fifo) > FIFO_BYTES:
            self._fifo.popleft()
            self.registers[INT_STATUS_2] = self.registers.get(INT_ENABLE_2, 0) & 1


def invented(seed: int) -> Signal:
    """See chips.Invent: somebody walks."""
    return walking(seed)


def simulated(clock: Clock, signal: Signal | None = None, seed: int = 0) -> SimulatedIcm20948:
    """See chips.Simulate."""
    return SimulatedIcm20948(clock, signal or invented(seed))

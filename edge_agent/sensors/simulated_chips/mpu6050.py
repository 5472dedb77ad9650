"""A simulated MPU-6050: sleeps after reset, samples at its own rate into a FIFO that fills and overflows.

MPU-6000/6050 Register Map rev. 4.2. With another identity it is one of its relatives, whose FIFO is half as
large (MPU-9250 Product Specification rev. 1.1, features). Its clock is a little off, as a real one is.
"""

from __future__ import annotations

import struct
from collections import deque

import numpy as np

from edge_agent.sensors.i2c import mpu6050 as driver
from edge_agent.sensors.simulated_chips.chip import RegisterChip
from edge_agent.sensors.simulated_chips.world import Signal, walking
from edge_agent.types import Clock

SLEEP = 0x40
AFTER_RESET = {driver.PWR_MGMT_1: SLEEP, driver.WHO_AM_I: 0x68}
FIFO_BYTES, FIFO_BYTES_OF_RELATIVES = 1024, 512
CLOCK_ERROR = 1.003


class SimulatedMpu6050(RegisterChip):
    """`signal` gives m/s2 and rad/s. Nothing is sampled while it sleeps or its FIFO is off.

    What a test puts into WHO_AM_I stays there, as the identity does in a real one.
    """

    def __init__(self, clock: Clock, signal: Signal) -> None:
        super().__init__(clock.monotonic_ns, AFTER_RESET)
        self._signal = signal
        self._born_ns = clock.monotonic_ns()
        self._fifo: deque[int] = deque()
        self._taken = 0
        """Samples since the FIFO was switched on."""
        self._on_ns = 0

    def loaded(self, register: int) -> int:
        """INT_STATUS clears when it is read; FIFO_R_W gives the oldest byte, and 0xFF when empty."""
        self._sample()
        match register:
            case driver.FIFO_R_W:
                return self._fifo.popleft() if self._fifo else 0xFF
            case driver.FIFO_COUNT:
                return len(self._fifo) >> 8
            case _ if register == driver.FIFO_COUNT + 1:
                return len(self._fifo) & 0xFF
            case driver.INT_STATUS:
                return self.registers.pop(register, 0)
        return super().loaded(register)

    def following(self, register: int) -> int:
        """The FIFO's data register stays (4.31)."""
        return register if register == driver.FIFO_R_W else super().following(register)

    def stored(self, register: int, value: int) -> None:
        """Reset, FIFO reset and the start of sampling."""
        if register == driver.PWR_MGMT_1 and value & driver.RESET:
            self.registers = AFTER_RESET | {driver.WHO_AM_I: self.registers[driver.WHO_AM_I]}
            self._fifo.clear()
            return
        self._sample()
        if register == driver.USER_CTRL and value & driver.FIFO_RESET:
            self._fifo.clear()
            value &= ~driver.FIFO_RESET
        super().stored(register, value)
        if register in (driver.FIFO_EN, driver.USER_CTRL, driver.PWR_MGMT_1, driver.SMPLRT_DIV):
            self._on_ns, self._taken = self.monotonic_ns(), 0

    def _fifo_bytes(self) -> int:
        original = self.registers[driver.WHO_AM_I] == AFTER_RESET[driver.WHO_AM_I]
        return FIFO_BYTES if original else FIFO_BYTES_OF_RELATIVES

    def _running(self) -> bool:
        get = self.registers.get
        asleep = get(driver.PWR_MGMT_1, 0) & SLEEP
        return bool(get(driver.FIFO_EN, 0) and get(driver.USER_CTRL, 0) & driver.FIFO_ON and not asleep)

    def _sample(self) -> None:
        """Everything that was due until now goes into the FIFO; a full one loses its oldest bytes."""
        if not self._running():
            return
        rate_hz = CLOCK_ERROR * driver.INTERNAL_HZ / (1 + self.registers.get(driver.SMPLRT_DIV, 0))
        due = int((self.monotonic_ns() - self._on_ns) * 1e-9 * rate_hz)
        held = self._fifo_bytes() // driver.SAMPLE_BYTES + 1
        if due - self._taken > held:  # what would be pushed out at once need not be computed
            self.registers[driver.INT_STATUS] = driver.OVERFLOW
            self._taken = due - held
        while self._taken < due:
            self._taken += 1
            seconds = (self._on_ns - self._born_ns) * 1e-9 + self._taken / rate_hz
            self._push(np.clip(np.rint(self._signal(seconds) / driver.SCALE), -32768, 32767))

    def _push(self, raw: np.ndarray) -> None:
        self._fifo.extend(struct.pack(">6h", *(int(value) for value in raw)))
        while len(self._fifo) > self._fifo_bytes():
            self._fifo.popleft()
            self.registers[driver.INT_STATUS] = driver.OVERFLOW


def invented(seed: int) -> Signal:
    """See chips.Invent: somebody walks."""
    return walking(seed)


def simulated(clock: Clock, signal: Signal | None = None, seed: int = 0) -> SimulatedMpu6050:
    """See chips.Simulate."""
    return SimulatedMpu6050(clock, signal or invented(seed))

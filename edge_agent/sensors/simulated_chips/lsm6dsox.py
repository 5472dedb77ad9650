"""A simulated LSM6DSOX: powered down after reset, then queues tagged words of 7 bytes, 512 of them.

Data sheet DS12814 rev. 3, and AN5272 for the FIFO. Its oscillator is off by what its own
INTERNAL_FREQ_FINE says, as a real one's is. Acceleration and rotation are batched at the same rate only.
"""

from __future__ import annotations

import math
import struct
from collections import deque

import numpy as np

from edge_agent.sensors.simulated_chips.chip import RegisterChip
from edge_agent.sensors.simulated_chips.world import Signal, walking
from edge_agent.types import Clock

FIFO_CTRL3, FIFO_CTRL4, CTRL1_XL, CTRL2_G, CTRL3_C, CTRL10_C = 0x09, 0x0A, 0x10, 0x11, 0x12, 0x19
FIFO_STATUS1, FIFO_STATUS2, FIFO_TAG, FIFO_DATA_LAST = 0x3A, 0x3B, 0x78, 0x7E
FINE = 4
AFTER_RESET = {0x0F: 0x6C, CTRL3_C: 0x04, 0x18: 0xE0, 0x63: FINE}
FIFO_WORDS = 512
TICK_HZ = 40_000 * (1 + 0.0015 * FINE)
MG_PER_BIT = {0b00: 0.061, 0b01: 0.488, 0b10: 0.122, 0b11: 0.244}
MDPS_PER_BIT = {0b00: 8.75, 0b01: 17.5, 0b10: 35.0, 0b11: 70.0}
"""By the full-scale bits 3 and 2 of CTRL1_XL and CTRL2_G (table 2)."""
GYRO_TURN_ON_S = 0.07
GYRO, ACCEL, TIME = 1, 2, 4


class SimulatedLsm6dsox(RegisterChip):
    """`signal` gives m/s2 and rad/s. Until the gyroscope has spun up it measures nothing but zero."""

    def __init__(self, clock: Clock, signal: Signal) -> None:
        super().__init__(clock.monotonic_ns, AFTER_RESET)
        self._signal = signal
        self._born_ns = clock.monotonic_ns()
        self._words: deque[bytes] = deque()
        self._word = bytes(7)
        self._overwritten = False
        self._batched = 0
        """Samples since the FIFO was switched on."""
        self._fifo_ns = self._gyro_ns = self._time_ns = self._born_ns

    def queue(self, tag: int, count: int, data: bytes) -> None:
        """Put a word into the FIFO; the lowest bit of its tag makes the number of ones even."""
        head = tag << 3 | (count & 3) << 1
        self._words.append(bytes((head | head.bit_count() & 1,)) + data)
        if len(self._words) > FIFO_WORDS:
            self._words.popleft()
            self._overwritten = True

    def loaded(self, register: int) -> int:
        """The tag's register takes the oldest word out; an empty FIFO gives zeros."""
        self._batch()
        if register == FIFO_STATUS1:
            return len(self._words) & 0xFF
        if register == FIFO_STATUS2:
            latched, self._overwritten = self._overwritten, False
            return len(self._words) >> 8 | latched << 3
        if register == FIFO_TAG:
            self._word = self._words.popleft() if self._words else bytes(7)
        if FIFO_TAG <= register <= FIFO_DATA_LAST:
            return self._word[register - FIFO_TAG]
        return super().loaded(register)

    def following(self, register: int) -> int:
        """From the last byte of a word to the tag of the next (AN5272, 9.8)."""
        return FIFO_TAG if register == FIFO_DATA_LAST else super().following(register)

    def stored(self, register: int, value: int) -> None:
        """Reset, and the moments from which things run; bypass mode empties the FIFO."""
        self._batch()
        now_ns = self.monotonic_ns()
        if register == CTRL3_C and value & 1:
            self.registers = dict(AFTER_RESET)
            self._words.clear()
            self._overwritten = False
            return
        super().stored(register, value)
        if register == CTRL2_G:
            self._gyro_ns = now_ns
        if register == CTRL10_C:
            self._time_ns = now_ns
        if register in (FIFO_CTRL3, FIFO_CTRL4):
            self._fifo_ns, self._batched = now_ns, 0
            if not self._bits(FIFO_CTRL4, 0, 7):
                self._words.clear()

    def _bits(self, register: int, shift: int, mask: int) -> int:
        return self.registers.get(register, 0) >> shift & mask

    def _rate_code(self) -> int:
        """The batching rate's code; 0 while anything that batching needs is off."""
        on = [self._bits(register, 4, 15) for register in (CTRL1_XL, CTRL2_G, FIFO_CTRL3)]
        return min(*on, self._bits(FIFO_CTRL3, 0, 15)) if self._bits(FIFO_CTRL4, 0, 7) == 6 else 0

    def _batch(self) -> None:
        """Everything that was due until now goes into the FIFO."""
        if not self._rate_code():
            return
        period_s = 6 * (1024 >> self._rate_code()) / TICK_HZ
        due = int((self.monotonic_ns() - self._fifo_ns) * 1e-9 / period_s)
        if due - self._batched > FIFO_WORDS:  # what would be overwritten at once need not be computed
            self._batched, self._overwritten = due - FIFO_WORDS, True
        while self._batched < due:
            self._batched += 1
            self._sample(round(self._fifo_ns + self._batched * period_s * 1e9))

    def _sample(self, at_ns: int) -> None:
        values = self._signal((at_ns - self._born_ns) * 1e-9).astype(np.float64)
        mg = values[:3] * 1000 / 9.80665
        mdps = values[3:] * 180_000 / math.pi * ((at_ns - self._gyro_ns) * 1e-9 >= GYRO_TURN_ON_S)
        self.queue(GYRO, self._batched, _raw(mdps / MDPS_PER_BIT[self._bits(CTRL2_G, 2, 3)]))
        self.queue(ACCEL, self._batched, _raw(mg / MG_PER_BIT[self._bits(CTRL1_XL, 2, 3)]))
        if self._bits(FIFO_CTRL4, 6, 3) == 1 and self._bits(CTRL10_C, 5, 1):
            ticks = int((at_ns - self._time_ns) * 1e-9 * TICK_HZ)
            self.queue(TIME, self._batched, struct.pack("<IH", ticks % 2**32, 0))


def _raw(bits: np.ndarray) -> bytes:
    return struct.pack("<3h", *(int(value) for value in np.clip(np.rint(bits), -32768, 32767)))


def invented(seed: int) -> Signal:
    """See chips.Invent: somebody walks."""
    return walking(seed)


def simulated(clock: Clock, signal: Signal | None = None, seed: int = 0) -> SimulatedLsm6dsox:
    """See chips.Simulate."""
    return SimulatedLsm6dsox(clock, signal or invented(seed))

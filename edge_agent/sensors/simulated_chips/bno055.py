"""A simulated BNO055: deaf while it boots, configurable in one mode, computing at 100 Hz in another.

Data sheet BST-BNO055-DS000-14 rev. 1.4. Of its modes CONFIGMODE and NDOF are simulated. Its clock is a
little off, as a real one is.
"""

from __future__ import annotations

import math
import struct

import numpy as np

from edge_agent.sensors.simulated_chips.chip import NackError, RegisterChip
from edge_agent.sensors.simulated_chips.world import Played, Signal, walking
from edge_agent.types import Clock, Float32

PAGE_ID, CALIB_STAT, ST_RESULT, SYS_STATUS = 0x07, 0x35, 0x36, 0x39
UNIT_SEL, OPR_MODE, SYS_TRIGGER = 0x3B, 0x3D, 0x3F
ACC, GYRO, QUATERNION, DATA_END = 0x08, 0x14, 0x20, 0x35
AFTER_RESET = {
    0x00: 0xA0,
    0x01: 0xFB,
    0x02: 0x32,
    0x03: 0x0F,
    0x04: 0x11,
    0x05: 0x03,
    ST_RESULT: 0x0F,
    UNIT_SEL: 0x80,
}
WRITABLE = {PAGE_ID, UNIT_SEL, OPR_MODE, 0x3E, SYS_TRIGGER}
NDOF, RST_SYS = 0x0C, 0x20
BOOT_S, FROM_CONFIG_S, TO_CONFIG_S = 0.65, 0.007, 0.019
FUSION_HZ = 100 * 1.002
FOUR_G = 4 * 9.80665
"""The range of the accelerometer in every fusion mode (table 3-4)."""


class SimulatedBno055(RegisterChip):
    """`signal` gives m/s2, rad/s and the quaternion w, x, y, z. It was switched on long before it is read."""

    def __init__(self, clock: Clock, signal: Signal) -> None:
        super().__init__(clock.monotonic_ns, AFTER_RESET)
        self._signal = signal
        self._born_ns = clock.monotonic_ns()
        self._awake_ns = self._switched_ns = self._born_ns
        self.calibration = 0xFF
        """CALIB_STAT as the fusion sets it: system, gyroscope, accelerometer, magnetometer; 0 to 3 each."""
        self.error = 0
        """SYS_ERR; anything but 0 stops the fusion."""
        self.self_test = 0x0F
        """ST_RESULT after the next reset; a bit that is not set is a part that failed."""

    def write(self, data: bytes) -> None:
        """Not acknowledged while it boots."""
        self._acknowledge()
        super().write(data)

    def read(self, count: int) -> bytes:
        """The outputs change between reads only, so one burst is of one moment."""
        self._acknowledge()
        self._compute()
        return super().read(count)

    def loaded(self, register: int) -> int:
        """Page 1, the settings of the single sensors, is not simulated and reads as 0."""
        on_page_1 = self.registers.get(PAGE_ID, 0) and register != PAGE_ID
        return 0 if on_page_1 else super().loaded(register)

    def stored(self, register: int, value: int) -> None:
        """Settings are taken in CONFIGMODE only; while the mode is switched, nothing is (3.3)."""
        if register not in WRITABLE or self.monotonic_ns() < self._switched_ns:
            return
        if register == SYS_TRIGGER and value & RST_SYS:
            self.registers = AFTER_RESET | {ST_RESULT: self.self_test}
            self._awake_ns = self.monotonic_ns() + round(BOOT_S * 1e9)
        elif register == OPR_MODE:
            switching_s = FROM_CONFIG_S if value & 0x0F else TO_CONFIG_S
            self._switched_ns = self.monotonic_ns() + round(switching_s * 1e9)
            super().stored(register, value)
        elif register == PAGE_ID or not self._mode():
            super().stored(register, value)

    def _mode(self) -> int:
        return self.registers.get(OPR_MODE, 0) & 0x0F

    def _acknowledge(self) -> None:
        if self.monotonic_ns() < self._awake_ns:
            raise NackError

    def _compute(self) -> None:
        """What the fusion gave last; nothing until it has computed once."""
        running = self._mode() == NDOF and self.monotonic_ns() >= self._switched_ns and not self.error
        self.put(SYS_STATUS, bytes((1 if self.error else 5 if running else 0, self.error)))
        if not running:
            return
        computed = int((self.monotonic_ns() - self._switched_ns) * 1e-9 * FUSION_HZ)
        if computed == 0:
            self.put(ACC, bytes(DATA_END - ACC))
            return
        seconds = (self._switched_ns - self._born_ns) * 1e-9 + computed / FUSION_HZ
        self._show(self._signal(seconds).astype(np.float64))
        self.registers[CALIB_STAT] = self.calibration

    def _show(self, values: np.ndarray) -> None:
        """Encode in the units that UNIT_SEL asks for (tables 3-17, 3-22 and 3-31)."""
        unit = self.registers[UNIT_SEL]
        acc = np.clip(values[:3], -FOUR_G, FOUR_G)
        self.put(ACC, _raw(acc / 9.80665 * 1000 if unit & 1 else acc * 100))
        self.put(GYRO, _raw(values[3:6] * 900 if unit & 2 else values[3:6] * 180 / math.pi * 16))
        self.put(QUATERNION, _raw(values[6:] * 16384))


def _raw(bits: np.ndarray) -> bytes:
    return struct.pack(f"<{len(bits)}h", *(int(value) for value in np.clip(np.rint(bits), -32768, 32767)))


def _upright(acc: Float32) -> Float32:
    """The shortest rotations (n, 4) that turn up, the mean of acceleration (n, 3) over a second, to z."""
    up = np.stack([np.convolve(axis, np.ones(100), "same") for axis in acc.T], axis=1)
    x, y, z = (up / np.linalg.norm(up, axis=1, keepdims=True)).T
    quaternions = np.stack([1 + z, y, -x, np.zeros_like(x)], axis=1)
    return np.asarray(quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True), np.float32)


def invented(seed: int) -> Signal:
    """See chips.Invent: somebody walks towards north."""
    walk = walking(seed)
    return Played(walk.times_ns, np.hstack([walk.values, _upright(walk.values[:, :3])]))


def simulated(clock: Clock, signal: Signal | None = None, seed: int = 0) -> SimulatedBno055:
    """See chips.Simulate."""
    return SimulatedBno055(clock, signal or invented(seed))

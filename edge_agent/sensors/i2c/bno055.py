"""Bosch BNO055: acceleration, rotation and absolute orientation, fused by the chip itself (mode NDOF).

Data sheet BST-BNO055-DS000-14 rev. 1.4; the sections are named at the constants. The chip has no FIFO and
no flag for new data in this mode, so it is polled at the 100 Hz at which it computes. It stretches the
clock, which the hardware I2C of older Raspberry Pis does badly: use i2c-gpio or a slower bus there.
"""

from __future__ import annotations

import numpy as np

from edge_agent.errors import SensorError
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Chip, Reading, Registers, Wait
from edge_agent.sensors.i2c.mpu6050 import CHANNELS as SIX_AXES

CHIP_ID, PAGE_ID, ACC_DATA, CALIB_STAT, ST_RESULT = 0x00, 0x07, 0x08, 0x35, 0x36  # section 4.2
UNIT_SEL, OPR_MODE, SYS_TRIGGER = 0x3B, 0x3D, 0x3F
IDENTITIES = {0xA0: "BNO055"}
IDENTITY = b"\xa0\xfb\x32\x0f"
"""CHIP_ID, then those of the accelerometer, the magnetometer and the gyroscope in it (4.3.1 to 4.3.4)."""
CONFIG, NDOF = 0x00, 0x0C  # OPR_MODE, table 3-5
RESET = 0x20  # SYS_TRIGGER, 4.3.63
METRIC = 0x82  # UNIT_SEL, 4.3.60: m/s2, rad/s; bit 7 as after reset
SELF_TESTS = ("accelerometer", "magnetometer", "gyroscope", "microcontroller")
"""Bits 0 to 3 of ST_RESULT, set where passed (4.3.55)."""
SYSTEM_ERROR, FUSION_RUNS = 1, 5  # SYS_STATUS, 4.3.58
FUSION_HZ = 100.0
RESET_S = 0.7
"""650 ms from reset until it is configurable (table 0-2)."""
TO_CONFIG_S, FROM_CONFIG_S = 0.025, 0.02
"""Table 3-6: 19 ms and 7 ms; and the fusion computes for the first time."""
STATUS_EVERY = 25
"""Reads from one look at the state of the chip to the next."""
VECTORS_BYTES = 32
"""From ACC_DATA on: acceleration, magnetic field, rotation, Euler angles, quaternion; 16 bits each."""
WANTED = [0, 1, 2, 6, 7, 8, 12, 13, 14, 15]
SCALE = np.array([1 / 100] * 3 + [1 / 900] * 3 + [2**-14] * 4, np.float32)
"""m/s2, rad/s and parts of a unit quaternion for each bit (tables 3-17, 3-22 and 3-31)."""


class Bno055:
    """The quaternion is NaN while the chip calls its fusion uncalibrated: it does not know north yet."""

    channels = (*SIX_AXES, *(Channel(f"quat_{part}", "1") for part in "wxyz"))

    def __init__(self, bus: I2CBus, address: int, rate_hz: float | None, wait: Wait) -> None:
        self._chip = Registers(bus, address)
        self._wait = wait
        self.rate_hz = min(FUSION_HZ, rate_hz or FUSION_HZ)
        self.poll_s = 1 / self.rate_hz
        self._reads = 0
        self._calibrated = False

    def start(self) -> None:
        """See Driver. Raises SensorError also where a part of the chip failed its self-test."""
        self._chip.write(PAGE_ID, 0)
        self._chip.expect(CHIP_ID, IDENTITIES, "BNO055")
        self._chip.write(OPR_MODE, CONFIG)
        self._wait(TO_CONFIG_S)
        self._chip.write(SYS_TRIGGER, RESET)
        self._wait(RESET_S)
        passed = self._chip.read_u8(ST_RESULT)
        failed = [part for bit, part in enumerate(SELF_TESTS) if not passed >> bit & 1]
        if failed:
            raise SensorError(f"the self-test of the BNO055 failed: {', '.join(failed)}")
        self._chip.write(UNIT_SEL, METRIC)
        self._chip.write(OPR_MODE, NDOF)
        self._wait(FROM_CONFIG_S)

    def read(self) -> Reading | None:
        """See Driver. None while the fusion does not run, or has not computed an orientation yet."""
        if self._reads % STATUS_EVERY == 0 and not self._runs():
            return None
        raw = np.frombuffer(self._chip.read(ACC_DATA, VECTORS_BYTES), "<i2")[WANTED]
        if not raw[6:].any():
            self._reads = 0
            return None
        self._reads += 1
        values = raw.astype(np.float32) * SCALE
        if not self._calibrated:
            values[6:] = np.nan
        return Reading(values[None])

    def _runs(self) -> bool:
        """Whether the fusion runs, by SYS_STATUS; SensorError where the chip reports an error in SYS_ERR."""
        calibration, *_, status, error = self._chip.read(CALIB_STAT, 6)
        if status == SYSTEM_ERROR:
            raise SensorError(f"the BNO055 reports system error {error}", hint="4.3.59 of its data sheet")
        self._calibrated = bool(calibration >> 6)
        return status == FUSION_RUNS


def identify(bus: I2CBus, address: int) -> bool:
    """See Chip."""
    try:
        return Registers(bus, address).read(CHIP_ID, len(IDENTITY)) == IDENTITY
    except OSError:
        return False


CHIP = Chip("bno055", "imu", "BNO055: 6 axes and orientation", (0x28, 0x29), Bno055, identify)

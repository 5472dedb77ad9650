"""TDK InvenSense ICM-20948: acceleration and rotation through the FIFO.

Registers: data sheet DS-000189 rev. 1.3; the sections are named at the constants. They lie in four banks,
and the driver leaves bank 0 selected. The magnetometer (an AK09916 behind the chip) is not read.
"""

from __future__ import annotations

import math

import numpy as np

from edge_agent.sensors.i2c import mpu6050
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Chip, Reading, Registers, Wait
from edge_agent.sensors.units import STANDARD_GRAVITY

REG_BANK_SEL, BANK_0, BANK_2 = 0x7F, 0x00, 0x20
WHO_AM_I, USER_CTRL, PWR_MGMT_1, INT_ENABLE_2, INT_STATUS_2 = (
    0x00,
    0x03,
    0x06,
    0x12,
    0x1B,
)  # bank 0, section 8
FIFO_EN_2, FIFO_RST, FIFO_COUNTH, FIFO_R_W = 0x67, 0x68, 0x70, 0x72  # bank 0, section 8
GYRO_SMPLRT_DIV, ODR_ALIGN_EN, ACCEL_SMPLRT_DIV_1, ACCEL_CONFIG = 0x00, 0x09, 0x10, 0x14  # bank 2, section 10
IDENTITIES = {0xEA: "ICM-20948"}
RESET, CLOCK_AUTO = 0x80, 0x01  # PWR_MGMT_1, 8.4
GYRO_51_HZ_1000_DPS = 0x1D  # GYRO_CONFIG_1, 10.2: low-pass 3, range 2, and the filter on
ACCEL_50_HZ_8_G = 0x1D  # ACCEL_CONFIG, 10.15: the same
FIFO_ON, ALL_FIFOS, ACCEL_AND_GYRO = 0x40, 0x1F, 0x1E  # USER_CTRL, FIFO_RST and INT_*_2, FIFO_EN_2
INTERNAL_HZ = 1125.0
RESET_S = 0.1
START_UP_S = 0.05
"""The gyroscope takes 35 ms (table 1)."""
SAMPLE_BYTES = 12
FIFO_SAMPLES = 512 // SAMPLE_BYTES
"""Of the data sheet (4.16); some chips hold more."""
SCALE = np.array([STANDARD_GRAVITY / 4096] * 3 + [math.radians(1 / 32.8)] * 3, np.float32)
"""m/s2 and rad/s for each bit at 8 g and 1000 deg/s (tables 2 and 1)."""


class Icm20948:
    """Samples come in bursts from the FIFO, so a late read loses nothing until it overflows."""

    channels = mpu6050.CHANNELS

    def __init__(self, bus: I2CBus, address: int, rate_hz: float | None, wait: Wait) -> None:
        self._chip = Registers(bus, address)
        self._wait = wait
        self._divider = min(255, max(0, round(INTERNAL_HZ / (rate_hz or 100.0)) - 1))
        self.rate_hz = INTERNAL_HZ / (self._divider + 1)
        self.poll_s = min(0.04, FIFO_SAMPLES / 2 / self.rate_hz)
        self._lost = 0
        """Thrown away and not told yet."""

    def start(self) -> None:
        """See Driver."""
        self._chip.write(REG_BANK_SEL, BANK_0)
        self._chip.expect(WHO_AM_I, IDENTITIES, "ICM-20948")
        self._chip.write(PWR_MGMT_1, RESET)
        self._wait(RESET_S)
        self._chip.write(PWR_MGMT_1, CLOCK_AUTO)
        self._wait(START_UP_S)
        self._chip.write(REG_BANK_SEL, BANK_2)
        self._chip.write(GYRO_SMPLRT_DIV, self._divider, GYRO_51_HZ_1000_DPS)
        self._chip.write(ACCEL_SMPLRT_DIV_1, 0, self._divider)
        self._chip.write(ACCEL_CONFIG, ACCEL_50_HZ_8_G)
        self._chip.write(ODR_ALIGN_EN, 1)
        self._chip.write(REG_BANK_SEL, BANK_0)
        self._chip.write(INT_ENABLE_2, ALL_FIFOS)
        self._empty()

    def _empty(self) -> None:
        """Begin the FIFO anew, so that a sample begins at its first byte."""
        self._chip.write(FIFO_EN_2, 0)
        self._chip.write(FIFO_RST, ALL_FIFOS)
        self._chip.write(FIFO_RST, 0)
        self._chip.write(USER_CTRL, FIFO_ON)
        self._chip.write(FIFO_EN_2, ACCEL_AND_GYRO)

    def read(self) -> Reading | None:
        """See Driver. After an overflow the FIFO holds parts of samples, so all of it is thrown away."""
        overflow = self._chip.read_u8(INT_STATUS_2) & ALL_FIFOS
        count = int.from_bytes(self._chip.read(FIFO_COUNTH, 2), "big") // SAMPLE_BYTES
        if overflow:
            self._empty()
            self._lost += count
            return None
        if count == 0:
            return None
        raw = np.frombuffer(self._chip.read(FIFO_R_W, count * SAMPLE_BYTES), ">i2").reshape(count, 6)
        lost, self._lost = self._lost, 0
        return Reading(raw.astype(np.float32) * SCALE, lost)


def identify(bus: I2CBus, address: int) -> bool:
    """See Chip. An MPU-6050 may have anything where this chip's identity is, so its own is looked at too."""
    chip = Registers(bus, address)
    try:
        return chip.read_u8(WHO_AM_I) in IDENTITIES and not mpu6050.identify(bus, address)
    except OSError:
        return False


CHIP = Chip("icm20948", "imu", "ICM-20948: 6 of its 9 axes", (0x69, 0x68), Icm20948, identify)

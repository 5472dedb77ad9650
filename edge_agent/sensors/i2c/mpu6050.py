"""TDK InvenSense MPU-6050, MPU-6500, MPU-9250 and MPU-9255: acceleration and rotation through the FIFO.

Registers: MPU-6000/6050 Register Map rev. 4.2 and MPU-9250 Register Map rev. 1.6; the sections are named
at the constants. The magnetometer of the 9250 is not read.
"""

from __future__ import annotations

import math

import numpy as np

from edge_agent.sensors.channels import Channel
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Chip, Reading, Registers, Wait
from edge_agent.sensors.units import STANDARD_GRAVITY

SMPLRT_DIV, CONFIG, GYRO_CONFIG, ACCEL_CONFIG, ACCEL_CONFIG_2 = 0x19, 0x1A, 0x1B, 0x1C, 0x1D
FIFO_EN, INT_STATUS, USER_CTRL, PWR_MGMT_1 = 0x23, 0x3A, 0x6A, 0x6B
FIFO_COUNT, FIFO_R_W, WHO_AM_I = 0x72, 0x74, 0x75
IDENTITIES = {0x68: "MPU-6050", 0x70: "MPU-6500", 0x71: "MPU-9250", 0x73: "MPU-9255"}
FIFO_BYTES = {"MPU-6050": 1024, "MPU-6500": 512, "MPU-9250": 512, "MPU-9255": 512}
RESET, CLOCK_OF_GYRO = 0x80, 0x01  # PWR_MGMT_1, 4.28
LOW_PASS_44_HZ = 0x03  # CONFIG, 4.3: below half of 100 Hz, and the internal rate becomes 1 kHz
GYRO_1000_DPS, ACCEL_8_G = 0x10, 0x10  # GYRO_CONFIG 4.4, ACCEL_CONFIG 4.5
FIFO_OF_BOTH, FIFO_ON, FIFO_RESET, OVERFLOW = 0x78, 0x40, 0x04, 0x10
INTERNAL_HZ = 1000.0
RESET_S = 0.1
SAMPLE_BYTES = 12
SCALE = np.array([STANDARD_GRAVITY / 4096] * 3 + [math.radians(1 / 32.8)] * 3, np.float32)
"""m/s2 and rad/s for each bit at 8 g and 1000 deg/s (6.2 and 6.1 of the product specification)."""
CHANNELS = (
    *(Channel(f"acc_{axis}", "m/s2") for axis in "xyz"),
    *(Channel(f"gyro_{axis}", "rad/s") for axis in "xyz"),
)


class Mpu6050:
    """Samples come in bursts from the FIFO, so a late read loses nothing until it overflows."""

    channels = CHANNELS

    def __init__(self, bus: I2CBus, address: int, rate_hz: float | None, wait: Wait) -> None:
        self._chip = Registers(bus, address)
        self._wait = wait
        self._divider = min(255, max(0, round(INTERNAL_HZ / (rate_hz or 100.0)) - 1))
        self.rate_hz = INTERNAL_HZ / (self._divider + 1)
        self.poll_s = min(0.04, min(FIFO_BYTES.values()) / SAMPLE_BYTES / 2 / self.rate_hz)
        self._fifo_bytes = 0

    def start(self) -> None:
        """See Driver."""
        name = self._chip.expect(WHO_AM_I, IDENTITIES, "MPU-6050 or relative")
        self._fifo_bytes = FIFO_BYTES[name]
        self._chip.write(PWR_MGMT_1, RESET)
        self._wait(RESET_S)
        self._chip.write(PWR_MGMT_1, CLOCK_OF_GYRO)
        self._chip.write(SMPLRT_DIV, self._divider)
        self._chip.write(CONFIG, LOW_PASS_44_HZ)
        self._chip.write(GYRO_CONFIG, GYRO_1000_DPS)
        self._chip.write(ACCEL_CONFIG, ACCEL_8_G)
        if name != "MPU-6050":
            self._chip.write(ACCEL_CONFIG_2, LOW_PASS_44_HZ)
        self._empty()

    def _empty(self) -> None:
        """Begin the FIFO anew, so that a sample begins at its first byte."""
        self._chip.write(FIFO_EN, 0)
        self._chip.write(USER_CTRL, FIFO_RESET)
        self._chip.write(USER_CTRL, FIFO_ON)
        self._chip.write(FIFO_EN, FIFO_OF_BOTH)

    def read(self) -> Reading | None:
        """See Driver. After an overflow the FIFO holds parts of samples, so all of it is thrown away."""
        if self._chip.read_u8(INT_STATUS) & OVERFLOW:
            self._empty()
            self._lost = self._fifo_bytes // SAMPLE_BYTES
            return None
        count = int.from_bytes(self._chip.read(FIFO_COUNT, 2), "big") // SAMPLE_BYTES
        if count == 0:
            return None
        raw = np.frombuffer(self._chip.read(FIFO_R_W, count * SAMPLE_BYTES), ">i2").reshape(count, 6)
        lost, self._lost = self._lost, 0
        return Reading(raw.astype(np.float32) * SCALE, lost)

    _lost = 0
    """Thrown away and not told yet."""


def identify(bus: I2CBus, address: int) -> bool:
    """See Chip."""
    try:
        return Registers(bus, address).read_u8(WHO_AM_I) in IDENTITIES
    except OSError:
        return False


CHIP = Chip("mpu6050", "imu", "MPU-6050, 6500, 9250 or 9255: 6 axes", (0x68, 0x69), Mpu6050, identify)

"""ST LSM6DSOX and LSM6DSO: acceleration and rotation through the FIFO of tagged words.

Registers: data sheet DS12814 rev. 3, the sections are named at the constants; the FIFO also in application
note AN5272. Three words make a sample: rotation, acceleration, and the chip's own time. The time tells
exactly how many samples an overflow cost, and each word's tag says what it is, so none need be thrown away.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Chip, Reading, Registers, Wait
from edge_agent.sensors.i2c.mpu6050 import CHANNELS
from edge_agent.sensors.units import STANDARD_GRAVITY
from edge_agent.types import Float32

FIFO_CTRL3, FIFO_CTRL4, WHO_AM_I, CTRL1_XL, CTRL2_G, CTRL3_C, CTRL10_C = (
    0x09,
    0x0A,
    0x0F,
    0x10,
    0x11,
    0x12,
    0x19,
)
FIFO_STATUS1, INTERNAL_FREQ_FINE, FIFO_DATA_OUT_TAG = 0x3A, 0x63, 0x78
IDENTITIES = {0x6C: "LSM6DSOX"}
RESET, TIMESTAMP_EN = 0x01, 0x20  # CTRL3_C, CTRL10_C
ACCEL_8_G, GYRO_1000_DPS = 0x0C, 0x08  # CTRL1_XL, CTRL2_G; the rate stands in bits 7 to 4
CONTINUOUS_WITH_TIME = 0x46  # FIFO_CTRL4: a new word overwrites the oldest, one time word for each sample
LEVEL, OVERWRITTEN = (
    0x03FF,
    0x0800,
)  # FIFO_STATUS1 and 2 as one word: words in the FIFO, overrun since last read
GYRO, ACCEL, TIME = 0x01, 0x02, 0x04  # FIFO_DATA_OUT_TAG, bits 7 to 3
SAMPLE = frozenset((GYRO, ACCEL, TIME))
WORD_BYTES = 7
TYPICAL_HZ = 6667.0
"""What the output rates divide (INTERNAL_FREQ_FINE); the time counts six times as fast."""
FINE_STEP = 0.0015
RATE_CODES = range(1, 7)
"""13 to 417 Hz: what still fits on a bus of 100 kHz."""
RESET_S = 0.01
SETTLE_S = 0.1
"""The gyroscope's turn-on time is 70 ms (table 3)."""
SCALE = np.array([0.244e-3 * STANDARD_GRAVITY] * 3 + [math.radians(0.035)] * 3, np.float32)
"""m/s2 and rad/s for each bit at 8 g and 1000 deg/s (table 2)."""


class Lsm6dsox:
    """Samples come in bursts from the FIFO, so a late read loses nothing until the oldest are overwritten."""

    channels = CHANNELS
    poll_s = 0.04

    def __init__(self, bus: I2CBus, address: int, rate_hz: float | None, wait: Wait) -> None:
        self._chip = Registers(bus, address)
        self._wait = wait
        wanted_hz = rate_hz or 100.0
        self._rate_code = min(RATE_CODES, key=lambda code: abs(TYPICAL_HZ / _divider(code) - wanted_hz))
        self.rate_hz = TYPICAL_HZ / _divider(self._rate_code)
        self._slot: dict[int, bytes] = {}
        """Tag -> data of the sample whose words are not all read yet."""
        self._slot_count = -1
        self._last_ticks: int | None = None
        self._lost = 0

    def start(self) -> None:
        """See Driver."""
        self._chip.expect(WHO_AM_I, IDENTITIES, "LSM6DSOX")
        self._chip.write(CTRL3_C, RESET)
        self._wait(RESET_S)
        fine = int.from_bytes(self._chip.read(INTERNAL_FREQ_FINE, 1), "big", signed=True)
        self.rate_hz = TYPICAL_HZ * (1 + FINE_STEP * fine) / _divider(self._rate_code)
        self._chip.write(CTRL1_XL, self._rate_code << 4 | ACCEL_8_G)
        self._chip.write(CTRL2_G, self._rate_code << 4 | GYRO_1000_DPS)
        self._chip.write(CTRL10_C, TIMESTAMP_EN)
        self._wait(SETTLE_S)
        self._chip.write(FIFO_CTRL3, self._rate_code << 4 | self._rate_code)
        self._chip.write(FIFO_CTRL4, CONTINUOUS_WITH_TIME)

    def read(self) -> Reading | None:
        """See Driver. SensorError where a tag's parity is wrong: the words of that read are lost."""
        status = int.from_bytes(self._chip.read(FIFO_STATUS1, 2), "little")
        if status & OVERWRITTEN:
            self._slot.clear()  # its other words may be gone
        if not status & LEVEL:
            return None
        data = self._chip.read(FIFO_DATA_OUT_TAG, (status & LEVEL) * WORD_BYTES)
        words = np.frombuffer(data, np.uint8).reshape(-1, WORD_BYTES)
        if (np.bitwise_count(words[:, 0]) % 2).any():
            self._slot.clear()
            raise SensorError(
                "the parity of a FIFO tag is wrong", hint="shorten the wires or slow the bus down"
            )
        samples = [sample for word in words if (sample := self._completed(word)) is not None]
        if not samples:
            return None
        lost, self._lost = self._lost, 0
        return Reading(np.array(samples, np.float32) * SCALE, lost)

    def _completed(self, word: npt.NDArray[np.uint8]) -> Float32 | None:
        """The raw sample (6,) of which `word` is the last part. Words of one sample carry the same count."""
        tag, count = int(word[0]) >> 3, int(word[0]) >> 1 & 3
        if count != self._slot_count:
            self._slot, self._slot_count = {}, count
        self._slot[tag] = word[1:].tobytes()
        if not self._slot.keys() >= SAMPLE:
            return None
        parts, self._slot = self._slot, {}
        self._count_lost(int.from_bytes(parts[TIME][:4], "little"))
        return np.frombuffer(parts[ACCEL] + parts[GYRO], "<i2").astype(np.float32)

    def _count_lost(self, ticks: int) -> None:
        """The time wraps after 30 hours."""
        if self._last_ticks is not None:
            period_ticks = 6 * _divider(self._rate_code)
            self._lost += round((ticks - self._last_ticks) % 2**32 / period_ticks) - 1
        self._last_ticks = ticks


def _divider(rate_code: int) -> int:
    """By what TYPICAL_HZ is divided for a code of CTRL1_XL and CTRL2_G (the table of INTERNAL_FREQ_FINE)."""
    return 1024 >> rate_code


def identify(bus: I2CBus, address: int) -> bool:
    """See Chip."""
    try:
        return Registers(bus, address).read_u8(WHO_AM_I) in IDENTITIES
    except OSError:
        return False


CHIP = Chip("lsm6dsox", "imu", "LSM6DSOX or LSM6DSO: 6 axes", (0x6A, 0x6B), Lsm6dsox, identify)

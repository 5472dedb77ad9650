"""Sensirion SHT30, SHT31 and SHT35: temperature and humidity, one measurement for each read.

SHT3x-DIS data sheet version 5: single shot 4.3, break 4.8, reset 4.9, status 4.11, conversion 4.13, times
table 4. Single shots are chosen over the chip's own periodic mode because that one answers "nothing new"
by not acknowledging, which cannot be told from a chip that is gone.
"""

from __future__ import annotations

import numpy as np

from edge_agent.errors import SensorError
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Chip, Reading, Wait
from edge_agent.sensors.i2c.sensirion import Commands

MEASURE, BREAK, RESET, STATUS, CLEAR_STATUS = 0x2400, 0x3093, 0x30A2, 0xF32D, 0x3041
WAS_RESET = 0x0010  # table 18
SETTLE_S = 0.002  # 1.5 ms at most after a reset, 1 ms after a break
MEASURE_S = 0.016  # 15 ms at most at high repeatability
USUAL_HZ, FASTEST_HZ = 1.0, 10.0
"""The fastest is what the chip itself offers; it warms itself when it measures more often (table 10)."""
CHANNELS: tuple[Channel, ...] = (Channel("temperature", "degC"), Channel("humidity", "%"))


def converted(temperature: int, humidity: int) -> tuple[float, float]:
    """Raw words -> degC, % (4.13)."""
    return -45 + 175 * temperature / 65535, 100 * humidity / 65535


class Sht31:
    """Sleeps between reads."""

    channels = CHANNELS

    def __init__(self, bus: I2CBus, address: int, rate_hz: float | None, wait: Wait) -> None:
        self._chip = Commands(bus, address)
        self._wait = wait
        self.rate_hz = min(rate_hz or USUAL_HZ, FASTEST_HZ)
        self.poll_s = 1 / self.rate_hz

    def start(self) -> None:
        """See Driver. It has no identity: that its status notices the reset tells it from other chips."""
        self._chip.send(BREAK)  # in periodic mode it takes no reset
        self._wait(SETTLE_S)
        self._chip.send(RESET)
        self._wait(SETTLE_S)
        self._chip.send(STATUS)
        if not self._chip.words(1)[0] & WAS_RESET:
            raise SensorError("the chip did not reset itself as an SHT3x does")
        self._chip.send(CLEAR_STATUS)

    def read(self) -> Reading | None:
        """See Driver. Takes a measurement, 16 ms. SensorError where a checksum does not match."""
        self._chip.send(MEASURE)
        self._wait(MEASURE_S)
        temperature, humidity = self._chip.words(2)
        return Reading(np.array([converted(temperature, humidity)], np.float32))


def identify(bus: I2CBus, address: int) -> bool:
    """See Chip. A status with the right checksum, and with zeros where they must be (table 18)."""
    chip = Commands(bus, address)
    try:
        chip.send(STATUS)
        return not chip.words(1)[0] & 0x500C
    except OSError:
        return False


CHIP = Chip("sht31", "environment", "SHT30, 31 or 35: temperature, humidity", (0x44, 0x45), Sht31, identify)

"""Sensirion SCD40 and SCD41: CO2, temperature and humidity, which the chip measures every 5 or 30 seconds.

SCD4x data sheet version 1.3: commands and their times table 9, periodic measurement 3.5, low power 3.8,
serial number 3.9.2, re-initialisation 3.9.5. While it measures it takes few commands, so `start` stops it
first: whoever measured before, its settings are not ours. Its own calibration stays as it is.
"""

from __future__ import annotations

import numpy as np

from edge_agent.sensors.channels import Channel
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Chip, Reading, Wait
from edge_agent.sensors.i2c.sensirion import Commands

START, START_LOW_POWER, STOP, READ, READY = 0x21B1, 0x21AC, 0x3F86, 0xEC05, 0xE4B8
SERIAL_NUMBER, REINIT = 0x3682, 0x3646
ANY_READY = 0x07FF  # 3.8.2: all of these zero is "not ready"
PERIOD_S, LOW_POWER_PERIOD_S = 5.0, 30.0
POLLS = 5
"""For each period, since nothing but asking tells when a measurement is there."""
ANSWER_S, STOP_S, REINIT_S = 0.002, 0.5, 0.03  # 1, 500 and 20 ms (table 9)
CHANNELS: tuple[Channel, ...] = (
    Channel("co2", "ppm"),
    Channel("temperature", "degC"),
    Channel("humidity", "%"),
)


def converted(co2: int, temperature: int, humidity: int) -> tuple[float, float, float]:
    """Raw words -> ppm, degC, % (3.5.2). 0 ppm is what it gives where it has no CO2 value: NaN here."""
    return co2 or float("nan"), -45 + 175 * temperature / 65535, 100 * humidity / 65535


class Scd41:
    """Its first measurement comes a whole period after `start`."""

    channels = CHANNELS

    def __init__(self, bus: I2CBus, address: int, rate_hz: float | None, wait: Wait) -> None:
        self._chip = Commands(bus, address)
        self._wait = wait
        nearer_30_s = rate_hz is not None and rate_hz < (1 / PERIOD_S + 1 / LOW_POWER_PERIOD_S) / 2
        self._start = START_LOW_POWER if nearer_30_s else START
        period_s = LOW_POWER_PERIOD_S if nearer_30_s else PERIOD_S
        self.rate_hz = 1 / period_s
        self.poll_s = period_s / POLLS
        self._lost = 0

    def start(self) -> None:
        """See Driver. Its serial number, under three checksums, tells it from other chips."""
        self._command(STOP, STOP_S)
        self._command(SERIAL_NUMBER, ANSWER_S)
        self._chip.words(3)
        self._command(REINIT, REINIT_S)
        self._chip.send(self._start)

    def read(self) -> Reading | None:
        """See Driver. SensorError where a checksum does not match; that measurement is lost."""
        self._command(READY, ANSWER_S)
        if not self._chip.words(1)[0] & ANY_READY:
            return None
        self._command(READ, ANSWER_S)
        self._lost += 1  # to read it is to empty the buffer, whether or not it arrives whole
        co2, temperature, humidity = self._chip.words(3)
        lost, self._lost = self._lost - 1, 0
        return Reading(np.array([converted(co2, temperature, humidity)], np.float32), lost)

    def _command(self, command: int, seconds: float) -> None:
        self._chip.send(command)
        self._wait(seconds)


def identify(bus: I2CBus, address: int) -> bool:
    """See Chip. Words with the right checksums; a chip that measures refuses to give its serial number."""
    chip = Commands(bus, address)
    try:
        chip.send(READY)  # an answer that is not there yet is not acknowledged, and the bus asks again
        chip.words(1)
    except OSError:
        return False
    try:
        chip.send(SERIAL_NUMBER)
    except OSError:
        return True
    try:
        chip.words(3)
    except OSError:
        return False
    return True


CHIP = Chip("scd41", "environment", "SCD40 or 41: CO2, temperature, humidity", (0x62,), Scd41, identify)

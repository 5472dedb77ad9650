"""ROHM BH1750FVI: illuminance, one measurement for each read.

Technical note 2009.04 rev. B: instruction set page 5, measurement page 6, read format page 10. Between reads
it is powered down, so a supply that failed for a moment costs nothing. It has no registers and no identity.
"""

from __future__ import annotations

import numpy as np

from edge_agent.errors import SensorError
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Chip, Reading, Wait

POWER_ON, RESET, ONE_TIME_H = 0x01, 0x07, 0x20
USUAL_TIME = (0x42, 0x65)  # measurement time register 69, its upper three and lower five bits
COUNTS_PER_LUX = 1.2
MEASURE_S = 0.180  # H-resolution mode, at most (page 2)
USUAL_HZ, FASTEST_HZ = 1.0, 5.0
LONG_READ = 256
"""Bytes: every register of a chip that has some, wherever it stands."""
CHANNELS: tuple[Channel, ...] = (Channel("illuminance", "lx"),)


def illuminance_lx(data: bytes) -> float:
    """The two bytes of a measurement in lx; it ends at 54612 lx, and more light reads as that (page 10)."""
    return int.from_bytes(data, "big") / COUNTS_PER_LUX


class Bh1750:
    """Takes commands of one byte, each in a transaction of its own (page 10)."""

    channels = CHANNELS

    def __init__(self, bus: I2CBus, address: int, rate_hz: float | None, wait: Wait) -> None:
        self._bus = bus
        self._address = address
        self._wait = wait
        self.rate_hz = min(rate_hz or USUAL_HZ, FASTEST_HZ)
        self.poll_s = 1 / self.rate_hz

    def start(self) -> None:
        """See Driver. What tells it from other chips is that a reset empties its data."""
        self._send(POWER_ON)  # powered down it takes no reset
        self._send(RESET)
        if any(self._bus.read(self._address, 2)):
            raise SensorError(
                f"address 0x{self._address:02x} is no BH1750: a reset does not empty its data",
                hint="`edge-agent sensors probe` tells which chips answer",
            )
        for command in USUAL_TIME:
            self._send(command)

    def read(self) -> Reading | None:
        """See Driver. Takes a measurement, 180 ms."""
        self._send(ONE_TIME_H)
        self._wait(MEASURE_S)
        return Reading(np.array([[illuminance_lx(self._bus.read(self._address, 2))]], np.float32))

    def _send(self, command: int) -> None:
        self._bus.write(self._address, bytes((command,)))


def identify(bus: I2CBus, address: int) -> bool:
    """See Chip. Without an identity, only that nothing speaks against it, and nothing is written.

    A long read gives one 16-bit value, then that value again or the idle bus; a chip with registers shows
    them, and a port expander repeats one byte. A BH1750 whose two bytes happen to be alike is not claimed.
    """
    try:
        data = bus.read(address, LONG_READ)
    except OSError:
        return False
    value, rest = data[:2], data[2:]
    if value[0] == value[1] != 0:
        return False
    return rest in (value * (len(rest) // 2), b"\xff" * len(rest))


CHIP = Chip("bh1750", "environment", "BH1750: illuminance", (0x23, 0x5C), Bh1750, identify)

"""Omron D6T-44L-06: a thermal array of 4 by 4 pixels.

Omron application note MDMK-12-0493 (Usage of D6T-44L / D6T-8L), 6.4 the frame and 6.5 the checksum; Omron
user's manual A284, table 3 and 6.7. There is one command and neither an identity nor a data-ready flag.
It takes 100 kHz at most, so a bus with one on it must not be set faster.
"""

from __future__ import annotations

import numpy as np

from edge_agent.errors import SensorError
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Chip, Driver, Reading, Wait
from edge_agent.types import Float32

ADDRESS = 0x0A
COMMAND = 0x4C
PIXELS = 16
FRAME_BYTES = 2 * (1 + PIXELS) + 1
"""The sensor's own temperature (PTAT), the pixels, and the checksum (PEC)."""
DEGC_PER_BIT = 0.1
HIGHEST_HZ, USUAL_HZ = 5.0, 4.0
"""In recordings read every 0.21 s, 2 % of the frames repeat the one before: faster brings nothing."""
CHANNELS = (*(Channel(f"px_{i:02}", "degC") for i in range(PIXELS)), Channel("ambient", "degC"))


def crc8(data: bytes) -> int:
    """SMBus packet error code: x^8 + x^2 + x + 1, from 0 (System Management Bus 2.0, 5.4.1)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc


def read_frame(bus: I2CBus, address: int) -> bytes | None:
    """Temperatures as they come, without the checksum; None where that does not match.

    The checksum covers the whole transaction, both addresses and the command too, since a repeated start
    makes it one (6.5). A frame that the sensor gave up, all FFh, does not match either (A284, 6.7).
    """
    data = bus.write_read(address, bytes((COMMAND,)), FRAME_BYTES)
    sent = bytes((address << 1, COMMAND, address << 1 | 1)) + data[:-1]
    return data[:-1] if crc8(sent) == data[-1] else None


def temperatures(frame: bytes) -> Float32:
    """(17,) degC in the order of CHANNELS, from signed 16 bits, low byte first, PTAT before the pixels."""
    decidegrees = np.frombuffer(frame, "<i2").astype(np.float32)
    return np.roll(decidegrees, -1) * np.float32(DEGC_PER_BIT)


class D6t:
    """Every read gives the newest frame."""

    channels = CHANNELS

    def __init__(self, bus: I2CBus, address: int, rate_hz: float | None) -> None:
        self._bus = bus
        self._address = address
        self.rate_hz = min(rate_hz or USUAL_HZ, HIGHEST_HZ)
        self.poll_s = 1 / self.rate_hz

    def start(self) -> None:
        """See Driver. A right checksum is all that there is to know a D6T-44L by."""
        if read_frame(self._bus, self._address) is None:
            raise SensorError(
                f"address 0x{self._address:02x} is no D6T-44L, or its wires are bad: the checksum is wrong",
                hint="the D6T takes 100 kHz at most and needs pull-ups; a D6T-8L or D6T-1A is another chip",
            )

    def read(self) -> Reading | None:
        """See Driver. Raises SensorError where the checksum does not match."""
        frame = read_frame(self._bus, self._address)
        if frame is None:
            raise SensorError("the checksum of the D6T does not match")
        return Reading(temperatures(frame)[np.newaxis])


def identify(bus: I2CBus, address: int) -> bool:
    """See Chip."""
    try:
        return read_frame(bus, address) is not None
    except OSError:
        return False


def make(bus: I2CBus, address: int, rate_hz: float | None, _wait: Wait) -> Driver:
    """See MakeDriver."""
    return D6t(bus, address, rate_hz)


CHIP = Chip("d6t", "thermal", "Omron D6T-44L: 4x4 temperatures", (ADDRESS,), make, identify)

"""Panasonic Grid-EYE AMG8833 and its relatives of the AMG88 family: a thermal array of 8 by 8 pixels.

Panasonic, Infrared Array Sensor Grid-EYE (AMG88), reference specifications: register map and "Temperature
register" for the formats. There is no identity and no data-ready flag: the chip measures at 10 or 1 frames a
second and the registers hold the newest frame. The first frames after power-on are up to 15 s off.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_agent.errors import SensorError
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Chip, Reading, Registers, Wait
from edge_agent.types import Float32

PCTL, RST, FPSC, STAT, SCLR = 0x00, 0x01, 0x02, 0x04, 0x05
THERMISTOR, PIXELS = 0x0E, 0x80
NORMAL, SLEEP = 0x00, 0x10
POWER_MODES = (NORMAL, SLEEP, 0x20, 0x21)
INITIAL_RESET, FLAG_RESET = 0x3F, 0x30
ONE_A_SECOND = 0x01
PIXEL_OVERFLOW, THERMISTOR_OVERFLOW = 0x04, 0x08
USED_BITS = {FPSC: 0x01, 0x03: 0x03, STAT: 0x0E, 0x07: 0x20, 0x09: 0x0F, 0x0B: 0x0F, 0x0D: 0x0F}
"""Register -> the bits that the map gives it: frame rate, interrupts, status, average and three levels."""
WAKE_S = 0.05
HIGHEST_HZ = 10.0
COUNT = 64
PIXEL_DEGC, THERMISTOR_DEGC = 0.25, 0.0625
COLDEST_C, HOTTEST_C = -55.0, 125.0
"""What the tables of the formats go to; the 12 bits of a pixel reach far beyond."""
CHANNELS = (*(Channel(f"px_{i:02}", "degC") for i in range(COUNT)), Channel("ambient", "degC"))


def pixel_temperatures(data: bytes) -> Float32:
    """Two bytes a pixel, low byte first, 12 bits in two's complement -> degC."""
    raw = np.frombuffer(data, "<u2").astype(np.int16) & 0x0FFF
    return ((raw ^ 0x800) - 0x800).astype(np.float32) * np.float32(PIXEL_DEGC)


def thermistor_temperature(data: bytes) -> float:
    """Two bytes, low byte first: bit 11 is the sign, the eleven below it the size -> degC."""
    raw = int.from_bytes(data, "little")
    size = (raw & 0x7FF) * THERMISTOR_DEGC
    return -size if raw & 0x800 else size


class Amg8833:
    """Every read gives the newest frame; px_00 is the maker's pixel 1."""

    channels = CHANNELS

    def __init__(self, bus: I2CBus, address: int, rate_hz: float | None, wait: Wait) -> None:
        self._chip = Registers(bus, address)
        self._wait = wait
        self.rate_hz = min(rate_hz or HIGHEST_HZ, HIGHEST_HZ)
        self.poll_s = 1 / self.rate_hz

    def start(self) -> None:
        """See Driver. The order is that for waking from sleep, which harms no chip that is awake."""
        if not looks_like_one(self._chip):
            raise SensorError(
                f"address 0x{self._chip.address:02x} is no AMG88: its registers hold what that never does",
                hint="`edge-agent sensors probe` tells what answers; one that sleeps must lose its power",
            )
        self._chip.write(PCTL, NORMAL)
        self._wait(WAKE_S)
        self._chip.write(RST, INITIAL_RESET)
        self._wait(2 / HIGHEST_HZ)
        self._chip.write(RST, FLAG_RESET)
        self._chip.write(FPSC, ONE_A_SECOND if self.rate_hz <= 1.0 else 0)

    def read(self) -> Reading | None:
        """See Driver. A frame with an overflow is NaN, since the chip does not say which pixel it was."""
        values = np.empty(COUNT + 1, np.float32)
        values[:COUNT] = pixel_temperatures(self._chip.read(PIXELS, 2 * COUNT))
        values[COUNT] = thermistor_temperature(self._chip.read(THERMISTOR, 2))
        if overflow := self._chip.read_u8(STAT) & (PIXEL_OVERFLOW | THERMISTOR_OVERFLOW):
            self._chip.write(SCLR, overflow)
            if overflow & PIXEL_OVERFLOW:
                values[:COUNT] = np.nan
            if overflow & THERMISTOR_OVERFLOW:
                values[COUNT] = np.nan
        return Reading(values[np.newaxis])


def looks_like_one(chip: Registers) -> bool:
    """Whether the registers hold what only an AMG88 holds. Nothing is written or cleared by reading.

    The modes it knows, 0 in every bit that its map leaves empty, and temperatures. What else lives at 0x68
    and 0x69 (motion sensors, clocks) has other things there, and zeros where it has nothing; one that sleeps
    gives zeros too and is not recognised.
    """
    head = chip.read(PCTL, THERMISTOR + 2)
    if head[PCTL] not in POWER_MODES or any(head[at] & ~used for at, used in USED_BITS.items()):
        return False
    words = np.frombuffer(head[THERMISTOR:] + chip.read(PIXELS, 2 * COUNT), "<u2")
    return not (words & 0xF000).any() and bool(words.any()) and _are_temperatures(words)


def _are_temperatures(words: npt.NDArray[np.uint16]) -> bool:
    """The thermistor and the middle one of the pixels; a few may look at something hotter than the range."""
    own = thermistor_temperature(words[:1].tobytes())
    middle = float(np.median(pixel_temperatures(words[1:].tobytes())))
    return min(own, middle) >= COLDEST_C and max(own, middle) <= HOTTEST_C


def identify(bus: I2CBus, address: int) -> bool:
    """See Chip."""
    try:
        return looks_like_one(Registers(bus, address))
    except OSError:
        return False


CHIP = Chip("amg8833", "thermal", "Grid-EYE AMG88: 8x8 temperatures", (0x69, 0x68), Amg8833, identify)

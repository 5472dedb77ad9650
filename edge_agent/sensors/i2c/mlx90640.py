"""Melexis MLX90640: a thermal array of 24 rows of 32 pixels.

Melexis data sheet 3901090640 rev. 12, 10.2 to 10.7; the arithmetic is in `mlx90640_calibration`. The chip
measures half of the pixels at a time, like the white and then the black fields of a chess board; two such
subpages are a frame here. A subpage is 1.7 kB: 150 ms on a bus at 100 kHz, 40 ms at 400 kHz.
"""

from __future__ import annotations

import math

import numpy as np

from edge_agent.errors import SensorError
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.i2c import mlx90640_calibration as arithmetic
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Chip, Driver, Reading, Registers, Wait
from edge_agent.sensors.i2c.mlx90640_calibration import PAGES, PIXELS, Calibration, Words

ADDRESS = 0x33
RAM, EEPROM, STATUS, CONTROL = 0x0400, 0x2400, 0x8000, 0x800D
OPTIONS, OWN_ADDRESS = 0x0A, 0x0F
"""In the EEPROM: device options, of which one bit tells an MLX90641, and the address it answers at."""
IS_MLX90641 = 0x40
SUBPAGE, NEW_DATA, OVERWRITE = 0x0007, 0x0008, 0x0010
CHESS, SUBPAGES = 0x1000, 0x0001
RESOLUTION = 2
"""18 bits, as at power-on."""
SLOWEST_HZ, FASTEST_CODE = 0.25, 5
"""Frames a second at refresh code 0; each code doubles it, and 5 is what a bus at 400 kHz can carry."""
USUAL_HZ = 2.0
EMISSIVITY = 0.95
"""Of skin, cloth, wood and painted walls, about. The chip cannot know it."""
CHANNELS = (*(Channel(f"px_{i:03}", "degC") for i in range(PIXELS)), Channel("ambient", "degC"))


class Mlx90640:
    """Gives a frame when both of its subpages are there. A pixel that failed is NaN."""

    channels = CHANNELS

    def __init__(self, bus: I2CBus, address: int, rate_hz: float | None) -> None:
        self._chip = Registers(bus, address, index_bytes=2)
        code = round(math.log2((rate_hz or USUAL_HZ) / SLOWEST_HZ))
        self._refresh = min(max(code, 0), FASTEST_CODE)
        self.rate_hz = SLOWEST_HZ * 2**self._refresh
        self.poll_s = 1 / self.rate_hz / 4
        self._calibration: Calibration | None = None
        self._frame = np.empty(PIXELS + 1, np.float32)
        self._pages: set[int] = set()
        self._lost = 0

    def start(self) -> None:
        """See Driver. Reads the whole EEPROM."""
        if not knows_its_address(self._chip):
            raise SensorError(
                f"address 0x{self._chip.address:02x} is no MLX90640: its EEPROM does not name that address",
                hint="`edge-agent sensors probe` tells which chips answer",
            )
        self._calibration = arithmetic.restored(read_words(self._chip, EEPROM, arithmetic.EEPROM_WORDS))
        self._write(CONTROL, CHESS | RESOLUTION << 10 | self._refresh << 7 | SUBPAGES)
        self._write(STATUS, OVERWRITE)

    def read(self) -> Reading | None:
        """See Driver. Raises SensorError where the chip overwrote what was being read."""
        status = int(read_words(self._chip, STATUS, 1)[0])
        if not status & NEW_DATA:
            return None
        self._write(STATUS, OVERWRITE)
        ram = read_words(self._chip, RAM, arithmetic.RAM_WORDS)
        if read_words(self._chip, STATUS, 1)[0] & NEW_DATA:
            self._pages.clear()
            self._lost += 1
            raise SensorError(
                "the chip measured anew while its last measurement was read",
                hint="set a lower rate_hz, or 400 kHz: dtparam=i2c_arm_baudrate=400000 in config.txt",
            )
        self._take(ram, status & SUBPAGE & 1)
        return self._whole_frame()

    def _take(self, ram: Words, page: int) -> None:
        """Put the pixels of a subpage into the frame."""
        assert self._calibration is not None, "read before start"
        try:
            at = arithmetic.conditions(self._calibration, ram, RESOLUTION)
        except ZeroDivisionError as error:
            raise SensorError(
                "what the chip says of itself cannot be", hint="shorten the wires or slow the bus down"
            ) from error
        pixels = arithmetic.object_temperatures(self._calibration, ram, at, page, EMISSIVITY)
        self._frame[:PIXELS] = np.where(page == PAGES, pixels, self._frame[:PIXELS])
        self._frame[PIXELS] = at.ambient_c
        self._pages.add(page)

    def _whole_frame(self) -> Reading | None:
        if len(self._pages) < 2:
            return None
        self._pages.clear()
        lost, self._lost = self._lost, 0
        return Reading(self._frame[np.newaxis].copy(), lost)

    def _write(self, register: int, value: int) -> None:
        self._chip.write(register, value >> 8, value & 0xFF)


def read_words(chip: Registers, first: int, count: int) -> Words:
    """`count` words of 16 bits, big-endian; each has an address of its own (10.2)."""
    return np.frombuffer(chip.read(first, 2 * count), ">u2").astype(np.uint16)


def knows_its_address(chip: Registers) -> bool:
    """Whether the EEPROM names the address that it answered at (0x240F), and no MLX90641 (0x240A)."""
    words = read_words(chip, EEPROM + OPTIONS, OWN_ADDRESS - OPTIONS + 1)
    return bool(words[-1] & 0xFF == chip.address and not words[0] & IS_MLX90641)


def identify(bus: I2CBus, address: int) -> bool:
    """See Chip."""
    try:
        return knows_its_address(Registers(bus, address, index_bytes=2))
    except OSError:
        return False


def make(bus: I2CBus, address: int, rate_hz: float | None, _wait: Wait) -> Driver:
    """See MakeDriver."""
    return Mlx90640(bus, address, rate_hz)


CHIP = Chip("mlx90640", "thermal", "MLX90640: 32x24 temperatures", (ADDRESS,), make, identify)

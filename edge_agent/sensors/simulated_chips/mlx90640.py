"""A simulated MLX90640: invents a calibration, burns it into its EEPROM, and measures as such a chip would.

Melexis data sheet 3901090640 rev. 12. Here the arithmetic of section 11 runs the other way, from what there
is to what the amplifiers give, and from the chip's physics rather than from the data sheet's solution for
the temperature. Only the chess pattern at 18 bits is simulated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_agent.sensors.i2c import mlx90640 as driver
from edge_agent.sensors.simulated_chips.thermal_scene import walking_person
from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.types import Clock, Float32

ROWS, COLUMNS = 24, 32
EMISSIVITY, SURROUNDINGS_BELOW_C = 0.95, 8.0
"""Of what it looks at: how well it radiates, and how much colder than the chip is what it reflects."""
SUPPLY_V = 3.28
AFTER_RESET = {driver.STATUS: 0, driver.CONTROL: 0x1901}
GAIN_IN_FACTORY, GAIN_NOW = 6000, 5890
KV_DD, V_DD_25 = -100, 112
"""In steps of 32; the second counts from -8192 - 256 * 32."""
KV_PTAT, KT_PTAT, V_PTAT_25, ALPHA_PTAT = 20, 338, 12230, 9.0
"""In 1/4096, 1/8, bits, and as it is."""
KTA_SCALE, KV_SCALE, ALPHA_SCALE = 14, 3, 7
CP_ALPHA, CP_RATIO, CP_OFFSET, CP_DELTA, CP_KTA, CP_KV = 72, -6, -72, -3, 70, 4
CP_SIGNAL = 18.0
"""What the compensation pixels see of the inside of the can, in bits."""
KS_TA, TGC = -14, 20
KS_TO = (-110, -101, -95, -88)
KS_TO_SCALE = 17
CORNER_3_C, CORNER_4_C = 160.0, 320.0


class Factory:
    """The properties of one chip, as they are and as its EEPROM has them."""

    def __init__(self, rng: np.random.Generator) -> None:
        y, x = np.mgrid[-1 : 1 : ROWS * 1j, -1 : 1 : COLUMNS * 1j]
        self.eeprom = np.zeros(832, np.uint16)
        self.offset = self._mapped(
            0x10, -68, (2, 1, 0), rng.integers(-5, 6, ROWS), rng.integers(-5, 6, COLUMNS)
        )
        dome = np.rint(2 - 5 * y[:, 0] ** 2), np.rint(2 - 6 * x[0] ** 2)  # a lens is darker at its edge
        self.alpha = self._mapped(0x20, 12300, (9, 9, 6), *dome) / 2.0 ** (ALPHA_SCALE + 30)
        remainders = [rng.integers(low, 1 - low, ROWS * COLUMNS) for low in (-12, -12, -2)]
        remainders[0][remainders[0] == 0] = 1  # a word of 0 would be a pixel that failed
        self.offset += remainders[0]
        self.alpha += remainders[1] * 2.0 ** (6 - ALPHA_SCALE - 30)
        odd_row, odd_column = (np.indices((ROWS, COLUMNS)).reshape(2, -1) + 1) % 2 == 1
        kta = np.select([odd_row & odd_column, odd_row, odd_column], [95, 80, 91], 84)
        self.kta = (kta + remainders[2] * 2.0**3) / 2.0**KTA_SCALE
        self.kv = np.select([odd_row & odd_column, odd_row, odd_column], [5, 4, 3], 6) / 2.0**KV_SCALE
        self._burn(remainders)

    def _mapped(self, at: int, average: int, scales: tuple[int, int, int], rows: Any, columns: Any) -> Any:
        """Average, rows and columns into the EEPROM at `at`; what they make of every pixel is the answer."""
        self.eeprom[at + 1] = average & 0xFFFF
        for i, nibble in enumerate(np.concatenate([rows, columns]).astype(int)):
            self.eeprom[at + 2 + i // 4] |= (int(nibble) & 0xF) << 4 * (i % 4)
        self.eeprom[at] = scales[0] << 8 | scales[1] << 4 | scales[2]
        return (average + np.add.outer(rows * 2.0 ** scales[0], columns * 2.0 ** scales[1])).ravel()

    def _burn(self, remainders: list[npt.NDArray[np.int64]]) -> None:
        offset, alpha, kta = remainders
        self.eeprom[0x40:] = (offset & 0x3F) << 10 | (alpha & 0x3F) << 4 | (kta & 0x7) << 1
        self.eeprom[0x10] |= round((ALPHA_PTAT - 8) * 4) << 12
        self.eeprom[0x20] |= ALPHA_SCALE << 12
        self.eeprom[0x0A], self.eeprom[0x0C], self.eeprom[0x0F] = 0x0499, 0x1901, 0xBE00 | driver.ADDRESS
        self.eeprom[0x30:0x40] = [
            GAIN_IN_FACTORY,
            V_PTAT_25,
            KV_PTAT << 10 | KT_PTAT,
            pair(KV_DD, V_DD_25),
            0x5346,
            0x0994,
            pair(95, 91),
            pair(80, 84),
            2 << 12 | KV_SCALE << 8 | (KTA_SCALE - 8) << 4 | 3,
            (CP_RATIO & 0x3F) << 10 | CP_ALPHA,
            (CP_DELTA & 0x3F) << 10 | CP_OFFSET & 0x3FF,
            pair(CP_KV, CP_KTA),
            pair(KS_TA, TGC),
            pair(KS_TO[1], KS_TO[0]),
            pair(KS_TO[3], KS_TO[2]),
            2 << 12 | 8 << 8 | 8 << 4 | (KS_TO_SCALE - 8),
        ]


def pair(high: int, low: int) -> int:
    """Two bytes, each in two's complement where negative, as a word."""
    return (high & 0xFF) << 8 | low & 0xFF


def responsivity(object_c: Any) -> Any:
    """How much more sensitive than at 0 degC, piecewise straight with a slope for each range (11.1.10)."""
    slopes = np.array(KS_TO) / 2.0**KS_TO_SCALE
    at_3 = 1 + slopes[1] * CORNER_3_C
    at_4 = at_3 * (1 + slopes[2] * (CORNER_4_C - CORNER_3_C))
    knots = [-40.0, 0.0, CORNER_3_C, CORNER_4_C, 1000.0]
    values = [1 / (1 + slopes[0] * 40), 1.0, at_3, at_4, at_4 * (1 + slopes[3] * (1000.0 - CORNER_4_C))]
    return np.interp(object_c, knots, values)


class SimulatedMlx90640:
    """`signal` gives degC, 768 pixels row by row and then the chip itself."""

    def __init__(self, clock: Clock, signal: Signal, seed: int) -> None:
        self.factory = Factory(np.random.default_rng(seed))
        self.registers = dict(AFTER_RESET)
        self._ram = np.zeros(832, np.uint16)
        self._clock = clock
        self._signal = signal
        self._born_ns = clock.monotonic_ns()
        self._since_ns = self._born_ns
        """When the refresh rate was set; the first subpage is there one period later."""
        self._measured = 0
        self._pointer = 0

    def write(self, data: bytes) -> None:
        """A word's address, and words for there on."""
        self._measure()
        if len(data) >= 2:
            self._pointer = int.from_bytes(data[:2], "big")
        for at in range(2, len(data) - 1, 2):
            self._store(self._pointer, int.from_bytes(data[at : at + 2], "big"))
            self._pointer += 1

    def read(self, count: int) -> bytes:
        """Words from the pointer on, high byte first."""
        self._measure()
        words = [self._load(self._pointer + i) for i in range((count + 1) // 2)]
        self._pointer += len(words)
        return np.array(words, ">u2").tobytes()[:count]

    def _load(self, register: int) -> int:
        if driver.RAM <= register < driver.RAM + len(self._ram):
            return int(self._ram[register - driver.RAM])
        if driver.EEPROM <= register < driver.EEPROM + len(self.factory.eeprom):
            return int(self.factory.eeprom[register - driver.EEPROM])
        return self.registers.get(register, 0)

    def _store(self, register: int, value: int) -> None:
        """The status keeps its subpage: a master can only clear what is new and allow overwriting."""
        if register == driver.STATUS:
            new = self.registers[register] & value & driver.NEW_DATA
            page = self.registers[register] & driver.SUBPAGE
            self.registers[register] = value & driver.OVERWRITE | new | page
        elif register == driver.CONTROL:
            self.registers[register] = value
            self._since_ns, self._measured = self._clock.monotonic_ns(), 0

    def _measure(self) -> None:
        """What was due until now; of what was overwritten meanwhile only the last of each subpage."""
        rate_hz = 0.5 * 2 ** (self.registers[driver.CONTROL] >> 7 & 0x7)
        due = int((self._clock.monotonic_ns() - self._since_ns) * 1e-9 * rate_hz)
        for number in range(max(self._measured, due - 2), due):
            seconds = (self._since_ns - self._born_ns) * 1e-9 + (number + 1) / rate_hz
            self._put_subpage(number % 2, self._signal(seconds))
            self.registers[driver.STATUS] = (
                self.registers[driver.STATUS] & driver.OVERWRITE | driver.NEW_DATA | number % 2
            )
        self._measured = max(self._measured, due)

    def _put_subpage(self, page: int, truth: Float32) -> None:
        """The signal of the pixels of one colour, and all of what the chip says of itself."""
        object_c, own_c = truth[:-1].astype(np.float64), float(truth[-1])
        kelvin, own, around = object_c + 273.15, own_c + 273.15, own_c - SURROUNDINGS_BELOW_C + 273.15
        power = EMISSIVITY * kelvin**4 + (1 - EMISSIVITY) * around**4 - own**4
        warmer_c, over_v = own_c - 25.0, SUPPLY_V - 3.3
        tgc = TGC / 32
        cp_alpha = CP_ALPHA / 2.0 ** (ALPHA_SCALE + 27) * (1 + page * CP_RATIO / 128)
        alpha = (self.factory.alpha - tgc * cp_alpha) * (1 + KS_TA / 8192 * warmer_c)
        drift = (1 + self.factory.kta * warmer_c) * (1 + self.factory.kv * over_v)
        infrared = alpha * responsivity(object_c) * power + EMISSIVITY * tgc * CP_SIGNAL
        raw = (infrared + self.factory.offset * drift) * GAIN_NOW / GAIN_IN_FACTORY
        fields = np.indices((ROWS, COLUMNS)).sum(axis=0).ravel() % 2 == page
        self._ram[: ROWS * COLUMNS][fields] = np.clip(np.rint(raw), -32768, 32767).astype(np.int16)[fields]
        self._put_own(page, own_c, over_v)

    def _put_own(self, page: int, own_c: float, over_v: float) -> None:
        warmer_c = own_c - 25.0
        v_ptat_art = (warmer_c * KT_PTAT / 8 + V_PTAT_25) * (1 + KV_PTAT / 4096 * over_v)
        v_ptat = 1700
        v_be = v_ptat * (2.0**18 / v_ptat_art - ALPHA_PTAT)
        cp_drift = (1 + CP_KTA / 2.0**KTA_SCALE * warmer_c) * (1 + CP_KV / 2.0**KV_SCALE * over_v)
        cp = (CP_SIGNAL + (CP_OFFSET + page * CP_DELTA) * cp_drift) * GAIN_NOW / GAIN_IN_FACTORY
        v_dd = (V_DD_25 - 256) * 32 - 8192 + KV_DD * 32 * over_v
        for at, value in ((0x300, v_be), (0x30A, GAIN_NOW), (0x320, v_ptat), (0x32A, v_dd)):
            self._ram[at] = round(value) & 0xFFFF
        self._ram[0x328 if page else 0x308] = round(cp) & 0xFFFF


def invented(seed: int) -> Signal:
    """See chips.Invent: somebody walks through a room."""
    return walking_person(ROWS, COLUMNS, seed)


def simulated(clock: Clock, signal: Signal | None = None, seed: int = 0) -> SimulatedMlx90640:
    """See chips.Simulate."""
    return SimulatedMlx90640(clock, signal or invented(seed), seed)

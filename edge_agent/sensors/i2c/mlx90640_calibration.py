"""From the words of an MLX90640 to temperatures: its EEPROM's calibration, applied to all pixels at once.

Melexis data sheet 3901090640 rev. 12, section 11; the part of it that a function follows is named there. Rows
and columns count from 1 in the data sheet, so its even row is an odd index here. Only the chess pattern is
covered, in which the chip is calibrated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint16]
Float64 = npt.NDArray[np.float64]

ROWS, COLUMNS = 24, 32
PIXELS = ROWS * COLUMNS
EEPROM_WORDS = RAM_WORDS = 832
VBE, CP_0, GAIN, PTAT, CP_1, VDD = 0x300, 0x308, 0x30A, 0x320, 0x328, 0x32A
"""In the RAM, after the pixels (10.6.2)."""
KELVIN = 273.15
NOMINAL_V, NOMINAL_C = 3.3, 25.0
REFLECTED_BELOW_AMBIENT_C = 8.0
"""The chip is so much warmer than what surrounds it (11.2.2.9)."""
PAGES = np.add.outer(np.arange(ROWS), np.arange(COLUMNS)).ravel() % 2
"""(768,) the subpage that each pixel belongs to in the chess pattern (figure 8)."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What the EEPROM holds, in the units of the data sheet's formulas; index 0 and 1 are the subpages."""

    resolution: int
    kv_dd: float
    v_dd_25: float
    kv_ptat: float
    kt_ptat: float
    v_ptat_25: float
    alpha_ptat: float
    gain: float
    offset: Float64
    alpha: Float64
    kta: Float64
    kv: Float64
    cp_offset: tuple[float, float]
    cp_alpha: tuple[float, float]
    cp_kta: float
    cp_kv: float
    ks_ta: float
    tgc: float
    ks_to: tuple[float, float, float, float]
    corners_c: tuple[float, float, float, float]
    deviating: npt.NDArray[np.bool_]
    """(768,) pixels that failed, or for which nothing is guaranteed (table 10, notes 1 and 2)."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a frame says of the chip itself."""

    supply_v: float
    ambient_c: float
    gain: float


def signed(value: Any, low_bit: int, bits: int) -> Any:
    """A field of a word, or of an array of words, in two's complement."""
    half = 1 << (bits - 1)
    field = (np.asarray(value).astype(np.int64) >> low_bit) & (2 * half - 1)
    return (field ^ half) - half


def restored(eeprom: Words) -> Calibration:
    """(832,) words from 0x2400 on -> the calibration (11.1)."""
    k_scale = int(eeprom[0x38])
    kta_scale, kv_scale = 2.0 ** ((k_scale >> 4 & 0xF) + 8), 2.0 ** (k_scale >> 8 & 0xF)
    cp_offset = float(signed(eeprom[0x3A], 0, 10))
    cp_alpha = int(eeprom[0x39] & 0x3FF) / 2.0 ** ((int(eeprom[0x20]) >> 12) + 27)
    pixels = eeprom[0x40:]
    return Calibration(
        resolution=k_scale >> 12 & 0x3,
        kv_dd=float(signed(eeprom[0x33], 8, 8)) * 32,
        v_dd_25=(int(eeprom[0x33] & 0xFF) - 256) * 32.0 - 8192,
        kv_ptat=float(signed(eeprom[0x32], 10, 6)) / 4096,
        kt_ptat=float(signed(eeprom[0x32], 0, 10)) / 8,
        v_ptat_25=float(signed(eeprom[0x31], 0, 16)),
        alpha_ptat=(int(eeprom[0x10]) >> 12) / 4 + 8,
        gain=float(signed(eeprom[0x30], 0, 16)),
        offset=_spread(eeprom[0x10:0x20], signed(eeprom[0x11], 0, 16), signed(pixels, 10, 6)),
        alpha=_spread(eeprom[0x20:0x30], int(eeprom[0x21]), signed(pixels, 4, 6))
        / 2.0 ** ((int(eeprom[0x20]) >> 12) + 30),
        kta=(_by_parity(_kta_averages(eeprom)) + signed(pixels, 1, 3) * 2.0 ** (k_scale & 0xF)) / kta_scale,
        kv=_by_parity([float(signed(eeprom[0x34], bit, 4)) for bit in (12, 4, 8, 0)]) / kv_scale,
        cp_offset=(cp_offset, cp_offset + float(signed(eeprom[0x3A], 10, 6))),
        cp_alpha=(cp_alpha, cp_alpha * (1 + float(signed(eeprom[0x39], 10, 6)) / 128)),
        cp_kta=float(signed(eeprom[0x3B], 0, 8)) / kta_scale,
        cp_kv=float(signed(eeprom[0x3B], 8, 8)) / kv_scale,
        ks_ta=float(signed(eeprom[0x3C], 8, 8)) / 8192,
        tgc=float(signed(eeprom[0x3C], 0, 8)) / 32,
        ks_to=_slopes(eeprom),
        corners_c=_corners(int(eeprom[0x3F])),
        deviating=(pixels == 0) | (pixels & 1).astype(bool),
    )


def _spread(block: Words, average: int, pixels: npt.NDArray[np.int64]) -> Float64:
    """Offset or sensitivity of every pixel from average, row, column and remainder (11.1.3 and 11.1.4).

    `block` is 16 words: the scales, the average, six with four rows each, eight with four columns each.
    """
    nibbles = signed(block[2:, np.newaxis] >> np.array([0, 4, 8, 12], np.uint16), 0, 4).ravel()
    rows, columns = nibbles[:ROWS], nibbles[ROWS:]
    row_scale, column_scale, remainder_scale = (int(block[0]) >> bit & 0xF for bit in (8, 4, 0))
    shared = (rows << row_scale)[:, np.newaxis] + (columns << column_scale)  # (24, 32)
    spread: Float64 = (average + shared.ravel() + (pixels << remainder_scale)).astype(np.float64)
    return spread


def _kta_averages(eeprom: Words) -> list[float]:
    """11.1.6, in the order of `_by_parity`."""
    return [float(signed(eeprom[word], bit, 8)) for word, bit in ((0x36, 8), (0x37, 8), (0x36, 0), (0x37, 0))]


def _by_parity(averages: list[float]) -> Float64:
    """(768,) from odd row and column, odd and even, even and odd, even and even, counted from 1."""
    return np.tile(np.array(averages).reshape(2, 2), (ROWS // 2, COLUMNS // 2)).ravel()


def _slopes(eeprom: Words) -> tuple[float, float, float, float]:
    """KsTo of the four ranges of object temperature (11.1.10)."""
    scale = 2.0 ** ((int(eeprom[0x3F]) & 0xF) + 8)
    first, second, third, fourth = (
        float(signed(eeprom[word], bit, 8)) / scale for word in (0x3D, 0x3E) for bit in (0, 8)
    )
    return first, second, third, fourth


def _corners(word: int) -> tuple[float, float, float, float]:
    """Where the four ranges begin (11.1.9)."""
    step_c = (word >> 12 & 0x3) * 10.0
    third = (word >> 4 & 0xF) * step_c
    return -40.0, 0.0, third, third + (word >> 8 & 0xF) * step_c


def conditions(calibration: Calibration, ram: Words, resolution: int) -> Conditions:
    """Supply, ambient temperature and gain of a frame taken at `resolution` (11.2.2.1 to 11.2.2.4)."""
    v_be, gain, v_ptat, v_dd = (float(signed(ram[at], 0, 16)) for at in (VBE, GAIN, PTAT, VDD))
    v_dd *= 2.0 ** (calibration.resolution - resolution)
    over_v = (v_dd - calibration.v_dd_25) / calibration.kv_dd
    v_ptat_art = v_ptat / (v_ptat * calibration.alpha_ptat + v_be) * 2.0**18
    at_nominal = v_ptat_art / (1 + calibration.kv_ptat * over_v)
    ambient_c = (at_nominal - calibration.v_ptat_25) / calibration.kt_ptat + NOMINAL_C
    return Conditions(NOMINAL_V + over_v, ambient_c, calibration.gain / gain)


def infrared(calibration: Calibration, ram: Words, at: Conditions, page: int, emissivity: float) -> Float64:
    """(768,) compensated signal of every pixel, right for those of `page` (11.2.2.5 to 11.2.2.7)."""
    warmer_c, over_v = at.ambient_c - NOMINAL_C, at.supply_v - NOMINAL_V
    raw = signed(ram[:PIXELS], 0, 16) * at.gain
    drift = (1 + calibration.kta * warmer_c) * (1 + calibration.kv * over_v)
    cp_raw = float(signed(ram[(CP_0, CP_1)[page]], 0, 16)) * at.gain
    cp_drift = (1 + calibration.cp_kta * warmer_c) * (1 + calibration.cp_kv * over_v)
    cp = cp_raw - calibration.cp_offset[page] * cp_drift
    compensated: Float64 = (raw - calibration.offset * drift) / emissivity - calibration.tgc * cp
    return compensated


def sensitivity(calibration: Calibration, ambient_c: float, page: int) -> Float64:
    """(768,) alpha at this ambient temperature (11.2.2.8)."""
    alpha = calibration.alpha - calibration.tgc * calibration.cp_alpha[page]
    return alpha * (1 + calibration.ks_ta * (ambient_c - NOMINAL_C))


def background(ambient_c: float, reflected_c: float, emissivity: float) -> float:
    """Ta-r, what a pixel sees of ambient and reflected temperature, in K^4 (11.2.2.9)."""
    ambient, reflected = (ambient_c + KELVIN) ** 4, (reflected_c + KELVIN) ** 4
    return reflected - (reflected - ambient) / emissivity


def basic_temperatures(signal: Float64, alpha: Float64, behind: float, ks_to: float) -> Float64:
    """degC, right from 0 degC to the third corner (11.2.2.9). NaN where the signal is below absolute zero."""
    slope = ks_to * (alpha**3 * signal + alpha**4 * behind) ** 0.25
    temperatures: Float64 = (signal / (alpha * (1 - ks_to * KELVIN) + slope) + behind) ** 0.25 - KELVIN
    return temperatures


def object_temperatures(
    calibration: Calibration, ram: Words, at: Conditions, page: int, emissivity: float
) -> Float64:
    """(768,) degC, right for the pixels of `page`, in any range (11.2.2.9.1); NaN where a pixel deviates."""
    signal = infrared(calibration, ram, at, page, emissivity)
    alpha = sensitivity(calibration, at.ambient_c, page)
    behind = background(at.ambient_c, at.ambient_c - REFLECTED_BELOW_AMBIENT_C, emissivity)
    first, second, third, _ = calibration.ks_to
    _, _, corner_3, corner_4 = calibration.corners_c
    up_to_3 = 1 + second * corner_3
    corrections = np.array([1 / (1 + first * 40), 1, up_to_3, up_to_3 * (1 + third * (corner_4 - corner_3))])
    with np.errstate(invalid="ignore"):
        basic = basic_temperatures(signal, alpha, behind, second)
        range_of = np.clip(np.searchsorted(calibration.corners_c, basic, "right") - 1, 0, 3)
        from_corner_c = basic - np.array(calibration.corners_c)[range_of]
        ranged = alpha * corrections[range_of] * (1 + np.array(calibration.ks_to)[range_of] * from_corner_c)
        temperatures: Float64 = (signal / ranged + behind) ** 0.25 - KELVIN
    temperatures[calibration.deviating] = np.nan
    return temperatures

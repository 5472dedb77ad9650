"""Bosch BME280: temperature, humidity and pressure, one forced measurement for each read.

BST-BME280-DS001 rev. 1.1: registers 5.3 and 5.4, trimming parameters 4.2.2, compensation 4.2.3 and its
floating-point form 8.1, measurement time 9.1. A forced measurement is set up anew each time, so a supply
that failed for a moment costs one sample and no wrong ones.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from edge_agent.errors import SensorError
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Chip, Reading, Registers, Wait

CALIB_LOW, CALIB_LOW_BYTES, CALIB_HIGH, CALIB_HIGH_BYTES = 0x88, 26, 0xE1, 7
ID, RESET, CTRL_HUM, STATUS, CTRL_MEAS, DATA = 0xD0, 0xE0, 0xF2, 0xF3, 0xF4, 0xF7
IDENTITIES = {0x60: "BME280"}
RESET_KEY = 0xB6  # 5.4.2
MEASURING, LOADING = 0x08, 0x01  # 5.4.4: a conversion runs; the trimming parameters are being copied
HUMIDITY_ONCE, ALL_ONCE_FORCED = 0x01, 0x25  # 5.4.3 and 5.4.5: oversampling 1 everywhere, mode 01
SKIPPED_20_BIT, SKIPPED_16_BIT = 0x80000, 0x8000  # 5.4.7 to 5.4.9: what was not measured
RESET_S = 0.005  # more than the 2 ms from power to the first exchange (table 1)
MEASURE_S = 0.010  # 9.3 ms at most at oversampling 1 (9.1)
USUAL_HZ, FASTEST_HZ = 1.0, 50.0
"""The fastest leaves as much time again for the exchange as for the measurement."""
CHANNELS: tuple[Channel, ...] = (
    Channel("temperature", "degC"),
    Channel("humidity", "%"),
    Channel("pressure", "Pa"),
)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The trimming parameters of one chip: dig_T1..T3, dig_P1..P9, dig_H1..H6 (table 16)."""

    t: tuple[int, ...]
    p: tuple[int, ...]
    h: tuple[int, ...]

    @classmethod
    def of(cls, low: bytes, high: bytes) -> Calibration:
        """From registers 0x88..0xA1 and 0xE1..0xE7. H4 and H5 are 12 bits each and share a byte."""
        words = struct.unpack("<HhhH8hxB", low)
        h2, h3, h4_high, shared, h5_high, h6 = struct.unpack("<hBbBbb", high)
        h4, h5 = (h4_high << 4) | (shared & 0x0F), (h5_high << 4) | (shared >> 4)
        return cls(words[:3], words[3:12], (words[12], h2, h3, h4, h5, h6))


def fine_temperature(calibration: Calibration, raw: int) -> float:
    """Temperature in 1/5120 degC, as the other two formulas want it (8.1)."""
    t1, t2, t3 = calibration.t
    offset = raw / 16384 - t1 / 1024
    return offset * t2 + (offset / 8) ** 2 * t3


def pressure_pa(calibration: Calibration, raw: int, fine: float) -> float:
    """Pressure in Pa, NaN where the formula would divide by zero (8.1)."""
    p1, p2, p3, p4, p5, p6, p7, p8, p9 = calibration.p
    warmth = fine / 2 - 64000
    offset = (warmth**2 * p6 / 32768 + warmth * p5 * 2) / 4 + p4 * 65536
    scale = (1 + (p3 * warmth**2 / 524288 + p2 * warmth) / 524288 / 32768) * p1
    if scale == 0:
        return float("nan")
    pressure = (1048576 - raw - offset / 4096) * 6250 / scale
    return float(pressure + (p9 * pressure**2 / 2147483648 + pressure * p8 / 32768 + p7) / 16)


def humidity_percent(calibration: Calibration, raw: int, fine: float) -> float:
    """Relative humidity in %, limited to 0..100 (8.1)."""
    h1, h2, h3, h4, h5, h6 = calibration.h
    warmth = fine - 76800
    gain = h2 / 65536 * (1 + h6 / 67108864 * warmth * (1 + h3 / 67108864 * warmth))
    humidity = (raw - (h4 * 64 + h5 / 16384 * warmth)) * gain
    return min(100.0, max(0.0, humidity * (1 - h1 * humidity / 524288)))


def compensated(calibration: Calibration, data: bytes) -> list[float]:
    """Registers 0xF7..0xFE -> degC, %, Pa; NaN for what the chip did not measure."""
    raw_p, raw_t = int.from_bytes(data[0:3], "big") >> 4, int.from_bytes(data[3:6], "big") >> 4
    raw_h = int.from_bytes(data[6:8], "big")
    nan = float("nan")
    if raw_t == SKIPPED_20_BIT:  # the other two cannot be compensated without it
        return [nan] * 3
    fine = fine_temperature(calibration, raw_t)
    return [
        fine / 5120,
        nan if raw_h == SKIPPED_16_BIT else humidity_percent(calibration, raw_h, fine),
        nan if raw_p == SKIPPED_20_BIT else pressure_pa(calibration, raw_p, fine),
    ]


class Bme280:
    """Sleeps between reads, which keeps it from warming itself."""

    channels = CHANNELS

    def __init__(self, bus: I2CBus, address: int, rate_hz: float | None, wait: Wait) -> None:
        self._chip = Registers(bus, address)
        self._wait = wait
        self.rate_hz = min(rate_hz or USUAL_HZ, FASTEST_HZ)
        self.poll_s = 1 / self.rate_hz
        self._calibration = Calibration((), (), ())

    def start(self) -> None:
        """See Driver. SensorError where the chip does not finish copying its trimming parameters."""
        self._chip.expect(ID, IDENTITIES, "BME280")
        self._chip.write(RESET, RESET_KEY)
        self._wait(RESET_S)
        if self._chip.read_u8(STATUS) & LOADING:
            raise SensorError("the BME280 does not load its calibration", hint="power it off and on")
        low, high = self._chip.read(CALIB_LOW, CALIB_LOW_BYTES), self._chip.read(CALIB_HIGH, CALIB_HIGH_BYTES)
        self._calibration = Calibration.of(low, high)

    def read(self) -> Reading | None:
        """See Driver. Takes a measurement, 10 ms; None where it is not ready even then."""
        # Pairs of register and value, since writes do not move on (6.2.1); CTRL_HUM counts from CTRL_MEAS on.
        self._chip.write(CTRL_HUM, HUMIDITY_ONCE, CTRL_MEAS, ALL_ONCE_FORCED)
        self._wait(MEASURE_S)
        registers = self._chip.read(STATUS, DATA + 8 - STATUS)
        if registers[0] & MEASURING:
            return None
        return Reading(np.array([compensated(self._calibration, registers[DATA - STATUS :])], np.float32))


def identify(bus: I2CBus, address: int) -> bool:
    """See Chip."""
    try:
        return Registers(bus, address).read_u8(ID) in IDENTITIES
    except OSError:
        return False


CHIP = Chip(
    "bme280", "environment", "BME280: temperature, humidity, pressure", (0x76, 0x77), Bme280, identify
)

"""ST VL53L0X: distance by time of flight up to 2 m, ranging back to back.

Data sheet DocID029104 rev. 2 for the identity and the timing; the registers, the order of the start and
the tuning settings are those that ST publishes with its API (STSW-IMG005, user manual UM2039).
`signal_rate` is the light that came back, in millions of counts a second.
"""

from __future__ import annotations

import math

import numpy as np

from edge_agent.errors import SensorError
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Chip, Reading, Registers, Wait
from edge_agent.sensors.i2c.vl53 import ADDRESS, VL53L0X_MODEL_ID, is_vl53l0x, until

START, SEQUENCE, INTERRUPT_CONFIG, INTERRUPT_CLEAR, INTERRUPT_STATUS = 0x00, 0x01, 0x0A, 0x0B, 0x13
REF_SPADS, REF_SPAD_START, FINAL_TIMEOUT, INTERRUPT_POLARITY = 0xB0, 0xB6, 0x71, 0x84
SPAD_OFFSET, SPAD_COUNT = 0x4F, 0x4E  # page 1
PAD_VOLTAGE, STOP_VARIABLE, SOFT_RESET, PAGE = 0x89, 0x91, 0xBF, 0xFF
BACK_TO_BACK, SINGLE, VHV_CALIBRATION, PHASE_CALIBRATION = 0x02, 0x01, 0x40, 0x00
STEPS_RANGING, STEP_VHV, STEP_PHASE = 0xE8, 0x01, 0x02
NEW_SAMPLE_READY = 0x04
FIRST_APERTURE_SPAD, SPADS = 12, 48

# The 80 default settings of the API's vl53l0x_tuning.h: register and value by turns.
TUNING = bytes.fromhex(
    "ff01 0000 ff00 0900 1000 1100 2401 25ff 7500 ff01 4e2c 4800 3020 ff00 3009 5400 3104 3203 4083 4625"
    "6000 2700 5006 5100 5296 5608 5730 6100 6200 6400 6500 66a0 ff01 2232 4714 49ff 4a00 ff00 7a0a 7b00"
    "7821 ff01 2334 4200 44ff 4526 4605 4040 0e06 201a 4340 ff00 3403 3544 ff01 3104 4b09 4c05 4d04 ff00"
    "4400 4520 4708 4828 6700 7004 7101 72fe 7600 7700 ff01 0d01 ff00 8001 01f8 ff01 8e01 0001 ff00 8000"
)

# How long the steps of a measurement take with these settings (UM2039, timing budget; one macro period is
# 2304 VCSEL periods of 1.655 ns each).
PRE_RANGE_MACRO_US = 2304 * 14 * 1.655e-3
FINAL_RANGE_MACRO_US = 2304 * 10 * 1.655e-3
PRE_RANGE_MACROS = 0x96 + 1
DSS_US = 2 * ((0x25 + 1) * PRE_RANGE_MACRO_US + 690)
PRE_RANGE_US = PRE_RANGE_MACROS * PRE_RANGE_MACRO_US + 660
FIXED_US = 1910 + 960 + DSS_US + PRE_RANGE_US + 550
LEAST_BUDGET_US, USUAL_BUDGET_US, MOST_BUDGET_US = 20_000, 33_000, 200_000

VALID = 11
HARDWARE_FAULTS = {
    1: "the laser failed its continuity test",
    2: "the laser's watchdog stopped it",
    3: "its detector's voltage is not calibrated",
}
"""Codes of RESULT_RANGE_STATUS, bits 3 to 6; those in between are targets that are too weak or too far."""
CHANNELS: tuple[Channel, ...] = (Channel("distance", "m"), Channel("signal_rate", "1"))


class Vl53l0x:
    """The rate sets the timing budget: the slower, the farther and the steadier."""

    channels = CHANNELS

    def __init__(self, bus: I2CBus, address: int, rate_hz: float | None, wait: Wait) -> None:
        self._chip = Registers(bus, address)
        self._wait = wait
        wanted_us = 1e6 / rate_hz if rate_hz else USUAL_BUDGET_US
        self._budget_us = min(MOST_BUDGET_US, max(LEAST_BUDGET_US, wanted_us))
        self.rate_hz = 1e6 / self._budget_us
        self.poll_s = 0.5 / self.rate_hz  # its clock is not ours: once a period would miss some

    def start(self) -> None:
        """See Driver."""
        self._chip.expect(VL53L0X_MODEL_ID, {0xEE: "VL53L0X"}, "VL53L0X")
        self._reset()
        self._chip.update(PAD_VOLTAGE, 0x01, 0x01)  # the pull-ups of a module go to 2.8 V, not to 1.8 V
        stop_variable = self._read_stop_variable()
        self._chip.write(SEQUENCE, 0xFF)
        self._choose_spads(*self._read_spads())
        self._write_all(TUNING)
        self._chip.write(INTERRUPT_CONFIG, NEW_SAMPLE_READY)
        self._chip.update(INTERRUPT_POLARITY, 0x10, 0x00)
        self._chip.write(INTERRUPT_CLEAR, 0x01)
        self._chip.write(FINAL_TIMEOUT, *final_timeout(self._budget_us))
        self._calibrate(STEP_VHV, VHV_CALIBRATION)
        self._calibrate(STEP_PHASE, PHASE_CALIBRATION)
        self._chip.write(SEQUENCE, STEPS_RANGING)
        self._write_all(bytes((0x80, 1, PAGE, 1, 0, 0, STOP_VARIABLE, stop_variable, 0, 1, PAGE, 0, 0x80, 0)))
        self._chip.write(START, BACK_TO_BACK)

    def read(self) -> Reading | None:
        """See Driver. Interrupt and result are read in one go, so that they belong together."""
        block = self._chip.read(INTERRUPT_STATUS, 13)
        if not block[0] & 0x07:
            return None
        self._chip.write(INTERRUPT_CLEAR, 0x01)
        status = block[1] >> 3 & 0x0F
        if status in HARDWARE_FAULTS:
            raise SensorError(f"the VL53L0X reports that {HARDWARE_FAULTS[status]}")
        signal_rate = int.from_bytes(block[7:9], "big") / 128  # 9.7 fixed point
        distance_mm = int.from_bytes(block[11:13], "big")
        distance_m = distance_mm / 1000 if status == VALID else math.nan
        return Reading(np.array([[distance_m, signal_rate]], np.float32))

    def _write_all(self, settings: bytes) -> None:
        for register, value in zip(settings[::2], settings[1::2], strict=True):
            self._chip.write(register, value)

    def _reset(self) -> None:
        self._chip.write(SOFT_RESET, 0x00)
        until(lambda: self._chip.read_u8(VL53L0X_MODEL_ID) == 0, self._wait, 0.1, "it did not go into reset")
        self._chip.write(SOFT_RESET, 0x01)
        until(lambda: self._chip.read_u8(VL53L0X_MODEL_ID) != 0, self._wait, 0.1, "it did not boot")

    def _read_stop_variable(self) -> int:
        self._write_all(bytes((0x88, 0, 0x80, 1, PAGE, 1, 0, 0)))
        stop_variable = self._chip.read_u8(STOP_VARIABLE)
        self._write_all(bytes((0, 1, PAGE, 0, 0x80, 0)))
        return stop_variable

    def _read_spads(self) -> tuple[int, int]:
        """How many reference SPADs the factory chose, and from which on: those with an aperture come last."""
        self._write_all(bytes((0x80, 1, PAGE, 1, 0, 0, PAGE, 6)))
        self._chip.update(0x83, 0x04, 0x04)
        self._write_all(bytes((PAGE, 7, 0x81, 1, 0x80, 1, 0x94, 0x6B, 0x83, 0)))
        until(lambda: self._chip.read_u8(0x83) != 0, self._wait, 0.1, "it did not read its memory")
        self._chip.write(0x83, 0x01)
        found = self._chip.read_u8(0x92)
        self._write_all(bytes((0x81, 0, PAGE, 6)))
        self._chip.update(0x83, 0x04, 0x00)
        self._write_all(bytes((PAGE, 1, 0, 1, PAGE, 0, 0x80, 0)))
        return found & 0x7F, FIRST_APERTURE_SPAD if found & 0x80 else 0

    def _choose_spads(self, count: int, first: int) -> None:
        good = self._chip.read(REF_SPADS, SPADS // 8)
        settings = (PAGE, 1, SPAD_OFFSET, 0, SPAD_COUNT, 0x2C, PAGE, 0, REF_SPAD_START, 0xB4)
        self._write_all(bytes(settings))
        self._chip.write(REF_SPADS, *first_good(good, count, first))

    def _calibrate(self, step: int, kind: int) -> None:
        self._chip.write(SEQUENCE, step)
        self._chip.write(START, SINGLE | kind)
        done = "it did not finish its calibration"
        until(lambda: bool(self._chip.read_u8(INTERRUPT_STATUS) & 0x07), self._wait, 0.5, done)
        self._chip.write(INTERRUPT_CLEAR, 0x01)
        self._chip.write(START, 0x00)


def first_good(good: bytes, count: int, first: int) -> bytes:
    """The map of SPADs with no more than the first `count` good ones from `first` on."""
    usable = [i for i in range(first, SPADS) if good[i // 8] >> i % 8 & 1]
    return sum(1 << i for i in usable[:count]).to_bytes(SPADS // 8, "little")


def final_timeout(budget_us: float) -> bytes:
    """The two bytes that let the last step of a measurement use what the others leave of the budget."""
    macros = round((budget_us - FIXED_US) / FINAL_RANGE_MACRO_US) + PRE_RANGE_MACROS
    return encode_timeout(macros)


def encode_timeout(macros: int) -> bytes:
    """Macro periods as exponent and mantissa: mantissa * 2 ** exponent + 1 (UM2039)."""
    mantissa, exponent = macros - 1, 0
    while mantissa > 0xFF:
        mantissa, exponent = mantissa >> 1, exponent + 1
    return bytes((exponent, mantissa))


def identify(bus: I2CBus, address: int) -> bool:
    """See Chip."""
    try:
        return is_vl53l0x(bus, address)
    except OSError:
        return False


CHIP = Chip(
    "vl53l0x", "depth", "VL53L0X: distance up to 2 m by time of flight", (ADDRESS,), Vl53l0x, identify
)

"""ST VL53L1X: distance by time of flight up to 4 m, ranging at a period of its own.

Data sheet DocID031281 rev. 3 for identity and limits; registers, default configuration and order of the
start are those of ST's ultra lite driver (user manual UM2510, STSW-IMG009), in its long distance mode.
`ambient_rate` is the light of the surroundings, in millions of counts a second.
"""

from __future__ import annotations

import math

import numpy as np

from edge_agent.errors import SensorError
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Chip, Reading, Registers, Wait
from edge_agent.sensors.i2c.vl53 import ADDRESS, is_vl53l0x, not_the_chip, refuse_vl53l0x, until

SOFT_RESET, VHV_LOOP_BOUND, VHV_INIT, CONFIGURATION = 0x0000, 0x0008, 0x000B, 0x002D
INTERRUPT_LEVEL, TIMEOUT_A, TIMEOUT_B, PERIOD = 0x0031, 0x005E, 0x0061, 0x006C
INTERRUPT_CLEAR, MODE, RESULT = 0x0086, 0x0087, 0x0089
OSC_CALIBRATION, SYSTEM_STATUS, MODEL_ID = 0x00DE, 0x00E5, 0x010F
IDENTITY = 0xEACC
RANGING, STOPPED = 0x40, 0x00
BOOT_S = 0.0012
"""Until then it does not acknowledge (DocID031281, power up and boot sequence)."""

# Registers 0x2D to 0x87 (UM2510, VL51L1X_DEFAULT_CONFIGURATION), with 0x2E and 0x2F set for pull-ups to the
# supply, as on every module, instead of to 1.8 V. The interrupt is active high and tells of a new sample.
DEFAULT_CONFIGURATION = bytes.fromhex(
    "000101 0102 0002 0800 0810 0101 0000 0000 ff00 0f00 0000 0000 200b 0000 020a 2100 0005 0000 0000"
    "c800 0038 ff01 0008 0000 01cc 0f01 f10d 0168 0080 08b8 0000 0000 0f89 0000 0000 0000 0001 0f0d"
    "0e0e 0000 02c7 ff9b 0000 0001 0000"
)
BUDGETS = {33: (0x0060, 0x006E), 50: (0x00AD, 0x00C6), 100: (0x01CC, 0x01EA), 200: (0x02D9, 0x02F8)}
"""Timing budget in ms -> the time-outs of both phases (VL53L1X_SetTimingBudgetInMs, long distance)."""
PERIOD_FACTOR = 1.075
"""By what the period is set longer than the calibrated oscillator says (VL53L1X_SetInterMeasurementInMs)."""
SHORTEST_MS, USUAL_MS, LONGEST_MS = 33.0, 50.0, 10_000.0

VALID = 9
HARDWARE_FAULTS = {
    1: "the laser failed its continuity test",
    2: "the laser's watchdog stopped it",
    3: "its detector's voltage is not calibrated",
}
"""Codes of RESULT__RANGE_STATUS, bits 0 to 4; all others but VALID are targets that cannot be trusted."""
CHANNELS: tuple[Channel, ...] = (Channel("distance", "m"), Channel("ambient_rate", "1"))


class Vl53l1x:
    """Of each period it ranges as long as the longest timing budget that fits."""

    channels = CHANNELS

    def __init__(self, bus: I2CBus, address: int, rate_hz: float | None, wait: Wait) -> None:
        self._chip = Registers(bus, address, index_bytes=2)
        self._wait = wait
        wanted_ms = 1000 / rate_hz if rate_hz else USUAL_MS
        self._period_ms = min(LONGEST_MS, max(SHORTEST_MS, wanted_ms))
        self.rate_hz = 1000 / self._period_ms
        self.poll_s = 0.5 / self.rate_hz  # its clock is not ours: once a period would miss some

    def start(self) -> None:
        """See Driver."""
        chip = self._chip
        refuse_vl53l0x(chip.bus, chip.address, "VL53L1X")
        found = int.from_bytes(chip.read(MODEL_ID, 2), "big")
        if found != IDENTITY:
            raise not_the_chip(
                chip.address, "VL53L1X", f"its identity is 0x{found:04x}, not 0x{IDENTITY:04x}"
            )
        self._reset()
        chip.write(CONFIGURATION, *DEFAULT_CONFIGURATION)
        self._calibrate()
        budget_ms = max(budget for budget in BUDGETS if budget <= self._period_ms)
        for register, timeout in zip((TIMEOUT_A, TIMEOUT_B), BUDGETS[budget_ms], strict=True):
            chip.write(register, *timeout.to_bytes(2, "big"))
        ticks_per_ms = int.from_bytes(chip.read(OSC_CALIBRATION, 2), "big") & 0x3FF
        chip.write(PERIOD, *round(ticks_per_ms * self._period_ms * PERIOD_FACTOR).to_bytes(4, "big"))
        chip.write(MODE, RANGING)

    def read(self) -> Reading | None:
        """See Driver."""
        if not self._ready():
            return None
        block = self._chip.read(RESULT, 15)
        self._chip.write(INTERRUPT_CLEAR, 0x01)
        status = block[0] & 0x1F
        if status in HARDWARE_FAULTS:
            raise SensorError(f"the VL53L1X reports that {HARDWARE_FAULTS[status]}")
        ambient_rate = int.from_bytes(block[7:9], "big") / 128  # 9.7 fixed point
        distance_mm = int.from_bytes(block[13:15], "big")
        distance_m = distance_mm / 1000 if status == VALID else math.nan
        return Reading(np.array([[distance_m, ambient_rate]], np.float32))

    def _ready(self) -> bool:
        return bool(self._chip.read_u8(INTERRUPT_LEVEL) & 0x01)

    def _reset(self) -> None:
        self._chip.write(SOFT_RESET, 0x00)
        self._wait(BOOT_S)
        self._chip.write(SOFT_RESET, 0x01)
        self._wait(2 * BOOT_S)
        booted = SYSTEM_STATUS
        until(lambda: bool(self._chip.read_u8(booted) & 0x01), self._wait, 0.5, "it did not boot")

    def _calibrate(self) -> None:
        """One measurement that calibrates the detector's voltage, from which the later ones then start."""
        self._chip.write(MODE, RANGING)
        until(self._ready, self._wait, 1.0, "it did not finish its first measurement")
        self._chip.write(INTERRUPT_CLEAR, 0x01)
        self._chip.write(MODE, STOPPED)
        self._chip.write(VHV_LOOP_BOUND, 0x09)
        self._chip.write(VHV_INIT, 0x00)


def identify(bus: I2CBus, address: int) -> bool:
    """See Chip."""
    try:
        if is_vl53l0x(bus, address):
            return False
        return Registers(bus, address, index_bytes=2).read(MODEL_ID, 2) == IDENTITY.to_bytes(2, "big")
    except OSError:
        return False


CHIP = Chip(
    "vl53l1x", "depth", "VL53L1X: distance up to 4 m by time of flight", (ADDRESS,), Vl53l1x, identify
)

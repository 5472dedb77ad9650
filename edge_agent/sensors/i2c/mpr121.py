"""NXP (Freescale) MPR121: how much closer than usual something is to each of 12 electrodes.

Data sheet rev. 4, chapter 5 "Register operation descriptions": auto-configuration and its equations 5.11,
out-of-range status 5.12. The values of the baseline filter and the thresholds are those of AN3944.
Auto-reconfiguration stays off: it would take a strong touch for a changed electrode and configure it away.
"""

from __future__ import annotations

import numpy as np

from edge_agent.errors import SensorError
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Chip, Reading, Registers, Wait

STATUS, OUT_OF_RANGE, FILTERED, BASELINE = 0x00, 0x02, 0x04, 0x1E
BASELINE_FILTER, THRESHOLDS, CONFIG_1, CONFIG_2, ECR = 0x2B, 0x41, 0x5C, 0x5D, 0x5E
AUTO_CONFIG, LIMITS, SOFT_RESET = 0x7B, 0x7D, 0x80
RESET_KEY, CONFIG_2_AFTER_RESET = 0x63, 0x24
ELECTRODES = 12
OVER_CURRENT = 0x80  # of register 0x01
RISING, FALLING = (1, 1, 0, 0), (1, 1, 255, 2)
"""Half deltas, counts and delays: the baseline follows a leaving hand at once, an approaching one slowly."""
TOUCH, RELEASE = 15, 10
CHARGE_HALF_US = 0x20  # CONFIG_2; the second filter takes 4 samples
AUTO_CONFIG_ONCE = 0x1D  # two retries, the baseline from the measurement, on entering run mode
RUN_ALL = 0xCC  # the baseline starts at the first data and follows; 12 electrodes
SUPPLY_V = 3.3
UPPER = int((SUPPLY_V - 0.7) / SUPPLY_V * 256)
LOWER, TARGET = int(0.65 * UPPER), int(0.9 * UPPER)  # equations 1 to 3
SAMPLES = 4
USUAL_HZ, FASTEST_HZ = 20.0, 100.0
"""The fastest leaves room for a read of 42 bytes, 4 ms at 100 kHz."""
RESET_S = 0.001
CHANNELS = tuple(Channel(f"touch_{i:02d}", "1") for i in range(ELECTRODES))


def differences(data: bytes) -> np.ndarray:
    """Registers 0x00..0x29 -> (12,) baseline minus filtered data in counts; NaN where it is out of range.

    More capacitance gives less voltage, so a touch is positive. The chip shows 8 of the baseline's 10 bits.
    """
    filtered = np.frombuffer(data[FILTERED : FILTERED + 2 * ELECTRODES], "<u2") & 0x3FF
    baseline = np.frombuffer(data[BASELINE : BASELINE + ELECTRODES], np.uint8).astype(np.float32) * 4
    out_of_range = int.from_bytes(data[OUT_OF_RANGE : OUT_OF_RANGE + 2], "little")
    failed = out_of_range >> np.arange(ELECTRODES) & 1
    return np.where(failed, np.float32(np.nan), baseline - filtered.astype(np.float32))


class Mpr121:
    """The chip filters at least as often as it is read, so that no read sees the same data twice."""

    channels: tuple[Channel, ...] = CHANNELS

    def __init__(self, bus: I2CBus, address: int, rate_hz: float | None, wait: Wait) -> None:
        self._chip = Registers(bus, address)
        self._wait = wait
        self.rate_hz = min(rate_hz or USUAL_HZ, FASTEST_HZ)
        self.poll_s = 1 / self.rate_hz
        fits = [n for n in range(8) if SAMPLES * 2**n <= 1000 * self.poll_s]
        self._interval = max(fits)  # 2**n ms between samples

    def start(self) -> None:
        """See Driver. Nobody should touch the electrodes now: this is what it takes for untouched."""
        if not _looks_like_one(self._chip):
            raise SensorError(
                f"address 0x{self._chip.address:02x} is no MPR121",
                hint="`edge-agent sensors probe` tells which chips answer",
            )
        self._chip.write(SOFT_RESET, RESET_KEY)
        self._wait(RESET_S)
        self._chip.expect(CONFIG_2, {CONFIG_2_AFTER_RESET: "MPR121"}, "MPR121 after a reset")
        self._chip.write(STATUS + 1, OVER_CURRENT)  # clears the flag: with it the chip would not run
        self._chip.write(BASELINE_FILTER, *RISING, *FALLING)
        self._chip.write(THRESHOLDS, *(TOUCH, RELEASE) * ELECTRODES)
        self._chip.write(CONFIG_2, CHARGE_HALF_US | self._interval)
        self._chip.write(AUTO_CONFIG, AUTO_CONFIG_ONCE)
        self._chip.write(LIMITS, UPPER, LOWER, TARGET)
        self._chip.write(ECR, RUN_ALL)

    def read(self) -> Reading | None:
        """See Driver. None before the first data. SensorError when the chip reports an over-current."""
        data = self._chip.read(STATUS, BASELINE + ELECTRODES)
        if data[1] & OVER_CURRENT:
            raise SensorError(
                "the MPR121 reports an over-current and has stopped",
                hint="its pin REXT needs 75 kOhm to ground and nothing else",
            )
        if not any(data[BASELINE:]):
            return None
        return Reading(differences(data)[np.newaxis])


def _looks_like_one(chip: Registers) -> bool:
    """Whether bits that must be zero are, and charge current and time are not. OSError from the bus."""
    status = chip.read(OUT_OF_RANGE, BASELINE - OUT_OF_RANGE)
    current, time = chip.read(CONFIG_1, 2)
    unused = status[1] & 0x20 or any(high & 0xFC for high in status[3::2])
    return not unused and current & 0x3F != 0 and time & 0xE0 != 0


def identify(bus: I2CBus, address: int) -> bool:
    """See Chip. It has no identity, so this goes by how its registers look.

    None is asked for whose address is a command to a BH1750, which can be at 0x5C.
    """
    try:
        return _looks_like_one(Registers(bus, address))
    except OSError:
        return False


CHIP = Chip(
    "mpr121", "capacitance", "MPR121: 12 touch electrodes", (0x5A, 0x5B, 0x5C, 0x5D), Mpr121, identify
)

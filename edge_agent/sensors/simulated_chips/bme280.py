"""A simulated BME280: sleeps, measures when it is forced to, and gives raw values that need compensation.

BST-BME280-DS001 rev. 1.1. Its raw values come from the fixed-point formulas of 4.2.3, searched backwards,
while the driver computes with the floating-point ones of 8.1: one must confirm the other. The trimming
parameters of temperature and pressure are those of the example in BST-BMP280-DS001 3.12; those of humidity
are what such chips usually hold. Normal mode is not simulated, no driver here uses it.
"""

from __future__ import annotations

import struct
from bisect import bisect_left

from edge_agent.sensors.i2c import bme280 as driver
from edge_agent.sensors.simulated_chips.chip import NackError, RegisterChip
from edge_agent.sensors.simulated_chips.room import invented_room
from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.types import Clock

T = (27504, 26435, -1000)
P = (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
H = (75, 362, 0, 315, 50, 30)
STARTUP_NS = 2_000_000
MODE, FORCED = 0x03, (1, 2)  # 5.4.5
SKIPPED = bytes((0x80, 0, 0, 0x80, 0, 0, 0x80, 0))


def trimming() -> dict[int, int]:
    """The trimming parameters in their registers (table 16)."""
    h1, h2, h3, h4, h5, h6 = H
    low = struct.pack("<HhhHhhhhhhhhBB", *T, *P, 0, h1)
    high = struct.pack("<hBBBBb", h2, h3, h4 >> 4, (h5 & 15) << 4 | h4 & 15, h5 >> 4, h6)
    return {**dict(enumerate(low, 0x88)), **dict(enumerate(high, 0xE1))}


AFTER_RESET = {**trimming(), driver.ID: 0x60, **dict(enumerate(SKIPPED, driver.DATA))}


def t_fine(adc: int) -> int:
    """4.2.3: t_fine, 1/5120 degC."""
    half = ((adc >> 3) - (T[0] << 1)) * T[1] >> 11
    squared = (adc >> 4) - T[0]
    return half + ((squared * squared >> 12) * T[2] >> 14)


def pressure_256(adc: int, fine: int) -> int:
    """4.2.3, 64 bit: pressure in 1/256 Pa."""
    x = fine - 128000
    offset = x * x * P[5] + (x * P[4] << 17) + (P[3] << 35)
    divisor = ((1 << 47) + (x * x * P[2] >> 8) + (x * P[1] << 12)) * P[0] >> 33
    p = ((1048576 - adc << 31) - offset) * 3125 // divisor
    return (p + (P[8] * (p >> 13) * (p >> 13) >> 25) + (P[7] * p >> 19) >> 8) + (P[6] << 4)


def humidity_1024(adc: int, fine: int) -> int:
    """4.2.3: relative humidity in 1/1024 %."""
    x = fine - 76800
    gain = (x * H[5] >> 10) * ((x * H[2] >> 11) + 32768) >> 10
    x = ((adc << 14) - (H[3] << 20) - H[4] * x + 16384 >> 15) * ((gain + 2097152) * H[1] + 8192 >> 14)
    x -= ((x >> 15) * (x >> 15) >> 7) * H[0] >> 4
    return min(max(x, 0), 419430400) >> 12


TWENTY_BITS = range((1 << 20) - 1)
"""All but the last, which is what `bisect_left` gives where a value lies beyond what can be measured."""


def raw_data(temperature_c: float, humidity_percent: float, pressure_pa: float) -> bytes:
    """Registers 0xF7..0xFE of a chip that measures this."""
    adc_t = bisect_left(TWENTY_BITS, round(temperature_c * 5120), key=t_fine)
    fine = t_fine(adc_t)
    target = -round(pressure_pa * 256)
    adc_p = bisect_left(TWENTY_BITS, target, key=lambda adc: -pressure_256(adc, fine))
    adc_h = bisect_left(
        range((1 << 16) - 1), round(humidity_percent * 1024), key=lambda adc: humidity_1024(adc, fine)
    )
    return (adc_p << 4).to_bytes(3, "big") + (adc_t << 4).to_bytes(3, "big") + adc_h.to_bytes(2, "big")


class SimulatedBme280(RegisterChip):
    """`signal` gives degC, % and Pa. `loading_fails` is a fault: the trimming parameters never arrive."""

    def __init__(self, clock: Clock, signal: Signal) -> None:
        super().__init__(clock.monotonic_ns, AFTER_RESET)
        self.loading_fails = False
        self._signal = signal
        self._born_ns = clock.monotonic_ns()
        self._awake_ns = self._born_ns
        self._done_ns: int | None = None
        """When the measurement that runs will be over."""
        self._humidity_on = False

    def write(self, data: bytes) -> None:
        """A register's address, or pairs of address and value: writes do not move on (6.2.1)."""
        self._answer()
        if data:
            self.pointer = data[0]
        for register, value in zip(data[::2], data[1::2], strict=False):
            self.stored(register, value)

    def read(self, count: int) -> bytes:
        """Reads do move on (6.2.2)."""
        self._answer()
        return super().read(count)

    def loaded(self, register: int) -> int:
        """The status tells what goes on (5.4.4)."""
        if register == driver.STATUS:
            return (driver.MEASURING if self._done_ns else 0) | (driver.LOADING if self.loading_fails else 0)
        return super().loaded(register)

    def stored(self, register: int, value: int) -> None:
        """Reset, and a measurement; what is read-only stays as it is."""
        if register == driver.RESET and value == driver.RESET_KEY:
            self.registers = dict(AFTER_RESET)
            self._done_ns, self._humidity_on = None, False
            self._awake_ns = self.monotonic_ns() + STARTUP_NS
        elif register == driver.CTRL_HUM:
            super().stored(register, value)
        elif register == driver.CTRL_MEAS:
            super().stored(register, value)
            # CTRL_HUM counts from here on (5.4.3).
            self._humidity_on = bool(self.registers.get(driver.CTRL_HUM, 0) & 7)
            if value & MODE in FORCED and self._done_ns is None:
                self._done_ns = self.monotonic_ns() + self._duration_ns()

    def _duration_ns(self) -> int:
        """Typical measurement time (9.1) in ns, at oversampling 1 or 0."""
        on = self.registers[driver.CTRL_MEAS]
        return 1_000_000 + 2_000_000 * bool(on >> 5) + 2_500_000 * (bool(on >> 2 & 7) + self._humidity_on)

    def _answer(self) -> None:
        """Not while it starts. A measurement that is over is in the registers, and the chip sleeps again."""
        now_ns = self.monotonic_ns()
        if now_ns < self._awake_ns:
            raise NackError
        if self._done_ns is None or now_ns < self._done_ns:
            return
        temperature_c, humidity, pressure_pa = self._signal((self._done_ns - self._born_ns) * 1e-9)
        data = raw_data(float(temperature_c), float(humidity), float(pressure_pa))
        on = self.registers[driver.CTRL_MEAS]
        self.put(driver.DATA, data[:3] if on >> 2 & 7 else SKIPPED[:3])
        self.put(driver.DATA + 3, data[3:6] if on >> 5 else SKIPPED[3:6])
        self.put(driver.DATA + 6, data[6:] if self._humidity_on else SKIPPED[6:])
        self.registers[driver.CTRL_MEAS] = on & ~MODE
        self._done_ns = None


def invented(seed: int) -> Signal:
    """See chips.Invent: it is in a room that people come to and leave."""
    return invented_room(driver.CHANNELS, seed)


def simulated(clock: Clock, signal: Signal | None = None, seed: int = 0) -> SimulatedBme280:
    """See chips.Simulate."""
    return SimulatedBme280(clock, signal or invented(seed))

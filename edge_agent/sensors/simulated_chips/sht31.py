"""A simulated SHT31: single shots that take their time, a status that remembers resets, a periodic mode.

SHT3x-DIS data sheet version 5, chapter 4. The periodic mode is there as what another program may have left
the chip in; it only refuses what it must.
"""

from __future__ import annotations

from edge_agent.sensors.i2c import sht31 as driver
from edge_agent.sensors.simulated_chips.room import invented_room
from edge_agent.sensors.simulated_chips.sensirion import CommandChip
from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.types import Clock

TYPICAL_MS = 12.5  # table 4, high repeatability
RESET_MS = 0.5
PERIODIC_1_HZ = 0x2130
AFTER_RESET, REFUSED = 0x8010, 0x0002  # table 18: an alert is pending, it was reset; last command


class SimulatedSht31(CommandChip):
    """`signal` gives degC and %."""

    def __init__(self, clock: Clock, signal: Signal) -> None:
        super().__init__(clock.monotonic_ns)
        self.status = AFTER_RESET
        self.periodic = False
        self._signal = signal
        self._born_ns = clock.monotonic_ns()

    def commanded(self, command: int) -> None:
        """In periodic mode only the break and the status are heard (4.8); what is refused is remembered."""
        if command == driver.STATUS:
            status = self.status
            self.reply(lambda: [status])
            return
        self.status &= ~REFUSED
        if command == driver.BREAK:
            self.periodic = False
        elif self.periodic:
            self.status |= REFUSED
        elif command == driver.MEASURE:
            self.busy_for(TYPICAL_MS)
            self.reply(self._measured)
        elif command == driver.RESET:
            self.status = AFTER_RESET
            self.busy_for(RESET_MS)
        elif command == driver.CLEAR_STATUS:
            self.status &= ~AFTER_RESET
        elif command == PERIODIC_1_HZ:
            self.periodic = True
        else:
            self.status |= REFUSED

    def _measured(self) -> list[int]:
        """The inverse of 4.13, at the moment when the measurement was over."""
        temperature_c, humidity = self._signal((self._busy_until_ns - self._born_ns) * 1e-9)
        shares = ((float(temperature_c) + 45) / 175, float(humidity) / 100)
        return [min(0xFFFF, max(0, round(share * 0xFFFF))) for share in shares]


def invented(seed: int) -> Signal:
    """See chips.Invent: it is in a room that people come to and leave."""
    return invented_room(driver.CHANNELS, seed)


def simulated(clock: Clock, signal: Signal | None = None, seed: int = 0) -> SimulatedSht31:
    """See chips.Simulate."""
    return SimulatedSht31(clock, signal or invented(seed))

"""A simulated SCD41: measures every 5 or 30 seconds into a buffer that reading empties.

SCD4x data sheet version 1.3, chapter 3. While it measures it acknowledges no command but those that table 9
allows then.
"""

from __future__ import annotations

from edge_agent.sensors.i2c import scd41 as driver
from edge_agent.sensors.simulated_chips.chip import NackError
from edge_agent.sensors.simulated_chips.room import invented_room
from edge_agent.sensors.simulated_chips.sensirion import CommandChip
from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.types import Clock

SERIAL = (0xF896, 0x9F07, 0x3BBE)  # the example of 3.9.2
WHILE_MEASURING = (driver.READ, driver.READY, driver.STOP)
PERIODS_NS = {driver.START: 5_000_000_000, driver.START_LOW_POWER: 30_000_000_000}
READY, NOT_READY = 0x8006, 0x8000
ANSWER_MS, STOP_MS, REINIT_MS = 1, 500, 20


class SimulatedScd41(CommandChip):
    """`signal` gives ppm, degC and %."""

    def __init__(self, clock: Clock, signal: Signal) -> None:
        super().__init__(clock.monotonic_ns)
        self._signal = signal
        self._born_ns = clock.monotonic_ns()
        self._period_ns = 0
        """0 while it does not measure."""
        self._started_ns = 0
        self._taken = 0
        """Measurements since the start that were read, or made way for newer ones."""

    def commanded(self, command: int) -> None:
        """See table 9."""
        if self._period_ns and command not in WHILE_MEASURING:
            raise NackError
        if command in PERIODS_NS:
            self._period_ns, self._started_ns, self._taken = PERIODS_NS[command], self.monotonic_ns(), 0
        elif command == driver.STOP:
            self._period_ns = 0
            self.busy_for(STOP_MS)
        elif command == driver.REINIT:
            self.busy_for(REINIT_MS)
        else:
            self.busy_for(ANSWER_MS)
            self._answering(command)

    def _answering(self, command: int) -> None:
        fresh = self._measured() > self._taken
        if command == driver.READY:
            self.reply(lambda: [READY if fresh else NOT_READY])
        elif command == driver.SERIAL_NUMBER:
            self.reply(lambda: SERIAL)
        elif command == driver.READ and fresh:
            self.reply(self._emptied)

    def _measured(self) -> int:
        """How many measurements were made since the start."""
        return (self.monotonic_ns() - self._started_ns) // self._period_ns if self._period_ns else 0

    def _emptied(self) -> list[int]:
        """The newest measurement, by the inverse of 3.5.2; the buffer has no other."""
        self._taken = self._measured()
        at_ns = self._started_ns + self._taken * self._period_ns
        co2, temperature_c, humidity = (float(x) for x in self._signal((at_ns - self._born_ns) * 1e-9))
        words = (co2, (temperature_c + 45) / 175 * 0xFFFF, humidity / 100 * 0xFFFF)
        return [min(0xFFFF, max(0, round(word))) for word in words]


def invented(seed: int) -> Signal:
    """See chips.Invent: it is in a room that people come to and leave."""
    return invented_room(driver.CHANNELS, seed)


def simulated(clock: Clock, signal: Signal | None = None, seed: int = 0) -> SimulatedScd41:
    """See chips.Simulate."""
    return SimulatedScd41(clock, signal or invented(seed))

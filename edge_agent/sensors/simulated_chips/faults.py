"""What goes wrong with real chips, on purpose: any simulated chip behind a bad wire, or failing itself.

Which faults there are, and how often, stands in the configuration: `config_sensors.Faults`. `disturbed` is
for every other simulated device too.
"""

from __future__ import annotations

import random

import numpy as np

from edge_agent.config_sensors import Disturbance, Faults
from edge_agent.sensors.simulated_chips.chip import NackError, SimulatedChip
from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.types import Clock, Float32


class FaultyChip:
    """A simulated chip whose transactions fail as `faults` say."""

    def __init__(self, chip: SimulatedChip, faults: Faults, clock: Clock, seed: int = 0) -> None:
        self.chip = chip
        self._faults = faults
        self._clock = clock
        self._born_ns = clock.monotonic_ns()
        self._rng = random.Random(seed)

    def write(self, data: bytes) -> None:
        """See SimulatedChip."""
        self._fail()
        self.chip.write(data)

    def read(self, count: int) -> bytes:
        """See SimulatedChip."""
        self._fail()
        data = self.chip.read(count)
        if data and self._rng.random() < self._faults.flip_share:
            at = self._rng.randrange(8 * len(data))
            flipped = int.from_bytes(data, "little") ^ (1 << at)
            return flipped.to_bytes(len(data), "little")
        return data

    def _fail(self) -> None:
        away = self._faults.away((self._clock.monotonic_ns() - self._born_ns) * 1e-9)
        if away or self._rng.random() < self._faults.nack_share:
            raise NackError


def disturbed(signal: Signal, faults: Disturbance, seed: int = 0) -> Signal:
    """The signal with the noise that `faults` adds, standing still from the moment that it is stuck."""
    rng = np.random.default_rng(seed)

    def measured(seconds: float) -> Float32:
        if faults.stuck_after_s and seconds > faults.stuck_after_s:
            return signal(faults.stuck_after_s)
        true = signal(seconds)
        return true + rng.normal(0, faults.noise, len(true)).astype(np.float32) if faults.noise else true

    return measured

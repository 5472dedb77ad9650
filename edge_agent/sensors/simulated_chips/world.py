"""What simulated chips measure: a signal over time, recorded or invented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge_agent.sensors.simulated import simulated_imu
from edge_agent.types import Float32, Int64

Signal = Callable[[float], Float32]
"""Seconds since the start -> the true value of every channel of the chip then, in the driver's units."""


@dataclass(frozen=True, slots=True)
class Played:
    """A recording as a signal, again and again: times_ns (n,) from 0, values (n, channels)."""

    times_ns: Int64
    values: Float32

    def __call__(self, seconds: float) -> Float32:
        """The newest sample at that moment."""
        at_ns = round(seconds * 1e9) % max(1, int(self.times_ns[-1]))
        found: Float32 = self.values[max(0, int(np.searchsorted(self.times_ns, at_ns, "right")) - 1)]
        return found


def steady(*values: float) -> Signal:
    """The same values for ever."""
    fixed = np.array(values, np.float32)
    return lambda _seconds: fixed


def walking(seed: int) -> Played:
    """Somebody walks with an IMU in a pocket: acceleration in m/s2 and rotation in rad/s, x, y and z each."""
    t_us, values = simulated_imu("walking", 8.0, np.random.default_rng(seed))
    return Played(t_us * 1000, values)

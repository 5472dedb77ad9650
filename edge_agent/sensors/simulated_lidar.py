"""What a simulated laser scanner sees, and the turntable that it sees it from."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edge_agent.sensors.scan import BEAMS
from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.types import Float32

Float64 = npt.NDArray[np.float64]

REACH_M = 12.0
"""What is further away gives no echo, to both scanners."""


def room(
    *, width_m: float = 5.0, depth_m: float = 4.0, at: tuple[float, float] = (2.0, 1.5), lap_s: float = 20.0
) -> Signal:
    """An invented room: 360 ranges in m, one for each degree clockwise from the front.

    It is seen from `at` (m from its left wall, m from its rear wall). Somebody walks around in it, once in
    `lap_s`.
    """
    angle = np.radians(np.arange(BEAMS))
    with np.errstate(divide="ignore"):  # a beam along a wall meets it at infinity
        to_right, to_front = 1 / np.sin(angle), 1 / np.cos(angle)
    to_side_m = np.maximum((width_m - at[0]) * to_right, -at[0] * to_right)
    to_end_m = np.maximum((depth_m - at[1]) * to_front, -at[1] * to_front)
    walls_m = np.minimum(to_side_m, to_end_m)

    def seen(seconds: float) -> Float32:
        phase = 2 * math.pi * seconds / lap_s
        somebody_m = _disc(angle, 1.2 * math.sin(phase), 1.0 * math.cos(phase), 0.2)
        ranges_m: Float32 = np.minimum(walls_m, somebody_m).astype(np.float32)
        return ranges_m

    return seen


def around(front_m: Float32, *, field_deg: float = 180.0) -> Float32:
    """Scans of a scanner that looks ahead, as all around: (n, beams) -> (n, 360), NaN where it does not look.

    Its beams go from right to left, as those of CARMEN's logs do.
    """
    beams_deg = np.linspace(field_deg / 2, -field_deg / 2, front_m.shape[1])
    wanted_deg = (np.arange(BEAMS) + 180) % 360 - 180
    nearest = np.abs(wanted_deg[:, None] - beams_deg[None, :]).argmin(axis=1)
    ranges_m = front_m[:, nearest].astype(np.float32)
    ranges_m[:, np.abs(wanted_deg) > field_deg / 2] = np.nan
    return ranges_m


def _disc(angle: Float64, right_m: float, front_m: float, radius_m: float) -> Float64:
    """Range to a disc at a place, for each angle; infinite where a beam misses it."""
    along = right_m * np.sin(angle) + front_m * np.cos(angle)
    aside = right_m * np.cos(angle) - front_m * np.sin(angle)
    depth = radius_m**2 - aside**2
    hit = (depth > 0) & (along > radius_m)
    return np.where(hit, along - np.sqrt(np.maximum(depth, 0)), np.inf)


class Turntable:
    """The motor and the laser: point after point, each at its own time and angle.

    `world` is 360 ranges in m over time, one for each degree clockwise from the front, NaN where nothing
    comes back. It is looked at once in a turn.
    """

    def __init__(self, world: Signal, points_per_s: int, turns_hz: float) -> None:
        self.turns_hz = turns_hz
        self.held = False
        self._world = world
        self._points_per_s = points_per_s
        self._ranges_m = np.full(BEAMS, np.nan, np.float32)
        self._angle_deg = 0.0
        self._begins = True
        self._start_us = 0
        self._taken = 0

    def start(self, age_us: int) -> None:
        """The first point is measured at that age, and begins a turn."""
        self._start_us, self._taken, self._angle_deg, self._begins = age_us, 0, 0.0, True

    def ready_us(self, points: int) -> int:
        """The age at which so many more points are measured."""
        return self._start_us + (self._taken + points) * 1_000_000 // self._points_per_s

    def next(self) -> tuple[bool, float, float]:
        """Whether the point begins a turn, its angle in degrees, and its range in m, 0 for nothing."""
        begins, angle_deg = self._begins, self._angle_deg
        if begins:
            self._ranges_m = self._world(self.ready_us(0) / 1e6)
        range_m = float(self._ranges_m[round(angle_deg) % BEAMS])
        self._taken += 1
        self._angle_deg += 0 if self.held else 360 * self.turns_hz / self._points_per_s
        self._begins = self._angle_deg >= 360
        self._angle_deg %= 360
        return begins, angle_deg, range_m if 0 < range_m <= REACH_M else 0.0

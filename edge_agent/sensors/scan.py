"""One turn of a laser scanner as one sample: 360 ranges, one for each degree."""

from __future__ import annotations

import math

import numpy as np

from edge_agent.sensors.channels import Channel
from edge_agent.types import Chunk, Float32

BEAMS = 360
CHANNELS = tuple(Channel(f"range_{degree:03}", "m") for degree in range(BEAMS))
"""range_090 is what lies between 89.5 and 90.5 degrees, as the scanner counts them: both kinds here turn
clockwise as seen from above, with 0 in front."""


class Scan:
    """Gathers the points of one turn; the nearest of a degree counts, a degree without any is NaN."""

    def __init__(self) -> None:
        self._nearest_m = [math.inf] * BEAMS

    def add(self, angle_deg: float, range_m: float) -> None:
        """One point. A range of 0 is how both scanners say that nothing came back."""
        beam = round(angle_deg) % BEAMS
        if 0 < range_m < self._nearest_m[beam]:
            self._nearest_m[beam] = range_m

    def ranges_m(self) -> Float32:
        """(1, 360), as gathered so far."""
        nearest_m = np.array([self._nearest_m], np.float32)
        nearest_m[np.isinf(nearest_m)] = np.nan
        return nearest_m


def turn(sensor: str, end_ns: int, scan: Scan, *, lost: int, simulated: bool) -> Chunk:
    """A turn as a chunk, at the time of its end."""
    return Chunk(sensor, np.array([end_ns], np.int64), scan.ranges_m(), lost, simulated)

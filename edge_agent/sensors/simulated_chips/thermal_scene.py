"""What a thermal array sees when nobody tells it what to see: a room in which somebody walks about.

The sizes are those of a person two metres away in a heated room; plausible, not measured.
"""

from __future__ import annotations

import math

import numpy as np

from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.types import Float32

ROOM_C, BODY_C = 21.0, 31.0
SENSOR_ABOVE_ROOM_C = 2.0
"""A sensor is a little warmer than its room, since it heats itself."""
BODY_WIDTH = 0.14
"""Of the field of view, as the standard deviation of a round spot."""


def walking_person(rows: int, columns: int, seed: int) -> Signal:
    """A signal of rows * columns pixels, row-major, and the sensor's own temperature, in degC."""
    rng = np.random.default_rng(seed)
    walls = ROOM_C + rng.normal(0.0, 0.3, rows * columns)
    y, x = np.divmod(np.arange(rows * columns), columns)
    across, down = (x + 0.5) / columns, (y + 0.5) / rows
    phase = rng.uniform(0, 2 * math.pi)

    def at(seconds: float) -> Float32:
        at_x = 0.5 + 0.4 * math.sin(2 * math.pi * seconds / 17 + phase)
        at_y = 0.5 + 0.2 * math.sin(2 * math.pi * seconds / 11)
        squared = (across - at_x) ** 2 + (down - at_y) ** 2
        pixels = walls + (BODY_C - ROOM_C) * np.exp(-squared / (2 * BODY_WIDTH**2))
        own = ROOM_C + SENSOR_ABOVE_ROOM_C + 0.2 * math.sin(2 * math.pi * seconds / 600)
        return np.append(pixels, own).astype(np.float32)

    return at

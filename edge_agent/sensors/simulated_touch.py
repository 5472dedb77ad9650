"""An invented finger on a touch panel: it lands, wanders, and leaves again. Labelled *simulated*."""

from __future__ import annotations

import numpy as np

from edge_agent.sensors.simulated_firmware import SimulatedStream
from edge_agent.types import Float32

ROWS, COLUMNS = 27, 15
PERIOD_S, DOWN_S = 4.0, 3.0
RATE_HZ = 20.0
FULL_COUNTS, NOISE_COUNTS = 230.0, 2.0
"""What an electrode wholly under skin gives above the untouched panel, and the noise of every electrode."""
RADIUS_CELLS = 1.2


def touch_image(seconds: float, rng: np.random.Generator) -> Float32:
    """(405,) counts, row by row: a round contact while the finger is down, noise otherwise."""
    image = rng.normal(0, NOISE_COUNTS, (ROWS, COLUMNS))
    if seconds % PERIOD_S < DOWN_S:
        row = 13 + 9 * np.sin(0.7 * seconds)
        column = 7 + 5 * np.cos(1.1 * seconds)
        distance = np.hypot(np.arange(ROWS)[:, None] - row, np.arange(COLUMNS) - column)
        image += FULL_COUNTS / (1 + np.exp(4 * (distance - RADIUS_CELLS)))
    counts: Float32 = np.rint(image).astype(np.float32).ravel()
    return counts


def touch_stream(name: str = "touch", seconds: float = 20.0) -> SimulatedStream:
    """What a board with such a panel plays: rows of 15 electrodes, 27 of them, as one image a sample."""
    rng = np.random.default_rng(0)
    t_us = np.arange(round(seconds * RATE_HZ), dtype=np.int64) * round(1e6 / RATE_HZ)
    images = np.stack([touch_image(t * 1e-6, rng) for t in t_us])
    row = tuple(f"c{column:02}" for column in range(COLUMNS))
    return SimulatedStream(
        name, t_us, images, "capacitance", row, ("1",) * COLUMNS, simulated=True, repeat=ROWS
    )

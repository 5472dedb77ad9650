"""Touches of a capacitive screen from the geometry of what touches it. Extra material, never in a score.

The panel is that of the real set `capacitive_touch`: 27 x 15 electrodes 4.1 mm apart, differences to the
untouched panel in the controller's counts. Where skin lies on the glass the change saturates; beside it the
field falls off over about half an electrode, and skin that hovers over the glass adds a little.
"""

from __future__ import annotations

import numpy as np

from export.datasets.common import DatasetInfo, Float32, Int64, Samples
from export.simulate.simulator import (
    CREDIT,
    LICENCE,
    Random,
    Simulator,
    groups_of,
    normal,
    samples_of,
    uniform,
)  # fmt: skip

LABELS = ("finger", "thumb", "two_fingers", "palm")
FINGER, THUMB, TWO_FINGERS, PALM = range(len(LABELS))
ROWS, COLUMNS, PITCH_MM = 27, 15, 4.1
NOISE = 2.0
FRINGE_MM = 2.0
FULL = 230.0
"""Counts of an electrode that is wholly under skin; the real set reaches 262."""
HOVER = 0.05
"""Share of the full change that skin close over the glass gives, falling off over a finger's length."""
CONTACTS_MM = np.array(
    [[[3.2, 4.4], [3.6, 5.2]], [[4.6, 6.0], [5.8, 8.0]], [[3.2, 4.4], [3.6, 5.2]], [[9, 14], [14, 24]]],
    np.float32,
)
"""Half axes of the contact by label: across from, to; along from, to."""
_ROWS_MM = (np.arange(ROWS, dtype=np.float32) + 0.5) * PITCH_MM
_COLUMNS_MM = (np.arange(COLUMNS, dtype=np.float32) + 0.5) * PITCH_MM
_PER_HAND = 40


def contact(at_mm: Float32, half_mm: Float32, angle_rad: Float32) -> Float32:
    """Share of the full change (N,27,15) under an ellipse: at_mm (N,2) down and across, half_mm (N,2).

    half_mm is across the finger and along it; the angle is the finger's, clockwise from up.
    """
    down = _ROWS_MM[None, :, None] - at_mm[:, 0, None, None]
    side = _COLUMNS_MM[None, None] - at_mm[:, 1, None, None]
    cos, sin = np.cos(angle_rad)[:, None, None], np.sin(angle_rad)[:, None, None]
    along, across = -down * cos + side * sin, down * sin + side * cos
    a, b = half_mm[:, 0, None, None], half_mm[:, 1, None, None]
    share = np.sqrt((across / a) ** 2 + (along / b) ** 2)
    beyond_mm = (share - 1) * np.sqrt(a * b)
    touching = 1 / (1 + np.exp(np.clip(beyond_mm / (FRINGE_MM / 2), -30, 30)))
    # The finger goes on towards the hand, above the glass.
    behind = np.clip(-along / (4 * b), 0, 1) * np.exp(-((across / a) ** 2))
    return (touching + HOVER * behind * (1 - touching)).astype(np.float32)


def generate(n: int, seed: int) -> Samples:
    """x (n,1,405) counts, target (n,) of LABELS."""
    random = np.random.default_rng(seed)
    hand, group = groups_of(n, _PER_HAND, "hand")
    target = np.arange(n) % len(LABELS)
    count = int(hand[-1]) + 1
    size = (1 + 0.1 * normal(random, count)).clip(0.75, 1.3)[hand]
    full = FULL * uniform(random, 0.8, 1.1, count)[hand]
    share = _pressed(random, target, size)
    x = full[:, None, None] * share + NOISE * normal(random, n, ROWS, COLUMNS)
    return samples_of(np.round(x).astype(np.float32).reshape(n, 1, -1), target, group)


def _pressed(random: Random, label: Int64, size: Float32) -> Float32:
    """Share of the full change (N,27,15), of one contact or of two."""
    n = len(label)
    limits = CONTACTS_MM[label]
    half_mm = limits[..., 0] + (limits[..., 1] - limits[..., 0]) * uniform(random, 0, 1, n, 2)
    half_mm *= (size * uniform(random, 0.85, 1.1, n))[:, None]
    at_mm = uniform(random, 0.05, 0.95, n, 2) * np.array([ROWS, COLUMNS], np.float32) * PITCH_MM
    palm = label == PALM  # a palm comes over an edge of the panel
    edge_mm = np.where(random.random(n) < 0.5, 0, COLUMNS * PITCH_MM).astype(np.float32)
    at_mm[:, 1] = np.where(palm, edge_mm, at_mm[:, 1])
    angle = np.where(label == THUMB, uniform(random, 0.3, 1.3, n), 0.3 * normal(random, n))
    angle = (angle * np.where(random.random(n) < 0.5, -1, 1)).astype(np.float32)
    share = contact(at_mm, half_mm, angle)
    second = label == TWO_FINGERS
    apart_mm = uniform(random, 14, 28, n) * np.where(at_mm[:, 1] < COLUMNS * PITCH_MM / 2, 1, -1)
    beside_mm = at_mm + np.stack([uniform(random, -10, 10, n), apart_mm], axis=1)
    other = contact(beside_mm.astype(np.float32), half_mm, angle)
    return np.where(second[:, None, None], np.maximum(share, other), share)


CONTACTS = Simulator(
    DatasetInfo(
        name="simulated_touch", modality="capacitance", task="touch_contact_classification", rate_hz=20.0,
        window_s=0.05, channels=tuple(f"c_{i:03d}" for i in range(ROWS * COLUMNS)),
        units=("count",) * (ROWS * COLUMNS), labels=LABELS, licence=LICENCE, credit=CREDIT,
        split="by simulated hand; extra material for training, never in a score", kind="simulated",
    ),
    generate, 20_000, _PER_HAND, scored=False,
)  # fmt: skip

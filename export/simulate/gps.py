"""Where a satellite receiver says it is, standing, walking and driving. Extra material, never in a score.

The way is integrated in steps of a second. A receiver's error has a part that wanders (satellite geometry,
atmosphere, reflections: a first-order Gauss-Markov process of a minute or so), a white part, and now and then
a jump by a reflection.
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

LABELS = ("still", "walking", "driving")
STILL, WALKING, DRIVING = range(len(LABELS))
POINTS, SPACING_S = 13, 5
SECONDS = (POINTS - 1) * SPACING_S + 1
WALK_M_S = (0.7, 1.8)
BRAKES_M_S2, PULLS_M_S2 = 3.0, 2.0
SIDEWAYS_M_S2 = 2.5
"""What a driver lets a bend do; it limits how fast the heading changes."""
MOST_M_S = 33.0
WANDER_M, WANDER_S = (1.0, 4.0), 60.0
WHITE_M = (0.2, 0.8)
JUMP_SHARE, JUMP_M = 0.01, 12.0
_PER_TRIP = 12


def way(random: Random, label: Int64) -> Float32:
    """(N,61,2) east and north in metres, a point a second, without a receiver."""
    n = len(label)
    at_m = np.zeros((n, SECONDS, 2))
    heading = uniform(random, -np.pi, np.pi, n).astype(np.float64)
    stride = uniform(random, *WALK_M_S, n)
    cruise = _limits_m_s(random, n)
    speed = np.where(
        label == DRIVING, cruise * random.random(n) ** 0.3, np.where(label == WALKING, stride, 0)
    )
    wanted, turn = speed.copy(), np.zeros(n)
    for i in range(1, SECONDS):
        wanted = _wanted(random, label, wanted, stride, cruise)
        driven = speed + np.clip(wanted - speed, -BRAKES_M_S2, PULLS_M_S2)
        speed = np.where(label == DRIVING, np.clip(driven, 0, MOST_M_S), wanted)
        turn = _turn(random, label, turn, speed)
        heading = heading + turn
        step = speed[:, None] * np.stack([np.sin(heading), np.cos(heading)], axis=1)
        at_m[:, i] = at_m[:, i - 1] + step
    return at_m.astype(np.float32)


def _limits_m_s(random: Random, n: int) -> Float32:
    """The speed that the road allows: a jam, a street, a town road, a country road, a highway."""
    allowed = np.array([2.5, 8.3, 13.9, 22.2, 30.6], np.float32)
    return random.choice(allowed, n) * uniform(random, 0.6, 1.1, n)


def _wanted(random: Random, label: Int64, wanted: Float32, stride: Float32, cruise: Float32) -> Float32:
    """Speeds for the next second: walkers pause, cars stop at lights and start again."""
    n = len(label)
    chance = random.random(n)
    driving = np.where(chance < 0.02, 0, np.where(chance > 0.94, cruise, wanted))
    walking = np.where(
        chance < 0.01, 0, np.where(chance > 0.9, stride * (1 + 0.1 * normal(random, n)), wanted)
    )
    return np.where(label == DRIVING, driving, np.where(label == WALKING, walking, 0)).astype(np.float32)


def _turn(
    random: Random, label: Int64, turn: np.ndarray[tuple[int], np.dtype[np.float64]], speed: Float32
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Radians in the next second. A corner lasts some seconds; a car that stands does not turn."""
    n = len(label)
    corner = random.random(n) < np.where(label == DRIVING, 0.03, 0.02)
    drawn = normal(random, n) * np.where(label == DRIVING, 0.35, 0.5)
    turn = np.where(corner, drawn, 0.75 * turn + 0.02 * normal(random, n))
    most = np.where(label == DRIVING, SIDEWAYS_M_S2 / np.maximum(speed, 3.0), np.pi)
    return np.where(speed > 0.1, np.clip(turn, -most, most), 0)


def received(random: Random, true_m: Float32, wander_m: Float32, white_m: Float32) -> Float32:
    """Points (N,T,2) SPACING_S apart, as a receiver gives them; wander_m and white_m (N,) are deviations."""
    n, points = true_m.shape[:2]
    keep = np.exp(-SPACING_S / WANDER_S)
    wander = np.empty_like(true_m)
    wander[:, 0] = normal(random, n, 2)
    for i in range(1, points):
        wander[:, i] = keep * wander[:, i - 1] + np.sqrt(1 - keep**2) * normal(random, n, 2)
    error = wander_m[:, None, None] * wander + white_m[:, None, None] * normal(random, n, points, 2)
    jumps = (random.random((n, points, 1)) < JUMP_SHARE) * JUMP_M * normal(random, n, points, 2)
    return (true_m + error + jumps).astype(np.float32)


def generate(n: int, seed: int) -> Samples:
    """x (n,13,2) metres from the first point, target (n,) of LABELS."""
    random = np.random.default_rng(seed)
    trip, group = groups_of(n, _PER_TRIP, "receiver")
    target = np.arange(n) % len(LABELS)
    count = int(trip[-1]) + 1
    true_m = way(random, target)[:, ::SPACING_S]
    x = received(
        random, true_m, uniform(random, *WANDER_M, count)[trip], uniform(random, *WHITE_M, count)[trip]
    )
    return samples_of(x - x[:, :1], target, group)


TRACKS = Simulator(
    DatasetInfo(
        name="simulated_gps", modality="gps", task="activity_recognition", rate_hz=1 / SPACING_S,
        window_s=float(POINTS * SPACING_S), channels=("east_m", "north_m"), units=("m", "m"), labels=LABELS,
        licence=LICENCE, credit=CREDIT, kind="simulated",
        split="by simulated receiver; extra material for training, never in a score",
    ),
    generate, 20_000, _PER_TRIP, scored=False,
)  # fmt: skip

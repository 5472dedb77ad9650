"""A small time-of-flight depth camera at a wall or on a desk, and what happens in front of it.

It is as the VL53L5CX's driver gives it (`edge_agent/sensors/i2c/vl53l5cx.py`): 8 x 8 zones of 45 x 45
degrees, row by row, metres along the view (not along the ray), 0 where a zone has nothing that it trusts
(NaN on the wire). Row 0 looks up, column 0 left, as seen from the sensor.
"""

from __future__ import annotations

import numpy as np

from export.datasets.common import DatasetInfo, Float32, Int64, Samples
from export.simulate import scenes, views
from export.simulate.simulator import (
    BY_SCENE,
    CREDIT,
    LICENCE,
    Random,
    Simulator,
    chunks,
    groups_of,
    normal,
    samples_of,
    uniform,
)  # fmt: skip

LABELS = ("nothing", "person_near", "approaching", "leaving", "hand_swipe_left", "hand_swipe_right")
NOTHING, NEAR, APPROACHING, LEAVING, SWIPE_LEFT, SWIPE_RIGHT = range(len(LABELS))
RATE_HZ, FRAMES = 4.0, 4
SIDE, FINE = 8, 3
"""Zones along a side, and rays along a side of a zone."""
ZONES = SIDE * SIDE
CHANNELS = tuple(f"px_{i:02d}" for i in range(ZONES))
"""As the driver names them; it is not imported, since training needs no I2C."""
FIELD_RAD = np.radians(45)
REACH_M, REACH_REFLECTANCE = 4.0, 0.88
"""Range on a white target in the dark (data sheet, 8 x 8); it falls with the root of the reflectance."""
CLOTHES_AND_SKIN = (0.3, 0.8)
"""Reflectance at 940 nm, where most cloth is paler than to the eye."""
NEAR_M = 1.5
WALK_M_S, SWAY_M_S, SIDEWAYS_M_S = (0.3, 1.4), 0.2, 0.5
"""Coming or going; what somebody who stands there may sway to and fro; steps to the side, of all of them."""
NOISE_M, NOISE_SHARE = 0.004, 0.01
SCALE_ERROR = 0.03
SECOND_OF_ZONE = 1
"""A target has to fill two of a zone's nine rays before the zone reports it instead of what lies behind."""
HAND_M = (0.05, 0.09)
"""Half width and half height of an open hand."""
_PER_SCENE = 12


def generate(n: int, seed: int) -> Samples:
    """x (n,4,64) m, target (n,) of LABELS."""
    random = np.random.default_rng(seed)
    number, group = groups_of(n, _PER_SCENE, "room")
    rooms = scenes.draw(random, int(number[-1]) + 1, person_share=0.0)
    target = np.arange(n) % len(LABELS)
    x = np.empty((n, FRAMES, ZONES), np.float32)
    for part in chunks(n):
        x[part] = _watch(random, rooms[number[part]], target[part])
    return samples_of(x, target, group)


def _watch(random: Random, rooms: scenes.Scenes, label: Int64) -> Float32:
    """(N,4,64)."""
    n = len(rooms)
    view, free_m = views.level_views(random, rooms, 0.8, 1.4)
    rays = views.pixels(SIDE * FINE, SIDE * FINE, float(FIELD_RAD))
    still_m, hit = views.look(rooms, view, rays)
    reflectance = uniform(random, 0.15, 0.85, n, scenes.SURFACES)
    of_ray = np.take_along_axis(reflectance, hit.surface, axis=1)
    shape = (n, 1, SIDE * FINE, SIDE * FINE)
    depth_m = np.broadcast_to(still_m.reshape(shape), (n, FRAMES, *shape[2:])).copy()
    seen = np.broadcast_to(of_ray.reshape(shape), depth_m.shape).copy()
    axis = rays[: SIDE * FINE, 0]
    for rows, there_m in _movers(random, view, free_m, label, axis):
        nearer = there_m < depth_m[rows]
        depth_m[rows] = np.where(nearer, there_m, depth_m[rows])
        seen[rows] = np.where(nearer, uniform(random, *CLOTHES_AND_SKIN, len(rows), 1, 1, 1), seen[rows])
    return measured(random, _zones(depth_m), _zones(seen))


def _movers(
    random: Random, view: views.View, free_m: Float32, label: Int64, axis: Float32
) -> list[tuple[Int64, Float32]]:
    """Rows of samples, and the depth (rows,4,24,24) of what moves in them, infinite beside it."""
    eye_m = view.at_m[:, 2]
    people = np.flatnonzero((label == NEAR) | (label == APPROACHING) | (label == LEAVING))
    walker = _walker(random, label[people], free_m[people], eye_m[people])
    out = [(people, views.see(walker, axis, axis)[0])]
    swipes = np.flatnonzero(label >= SWIPE_LEFT)
    hand, hand_m = _hand(random, label[swipes], axis)
    out.append((swipes, hand))
    behind = np.flatnonzero(random.random(len(swipes)) < 0.6)  # whoever swipes often stands before the sensor
    out.append((swipes[behind], _owner(random, hand_m[behind], eye_m[swipes[behind]], axis)))
    return out


def _walker(random: Random, label: Int64, free_m: Float32, eye_m: Float32) -> views.Walker:
    """Somebody who stands, comes or goes; within the free way and the sensor's reach."""
    n = len(label)
    t = views.times(FRAMES, RATE_HZ)
    radius_m, height_m = views.drawn_body(random, n)
    speed = uniform(random, *WALK_M_S, n)
    speed = np.where(label == NEAR, uniform(random, -SWAY_M_S, SWAY_M_S, n), speed)
    furthest_m = np.minimum(np.clip(free_m - 0.3, 1.0, 3.2), np.where(label == NEAR, NEAR_M, np.inf))
    walked_m = np.abs(speed) * -t[0]
    nearest_m = 0.45 + uniform(random, 0, 1, n) * np.maximum(furthest_m - 0.45 - walked_m, 0.05)
    coming_m = nearest_m[:, None] - speed[:, None] * t
    ahead_m = np.where((label == LEAVING)[:, None], coming_m[:, ::-1], coming_m)
    step_m = uniform(random, -SIDEWAYS_M_S, SIDEWAYS_M_S, n, 1) * (t - t.mean())
    right_m = uniform(random, -0.2, 0.2, n, 1) * ahead_m + step_m
    return views.Walker(right_m, ahead_m, radius_m, height_m, eye_m)


def _hand(random: Random, label: Int64, axis: Float32) -> tuple[Float32, Float32]:
    """A hand, with its arm below it, crosses the view: depth (N,4,24,24), and how far it is (N,)."""
    n = len(label)
    t = views.times(FRAMES, RATE_HZ)
    hand_m = uniform(random, 0.15, 0.5, n)
    half_m = np.tan(FIELD_RAD / 2) * hand_m
    crossing_s = uniform(random, 0.55, 1.0, n)
    speed = 2 * (half_m + HAND_M[0]) / crossing_s * np.where(label == SWIPE_LEFT, -1, 1)
    # A window begins anywhere in a gesture: were the two aligned, one frame would tell the direction.
    middle_s = uniform(random, t[0] + 0.1, t[-1] - 0.1, n)
    right_m = speed[:, None] * (t - middle_s[:, None])
    down_m = half_m * uniform(random, -0.4, 0.4, n)
    size = uniform(random, 0.85, 1.15, n)[:, None, None, None]
    lean = uniform(random, -0.3, 0.3, n)[:, None, None, None]
    at_m = hand_m[:, None] + uniform(random, -0.04, 0.04, n, 1) * t
    depth = np.broadcast_to(at_m[..., None, None], (n, FRAMES, 1, 1))
    x = depth * axis - right_m[..., None, None]
    y = depth * axis[:, None] - down_m[:, None, None, None]
    palm = (x / (HAND_M[0] * size)) ** 2 + (y / (HAND_M[1] * size)) ** 2 < 1
    arm = (y > 0) & (np.abs(x - lean * y) < 0.035 * size)
    return np.where(palm | arm, depth, np.inf).astype(np.float32), hand_m


def _owner(random: Random, hand_m: Float32, eye_m: Float32, axis: Float32) -> Float32:
    """Whoever's hand it is stands an arm's length behind it."""
    n = len(hand_m)
    radius_m, height_m = views.drawn_body(random, n)
    ahead_m = np.repeat((hand_m + uniform(random, 0.35, 0.6, n))[:, None], FRAMES, axis=1)
    right_m = uniform(random, -0.25, 0.25, n, 1) * np.ones_like(ahead_m)
    return views.see(views.Walker(right_m, ahead_m, radius_m, height_m, eye_m), axis, axis)[0]


def _zones(rays: Float32) -> Float32:
    """(N,T,24,24) -> (N,T,64,9): the rays of every zone."""
    n, frames = rays.shape[:2]
    split = rays.reshape(n, frames, SIDE, FINE, SIDE, FINE).transpose(0, 1, 2, 4, 3, 5)
    return split.reshape(n, frames, ZONES, FINE * FINE)


def measured(random: Random, depth_m: Float32, reflectance: Float32) -> Float32:
    """Rays (N,T,64,9) -> what the chip says (N,T,64); 0 where a zone gets too little light back."""
    n = len(depth_m)
    target_m = np.partition(depth_m, SECOND_OF_ZONE, axis=-1)[..., SECOND_OF_ZONE]
    ambient = uniform(random, 0.75, 1.0, n, 1, 1)
    reach_m = REACH_M * ambient * np.sqrt(reflectance.mean(-1) / REACH_REFLECTANCE)
    faint = 1 / (1 + np.exp(np.clip((reach_m - target_m) / 0.12, -30, 30)))
    lost = random.random(target_m.shape, np.float32) < faint + 0.003
    scale = 1 + SCALE_ERROR * normal(random, n, 1, 1)
    noisy_m = target_m * (scale + NOISE_SHARE * normal(random, *target_m.shape))
    noisy_m += NOISE_M * normal(random, *target_m.shape)
    return np.where(lost | (noisy_m < 0.02), 0, noisy_m).astype(np.float32)


EVENTS = Simulator(
    DatasetInfo(
        name="simulated_depth_events", modality="depth", task="event_detection", rate_hz=RATE_HZ,
        window_s=FRAMES / RATE_HZ, channels=CHANNELS,
        units=("m",) * ZONES, labels=LABELS, licence=LICENCE, credit=CREDIT,
        split=BY_SCENE, kind="simulated",
    ),
    generate, 20_000, _PER_SCENE,
)  # fmt: skip

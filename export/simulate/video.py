"""A camera that stands still, and somebody who moves in front of it: eight small frames of one second.

x is 8 frames of 32 x 24 RGB, 0..1, each flattened row by row; left and right are the picture's.
"""

from __future__ import annotations

import numpy as np

from export.datasets.common import DatasetInfo, Float32, Int64, Samples
from export.simulate import scenes, views
from export.simulate.camera import (
    AMBIENT,
    FIELD_RAD,
    HEIGHT,
    NAMES,
    WIDTH,
    Paint,
    exposed,
    painted,
    picture,
)  # fmt: skip
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

LABELS = ("still", "moving_left", "moving_right", "approaching", "leaving")
STILL, LEFT, RIGHT, APPROACHING, LEAVING = range(len(LABELS))
RATE_HZ, FRAMES = 8.0, 8
NOBODY_SHARE = 0.15
"""Share of the still windows without anybody."""
FLICKER = 0.02
HIP_SHARE = 0.5
_PER_SCENE = 10


def generate(n: int, seed: int) -> Samples:
    """x (n,8,2304), target (n,) of LABELS."""
    random = np.random.default_rng(seed)
    number, group = groups_of(n, _PER_SCENE, "room")
    rooms = scenes.draw(random, int(number[-1]) + 1, person_share=0.0)
    paint = painted(random, rooms)
    target = np.arange(n) % len(LABELS)
    x = np.empty((n, FRAMES, len(NAMES)), np.float32)
    for part in chunks(n):
        rows = number[part]
        x[part] = _film(random, rooms[rows], paint[rows], target[part])
    return samples_of(x, target, group)


def _film(random: Random, rooms: scenes.Scenes, paint: Paint, label: Int64) -> Float32:
    """(N,8,2304)."""
    n = len(rooms)
    view, free_m = views.level_views(random, rooms, 1.0, 1.6)
    light, depth_m = picture(rooms, paint, view)
    rays = views.pixels(WIDTH, HEIGHT, FIELD_RAD)
    walker = path(random, label, free_m, view.at_m[:, 2])
    there_m, across = views.see(walker, rays[:WIDTH, 0], rays[::WIDTH, 1])
    nobody = (label == STILL) & (random.random(n) < NOBODY_SHARE)
    there_m[nobody] = np.inf
    clothes = _clothes(random, walker, there_m, across, rays[::WIDTH, 1])
    shape = (n, 1, HEIGHT, WIDTH)
    nearer = there_m < depth_m.reshape(shape)
    film = np.where(nearer[..., None], clothes, light.reshape(*shape, 3))
    film *= 1 + FLICKER * normal(random, n, FRAMES, 1, 1, 1)
    return exposed(random, film).reshape(n, FRAMES, -1)


def path(random: Random, label: Int64, free_m: Float32, eye_m: Float32) -> views.Walker:
    """Somebody in the free way before the view, in sight for most of the second."""
    n = len(label)
    t = views.times(FRAMES, RATE_HZ)
    radius_m, height_m = views.drawn_body(random, n)
    furthest_m = np.clip(free_m - 0.3, 2.0, 4.5)
    speed = uniform(random, 0.5, 1.5, n)
    walked_m = speed * -t[0]
    sideways, lengthways = (label == LEFT) | (label == RIGHT), (label == APPROACHING) | (label == LEAVING)
    room_m = furthest_m - 1.0 - np.where(lengthways, walked_m, 0)
    nearest_m = 1.0 + uniform(random, 0, 1, n) * np.maximum(room_m, 0.1)
    sway = uniform(random, -0.05, 0.05, n, 2)
    ahead_speed = np.where(lengthways, np.where(label == LEAVING, speed, -speed), sway[:, 0])
    right_speed = np.where(sideways, np.where(label == LEFT, -speed, speed), sway[:, 1])
    # Nobody walks quite along the view or across it: up to 15 degrees askew.
    askew = speed * uniform(random, -0.27, 0.27, n)
    ahead_speed = ahead_speed + np.where(sideways, askew, 0)
    right_speed = right_speed + np.where(lengthways, askew, 0)
    start_m = nearest_m + np.where(label == APPROACHING, walked_m, 0)
    ahead_m = start_m[:, None] + ahead_speed[:, None] * (t - t[0])
    ahead_m = np.maximum(ahead_m, 0.6)
    # Wherever in the view, so that the place in one frame says little of the direction.
    middle = uniform(random, -0.5, 0.5, n) * ahead_m.mean(1)
    right_m = middle[:, None] + right_speed[:, None] * (t - t.mean())
    return views.Walker(right_m, ahead_m, radius_m, height_m, eye_m)


def _clothes(
    random: Random, walker: views.Walker, there_m: Float32, across: Float32, rows: Float32
) -> Float32:
    """Light (N,T,H,W,3) from the body: trousers, shirt and face, lit from one side."""
    n = len(there_m)
    trousers, shirt = uniform(random, 0.03, 0.7, n, 3), uniform(random, 0.03, 0.8, n, 3)
    face = uniform(random, 0.25, 1.0, n, 1) * np.array([0.85, 0.6, 0.5], np.float32)
    with np.errstate(invalid="ignore"):  # beside the body depth is infinite
        height_m = walker.eye_m.reshape(-1, 1, 1, 1) - there_m * rows[:, None]
        share = (height_m / walker.height_m.reshape(-1, 1, 1, 1))[..., None]
    one = (n, 1, 1, 1, 3)
    upper = np.where(share > 1 - views.HEAD_SHARE, face.reshape(one), shirt.reshape(one))
    colour = np.where(share > HIP_SHARE, upper, trousers.reshape(one))
    side = uniform(random, -0.8, 0.8, n, 1, 1, 1)
    outward = np.sqrt(np.maximum(1 - across**2, 0))
    lit = AMBIENT + 0.55 * np.maximum(outward * np.sqrt(1 - side**2) + across * side, 0)
    return (colour * lit[..., None]).astype(np.float32)


MOTION = Simulator(
    DatasetInfo(
        name="simulated_video_motion", modality="video", task="activity_recognition", rate_hz=RATE_HZ,
        window_s=FRAMES / RATE_HZ, channels=NAMES, units=("",) * len(NAMES), labels=LABELS, licence=LICENCE,
        credit=CREDIT, split=BY_SCENE, kind="simulated",
    ),
    generate, 6_000, _PER_SCENE,
)  # fmt: skip
"""6,000, so that the frames stay under half a gigabyte."""

"""A laser scanner that turns in a simulated room: how far it moved, and where the walls are.

`MOTION`: two scans half a second apart -> relative pose. `ROOM`: one scan of which half is blocked by
something near or lost -> distances to the walls of the empty room.

A scan is as `edge_agent/sensors/scan.py` has it: 360 ranges, one a degree, clockwise from the front; 0 where
nothing came back. The robot's own frame is x ahead, y to the left, angles counter-clockwise.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge_agent.sensors.scan import BEAMS, CHANNELS
from edge_agent.sensors.simulated_lidar import REACH_M
from export.datasets.common import DatasetInfo, Float32, Int64, Samples
from export.simulate import scenes
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

NEAREST_M = 0.12
"""What is nearer gives no echo (RPLIDAR A1 data sheet: 0.15 m; LD06: 0.02 m)."""
NOISE_M, NOISE_SHARE = 0.01, 0.004
"""Deviation of a range: so much, and such a share of it."""
MOST_LOST = 0.05
DARK_SHARE, DARK_LOST = 0.2, 0.6
"""One piece of furniture in five is so dark or shiny that most of its echoes are lost."""
FORWARD_M, SIDE_M, TURN_RAD = (-0.1, 0.4), 0.1, 0.35
PERSON_STEP_M = 0.4
"""How far somebody in the room walks between the two scans, at most."""
DIRECTIONS = 36
_PER_SCENE = 10
_NAMES = tuple(channel.name for channel in CHANNELS)
_UNITS = tuple(channel.unit for channel in CHANNELS)


def scan(rooms: scenes.Scenes, at_m: Float32, heading_rad: Float32, beams: int = BEAMS) -> scenes.Hit:
    """Without noise: at_m (N,3), heading (N,) -> (N,beams), clockwise from the heading."""
    angle = heading_rad[:, None] - (2 * np.pi / beams) * np.arange(beams, dtype=np.float32)
    towards = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1)
    return scenes.cast(rooms, at_m, towards)


def measured(random: Random, hit: scenes.Hit) -> Float32:
    """What the scanner says of what is there: noise, lost echoes, its reach. (N,R), 0 for nothing."""
    n = len(hit.range_m)
    range_m = hit.range_m * (1 + NOISE_SHARE * normal(random, *hit.range_m.shape))
    range_m += NOISE_M * normal(random, *hit.range_m.shape)
    dark = random.random((n, scenes.SURFACES)) < DARK_SHARE
    dark[:, : scenes.FIRST_BOX] = False
    lost_share = uniform(random, 0, MOST_LOST, n, 1)
    lost_share = np.where(np.take_along_axis(dark, hit.surface, axis=1), DARK_LOST, lost_share)
    lost = random.random(range_m.shape) < lost_share
    lost |= (range_m < NEAREST_M) | (range_m > REACH_M)
    return np.where(lost, 0, range_m).astype(np.float32)


def moved(at_m: Float32, heading_rad: Float32, motion: Float32) -> tuple[Float32, Float32]:
    """Place and heading after a motion (N,3) dx, dy, dtheta in the robot's own frame."""
    cos, sin = np.cos(heading_rad), np.sin(heading_rad)
    to = at_m.copy()
    to[:, 0] += cos * motion[:, 0] - sin * motion[:, 1]
    to[:, 1] += sin * motion[:, 0] + cos * motion[:, 1]
    return to, heading_rad + motion[:, 2]


def _stand(random: Random, rooms: scenes.Scenes, height_m: Float32) -> tuple[Float32, Float32]:
    """A free place (N,3) and a heading (N,)."""
    spot_m = scenes.free_spots(random, rooms, 0.5)
    heading = uniform(random, -np.pi, np.pi, len(rooms))
    return np.concatenate([spot_m, height_m[:, None]], axis=1), heading


def _motions(random: Random, rooms: scenes.Scenes, at_m: Float32, heading: Float32) -> Float32:
    """(N,3). Where the way is not free, the robot turns on the spot."""
    n = len(rooms)
    motion = np.stack(
        [
            uniform(random, *FORWARD_M, n),
            uniform(random, -SIDE_M, SIDE_M, n),
            uniform(random, -TURN_RAD, TURN_RAD, n),
        ],
        axis=1,
    )
    to, _ = moved(at_m, heading, motion)
    blocked = scenes.clearance(rooms, to[:, None, :2])[:, 0] < 0.15
    motion[blocked, :2] = 0
    return motion


def _rooms(random: Random, number: Int64) -> tuple[scenes.Scenes, Float32]:
    """One room a group, and how high the scanner is in it (N,)."""
    count = int(number[-1]) + 1
    return scenes.draw(random, count)[number], uniform(random, 0.15, 0.6, count)[number]


def _somebody_walks(random: Random, rooms: scenes.Scenes) -> scenes.Scenes:
    people = rooms.people_m.copy()
    people[:, :, :2] += uniform(random, -PERSON_STEP_M, PERSON_STEP_M, *people.shape[:2], 2) / np.sqrt(2)
    return replace(rooms, people_m=people)


def motion_samples(n: int, seed: int) -> Samples:
    """x (n,2,360) m, target (n,3): the second pose as seen from the first."""
    random = np.random.default_rng(seed)
    number, group = groups_of(n, _PER_SCENE, "room")
    rooms, height_m = _rooms(random, number)
    x, target = np.empty((n, 2, BEAMS), np.float32), np.empty((n, 3), np.float32)
    for part in chunks(n):
        here = rooms[part]
        at_m, heading = _stand(random, here, height_m[part])
        target[part] = _motions(random, here, at_m, heading)
        x[part, 0] = measured(random, scan(here, at_m, heading))
        then_m, then_heading = moved(at_m, heading, target[part])
        x[part, 1] = measured(random, scan(_somebody_walks(random, here), then_m, then_heading))
    return samples_of(x, target, group)


def room_samples(n: int, seed: int) -> Samples:
    """x (n,1,360) m, target (n,36) m: to the walls, in 36 directions clockwise from the front."""
    random = np.random.default_rng(seed)
    number, group = groups_of(n, _PER_SCENE, "room")
    rooms, height_m = _rooms(random, number)
    x, target = np.empty((n, 1, BEAMS), np.float32), np.empty((n, DIRECTIONS), np.float32)
    for part in chunks(n):
        here = rooms[part]
        at_m, heading = _stand(random, here, height_m[part])
        hit = scan(here, at_m, heading)
        x[part, 0] = _half_blocked(random, measured(random, hit), hit.range_m)
        target[part] = scan(_emptied(here), at_m, heading, DIRECTIONS).range_m
    return samples_of(x, target, group)


def _emptied(rooms: scenes.Scenes) -> scenes.Scenes:
    away = np.full_like(rooms.low_m, scenes.NOWHERE_M)
    return replace(rooms.without_people(), low_m=away, high_m=away)


def _half_blocked(random: Random, range_m: Float32, behind_m: Float32) -> Float32:
    """Half of the beams, in some sectors, meet something near or come to nothing.

    What is near stands before what really is behind it, also where the scanner lost the beam.
    """
    n, beams = range_m.shape
    where, what = _smooth(random, n, beams, 6), _smooth(random, n, beams, 4)
    blocked = where > np.median(where, axis=1, keepdims=True)
    near_m = uniform(random, 0.25, 0.7, n, 1) * np.exp(0.25 * _smooth(random, n, beams, 20))
    clutter = np.minimum(near_m * (1 + 0.02 * normal(random, n, beams)), behind_m)
    return np.where(blocked, np.where(what > 0, clutter, 0), range_m).astype(np.float32)


def _smooth(random: Random, n: int, beams: int, waves: int) -> Float32:
    """(n,beams) of deviation 1, without steps around the circle: noise of at most so many waves."""
    spectrum = np.zeros((n, beams // 2 + 1), np.complex64)
    spectrum[:, 1 : waves + 1] = normal(random, n, waves) + 1j * normal(random, n, waves)
    wave = np.fft.irfft(spectrum, beams, axis=1)
    return (wave / wave.std(axis=1, keepdims=True)).astype(np.float32)


MOTION = Simulator(
    DatasetInfo(
        name="simulated_lidar_motion", modality="lidar", task="pose_estimation", rate_hz=2.0, window_s=1.0,
        channels=_NAMES, units=_UNITS, labels=(), outputs=("dx_m", "dy_m", "dtheta_rad"),
        licence=LICENCE, credit=CREDIT, split=BY_SCENE, kind="simulated",
    ),
    motion_samples, 20_000, _PER_SCENE,
)  # fmt: skip
ROOM = Simulator(
    DatasetInfo(
        name="simulated_lidar_room", modality="lidar", task="3d_reconstruction", rate_hz=2.0, window_s=0.5,
        channels=_NAMES, units=_UNITS, labels=(), licence=LICENCE, credit=CREDIT, split=BY_SCENE,
        outputs=tuple(f"wall_{360 // DIRECTIONS * i:03d}_m" for i in range(DIRECTIONS)), kind="simulated",
    ),
    room_samples, 20_000, _PER_SCENE,
)  # fmt: skip

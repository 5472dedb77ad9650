"""Rooms with furniture and people, many at once, and what a ray meets in them.

The origin is a lower corner of the room, z points up, all lengths are metres. Angles count counter-clockwise
from x. Furniture is boxes along the walls' directions, people are upright cylinders.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from export.datasets.common import Float32, Int64
from export.simulate.simulator import Random, uniform

BOXES = 7
PEOPLE = 1
FIRST_BOX, FIRST_PERSON = 6, 6 + BOXES
SURFACES = FIRST_PERSON + PEOPLE
"""Walls x = 0, x = width, y = 0, y = depth, the floor, the ceiling; then the boxes; then the people."""
FLOOR, CEILING = 4, 5
NOWHERE_M = -1000.0
"""Where the boxes and people lie that a room does not have: far under its floor."""
SMALLEST_M, LARGEST_M = 2.5, 9.0
LARGEST_DIAGONAL_M = float(np.sqrt(2 * LARGEST_M**2 + 3.2**2))
_TRIES = 12
_FURNITURE = np.array(
    [
        # along the wall, from the wall, height: from, to
        [[0.6, 2.0], [0.4, 0.6], [1.7, 2.2]],  # wardrobe, shelf
        [[1.4, 2.2], [0.8, 1.6], [0.4, 0.9]],  # sofa, bed
        [[0.8, 1.6], [0.6, 0.9], [0.7, 0.76]],  # table
        [[0.3, 0.7], [0.3, 0.7], [0.3, 1.1]],  # chair, box
    ],
    np.float32,
)


@dataclass(frozen=True)
class Scenes:
    """N rooms: size_m (N,3); low_m and high_m (N,BOXES,3), the boxes' corners; people_m (N,PEOPLE,4).

    A person is x, y, radius, height.
    """

    size_m: Float32
    low_m: Float32
    high_m: Float32
    people_m: Float32

    def __getitem__(self, rows: Int64 | slice) -> Scenes:
        return Scenes(self.size_m[rows], self.low_m[rows], self.high_m[rows], self.people_m[rows])

    def __len__(self) -> int:
        return len(self.size_m)

    def without_people(self) -> Scenes:
        """The same rooms when everybody has left."""
        return replace(self, people_m=np.full_like(self.people_m, NOWHERE_M))


class Hit(NamedTuple):
    """What rays (N,R) meet: `range_m` along the ray, `surface` 0..SURFACES-1."""

    range_m: Float32
    surface: Int64


def draw(random: Random, n: int, *, person_share: float = 0.4) -> Scenes:
    """N rooms of random size, with two to BOXES pieces of furniture, and somebody in some of them."""
    size_m = np.concatenate(
        [uniform(random, SMALLEST_M, LARGEST_M, n, 2), uniform(random, 2.3, 3.2, n, 1)], axis=1
    )
    low_m, high_m = _furniture(random, size_m)
    nobody = np.full((n, PEOPLE, 4), NOWHERE_M, np.float32)
    scenes = Scenes(size_m, low_m, high_m, nobody)
    return with_person(random, scenes, random.random(n) < person_share)


def with_person(random: Random, scenes: Scenes, there: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Scenes:
    """Somebody stands on a free spot of the rooms of which `there` (N,) is true."""
    n = len(scenes)
    spot_m = free_spots(random, scenes.without_people(), 0.3)
    body = np.stack([uniform(random, 0.15, 0.25, n), uniform(random, 1.5, 1.9, n)], axis=1)
    person = np.concatenate([spot_m, body], axis=1)
    people_m = np.full_like(scenes.people_m, NOWHERE_M)
    people_m[there, 0] = person[there]
    return replace(scenes, people_m=people_m)


def _furniture(random: Random, size_m: Float32) -> tuple[Float32, Float32]:
    """Corners (N,BOXES,3). Most pieces stand against a wall, the others anywhere."""
    n = len(size_m)
    limits = _FURNITURE[random.integers(0, len(_FURNITURE), (n, BOXES))]
    extent = limits[..., 0] + (limits[..., 1] - limits[..., 0]) * uniform(random, 0, 1, n, BOXES, 3)
    turned = random.random((n, BOXES)) < 0.5
    extent[..., :2] = np.where(turned[..., None], extent[..., 1::-1], extent[..., :2])
    extent = np.minimum(extent, 0.6 * size_m[:, None])
    room_left = size_m[:, None] - extent
    low = room_left * uniform(random, 0, 1, n, BOXES, 3)
    # The long side lies along the wall: a turned piece stands at x = 0 or the far end, others at y.
    axis, end = turned.astype(np.int64) ^ 1, random.integers(0, 2, (n, BOXES))
    against = random.random((n, BOXES)) < 0.75
    for a in (0, 1):
        put = against & (axis == a)
        low[..., a] = np.where(put, end * room_left[..., a], low[..., a])
    low[..., 2] = 0
    pieces = random.integers(2, BOXES + 1, n)
    high = low + extent
    missing = np.arange(BOXES) >= pieces[:, None]
    low[missing] = high[missing] = NOWHERE_M
    return low.astype(np.float32), high.astype(np.float32)


def clearance(scenes: Scenes, at_m: Float32) -> Float32:
    """(N,K,2) places on the floor -> (N,K): how far the nearest wall, piece or person is; negative inside."""
    size_m = scenes.size_m[:, None, :2]
    nearest = np.minimum(at_m, size_m - at_m).min(-1)
    for b in range(BOXES):
        low, high = scenes.low_m[:, None, b, :2], scenes.high_m[:, None, b, :2]
        outside = np.maximum(low - at_m, at_m - high)
        far = np.linalg.norm(np.maximum(outside, 0), axis=-1)
        nearest = np.minimum(nearest, np.where(outside.max(-1) > 0, far, outside.max(-1)))
    for p in range(PEOPLE):
        person = scenes.people_m[:, None, p]
        nearest = np.minimum(nearest, np.linalg.norm(at_m - person[..., :2], axis=-1) - person[..., 2])
    return nearest.astype(np.float32)


def free_spots(random: Random, scenes: Scenes, margin_m: float) -> Float32:
    """(N,2): a place with so much free floor around it, or the freest of some where a room is that full."""
    tries_m = uniform(random, 0, 1, len(scenes), _TRIES, 2) * scenes.size_m[:, None, :2]
    free_m = clearance(scenes, tries_m)
    enough = free_m > margin_m
    chosen = np.where(enough.any(1), enough.argmax(1), free_m.argmax(1))
    return tries_m[np.arange(len(scenes)), chosen]


def cast(scenes: Scenes, at_m: Float32, towards: Float32) -> Hit:
    """Rays from at_m (N,3), a place within the room, in the directions towards (N,R,3) of length 1."""
    # A ray along a wall is turned by a hair, so that nothing is divided by zero.
    safe = np.where(np.abs(towards) < 1e-6, np.float32(1e-6), towards)
    inverse = [np.reciprocal(safe[..., a]) for a in range(3)]
    start = [at_m[:, None, a] for a in range(3)]
    range_m, surface = _walls(scenes, start, inverse)
    for b in range(BOXES):
        near, far = _slab(scenes, b, start, inverse, 0)
        for a in (1, 2):
            enter, leave = _slab(scenes, b, start, inverse, a)
            near, far = np.maximum(near, enter), np.minimum(far, leave)
        hit = (near < far) & (near > 0) & (near < range_m)
        range_m, surface = np.where(hit, near, range_m), np.where(hit, np.int64(FIRST_BOX + b), surface)
    for p in range(PEOPLE):
        at = _person(scenes.people_m[:, p], at_m, towards)
        hit = at < range_m
        range_m, surface = np.where(hit, at, range_m), np.where(hit, np.int64(FIRST_PERSON + p), surface)
    return Hit(range_m, surface)


def _walls(scenes: Scenes, start: list[Float32], inverse: list[Float32]) -> tuple[Float32, Int64]:
    """How far the room itself reaches, and which wall ends it."""
    ends = [
        np.where(inverse[a] > 0, scenes.size_m[:, None, a] - start[a], -start[a]) * inverse[a]
        for a in range(3)
    ]
    range_m = np.minimum(np.minimum(ends[0], ends[1]), ends[2])
    axis = np.where(range_m == ends[0], 0, np.where(range_m == ends[1], 1, 2))
    upper = np.where(axis == 0, inverse[0] > 0, np.where(axis == 1, inverse[1] > 0, inverse[2] > 0))
    return range_m, (2 * axis + upper).astype(np.int64)


def _slab(
    scenes: Scenes, box: int, start: list[Float32], inverse: list[Float32], axis: int
) -> tuple[Float32, Float32]:
    """Where rays enter and leave the space between two sides of a box (the slab method)."""
    one = (scenes.low_m[:, None, box, axis] - start[axis]) * inverse[axis]
    other = (scenes.high_m[:, None, box, axis] - start[axis]) * inverse[axis]
    return np.minimum(one, other), np.maximum(one, other)


def _person(person_m: Float32, at_m: Float32, towards: Float32) -> Float32:
    """Range to an upright cylinder (N,4), infinite where it is missed; its top has no lid."""
    from_x, from_y = (at_m[:, None, a] - person_m[:, None, a] for a in (0, 1))
    along = from_x * towards[..., 0] + from_y * towards[..., 1]
    square = np.maximum(towards[..., 0] ** 2 + towards[..., 1] ** 2, 1e-9)
    inside = along**2 - square * (from_x**2 + from_y**2 - person_m[:, None, 2] ** 2)
    range_m = (-along - np.sqrt(np.maximum(inside, 0))) / square
    height_m = at_m[:, None, 2] + range_m * towards[..., 2]
    hit = (inside > 0) & (range_m > 0) & (height_m <= person_m[:, None, 3])
    return np.where(hit, range_m, np.float32(np.inf))


def normals(scenes: Scenes, hit: Hit, points_m: Float32) -> Float32:
    """(N,R,3): what the surfaces that were met at points_m (N,R,3) face, into the room."""
    n = np.arange(len(scenes))[:, None]
    surface = hit.surface
    out = np.zeros_like(points_m)
    wall = surface < FIRST_BOX
    axis = np.where(wall, surface // 2, 0)
    sign = np.where(wall, 1 - 2 * (surface % 2), 0)
    box = np.clip(surface - FIRST_BOX, 0, BOXES - 1)
    sides = np.concatenate([points_m - scenes.low_m[n, box], scenes.high_m[n, box] - points_m], axis=-1)
    side = np.abs(sides).argmin(-1)
    on_box = (surface >= FIRST_BOX) & (surface < FIRST_PERSON)
    axis = np.where(on_box, side % 3, axis)
    sign = np.where(on_box, np.where(side < 3, -1, 1), sign)
    np.put_along_axis(out, axis[..., None], sign[..., None].astype(np.float32), axis=-1)
    person = scenes.people_m[n, np.clip(surface - FIRST_PERSON, 0, PEOPLE - 1)]
    outward = (points_m[..., :2] - person[..., :2]) / np.maximum(person[..., 2:3], 1e-3)
    on_person = surface >= FIRST_PERSON
    out[..., :2] = np.where(on_person[..., None], outward, out[..., :2])
    return out

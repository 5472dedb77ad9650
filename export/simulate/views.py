"""What looks into a room: rays of a picture, a good place for it, and who moves in front of it.

In a view's own frame x points right, y down and z ahead; a distance is along z, as depth cameras give it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.datasets.common import Float32
from export.simulate import scenes
from export.simulate.simulator import Random, uniform

_PLACES = 4
_LOOKS = 5
HEAD_RADIUS_M = 0.1
HEAD_SHARE = 0.14
"""Share of a person's height that is head and neck."""


@dataclass(frozen=True)
class View:
    """N cameras: at_m (N,3), heading_rad (N,) from x counter-clockwise, pitch_rad (N,) up."""

    at_m: Float32
    heading_rad: Float32
    pitch_rad: Float32

    def axes(self) -> Float32:
        """(N,3,3): right, down and ahead, in the room."""
        cos, sin = np.cos(self.heading_rad), np.sin(self.heading_rad)
        up, level = np.sin(self.pitch_rad), np.cos(self.pitch_rad)
        right = np.stack([sin, -cos, np.zeros_like(sin)], -1)
        ahead = np.stack([cos * level, sin * level, up], -1)
        return np.stack([right, np.cross(ahead, right), ahead], 1).astype(np.float32)


def pixels(columns: int, rows: int, field_rad: float) -> Float32:
    """(rows*columns,3): a ray through the middle of every pixel, z = 1; `field_rad` from left to right."""
    half = np.tan(field_rad / 2)
    x = half * ((np.arange(columns) + 0.5) / columns * 2 - 1)
    y = half * (rows / columns) * ((np.arange(rows) + 0.5) / rows * 2 - 1)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    return np.concatenate([grid, np.ones((len(grid), 1))], axis=1).astype(np.float32)


def look(rooms: scenes.Scenes, view: View, rays: Float32) -> tuple[Float32, scenes.Hit]:
    """The depth (N,R) that the rays (R,3) of a view see, and what they meet."""
    length = np.linalg.norm(rays, axis=1)
    towards = np.einsum("rk,nkc->nrc", rays / length[:, None], view.axes())
    hit = scenes.cast(rooms, view.at_m, towards)
    return hit.range_m / length, hit


def level_views(random: Random, rooms: scenes.Scenes, low_m: float, high_m: float) -> tuple[View, Float32]:
    """A level view with as much free way ahead as some tries gave, and that way in metres (N,)."""
    n = len(rooms)
    best_m, at_m, heading = np.full(n, -1, np.float32), np.zeros((n, 3), np.float32), np.zeros(n, np.float32)
    for _ in range(_PLACES):
        spot_m = scenes.free_spots(random, rooms, 0.25)
        try_at = np.concatenate([spot_m, uniform(random, low_m, high_m, n, 1)], axis=1)
        try_heading = facing_the_room(random, rooms, try_at, 0.5)
        angle = try_heading[:, None] + np.linspace(-0.15, 0.15, _LOOKS, dtype=np.float32)
        towards = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1)
        # A person walks at the height of a chair as well as at that of the view.
        free_m = np.full(n, np.inf, np.float32)
        for height_m in (0.3, 1.0):
            from_m = np.column_stack([spot_m, np.full(n, height_m, np.float32)])
            free_m = np.minimum(free_m, scenes.cast(rooms, from_m, towards).range_m.min(1))
        better = free_m > best_m
        best_m, at_m[better], heading[better] = (
            np.maximum(best_m, free_m),
            try_at[better],
            try_heading[better],
        )
    return View(at_m, heading, np.zeros(n, np.float32)), best_m


def facing_the_room(random: Random, rooms: scenes.Scenes, at_m: Float32, spread_rad: float) -> Float32:
    """Headings (N,) towards the middle of the room, give or take."""
    middle = rooms.size_m[:, :2] / 2 - at_m[:, :2]
    turn = uniform(random, -spread_rad, spread_rad, len(rooms))
    return (np.arctan2(middle[:, 1], middle[:, 0]) + turn).astype(np.float32)


@dataclass(frozen=True)
class Walker:
    """N people before a level view over T moments: right_m and ahead_m (N,T); radius_m and height_m (N,).

    `eye_m` (N,) is how high the view stands over the floor.
    """

    right_m: Float32
    ahead_m: Float32
    radius_m: Float32
    height_m: Float32
    eye_m: Float32


def drawn_body(random: Random, n: int) -> tuple[Float32, Float32]:
    """Radius and height (N,) of a person."""
    return uniform(random, 0.15, 0.24, n), uniform(random, 1.5, 1.9, n)


def see(walker: Walker, columns: Float32, rows: Float32) -> tuple[Float32, Float32]:
    """What a picture sees of them: columns (W,) and rows (H,) are the x and y of its rays.

    Returns depth (N,T,H,W), infinite beside them, and across (N,T,H,W), -1 at a body's left edge and 1 at its
    right. A body is an upright cylinder, the head a narrower one on it.
    """
    neck_m = (1 - HEAD_SHARE) * walker.height_m
    nothing = np.full_like(neck_m, -0.05)
    body, across = _upright(walker, walker.radius_m, nothing, neck_m, columns, rows)
    head_radius = np.full_like(walker.radius_m, HEAD_RADIUS_M)
    head, head_across = _upright(walker, head_radius, neck_m, walker.height_m, columns, rows)
    return np.minimum(body, head), np.where(head < body, head_across, across)


def _upright(
    walker: Walker, radius_m: Float32, low_m: Float32, high_m: Float32, columns: Float32, rows: Float32
) -> tuple[Float32, Float32]:
    """A cylinder from low_m to high_m over the floor; depth and across, each (N,T,H,W)."""
    right, ahead, radius = walker.right_m[..., None], walker.ahead_m[..., None], radius_m[:, None, None]
    square = 1 + columns**2
    along = (right * columns + ahead) / square
    aside = (right - ahead * columns) / np.sqrt(square)
    inside = radius**2 - aside**2
    depth = along - np.sqrt(np.maximum(inside, 0)) / np.sqrt(square)  # (N,T,W)
    depth = np.where((inside > 0) & (depth > 0.02), depth, np.inf)[:, :, None]
    with np.errstate(invalid="ignore"):  # a level ray that misses: infinity times zero
        height_m = walker.eye_m[:, None, None, None] - depth * rows[:, None]
    shape = (-1, 1, 1, 1)
    hit = (height_m > low_m.reshape(shape)) & (height_m <= high_m.reshape(shape))
    across = np.broadcast_to((-aside / radius)[:, :, None], hit.shape)
    return np.where(hit, depth, np.inf).astype(np.float32), across.astype(np.float32)


def times(frames: int, rate_hz: float) -> npt.NDArray[np.float32]:
    """Seconds (T,) of the frames of a window; the last is 0."""
    return (np.arange(frames, dtype=np.float32) - (frames - 1)) / np.float32(rate_hz)

"""A small colour camera in a simulated room: its picture, and the depth that the picture shows.

x is 32 x 24 RGB of 0..1, flattened row by row as `edge_agent/sensors/camera.py` does it; the target is depth
along the view in metres, the mean of each of 8 x 6 cells, row by row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_agent.sensors.video_frames import Pixels
from export.datasets.common import DatasetInfo, Float32, Samples
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

WIDTH, HEIGHT = 32, 24
CELL = 4
COLUMNS, ROWS = WIDTH // CELL, HEIGHT // CELL
FIELD_RAD = float(np.radians(62))
"""Of a Raspberry Pi camera module 2, from left to right."""
NAMES = tuple(channel.name for channel in Pixels(WIDTH, HEIGHT)[:])
OUTPUTS = tuple(f"depth_{row:02d}_{column:02d}_m" for row in range(ROWS) for column in range(COLUMNS))
AMBIENT, FALLOFF_M = 0.35, 4.0
"""Share of light from everywhere; at how many metres from the lamp its light has halved."""
GAMMA = 2.2
_PER_SCENE = 10


@dataclass(frozen=True)
class Paint:
    """What N rooms look like: colour (N,SURFACES,3), pattern of each surface, and the lamp_m (N,3).

    `stripes` (N,SURFACES,3): strength, periods per metre along each of two directions.
    """

    colour: Float32
    stripes: Float32
    lamp_m: Float32

    def __getitem__(self, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Paint:
        return Paint(self.colour[rows], self.stripes[rows], self.lamp_m[rows])


def painted(random: Random, rooms: scenes.Scenes) -> Paint:
    """Walls alike and pale, a white ceiling, furniture of any colour, a lamp under the ceiling."""
    n = len(rooms)
    colour = uniform(random, 0.08, 0.8, n, scenes.SURFACES, 3)
    walls = uniform(random, 0.5, 0.85, n, 1, 1) + uniform(random, -0.1, 0.1, n, 1, 3)
    colour[:, :4] = walls + uniform(random, -0.03, 0.03, n, 4, 3)
    colour[:, scenes.CEILING] = uniform(random, 0.75, 0.95, n, 1)
    stripes = np.concatenate(
        [uniform(random, 0, 0.35, n, scenes.SURFACES, 1), uniform(random, 0.5, 4, n, scenes.SURFACES, 2)], -1
    )
    stripes[:, :4, 0] *= random.random((n, 1)) < 0.4  # most walls are plain
    stripes[:, scenes.CEILING, 0] = 0
    lamp_m = rooms.size_m * np.concatenate(
        [uniform(random, 0.2, 0.8, n, 2), np.full((n, 1), 0.93, np.float32)], axis=1
    )
    return Paint(colour, stripes.astype(np.float32), lamp_m.astype(np.float32))


def shine(paint: Paint, points_m: Float32, normal_of: Float32) -> Float32:
    """(N,R): light on points_m (N,R,3) whose surfaces face normal_of (N,R,3); Lambert's law and falloff."""
    to_lamp = paint.lamp_m[:, None] - points_m
    far_m = np.linalg.norm(to_lamp, axis=-1)
    facing = (to_lamp * normal_of).sum(-1) / np.maximum(far_m, 1e-3)
    light: Float32 = AMBIENT + np.maximum(facing, 0) / (1 + (far_m / FALLOFF_M) ** 2)
    return light


def picture(rooms: scenes.Scenes, paint: Paint, view: views.View) -> tuple[Float32, Float32]:
    """Linear light (N,768,3) and depth (N,768), both without noise."""
    rays = views.pixels(WIDTH, HEIGHT, FIELD_RAD)
    depth_m, hit = views.look(rooms, view, rays)
    points_m = view.at_m[:, None] + depth_m[..., None] * np.einsum("rk,nkc->nrc", rays, view.axes())
    facing = scenes.normals(rooms, hit, points_m)
    colour = np.take_along_axis(paint.colour, hit.surface[..., None], axis=1)
    stripes = np.take_along_axis(paint.stripes, hit.surface[..., None], axis=1)
    waves = np.sin(2 * np.pi * stripes[..., 1] * (points_m[..., 0] + 0.6 * points_m[..., 2]))
    waves = waves * np.sin(2 * np.pi * stripes[..., 2] * (points_m[..., 1] - 0.4 * points_m[..., 2]))
    light = shine(paint, points_m, facing) * (1 + stripes[..., 0] * waves)
    return (colour * light[..., None]).astype(np.float32), depth_m


def exposed(random: Random, light: Float32) -> Float32:
    """Linear light (N,...,3) -> what the camera gives, 0..1: exposure, white balance, gamma, noise."""
    one = (1,) * (light.ndim - 2)
    n = len(light)
    mean = light.reshape(n, -1).mean(1).reshape(n, *one, 1)
    level = uniform(random, 0.15, 0.32, n, *one, 1) / np.maximum(mean, 1e-3)
    balance = uniform(random, 0.9, 1.1, n, *one, 3)
    image = np.clip(light * level * balance, 0, 1) ** np.float32(1 / GAMMA)
    noise = uniform(random, 0.005, 0.03, n, *one, 1) * normal(random, *light.shape)
    return np.clip(image + noise, 0, 1).astype(np.float32)


def cells(depth_m: Float32) -> Float32:
    """(N,768) -> (N,48): the mean of each cell."""
    split = depth_m.reshape(-1, ROWS, CELL, COLUMNS, CELL)
    return split.mean((2, 4)).reshape(-1, ROWS * COLUMNS)


def generate(n: int, seed: int) -> Samples:
    """x (n,1,2304), target (n,48) m."""
    random = np.random.default_rng(seed)
    number, group = groups_of(n, _PER_SCENE, "room")
    rooms = scenes.draw(random, int(number[-1]) + 1)
    paint = painted(random, rooms)
    x, target = np.empty((n, 1, len(NAMES)), np.float32), np.empty((n, len(OUTPUTS)), np.float32)
    for part in chunks(n):
        rows = number[part]
        view = _view(random, rooms[rows])
        light, depth_m = picture(rooms[rows], paint[rows], view)
        x[part, 0] = exposed(random, light).reshape(len(rows), -1)
        target[part] = cells(depth_m)
    return samples_of(x, target, group)


def _view(random: Random, rooms: scenes.Scenes) -> views.View:
    """From anywhere in the room, held by hand or on a shelf."""
    n = len(rooms)
    spot_m = scenes.free_spots(random, rooms, 0.4)
    at_m = np.concatenate([spot_m, uniform(random, 0.9, 1.8, n, 1)], axis=1)
    return views.View(at_m, views.facing_the_room(random, rooms, at_m, 1.0), uniform(random, -0.3, 0.1, n))


DEPTH_MAP = Simulator(
    DatasetInfo(
        name="simulated_camera_depth", modality="camera", task="depth_estimation", rate_hz=2.0, window_s=0.5,
        channels=NAMES, units=("",) * len(NAMES), labels=(), outputs=OUTPUTS, licence=LICENCE,
        credit=CREDIT, split=BY_SCENE, kind="simulated",
    ),
    generate, 20_000, _PER_SCENE,
)  # fmt: skip

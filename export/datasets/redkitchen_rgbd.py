"""A kitchen filmed with a Kinect (Microsoft 7-Scenes, non-commercial). Readers: this module, `CLIP`, `TOF`.

Read are every other of 1,000 frames: `data.npz` (`color_jpeg[color_offset[i]:color_offset[i+1]]`, `depth_mm`
(n,120,160) with 0 and 65535 for none, `camera_to_world` (n,4,4) in metres), else a sequence as it is
published: `frame-NNNNNN.color.png`, `.depth.png` and `.pose.txt`, 640x480.

It is one film of one room, so the split is along time: the first 400 frames, 25 left out, the last 75. The
kitchen is the same on both sides: a score says how well the room is known, not how well depth is seen. Colour
and depth of a Kinect are not quite the same view, and 7-Scenes does not align them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from export.datasets.common import (
    DatasetInfo,
    DatasetMissingError,
    Float32,
    Fold,
    Samples,
    Strings,
    dataset_path,
)
from export.datasets.images import Depth, decode, frame, mean_depth, pixel_names, read, read_depth
from export.datasets.views import View, block_numbers

WIDTH, HEIGHT = 32, 24
ROWS, COLUMNS = 12, 16
ZONES = 8
CLIP_FRAMES = 8
EVERY = 2
RATE_HZ = 30.0 / EVERY

INFO = DatasetInfo(
    name="redkitchen_rgbd",
    modality="image",
    task="depth_estimation",
    rate_hz=RATE_HZ,
    window_s=1 / RATE_HZ,
    channels=pixel_names(WIDTH, HEIGHT),
    units=("",) * (3 * WIDTH * HEIGHT),
    labels=(),
    licence="Microsoft 7-Scenes licence: non-commercial use",
    credit="Shotton, Glocker, Zach, Izadi, Criminisi, Fitzgibbon 2013, 7-Scenes (RedKitchen)",
    split="along the film: first 400 frames train, last 75 test, 25 between left out",
    licence_class="C",
    outputs=tuple(f"depth_{row:02d}_{column:02d}_m" for row in range(ROWS) for column in range(COLUMNS)),
)
CLIP_INFO = replace(
    INFO,
    name="redkitchen_rgbd_clip",
    modality="video",
    task="pose_estimation",
    window_s=CLIP_FRAMES / RATE_HZ,
    outputs=("right_m", "down_m", "forward_m", "pitch_rad", "yaw_rad", "roll_rad"),
)
TOF_INFO = replace(
    INFO,
    name="redkitchen_rgbd_tof",
    modality="depth",
    task="3d_reconstruction",
    channels=tuple(f"px_{i:02d}" for i in range(ZONES * ZONES)),
    units=("m",) * (ZONES * ZONES),
)

BLOCK = 25
"""Frames in a block, nearly two seconds."""
TEST_BLOCKS = range(17, 20)
TRAIN_BLOCKS = range(16)
SHIPPED_TRAIN_BLOCKS = range(13)
SHIPPED_VALIDATION_BLOCKS = range(14, 16)
FARTHEST_M = 4.0
"""What a zone without any valid depth says: the end of the range of a VL53L5CX, as for no target."""


@dataclass(frozen=True)
class Film:
    """rgb (n,24*32*3) 0..1, depth_m (n,12,16) with NaN, zones_m (n,64) with NaN, camera_to_world (n,4,4)."""

    rgb: Float32
    depth_m: Float32
    zones_m: Float32
    camera_to_world: npt.NDArray[np.float64]


def film(root: Path | None = None) -> Film:
    """All frames. Raises DatasetMissingError, and ValueError for a picture that cannot be decoded."""
    folder = dataset_path(INFO.name, root)
    frames = _npz(folder) if (folder / "data.npz").exists() else _published(folder)
    rgb, depth, zones, pose = zip(*frames, strict=True)
    return Film(np.stack(rgb), np.stack(depth), np.stack(zones), np.stack(pose).astype(np.float64))


def load(root: Path | None = None) -> Samples:
    """x (N,1,2304) a picture of 32x24, target (N,192): mean depth in metres of 16x12 cells, row by row.

    A cell in which no depth was measured is NaN in the target (never in x): leave it out of loss and score.
    """
    found = film(root)
    group = _blocks(len(found.rgb))
    return Samples(found.rgb[:, None], found.depth_m.reshape(len(group), -1), group, _films(group))


def load_clip(root: Path | None = None) -> Samples:
    """x (N,8,2304), target (N,6): how the camera moved from the first frame of eight to the last.

    Translation in metres along the axes of the first frame's camera, then the rotation vector about them in
    radians. Clips overlap, and none reaches over a block.
    """
    found = film(root)
    blocks = _blocks(len(found.rgb))
    last = CLIP_FRAMES - 1
    starts = np.array([i for i in range(len(blocks) - last) if blocks[i] == blocks[i + last]], np.int64)
    x = np.stack([found.rgb[i : i + CLIP_FRAMES] for i in starts])
    pose = found.camera_to_world
    moved = np.linalg.inv(pose[starts]) @ pose[starts + last]
    turned = Rotation.from_matrix(moved[:, :3, :3]).as_rotvec()
    target = np.concatenate([moved[:, :3, 3], turned], axis=1).astype(np.float32)
    group = blocks[starts]
    return Samples(x, target, group, _films(group))


def load_tof(root: Path | None = None) -> Samples:
    """x (N,1,64): what a sensor of 8x8 zones would say, metres; target (N,192) as `load`, with NaN.

    The zones are means over the middle square of the depth picture, 44.6 degrees wide, which is nearly the
    45 of a VL53L5CX (real depths, but no real VL53L5CX); the target is the whole picture, wider than that. A
    zone without any depth is FARTHEST_M.
    """
    found = film(root)
    group = _blocks(len(found.rgb))
    zones = np.minimum(np.nan_to_num(found.zones_m, nan=FARTHEST_M), np.float32(FARTHEST_M))
    return Samples(zones[:, None], found.depth_m.reshape(len(group), -1), group, _films(group))


def folds(samples: Samples) -> list[Fold]:
    """The one: first 400 frames and last 75."""
    return [_fold(samples, "along time", TRAIN_BLOCKS, ())]


def shipped(samples: Samples) -> Fold:
    """The same test; two blocks of the rest validate, one apart."""
    return _fold(samples, "shipped", SHIPPED_TRAIN_BLOCKS, SHIPPED_VALIDATION_BLOCKS)


CLIP = View(CLIP_INFO, load_clip, folds, shipped)
"""The Reader of clips to the motion of the camera."""
TOF = View(TOF_INFO, load_tof, folds, shipped)
"""The Reader of 8x8 distances to a picture of depths."""


def _fold(samples: Samples, name: str, train: range, validation: range | tuple[()]) -> Fold:
    block = block_numbers(samples.group)
    rows = [np.flatnonzero(np.isin(block, list(part))) for part in (train, TEST_BLOCKS, validation)]
    return Fold(name, *rows)


def _blocks(n: int) -> Strings:
    return np.array([f"redkitchen/{i // BLOCK:02d}" for i in range(n)])


def _films(group: Strings) -> Strings:
    return np.array([name.partition("/")[0] for name in group.tolist()])


Seen = tuple[Float32, Float32, Float32, npt.NDArray[np.float64]]
"""One frame of Film."""


def _npz(folder: Path) -> Iterator[Seen]:
    with np.load(folder / "data.npz", allow_pickle=False) as data:
        jpeg, offset = data["color_jpeg"], data["color_offset"]
        depth_mm, pose = data["depth_mm"], data["camera_to_world"]
    for i in range(len(depth_mm)):
        image = decode(jpeg[offset[i] : offset[i + 1]], f"frame {i}")
        yield frame(image, WIDTH, HEIGHT), *_depths(depth_mm[i]), pose[i]


def _published(folder: Path) -> Iterator[Seen]:
    paths = sorted(folder.glob("frame-*.color.png"))[::EVERY]
    if not paths:
        raise DatasetMissingError(folder / "data.npz")
    for path in paths:
        beside = str(path).removesuffix("color.png")
        depths = _depths(read_depth(Path(f"{beside}depth.png")))
        yield frame(read(path), WIDTH, HEIGHT), *depths, np.loadtxt(f"{beside}pose.txt")


def _depths(depth_mm: Depth) -> tuple[Float32, Float32]:
    """(h,w) -> the (12,16) map of it and the (64,) zones of its middle square."""
    height, width = depth_mm.shape
    side = (width - height) // 2
    zones = mean_depth(depth_mm[:, side : side + height], ZONES, ZONES)
    return mean_depth(depth_mm, ROWS, COLUMNS), zones.reshape(-1)

"""KITTI odometry: from two laser scans to how the car moved; `kitti_oxts`, `kitti_objects` read the others.

Where the format is described: the KITTI devkits' `readme.txt` for odometry and `dataformat.txt` for raw
data (cvlibs.net/datasets/kitti), and github.com/utiasSTARS/pykitti, `pykitti/odometry.py`. Put the
benchmark's folder `dataset` here as `kitti`: `sequences/00/velodyne/000000.bin` (float32, little endian: x
forward, y left, z up in metres and reflectance), `sequences/00/calib.txt` (lines `P0:` to `P3:` and `Tr:`,
twelve numbers of a 3x4 matrix each; `Tr` takes a point of the scanner to the camera) and `poses/00.txt` (a
line for each frame: the 3x4 matrix that takes the camera's frame to that of the first). Poses are published
for the sequences 00 to 10.

A scan becomes what a turning range finder at the height of the bumper would say: of the points a third to
one and a half metres above the road the nearest of each degree, named as the live scanners name it (0
ahead, clockwise).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_agent.sensors.scan import BEAMS
from edge_agent.sensors.scan import CHANNELS as LIVE_CHANNELS
from export.datasets.common import (
    DatasetInfo,
    DatasetMissingError,
    Float32,
    Fold,
    Samples,
    dataset_path,
    held_out,
)
from export.datasets.paper.splits import one_out as folds
from export.datasets.paper.tables import Float64, numbers

__all__ = ["INFO", "folds", "load", "shipped"]

FOLDER = "kitti"
LICENCE = "CC BY-NC-SA 3.0"
CREDIT = "Geiger, Lenz, Stiller, Urtasun 2012 and 2013, the KITTI vision benchmark suite"
INFO = DatasetInfo(
    name="kitti_odometry",
    modality="lidar",
    task="pose_estimation",
    rate_hz=10.0,
    window_s=0.2,
    channels=tuple(channel.name for channel in LIVE_CHANNELS),
    units=("m",) * BEAMS,
    labels=(),
    licence=LICENCE,
    credit=CREDIT,
    split="by sequence: 09 and 10 are the test, as most who learn odometry have it; folds leave one out",
    licence_class="C",
    outputs=("dx_m", "dy_m", "dtheta_rad"),
)
TEST, VALIDATION = ("09", "10"), ("08",)
PAIRS = 40
"""Of a sequence, spread over it: all its scans are up to nine gigabytes."""
LOWEST_M, HIGHEST_M = -1.4, -0.2
"""Above the scanner, which is 1.73 m above the road."""
FARTHEST_M = 50.0
"""What a degree without any point says."""
POINT = 4


def load(root: Path | None = None) -> Samples:
    """x (N,2,360): two scans a tenth of a second apart, metres; target (N,3): where the second was taken.

    dx forward and dy to the left of the first, dtheta anticlockwise. Raises DatasetMissingError, ValueError.
    """
    x, target, sequence = [], [], []
    for name, first, second, moved in _pairs(dataset_path(FOLDER, root)):
        x.append(np.stack([scan(first), scan(second)]))
        target.append((moved[0, 3], moved[1, 3], np.arctan2(moved[1, 0], moved[0, 0])))
        sequence.append(name)
    names = np.array(sequence)
    return Samples(np.stack(x), np.array(target, np.float32), names, names)


def shipped(samples: Samples) -> Fold:
    """The usual test; one sequence calibrates."""
    return held_out(samples.group, VALIDATION, TEST)


def scan(path: Path) -> Float32:
    """(360,) metres out of a file of points. DatasetMissingError, ValueError, which name the file."""
    if not path.exists():
        raise DatasetMissingError(path)
    raw = path.read_bytes()
    if not raw or len(raw) % (POINT * 4):
        raise ValueError(f"{path.name}: points of four float32 were expected, {len(raw)} bytes found")
    points: npt.NDArray[np.float32] = np.frombuffer(raw, "<f4").reshape(-1, POINT)
    seen = points[(points[:, 2] > LOWEST_M) & (points[:, 2] < HIGHEST_M)].astype(np.float64)
    degree = np.degrees(np.arctan2(-seen[:, 1], seen[:, 0])).round().astype(np.int64) % BEAMS
    nearest = np.full(BEAMS, FARTHEST_M)
    np.minimum.at(nearest, degree, np.hypot(seen[:, 0], seen[:, 1]))
    return nearest.astype(np.float32)


def calibration(path: Path, key: str, n: int = 12) -> Float64:
    """The n numbers of a line `key: ...`. DatasetMissingError, and ValueError, which names the file."""
    if not path.exists():
        raise DatasetMissingError(path)
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, values = line.partition(":")
        if name == key and len(values.split()) == n:
            try:
                return np.array([float(value) for value in values.split()])
            except ValueError:
                break
    raise ValueError(f"{path.parent.name}/{path.name}: a line {key!r} of {n} numbers was expected")


def square(matrix: Float64) -> Float64:
    """(...,12) -> (...,4,4), a rotation and a translation."""
    last = np.broadcast_to([0.0, 0.0, 0.0, 1.0], (*matrix.shape[:-1], 1, 4))
    return np.concatenate([matrix.reshape(*matrix.shape[:-1], 3, 4), last], axis=-2)


def spread(n: int, count: int) -> list[int]:
    """At most `count` of n indices, evenly from the first to the last."""
    return np.unique(np.linspace(0, n - 1, count).astype(int)).tolist() if n > 0 else []


def _pairs(folder: Path) -> Iterator[tuple[str, Path, Path, Float64]]:
    """(sequence, scan, the next, (4,4) the second as seen from the first, in the scanner's frame)."""
    paths = sorted((folder / "poses").glob("[0-9][0-9].txt"))
    if not paths:
        raise DatasetMissingError(folder / "poses" / "00.txt")
    for path in paths:
        sequence = folder / "sequences" / path.stem
        to_camera = square(calibration(sequence / "calib.txt", "Tr"))
        poses = square(numbers(path, 12, "a line of twelve numbers for each frame")) @ to_camera
        scans = [sequence / "velodyne" / f"{i:06d}.bin" for i in range(len(poses))]
        there = [path.exists() for path in scans]
        starts = [i for i in range(len(poses) - 1) if there[i] and there[i + 1]]
        if not starts:
            raise DatasetMissingError(sequence / "velodyne" / "000000.bin")
        for i in (starts[k] for k in spread(len(starts), PAIRS)):
            yield path.stem, scans[i], scans[i + 1], np.linalg.inv(poses[i]) @ poses[i + 1]

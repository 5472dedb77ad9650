"""Laser scans of thirteen buildings with corrected poses (CARMEN logs). Two Readers: this module and `DENSE`.

Logs of the Radish repository as corrected by a SLAM: text or gzip, `<building>-corrected.log[.gz]`. Read are
the lines `FLASER n r1..rn x y theta ...` and `ROBOTLASER1 type start fov step max accuracy mode n r1..rn ...`
of the format; everything else is left. The pose is that of the laser, metres and radians.

A scan here is 180 ranges, one for each degree from -90 (right) to 89 (left), 0 straight ahead: the nearest
beam of the log, not interpolated, for between two beams at an edge there is nothing. The live scanners of
`edge_agent.sensors.scan` count the other way round, so the channels carry the live names: our first is
range_090, our last range_271. Ranges are cut at 12 m, which is how far those scanners see; "nothing came
back" is 12 m too.

The copy that this was read from stands under GPL-3.0; the originals are published by the Radish repository.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_agent.sensors.scan import BEAMS as LIVE_BEAMS
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
from export.datasets.views import View, block_fold, block_groups

BEAMS = 180
FIRST_DEG = -90
MAX_RANGE_M = 12.0
SPARSE_EVERY = 6
LIVE_PLACES = tuple(-(FIRST_DEG + i) % LIVE_BEAMS for i in range(BEAMS))
"""Which beam of a live scan each of ours is."""
CHANNELS = tuple(LIVE_CHANNELS[i].name for i in LIVE_PLACES)

INFO = DatasetInfo(
    name="lidar_2d_carmen",
    modality="lidar",
    task="pose_estimation",
    rate_hz=1.0,
    window_s=2.0,
    channels=CHANNELS,
    units=("m",) * BEAMS,
    labels=(),
    licence="GPL-3.0 (the copy); originals: Radish, the Robotics Data Set Repository",
    credit=(
        "Radish logs by N. Roy, A. Howard, C. Stachniss, D. Haehnel, H. Andreasson, M. Bosse, J. Leonard, "
        "P. Beeson, D. Fox and others; corrected by GMapping"
    ),
    split="the last 30 % of each log test; folds leave one building out",
    licence_class="B",
    outputs=("dx_m", "dy_m", "dtheta_rad"),
)
DENSE_INFO = replace(
    INFO,
    name="lidar_2d_carmen_dense",
    task="3d_reconstruction",
    window_s=1.0,
    channels=CHANNELS[::SPARSE_EVERY],
    units=("m",) * (BEAMS // SPARSE_EVERY),
    outputs=tuple(f"{name}_m" for name in CHANNELS),
)

BLOCKS = 10
TEST_BLOCKS = range(7, 10)
VALIDATION_BLOCKS = (6,)
GAP = 5
"""Scans about a metre apart show the same walls; so many are left out beside what is held out."""
STEP_M, STEP_RAD = 0.3, math.radians(10.0)
"""A pair is a scan and the next from so far away, or so turned, or the `REACH`-th if it hardly moves."""
REACH = 5
FAR_M, FAR_RAD = 2.0, math.radians(60.0)
"""Pairs farther apart share too little to compare."""
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Log:
    """scans (n,180) metres, poses (n,3): x, y in metres, theta in radians, anticlockwise."""

    building: str
    scans: Float32
    poses: Float64


def logs(root: Path | None = None) -> Iterator[Log]:
    """The logs in the order of their names. Raises DatasetMissingError; ValueError for a broken line."""
    folder = dataset_path(INFO.name, root)
    paths = sorted([*folder.glob("*.log"), *folder.glob("*.log.gz")])
    if not paths:
        raise DatasetMissingError(folder / "*.log.gz")
    for path in paths:
        opened = gzip.open if path.suffix == ".gz" else open
        scans, poses = [], []
        with opened(path, "rt", encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    found = scan_of(line)
                except ValueError as error:
                    raise ValueError(f"{path.name}, line {number}: {error}") from error
                if found is not None:
                    scans.append(found[0])
                    poses.append(found[1])
        if scans:
            building = path.name.partition(".")[0].removesuffix("-corrected")
            yield Log(building, np.stack(scans), np.array(poses))


def load(root: Path | None = None) -> Samples:
    """Pairs of scans: x (N,2,180), target (N,3) where the second was taken as seen from the first.

    dx forward and dy to the left in metres, dtheta anticlockwise. Both lie in the same tenth of a log.
    """
    x, target, group, building = [], [], [], []
    for log in logs(root):
        blocks = block_groups(np.full(len(log.scans), log.building), BLOCKS)
        for i, j in _pairs(log.poses, blocks.tolist()):
            x.append(log.scans[[i, j]])
            target.append(relative_pose(log.poses[i], log.poses[j]))
            group.append(blocks[i])
            building.append(log.building)
    return Samples(np.stack(x), np.array(target, np.float32), np.array(group), np.array(building))


def load_dense(root: Path | None = None) -> Samples:
    """Every sixth beam to all: x (N,1,30), target (N,180), both in metres. All scans."""
    found = list(logs(root))
    scans = np.concatenate([log.scans for log in found])
    building = np.concatenate([np.full(len(log.scans), log.building) for log in found])
    return Samples(scans[:, None, ::SPARSE_EVERY], scans, block_groups(building, BLOCKS), building)


def folds(samples: Samples) -> list[Fold]:
    """One fold for each building: its scans are the test."""
    buildings = np.unique(samples.recording).tolist()
    return [replace(held_out(samples.recording, (), (name,)), name=name) for name in buildings]


def shipped(samples: Samples) -> Fold:
    """Of each log the last 30 % test, the tenth before validates. A robot may have been there before."""
    return block_fold(samples, "shipped", TEST_BLOCKS, VALIDATION_BLOCKS, GAP)


DENSE = View(DENSE_INFO, load_dense, folds, shipped)
"""The Reader of a scan of 30 beams to one of 180."""


def relative_pose(first: Float64, second: Float64) -> tuple[float, float, float]:
    """(3,), (3,) poses in one frame -> (dx, dy, dtheta) of the second in the frame of the first."""
    east, north = float(second[0] - first[0]), float(second[1] - first[1])
    cosine, sine = math.cos(first[2]), math.sin(first[2])
    return cosine * east + sine * north, cosine * north - sine * east, _wrapped(float(second[2] - first[2]))


def scan_of(line: str) -> tuple[Float32, tuple[float, float, float]] | None:
    """((180,) metres, (x, y, theta)) of a line that holds a scan, else None. ValueError when it is broken."""
    words = line.split()
    kind = words[0] if words else ""
    if kind not in {"FLASER", "ROBOTLASER1"}:
        return None
    head = 2 if kind == "FLASER" else 9
    if len(words) < head:
        raise ValueError(f"{kind} ends before its ranges")
    n = int(words[head - 1])
    ranges = np.array(words[head : head + n], np.float64)
    if n < 2 or len(ranges) < n:
        raise ValueError(f"{kind} of {n} ranges holds {len(ranges)}")
    rest = words[head + n :]
    if kind == "FLASER":
        first_deg, step_deg = -90.0, 180.0 / (n - n % 2)  # 181 and 361 beams hold both ends, 180 and 360 one
    else:
        first_deg, step_deg = math.degrees(float(words[2])), math.degrees(float(words[4]))
        rest = rest[1 + int(rest[0]) :] if rest else rest  # the remissions
    if len(rest) < 3 or not step_deg > 0:
        raise ValueError(f"{kind} has no pose behind its ranges, or no step between them")
    x, y, theta = (float(word) for word in rest[:3])
    if not all(map(math.isfinite, (x, y, theta, first_deg, step_deg))):
        raise ValueError(f"{kind} has a pose that is no number")
    return _regular(ranges, first_deg, step_deg), (x, y, theta)


def _regular(ranges: Float64, first_deg: float, step_deg: float) -> Float32:
    """(n,) -> (180,): the nearest beam of each degree. What is missing, absurd or too far is MAX_RANGE_M."""
    place = np.rint((FIRST_DEG + np.arange(BEAMS) - first_deg) / step_deg)
    inside = (place >= 0) & (place < len(ranges))
    scan = np.full(BEAMS, MAX_RANGE_M)
    scan[inside] = ranges[place[inside].astype(np.int64)]
    scan[~(scan > 0)] = MAX_RANGE_M
    return np.minimum(scan, MAX_RANGE_M).astype(np.float32)


def _pairs(poses: Float64, blocks: list[str]) -> Iterator[tuple[int, int]]:
    """See STEP_M, REACH and FAR_M."""
    for i in range(len(poses) - 1):
        for j in range(i + 1, min(i + REACH + 1, len(poses))):
            if blocks[j] != blocks[i]:
                break
            moved_m = math.dist(poses[i, :2], poses[j, :2])
            turned = abs(_wrapped(float(poses[j, 2] - poses[i, 2])))
            if moved_m >= STEP_M or turned >= STEP_RAD or j == i + REACH:
                if moved_m <= FAR_M and turned <= FAR_RAD:
                    yield i, j
                break


def _wrapped(angle: float) -> float:
    """The same angle in -pi..pi."""
    return math.remainder(angle, 2 * math.pi)

"""KITTI raw: the car's motion sensor and its receiver of positions. Readers: this module (motion) and `GPS`.

Where the format is described: the KITTI raw devkit's `dataformat.txt` (cvlibs.net/datasets/kitti). Put the
synced drives here as `kitti/<date>/<date>_drive_<number>_sync/oxts/`: `timestamps.txt`, a line `2011-09-26
13:02:25.964389445` for each frame, and `data/0000000000.txt`, one line of 30 numbers for each frame: lat,
lon (deg), alt (m), roll, pitch, yaw (rad, 0 is east, anticlockwise), vn, ve, vf, vl, vu (m/s), ax, ay, az,
af, al, au (m/s2), wx, wy, wz, wf, wl, wu (rad/s), then accuracies and states. x is forward, y left and z
up, as the numbers' own lines say (the same file's paragraph on coordinate systems has y right and z down).
About 10 frames a second.

A window from accelerations alone cannot tell how fast the car was before it, only what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_agent.clock import NS_PER_S
from export.datasets.common import DatasetInfo, DatasetMissingError, Samples, dataset_path
from export.datasets.paper.kitti import CREDIT, FOLDER, LICENCE
from export.datasets.paper.splits import every_fifth as shipped
from export.datasets.paper.splits import five_folds as folds
from export.datasets.paper.tables import Float64
from export.datasets.views import View

__all__ = ["GPS", "INFO", "folds", "load", "shipped"]

FIELDS = 30
LAT, LON, YAW, FORWARD_SPEED = 0, 1, 5, 8
MOTION = slice(11, 14), slice(17, 20)
EARTH_RADIUS_M = 6_378_137.0
INFO = DatasetInfo(
    name="kitti_oxts",
    modality="imu",
    task="pose_estimation",
    rate_hz=10.0,
    window_s=2.0,
    channels=("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"),
    units=("m/s2",) * 3 + ("rad/s",) * 3,
    labels=(),
    licence=LICENCE,
    credit=CREDIT,
    split="5 folds by drive",
    licence_class="C",
    outputs=("dv_forward_m_s", "dtheta_rad"),
)
GPS_INFO = replace(
    INFO,
    name="kitti_oxts_gps",
    modality="gps",
    channels=("east_m", "north_m"),
    units=("m", "m"),
    outputs=("forward_m_s", "heading_east", "heading_north"),
)
WINDOW = round(INFO.rate_hz * INFO.window_s)
HOP = WINDOW // 2
MAX_STEP_S = 0.15
"""A step between two frames that is longer tears a window."""


@dataclass(frozen=True)
class Drive:
    """fields (n,30) as published, in the order of the frames, and time_ns (n,)."""

    name: str
    fields: Float64
    time_ns: npt.NDArray[np.int64]


def drives(root: Path | None = None) -> Iterator[Drive]:
    """All drives by name. Raises DatasetMissingError, and ValueError, which names the file."""
    folder = dataset_path(FOLDER, root)
    found = sorted(folder.glob("*/*_drive_*_sync/oxts"))
    if not found:
        raise DatasetMissingError(folder / "<date>" / "<date>_drive_<number>_sync" / "oxts")
    for oxts in found:
        name = oxts.parent.name
        packets = [_packet(path) for path in sorted((oxts / "data").glob("*.txt"))]
        time_ns = _times(oxts / "timestamps.txt")
        if len(packets) != len(time_ns):
            raise ValueError(f"{name}: {len(packets)} files in oxts/data, {len(time_ns)} in timestamps.txt")
        yield Drive(name, np.array(packets).reshape(-1, FIELDS), time_ns)


def load(root: Path | None = None) -> Samples:
    """x (N,20,6): windows of 2 s, every second; target (N,2): the change of speed (m/s) and of heading (rad).

    Raises as `drives`.
    """
    return _load(root, _motion)


def load_gps(root: Path | None = None) -> Samples:
    """x (N,20,2): metres east and north of the window's last position; target (N,3) at that position.

    Speed forward in m/s, and the heading as a vector of length 1. Raises as `drives`.
    """
    return _load(root, _track)


GPS = View(GPS_INFO, load_gps, folds, shipped)
"""The Reader of positions."""

Window = tuple[Float64, tuple[float, ...]]


def _motion(fields: Float64) -> Window:
    turned = fields[-1, YAW] - fields[0, YAW]
    dv = fields[-1, FORWARD_SPEED] - fields[0, FORWARD_SPEED]
    dtheta = (turned + np.pi) % (2 * np.pi) - np.pi
    return np.concatenate([fields[:, part] for part in MOTION], axis=1), (float(dv), float(dtheta))


def _track(fields: Float64) -> Window:
    latitude, longitude = np.radians(fields[:, LAT]), np.radians(fields[:, LON])
    east = EARTH_RADIUS_M * np.cos(latitude[-1]) * (longitude - longitude[-1])
    north = EARTH_RADIUS_M * (latitude - latitude[-1])
    yaw, speed = float(fields[-1, YAW]), float(fields[-1, FORWARD_SPEED])
    return np.stack([east, north], axis=1), (speed, float(np.cos(yaw)), float(np.sin(yaw)))


def _load(root: Path | None, of_window: Callable[[Float64], Window]) -> Samples:
    x, target, name = [], [], []
    for drive in drives(root):
        steps_s = np.diff(drive.time_ns) / NS_PER_S
        for start in range(0, len(drive.fields) - WINDOW + 1, HOP):
            if steps_s[start : start + WINDOW - 1].max() <= MAX_STEP_S:
                values, numbers = of_window(drive.fields[start : start + WINDOW])
                x.append(values.astype(np.float32))
                target.append(numbers)
                name.append(drive.name)
    if not x:
        raise ValueError(f"none of the drives has {WINDOW} frames without a gap")
    names = np.array(name)
    return Samples(np.stack(x), np.array(target, np.float32), names, names)


def _packet(path: Path) -> list[float]:
    fields = path.read_text(encoding="utf-8").split()
    try:
        packet = [float(field) for field in fields]
    except ValueError as error:
        raise ValueError(f"{path.parents[2].name}/{path.name}: {error}") from error
    if len(packet) != FIELDS:
        raise ValueError(f"{path.parents[2].name}/{path.name}: 30 numbers were expected, {len(packet)} found")
    return packet


def _times(path: Path) -> npt.NDArray[np.int64]:
    if not path.exists():
        raise DatasetMissingError(path)
    lines = path.read_text(encoding="utf-8").split("\n")
    try:
        times = np.array([line.strip().replace(" ", "T") for line in lines if line.strip()], "datetime64[ns]")
    except ValueError as error:
        raise ValueError(
            f"{path.parents[1].name}/{path.name}: a date and a time were expected ({error})"
        ) from error
    return times.astype(np.int64)

"""DIP-IMU: six motion sensors on a body to its pose.

Where the format is described: github.com/eth-ait/dip18 (the publisher's code: `train_and_eval/constants.py`
for 45 + 15 numbers in and 15 joints out) and github.com/eth-ait/aitviewer, `examples/load_DIP_IMU.py` (the
same lab, reading a file); the order of the 17 sensors, the missing values and the six that are used, by
github.com/Xinyu-Yi/TransPose, `preprocess.py`, and others that agree with it. Put the download's people
here as `dip_imu/s_01/01.pkl` to `s_10`: a pickled dict, written by Python 2, of `imu_acc` (n,17,3) m/s2 and
`imu_ori` (n,17,3,3), both in the global frame of the body model, and `gt` (n,72), SMPL's 24 rotation
vectors; 60 Hz. They are read by `plain_pickle`, as data, since opening a pickle runs what it says.

Input as in the paper: orientation and acceleration of five sensors as the one on the pelvis sees them
(relative, in its frame). Output: rotation vectors of the 15 joints that the paper predicts, each in its
parent's frame. Joint positions in millimetres need the SMPL body, which is under a licence of its own and
not here.

Not established: the units beyond "acceleration", taken as m/s2. The download also has `imu_own_*.npz`,
arrays of objects, which are pickles again; they hold the same people and are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export.datasets.common import (
    DatasetInfo,
    DatasetMissingError,
    Float32,
    Fold,
    Samples,
    dataset_path,
    held_out,
)
from export.datasets.paper import plain_pickle

SENSORS = 17
PELVIS = 2
PLACES = {"head": 0, "left_lower_arm": 7, "right_lower_arm": 8, "left_lower_leg": 11, "right_lower_leg": 12}
"""Where the five other sensors stand among the 17."""
SMPL_JOINTS = 24
JOINTS = {
    "left_hip": 1, "right_hip": 2, "spine_1": 3, "left_knee": 4, "right_knee": 5, "spine_2": 6, "spine_3": 9,
    "neck": 12, "left_collar": 13, "right_collar": 14, "head": 15, "left_shoulder": 16, "right_shoulder": 17,
    "left_elbow": 18, "right_elbow": 19,
}  # fmt: skip
"""The joints of the output, by their numbers in SMPL."""

INFO = DatasetInfo(
    name="dip_imu",
    modality="imu",
    task="pose_estimation",
    rate_hz=60.0,
    window_s=1.0,
    channels=(
        *(f"{place}_acc_{axis}" for place in PLACES for axis in "xyz"),
        *(f"{place}_rotation_{i}{j}" for place in PLACES for i in range(3) for j in range(3)),
    ),
    units=("m/s2",) * 3 * len(PLACES) + ("",) * 9 * len(PLACES),
    labels=(),
    licence="Max Planck Institute for Intelligent Systems: non-commercial scientific research",
    credit="Huang, Kaufmann, Aksan, Black, Hilliges, Pons-Moll 2018, Deep Inertial Poser (DIP-IMU)",
    split="by person, as published: s_09 and s_10 are the test",
    licence_class="C",
    outputs=tuple(f"{joint}_{axis}_rad" for joint in JOINTS for axis in "xyz"),
)
WINDOW = round(INFO.rate_hz * INFO.window_s)
HOP = WINDOW // 2
REACH = 4
"""A missing frame is taken from one so near; a window with a larger hole is left out."""
TEST = ("s_09", "s_10")
VALIDATION = ("s_08",)
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """acc (n,17,3), orientation (n,17,3,3), pose (n,24,3), with NaN where a sensor was not heard."""

    name: str
    acc: Float64
    orientation: Float64
    pose: Float64


def motions(root: Path | None = None) -> Iterator[Motion]:
    """All recordings by person and name. Raises DatasetMissingError, ValueError for another format."""
    folder = dataset_path(INFO.name, root)
    paths = sorted(folder.glob("s_[0-9][0-9]/*.pkl"))
    if not paths:
        raise DatasetMissingError(folder / "s_01" / "*.pkl")
    for path in paths:
        name = f"{path.parent.name}/{path.stem}"
        shapes = {"imu_acc": (SENSORS, 3), "imu_ori": (SENSORS, 3, 3), "gt": (3 * SMPL_JOINTS,)}
        arrays = {k: v.astype(np.float64) for k, v in plain_pickle.arrays(path, shapes).items()}
        if len({len(value) for value in arrays.values()}) != 1:
            raise ValueError(f"{name}.pkl: imu_acc, imu_ori and gt differ in length")
        pose = arrays["gt"].reshape(-1, SMPL_JOINTS, 3)
        yield Motion(name, arrays["imu_acc"], arrays["imu_ori"], pose)


def load(root: Path | None = None) -> Samples:
    """x (N,60,60): windows of 1 s, every half second; target (N,45): the pose at the window's end.

    Raises as `motions`.
    """
    x, target, name = [], [], []
    for motion in motions(root):
        inputs = _seen_from_pelvis(motion)
        pose = motion.pose[:, list(JOINTS.values())].reshape(len(inputs), -1)
        whole = np.isfinite(np.concatenate([inputs, pose], axis=1)).all(axis=1)
        nearest, distance = _nearest(whole)
        for start in range(0, len(inputs) - WINDOW + 1, HOP):
            rows = slice(start, start + WINDOW)
            if distance[rows].max() <= REACH:
                x.append(inputs[nearest[rows]].astype(np.float32))
                target.append(pose[nearest[start + WINDOW - 1]])
                name.append(motion.name)
    windows = np.stack(x) if x else np.zeros((0, WINDOW, len(INFO.channels)), np.float32)
    numbers = np.array(target, np.float32).reshape(-1, len(INFO.outputs))
    person = np.array([n.partition("/")[0] for n in name], np.str_)
    return Samples(windows, numbers, person, np.array(name, np.str_))


def folds(samples: Samples) -> list[Fold]:
    """The published one: the last two people test."""
    fold = held_out(samples.group, (), TEST)
    return [Fold("published", fold.train, fold.test, fold.validation)]


def shipped(samples: Samples) -> Fold:
    """The published test; one of the other people calibrates."""
    return held_out(samples.group, VALIDATION, TEST)


def _seen_from_pelvis(motion: Motion) -> Float32:
    """(n,60): relative acceleration, then relative orientation row by row, of the five sensors."""
    places = list(PLACES.values())
    root = motion.orientation[:, PELVIS].swapaxes(1, 2)[
        :, None
    ]  # (n,1,3,3): from the global frame to its own
    acc = motion.acc[:, places] - motion.acc[:, PELVIS, None]
    seen_acc = (root @ acc[..., None])[..., 0]
    seen_orientation = root @ motion.orientation[:, places]
    n = len(acc)
    parts = [seen_acc.reshape(n, -1), seen_orientation.reshape(n, -1)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _nearest(whole: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each frame the nearest whole one and how far away that is; (n,), (n,)."""
    at, good = np.arange(len(whole)), np.flatnonzero(whole)
    if not len(good):
        return at, np.full(len(whole), len(whole))
    right = np.searchsorted(good, at).clip(0, len(good) - 1)
    left = (right - 1).clip(0)
    nearest = np.where(np.abs(good[right] - at) < np.abs(good[left] - at), good[right], good[left])
    return nearest, np.abs(nearest - at)

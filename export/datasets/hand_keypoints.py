"""Hand landmarks and fingertip tracks (Kazuhito Takahashi, Apache-2.0). Two Readers: this module and `TRACK`.

Read are `keypoint.npz` and `point_history.npz` (`x` (n,42) or (n,32), `label` (n,)), else the publisher's own
`keypoint.csv` and `point_history.csv` (label, then the numbers). What the numbers are, by its app:

- a hand sign: the 21 landmarks of MediaPipe Hands in pixels of the mirrored picture, less the wrist, over the
  largest absolute number of them, so that all lie in -1..1;
- a track: the tip of the index finger in the last 16 frames, less the first of them, over the picture's width
  and height.

Each class is one run of frames of one person, so there is no split by person, and a split by frame leaks
(a model that has seen the frame before knows the answer). Here 20 blocks along each run, with a gap between.
The camera's rate is not published; 30 Hz is nominal.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.datasets.common import (
    DatasetInfo,
    DatasetMissingError,
    Float32,
    Fold,
    Int64,
    Samples,
    dataset_path,
)
from export.datasets.views import View, block_fold, block_groups, contiguous_folds

RATE_HZ = 30.0
STEPS = 16
FINGERS = ("thumb", "index_finger", "middle_finger", "ring_finger", "pinky")
THUMB_JOINTS = ("cmc", "mcp", "ip", "tip")
FINGER_JOINTS = ("mcp", "pip", "dip", "tip")
LANDMARKS = (
    "wrist",
    *(f"{f}_{j}" for f in FINGERS for j in (THUMB_JOINTS if f == "thumb" else FINGER_JOINTS)),
)
"""In the order of MediaPipe Hands."""
LICENCE = "Apache-2.0"
CREDIT = "Kazuhito Takahashi, hand-gesture-recognition-using-mediapipe"
SPLIT = "20 blocks along each class; test the last quarter, a gap of neighbours left out"
REFERENCE = "97 to 99 % on splits by frame, which leak"

INFO = DatasetInfo(
    name="hand_keypoints",
    modality="pose",
    task="gesture_classification",
    rate_hz=RATE_HZ,
    window_s=1 / RATE_HZ,
    channels=tuple(f"{landmark}_{axis}" for landmark in LANDMARKS for axis in "xy"),
    units=("hand",) * 42,
    labels=("open", "close", "pointer"),
    licence=LICENCE,
    credit=CREDIT,
    split=SPLIT,
    reference=REFERENCE,
)
TRACK_INFO = DatasetInfo(
    name="hand_keypoints_track",
    modality="pose",
    task="gesture_classification",
    rate_hz=RATE_HZ,
    window_s=STEPS / RATE_HZ,
    channels=("index_finger_tip_x", "index_finger_tip_y"),
    units=("picture width", "picture height"),
    labels=("stop", "clockwise", "counter_clockwise", "move"),
    licence=LICENCE,
    credit=CREDIT,
    split=SPLIT,
    reference=REFERENCE,
)

BLOCKS = 20
TEST_BLOCKS = range(15, 20)
"""The last 25 %."""
VALIDATION_BLOCKS = range(13, 15)
"""The 10 % before."""
SIGN_GAP = 30
"""After so many frames two hands of a run differ about as much as any two of it (measured)."""
TRACK_GAP = 2 * STEPS
"""Tracks of neighbouring frames share points; twice the length, for they are slow as well."""


def load(root: Path | None = None) -> Samples:
    """Hand signs: x (N,1,42). Raises DatasetMissingError, and ValueError for another format."""
    return _load(root, INFO, "keypoint")


def folds(samples: Samples) -> list[Fold]:
    """Five folds: a fifth of each class in one piece."""
    return contiguous_folds(samples, BLOCKS, gap=SIGN_GAP)


def shipped(samples: Samples) -> Fold:
    """Test the last 25 % of each class, validation the 10 % before."""
    return block_fold(samples, "shipped", TEST_BLOCKS, VALIDATION_BLOCKS, SIGN_GAP)


def load_track(root: Path | None = None) -> Samples:
    """Fingertip tracks: x (N,16,2). Raises as `load`."""
    return _load(root, TRACK_INFO, "point_history")


def _track_shipped(samples: Samples) -> Fold:
    return block_fold(samples, "shipped", TEST_BLOCKS, VALIDATION_BLOCKS, TRACK_GAP)


TRACK = View(
    TRACK_INFO,
    load_track,
    lambda samples: contiguous_folds(samples, BLOCKS, gap=TRACK_GAP),
    _track_shipped,
)
"""The Reader of the fingertip tracks."""


def _load(root: Path | None, info: DatasetInfo, stem: str) -> Samples:
    folder = dataset_path(INFO.name, root)
    x, label = _read(folder, stem)
    steps, channels = round(info.window_s * info.rate_hz), len(info.channels)
    if x.ndim != 2 or x.shape[1] != steps * channels:
        raise ValueError(f"{stem}: rows of {steps * channels} numbers are expected, not an array {x.shape}")
    if label.min() < 0 or label.max() >= len(info.labels):
        raise ValueError(f"{stem}: labels 0 to {len(info.labels) - 1} are expected, {label.max()} was found")
    order = np.argsort(label, kind="stable")  # the publisher appends; here each class is one run
    x, label = x[order], label[order]
    run = np.array(info.labels)[label]
    return Samples(x.reshape(-1, steps, channels), label, block_groups(run, BLOCKS), run)


def _read(folder: Path, stem: str) -> tuple[Float32, Int64]:
    """(n,numbers), (n,) from the first of the two formats that is there."""
    if (path := folder / f"{stem}.npz").exists():
        return _read_npz(path)
    if (path := folder / f"{stem}.csv").exists():
        return _read_csv(path)
    raise DatasetMissingError(folder / f"{stem}.npz")


def _read_npz(path: Path) -> tuple[Float32, Int64]:
    with np.load(path, allow_pickle=False) as data:
        return data["x"].astype(np.float32), data["label"].astype(np.int64)


def _read_csv(path: Path) -> tuple[Float32, Int64]:
    table = np.loadtxt(path, delimiter=",", ndmin=2)
    return table[:, 1:].astype(np.float32), table[:, 0].astype(np.int64)

"""Where on its screen a phone is looked at (EyeMU, FIGLAB, GPL-2.0), from 26 numbers per frame.

Read are `data.npz` (`features` (n,26), `xy` (n,2), `participant` (n,), `session` (n,)), else the publisher's
`p1` to `p10`, each with one `gazel_checkpoint*.json`: a list of five rounds, each a string that holds
`[features, xy]`. A round is 280 frames in the order of time, about 10 a second, while a dot walks the screen.

What the numbers are, by the publisher's code: 8 and 4 activations and the 2 outputs of a network on both eye
images that was trained on GazeCapture, then x,y of four eye corners, then four numbers of the face's pose.
GazeCapture is for research only, so what is trained on these features is class C, whatever the files say.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from export.datasets.common import (
    DatasetInfo,
    DatasetMissingError,
    Float32,
    Fold,
    Samples,
    dataset_path,
    group_folds,
    held_out,
)

FEATURES = 26
INFO = DatasetInfo(
    name="gaze_phone",
    modality="gaze",
    task="gaze_estimation",
    rate_hz=10.0,
    window_s=0.1,
    channels=(
        *(f"eye_{i:02d}" for i in range(12)),
        "base_x",
        "base_y",
        *(f"corner_{i}_{axis}" for i in range(4) for axis in "xy"),
        *(f"face_{i}" for i in range(4)),
    ),
    units=("",) * FEATURES,
    labels=(),
    licence="GPL-2.0; 14 features from a network trained on GazeCapture, for research only",
    credit="Kong, Ahuja, Goel, Harrison 2021, EyeMU interactions (FIGLAB)",
    split="leave one participant out",
    licence_class="C",
    outputs=("x_screen", "y_screen"),
    reference="mean error of the study 1.7 cm, after each person's own calibration",
)
SCREEN_CM = (6.3, 13.3)
"""Width and height of the screen by which the publisher's code turns screens into centimetres."""
SHIPPED_TEST = ("p08", "p10")
SHIPPED_VALIDATION = ("p07",)


def load(root: Path | None = None) -> Samples:
    """x (N,1,26), target (N,2) in screens: 0,0 upper left. Raises DatasetMissingError, ValueError."""
    folder = dataset_path(INFO.name, root)
    rounds = _read_npz(folder) if (folder / "data.npz").exists() else _read_json(folder)
    if not rounds:
        raise DatasetMissingError(folder / "data.npz")
    x, y, group, recording = [], [], [], []
    for (participant, number), (features, xy) in sorted(rounds.items()):
        if features.ndim != 2 or features.shape[1] != FEATURES or xy.shape != (len(features), 2):
            raise ValueError(
                f"p{participant}, round {number}: {FEATURES} features and 2 targets a frame expected"
            )
        x.append(features)
        y.append(xy)
        group += [f"p{participant:02d}"] * len(features)
        recording += [f"p{participant:02d}_{number}"] * len(features)
    return Samples(np.concatenate(x)[:, None], np.concatenate(y), np.array(group), np.array(recording))


def folds(samples: Samples) -> list[Fold]:
    """One fold for each participant."""
    return group_folds(samples.group, len(np.unique(samples.group)))


def shipped(samples: Samples) -> Fold:
    """Two people for the test, one for calibration."""
    return held_out(samples.group, SHIPPED_VALIDATION, SHIPPED_TEST)


Rounds = dict[tuple[int, int], tuple[Float32, Float32]]
"""(participant, round) -> features (n,26), xy (n,2)."""


def _read_npz(folder: Path) -> Rounds:
    with np.load(folder / "data.npz", allow_pickle=False) as data:
        features, xy = data["features"].astype(np.float32), data["xy"].astype(np.float32)
        keys = np.stack([data["participant"], data["session"]], axis=1).astype(np.int64)
    rows = {(int(p), int(s)): (keys == (p, s)).all(1) for p, s in np.unique(keys, axis=0)}
    return {key: (features[where], xy[where]) for key, where in rows.items()}


def _read_json(folder: Path) -> Rounds:
    rounds: Rounds = {}
    for path in sorted(folder.glob("p*/gazel_checkpoint*.json")):
        participant = int(path.parent.name[1:])
        for number, text in enumerate(json.loads(path.read_text(encoding="utf-8"))):
            features, xy = json.loads(text)
            rounds[participant, number] = (np.asarray(features, np.float32), np.asarray(xy, np.float32))
    return rounds

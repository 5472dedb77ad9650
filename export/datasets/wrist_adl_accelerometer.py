"""Fourteen everyday activities at the wrist: UCI "Dataset for ADL Recognition with Wrist-worn Accelerometer".

Bruno, Mastrogiovanni, Sgorbissa, Vernazza, Zaccaria 2012 (CC BY 4.0). 3-axis at 32 Hz, 6 bit for +-1.5 g.

`data.npz` holds all trials end to end: `x` (n,3) 0..63, `recording` (n,) an index into `recordings`, whose
names are `<Class>/Accelerometer-<date>-<class>-<volunteer>.txt`. The original download, the folder
`HMP_Dataset`, holds these very files, three numbers a line; put its content where `data.npz` would be. Its
folders `*_MODEL` are copies of some of the trials and are not read.

Folds cut by trial, so the same volunteer is on both sides; `leave_volunteer_out` is the hard question.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_agent.sensors.units import STANDARD_GRAVITY
from export.datasets.common import (
    DatasetInfo,
    DatasetMissingError,
    Float32,
    Fold,
    Samples,
    Strings,
    dataset_path,
    group_folds,
)

INFO = DatasetInfo(
    name="wrist_adl_accelerometer",
    modality="imu",
    task="activity_recognition",
    rate_hz=32.0,
    window_s=4.0,
    channels=("acc_x", "acc_y", "acc_z"),
    units=("m/s2", "m/s2", "m/s2"),
    labels=(
        "brushing_teeth", "climbing_stairs", "combing_hair", "descending_stairs", "drinking", "eating_meat",
        "eating_soup", "getting_up", "lying_down", "pouring_water", "sitting_down", "standing_up",
        "telephoning", "walking",
    ),
    licence="CC BY 4.0",
    credit="Bruno, Mastrogiovanni, Sgorbissa, Vernazza, Zaccaria 2012, UCI HMP wrist accelerometer",
    split="5 folds by trial (volunteers are on both sides); beside it, one volunteer left out",
    reference="80 to 90 % accuracy by trial",
)  # fmt: skip
FOLDERS: tuple[str, ...] = (
    "Brush_teeth", "Climb_stairs", "Comb_hair", "Descend_stairs", "Drink_glass", "Eat_meat", "Eat_soup",
    "Getup_bed", "Liedown_bed", "Pour_water", "Sitdown_chair", "Standup_chair", "Use_telephone", "Walk",
)  # fmt: skip
"""The classes as the set names them, in the order of INFO.labels."""
WINDOW = round(INFO.rate_hz * INFO.window_s)
HOP = round(INFO.rate_hz)
HIGHEST_CODE, RANGE_G = 63, 1.5
"""0 is -1.5 g and 63 is +1.5 g."""


def load(root: Path | None = None) -> Samples:
    """Windows (N,128,3) of 4 s every second, m/s2; group and recording are the trial.

    A trial shorter than a window (the shortest has 125 samples) is one window that holds its last sample.
    Raises DatasetMissingError without the recordings, ValueError for codes outside 0..63 or an unknown class.
    """
    x, target, trial = [], [], []
    for name, codes in _trials(dataset_path(INFO.name, root)):
        pieces = _windows(_acceleration(name, codes))
        x.append(pieces)
        target += [_label(name)] * len(pieces)
        trial += [name] * len(pieces)
    names = np.array(trial)
    return Samples(np.concatenate(x), np.array(target, np.int64), names, names)


def folds(samples: Samples) -> list[Fold]:
    """Five folds by trial. The sorted trials in turn: a class lies together, so each fold has its share."""
    return group_folds(samples.group)


def leave_volunteer_out(samples: Samples) -> list[Fold]:
    """One fold for each volunteer. f1 gave half of the trials, and some classes alone."""
    person = volunteers(samples.group)
    nothing = np.zeros(0, np.int64)
    return [
        Fold(f"without {who}", np.flatnonzero(person != who), np.flatnonzero(person == who), nothing)
        for who in sorted(set(person.tolist()))
    ]


def volunteers(trials: Strings) -> Strings:
    """Names of trials (N,) -> volunteers (N,), such as "f1": sex and a number."""
    return np.array([name.rsplit("-", 1)[-1].removesuffix(".txt") for name in trials.tolist()])


def shipped(samples: Samples) -> Fold:
    """Fold 2 is the test, fold 3 the validation: of the five, 2, 3 and 4 hold one of the three soups each."""
    _, _, test, validation, _ = folds(samples)
    return Fold("shipped", np.setdiff1d(test.train, validation.test), test.test, validation.test)


def _trials(folder: Path) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """Names and codes (n,3), sorted by name."""
    if (folder / "data.npz").is_file():
        with np.load(folder / "data.npz", allow_pickle=False) as data:
            codes, recording, names = (
                data["x"].astype(np.int64),
                data["recording"],
                data["recordings"].tolist(),
            )
        for name, i in sorted(zip(names, range(len(names)), strict=True)):
            yield name, codes[recording == i]
        return
    files = sorted(p for p in folder.glob("*/Accelerometer-*.txt") if not p.parent.name.endswith("_MODEL"))
    if not files:
        raise DatasetMissingError(folder / "data.npz")
    for path in files:
        yield f"{path.parent.name}/{path.name}", np.loadtxt(path, np.int64, ndmin=2)


def _acceleration(name: str, codes: npt.NDArray[np.int64]) -> Float32:
    """Codes (n,3) -> m/s2 (n,3)."""
    if codes.ndim != 2 or codes.shape[1] != 3 or codes.min() < 0 or codes.max() > HIGHEST_CODE:
        raise ValueError(f"{name}: expected lines of three numbers from 0 to {HIGHEST_CODE}")
    return ((codes * (2 * RANGE_G / HIGHEST_CODE) - RANGE_G) * STANDARD_GRAVITY).astype(np.float32)


def _windows(x: Float32) -> Float32:
    """(n,3) -> (N,128,3), N at least 1."""
    if len(x) < WINDOW:
        x = np.pad(x, ((0, WINDOW - len(x)), (0, 0)), mode="edge")
    return np.stack([x[start : start + WINDOW] for start in range(0, len(x) - WINDOW + 1, HOP)])


def _label(name: str) -> int:
    folder = name.partition("/")[0]
    if folder not in FOLDERS:
        raise ValueError(f"{name} is of no known class; known: {', '.join(FOLDERS)}")
    return FOLDERS.index(folder)

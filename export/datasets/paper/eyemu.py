"""EyeMU: gestures with a phone that somebody looks at. Readers: this module and, for where they look, `GAZE`.

Where the format is described: github.com/FIGLAB/EyeMU, `flask2/static/evalbackend.js` and `accel.js`, which
record; `flask2/data/GAZEL User Studies Data Wrangling [Karan].ipynb` and `Gestures.ipynb`, which read. Put
each person's file in a folder of their own: `eyemu/<person>/*.webarchive`. A web archive of Safari is a
property list; its main page holds, once its tags are taken off, a JSON object of `grid1_results`,
`grid2_results`, `list1_results` and `list2_results`, each again JSON in a string: blocks of trials

    [time in ms, [detected gesture, gaze], [gesture 0-8, target from 1], histories]

with the histories of head size, 26 eye features, gaze, motion, detections and (in later files) whether a
face is seen; motion is linear acceleration (m/s2), angular rate (deg/s) and orientation (deg), x,y,z each.
Motion comes 60 times a second and the rest 10 times, both without times. The earlier trials of four
histories are another format and refused.

Not established: which events the browser lost (the three motions of a trial may differ in length: all end
with the tap that ends the trial, so the ends are laid together), and whether turning counts about the axes
in the order of the names. The gaze calibration of the same study is `gaze_phone`.
"""

from __future__ import annotations

import json
import math
import plistlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

import numpy as np

from export.datasets import gaze_phone
from export.datasets.common import DatasetInfo, DatasetMissingError, Float32, Samples, dataset_path
from export.datasets.paper.splits import every_fifth
from export.datasets.paper.splits import one_out as folds
from export.datasets.views import View

__all__ = ["GAZE", "INFO", "folds", "load", "shipped"]
shipped = every_fifth

FEATURES = gaze_phone.FEATURES
AXES = "xyz"
INFO = DatasetInfo(
    name="eyemu",
    modality="imu",
    task="gesture_classification",
    rate_hz=60.0,
    window_s=1.5,
    channels=(
        *(f"linear_acc_{axis}" for axis in AXES),
        *(f"gyro_{axis}" for axis in AXES),
        *(f"turned_{angle}" for angle in ("alpha", "beta", "gamma")),
    ),
    units=("m/s2",) * 3 + ("rad/s",) * 3 + ("rad",) * 3,
    labels=(
        "forward_flick", "right_flick", "right_tilt", "left_flick", "left_tilt", "pull_close", "push_away",
        "turn_to_right", "turn_to_left",
    ),
    licence="GPL-2.0; the eye features come from a network trained on GazeCapture, for research only",
    credit="Kong, Ahuja, Goel, Harrison 2021, EyeMU interactions (FIGLAB)",
    split="leave one person out",
    licence_class="C",
    reference="the study: 0.97, people left out, seven gestures without the tilts",
)  # fmt: skip
GAZE_INFO = replace(
    INFO,
    name="eyemu_gaze",
    modality="gaze",
    task="gaze_estimation",
    rate_hz=10.0,
    window_s=0.5,
    channels=gaze_phone.INFO.channels,
    units=gaze_phone.INFO.units,
    labels=(),
    outputs=("x_screen", "y_screen"),
    reference="the study: 2.0 cm with windows of 0.5 s, people left out",
)
WINDOW = round(INFO.window_s * INFO.rate_hz)
GAZE_WINDOW = round(GAZE_INFO.window_s * GAZE_INFO.rate_hz)
GAZE_PHASE = round(1.2 * INFO.rate_hz)
"""The study cuts off the first 1.2 s of a trial: a look at the target, before the gesture."""
REACTION = 5
"""Eye features before the eye has found the target, as the study cuts them off."""
GRID_ROWS, LIST_ROWS = 4, 6
_SETS = ("grid1_results", "grid2_results", "list1_results", "list2_results")


@dataclass(frozen=True)
class Trial:
    """motion (n,9) in the units of INFO, eyes (m,26) before any gesture, target x,y in screens."""

    person: str
    name: str
    gesture: int
    target: tuple[float, float]
    motion: Float32
    eyes: Float32


def trials(root: Path | None = None) -> Iterator[Trial]:
    """All trials, by person. Raises DatasetMissingError, and ValueError for another format."""
    folder = dataset_path(INFO.name, root)
    paths = sorted(folder.glob("*/*.webarchive"))
    if not paths:
        raise DatasetMissingError(folder / "<person>" / "*.webarchive")
    for path in paths:
        try:
            yield from _trials(path)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            expected = f"a web archive of {', '.join(_SETS)} was expected"
            raise ValueError(f"{path.parent.name}/{path.name}: {expected} ({error})") from error


def load(root: Path | None = None) -> Samples:
    """x (N,90,9): of each trial the 1.5 s with the most linear acceleration, after the look at the target.

    Orientation is told from the start of the window. Trials that are too short, or in which a
    number is missing, are left out. Raises as
    `trials`.
    """
    x, label, person, name = [], [], [], []
    for trial in trials(root):
        motion = trial.motion[GAZE_PHASE:]
        if len(motion) >= WINDOW and np.isfinite(motion).all():
            x.append(_most_moved(motion))
            label.append(trial.gesture)
            person.append(trial.person)
            name.append(trial.name)
    windows = np.stack(x) if x else np.zeros((0, WINDOW, len(INFO.channels)), np.float32)
    return Samples(windows, np.array(label, np.int64), np.array(person, np.str_), np.array(name, np.str_))


def load_gaze(root: Path | None = None) -> Samples:
    """x (N,5,26), one after the other until the gesture begins; target (N,2) in screens, 0,0 upper left."""
    x, target, person, name = [], [], [], []
    for trial in trials(root):
        for start in range(0, len(trial.eyes) - GAZE_WINDOW + 1, GAZE_WINDOW):
            window = trial.eyes[start : start + GAZE_WINDOW]
            if np.isfinite(window).all():
                x.append(window)
                target.append(trial.target)
                person.append(trial.person)
                name.append(trial.name)
    windows = np.stack(x) if x else np.zeros((0, GAZE_WINDOW, FEATURES), np.float32)
    numbers = np.array(target, np.float32).reshape(-1, 2)
    return Samples(windows, numbers, np.array(person, np.str_), np.array(name, np.str_))


GAZE = View(GAZE_INFO, load_gaze, folds, every_fifth)
"""The Reader of eye features to the target on the screen."""


def _most_moved(motion: Float32) -> Float32:
    energy = np.concatenate([[0], np.cumsum((motion[:, :3].astype(np.float64) ** 2).sum(1))])
    start = int((energy[WINDOW:] - energy[:-WINDOW]).argmax())
    window = motion[start : start + WINDOW].copy()
    turned = window[:, 6:] - window[0, 6:]
    window[:, 6:] = (turned + np.float32(math.pi)) % np.float32(2 * math.pi) - np.float32(math.pi)
    return window


def _trials(path: Path) -> Iterator[Trial]:
    try:
        page = plistlib.loads(path.read_bytes())["WebMainResource"]["WebResourceData"]
    except (plistlib.InvalidFileException, ExpatError) as error:
        raise ValueError(f"it is no property list: {error}") from error
    results = json.loads(re.sub(r"<.*?>", "", page.decode("utf-8")))
    person = path.parent.name
    for kind in sorted(results):
        if kind not in _SETS:
            raise ValueError(f"it holds {kind}")
        for b, block in enumerate(json.loads(results[kind])):
            for t, (_, _, (gesture, place), histories) in enumerate(block):
                if not 0 <= gesture < len(INFO.labels):
                    raise ValueError(f"gesture {gesture}")
                name = f"{person}/{kind}/{b}/{t}"
                yield Trial(person, name, gesture, _target(kind, place), *_histories(histories))


def _target(kind: str, place: int) -> tuple[float, float]:
    """The middle of the target: the grid is two columns of four, counted downwards, the list six rows."""
    if kind.startswith("grid"):
        column, row = divmod(place - 1, GRID_ROWS)
        found = ((1 + column) / 3, (row + 0.5) / GRID_ROWS)
    else:
        found = (0.5, (place - 0.5) / LIST_ROWS)
    if not (0 < found[0] < 1 and 0 < found[1] < 1):
        raise ValueError(f"target {place} of {kind}")
    return found


def _histories(histories: list[Any]) -> tuple[Float32, Float32]:
    """Motion (n,9) and the eye features (m,26) from the reaction to the first gesture."""
    if len(histories) not in (5, 6):
        raise ValueError(f"a trial has {len(histories)} histories, 5 or 6 were expected")
    _, eyes, _, motion, detected = histories[:5]
    n = min((len(axis) for kind in motion for axis in kind), default=0)
    columns = [np.array(axis[len(axis) - n :], np.float32) for kind in motion for axis in kind]
    if len(columns) != len(INFO.channels):
        raise ValueError(f"motion of {len(columns)} axes, {len(INFO.channels)} were expected")
    moved = np.stack(columns, axis=1)
    moved[:, 3:] *= np.float32(math.pi / 180)
    first = next((i for i, signs in enumerate(detected) if any(signs)), len(eyes))
    seen = np.array(eyes, np.float32).reshape(-1, FEATURES)[REACTION:first]
    return moved, seen

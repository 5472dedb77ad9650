"""SAMoSA: 26 activities by a watch's motion and sound. Readers: this module (motion) and `AUDIO`.

Where the format is described: github.com/cmusmashlab/SAMoSA, `Data/README.md`, `Code/0. Dataset
Intro.ipynb` and `Code/3. Evaluate`. Put the download's folder here as `samosa/TrainingDataset`, files named
`<person>---<context>---<activity>---<trial>.pkl`: a pickled dict of `Audio` (n,) whole numbers at 16 kHz
and `IMU` (m,9) at about 50 Hz, acceleration, angular rate and rotation vector, x,y,z each. There is no
other format than pickles, which can run any program when they are opened: they are read by `plain_pickle`,
as data.

Speech is published at 1 kHz (`1kHz_Audio`, with zeros for `Audio`) in a context that is none of the four,
and is left out as whatever else is in such contexts. Not established: the units of the motion (taken as
those of Android: m/s2, rad/s, none), the rate beyond "about", and the full scale of the sound (taken as 16
bit, as the publisher's code converts it).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from export.datasets.common import DatasetInfo, DatasetMissingError, Samples, dataset_path
from export.datasets.paper import plain_pickle
from export.datasets.paper.pickle_arrays import Array
from export.datasets.paper.splits import every_fifth as shipped
from export.datasets.paper.splits import one_out as folds
from export.datasets.views import View

__all__ = ["AUDIO", "INFO", "folds", "load", "shipped"]

ACTIVITIES = {
    "Bathroom": (
        "Brushing_hair", "Hair_dryer_in_use", "Shaver_in_use", "Toilet_flushing", "Toothbrushing",
        "Washing_hands",
    ),
    "Kitchen": (
        "Blender_in_use", "Chopping", "Grating", "Microwave", "Pouring_pitcher", "Twisting_jar",
        "Washing_Utensils", "Wiping_with_rag",
    ),
    "Misc": (
        "Alarm_clock", "Clapping", "Coughing", "Drinking", "Knocking", "Laughing", "Scratching",
    ),
    "Workshop": ("Drill in use", "Hammering", "Sanding", "Screwing", "Vacuum in use"),
}  # fmt: skip
"""By context, in the publisher's words."""
_NAMES = tuple(name for names in ACTIVITIES.values() for name in names)
INFO = DatasetInfo(
    name="samosa",
    modality="imu",
    task="activity_recognition",
    rate_hz=50.0,
    window_s=2.0,
    channels=tuple(f"{kind}_{axis}" for kind in ("acc", "gyro", "rotation_vector") for axis in "xyz"),
    units=("m/s2",) * 3 + ("rad/s",) * 3 + ("",) * 3,
    labels=tuple(name.lower().replace(" ", "_") for name in _NAMES),
    licence="Carnegie Mellon University: academic or non-profit non-commercial research use only",
    credit="Mollyn, Ahuja, Verma, Harrison, Goel 2022, SAMoSA (IMWUT)",
    split="leave one person out",
    licence_class="C",
)
AUDIO_INFO = replace(
    INFO, name="samosa_audio", modality="audio", rate_hz=16000.0, channels=("sound",), units=("full scale",)
)
WINDOW = round(INFO.rate_hz * INFO.window_s)
AUDIO_WINDOW = round(AUDIO_INFO.rate_hz * AUDIO_INFO.window_s)
HOP = WINDOW // 2
AUDIO_WINDOWS = 3
"""Of a recording, spread over it: all of them would not fit into memory."""
FULL_SCALE = 32768.0
FOLDER = "TrainingDataset"


@dataclass(frozen=True)
class Recording:
    """motion (m,9) in the units of INFO and sound (n,) whole numbers, both views of the file."""

    name: str
    person: str
    label: int
    motion: Array
    sound: Array


def recordings(root: Path | None = None) -> Iterator[Recording]:
    """All recordings of the 26 activities, by name. Raises DatasetMissingError, ValueError."""
    folder = dataset_path(INFO.name, root) / FOLDER
    paths = sorted(folder.glob("*.pkl"))
    if not paths:
        raise DatasetMissingError(folder / "*.pkl")
    for path in paths:
        matched = re.fullmatch(r"(\d+)---(\w+)---(.+)---(\d+)", path.stem)
        if matched is None:
            raise ValueError(f"{path.name} is not named <person>---<context>---<activity>---<trial>.pkl")
        person, context, activity, _ = matched.groups()
        if context not in ACTIVITIES:
            continue
        if activity not in ACTIVITIES[context]:
            raise ValueError(f"{path.name}: {activity} is no activity of {context}")
        held = plain_pickle.arrays(path, {"IMU": (len(INFO.channels),), "Audio": ()})
        yield Recording(path.stem, f"p{int(person):03d}", _NAMES.index(activity), held["IMU"], held["Audio"])


def load(root: Path | None = None) -> Samples:
    """x (N,100,9): windows of 2 s, every second. Raises as `recordings`."""
    x, label, person, name = [], [], [], []
    for recording in recordings(root):
        for start in range(0, len(recording.motion) - WINDOW + 1, HOP):
            window = recording.motion[start : start + WINDOW].astype(np.float32)
            if np.isfinite(window).all():
                x.append(window)
                label.append(recording.label)
                person.append(recording.person)
                name.append(recording.name)
    windows = np.stack(x) if x else np.zeros((0, WINDOW, len(INFO.channels)), np.float32)
    return Samples(windows, np.array(label, np.int64), np.array(person, np.str_), np.array(name, np.str_))


def load_audio(root: Path | None = None) -> Samples:
    """x (N,32000,1): three windows of 2 s of each recording, from its start to its end. Raises the same."""
    x, label, person, name = [], [], [], []
    for recording in recordings(root):
        last = len(recording.sound) - AUDIO_WINDOW
        if last < 0:
            continue
        for start in np.unique(np.linspace(0, last, AUDIO_WINDOWS).astype(int)).tolist():
            window = recording.sound[start : start + AUDIO_WINDOW].astype(np.float32)
            x.append(window[:, None] / np.float32(FULL_SCALE))
            label.append(recording.label)
            person.append(recording.person)
            name.append(recording.name)
    windows = np.stack(x) if x else np.zeros((0, AUDIO_WINDOW, 1), np.float32)
    return Samples(windows, np.array(label, np.int64), np.array(person, np.str_), np.array(name, np.str_))


AUDIO = View(AUDIO_INFO, load_audio, folds, shipped)
"""The Reader of sound."""

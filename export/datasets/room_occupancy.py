"""An office, occupied or empty, from temperature, humidity, light and CO2 each minute.

Candanedo, Feldheim 2016 (UCI "Occupancy Detection", CC BY 4.0). Our folder holds the content of the original
zip: `datatraining.txt`, `datatest.txt` (the days before, door mostly closed) and `datatest2.txt` (the days
after, door mostly open), lines `"<number>",<date>,Temperature,Humidity,Light,CO2,HumidityRatio,Occupancy`.
The humidity ratio follows from temperature and humidity and is not used.

Lamps go on with people, so light alone tells nearly everything; `WITHOUT_LIGHT` is a second Reader on the
same windows that has to tell it from the air. For it a window is ten minutes: CO2 rises slowly, and a random
forest on five was worse without light and no better with it.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from export.datasets.common import (
    DatasetInfo,
    DatasetMissingError,
    Fold,
    Samples,
    dataset_path,
    held_out,
)
from export.datasets.lines import window_ends, windows_at

INFO = DatasetInfo(
    name="room_occupancy",
    modality="environment",
    task="event_detection",
    rate_hz=1 / 60,
    window_s=600.0,
    channels=("temperature", "humidity", "illuminance", "co2"),
    units=("degC", "%", "lx", "ppm"),
    labels=("empty", "occupied"),
    licence="CC BY 4.0",
    credit="Candanedo, Feldheim 2016, UCI Occupancy Detection",
    split="the three official files: training, test 1 (earlier days), test 2 (later days)",
    reference="95 to 99 % accuracy with light on the official files",
)
FILES: dict[str, str] = {"train": "datatraining.txt", "test1": "datatest.txt", "test2": "datatest2.txt"}
_COLUMNS = ("Temperature", "Humidity", "Light", "CO2")
WINDOW = round(INFO.rate_hz * INFO.window_s)
MAX_STEP_S = 90.0
"""Lines farther apart than this are not neighbours; the files step by 59 to 61 s."""
_VALIDATION_DAY = "train 2015-02-09"
"""A working day of the training file: the last one that is whole."""


def load(root: Path | None = None) -> Samples:
    """Windows (N,10,4) of ten minutes, one ends at each minute; the label is that of the last minute.

    group and recording are the file and the day of the window's end, such as "train 2015-02-05": 4 February
    is in two files, hours apart. Raises DatasetMissingError without the recordings.
    """
    folder = dataset_path(INFO.name, root)
    return _joined([_read(folder / name, part) for part, name in FILES.items()])


def folds(samples: Samples) -> list[Fold]:
    """Trained on the training file; test 1, test 2, and both."""
    part = np.array([group.partition(" ")[0] for group in samples.group.tolist()], np.str_)
    nothing = np.zeros(0, np.int64)
    train = np.flatnonzero(part == "train")
    tests = {"test1": part == "test1", "test2": part == "test2", "test1 and test2": part != "train"}
    return [Fold(name, train, np.flatnonzero(where), nothing) for name, where in tests.items()]


def shipped(samples: Samples) -> Fold:
    """Both official tests; a working day of the training file is the validation."""
    tests = sorted({group for group in samples.group.tolist() if not group.startswith("train ")})
    return held_out(samples.group, [_VALIDATION_DAY], tests)


class WithoutLight:
    """The same windows and splits without the illuminance: x (N,10,3)."""

    INFO = replace(
        INFO, channels=("temperature", "humidity", "co2"), units=("degC", "%", "ppm"), reference=""
    )

    def load(self, root: Path | None = None) -> Samples:
        samples = load(root)
        return replace(samples, x=samples.x[..., [INFO.channels.index(c) for c in self.INFO.channels]])

    def folds(self, samples: Samples) -> list[Fold]:
        return folds(samples)

    def shipped(self, samples: Samples) -> Fold:
        return shipped(samples)


WITHOUT_LIGHT = WithoutLight()


def _read(path: Path, part: str) -> Samples:
    if not path.is_file():
        raise DatasetMissingError(path)
    with path.open(newline="") as file:
        header = next(csv.reader(file))
        rows = list(csv.reader(file))
    if tuple(header[1:5]) != _COLUMNS or header[-1] != "Occupancy":
        raise ValueError(f"{path.name} begins with {header}, not with date, {', '.join(_COLUMNS)}")
    # The first column of a line, its number, has no name of its own: columns are counted from there.
    times_s = np.array([row[1].replace(" ", "T") for row in rows], "datetime64[s]").astype(np.int64)
    values = np.array([row[2:6] for row in rows], np.float32)
    ends = window_ends(times_s, WINDOW, MAX_STEP_S)
    group = np.array([f"{part} {rows[end][1][:10]}" for end in ends.tolist()], np.str_)
    occupied = np.array([int(rows[end][-1]) for end in ends.tolist()], np.int64)
    return Samples(windows_at(values, ends, WINDOW), occupied, group, group)


def _joined(parts: list[Samples]) -> Samples:
    return Samples(
        np.concatenate([p.x for p in parts]),
        np.concatenate([p.target for p in parts]),
        np.concatenate([p.group for p in parts]),
        np.concatenate([p.recording for p in parts]),
    )

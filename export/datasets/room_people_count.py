"""How many people are in a room, 0 to 3, from 16 sensors on seven nodes every half minute.

Singh, Jain, Chaudhari, Kraemer, Werner, Garg 2018 (UCI "Room Occupancy Estimation", CC BY 4.0). Our
`data.csv` is the original `Occupancy_Estimation.csv`, which is read under that name too: Date, Time,
S1_Temp .. S4_Temp, S1_Light .. S4_Light, S1_Sound .. S4_Sound, S5_CO2, S5_CO2_Slope, S6_PIR, S7_PIR,
Room_Occupancy_Count. Nodes 1 to 4 stand at the desks, sound is the voltage of a microphone amplifier, a PIR
says 0 or 1. The slope is the publisher's, of the CO2 over the last minutes.

81 % of the lines have nobody, and the test days never have exactly one person: judge by macro-F1 over the
classes that a test holds. The people of 10 January sit under other light and air than those before
Christmas, and there a random forest hardly tells three from two.
"""

from __future__ import annotations

import csv
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
    name="room_people_count",
    modality="environment",
    task="event_detection",
    rate_hz=1 / 30,
    window_s=120.0,
    channels=(
        "temperature_1", "temperature_2", "temperature_3", "temperature_4",
        "illuminance_1", "illuminance_2", "illuminance_3", "illuminance_4",
        "sound_1", "sound_2", "sound_3", "sound_4",
        "co2", "co2_slope", "motion_1", "motion_2",
    ),
    units=("degC",) * 4 + ("lx",) * 4 + ("V",) * 4 + ("ppm", "ppm", "1", "1"),
    labels=("nobody", "one_person", "two_people", "three_people"),
    licence="CC BY 4.0",
    credit="Singh, Jain, Chaudhari, Kraemer, Werner, Garg 2018, UCI Room Occupancy Estimation",
    split="by date: 22 to 25 December train, the days after are the test (macro-F1)",
    reference="majority accuracy 0.907 on the test days; published 0.98 to 0.99 on random folds",
)  # fmt: skip
FILES: tuple[str, ...] = ("data.csv", "Occupancy_Estimation.csv")
_HEADER = (
    "Date,Time,S1_Temp,S2_Temp,S3_Temp,S4_Temp,S1_Light,S2_Light,S3_Light,S4_Light,S1_Sound,S2_Sound,"
    "S3_Sound,S4_Sound,S5_CO2,S5_CO2_Slope,S6_PIR,S7_PIR,Room_Occupancy_Count"
)
WINDOW = round(INFO.rate_hz * INFO.window_s)
MAX_STEP_S = 65.0
"""One lost line is bridged; the files step by 30 or 31 s."""
TRAIN_DAYS: tuple[str, ...] = ("2017/12/22", "2017/12/23", "2017/12/24", "2017/12/25")
_VALIDATION_DAY = "2017/12/23"


def load(root: Path | None = None) -> Samples:
    """Windows (N,4,16) of two minutes, one ends at each line and has its label; group and recording: the day.

    Raises DatasetMissingError without the recordings, ValueError for a file with other columns.
    """
    folder = dataset_path(INFO.name, root)
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None:
        raise DatasetMissingError(folder / FILES[0])
    with path.open(newline="") as file:
        header, *rows = list(csv.reader(file))
    if ",".join(header) != _HEADER:
        raise ValueError(f"{path.name} has the columns {header}, not {_HEADER}")
    times = np.array([f"{row[0].replace('/', '-')}T{row[1]}" for row in rows], "datetime64[s]")
    ends = window_ends(times.astype(np.int64), WINDOW, MAX_STEP_S)
    values = np.array([row[2:-1] for row in rows], np.float32)
    count = np.array([row[-1] for row in rows], np.int64)
    day = np.array([row[0] for row in rows])[ends]
    return Samples(windows_at(values, ends, WINDOW), count[ends], day, day)


def folds(samples: Samples) -> list[Fold]:
    """The split by date."""
    train = np.isin(samples.group, TRAIN_DAYS)
    return [Fold("by date", np.flatnonzero(train), np.flatnonzero(~train), np.zeros(0, np.int64))]


def shipped(samples: Samples) -> Fold:
    """The same test; 23 December, the other training day with people, is the validation."""
    later = sorted(set(samples.group.tolist()) - set(TRAIN_DAYS))
    return held_out(samples.group, [_VALIDATION_DAY], later)

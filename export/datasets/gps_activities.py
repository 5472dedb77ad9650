"""On foot or driving, from a minute of positions (Eftelioglu et al. 2022, CC BY 4.0).

The original download is `trajectories.zip`, which is also what our folder holds: 805 files
`data_anon/trajectory_NNNN.csv` of six minutes (`timestamp,x,y,groundtruth`), x and y in metres from a point
that nobody knows, about one position every 5 s. The unpacked folder `data_anon` works as well.

The label of a window is that of its LAST point, since that is the instant a live device is asked about. Half
a minute later more would be known: with the label of the middle point a random forest gains four points of
macro-F1, and every answer would come 30 s late. "On foot" includes standing and the time in a parked vehicle.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge_agent.clock import NS_PER_S
from edge_agent.resampling import resample_to_grid
from export.datasets.common import (
    DatasetInfo,
    DatasetMissingError,
    Float32,
    Fold,
    Int64,
    Samples,
    dataset_path,
    group_folds,
)

INFO = DatasetInfo(
    name="gps_activities",
    modality="gps",
    task="activity_recognition",
    rate_hz=0.2,
    window_s=65.0,
    channels=("east_m", "north_m"),
    units=("m", "m"),
    labels=("on_foot", "driving"),
    licence="CC BY 4.0",
    credit="Eftelioglu, Wolff, Nimmagadda, Kumar, Chowdhury 2022, GPS-ordered Activity Labels",
    split="by trajectory: id modulo 5; 0 is the test of the shipped model, 4 its validation",
    reference="accuracy of a 13-point window 0.87, majority 0.55",
)
WINDOW = round(INFO.rate_hz * INFO.window_s)
HOP_S = 5.0
MAX_GAP_S = 15.0
"""Two positions in a row may be missing (9 % of the steps are longer than 7.5 s); a window bridges that."""
MIN_COVERAGE = 0.8
_NAME = re.compile(r"trajectory_(\d{4})\.csv$")
_LABELS = {"OnFoot": 0, "Driving": 1}


def load(root: Path | None = None) -> Samples:
    """Windows (N,13,2): metres east and north of the window's last point, 5 s apart, every 5 s.

    group and recording are the trajectory. Windows that end in a gap, or have more than a fifth of their
    points in one, are left out. Raises DatasetMissingError without the recordings, ValueError for a file of
    another format.
    """
    x, target, name = [], [], []
    for trajectory, text in _files(dataset_path(INFO.name, root)):
        times_ns, metres, label = _parse(trajectory, text)
        first_ns = int(times_ns[0]) + (WINDOW - 1) * round(NS_PER_S / INFO.rate_hz)
        for end_ns in range(first_ns, int(times_ns[-1]) + 1, round(HOP_S * NS_PER_S)):
            grid = resample_to_grid(times_ns, metres, end_ns, INFO.rate_hz, WINDOW, MAX_GAP_S)
            distance_ns = np.abs(times_ns - end_ns)
            if grid.coverage < MIN_COVERAGE or distance_ns.min() > MAX_GAP_S / 2 * NS_PER_S:
                continue
            x.append(grid.values - grid.values[-1])
            target.append(label[distance_ns.argmin()])
            name.append(trajectory)
    names = np.array(name, np.str_)
    windows = np.stack(x) if x else np.zeros((0, WINDOW, 2), np.float32)
    return Samples(windows, np.array(target, np.int64), names, names)


def folds(samples: Samples) -> list[Fold]:
    """Five folds by trajectory: the ids are consecutive, so the sorted names in turn are id modulo 5."""
    return group_folds(samples.group)


def shipped(samples: Samples) -> Fold:
    """Test where the trajectory's id modulo 5 is 0, validation where it is 4."""
    part = np.array([int(name) % 5 for name in samples.group.tolist()], np.int64)
    return Fold(
        "shipped",
        np.flatnonzero((part > 0) & (part < 4)),
        np.flatnonzero(part == 0),
        np.flatnonzero(part == 4),
    )


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """Ids and texts of all trajectories, sorted."""
    if (folder / "trajectories.zip").is_file():
        with zipfile.ZipFile(folder / "trajectories.zip") as archive:
            for name in sorted(archive.namelist()):
                if matched := _NAME.search(name):
                    yield matched[1], archive.read(name).decode()
        return
    found = False
    for path in sorted(folder.glob("**/trajectory_*.csv")):
        if matched := _NAME.search(path.name):
            found = True
            yield matched[1], path.read_text()
    if not found:
        raise DatasetMissingError(folder / "trajectories.zip")


def _parse(trajectory: str, text: str) -> tuple[Int64, Float32, Int64]:
    """Times (n,) ns, positions (n,2) m and labels (n,) of one trajectory.

    The positions become relative to the first one while they are float64: metres from a far point would
    lose their centimetres in float32.
    """
    rows = list(csv.DictReader(io.StringIO(text)))
    try:
        times = np.array([row["timestamp"].replace(" ", "T") for row in rows], "datetime64[ns]")
        metres = np.array([(float(row["x"]), float(row["y"])) for row in rows])
        label = np.array([_LABELS[row["groundtruth"]] for row in rows], np.int64)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"trajectory {trajectory}: expected timestamp,x,y,groundtruth with OnFoot or Driving ({error})"
        ) from error
    if len(rows) == 0:
        raise ValueError(f"trajectory {trajectory} is empty")
    return times.astype(np.int64), (metres - metres[0]).astype(np.float32), label

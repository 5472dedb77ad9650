"""TouchPose: what a touchscreen's capacitance says of the hand above it. Readers: this module and `GESTURES`.

Where the format is described: github.com/eth-siplab/TouchPose, `src/evaluation.ipynb` and `src/helper.py`;
the size of the images, github.com/Multi-IoT/MultiIoT, `datasets/touchpose/get_data.py`. The download is
`*.pkl`, pickled tables of pandas with `cap_img` (41,72), negative values meaning nothing and 1400 the most,
`depth_img` (41,72), 0 to 255, `subject_id`, `session_id` and `gesture_id` (65 to 79).

A pickled table is not data but calls of pandas' own internals, which change from version to version, so it
cannot be read without running what the file says. Whoever trusts the publisher converts it once, with
pandas 1, into `touchpose/touchpose.npz`; that is what is read:

    t = pandas.concat(map(pandas.read_pickle, sorted(glob.glob("data/*.pkl"))), ignore_index=True)
    numpy.savez_compressed("touchpose.npz", cap=numpy.stack(t.cap_img).astype("int16"),
        depth=numpy.stack(t.depth_img).astype("uint8"), subject=t.subject_id.astype(str).to_numpy("U16"),
        session=t.session_id.astype(str).to_numpy("U16"), gesture=t.gesture_id.to_numpy("int64"))

Not established: what distance a level of depth is (so levels are given, as shares of 255), the names of the
gestures, the order and the rate of the records (20 a second is taken). The 3-D hand pose and the touch
labels of the publication are in no column that the publisher's code reads: no Reader gives them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export.datasets.common import DatasetInfo, Float32, Samples, Strings, dataset_path
from export.datasets.paper.splits import every_fifth as shipped
from export.datasets.paper.splits import one_out as folds
from export.datasets.views import View

__all__ = ["GESTURES", "INFO", "folds", "load", "shipped"]

ROWS, COLUMNS = 41, 72
DEPTH_ROWS, DEPTH_COLUMNS = 8, 12
FIRST_GESTURE, GESTURE_COUNT = 65, 15
EVERY = 4
"""Of the records one in so many: all of them, 65,374, would not fit into memory."""
INFO = DatasetInfo(
    name="touchpose",
    modality="capacitance",
    task="depth_estimation",
    rate_hz=20.0,
    window_s=0.05,
    channels=tuple(f"touch_{i:04}" for i in range(ROWS * COLUMNS)),
    units=("1",) * (ROWS * COLUMNS),
    labels=(),
    licence="CC BY-NC-SA 4.0",
    credit="Ahuja, Streli, Holz 2021, TouchPose (UIST)",
    split="leave one person out",
    licence_class="C",
    outputs=tuple(f"depth_{r:02d}_{c:02d}_of_255" for r in range(DEPTH_ROWS) for c in range(DEPTH_COLUMNS)),
)
GESTURES_INFO = replace(
    INFO,
    name="touchpose_gestures",
    task="gesture_classification",
    labels=tuple(f"gesture_{FIRST_GESTURE + i}" for i in range(GESTURE_COUNT)),
    outputs=(),
)
_FIELDS = ("cap", "depth", "subject", "session", "gesture")


def load(root: Path | None = None) -> Samples:
    """x (N,1,2952) capacitance, row by row, target (N,96): mean depth level, 0..1, of 8x12 cells.

    Raises DatasetMissingError without the converted file, ValueError for one of another format.
    """
    table = _table(root)
    depth = cell_means(table["depth"], DEPTH_ROWS, DEPTH_COLUMNS).reshape(len(table["depth"]), -1)
    return _samples(table, depth / np.float32(255))


def load_gestures(root: Path | None = None) -> Samples:
    """x (N,1,2952), target the gesture's number from 65. Raises the same."""
    table = _table(root)
    return _samples(table, table["gesture"].astype(np.int64) - FIRST_GESTURE)


GESTURES = View(GESTURES_INFO, load_gestures, folds, shipped)
"""The Reader of the fifteen gestures."""


def cell_means(images: npt.NDArray[Any], rows: int, columns: int) -> Float32:
    """(n,h,w) -> (n,rows,columns): means of cells, a pixel different where they do not divide it."""
    means = images.astype(np.float32)
    for axis, count in ((1, rows), (2, columns)):
        edges = np.linspace(0, images.shape[axis], count + 1).round().astype(np.int64)
        width = np.diff(edges).astype(np.float32)
        shape = [1, 1, 1]
        shape[axis] = count
        means = (np.add.reduceat(means, edges[:-1], axis=axis) / width.reshape(shape)).astype(np.float32)
    return means


def _samples(table: dict[str, npt.NDArray[Any]], target: npt.NDArray[Any]) -> Samples:
    x = np.maximum(table["cap"], 0).astype(np.float32).reshape(-1, 1, ROWS * COLUMNS)
    subject: Strings = np.array([f"p{name}" for name in table["subject"].tolist()])
    session = zip(subject.tolist(), table["session"].tolist(), strict=True)
    return Samples(x, target, subject, np.array([f"{who}/{which}" for who, which in session]))


def _table(root: Path | None) -> dict[str, npt.NDArray[Any]]:
    path = dataset_path(f"{INFO.name}/touchpose.npz", root)
    with np.load(path, allow_pickle=False) as data:
        missing = [name for name in _FIELDS if name not in data.files]
        if missing:
            raise ValueError(f"{path.name} has no {', '.join(missing)}; convert it as {__name__} says")
        table = {name: data[name][::EVERY].copy() for name in _FIELDS}
    n = len(table["cap"])
    for name in ("cap", "depth"):
        if table[name].shape != (n, ROWS, COLUMNS):
            raise ValueError(
                f"{path.name}: {name} (n,{ROWS},{COLUMNS}) was expected, {table[name].shape} found"
            )
    if {len(column) for column in table.values()} != {n}:
        raise ValueError(f"{path.name}: {', '.join(_FIELDS)} differ in length")
    outside = (table["gesture"] < FIRST_GESTURE) | (table["gesture"] >= FIRST_GESTURE + GESTURE_COUNT)
    if outside.any():
        raise ValueError(
            f"{path.name}: gestures 65 to 79 were expected, {table['gesture'][outside][0]} found"
        )
    return table

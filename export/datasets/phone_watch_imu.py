"""Phone and watch recorded in the same executions (Matey-Sanz, Casteleyn, Granell 2022, CC BY 4.0).

`data.npz` holds all recordings end to end: `x` (n,6) acc m/s2 and gyro rad/s, `t_ms` (n,), `label` (n,),
`recording` (n,) an index into `recordings`, whose names are `<subject>_<execution>_<sp or sw>`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_agent.resampling import resample_to_grid
from export.datasets.common import DatasetInfo, dataset_path, subject_folds

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

INFO = DatasetInfo(
    name="phone_watch_imu",
    modality="imu",
    task="activity_recognition",
    rate_hz=100.0,
    window_s=1.0,
    channels=("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"),
    units=("m/s2", "m/s2", "m/s2", "rad/s", "rad/s", "rad/s"),
    labels=("seated", "sitting_down", "standing_up", "turning", "walking"),
    licence="CC BY 4.0",
    credit="Matey-Sanz, Casteleyn, Granell 2022, smartphone and smartwatch human activity recordings",
    split="5 folds by subject: sorted subjects, index modulo 5",
    reference="macro-F1 of a random forest on statistics of 1 s windows, 5 folds by subject: phone 0.815, "
    "watch 0.841",
)
SLOTS: tuple[str, str] = ("imu_phone", "imu_watch")
SHIPPED_TEST_SUBJECTS: tuple[str, ...] = ("s01", "s12")
"""The people of the demo: the shipped model has never met them."""
WINDOW = round(INFO.rate_hz * INFO.window_s)
_PERIOD_MS = round(1000 / INFO.rate_hz)
_NS_PER_MS = 1_000_000


@dataclass(frozen=True)
class Execution:
    """One execution on the common 100 Hz grid: x (2,n,6) phone then watch, label (n,)."""

    name: str
    subject: str
    x: Float32
    label: Int64


@dataclass(frozen=True)
class PairWindows:
    """x (N,2,100,6) phone then watch, label (N,) of the majority, subject (N,)."""

    x: Float32
    label: Int64
    subject: npt.NDArray[np.str_]


def load(root: Path | None = None) -> list[Execution]:
    """All executions that have both devices. Raises DatasetMissingError without the recordings."""
    with np.load(dataset_path(INFO.name, root) / "data.npz", allow_pickle=False) as data:
        x, t_ms, label, recording = data["x"], data["t_ms"], data["label"], data["recording"]
        names = [str(name) for name in data["recordings"]]
        if tuple(str(name).lower() for name in data["labels"]) != INFO.labels:
            raise ValueError(f"labels of the file {data['labels']} are not {INFO.labels}")
    parts = {name: recording == i for i, name in enumerate(names)}
    executions = []
    for name in sorted(n.removesuffix("_sp") for n in names if n.endswith("_sp")):
        phone, watch = parts[f"{name}_sp"], parts.get(f"{name}_sw")
        if watch is not None:
            pieces = [(t_ms[where], x[where]) for where in (phone, watch)]
            executions.append(_align(name, pieces, label[phone]))
    return executions


def _align(
    name: str, pieces: Sequence[tuple[Int64, Float32]], phone_label: npt.NDArray[np.int8]
) -> Execution:
    """Both devices on the grid of the time that they share, put there by the function the device uses.

    The label of a grid point is that of the phone's newest sample.
    """
    start_ms = int(max(t[0] for t, _ in pieces))
    end_ms = int(min(t[-1] for t, _ in pieces))
    n = int((end_ms - start_ms) // _PERIOD_MS) + 1
    last_ms = start_ms + (n - 1) * _PERIOD_MS
    x = np.stack(
        [resample_to_grid(t * _NS_PER_MS, v, last_ms * _NS_PER_MS, INFO.rate_hz, n).values for t, v in pieces]
    ).astype(np.float32, copy=False)
    grid_ms = start_ms + _PERIOD_MS * np.arange(n)
    newest = np.searchsorted(pieces[0][0], grid_ms, side="right") - 1
    return Execution(name, name.partition("_")[0], x, phone_label[newest].astype(np.int64))


def windows(executions: Sequence[Execution], hop_s: float = 0.5) -> PairWindows:
    """Cut 1 s windows with the given hop; the label is the one that most points carry."""
    hop = round(hop_s * INFO.rate_hz)
    x, label, subject = [], [], []
    for execution in executions:
        for start in range(0, len(execution.label) - WINDOW + 1, hop):
            x.append(execution.x[:, start : start + WINDOW])
            counts = np.bincount(execution.label[start : start + WINDOW], minlength=len(INFO.labels))
            label.append(int(counts.argmax()))
            subject.append(execution.subject)
    shape = (0, len(SLOTS), WINDOW, len(INFO.channels))
    stacked = np.stack(x) if x else np.zeros(shape, np.float32)
    return PairWindows(stacked, np.asarray(label, np.int64), np.asarray(subject, np.str_))


def folds(executions: Sequence[Execution]) -> dict[str, int]:
    """subject -> fold of the evaluation."""
    return subject_folds([e.subject for e in executions])

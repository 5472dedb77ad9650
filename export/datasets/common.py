"""What every reader says of its recordings, and where the recordings lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
Strings = npt.NDArray[np.str_]

DATA_VARIABLE = "EDGE_AGENT_DATA"
_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class DatasetInfo:
    """Facts of a set that the manifest and the evaluation repeat."""

    name: str
    modality: str
    task: str
    rate_hz: float
    window_s: float
    channels: tuple[str, ...]
    units: tuple[str, ...]
    labels: tuple[str, ...]
    licence: str
    credit: str
    split: str
    """In words: by what the folds are made."""
    licence_class: Literal["A", "B", "C"] = "A"
    """A: derive and ship with credit; B: copyleft, data stays outside; C: research only, never shipped."""
    outputs: tuple[str, ...] = ()
    """Names of the numbers of a regression, with their unit in the name; empty for a classification."""
    kind: Literal["real", "paired", "simulated"] = "real"
    reference: str = ""
    """What others reached on it, with their protocol named."""


@dataclass(frozen=True)
class Samples:
    """A set as windows that an encoder takes.

    x (N,T,C) in the units of the slot, finite; target (N,) class index, or (N,K) float32 numbers of a
    regression; group (N,) what a split must not cut through (a person, a room, a day); recording (N,)
    which recording a window is of: neighbours in time share it.
    """

    x: Float32
    target: Int64 | Float32
    group: Strings
    recording: Strings

    def __getitem__(self, rows: Int64) -> Samples:
        return Samples(self.x[rows], self.target[rows], self.group[rows], self.recording[rows])

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Fold:
    """Row numbers of one split. `validation` is empty where only a score is wanted."""

    name: str
    train: Int64
    test: Int64
    validation: Int64


class Reader(Protocol):
    """What every module of a set offers (a module is a Reader by its names)."""

    INFO: DatasetInfo

    def load(self, root: Path | None = None) -> Samples:
        """All windows, in an order that depends on the files alone. Raises DatasetMissingError."""
        ...

    def folds(self, samples: Samples) -> list[Fold]:
        """The splits of the evaluation, by group; validation is empty."""
        ...

    def shipped(self, samples: Samples) -> Fold:
        """The one split of the shipped model: train, validation (calibration) and test."""
        ...


class DatasetMissingError(FileNotFoundError):
    """The recordings are not on this machine; nothing was downloaded."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"no recordings at {path}; set {DATA_VARIABLE} to the folder that holds them")
        self.path = path


def data_root() -> Path:
    """The folder of the recordings: `EDGE_AGENT_DATA`, else `../shared/data` beside the repository."""
    named = os.environ.get(DATA_VARIABLE)
    return Path(named) if named else _REPOSITORY.parent / "shared" / "data"


def dataset_path(name: str, root: Path | None = None) -> Path:
    """The path of a set below the data root; raises DatasetMissingError when it is not there."""
    path = (root if root is not None else data_root()) / name
    if not path.exists():
        raise DatasetMissingError(path)
    return path


def group_folds(group: Strings, n_folds: int = 5) -> list[Fold]:
    """Folds by group: the sorted groups in turn."""
    number = subject_folds(group.tolist(), n_folds)
    fold = np.array([number[g] for g in group.tolist()])
    nothing = np.zeros(0, np.int64)
    return [
        Fold(f"fold {i}", np.flatnonzero(fold != i), np.flatnonzero(fold == i), nothing)
        for i in range(n_folds)
        if (fold == i).any()
    ]


def held_out(group: Strings, validation: Sequence[str], test: Sequence[str]) -> Fold:
    """The split that keeps two lists of groups out of training."""
    in_validation, in_test = np.isin(group, validation), np.isin(group, test)
    return Fold(
        "shipped",
        np.flatnonzero(~in_validation & ~in_test),
        np.flatnonzero(in_test),
        np.flatnonzero(in_validation),
    )


def subject_folds(subjects: Sequence[str], n_folds: int = 5) -> dict[str, int]:
    """subject -> fold: the sorted subjects in turn, so that folds depend on names alone."""
    return {subject: i % n_folds for i, subject in enumerate(sorted(set(subjects)))}

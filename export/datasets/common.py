"""What every reader says of its recordings, and where the recordings lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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


def subject_folds(subjects: Sequence[str], n_folds: int = 5) -> dict[str, int]:
    """subject -> fold: the sorted subjects in turn, so that folds depend on names alone."""
    return {subject: i % n_folds for i, subject in enumerate(sorted(set(subjects)))}

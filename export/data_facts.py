"""What is in a set: how much, of what, in which part of the split. No printing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.datasets.common import DatasetMissingError, Fold, Samples
from export.datasets.registry import Entry
from export.simulate.simulator import Simulator


@dataclass(frozen=True)
class Found:
    """A set and what loading it gave: counts, or why there are none."""

    entry: Entry
    state: str
    windows: int | None = None
    groups: int | None = None
    reason: str = ""

    def row(self) -> dict[str, Any]:
        """As `--json` gives it."""
        info = self.entry.info
        return {
            "name": self.entry.name, "modality": info.modality, "task": info.task, "kind": info.kind,
            "licence": info.licence, "licence_class": info.licence_class, "windows": self.windows,
            "groups": self.groups, "state": self.state, "reason": self.reason, "scored": self.entry.scored,
            "source": self.entry.source,
        }  # fmt: skip


def look(one: Entry, root: Path) -> Found:
    """Count a set; a simulator is asked, not run."""
    if isinstance(one.reader, Simulator):
        return Found(one, "present", one.reader.n, one.reader.groups)
    try:
        samples = one.reader.load(root)
    except DatasetMissingError as error:
        return Found(one, "missing", reason=str(error))
    except (ValueError, OSError) as error:
        return Found(one, "broken", reason=str(error))
    return Found(one, "present", len(samples), len(np.unique(samples.group)))


def parts_of(fold: Fold) -> dict[str, Any]:
    """The parts of a fold in the order of their use."""
    return {"train": fold.train, "validation": fold.validation, "test": fold.test}


def summary(one: Entry, samples: Samples) -> dict[str, Any]:
    """Of all, and of each part of the shipped split: windows, groups, and what the targets are.

    `classes` are counts by label; `outputs` are mean and deviation of each number, None where none is known.
    """
    rows = {"all": np.arange(len(samples))} | parts_of(one.reader.shipped(samples))
    return {name: _part(one, samples[where]) for name, where in rows.items()}


def _part(one: Entry, samples: Samples) -> dict[str, Any]:
    part: dict[str, Any] = {"windows": len(samples), "groups": len(np.unique(samples.group))}
    labels = one.info.labels
    if labels:
        counts = np.bincount(samples.target.astype(np.int64), minlength=len(labels))
        return part | {"classes": dict(zip(labels, counts.tolist(), strict=True))}
    known = [column[np.isfinite(column)] for column in samples.target.T]
    numbers = {
        name: [float(v.mean()), float(v.std())] if len(v) else None
        for name, v in zip(one.info.outputs, known, strict=True)
    }
    return part | {"outputs": numbers}

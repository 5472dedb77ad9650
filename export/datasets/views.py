"""What several sets share: a second head on the same recordings, and splits along time.

Where neighbours in a file are neighbours in time, a random split leaks: a frame of the test has its twin in
training. So a recording is cut into numbered blocks, a block is never divided, and rows of training that
lie within `gap` rows of a held-out one are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from export.datasets.common import DatasetInfo, Fold, Int64, Samples, Strings

Mask = npt.NDArray[np.bool_]


class Loads(Protocol):
    """`Reader.load` as a value."""

    def __call__(self, root: Path | None = None) -> Samples:
        """See Reader."""
        ...


@dataclass  # not frozen: a Reader's INFO can be set, as a module's can
class View:
    """A Reader that is no module: another input, target or split of a set."""

    INFO: DatasetInfo
    load: Loads
    folds: Callable[[Samples], list[Fold]]
    shipped: Callable[[Samples], Fold]


def block_groups(run: Strings, blocks: int) -> Strings:
    """`<run>/<block>` for each row: every run in so many blocks of equal length, in the order of its rows."""
    group = np.empty(len(run), np.dtype("<U64"))
    for name in np.unique(run):
        rows = np.flatnonzero(run == name)
        number = np.arange(len(rows)) * blocks // len(rows)
        group[rows] = [f"{name}/{n:02d}" for n in number.tolist()]
    return group


def block_numbers(group: Strings) -> Int64:
    """The block of each row, from the end of its group's name."""
    return np.array([int(name.rpartition("/")[2]) for name in group.tolist()], np.int64)


def block_fold(
    samples: Samples, name: str, test: Collection[int], validation: Collection[int] = (), gap: int = 0
) -> Fold:
    """Blocks of every recording held out; `gap` rows before and after what is held out teach nothing.

    Validation keeps the same distance from the test. The order of the rows within a recording is time.
    """
    block = block_numbers(samples.group)
    in_test = np.isin(block, list(test))
    in_validation = np.isin(block, list(validation)) & ~_near(in_test, samples.recording, gap)
    held = _near(in_test | np.isin(block, list(validation)), samples.recording, gap)
    return Fold(name, np.flatnonzero(~held), np.flatnonzero(in_test), np.flatnonzero(in_validation))


def contiguous_folds(samples: Samples, blocks: int, n_folds: int = 5, gap: int = 0) -> list[Fold]:
    """Folds of `blocks / n_folds` neighbouring blocks each."""
    width = blocks // n_folds
    return [
        block_fold(samples, f"fold {i}", range(i * width, (i + 1) * width), (), gap) for i in range(n_folds)
    ]


def _near(mask: Mask, run: Strings, gap: int) -> Mask:
    """Rows that are set, or at most `gap` rows of the same run away from one that is."""
    near = mask.copy()
    for name in np.unique(run):
        rows = np.flatnonzero(run == name)
        hits = np.concatenate([[0], np.cumsum(mask[rows])])
        place = np.arange(len(rows))
        low, high = np.maximum(place - gap, 0), np.minimum(place + gap + 1, len(rows))
        near[rows] = hits[high] > hits[low]
    return near

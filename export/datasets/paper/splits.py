"""Splits that depend on the names of the groups alone, for sets whose groups we cannot list beforehand."""

from __future__ import annotations

import numpy as np

from export.datasets.common import Fold, Samples, group_folds, subject_folds

TEST, VALIDATION = 0, 4
"""Of five: the sorted groups in turn."""


def five_folds(samples: Samples) -> list[Fold]:
    """Five folds by group."""
    return group_folds(samples.group)


def one_out(samples: Samples) -> list[Fold]:
    """One fold for each group."""
    return group_folds(samples.group, len(np.unique(samples.group)))


def every_fifth(samples: Samples) -> Fold:
    """Every fifth of the sorted groups is the test, every other fifth the validation."""
    number = subject_folds(samples.group.tolist())
    fold = np.array([number[group] for group in samples.group.tolist()], np.int64)
    held = np.isin(fold, (TEST, VALIDATION))
    return Fold(
        "shipped", np.flatnonzero(~held), np.flatnonzero(fold == TEST), np.flatnonzero(fold == VALIDATION)
    )

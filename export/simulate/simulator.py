"""What the simulators have in common: a Reader whose recordings are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from export.datasets.common import DatasetInfo, Float32, Fold, Int64, Samples, Strings, group_folds, held_out

Float64 = npt.NDArray[np.float64]
Random = np.random.Generator

LICENCE = "Apache-2.0"
CREDIT = "simulated by this project"
BY_SCENE = "by simulated scene: of ten, one validates and one tests"
CHUNK = 500
"""Samples that are computed together: their rays fit the processor's cache."""


@dataclass
class Simulator:
    """A Reader. `generate(n, seed)` makes n samples, `per_group` neighbours of the same scene or person."""

    INFO: DatasetInfo
    generate: Callable[[int, int], Samples]
    n: int
    per_group: int
    seed: int = 0
    scored: bool = True
    """False: extra material beside a real set, for training alone."""

    def __post_init__(self) -> None:
        """Raise ValueError where a score would not be marked."""
        if self.INFO.kind != "simulated":
            raise ValueError(f'{self.INFO.name} is computed, so its kind is "simulated"')

    @property
    def groups(self) -> int:
        """How many scenes or people there are."""
        return -(-self.n // self.per_group)

    def of(self, n: int, seed: int = 0) -> Self:
        """The same simulator with another number of samples or another seed."""
        return replace(self, n=n, seed=seed)

    def load(self, root: Path | None = None) -> Samples:  # noqa: ARG002  (there is nothing to read)
        """All windows; the same for the same seed."""
        return self.generate(self.n, self.seed)

    def folds(self, samples: Samples) -> list[Fold]:
        """Five, by group."""
        return group_folds(samples.group)

    def shipped(self, samples: Samples) -> Fold:
        """Of every ten groups the ninth validates and the tenth tests."""
        groups = np.unique(samples.group).tolist()
        return held_out(samples.group, groups[8::10], groups[9::10])


def groups_of(n: int, per_group: int, what: str) -> tuple[Int64, Strings]:
    """The number (n,) and the name (n,) of each sample's group."""
    number = np.arange(n) // per_group
    return number, np.array([f"{what}_{i:05d}" for i in range(-(-n // per_group))], np.str_)[number]


def chunks(n: int) -> Iterator[slice]:
    """0..n in pieces."""
    return (slice(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK))


def samples_of(x: Float32, target: Int64 | Float32, group: Strings) -> Samples:
    """A group is one recording."""
    return Samples(x, target, group, group)


def uniform(random: Random, low: float, high: float, *shape: int) -> Float32:
    """float32 numbers between low and high."""
    return (low + (high - low) * random.random(shape, np.float32)).astype(np.float32)


def normal(random: Random, *shape: int) -> Float32:
    """float32 numbers of mean 0 and deviation 1."""
    return random.standard_normal(shape, np.float32)

"""Questions that are made of several: the same asked of each of some things, or of two times to compare."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.memory.measured import Measured
from edge_agent.memory.queries import HowLong, HowOften, Query

Part = Query | Measured
Comparable = HowLong | HowOften | Measured


@dataclass(frozen=True, slots=True)
class Each:
    """Questions that are answered one after the other: "was the person walking or sitting at three?"."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """The same thing at two times. `up`: whether `one` was asked to be more (or less); None: it was not."""

    one: Comparable
    other: Comparable
    up: bool | None = None


Whole = Part | Each | Compared


def each(parts: list[Part]) -> Part | Each:
    """Some questions as one, each different one once."""
    different = tuple(dict.fromkeys(parts))
    return different[0] if len(different) == 1 else Each(different)

"""From intervals to what people ask about: a spell is a label that was read for a while. Pure.

Intervals of a label that was known are one spell while less than `join_ns` lies between them, whatever was
read in between; a spell that was seen for less than `hold_ns` is a slip of the model and is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import mul
from typing import NamedTuple

from edge_agent.clock import NS_PER_S
from edge_agent.memory.database import Row

JOIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Hold:
    """When intervals are one spell, and when a spell counts."""

    join_ns: int = round(JOIN_S * NS_PER_S)
    hold_ns: int = NS_PER_S


class Spell(NamedTuple):
    """`seen_ns` is how long it was read within start..end (wall ns); the probability is of its windows."""

    start_ns: int
    head: str
    label: str
    end_ns: int
    seen_ns: int
    probability: float
    windows: int
    first_window: int
    last_window: int
    intervals: int
    sensors: frozenset[str]
    simulated: bool


class Sum(NamedTuple):
    """Spells added up: when the first and the last began, and the least, mean and greatest probability."""

    times: int = 0
    first_ns: int = 0
    last_ns: int = 0
    seen_ns: int = 0
    least: float = 0.0
    mean: float = 0.0
    greatest: float = 0.0
    windows: int = 0
    sensors: frozenset[str] = frozenset()
    simulated: bool = False


def clip(rows: Iterable[Row], start_ns: int, end_ns: int) -> list[Row]:
    """The rows cut to start..end; what only touches it is left out."""
    return [
        row
        if start_ns <= row.start_ns and row.end_ns <= end_ns
        else row._replace(start_ns=max(row.start_ns, start_ns), end_ns=min(row.end_ns, end_ns))
        for row in rows
        if min(row.end_ns, end_ns) > max(row.start_ns, start_ns)
    ]


def spells(rows: Iterable[Row], hold: Hold) -> list[Spell]:
    """The spells of `rows`, which are of one label and in the order of their starts."""
    groups: list[list[Row]] = []
    last_ns = 0
    for row in rows:
        if not groups or row.start_ns - last_ns >= hold.join_ns:
            groups.append([])
        groups[-1].append(row)
        last_ns = row.end_ns
    return [spell for group in groups if (spell := _spell(group)).seen_ns >= hold.hold_ns]


def _spell(rows: Sequence[Row]) -> Spell:
    first, last = rows[0], rows[-1]
    windows = sum(row.windows for row in rows)
    return Spell(
        start_ns=first.start_ns,
        head=first.kind.head,
        label=first.kind.label,
        end_ns=last.end_ns,
        seen_ns=sum(row.end_ns - row.start_ns for row in rows),
        probability=sum(row.probability * row.windows for row in rows) / windows,
        windows=windows,
        first_window=first.first_window,
        last_window=last.last_window,
        intervals=len(rows),
        sensors=frozenset(name for row in rows for name in row.kind.sensors),
        simulated=any(row.kind.simulated for row in rows),
    )


def added(spells: Iterable[Spell]) -> Sum:
    """What some spells come to."""
    return together([_sum_of(spell) for spell in spells])


def _sum_of(one: Spell) -> Sum:
    at_ns, chance = one.start_ns, one.probability
    return Sum(1, at_ns, at_ns, one.seen_ns, chance, chance, chance, one.windows, one.sensors, one.simulated)


def together(sums: Collection[Sum]) -> Sum:
    """Some sums in one; none of them is of nothing."""
    if not sums:
        return Sum()
    times, first, last, seen, least, mean, greatest, windows, sensors, simulated = zip(*sums, strict=True)
    return Sum(
        times=sum(times),
        first_ns=min(first),
        last_ns=max(last),
        seen_ns=sum(seen),
        least=min(least),
        mean=sum(map(mul, mean, windows)) / sum(windows),
        greatest=max(greatest),
        windows=sum(windows),
        sensors=frozenset().union(*set(sensors)),
        simulated=any(simulated),
    )

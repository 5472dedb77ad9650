"""From intervals to what people ask about: a spell is a label that was read for a while. Pure.

Intervals of a label that was known are one spell while less than `join_ns` lies between them, whatever was
read in between; a spell that was seen for less than `hold_ns` is a slip of the model and is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from edge_agent.clock import NS_PER_S
from edge_agent.memory.database import Row

JOIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Hold:
    """When intervals are one spell, and when a spell counts."""

    join_ns: int = round(JOIN_S * NS_PER_S)
    hold_ns: int = NS_PER_S


@dataclass(frozen=True, slots=True)
class Spell:
    """`seen_ns` is how long it was read within start..end (wall ns); the probability is of its windows."""

    head: str
    label: str
    start_ns: int
    end_ns: int
    seen_ns: int
    probability: float
    windows: int
    first_window: int
    last_window: int
    intervals: int
    sensors: tuple[str, ...]
    simulated: bool
    novel: bool


def clip(rows: Iterable[Row], start_ns: int, end_ns: int) -> list[Row]:
    """The rows cut to start..end; what only touches it is left out."""
    cut = (replace(row, start_ns=max(row.start_ns, start_ns), end_ns=min(row.end_ns, end_ns)) for row in rows)
    return [row for row in cut if row.end_ns > row.start_ns]


def spells(rows: Sequence[Row], hold: Hold) -> list[Spell]:
    """The spells of each label of `rows`, which are in the order of their starts; by their starts."""
    groups: list[list[Row]] = []
    open_groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        key = (row.kind.head, row.kind.label)
        group = open_groups.get(key)
        if group is None or row.start_ns - group[-1].end_ns >= hold.join_ns:
            group = open_groups[key] = []
            groups.append(group)
        group.append(row)
    found = [_spell(group) for group in groups]
    kept = [s for s in found if s.seen_ns >= hold.hold_ns]
    return sorted(kept, key=lambda s: (s.start_ns, s.head, s.label))


def _spell(rows: Sequence[Row]) -> Spell:
    windows = sum(row.windows for row in rows)
    return Spell(
        head=rows[0].kind.head,
        label=rows[0].kind.label,
        start_ns=rows[0].start_ns,
        end_ns=rows[-1].end_ns,
        seen_ns=sum(row.end_ns - row.start_ns for row in rows),
        probability=sum(row.probability * row.windows for row in rows) / windows,
        windows=windows,
        first_window=rows[0].first_window,
        last_window=rows[-1].last_window,
        intervals=len(rows),
        sensors=tuple(sorted({name for row in rows for name in row.kind.sensors})),
        simulated=any(row.kind.simulated for row in rows),
        novel=any(row.kind.novel for row in rows),
    )

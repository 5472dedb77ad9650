"""From intervals to what people ask about: a spell is a label that was read for a while. Pure.

Intervals of a label that was known are one spell while less than `join_ns` lies between them, whatever was
read in between; a spell that was seen for less than `hold_ns` is a slip of the model and is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_agent.clock import NS_PER_S
from edge_agent.memory.database import Rows
from edge_agent.memory.notes import Kind

Int64 = npt.NDArray[np.int64]
JOIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Hold:
    """When intervals are one spell, and when a spell counts."""

    join_ns: int = round(JOIN_S * NS_PER_S)
    hold_ns: int = NS_PER_S


class Spell(NamedTuple):
    """`seen_ns` is for how long it was read within start..end (wall ns), `mean` its probability."""

    start_ns: int
    head: str
    label: str
    end_ns: int
    seen_ns: int
    mean: float
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


def clip(rows: Rows, start_ns: int, end_ns: int) -> Rows:
    """The rows cut to start..end; what only touches it is left out."""
    cut = rows.copy()
    cut["start_ns"].clip(min=start_ns, out=cut["start_ns"])
    cut["end_ns"].clip(max=end_ns, out=cut["end_ns"])
    return cut[cut["end_ns"] > cut["start_ns"]]


@dataclass(frozen=True, slots=True)
class Spells:
    """Those of one label: spell i is read in `rows[first[i]:after[i]]`, whose kinds are `kinds`.

    Arrays, since a month may hold a million of them: a `Spell` is made only of one that is told.
    """

    rows: Rows
    kinds: Mapping[int, Kind]
    first: Int64
    after: Int64

    def __len__(self) -> int:
        return len(self.first)

    @property
    def of(self) -> tuple[str, str]:
        """Their head and label."""
        kind = next(iter(self.kinds.values()))
        return kind.head, kind.label

    def newest(self, count: int, since_ns: int) -> list[Spell]:
        """At most the last so many that begin at a moment or later, oldest first."""
        begin = int(np.searchsorted(self.rows["start_ns"][self.first], since_ns))
        return [self.spell(i) for i in range(max(begin, len(self) - count), len(self))]

    def part(self, which: slice) -> Spells:
        """Some of them."""
        return replace(self, first=self.first[which], after=self.after[which])

    def spell(self, index: int) -> Spell:
        """One of them. Raises IndexError where there is none."""
        rows = self.rows[self.first[index] : self.after[index]]
        (head, label), windows = self.of, int(rows["windows"].sum())
        return Spell(
            start_ns=int(rows["start_ns"][0]),
            head=head,
            label=label,
            end_ns=int(rows["end_ns"][-1]),
            seen_ns=int((rows["end_ns"] - rows["start_ns"]).sum()),
            mean=float(rows["probability"] @ rows["windows"]) / windows,
            windows=windows,
            first_window=int(rows["first_window"][0]),
            last_window=int(rows["last_window"][-1]),
            intervals=len(rows),
            sensors=_sensors(kinds := self._kinds_of(rows)),
            simulated=any(kind.simulated for kind in kinds),
        )

    def sum(self) -> Sum:
        """All of them, of which there is at least one."""
        held = np.zeros(len(self.rows) + 1, np.int64)
        held[self.first] += 1
        held[self.after] -= 1
        rows = self.rows[held.cumsum()[:-1] > 0]
        first = np.append(0, np.cumsum(self.after - self.first)[:-1])
        windows = np.add.reduceat(rows["windows"], first)
        weights = np.add.reduceat(rows["probability"] * rows["windows"], first)
        return Sum(
            times=len(self),
            first_ns=int(rows["start_ns"][0]),
            last_ns=int(rows["start_ns"][first[-1]]),
            seen_ns=int((rows["end_ns"] - rows["start_ns"]).sum()),
            least=float((weights / windows).min()),
            mean=float(weights.sum()) / int(windows.sum()),
            greatest=float((weights / windows).max()),
            windows=int(windows.sum()),
            sensors=_sensors(kinds := self._kinds_of(rows)),
            simulated=any(kind.simulated for kind in kinds),
        )

    def _kinds_of(self, rows: Rows) -> list[Kind]:
        return [self.kinds[number] for number in np.unique(rows["kind"]).tolist()]


def spells(rows: Rows, kinds: Mapping[int, Kind], hold: Hold) -> Spells:
    """The spells of `rows`, which are of one label and in the order of their starts."""
    apart = rows["start_ns"][1:] - rows["end_ns"][:-1] >= hold.join_ns
    first = np.flatnonzero(np.append(len(rows) > 0, apart))
    after = np.append(first[1:], len(rows))[: len(first)]
    held = np.add.reduceat(rows["end_ns"] - rows["start_ns"], first) >= hold.hold_ns
    return Spells(rows, kinds, first[held], after[held])


def _sensors(kinds: Collection[Kind]) -> frozenset[str]:
    return frozenset(name for kind in kinds for name in kind.sensors)


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
        mean=float(np.average(mean, weights=windows)),
        greatest=max(greatest),
        windows=sum(windows),
        sensors=frozenset().union(*sensors),
        simulated=any(simulated),
    )

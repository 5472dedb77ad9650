"""What is remembered, as rows with wall time. What is forgotten of it, and when: forgetting.py."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_agent.memory.notes import Event, Kind, Measure
from edge_agent.memory.runs import Run, place
from edge_agent.memory.schema import open_file

EVER_NS = 1 << 62
"""Later than anything, in wall ns."""
ROW = np.dtype(
    [(name, np.int64) for name in ("start_ns", "end_ns", "id", "kind")]
    + [("probability", np.float64)]
    + [(name, np.int64) for name in ("windows", "first_window", "last_window")]
)
"""An interval in wall ns: `probability` is the mean of its `windows`."""
Rows = npt.NDArray[np.void]
"""Of ROW, (n,)."""
_ROW = """SELECT start_ns + :offset, end_ns + :offset, id, kind, probability, windows, first_window,
last_window FROM interval"""
_REACH = """FROM interval WHERE kind = :kind AND run = :run AND start_ns <= :high AND end_ns >= :low
AND start_ns >= coalesce((SELECT max(start_ns) FROM interval
                          WHERE kind = :kind AND run = :run AND start_ns <= :low), :low)"""
"""Intervals of one kind never overlap: of those that begin before `low` only the last can reach beyond it."""
_REACHING = _ROW.replace("FROM interval", _REACH)
_LATEST = f"{_ROW} WHERE kind = :kind AND run = :run AND start_ns < :high ORDER BY start_ns DESC LIMIT :count"
_COVERED = f"SELECT coalesce(sum(min(end_ns, :high) - max(start_ns, :low)), 0) {_REACH}"
Wanted = Callable[[Kind], bool]


@dataclass(frozen=True, slots=True)
class Minute:
    """The values of a number within a minute, in wall ns: from the first to the last of `count`."""

    measure: Measure
    start_ns: int
    end_ns: int
    low: float
    low_ns: int
    high: float
    high_ns: int
    first: float
    last: float
    total: float
    count: int
    first_window: int
    last_window: int


@dataclass(frozen=True, slots=True)
class Stat:
    """How much is remembered; times in wall ns, None where there is nothing."""

    intervals: int
    minutes: int
    events: int
    runs: int
    bytes: int
    oldest_ns: int | None
    newest_ns: int | None


class Database:
    """The file at `path`, for any thread. Raises ConfigurationError where it cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection = open_file(path)
        self._kinds: dict[int, Kind] = {}

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of a block, or nothing of it."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def shrink(self) -> None:
        """Give free pages back to the disk, and leave nothing erased in the log."""
        with self._lock:
            self._connection.execute("PRAGMA incremental_vacuum").fetchall()
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # -- reading ---------------------------------------------------------------------------------------

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        with self._lock:
            found = self._connection.execute("SELECT id, offset_ns, first_ns, last_ns FROM run ORDER BY id")
            return [Run(*row) for row in found]

    def kinds(self, wanted: Wanted) -> dict[int, Kind]:
        """id -> kind, of those wanted."""
        text = "SELECT id, head, label, known, novel, simulated, sensors FROM kind WHERE id > ?"
        with self._lock:
            newest = max(self._kinds, default=0)  # the others were read before: none is ever changed
            for key, head, label, known, novel, simulated, on in self._connection.execute(text, (newest,)):
                self._kinds[key] = Kind(head, label, bool(known), bool(novel), bool(simulated), _names(on))
            return {key: kind for key, kind in self._kinds.items() if wanted(kind)}

    def rows(self, kinds: Iterable[int], start_ns: int, end_ns: int) -> Rows:
        """The intervals of some kinds that reach into start..end (wall ns), by their starts."""
        with self._lock:
            found = [
                self._rows(_REACHING, kinds, _values(run, offset_ns, start_ns, end_ns))
                for run, offset_ns in self.placed(start_ns, end_ns)
            ]
        return _sorted(found)

    def covered_ns(self, kinds: Collection[int], start_ns: int, end_ns: int) -> int:
        """For how long of start..end (wall ns) there are intervals of some kinds, which are of one head."""
        with self._lock:
            return sum(
                self._connection.execute(_COVERED, {"kind": key, **values}).fetchone()[0]
                for run, offset_ns in self.placed(start_ns, end_ns)
                for values in (_values(run, offset_ns, start_ns, end_ns),)
                for key in kinds
            )

    def latest(self, kinds: Collection[int], before_ns: int, count: int) -> Rows:
        """The `count` newest intervals of some kinds that begin before a moment (wall ns), oldest first."""
        found, sum_of = list[Rows](), 0
        with self._lock:
            for run, offset_ns in reversed(self.placed(-EVER_NS, before_ns)):
                values = _values(run, offset_ns, -EVER_NS, before_ns)
                found.append(self._rows(_LATEST, kinds, {"count": count, **values}))
                if (sum_of := sum_of + len(found[-1])) >= count:
                    break
        return _sorted(found)[-count:]

    def _rows(self, text: str, kinds: Iterable[int], values: Mapping[str, int]) -> Rows:
        found = (self._connection.execute(text, {"kind": key, **values}) for key in kinds)
        return np.fromiter(itertools.chain.from_iterable(found), ROW)

    def minutes(self, name: str, unit: str, start_ns: int, end_ns: int) -> list[Minute]:
        """The minutes of a number that began in start..end (wall ns), by their starts."""
        found: list[Minute] = []
        with self._lock:
            measures = self._connection.execute(
                "SELECT id, simulated, sensors FROM measure WHERE name = ? AND unit = ?", (name, unit)
            ).fetchall()
            for run, offset in self.placed(start_ns, end_ns):
                for key, simulated, sensors in measures:
                    measure = Measure(name, unit, bool(simulated), _names(sensors))
                    rows = self._connection.execute(
                        "SELECT start_ns, end_ns, low, low_ns, high, high_ns, first, last, total, count, "
                        "first_window, last_window FROM minute "
                        "WHERE measure = ? AND run = ? AND start_ns >= ? AND start_ns < ?",
                        (key, run.id, start_ns - offset, end_ns - offset),
                    )
                    found += [
                        Minute(measure, a + offset, b + offset, low, at + offset, high, to + offset, *rest)
                        for a, b, low, at, high, to, *rest in rows
                    ]
        return sorted(found, key=attrgetter("start_ns"))

    def newest_minute_ns(self, name: str, unit: str) -> int | None:
        """When a number was last measured (wall ns)."""
        text = (
            "SELECT max(end_ns) FROM minute JOIN measure ON measure.id = minute.measure "
            "WHERE run = ? AND name = ? AND unit = ?"
        )
        with self._lock:
            for run, offset_ns in reversed(self.placed(-EVER_NS, EVER_NS)):
                (at_ns,) = self._connection.execute(text, (run.id, name, unit)).fetchone()
                if at_ns is not None:
                    return int(at_ns) + offset_ns
        return None

    def events(self, start_ns: int, end_ns: int) -> list[Event]:
        """What was published in start..end, wall ns; `at_ns` is wall time as well."""
        found: list[Event] = []
        with self._lock:
            for run, offset_ns in self.placed(start_ns, end_ns):
                rows = self._connection.execute(
                    "SELECT name, at_ns, head, label, previous, probability FROM event "
                    "WHERE run = ? AND at_ns BETWEEN ? AND ? ORDER BY at_ns, id",
                    (run.id, start_ns - offset_ns, end_ns - offset_ns),
                )
                found += [
                    Event(name, at + offset_ns, h, label, was, p) for name, at, h, label, was, p in rows
                ]
        return found

    def placed(self, start_ns: int, end_ns: int) -> list[tuple[Run, int]]:
        """The runs that reach into start..end, with their offsets."""
        runs = self.runs()
        offsets = place(runs)
        return [
            (run, offsets[run.id])
            for run in runs
            if run.first_ns + offsets[run.id] <= end_ns and run.last_ns + offsets[run.id] >= start_ns
        ]

    def stat(self) -> Stat:
        """How much there is."""
        with self._lock:
            one = self._connection.execute
            intervals, minutes, events, runs = (
                int(one(f"SELECT count(*) FROM {name}").fetchone()[0])  # noqa: S608  # our own names
                for name in ("interval", "minute", "event", "run")
            )
            placed = self.placed(-EVER_NS, EVER_NS)
            spans = [
                (low + offset, high + offset)
                for run, offset in placed
                for low, high in one(
                    "SELECT min(start_ns), max(end_ns) FROM interval WHERE run = ?", (run.id,)
                )
                if low is not None
            ]
        oldest, newest = min((s for s, _ in spans), default=None), max((e for _, e in spans), default=None)
        return Stat(intervals, minutes, events, runs, self.used_bytes(), oldest, newest)

    def used_bytes(self) -> int:
        """What the tables take, without pages that are free."""
        with self._lock:
            size, count, free = (
                int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_size", "page_count", "freelist_count")
            )
        return size * (count - free)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _sorted(parts: list[Rows]) -> Rows:
    rows = np.concatenate([np.empty(0, ROW), *parts])
    return rows[np.lexsort((rows["end_ns"], rows["start_ns"]))]


def _values(run: Run, offset_ns: int, start_ns: int, end_ns: int) -> dict[str, int]:
    """What a statement about one run needs to know."""
    return {"run": run.id, "offset": offset_ns, "low": start_ns - offset_ns, "high": end_ns - offset_ns}

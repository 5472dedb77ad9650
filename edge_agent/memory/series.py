"""Numbers over time, a row for each minute: lowest, highest, first, last, sum and count.

A minute is one of the wall clock as it was known then, so that what is asked of whole minutes is exact.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from edge_agent.clock import NS_PER_S
from edge_agent.memory.database import Database
from edge_agent.memory.notes import Measure, Note

MINUTE_NS = 60 * NS_PER_S


@dataclass(slots=True)
class _Minute:
    """A minute that may still grow; times are monotonic ns."""

    row: int
    minute: int
    end_ns: int
    low: float
    low_ns: int
    high: float
    high_ns: int
    last: float
    total: float
    count: int
    window: int

    def take(self, value: float, note: Note) -> None:
        if value < self.low:
            self.low, self.low_ns = value, note.at_ns
        if value > self.high:
            self.high, self.high_ns = value, note.at_ns
        self.end_ns, self.last, self.window = note.at_ns, value, note.sequence
        self.total += value
        self.count += 1

    def write(self, connection: sqlite3.Connection) -> bool:
        """Whether the row is still there: somebody else may have erased it."""
        text = (
            "UPDATE minute SET end_ns = ?, low = ?, low_ns = ?, high = ?, high_ns = ?, last = ?, total = ?, "
            "count = ?, last_window = ? WHERE id = ?"
        )
        values = (
            self.end_ns, self.low, self.low_ns, self.high, self.high_ns, self.last, self.total, self.count,
            self.window, self.row,
        )  # fmt: skip
        return connection.execute(text, values).rowcount > 0


class Series:
    """The numbers of one run. For whoever holds the lock of the store."""

    def __init__(self, database: Database, run: int) -> None:
        self._database = database
        self._run = run
        self._open: dict[Measure, _Minute] = {}

    def add(self, note: Note, offset_ns: int) -> int:
        """Take the numbers of a window; `offset_ns` is wall minus monotonic. How many rows were begun."""
        minute = (note.at_ns + offset_ns) // MINUTE_NS
        begun = []
        for measure, value in note.measured.items():
            entry = self._open.get(measure)
            if entry is not None and entry.minute == minute:
                entry.take(value, note)
            else:
                begun.append((measure, value))
        if begun:
            with self._database.transaction() as connection:
                for measure, value in begun:
                    if (entry := self._open.get(measure)) is not None:
                        entry.write(connection)
                    self._open[measure] = self._begin(connection, measure, value, note, minute)
        return len(begun)

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write how far each minute has come."""
        for measure in [key for key, entry in self._open.items() if not entry.write(connection)]:
            del self._open[measure]

    def _begin(
        self, connection: sqlite3.Connection, measure: Measure, value: float, note: Note, minute: int
    ) -> _Minute:
        at_ns, window = note.at_ns, note.sequence
        row = connection.execute(
            "INSERT INTO minute (measure, run, start_ns, end_ns, low, low_ns, high, high_ns, first, last, "
            "total, count, first_window, last_window) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)",
            (
                _measure(connection, measure), self._run, at_ns, at_ns, value, at_ns, value, at_ns, value,
                value, value, window, window,
            ),
        ).lastrowid  # fmt: skip
        assert row is not None  # it was inserted
        return _Minute(row, minute, at_ns, value, at_ns, value, at_ns, value, value, 1, window)


def _measure(connection: sqlite3.Connection, measure: Measure) -> int:
    """The id of a measure, which is made where it is new."""
    values = (measure.name, measure.unit, measure.simulated, " ".join(measure.sensors))
    connection.execute(
        "INSERT OR IGNORE INTO measure (name, unit, simulated, sensors) VALUES (?, ?, ?, ?)", values
    )
    found = connection.execute(
        "SELECT id FROM measure WHERE (name, unit, simulated, sensors) = (?, ?, ?, ?)", values
    )
    return int(found.fetchone()[0])

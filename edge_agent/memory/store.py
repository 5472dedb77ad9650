"""Remembers what is perceived, as it is perceived: intervals that grow while nothing changes.

Every interval in the file ends where it was last written, at a change or at a heartbeat, so that a process
that is killed leaves nothing open. The store is what the agent has; `edge-agent memory` opens the Database.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

from edge_agent.clock import NS_PER_S
from edge_agent.memory.database import EVER_NS, Database
from edge_agent.memory.forgetting import prune
from edge_agent.memory.notes import Event, Kind, Note
from edge_agent.memory.series import Series
from edge_agent.types import Clock

HEARTBEAT_S = 10.0
"""What a process that is killed may forget."""
MAX_GAP_S = 3.0
"""Notes further apart than this, or than three hops, do not join: nobody looked between them."""
PRUNE_EVERY_S = 3600.0
"""Also how long a clock that was set must have been left alone before anything is forgotten for its age."""
_STEP_NS = 100_000_000
"""A clock that is this far off its run's offset has been set."""
_log = logging.getLogger(__name__)
_PRUNE_EVERY = 1000


@dataclass(slots=True)
class Bounds:
    """What is kept at most."""

    keep_days: float = 30.0
    max_bytes: int = 128 << 20


@dataclass(slots=True)
class _Open:
    """An interval that may still grow; the probability is a sum over its windows."""

    row: int
    kind: Kind
    end_ns: int
    total: float
    windows: int
    last: int


class Store:
    """The memory of one run, for any thread. `read` is what was written, `lost` counts what could not be.

    Raises ConfigurationError where the file cannot be used.
    """

    def __init__(
        self, path: Path, clock: Clock, bounds: Bounds | None = None, max_gap_s: float = MAX_GAP_S
    ) -> None:
        self.read = Database(path)
        self.lost = 0
        self._clock = clock
        self._bounds = bounds or Bounds()
        self._max_gap_ns = round(max_gap_s * NS_PER_S)
        self._lock = threading.RLock()
        self._open: dict[str, _Open] = {}
        self._kinds: dict[Kind, int] = {}
        self._written = 0
        now_ns = clock.monotonic_ns()
        self._beat_ns = self._pruned_ns = self._stepped_ns = now_ns
        self._seen_ns = now_ns - 1
        self._offset_ns = clock.wall_ns() - now_ns
        with self.read.transaction() as connection:
            run = connection.execute(
                "INSERT INTO run (offset_ns, first_ns, last_ns) VALUES (?, ?, ?)",
                (self._offset_ns, now_ns, now_ns),
            ).lastrowid
        assert run is not None  # it was inserted
        self._run = run
        self._series = Series(self.read, run)

    def close(self) -> None:
        """Write what is not written yet, where the disk takes it, and let go of the file."""
        try:
            self.flush()
        except sqlite3.Error as error:  # what went on then ends with the last heartbeat
            _log.error("cannot remember the end: %s", error)  # the message says it all
        finally:
            self.read.close()

    def wall_ns(self, monotonic_ns: int) -> int:
        """The wall time of a moment of this run, as the clock has it now."""
        return monotonic_ns + self._clock.wall_ns() - self._clock.monotonic_ns()

    @property
    def seen_ns(self) -> int:
        """The wall time of the newest note, or of the start of this run where there is none."""
        return self.wall_ns(self._seen_ns)

    # -- writing ---------------------------------------------------------------------------------------

    def observe(self, note: Note) -> None:
        """Extend what goes on, end what does not, begin what is new. A note from the past is left out."""
        with self._lock:
            if note.at_ns <= self._seen_ns:
                return
            self._seen_ns = note.at_ns
            changed = [
                head for head, (kind, _) in note.read.items() if not self._goes_on(head, kind, note.at_ns)
            ]
            ended = [head for head in self._open if head not in note.read]
            for head, (_, probability) in note.read.items():
                if head not in changed:
                    _extend(self._open[head], note, probability)
            if changed or ended:
                self._change(note, changed, ended)
            self._written += self._series.add(note, self._offset_ns)
            if note.at_ns - self._beat_ns >= HEARTBEAT_S * NS_PER_S:
                self.flush()
            self._keep_bounds()

    def event(self, event: Event) -> None:
        """Remember what was published."""
        with self._lock, self.read.transaction() as connection:
            connection.execute(
                "INSERT INTO event (run, at_ns, name, head, label, previous, probability) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    self._run,
                    event.at_ns,
                    event.id,
                    event.head,
                    event.label,
                    event.previous,
                    event.probability,
                ),
            )
            self._written += 1

    def flush(self) -> None:
        """The heartbeat: write how far everything that goes on has come, and what the clock says."""
        with self._lock, self.read.transaction() as connection:
            now_ns = self._clock.monotonic_ns()
            offset_ns = self._clock.wall_ns() - now_ns
            if abs(offset_ns - self._offset_ns) > _STEP_NS:
                self._stepped_ns = now_ns
            self._offset_ns, self._beat_ns = offset_ns, now_ns
            connection.execute(
                "UPDATE run SET offset_ns = ?, last_ns = max(last_ns, ?) WHERE id = ?",
                (offset_ns, self._seen_ns, self._run),
            )
            for head in [head for head, entry in self._open.items() if not _write(connection, entry)]:
                del self._open[head]  # erased by somebody else
            self._series.flush(connection)

    def _goes_on(self, head: str, kind: Kind, at_ns: int) -> bool:
        entry = self._open.get(head)
        return entry is not None and entry.kind == kind and at_ns - entry.end_ns <= self._max_gap_ns

    def _change(self, note: Note, changed: list[str], ended: list[str]) -> None:
        with self.read.transaction() as connection:
            for head in (*changed, *ended):
                if (entry := self._open.pop(head, None)) is not None:
                    if head in note.read and note.at_ns - entry.end_ns <= self._max_gap_ns:
                        entry.end_ns = note.at_ns  # it held until it was seen to be otherwise
                    _write(connection, entry)
            for head in changed:
                self._open[head] = self._begin(connection, note, *note.read[head])
            connection.execute(
                "UPDATE run SET last_ns = max(last_ns, ?) WHERE id = ?", (note.at_ns, self._run)
            )

    def _begin(self, connection: sqlite3.Connection, note: Note, kind: Kind, probability: float) -> _Open:
        at_ns, number = note.at_ns, note.sequence
        row = connection.execute(
            "INSERT INTO interval (kind, run, start_ns, end_ns, probability, windows, first_window, "
            "last_window) VALUES (?, ?, ?, ?, ?, 1, ?, ?)",
            (_kind(connection, kind), self._run, at_ns, at_ns, probability, number, number),
        ).lastrowid
        assert row is not None  # it was inserted
        self._written += 1
        return _Open(row, kind, at_ns, probability, 1, number)

    def _keep_bounds(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._written < _PRUNE_EVERY and now_ns - self._pruned_ns < PRUNE_EVERY_S * NS_PER_S:
            return
        self._written, self._pruned_ns = 0, now_ns
        self.flush()
        # A clock that was just set may be wrong: what it calls old would be lost when it is set right.
        settled = now_ns - self._stepped_ns >= PRUNE_EVERY_S * NS_PER_S
        kept_ns = round(self._bounds.keep_days * 86_400 * NS_PER_S)
        oldest_ns = self._clock.wall_ns() - kept_ns if settled else -EVER_NS
        prune(self.read, oldest_ns, self._bounds.max_bytes)


def _extend(entry: _Open, note: Note, probability: float) -> None:
    entry.end_ns, entry.last = note.at_ns, note.sequence
    entry.total += probability
    entry.windows += 1


def _write(connection: sqlite3.Connection, entry: _Open) -> bool:
    """Whether the interval is still there to be written: somebody else may have erased it."""
    text = "UPDATE interval SET end_ns = ?, probability = ?, windows = ?, last_window = ? WHERE id = ?"
    mean = entry.total / entry.windows
    return connection.execute(text, (entry.end_ns, mean, entry.windows, entry.last, entry.row)).rowcount > 0


def _kind(connection: sqlite3.Connection, kind: Kind) -> int:
    """The id of a kind, which is made where it is new."""
    values = (kind.head, kind.label, kind.known, kind.novel, kind.simulated, " ".join(kind.sensors))
    names = "head, label, known, novel, simulated, sensors"
    connection.execute(f"INSERT OR IGNORE INTO kind ({names}) VALUES (?, ?, ?, ?, ?, ?)", values)  # noqa: S608
    found = connection.execute(f"SELECT id FROM kind WHERE ({names}) = (?, ?, ?, ?, ?, ?)", values)  # noqa: S608
    return int(found.fetchone()[0])

"""Forgetting: what somebody wants erased, what is too old, and the oldest where there is too much."""

from __future__ import annotations

from edge_agent.memory.database import EVER_NS, Database

_PRUNED_AT_ONCE = 2000
_PART = "kind, run, start_ns, probability, windows, first_window, last_window"


def erase(database: Database, since_ns: int = -EVER_NS) -> int:
    """Forget everything from a moment on (wall ns); the number of rows that were cut.

    Of numbers the whole minute of the moment goes, since its highest may have come after it.
    An interval that reaches across the moment keeps what lies before it, under a new id: the agent that
    still extends the old one finds that it is gone, and begins anew.
    """
    cut = 0
    with database.transaction() as connection:
        for run, offset_ns in database.placed(since_ns, EVER_NS):
            since = since_ns - offset_ns
            kept = connection.execute(
                f"SELECT {_PART} FROM interval WHERE run = ? AND start_ns < ? AND end_ns > ?",  # noqa: S608
                (run.id, since, since),
            ).fetchall()
            reach = "DELETE FROM interval WHERE run = ? AND (end_ns > ? OR start_ns >= ?)"
            cut += connection.execute(reach, (run.id, since, since)).rowcount
            for gone in (
                "DELETE FROM minute WHERE run = ? AND end_ns >= ?",
                "DELETE FROM event WHERE run = ? AND at_ns >= ?",
            ):
                cut += connection.execute(gone, (run.id, since)).rowcount
            connection.executemany(
                f"INSERT INTO interval ({_PART}, end_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                [(*part, since) for part in kept],
            )
    database.shrink()
    return cut


def prune(database: Database, oldest_ns: int, max_bytes: int) -> int:
    """Forget what ended before a moment (wall ns), then the oldest above so many bytes; how many rows."""
    gone = 0
    for run, offset_ns in database.placed(-EVER_NS, oldest_ns):
        with database.transaction() as connection:
            for text in (
                "DELETE FROM interval WHERE run = ? AND end_ns < ?",
                "DELETE FROM minute WHERE run = ? AND end_ns < ?",
                "DELETE FROM event WHERE run = ? AND at_ns < ?",
            ):
                gone += connection.execute(text, (run.id, oldest_ns - offset_ns)).rowcount
    while database.used_bytes() > max_bytes and (dropped := _drop_oldest(database)):
        gone += dropped
    if gone:
        with database.transaction() as connection:
            connection.execute(
                "DELETE FROM run WHERE id < (SELECT max(id) FROM run) "
                "AND id NOT IN (SELECT DISTINCT run FROM interval) "
                "AND id NOT IN (SELECT DISTINCT run FROM minute)"
            )
        database.shrink()
    return gone


def _drop_oldest(database: Database) -> int:
    """The oldest rows of the table that reaches back furthest, and what of the others is as old.

    Ids grow with time, within a run and from run to run.
    """
    tables = {"interval": "start_ns", "minute": "start_ns", "event": "at_ns"}
    oldest = {name: f"SELECT id FROM {name} ORDER BY id LIMIT {_PRUNED_AT_ONCE}" for name in tables}  # noqa: S608
    with database.transaction() as connection:
        spans = []
        for name, column in tables.items():
            text = f"SELECT run, {column} FROM {name} WHERE id IN ({oldest[name]})"  # noqa: S608
            if rows := connection.execute(text).fetchall():
                spans.append((min(rows), max(rows)))
        cut = min(spans, default=((), (0, 0)))[1]
        return sum(
            connection.execute(
                f"DELETE FROM {name} WHERE id IN ({oldest[name]}) AND (run, {column}) <= (?, ?)",  # noqa: S608
                cut,
            ).rowcount
            for name, column in tables.items()
        )

"""Reading an outbox that is not ours to write: one that an agent uses, and one that is damaged."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_agent.delivery.ledger import Ledger
from edge_agent.delivery.store import Row, is_whole, read_ledger, translated
from edge_agent.errors import DeliveryError

_READABLE = "SELECT * FROM message NOT INDEXED WHERE n > ? ORDER BY n "


@contextmanager
def inspect(path: Path) -> Iterator[tuple[Iterator[Row], Callable[[int], Ledger]]]:
    """(what waits, how to read the books) of an outbox that an agent may be using; changes nothing.

    Raises DeliveryError when there is none or it cannot be read.
    """
    if not path.is_file():
        raise DeliveryError(f"there is no outbox at {path}", hint="did an agent run with this configuration?")
    with translated(path), contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA query_only = ON")
        db.execute("BEGIN")  # one moment for all that is read
        yield db.execute("SELECT * FROM message ORDER BY n"), lambda max_bytes: read_ledger(db, max_bytes)


def salvage(aside: Path) -> Iterator[Row]:
    """The messages that can still be read of a damaged file, each checked, none twice; not in order.

    From both ends, since reading stops where the damage is. One at a time: a file may be larger than memory.
    """
    last = -1
    for order in ("ASC", "DESC"):
        for row in _until_damage(aside, _READABLE + order, last):
            with contextlib.suppress(TypeError, ValueError, AttributeError):
                if is_whole(row):
                    last = row[0] if order == "ASC" else last
                    yield row


def _until_damage(path: Path, query: str, after: int) -> Iterator[Any]:
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            yield from db.execute(query, (after,))
    except (sqlite3.Error, UnicodeDecodeError):
        return

"""The file of the outbox: its tables, what makes a commit durable, and what is done about damage.

SQLite in WAL mode. `Sync.FULL` waits for the disk, so a commit survives a power cut; `Sync.NORMAL` leaves it
to the kernel, so a commit survives the death of the process and reaches the disk with the next FULL one.
Nothing here is thread-safe; the outbox holds a lock.

Source: sqlite.org/wal.html and sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import IO

from edge_agent.delivery.ledger import Account, Ledger
from edge_agent.delivery.message import Kind
from edge_agent.errors import DeliveryError

ROW_BYTES = 160
"""What a message costs beside its topic, its body and its correlation: measured, keys and index included."""
KEPT_DAMAGED = 2
"""So many damaged files are kept beside the outbox; the oldest are removed."""
_RESERVE_BYTES = 1024 * 1024
_WAL_LIMIT_BYTES = 8 * 1024 * 1024
_SQL = """
CREATE TABLE log(
    one INTEGER PRIMARY KEY CHECK(one = 1), id TEXT NOT NULL,
    set_aside INTEGER NOT NULL, age_ns INTEGER NOT NULL, monotonic_ns INTEGER NOT NULL, boot TEXT NOT NULL);
CREATE TABLE account(
    kind INTEGER PRIMARY KEY, accepted INTEGER NOT NULL, delivered INTEGER NOT NULL,
    expired INTEGER NOT NULL, evicted INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE source(name TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE message(
    n INTEGER PRIMARY KEY, id TEXT NOT NULL, kind INTEGER NOT NULL, age_ns INTEGER NOT NULL,
    topic TEXT NOT NULL, body BLOB NOT NULL, correlation BLOB, stamped INTEGER NOT NULL,
    checksum INTEGER NOT NULL);
CREATE INDEX by_kind ON message(kind);
"""
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
_COST = f"{ROW_BYTES} + length(CAST(topic AS BLOB)) + length(body) + ifnull(length(correlation), 0)"
_BETWEEN = "SELECT * FROM message WHERE n > ? AND n <= ? ORDER BY n LIMIT ?"
_OLDEST = f"SELECT n, age_ns, {_COST} FROM message WHERE kind = ? ORDER BY n"  # noqa: S608  # our own words
_WAITING = f"SELECT kind, count(*), sum({_COST}) FROM message GROUP BY kind"  # noqa: S608
Row = tuple[int, str, int, int, str, bytes, bytes | None, int, int]
_log = logging.getLogger(__name__)


class Sync(Enum):
    """How far a commit goes before it returns."""

    NORMAL = "NORMAL"
    FULL = "FULL"


class DamageError(DeliveryError):
    """The file holds what was never written there."""


class NoRoomError(DeliveryError):
    """The disk is full, or does not take what is written."""


def checksum(n: int, identity: str, kind: int, topic: str, body: bytes, correlation: bytes | None) -> int:
    """CRC-32 of what must not change while it waits; SQLite itself keeps none."""
    head = f"{n} {identity} {kind} {topic}".encode()
    return zlib.crc32(correlation or b"", zlib.crc32(body, zlib.crc32(head)))


def cost_bytes(topic: str, body: bytes, correlation: bytes | None) -> int:
    """What a message counts against the limit of the outbox."""
    return ROW_BYTES + len(topic.encode()) + len(body) + len(correlation or b"")


def is_whole(row: Row) -> bool:
    """Whether a row is as it was written."""
    n, identity, kind, _, topic, body, correlation, _, check = row
    return checksum(n, identity, kind, topic, body, correlation) == check


class Store:
    """One file, opened and held against every other process until `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.has_reserve = True
        self._sync = Sync.FULL
        self._lock: IO[bytes] | None = None
        self._reserve = path.with_name(f"{path.name}.reserve")
        self.db: sqlite3.Connection = sqlite3.connect(":memory:")

    def open(self) -> None:
        """Open or create the file. Raises DamageError, NoRoomError, or DeliveryError when it is in use."""
        if self._lock is None:
            self._hold()
        try:
            if not self.path.exists():
                os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
            with translated(self.path):
                self.db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
                self._prepare()
        except OSError as error:
            if isinstance(error, DeliveryError):
                raise
            raise _no_room(self.path, error) from error
        self.fill_reserve()

    def _hold(self) -> None:
        """Take the lock that tells other processes to keep off."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = self.path.with_name(f"{self.path.name}.lock").open("ab")
        except OSError as error:
            raise _no_room(self.path, error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise DeliveryError(
                f"another process uses the outbox {self.path}",
                hint="one agent has one outbox: stop the other, or set outbox.path to another file",
            ) from error
        self._lock = lock

    def _prepare(self) -> None:
        run = self.db.execute
        run("PRAGMA auto_vacuum = INCREMENTAL")  # has an effect in a new file only
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        run(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
        self._sync = Sync.FULL
        if not run("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            self.db.executescript(f"BEGIN; {_SQL} COMMIT;")
        complaint = run("PRAGMA quick_check(1)").fetchone()[0]
        if complaint != "ok":
            raise DamageError(f"{self.path}: {complaint}")
        names = {name for (name,) in run("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {"log", "account", "source", "message"} <= names:
            raise DamageError(f"{self.path} is no outbox")

    def fill_reserve(self) -> bool:
        """Take disk space that is given up when there is none left; False where there is none to take."""
        try:
            with self._reserve.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
        except OSError:
            self._reserve.unlink(missing_ok=True)
            self.has_reserve = False
        else:
            self.has_reserve = True
        return self.has_reserve

    def give_reserve(self) -> None:
        """Give up the reserve, so that there is room to note what was delivered, but for nothing new."""
        self._reserve.unlink(missing_ok=True)
        self.has_reserve = False
        self.checkpoint()

    def shrink(self) -> None:
        """Give back to the disk what is empty in the file. Raises DamageError or NoRoomError."""
        with translated(self.path):
            self.db.execute("PRAGMA incremental_vacuum").fetchall()
        self.checkpoint()

    @contextmanager
    def transaction(self, sync: Sync) -> Iterator[sqlite3.Connection]:
        """All or nothing. Raises DamageError or NoRoomError, then nothing of it happened."""
        with translated(self.path):
            if sync is not self._sync:
                self.db.execute(f"PRAGMA synchronous = {sync.value}")
                self._sync = sync
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
                self.db.execute("COMMIT")
            except BaseException:
                # SQLite may have rolled back by itself, and then says that there is nothing to roll back.
                with contextlib.suppress(sqlite3.Error):
                    self.db.execute("ROLLBACK")
                raise

    def between(self, after: int, last: int, most: int) -> list[Row]:
        """Up to `most` messages of the numbers `after` + 1 to `last`, in order. Raises DamageError."""
        if most <= 0 or last <= after:
            return []
        with translated(self.path):
            found: list[Row] = self.db.execute(_BETWEEN, (after, last, most)).fetchall()
            return found

    def oldest(self, kind: Kind) -> Iterator[tuple[int, int, int]]:
        """(n, age in ns, cost in bytes) of the messages of a kind, oldest first. Raises DamageError."""
        with translated(self.path):
            yield from self.db.execute(_OLDEST, (int(kind),))

    def checkpoint(self) -> None:
        """Bring everything into the file itself and empty the log beside it."""
        with translated(self.path):
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def set_aside(self, name: str) -> Path:
        """Close the file and move it away as `<file>.damaged-<name>`; the newest KEPT_DAMAGED are kept.

        The reserve is given up for the new file; `open` takes it again.
        """
        self._close_db()
        self._reserve.unlink(missing_ok=True)
        aside = self.path.with_name(f"{self.path.name}.damaged-{name}")
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}{end}").rename(f"{aside}{end}")
        kept = sorted(self.path.parent.glob(f"{self.path.name}.damaged-{'?' * len(name)}"))
        for old in kept[:-KEPT_DAMAGED]:
            for end in ("", "-wal", "-shm"):
                Path(f"{old}{end}").unlink(missing_ok=True)
        return aside

    def _close_db(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.db.close()

    def close(self) -> None:
        """Free the file and the lock."""
        self._close_db()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours: damage, no room, or the mistake that it is."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        # What Python's own module complains of, such as a closed file, has no code and is no damage.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
        # "no such table" and "no such column" are plain errors to SQLite, and damage to us.
        if code in _DAMAGE or code == sqlite3.SQLITE_ERROR:
            raise DamageError(f"{path}: {error}") from error
        if code in _NO_ROOM:
            raise _no_room(path, error) from error
        raise DeliveryError(f"{path}: {error}") from error
    except UnicodeDecodeError as error:
        raise DamageError(f"{path}: {error}") from error


def _no_room(path: Path, error: Exception) -> NoRoomError:
    return NoRoomError(
        f"the outbox {path} cannot be written: {getattr(error, 'strerror', None) or error}",
        hint="free space on that disk, or check that the folder may be written to",
    )


def read_ledger(db: sqlite3.Connection, max_bytes: int) -> Ledger:
    """The books as they stand in the file. Raises DamageError where some are missing."""
    log = db.execute("SELECT id, set_aside FROM log").fetchone()
    kinds = {int(kind) for kind in Kind}
    books = {kind: counts for kind, *counts in db.execute("SELECT * FROM account") if kind in kinds}
    if log is None or set(books) != kinds:
        raise DamageError("the books are incomplete")
    accounts = {Kind(kind): Account(*counts) for kind, counts in books.items()}
    for kind, count, size_bytes in db.execute(_WAITING):
        if kind not in kinds:
            raise DamageError(f"there is no kind {kind} of messages")
        accounts[Kind(kind)].queued, accounts[Kind(kind)].bytes = count, size_bytes
    return Ledger(log[0], accounts, max_bytes, log[1])

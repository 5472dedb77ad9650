"""The file of the outbox and its books: a message and what is counted of it change in one commit.

Nothing here is thread-safe; the outbox holds a lock.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from edge_agent.clock import NS_PER_S
from edge_agent.delivery.age import Age, boot_id
from edge_agent.delivery.ids import new_id
from edge_agent.delivery.ledger import Account, Ledger
from edge_agent.delivery.message import Kind
from edge_agent.delivery.reading import salvage
from edge_agent.delivery.store import (
    DamageError,
    NoRoomError,
    Store,
    Sync,
    cost_bytes,
    read_ledger,
)
from edge_agent.errors import DeliveryError
from edge_agent.types import Clock

SYNC_S = 5.0
"""Telemetry and acknowledgements wait so long for the disk at most, while anything is written."""
_DURABLE = (Kind.ANSWER, Kind.EVENT)
Result = TypeVar("Result")
Accounts = dict[Kind, Account]
_log = logging.getLogger(__name__)


class Books:
    """`accounts` say what became of every message, `sources` the last sequence number of each stream."""

    def __init__(self, path: Path, max_bytes: int, clock: Clock, boot: str | None = None) -> None:
        self.reason = ""
        """What was wrong with the file last; empty while nothing was."""
        self.id = ""
        """Of the log: a ULID from when the file was begun; empty before `open`."""
        self.accounts: Accounts = {}
        self.sources: dict[str, int] = {}
        self.next = 1
        """The number of the next message; none is given twice, whatever file it was in."""
        self.store = Store(path)
        self.age = Age(clock, boot_id() if boot is None else boot)
        self._max_bytes = max_bytes
        self._clock = clock
        self._set_aside = 0
        self._aside: Path | None = None
        """A damaged file, until what can be read of it is in a new one."""
        self._synced_ns = -(2**62)

    def open(self) -> None:
        """Open the file, or set a damaged one aside and begin a new one with what can be read of it.

        Raises DeliveryError when there is no room, or another process has it.
        """
        try:
            self._open()
        except DamageError as error:
            self._put_aside(error)
            self._open()

    def close(self) -> None:
        """Bring everything to the disk and free the file."""
        with suppress(DeliveryError):
            if self.id:
                self._note_age()
        self.store.close()
        self._aside = None

    def _open(self) -> None:
        self.store.open()
        self._load()
        if self._aside is not None:
            self._save(self._aside)
            self._aside = None

    def _load(self) -> None:
        """Read the books. Raises DamageError where they do not balance."""
        with self.store.transaction(Sync.FULL) as db:
            if db.execute("SELECT 1 FROM log").fetchone() is None:
                begun = (new_id(self._clock.wall_ns()), self._set_aside, *self.age.note())
                db.execute("INSERT INTO log VALUES(1, ?, ?, ?, ?, ?)", begun)
                db.executemany("INSERT INTO account VALUES(?, 0, 0, 0, 0)", [(int(kind),) for kind in Kind])
            ledger = read_ledger(db, self._max_bytes)
            self.sources = dict(db.execute("SELECT name, last FROM source"))
            noted = db.execute("SELECT age_ns, monotonic_ns, boot FROM log").fetchone()
            last = db.execute("SELECT max(n), max(age_ns) FROM message").fetchone()
        if not ledger.balances:
            raise DamageError("what was accepted is not what waits and what left")
        self.id, self._set_aside, self.accounts = ledger.log, ledger.set_aside, ledger.accounts
        self.next = max(self.next, (last[0] or 0) + 1)
        self.age.go_on(noted, last[1] or 0)
        self._note_age()

    def _note_age(self) -> None:
        with self.store.transaction(Sync.FULL) as db:
            db.execute("UPDATE log SET age_ns = ?, monotonic_ns = ?, boot = ?", self.age.note())

    def _put_aside(self, error: DamageError) -> None:
        """Move the damaged file away, so that `_open` begins a new one."""
        self._aside = self.store.set_aside(new_id(self._clock.wall_ns()))
        self._set_aside += 1
        self.reason = f"the outbox was damaged ({error}) and is kept as {self._aside.name}"
        _log.error("%s", self.reason)

    def _save(self, aside: Path) -> None:
        """Take over every message of a damaged file that can still be read, under its number and id."""
        try:
            self.with_reserve(lambda: self._copy(aside))
        except NoRoomError as error:
            _log.error("nothing of %s was saved: %s", aside.name, error)

    def _copy(self, aside: Path) -> None:
        kept, newest_ns, following = 0, 0, self.next
        with self.amend(Sync.FULL) as (db, accounts):
            for row in salvage(aside):
                db.execute("INSERT INTO message VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
                accounts[Kind(row[2])].take_in(cost_bytes(row[4], row[5], row[6]))
                newest_ns, following, kept = max(newest_ns, row[3]), max(following, row[0] + 1), kept + 1
        self.next = following
        self.age.go_on(self.age.note(), newest_ns)
        self._note_age()
        _log.warning("%d messages of the damaged outbox were saved", kept)

    def guarded(self, work: Callable[[], Result]) -> Result:
        """Do it, once more on a new file when the old one turned out to be damaged.

        Raises NoRoomError where there is no room for a new one; the next call tries that again.
        """
        if self._aside is not None:
            self._open()
        try:
            return work()
        except DamageError as error:
            self._put_aside(error)
            self._open()
            return work()

    def with_reserve(self, work: Callable[[], Result]) -> Result:
        """Do what leaves more room than before, and needs some for it: the reserve, where nothing is left."""
        try:
            return work()
        except NoRoomError:
            self.store.give_reserve()
            return work()

    @contextmanager
    def amend(self, sync: Sync) -> Iterator[tuple[sqlite3.Connection, Accounts]]:
        """A transaction and the books it may change; both happen or neither does."""
        accounts = {kind: account.copy() for kind, account in self.accounts.items()}
        with self.store.transaction(sync) as db:
            yield db, accounts
            for kind, a in accounts.items():
                if a != self.accounts[kind]:
                    counts = (int(kind), a.accepted, a.delivered, a.expired, a.evicted)
                    db.execute("REPLACE INTO account VALUES(?, ?, ?, ?, ?)", counts)
        self.accounts = accounts
        if sync is Sync.FULL:
            self._synced_ns = self._clock.monotonic_ns()

    def sync_for(self, kinds: Iterable[Kind] = ()) -> Sync:
        """Whether a commit must wait for the disk."""
        due = self._clock.monotonic_ns() - self._synced_ns >= SYNC_S * NS_PER_S
        return Sync.FULL if due or any(kind in _DURABLE for kind in kinds) else Sync.NORMAL

    def ledger(self) -> Ledger:
        """The books at this moment, for keeps."""
        accounts = {kind: account.copy() for kind, account in self.accounts.items()}
        return Ledger(self.id, accounts, self._max_bytes, self._set_aside)

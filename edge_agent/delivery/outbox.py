"""What was accepted reaches the broker: the queue on disk between the agent and its connection.

Once `accept` returns an id, the message survives the death of the process; an event or an answer survives a
power cut too, telemetry with the next commit that waits for the disk: at most SYNC_S (books.py) later while
anything is written. A message leaves only by the PUBACK of its own publish, by its age, or to make room; at
all times accepted = delivered + queued + expired + evicted (`Ledger`).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge_agent.clock import NS_PER_S
from edge_agent.delivery import stamp
from edge_agent.delivery.books import Accounts, Books
from edge_agent.delivery.ids import new_id
from edge_agent.delivery.ledger import Ledger
from edge_agent.delivery.message import Kind, Message
from edge_agent.delivery.room import Limits, Room
from edge_agent.delivery.store import DamageError, NoRoomError, Row, checksum, cost_bytes, is_whole
from edge_agent.errors import DeliveryError
from edge_agent.types import Clock

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Entry:
    """A message that was taken to be sent; to be given back to the outbox as delivered or refused."""

    n: int
    id: str
    kind: Kind
    cost_bytes: int
    message: Message


class Outbox:
    """Thread-safe. `open` before anything else, `close` at the end; `boot` names the boot for tests."""

    def __init__(self, path: Path, limits: Limits, clock: Clock, boot: str | None = None) -> None:
        self._ttl_s = limits.ttl_s
        self._clock = clock
        self._books = Books(path, limits.max_bytes, clock, boot)
        self._lock = threading.RLock()
        self._live_from = self._taken_live = self._taken_old = 0
        self._flying: dict[int, Entry] = {}
        self._room = Room(self._books, limits, clock, self._flying)
        self._unnoted: list[tuple[Entry, bool]] = []
        """What left and could not be noted yet: each with whether it was delivered."""

    def open(self) -> None:
        """Open the file, or set a damaged one aside and begin a new one with what can be read of it.

        Raises DeliveryError when there is no room, or another process has it.
        """
        with self._lock:
            self._books.open()
            self.begin()

    def close(self) -> None:
        """Bring everything to the disk and free the file."""
        with self._lock:
            self._books.close()

    @property
    def reason(self) -> str:
        """What was wrong with the file last; empty while nothing was."""
        return self._books.reason

    def _guarded(self, work: Callable[[], Result]) -> Result:
        with self._lock:
            return self._books.guarded(work)

    # -- in --------------------------------------------------------------------------------------------------

    def accept(self, message: Message) -> str | None:
        """Keep a message; its id, or None where all that waits is worth more and there is no room.

        Raises NoRoomError when the disk does not take it: then it is not accepted.
        """
        return self.accept_all([message])[0]

    def accept_all(self, messages: Sequence[Message]) -> list[str | None]:
        """As `accept`, all of them or none, in one commit."""

        def work() -> list[str | None]:
            self._room.expire()
            store = self._books.store
            if not store.has_reserve and not store.fill_reserve():
                raise NoRoomError(f"the disk of the outbox {store.path} is full", hint="free space on it")
            try:
                return self._insert_all(messages)
            except NoRoomError:
                store.give_reserve()  # to end what is there twice, in the file and in the log beside it
                if not store.fill_reserve():
                    raise
                return self._insert_all(messages)

        return self._guarded(work)

    def _insert_all(self, messages: Sequence[Message]) -> list[str | None]:
        sources: dict[str, int] = {}
        with self._books.amend(self._books.sync_for(message.kind for message in messages)) as (db, accounts):
            ids = [
                self._insert(db, accounts, sources, self._books.next + offset, message)
                for offset, message in enumerate(messages)
            ]
            db.executemany("INSERT OR REPLACE INTO source VALUES(?, ?)", sources.items())
        self._books.sources |= sources
        self._books.next += len(messages)
        return ids

    def _insert(
        self, db: sqlite3.Connection, accounts: Accounts, sources: dict[str, int], n: int, message: Message
    ) -> str | None:
        identity, body = new_id(self._clock.wall_ns()), message.payload
        if stamped := bool(message.source) and stamp.is_object(body):
            sequence = sources.get(message.source, self._books.sources.get(message.source, 0)) + 1
            sources[message.source] = sequence
            body = stamp.open_stamp(body, identity, self._books.id, message.source, sequence)
        kind, topic, correlation = message.kind, message.topic, message.correlation
        cost = cost_bytes(topic, body, correlation)
        accounts[kind].take_in(cost)
        if not self._room.make(db, accounts, kind):
            accounts[kind].let_go(cost)
            accounts[kind].evicted += 1
            return None
        check = checksum(n, identity, kind, topic, body, correlation)
        row = (n, identity, int(kind), self._books.age.now_ns(), topic, body, correlation, stamped, check)
        db.execute("INSERT INTO message VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        return identity

    # -- out -------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A new connection: nothing is on its way, and all that waits now is backlog."""
        with self._lock:
            self._flying.clear()
            self._live_from = self._taken_live = self._books.next - 1
            self._taken_old = 0

    def take(self, most: int) -> list[Entry]:
        """Up to `most` messages to send, live ones first, each once for a connection; perhaps none.

        None, too, while the disk fails: `reason` says why.
        """
        try:
            return self._guarded(lambda: self._take_all(most))
        except DeliveryError as error:
            self._books.reason = str(error)
            return []

    def _take_all(self, most: int) -> list[Entry]:
        if self._unnoted:
            self._note([])
        if self._unnoted:
            return []  # what is not known to be noted would be sent again after a crash, without bound
        self._room.expire()
        if most <= 0 or self._queued <= len(self._flying):
            return []
        store = self._books.store
        rows = store.between(self._taken_live, self._books.next, most)
        rows += store.between(self._taken_old, self._live_from, most - len(rows))
        if torn := [row for row in rows if not is_whole(row)]:
            raise DamageError(f"message {torn[0][0]} is not what was written")
        return [self._take(row) for row in rows]

    def _take(self, row: Row) -> Entry:
        n, identity, kind, age_ns, topic, body, correlation, stamped, _ = row
        historical = n <= self._live_from
        payload = stamp.close_stamp(body, historical=historical) if stamped else body
        left_s = self._ttl_s.get(Kind(kind))
        if left_s is not None:
            left_s -= (self._books.age.now_ns() - age_ns) / NS_PER_S
        message = Message(
            topic, payload, correlation=correlation, kind=Kind(kind),
            expiry_s=None if left_s is None else max(1, round(left_s)),
        )  # fmt: skip
        entry = Entry(n, identity, Kind(kind), cost_bytes(topic, body, correlation), message)
        self._flying[n] = entry
        if historical:
            self._taken_old = n
        else:
            self._taken_live = n
        return entry

    def acknowledge(self, entries: Sequence[Entry]) -> None:
        """The broker has these. What a failing disk does not let us note is kept until it does."""
        if entries:
            self._note([(entry, True) for entry in entries])

    def refuse(self, entry: Entry) -> None:
        """The broker will never take this one; it is counted as evicted. Kept as in `acknowledge`."""
        self._note([(entry, False)])

    def _note(self, gone: Sequence[tuple[Entry, bool]]) -> None:
        def work() -> None:
            self._books.with_reserve(lambda: self._remove(self._unnoted))
            self._unnoted = []
            if not self._queued and not self._books.store.has_reserve:
                self._books.store.shrink()

        with self._lock:
            self._unnoted = [*self._unnoted, *gone]
            try:
                self._books.guarded(work)
            except DeliveryError as error:
                self._books.reason = str(error)

    def _remove(self, gone: Sequence[tuple[Entry, bool]]) -> None:
        with self._books.amend(self._books.sync_for()) as (db, accounts):
            for entry, delivered in gone:
                found = db.execute("DELETE FROM message WHERE n = ? AND id = ?", (entry.n, entry.id))
                if not found.rowcount:
                    continue  # it was in a page that was damaged, so it is in no book either
                accounts[entry.kind].let_go(entry.cost_bytes)
                accounts[entry.kind].delivered += delivered
                accounts[entry.kind].evicted += not delivered
        for entry, _ in gone:
            self._flying.pop(entry.n, None)

    def release(self, entry: Entry) -> None:
        """The broker does not take this one now: it waits, and may expire or make room meanwhile."""
        with self._lock:
            self._flying.pop(entry.n, None)

    def retake(self, entry: Entry) -> bool:
        """Send a released one again; False where it does not wait any more."""

        def work() -> bool:
            self._room.expire()
            if [row[1] for row in self._books.store.between(entry.n - 1, entry.n, 1)] != [entry.id]:
                return False
            self._flying[entry.n] = entry
            return True

        return self._guarded(work)

    # -- books -----------------------------------------------------------------------------------------------

    @property
    def _queued(self) -> int:
        return sum(account.queued for account in self._books.accounts.values())

    @property
    def queued(self) -> int:
        """Messages that wait for their PUBACK."""
        with self._lock:
            return self._queued

    def ledger(self) -> Ledger:
        """What was accepted and what became of it, at one moment."""
        with self._lock:
            try:
                self._books.guarded(self._room.expire)
            except DeliveryError as error:
                self._books.reason = str(error)
            return self._books.ledger()

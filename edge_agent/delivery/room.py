"""What leaves the outbox undelivered: the least worth where room is short, and what is too old.

Nothing of what is on its way to the broker is touched. Not thread-safe; the outbox holds a lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container
from dataclasses import dataclass, field

from edge_agent.clock import NS_PER_S
from edge_agent.delivery.books import Accounts, Books
from edge_agent.delivery.message import Kind
from edge_agent.delivery.store import NoRoomError
from edge_agent.types import Clock

_EXPIRE_EVERY_S = 1.0
Leaving = tuple[int, Kind, int]
"""(number of the message, its kind, its cost in bytes)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of all that waits, and for how many seconds each kind is worth sending."""

    max_bytes: int
    ttl_s: dict[Kind, float] = field(default_factory=dict)


class Room:
    """`flying` holds the numbers of the messages that are on their way."""

    def __init__(self, books: Books, limits: Limits, clock: Clock, flying: Container[int]) -> None:
        self._books = books
        self._limits = limits
        self._clock = clock
        self._flying = flying
        self._expired_ns = -(2**62)

    def make(self, db: sqlite3.Connection, accounts: Accounts, newest: Kind) -> bool:
        """Evict the oldest of the least worth, none that is worth more than `newest`; False: not enough."""
        excess = sum(account.bytes for account in accounts.values()) - self._limits.max_bytes
        evicted: list[Leaving] = []
        for kind in sorted(Kind):
            if excess <= 0 or kind > newest:
                break
            for n, _, cost in self._books.store.oldest(kind):
                if n not in self._flying:
                    evicted.append((n, kind, cost))
                    excess -= cost
                if excess <= 0:
                    break
        if excess > 0:
            return False
        for n, kind, cost in evicted:
            db.execute("DELETE FROM message WHERE n = ?", (n,))
            accounts[kind].let_go(cost)
            accounts[kind].evicted += 1
        return True

    def expire(self) -> None:
        """Let go what is not worth sending any more; later, where that was just done or the disk fails."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._expired_ns < _EXPIRE_EVERY_S * NS_PER_S:
            return
        self._expired_ns = now_ns
        if not (due := self._due()):
            return
        try:
            self._books.with_reserve(lambda: self._expire(due))
        except NoRoomError as error:
            self._books.reason = str(error)

    def _due(self) -> list[Leaving]:
        due: list[Leaving] = []
        for kind, ttl_s in self._limits.ttl_s.items():
            limit_ns = self._books.age.now_ns() - round(ttl_s * NS_PER_S)
            for n, age_ns, cost in self._books.store.oldest(kind):
                if age_ns > limit_ns:
                    break
                if n not in self._flying:
                    due.append((n, kind, cost))
        return due

    def _expire(self, due: list[Leaving]) -> None:
        with self._books.amend(self._books.sync_for()) as (db, accounts):
            for n, kind, cost in due:
                db.execute("DELETE FROM message WHERE n = ?", (n,))
                accounts[kind].let_go(cost)
                accounts[kind].expired += 1

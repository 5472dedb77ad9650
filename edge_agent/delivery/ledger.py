"""The books of the outbox: for each kind of message, what was accepted and what became of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from edge_agent.delivery.message import Kind


@dataclass(slots=True)
class Account:
    """Messages since the log began; `queued` and `bytes` are of those that wait now."""

    accepted: int = 0
    delivered: int = 0
    expired: int = 0
    evicted: int = 0
    queued: int = 0
    bytes: int = 0

    @property
    def balances(self) -> bool:
        """Whether every message that came is accounted for."""
        counts = (self.delivered, self.expired, self.evicted, self.queued)
        return min(counts) >= 0 and self.accepted == sum(counts)

    def take_in(self, cost_bytes: int) -> None:
        """A message came and waits."""
        self.accepted += 1
        self.queued += 1
        self.bytes += cost_bytes

    def let_go(self, cost_bytes: int) -> None:
        """A message waits no more; the caller says what became of it."""
        self.queued -= 1
        self.bytes -= cost_bytes

    def copy(self) -> Account:
        """Another one with the same figures."""
        return replace(self)

    def as_json(self) -> dict[str, int]:
        """The figures."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True)
class Ledger:
    """All accounts at one moment. `log` is the id of the file since it was begun, a ULID."""

    log: str
    accounts: dict[Kind, Account]
    max_bytes: int
    set_aside: int
    """How many damaged files this outbox has begun anew from."""

    @property
    def total(self) -> Account:
        """The sum over the kinds."""
        summed = Account()
        for account in self.accounts.values():
            for one in fields(Account):
                setattr(summed, one.name, getattr(summed, one.name) + getattr(account, one.name))
        return summed

    @property
    def balances(self) -> bool:
        """Whether every account does."""
        return all(account.balances for account in self.accounts.values())

    def as_json(self) -> dict[str, Any]:
        """Totals, then each kind."""
        return {
            "log": self.log,
            **self.total.as_json(),
            "max_bytes": self.max_bytes,
            "set_aside": self.set_aside,
            "kinds": {kind.name.lower(): self.accounts[kind].as_json() for kind in self.accounts},
        }

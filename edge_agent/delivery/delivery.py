"""What the agent asks of whatever brings its messages to a broker."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

from edge_agent.delivery.message import Message
from edge_agent.delivery.outbox import Outbox


@dataclass(slots=True)
class DeliveryStatus:
    """Counters, written by the thread that delivers alone and read by the health report."""

    connected: bool = False
    reason: str = "not connected yet"
    hint: str = ""
    connects: int = 0
    acknowledged: int = 0
    refused: int = 0
    deferred: int = 0
    """How often the broker would not take a message now (quota exceeded)."""
    steps: int = 0
    unstored: int = 0
    """Messages that the outbox could not take and that wait in memory only."""
    storage: str = ""
    """Why the outbox took none lately; empty while it does."""


class Delivery(Protocol):
    """What takes the agent's messages to a broker: the publisher of JSON, and the Sparkplug edge node."""

    status: DeliveryStatus

    @property
    def queued(self) -> int:
        """Messages that wait for the broker."""
        ...

    @property
    def outbox(self) -> Outbox | None:
        """Where messages wait on disk; None: in memory."""
        ...

    @property
    def dropped(self) -> int:
        """Messages lost because too many waited."""
        ...

    def publish(self, message: Message) -> None:
        """Take a message, from any thread; waits for the disk at most."""
        ...

    def open(self) -> None:
        """Open what waits on disk; raises nothing."""
        ...

    def close(self) -> None:
        """Free it."""
        ...

    def wake(self) -> None:
        """End the wait of `run` at once."""
        ...

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop`. Raises nothing."""
        ...

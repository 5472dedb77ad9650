"""When it is known that the broker has what was sent with QoS 0, which nobody acknowledges. No I/O.

A broker reads one connection in order: its SUBACK to a subscription that is renewed after the data says that
it has the data.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from edge_agent.delivery.sparkplug.kept import Waiting

WINDOW = 200
"""Messages that were sent and not confirmed, at most: so many may be told twice after a crash."""
RECEIPT_S = 5.0
"""And none for longer than this; sooner where half of the window is out."""


class Receipts:
    """What was sent on one connection and is not known to be with the broker."""

    def __init__(self) -> None:
        self.sent: list[Waiting] = []
        self._asked: list[Waiting] = []
        self._receipt: int | None = None
        self._since_s = time.monotonic()

    @property
    def unconfirmed(self) -> list[Waiting]:
        """Oldest first."""
        return self._asked + self.sent

    @property
    def room(self) -> int:
        """How many more may be sent."""
        return WINDOW - len(self._asked) - len(self.sent)

    def ask(self, subscribe: Callable[[], int]) -> None:
        """Ask for a receipt where it is time; `subscribe` gives the id that it will come under."""
        due = time.monotonic() - self._since_s >= RECEIPT_S or len(self.sent) >= WINDOW // 2
        if self.sent and due and self._receipt is None:
            self._receipt = subscribe()
            self._asked, self.sent = self.sent, []
            self._since_s = time.monotonic()

    def come(self, identity: int) -> list[Waiting]:
        """What a receipt of this id confirms."""
        if identity != self._receipt:
            return []
        confirmed, self._asked, self._receipt = self._asked, [], None
        return confirmed

    def all_come(self) -> list[Waiting]:
        """Something was acknowledged that was sent after everything else."""
        confirmed = self.unconfirmed
        self.sent, self._asked, self._receipt = [], [], None
        return confirmed

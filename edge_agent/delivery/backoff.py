"""How long to wait before the next attempt: exponential with full jitter and a cap.

Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: of the variants compared there, full
jitter makes a crowd of clients return with the least work for the server.
"""

from __future__ import annotations

import random


class FullJitter:
    """Delays uniform in 0..min(cap_s, base_s * 2**attempt); `reset` after a success."""

    def __init__(self, base_s: float, cap_s: float, source: random.Random | None = None) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._random = source or random.Random()
        self._attempt = 0

    def next_s(self) -> float:
        """The next delay in seconds."""
        # 2**63 is far above any cap; the bound keeps the power from growing for years.
        ceiling_s = min(self._cap_s, self._base_s * 2 ** min(self._attempt, 63))
        self._attempt += 1
        return self._random.uniform(0, ceiling_s)

    def reset(self) -> None:
        """Begin again with the shortest delay."""
        self._attempt = 0

"""Clocks: the machine's own, one that runs faster or slower, and one that a test moves by hand.

Time is a seam: whoever waits for a moment asks the clock to wait, so a recording can be played without
waiting and a whole agent can run at twice its speed with every stage agreeing on the time.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

from edge_agent.types import Clock

NS_PER_S = 1_000_000_000


class PacingClock(Clock, Protocol):
    """A clock that can also be waited for."""

    def wait_until(self, deadline_ns: int, stop: threading.Event) -> bool:
        """Block until `monotonic_ns()` reaches the deadline; False at once when `stop` is set."""
        ...


class SystemClock:
    """The machine's monotonic and wall clocks. `speed` is how many seconds pass in a real second."""

    def __init__(self, speed: float = 1.0) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be positive, it is {speed}")
        self._speed = speed
        self._start_monotonic_ns = time.monotonic_ns()
        self._start_wall_ns = time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back."""
        now_ns = time.monotonic_ns()
        if self._speed == 1.0:
            return now_ns
        return self._start_monotonic_ns + round((now_ns - self._start_monotonic_ns) * self._speed)

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 UTC; may jump when the machine's clock is set."""
        if self._speed == 1.0:
            return time.time_ns()
        return self._start_wall_ns + self.monotonic_ns() - self._start_monotonic_ns

    def wait_until(self, deadline_ns: int, stop: threading.Event) -> bool:
        """See PacingClock."""
        remaining_s = (deadline_ns - self.monotonic_ns()) / NS_PER_S / self._speed
        return not (stop.wait(remaining_s) if remaining_s > 0 else stop.is_set())


class ManualClock:
    """A clock that stands still until it is moved. Waiting for it moves it: nothing ever blocks."""

    def __init__(self, start_ns: int = 0, wall_offset_ns: int = 0) -> None:
        self._now_ns = start_ns
        self._wall_offset_ns = wall_offset_ns
        self._lock = threading.Lock()

    def monotonic_ns(self) -> int:
        """The time it was last moved to."""
        return self._now_ns

    def wall_ns(self) -> int:
        """The same time, shifted by the offset given at the start."""
        return self._now_ns + self._wall_offset_ns

    def advance(self, seconds: float) -> None:
        """Move forward."""
        with self._lock:
            self._now_ns += round(seconds * NS_PER_S)

    def wait_until(self, deadline_ns: int, stop: threading.Event) -> bool:
        """See PacingClock; arrives at once."""
        if stop.is_set():
            return False
        with self._lock:
            self._now_ns = max(self._now_ns, deadline_ns)
        return True

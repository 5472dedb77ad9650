"""How old what waits is, on a clock that the wall clock cannot move.

The monotonic clock, carried over restarts of the process within one boot of the machine. After a reboot it
goes on where it was noted last: how long the machine was off is unknown without a wall clock that can be
trusted, and does not count, so that a wrong one neither expires anything nor keeps it.
"""

from __future__ import annotations

from pathlib import Path

from edge_agent.types import Clock

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
Noted = tuple[int, int, str]
"""(age in ns, the monotonic clock then in ns, which boot that was)."""


def boot_id() -> str:
    """Names this boot of the machine; empty where the kernel does not say. Source: random(4)."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


class Age:
    """Nanoseconds since the outbox began, of which it knows."""

    def __init__(self, clock: Clock, boot: str) -> None:
        self._clock = clock
        self._boot = boot
        self._base_ns = (0, clock.monotonic_ns())

    def now_ns(self) -> int:
        """Never goes back."""
        return self._base_ns[0] + self._clock.monotonic_ns() - self._base_ns[1]

    def note(self) -> Noted:
        """What `go_on` needs to know later, perhaps in another process."""
        return self.now_ns(), self._clock.monotonic_ns(), self._boot

    def go_on(self, noted: Noted, newest_ns: int) -> None:
        """Continue from a note; never behind `newest_ns`, the age of the newest thing that waits."""
        age_ns, then_ns, boot = noted
        now_ns = self._clock.monotonic_ns()
        if boot and boot == self._boot and now_ns >= then_ns:
            age_ns += now_ns - then_ns
        self._base_ns = (max(age_ns, newest_ns), now_ns)

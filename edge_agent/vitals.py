"""What the agent costs: memory and processor time from /proc, latencies from its own stages."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_KEPT = 512


class Latencies:
    """The last durations of one kind, in milliseconds. Written by one thread, read by another."""

    def __init__(self) -> None:
        self.count = 0
        self._recent: deque[float] = deque(maxlen=_KEPT)

    def add(self, milliseconds: float) -> None:
        """Note one duration."""
        self.count += 1
        self._recent.append(milliseconds)

    def summary(self) -> dict[str, float | int | None]:
        """Count since the start; median, 95th percentile and maximum of the last ones."""
        recent = list(self._recent)
        if not recent:
            return {"count": self.count, "p50": None, "p95": None, "max": None}
        p50, p95 = np.percentile(recent, [50, 95])
        return {
            "count": self.count,
            "p50": round(float(p50), 2),
            "p95": round(float(p95), 2),
            "max": round(max(recent), 2),
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """Resident memory in bytes and processor seconds of some processes; 0 where /proc cannot be read."""

    rss_bytes: int = 0
    cpu_s: float = 0.0


def usage(pids: Iterable[int]) -> Usage:
    """The sum over `pids`; one that ended counts nothing. Source: proc(5), `statm` and `stat`."""
    page_bytes, tick_hz = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
    rss_bytes, cpu_s = 0, 0.0
    for pid in pids:
        try:
            resident = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        # The second field is the program's name and may hold anything, also blanks and brackets.
        fields = stat.rpartition(")")[2].split()
        rss_bytes += int(resident) * page_bytes
        cpu_s += (int(fields[11]) + int(fields[12])) / tick_hz
    return Usage(rss_bytes, cpu_s)

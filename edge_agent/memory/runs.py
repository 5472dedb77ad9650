"""Where the runs of the agent lie in wall time. Pure.

Intervals are kept on the monotonic clock of the run that saw them, and a run has one offset to wall time: the
newest that it knew. So when the clock is set, by an hour or by a year, the whole run moves with it, and no
interval is torn. What a run without a right clock said of itself is bent to what must be true: runs follow
one another, and the newest is where the clock says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """A start of the agent: its first and last moment, monotonic ns, and wall minus monotonic."""

    id: int
    offset_ns: int
    first_ns: int
    last_ns: int


def place(runs: Sequence[Run]) -> dict[int, int]:
    """run id -> its offset in ns, such that runs in the order of their ids never overlap in wall time.

    A run that begins before the one before it ended is moved later: a clock that was not set yet lags. What
    then does not fit before the next is moved earlier again, the newest run never.
    """
    starts: list[int] = []
    for i, run in enumerate(runs):
        start_ns = run.first_ns + run.offset_ns
        if i and i < len(runs) - 1:
            start_ns = max(start_ns, starts[-1] + runs[i - 1].last_ns - runs[i - 1].first_ns)
        starts.append(start_ns)
    for i in range(len(runs) - 2, -1, -1):
        starts[i] = min(starts[i], starts[i + 1] - (runs[i].last_ns - runs[i].first_ns))
    return {run.id: start_ns - run.first_ns for run, start_ns in zip(runs, starts, strict=True)}

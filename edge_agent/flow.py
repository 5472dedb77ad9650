"""How the samples of one sensor flow: rate, jitter, offset, gaps, age, and the newest values. Pure."""

from __future__ import annotations

import numpy as np

from edge_agent.clock import NS_PER_S
from edge_agent.delivery.payloads import Flow
from edge_agent.types import Chunk, Int64, Values
from edge_agent.windows import SlotStats, Windows

KEPT_SAMPLES = 256
"""Rate and jitter are of so many newest samples at most."""
GAP_PERIODS = 3.0
"""A step this many times longer than the usual one is a gap."""


def flow_of(stats: SlotStats) -> Flow:
    """What was measured of a sensor that fills a slot."""
    return Flow(
        stats.rate_hz, stats.jitter_ms, stats.gaps, stats.age_s, stats.offset_ms, stats.missing_channels
    )


class SlotMeter:
    """Measures a sensor that fills a slot as the agent does: by the windows that are cut of it alone."""

    def __init__(self, windows: Windows, slot: str) -> None:
        self._windows = windows
        self._slot = slot

    def add(self, chunk: Chunk) -> None:
        """Take one chunk in."""
        self._windows.push(chunk)

    def flow(self, now_ns: int) -> Flow:
        """What was measured, as of `now_ns`."""
        for _ in self._windows.ready(now_ns):
            pass
        return flow_of(self._windows.stats()[self._slot])


class FlowMeter:
    """Measures a sensor that fills no slot of the model; those that do are measured by their windows."""

    def __init__(self) -> None:
        self.gaps = 0
        self.newest: Values | None = None
        """Values of the newest sample, (channels,)."""
        self._times_ns: Int64 = np.empty(0, np.int64)

    def add(self, chunk: Chunk) -> None:
        """Take one chunk in."""
        if len(chunk.times_ns) == 0:
            return
        self.newest = chunk.values[-1]
        before = len(self._times_ns)
        times_ns = np.concatenate([self._times_ns, chunk.times_ns])
        steps_ns = np.diff(times_ns)
        if len(steps_ns) > 1:
            fresh = steps_ns[max(0, before - 1) :]
            self.gaps += int(np.count_nonzero(fresh > GAP_PERIODS * np.median(steps_ns)))
        self._times_ns = times_ns[-KEPT_SAMPLES:]

    def flow(self, now_ns: int) -> Flow:
        """What was measured, as of `now_ns`."""
        if len(self._times_ns) == 0:
            return Flow()
        age_s = (now_ns - int(self._times_ns[-1])) / NS_PER_S
        steps_ns = np.diff(self._times_ns)
        span_ns = int(steps_ns.sum())
        if span_ns <= 0:
            return Flow(gaps=self.gaps, age_s=age_s)
        rate_hz = len(steps_ns) * NS_PER_S / span_ns
        return Flow(rate_hz, float(steps_ns.std()) * 1e-6, self.gaps, age_s)

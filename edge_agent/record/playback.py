"""A recording perceived again: its chunks at the times at which they came, on a clock that the file drives.

Nothing here looks at another clock, so the same file, configuration and model give the same percepts, however
fast they are played: `pace` only delays them. A window is cut exactly when it is ready. A live agent cuts it
a moment later, when its thread wakes, and may then have a chunk that is late here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

import numpy as np

from edge_agent.clock import PacingClock
from edge_agent.perception.pipeline import Pipeline
from edge_agent.record.mcap_file import Header, RecordingReader
from edge_agent.types import Conditioning, Percept, Window
from edge_agent.windows import Windows


class RecordedClock:
    """Both clocks of the machine that recorded, where the playback is. The wall clock jumps where it did."""

    def __init__(self, header: Header) -> None:
        self._now_ns = header.start_ns
        self._wall_offset_ns = header.start_wall_ns - header.start_ns

    def monotonic_ns(self) -> int:
        """See types.Clock."""
        return self._now_ns

    def wall_ns(self) -> int:
        """See types.Clock."""
        return self._now_ns + self._wall_offset_ns

    def move(self, now_ns: int) -> None:
        """Let time pass."""
        self._now_ns = max(self._now_ns, now_ns)

    def set_wall(self, wall_ns: int) -> None:
        """What the wall clock said at this moment."""
        self._wall_offset_ns = wall_ns - self._now_ns


class Playback:
    """Plays one recording through windows and pipeline, once. `sensors` is Chunk.sensor -> slot."""

    def __init__(
        self,
        reader: RecordingReader,
        pipeline: Pipeline,
        windows: Windows,
        sensors: Mapping[str, str],
        settle_s: float,
    ) -> None:
        self.clock = RecordedClock(reader.header)
        self._reader = reader
        self.pipeline = pipeline
        self._windows = windows
        self._sensors = sensors
        self._settle_ns = round(settle_s * 1_000_000_000)

    def percepts(self, stop: threading.Event, pace: PacingClock | None = None) -> Iterator[Percept]:
        """One for each window; until `stop`. With `pace`, each when it is due on that clock."""
        ahead_ns = 0 if pace is None else pace.monotonic_ns() - self.clock.monotonic_ns()
        for window in self.windows():
            if pace is not None:
                pace.wait_until(self.clock.monotonic_ns() + ahead_ns, stop)
            if stop.is_set():
                return
            yield self._perceive(window)

    def _perceive(self, window: Window) -> Percept:
        if window.slots:
            return self.pipeline.perceive(window)
        manifest = self.pipeline.manifest
        spec = manifest.adapter
        soft = np.zeros((spec.n_soft, spec.n_embd), np.float32)
        control = np.zeros((spec.n_layer - 1, spec.n_embd), np.float32)
        missing = tuple(slot.name for slot in manifest.slots)
        return Percept(window.sequence, window.end_ns, {}, (), missing, Conditioning(soft, control))

    def windows(self) -> Iterator[Window]:
        """Every window, at its time; those that ended before the last chunk arrived are all made."""
        for arrival in self._reader.arrivals():
            yield from self._until(arrival.arrival_ns)
            self.clock.set_wall(arrival.wall_ns)
            if arrival.chunk.sensor in self._sensors:
                self._windows.push(arrival.chunk)
        yield from self._until(self.clock.monotonic_ns() + self._settle_ns)

    def _until(self, now_ns: int) -> Iterator[Window]:
        """Those that are ready before a chunk that arrived at `now_ns` was there."""
        while (ready_ns := self._windows.next_ready_ns) <= now_ns:
            self.clock.move(ready_ns)
            yield from self._windows.ready(self.clock.monotonic_ns())
        self.clock.move(now_ns)

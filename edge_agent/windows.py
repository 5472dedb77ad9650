"""Chunks of many sensors -> aligned windows on the monotonic clock. Pure: no thread, no clock, no I/O.

Every `hop_s` a window ends, at a multiple of the hop. Each slot then shows its last `window_s` seconds on a
regular grid at its own rate that ends at this common moment (`edge_agent.resampling`). A window waits
`settle_s` for chunks that are still on their way. All buffers are bounded; what is dropped is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge_agent import resampling
from edge_agent.buffer import SampleBuffer
from edge_agent.clock import NS_PER_S
from edge_agent.manifest import Slot
from edge_agent.types import Chunk, Int64, SlotWindow, Values, Window

MAX_BACKLOG = 4
"""Windows made up for at once after a stall; older ones are skipped and counted."""
FUTURE_S = 1.0
"""A sample this far ahead of the clock is a mistake of its sensor's clock: the slot begins anew."""
REGULAR_TOLERANCE_S = 0.01
"""Two sound samples whose times miss their rate by more than this have a gap between them."""
RATE_HEADROOM = 4
"""How many times faster than its grid a source may be before samples overflow (sound: must be equal)."""
USUAL_PAUSES = 2.5
"""A pause of so many samples of the slot's own rate is no gap, where that is more than `max_gap_s`."""
FASTEST_SOURCE_HZ = 20.0
"""What a slow slot of few channels is given, whatever its own rate: several chips, each faster than it."""
FEW_CHANNELS = 32
_SLACK_S = 2.0
_NEVER_NS = -(2**62)


@dataclass(frozen=True, slots=True)
class SlotStats:
    """What went through one slot since the start. Counts are samples unless named otherwise.

    `jitter_ms` is the standard deviation of the spacing of the newest samples. `offset_ms` and
    `missing_channels` are of the last window: how far before its end its newest sample was taken, inf where
    there is none, and the channels that most of its samples did not have.
    """

    samples: int
    lost: int
    gaps: int
    late: int
    overflow: int
    rejected_chunks: int
    clock_resets: int
    rate_hz: float
    jitter_ms: float
    offset_ms: float
    age_s: float
    missing_channels: tuple[str, ...]


class Windows:
    """Gathers chunks and cuts windows. Owned by one thread.

    `slots` are the model's inputs, `sensors` says which `Chunk.sensor` fills which slot. A slot that no
    sensor fills appears in no window and is not called stale. Several may fill one that is sampled "latest":
    a channel that two of them have is the first one's, as long as that gives it. ValueError for a sensor of
    an unknown slot, and for a second one of another slot.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        sensors: Mapping[str, str],
        *,
        hop_s: float = 0.5,
        max_gap_s: float = resampling.MAX_GAP_S,
        min_coverage: float = 0.8,
        settle_s: float = 0.15,
    ) -> None:
        by_name = {slot.name: slot for slot in slots}
        if unknown := sorted(set(sensors.values()) - set(by_name)):
            raise ValueError(f"no such slot: {', '.join(unknown)}; the model has {', '.join(by_name)}")
        self._hop_ns = round(hop_s * NS_PER_S)
        self._settle_ns = round(settle_s * NS_PER_S)
        self._min_coverage = min_coverage
        self._sources = dict(sensors)
        self._tracks = {
            name: _Track(
                by_name[name],
                tuple(sensor for sensor, slot in sensors.items() if slot == name),
                max_gap_s,
                settle_s + hop_s * MAX_BACKLOG,
            )
            for name in by_name
            if name in sensors.values()
        }
        self._sequence = 0
        self._next_end_ns: int | None = None
        self._now_ns = 0
        self.skipped_windows = 0

    def push(self, chunk: Chunk) -> None:
        """Take one chunk in. KeyError when its sensor was not announced."""
        self._tracks[self._sources[chunk.sensor]].push(chunk)

    def ready(self, now_ns: int) -> Iterator[Window]:
        """The windows that ended at least `settle_s` ago and were not given yet, oldest first."""
        self._now_ns = now_ns
        for track in self._tracks.values():
            track.check_clock(now_ns)
        newest_ns = (now_ns - self._settle_ns) // self._hop_ns * self._hop_ns
        end_ns = newest_ns if self._next_end_ns is None else self._next_end_ns
        if (behind := (newest_ns - end_ns) // self._hop_ns + 1 - MAX_BACKLOG) > 0:
            self.skipped_windows += behind
            end_ns += behind * self._hop_ns
        while end_ns <= newest_ns:
            self._next_end_ns = end_ns + self._hop_ns
            yield self._cut(end_ns)
            end_ns = self._next_end_ns

    @property
    def next_ready_ns(self) -> int:
        """When the next window can be had: how long the owner may wait. 0 before the first `ready`."""
        return 0 if self._next_end_ns is None else self._next_end_ns + self._settle_ns

    def stats(self) -> dict[str, SlotStats]:
        """slot -> what went through it; `age_s` as of the last `ready`."""
        return {name: track.stats(self._now_ns) for name, track in self._tracks.items()}

    def _cut(self, end_ns: int) -> Window:
        usable: dict[str, SlotWindow] = {}
        stale: dict[str, float] = {}
        for name, track in self._tracks.items():
            window = track.window(end_ns, end_ns + self._settle_ns)
            if window.coverage >= self._min_coverage:
                usable[name] = window
            else:
                stale[name] = window.coverage
        self._sequence += 1
        return Window(self._sequence, end_ns, usable, stale)


class _Track:
    """One slot: its samples of the last seconds and its counters."""

    def __init__(self, slot: Slot, sources: tuple[str, ...], max_gap_s: float, delay_s: float) -> None:
        if len(sources) > 1 and slot.sampling != "latest":
            raise ValueError(f"{' and '.join(sources)} both fill the slot {slot.name}, which has one source")
        # A slow slot is not torn by a pause that is usual for it.
        max_gap_s = max(max_gap_s, USUAL_PAUSES / slot.rate_hz)
        self._slot = slot
        self._n = round(slot.window_s * slot.rate_hz)
        self._max_gap_s = max_gap_s
        self._max_gap_ns = round(max_gap_s * NS_PER_S)
        self._regular = slot.modality == "audio"
        self._place = slot.features == "local_metres"
        self._sources = sources
        self._newest_of: dict[str, int] = {}
        self._spoke_ns = np.full((len(sources), len(slot.channels)), _NEVER_NS)
        """When each source last gave each channel."""
        self._period_ns = NS_PER_S / slot.rate_hz
        held = slot.sampling != "linear" and not self._regular
        reach_s = max_gap_s if held else resampling.reach_s(slot.rate_hz, max_gap_s)
        held_s = slot.window_s + delay_s + _SLACK_S + (reach_s if held else 0.0)
        fastest_hz = slot.rate_hz * (1 if self._regular else RATE_HEADROOM)
        if held and len(slot.channels) <= FEW_CHANNELS:
            fastest_hz = max(fastest_hz, FASTEST_SOURCE_HZ)
        self._buffer = SampleBuffer(round(held_s * fastest_hz), len(slot.channels))
        self._reach_ns = round(reach_s * NS_PER_S)
        self._simulated_until_ns: int | None = None
        self._needed_ns: int | None = None
        self._samples = self._lost = self._gaps = self._late = self._overflow = 0
        self._rejected_chunks = self._clock_resets = 0
        self._last: SlotWindow | None = None

    def push(self, chunk: Chunk) -> None:
        times_ns, values = chunk.times_ns, chunk.values
        if values.ndim != 2 or values.shape != (len(times_ns), self._buffer.channels):
            self._rejected_chunks += 1
            return
        self._lost += chunk.lost
        if self._place:  # a receiver without a fix speaks too
            known = ~np.isnan(values).any(axis=1)
            times_ns, values = times_ns[known], values[known]
        newest_ns = self._buffer.newest_ns
        limit_ns = self._earliest(chunk.sensor, newest_ns)
        if len(times_ns) and times_ns[0] < limit_ns:
            keep = int(np.searchsorted(times_ns, limit_ns))
            self._late += keep
            times_ns, values = times_ns[keep:], values[keep:]
        if len(times_ns) == 0:
            return
        self._newest_of[chunk.sensor] = int(times_ns[-1])
        if len(self._sources) > 1:
            values = self._without_others(chunk.sensor, int(times_ns[-1]), values)
            times_ns = times_ns if newest_ns is None else np.maximum(times_ns, newest_ns)
        if chunk.simulated:
            self._simulated_until_ns = int(times_ns[-1])
        self._samples += len(times_ns)
        evicted_ns = self._buffer.append(times_ns, values, self._breaks(times_ns, newest_ns))
        if self._needed_ns is not None:
            self._overflow += int(np.count_nonzero(evicted_ns > self._needed_ns))

    def _earliest(self, sensor: str, newest_ns: int | None) -> int:
        """Before this time a sample is late.

        Several sources come one after the other, each with what it measured since: there a sample may be
        older than another source's by a step of the grid, and counts as if it were as new.
        """
        if newest_ns is None:
            return _NEVER_NS
        if len(self._sources) == 1:
            return newest_ns
        return max(self._newest_of.get(sensor, _NEVER_NS), newest_ns - round(self._period_ns))

    def _without_others(self, sensor: str, now_ns: int, values: Values) -> Values:
        """The samples without the channels that an earlier source of the slot gives."""
        i = self._sources.index(sensor)
        self._spoke_ns[i, ~np.isnan(values).all(axis=0)] = now_ns
        given = (now_ns - self._spoke_ns[:i] <= self._max_gap_ns).any(axis=0)
        return np.where(given, values.dtype.type(np.nan), values)

    def _breaks(self, times_ns: Int64, newest_ns: int | None) -> list[int]:
        """Where in this chunk a gap lies before the sample; counts the gaps."""
        steps_ns = np.diff(times_ns, prepend=times_ns[0] if newest_ns is None else newest_ns)
        if self._regular:
            wrong = np.abs(steps_ns - self._period_ns) > REGULAR_TOLERANCE_S * NS_PER_S
        else:
            wrong = steps_ns > self._max_gap_ns
        if newest_ns is None:
            wrong[0] = False
        breaks: list[int] = np.flatnonzero(wrong).tolist()
        self._gaps += len(breaks)
        return breaks

    def check_clock(self, now_ns: int) -> None:
        """Forget samples from the future: they would make every later sample look late."""
        newest_ns = self._buffer.newest_ns
        if newest_ns is not None and newest_ns > now_ns + FUTURE_S * NS_PER_S:
            self._buffer.clear()
            self._newest_of.clear()
            self._spoke_ns[:] = _NEVER_NS
            self._simulated_until_ns = None
            self._clock_resets += 1

    def window(self, end_ns: int, limit_ns: int) -> SlotWindow:
        """The slot's part of the window; samples after `limit_ns` belong to the next window's time."""
        start_ns = end_ns - round(self._slot.window_s * NS_PER_S)
        self._needed_ns = start_ns
        times_ns, values, breaks = self._buffer.since(start_ns - self._reach_ns, limit_ns)
        if self._regular:
            grid = resampling.place_regular(times_ns, values, breaks, end_ns, self._slot.rate_hz, self._n)
        elif self._slot.sampling != "linear":
            grid = resampling.hold_to_grid(
                times_ns, values, end_ns, self._slot.rate_hz, self._n, self._max_gap_s,
                each=self._slot.sampling == "latest", fill=self._place,
            )  # fmt: skip
        else:
            grid = resampling.resample_to_grid(
                times_ns, values, end_ns, self._slot.rate_hz, self._n, self._max_gap_s
            )
        newest_ns = self._buffer.newest_by(end_ns)
        age_s = float("inf") if newest_ns is None else (end_ns - newest_ns) / NS_PER_S
        simulated = self._simulated_until_ns is not None and self._simulated_until_ns > start_ns
        self._last = SlotWindow(grid.values, grid.coverage, age_s, grid.missing_channels, simulated)
        return self._last

    def stats(self, now_ns: int) -> SlotStats:
        rate_hz, jitter_ms = self._spacing()
        newest_ns, last = self._buffer.newest_ns, self._last
        return SlotStats(
            self._samples, self._lost, self._gaps, self._late, self._overflow,
            self._rejected_chunks, self._clock_resets, rate_hz, jitter_ms,
            float("inf") if last is None else 1000 * last.age_s,
            float("inf") if newest_ns is None else (now_ns - newest_ns) / NS_PER_S,
            () if last is None else last.missing_of(self._slot.channels),
        )  # fmt: skip

    def _spacing(self) -> tuple[float, float]:
        """(rate in Hz, standard deviation of the spacing in ms) of the newest uninterrupted samples."""
        newest_ns = self._buffer.newest_ns
        if newest_ns is None:
            return 0.0, 0.0
        window_ns = round(self._slot.window_s * NS_PER_S)
        times_ns, _, breaks = self._buffer.since(newest_ns - window_ns, newest_ns)
        run_ns = times_ns[breaks[-1] if len(breaks) else 0 :]
        if len(run_ns) < 2 or run_ns[-1] == run_ns[0]:
            return 0.0, 0.0
        steps_ns = np.diff(run_ns)
        return float(NS_PER_S / steps_ns.mean()), float(steps_ns.std() / 1e6)

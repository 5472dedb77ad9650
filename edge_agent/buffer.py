"""A bounded buffer of timed samples whose newest part is always one contiguous piece of memory."""

from __future__ import annotations

import numpy as np

from edge_agent.types import Int64, Values


class SampleBuffer:
    """The newest `capacity` samples of (times, values), and where uninterrupted runs of them begin.

    Twice the capacity is allocated once; when the end is reached the newest samples move to the front, so
    that a read is a view and an append costs its own length on average. Values are kept as float32 until the
    first float64 ones come.
    """

    def __init__(self, capacity: int, channels: int) -> None:
        self.capacity = capacity
        self.channels = channels
        self._times_ns = np.zeros(2 * capacity, np.int64)
        self._values: Values = np.zeros((2 * capacity, channels), np.float32)
        self._breaks: list[int] = []
        self._low = self._high = 0

    def __len__(self) -> int:
        return self._high - self._low

    @property
    def newest_ns(self) -> int | None:
        """The time of the newest sample; None when empty."""
        return int(self._times_ns[self._high - 1]) if self._high > self._low else None

    def newest_by(self, time_ns: int) -> int | None:
        """The time of the newest sample that is not after `time_ns`; None when there is none."""
        held_ns = self._times_ns[self._low : self._high]
        count = int(np.searchsorted(held_ns, time_ns, side="right"))
        return int(held_ns[count - 1]) if count else None

    def clear(self) -> None:
        """Forget everything."""
        self._low = self._high = 0
        self._breaks.clear()

    def append(self, times_ns: Int64, values: Values, breaks: list[int]) -> Int64:
        """Add samples, which must not be older than the newest; return the times of those pushed out.

        `breaks` are indices into this chunk at which a new run begins.
        """
        if (excess := len(times_ns) - self.capacity) > 0:
            evicted = np.concatenate([self._times_ns[self._low : self._high], times_ns[:excess]])
            self.clear()
            self.append(times_ns[excess:], values[excess:], [b - excess for b in breaks if b > excess])
            return evicted
        if self._high + len(times_ns) > len(self._times_ns):
            self._compact()
        self._values = self._values.astype(np.result_type(self._values, values), copy=False)
        end = self._high + len(times_ns)
        self._times_ns[self._high : end] = times_ns
        self._values[self._high : end] = values
        self._breaks += [self._high + b for b in breaks]
        self._high = end
        low = max(self._low, end - self.capacity)
        evicted = self._times_ns[self._low : low].copy()
        self._low = low
        # A break at the oldest sample separates it from nothing any more.
        while self._breaks and self._breaks[0] <= low:
            del self._breaks[0]
        return evicted

    def _compact(self) -> None:
        count = len(self)
        self._times_ns[:count] = self._times_ns[self._low : self._high].copy()
        self._values[:count] = self._values[self._low : self._high].copy()
        self._breaks = [b - self._low for b in self._breaks]
        self._low, self._high = 0, count

    def since(self, start_ns: int, end_ns: int) -> tuple[Int64, Values, Int64]:
        """Views of the samples with start_ns <= time <= end_ns, and the breaks as indices into them."""
        held_ns = self._times_ns[self._low : self._high]
        low = self._low + int(np.searchsorted(held_ns, start_ns))
        high = self._low + int(np.searchsorted(held_ns, end_ns, side="right"))
        breaks = np.asarray([b - low for b in self._breaks if low < b < high], np.int64)
        return self._times_ns[low:high], self._values[low:high], breaks

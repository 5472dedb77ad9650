"""The device's clock in the host's time: offset and drift from four-timestamp exchanges. Pure.

The exchange is that of NTP (RFC 5905, section 8): t1 host sends, t2 device receives, t3 device
replies, t4 host receives. Exchanges that were held up on the way bias the offset by up to half of
their delay, so only the quickest ones are believed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

MAX_DRIFT = 0.02
"""Crystals are within 100 ppm; an internal RC oscillator within about 2 %. More is not drift."""
CRYSTAL_DRIFT = 1e-4
"""What the device's clock may have drifted while too little time has passed to measure it."""


@dataclass(frozen=True, slots=True)
class ClockMap:
    """host_ns = `host_ns` + (device_us - `device_us`) * `ns_per_us`, right to about `error_ns`."""

    device_us: int
    host_ns: int
    ns_per_us: float
    error_ns: int

    @property
    def offset_ns(self) -> int:
        """The host's clock minus the device's, at `host_ns`."""
        return self.host_ns - 1000 * self.device_us

    @property
    def drift_ppm(self) -> float:
        """How much faster than the host the device's clock runs."""
        return (1000.0 / self.ns_per_us - 1.0) * 1e6

    def to_host_ns(self, device_us: int) -> int:
        """The host's monotonic time of a device time."""
        return self.host_ns + round((device_us - self.device_us) * self.ns_per_us)


@dataclass(frozen=True, slots=True)
class _Point:
    device_us: int
    host_ns: int
    delay_ns: int


class ClockEstimator:
    """Fed with exchanges, gives the best `ClockMap`. Start a new one when the device has restarted."""

    def __init__(self, *, window: int = 64, min_span_us: int = 5_000_000) -> None:
        self._points: deque[_Point] = deque(maxlen=window)
        self._min_span_us = min_span_us
        self.map: ClockMap | None = None

    def add(self, t1_ns: int, t2_us: int, t3_us: int, t4_ns: int) -> bool:
        """Take one exchange; False where it cannot be true (time ran backwards) and was ignored."""
        if t3_us < t2_us or t4_ns < t1_ns:
            return False
        # A drifting clock can make a quick exchange look a little shorter than nothing.
        delay_ns = max(0, (t4_ns - t1_ns) - (t3_us - t2_us) * 1000)
        self._points.append(_Point((t2_us + t3_us) // 2, (t1_ns + t4_ns) // 2, delay_ns))
        self.map = self._fit()
        return True

    def _fit(self) -> ClockMap:
        best_ns = min(point.delay_ns for point in self._points)
        good = [point for point in self._points if point.delay_ns <= 2 * best_ns + 50_000]
        span_us = good[-1].device_us - good[0].device_us
        if span_us < self._min_span_us:
            quickest = min(good, key=lambda point: point.delay_ns)
            error_ns = quickest.delay_ns // 2 + round(span_us * 1000 * CRYSTAL_DRIFT)
            return ClockMap(quickest.device_us, quickest.host_ns, 1000.0, error_ns)
        return _line(good, best_ns // 2)


def _line(points: list[_Point], error_ns: int) -> ClockMap:
    """Least squares through `points`, in residuals from the last one to keep float64 exact."""
    origin = points[-1]
    x_us = [float(point.device_us - origin.device_us) for point in points]
    y_ns = [float(point.host_ns - origin.host_ns) - 1000.0 * x for point, x in zip(points, x_us, strict=True)]
    mean_x, mean_y = sum(x_us) / len(x_us), sum(y_ns) / len(y_ns)
    spread = sum((x - mean_x) ** 2 for x in x_us)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(x_us, y_ns, strict=True)) / spread
    slope = max(-1000.0 * MAX_DRIFT, min(1000.0 * MAX_DRIFT, slope))
    return ClockMap(
        device_us=origin.device_us,
        host_ns=origin.host_ns + round(mean_y - slope * mean_x),
        ns_per_us=1000.0 + slope,
        error_ns=error_ns,
    )

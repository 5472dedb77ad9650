"""Samples on their own times -> a regular grid. One function for the device and for the training data.

What is done, and nothing else:
- times between two samples are interpolated linearly; outside the samples the nearest one is held;
- when the source is notably faster than the grid (OVERSAMPLED), a low-pass filter comes first: without it
  everything above half the grid's rate would fold into the signal;
- a grid point farther than half of `max_gap_s` from every sample is not covered, and coverage says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from edge_agent.clock import NS_PER_S
from edge_agent.types import Bool, Int64, Values

MAX_GAP_S = 0.06
"""Default. Phones deliver their samples in bursts 50 ms apart, which is no loss."""
OVERSAMPLED = 1.5
"""A source this many times faster than the grid is low-pass filtered before it is put on the grid."""
CUTOFF = 0.4
"""Half-amplitude frequency of that filter, as a share of the grid's rate (0.5 would be Nyquist)."""
HALF_LENGTH = 8
"""The filter's length on either side, in grid steps: its response is 60 dB down at 0.6 of the rate."""

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grid:
    """`values` (n, channels), float32 but where a place is held; `coverage` 0..1.

    `missing_channels` (channels,) is True where most samples are NaN.
    """

    values: Values
    coverage: float
    missing_channels: Bool


def resample_to_grid(
    times_ns: Int64, values: Values, end_ns: int, rate_hz: float, n: int, max_gap_s: float = MAX_GAP_S
) -> Grid:
    """The n grid points up to and including `end_ns`, `1 / rate_hz` apart.

    `times_ns` (m,) must not decrease; `values` is (m, channels) and may hold NaN. Only samples from
    `reach_s` before the first grid point to `reach_s` after the last one are looked at, so it makes no
    difference whether a whole recording or its last second is given. Without any sample: zeros, coverage 0.
    """
    margin_ns = round(reach_s(rate_hz, max_gap_s) * NS_PER_S)
    first_ns = end_ns - round((n - 1) * NS_PER_S / rate_hz)
    low, high = np.searchsorted(times_ns, [first_ns - margin_ns, end_ns + margin_ns + 1])
    t = (times_ns[low:high] - end_ns) / NS_PER_S  # float64 seconds before the end: exact to a nanosecond
    valid = ~np.isnan(values[low:high])
    grid = np.arange(1 - n, 1) / rate_hz
    missing = _mostly_missing(valid[(t >= grid[0]) & (t <= 0)])
    t, x = _fill(t, values[low:high], valid)
    if len(t) == 0:
        return Grid(np.zeros((n, values.shape[1]), np.float32), 0.0, missing)
    covered = float(np.mean(_distance(grid, t) <= max_gap_s / 2))
    factor = _oversampling(t, rate_hz, max_gap_s)
    y = _filtered(t, x, rate_hz, n, factor) if factor > 1 else _interpolate(grid, t, x)
    return Grid(y.astype(np.float32, copy=False), covered, missing)


def hold_to_grid(
    times_ns: Int64,
    values: Values,
    end_ns: int,
    rate_hz: float,
    n: int,
    max_gap_s: float,
    *,
    each: bool,
    fill: bool = False,
) -> Grid:
    """The newest sample at or before each of the n grid points up to `end_ns`, not older than `max_gap_s`.

    For what must not be mixed with its neighbour in time: an image, a scan, a place. A NaN in such a sample
    is "nothing seen there" and becomes zero. With `each`, a channel's own newest number is taken, NaN
    skipped: for slow quantities that several chips give one by one. With `fill`, a grid point without a
    sample gets the nearest one that has: for a place, where zero would be one too. The type of `values` is
    kept.
    """
    grid_ns = end_ns - np.round(np.arange(n - 1, -1, -1) * (NS_PER_S / rate_hz)).astype(np.int64)
    newest = np.searchsorted(times_ns, grid_ns, side="right") - 1  # (n,)
    valid = ~np.isnan(values)
    if each:
        index = np.where(valid, np.arange(len(values))[:, None], -1)
        latest = np.maximum.accumulate(index, axis=0)
    else:
        latest = np.broadcast_to(np.arange(len(values))[:, None], values.shape)
    if len(values) == 0:
        return Grid(np.zeros((n, values.shape[1]), values.dtype), 0.0, np.ones(values.shape[1], np.bool_))
    picked = np.where(newest[:, None] >= 0, latest[newest.clip(min=0)], -1)  # (n, channels)
    age_ns = grid_ns[:, None] - times_ns[picked.clip(min=0)]
    fresh = (picked >= 0) & (age_ns <= max_gap_s * NS_PER_S)
    y = values[picked.clip(min=0), np.arange(values.shape[1])]
    seen = fresh & ~np.isnan(y)
    covered = float(fresh.any(axis=1).mean())
    missing = _mostly_missing(seen)
    if fill and (whole := np.flatnonzero(seen.all(axis=1))).size:
        nearest = whole[np.abs(np.arange(n)[:, None] - whole).argmin(axis=1)]
        return Grid(y[nearest], covered, missing)
    return Grid(np.where(seen, y, y.dtype.type(0)), covered, missing)


def reach_s(rate_hz: float, max_gap_s: float) -> float:
    """How far outside its grid, in seconds, `resample_to_grid` looks at samples."""
    return max(max_gap_s, (HALF_LENGTH + 1) / rate_hz)


def _fill(t: Float64, x: Values, valid: Bool) -> tuple[Float64, Values]:
    """Drop samples that are all NaN, bridge other NaN by the channel's own neighbours.

    A channel without any number becomes zero.
    """
    if valid.all():
        return t, x
    some = valid.any(axis=1)
    t, x, valid = t[some], x[some], valid[some]
    filled = np.zeros_like(x)
    for c in np.flatnonzero(valid.any(axis=0)):
        good = valid[:, c]
        filled[:, c] = np.interp(t, t[good], x[good, c])
    return t, filled


def _mostly_missing(valid: Bool) -> Bool:
    """(m, channels) -> (channels,)."""
    missing: Bool = 2 * np.count_nonzero(valid, axis=0) < len(valid)
    return missing


def _distance(grid: Float64, t: Float64) -> Float64:
    """(n,), (m,) -> (n,): seconds from each grid point to its nearest sample."""
    right = np.searchsorted(t, grid).clip(0, len(t) - 1)
    left = (right - 1).clip(0)
    nearest: Float64 = np.minimum(np.abs(t[right] - grid), np.abs(grid - t[left]))
    return nearest


def _oversampling(t: Float64, rate_hz: float, max_gap_s: float) -> int:
    """How many fine steps to a grid step the source needs; 1: no filter.

    The source's rate is its count of samples over the time they cover; bursts do not move that, and a gap
    counts as `max_gap_s` at most.
    """
    covered_s = float(np.minimum(np.diff(t), max_gap_s).sum())
    if len(t) < 3 or covered_s == 0:
        return 1
    source_hz = (len(t) - 1) / covered_s
    return int(np.ceil(source_hz / rate_hz)) if source_hz > OVERSAMPLED * rate_hz else 1


def _interpolate(grid: Float64, t: Float64, x: Values) -> Float64:
    """(n,), (m,), (m,c) -> (n,c): np.interp for all channels with one search."""
    right = np.searchsorted(t, grid, side="right").clip(1, max(len(t) - 1, 1))
    left, right = right - 1, right.clip(0, len(t) - 1)
    step = t[right] - t[left]
    weight = np.divide(grid - t[left], step, out=np.zeros_like(grid), where=step > 0).clip(0, 1)
    y: Float64 = x[left] + weight[:, None] * (x[right].astype(np.float64) - x[left])
    return y


def _filtered(t: Float64, x: Values, rate_hz: float, n: int, factor: int) -> Float64:
    """Interpolate on a grid `factor` times finer, low-pass, and keep every factor-th point."""
    half = HALF_LENGTH * factor
    fine = np.arange((1 - n) * factor - half, half + 1) / (rate_hz * factor)
    dense = _interpolate(fine, t, x)  # ((n-1)*factor + 2*half + 1, c)
    frames = np.lib.stride_tricks.sliding_window_view(dense, 2 * half + 1, axis=0)[::factor]  # (n, c, taps)
    y: Float64 = frames @ _low_pass(factor)
    return y


@cache
def _low_pass(factor: int) -> Float64:
    """(2*half+1,) windowed sinc of zero phase and gain 1 (Blackman window)."""
    half = HALF_LENGTH * factor
    k = np.arange(-half, half + 1)
    taps = np.sinc(2 * CUTOFF * k / factor) * np.blackman(2 * half + 1)
    normalised: Float64 = taps / taps.sum()
    return normalised


def place_regular(
    times_ns: Int64, values: Values, breaks: npt.NDArray[np.int64], end_ns: int, rate_hz: float, n: int
) -> Grid:
    """A regular stream (sound) on the grid, sample for sample, without interpolation.

    `breaks` are the indices (sorted, excluding 0) at which a new uninterrupted run of samples begins. The
    last sample of a run is placed by its time and the others before it by counting, so a device clock that
    drifts never tears a window; what no run covers is zero and not covered. NaN becomes zero.
    """
    y = np.zeros((n, values.shape[1]), np.float32)
    covered = 0
    free = n  # grid points below this one are still free
    edges = [0, *breaks.tolist(), len(times_ns)]
    for low, high in zip(edges[-2::-1], edges[:0:-1], strict=True):
        if high == low:
            continue
        last = n - 1 - round((end_ns - int(times_ns[high - 1])) * rate_hz / NS_PER_S)
        stop = min(last + 1, free)
        source_stop = high - (last + 1 - stop)
        count = min(source_stop - low, stop)
        if count > 0:
            y[stop - count : stop] = values[source_stop - count : source_stop]
            covered += count
            free = stop - count
        if free == 0 or last < 0:
            break
    valid = ~np.isnan(y)
    if not valid.all():
        covered -= int(np.count_nonzero(~valid.any(axis=1)))
        y = np.where(valid, y, np.float32(0))
    return Grid(y, covered / n, _mostly_missing(valid))

"""Logs with one line every half or whole minute -> windows of neighbouring lines."""

from __future__ import annotations

import numpy as np

from export.datasets.common import Float32, Int64


def window_ends(times_s: Int64, n: int, max_step_s: float) -> Int64:
    """Line numbers that end n lines without a step longer than `max_step_s` (or back in time)."""
    steps_s = np.diff(times_s)
    torn = np.concatenate([[0], np.cumsum((steps_s > max_step_s) | (steps_s < 0))])
    ends = np.arange(n - 1, len(times_s))
    return ends[torn[ends] == torn[ends - (n - 1)]]


def windows_at(values: Float32, ends: Int64, n: int) -> Float32:
    """(lines,C), (N,) -> (N,n,C): the n lines up to and including each end."""
    return values[ends[:, None] + np.arange(1 - n, 1)]

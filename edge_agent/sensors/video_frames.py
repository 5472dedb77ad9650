"""Frames of cameras and recordings: which to take, which are missing, what their values are called."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, overload

import numpy as np
import numpy.typing as npt

from edge_agent.clock import NS_PER_S
from edge_agent.sensors.channels import Channel

ENOUGH_SPACINGS = 3
"""From so many on there is a usual one."""
LONGEST_HOLE_S = 60.0
"""Longer is no hole: the driver's clock was set."""
Image = npt.NDArray[np.uint8]
"""(height, width, 3), blue first, as OpenCV has it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """`at_ns` on the clock of its source, `image` None where it came but is broken."""

    at_ns: int
    image: Image | None


class Camera(Protocol):
    """An open camera."""

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame, None when none came in time. Raises SensorError when the camera is gone."""
        ...


OpenCamera = Callable[[int | str, int, int, float], AbstractContextManager[Camera]]
"""(source, width, height, rate_hz) -> a camera that runs inside `with`; size and rate are wishes.

Raises SensorError when it cannot be opened now.
"""


class Pixels(Sequence[Channel]):
    """The channels of a frame, made when asked for: px_000000 is the red of the upper left pixel.

    Channel i is colour i % 3 (red, green, blue) of the pixel in row i // 3 // width, column i // 3 % width.
    """

    def __init__(self, width: int, height: int) -> None:
        self._length = width * height * 3

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Channel: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Channel, ...]: ...
    def __getitem__(self, index: int | slice) -> Channel | tuple[Channel, ...]:
        at = range(self._length)[index]
        return tuple(map(_pixel, at)) if isinstance(at, range) else _pixel(at)


def _pixel(index: int) -> Channel:
    return Channel(f"px_{index:06d}", "")


class Pace:
    """Which frames to take, so that `rate_hz` is kept and not exceeded: one for each tick of a regular grid.

    A frame may come `early` of a period before its tick: where times jitter, a camera that runs at the very
    rate would else lose every other frame.
    """

    def __init__(self, rate_hz: float, early: float) -> None:
        self._early = early
        self._period_ns = NS_PER_S / rate_hz
        self._first_ns: int | None = None
        self._last_ns = 0
        self._tick = -1

    def takes(self, at_ns: int) -> bool:
        """Whether the frame of this time is the first of its tick."""
        if self._first_ns is None or at_ns < self._last_ns:  # less: the driver's clock was set
            self._first_ns, self._tick = at_ns, -1
        self._last_ns = at_ns
        tick = math.floor((at_ns - self._first_ns) / self._period_ns + self._early)
        if tick <= self._tick:
            return False
        self._tick = tick
        return True


class Holes:
    """How many frames are missing before a frame, judged by the usual spacing of those before it."""

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._spacings_ns: deque[int] = deque(maxlen=9)

    def before(self, at_ns: int) -> int:
        """For the frame of this time; each frame is to be asked about once, in order."""
        if self._last_ns is None:
            self._last_ns = at_ns
            return 0
        spacing_ns, self._last_ns = at_ns - self._last_ns, at_ns
        usual_ns = statistics.median(self._spacings_ns) if len(self._spacings_ns) >= ENOUGH_SPACINGS else 0.0
        self._spacings_ns.append(spacing_ns)
        if usual_ns <= 0 or spacing_ns > LONGEST_HOLE_S * NS_PER_S:
            return 0
        return max(0, math.floor(spacing_ns / usual_ns + 0.25) - 1)

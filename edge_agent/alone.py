"""One sensor, or one simulated device, without an agent around it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from edge_agent.errors import ConfigurationError
from edge_agent.stages import Acquisition
from edge_agent.threads import begin, join, signals
from edge_agent.types import Chunk, Clock, Sensor


class Device(Protocol):
    """What runs until it is stopped, and fails when it is told to, from any thread."""

    def run(self, stop: threading.Event) -> None:
        """Play until `stop`."""
        ...

    def garbage(self, size: int) -> None:
        """Say `size` bytes that mean nothing."""
        ...

    def drop_frames(self, count: int) -> None:
        """Lose so many of what it says next."""
        ...

    def spoil_frames(self, count: int) -> None:
        """Get so many of what it says next wrong."""
        ...

    def unplug(self) -> None:
        """Be away."""
        ...

    def plug(self) -> None:
        """Be back."""
        ...


TICK_S = 0.25
"""How often what came is handed on."""
STOP_S = 1.0
"""What the end may take."""
UNPLUGGED_S = 2.0


def live(sensor: Sensor, clock: Clock, duration_s: float) -> Iterator[list[Chunk]]:
    """What one sensor gives, every TICK_S, perhaps nothing; until SIGINT, or for `duration_s` if not 0.

    Raises ConfigurationError when the sensor says that its settings cannot work.
    """
    stop, faults = threading.Event(), list[ConfigurationError]()
    source = Acquisition(sensor, clock, faults.append)
    deadline_s = time.monotonic() + (duration_s or math.inf)
    with signals(stop.set):
        worker = begin(source.name, source.run, stop)
        try:
            while time.monotonic() < deadline_s and not (source.finished or faults or stop.is_set()):
                stop.wait(TICK_S)
                yield source.chunks.take_all()
        finally:
            stop.set()
            join([worker], STOP_S)
    if faults:
        raise faults[0]


def play(device: Device, faults: Mapping[Callable[[], None], float], duration_s: float) -> None:
    """Run a simulated device until SIGINT, or for `duration_s` if not 0; each fault comes again and again.

    A device that a fault has unplugged is plugged in again after UNPLUGGED_S.
    """
    stop = threading.Event()
    begun_s = time.monotonic()
    due_s = {fault: begun_s + every_s for fault, every_s in faults.items()}
    plug_s = math.inf
    with signals(stop.set):
        worker = begin("simulated device", device.run, stop)
        while not stop.wait(TICK_S) and time.monotonic() - begun_s < (duration_s or math.inf):
            for fault in [fault for fault, at_s in due_s.items() if at_s <= time.monotonic()]:
                fault()
                due_s[fault] += faults[fault]
                plug_s = time.monotonic() + UNPLUGGED_S
            if plug_s <= time.monotonic():
                device.plug()
                plug_s = math.inf
        stop.set()
        join([worker], STOP_S)

"""A simulated device on a pty, a sensor on it, a thread each, and everything that came out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from edge_agent.sensors.simulated_serial import SimulatedSerial
from edge_agent.types import Chunk, Sensor


class Rig:
    def __init__(self, device: SimulatedSerial, sensor: Sensor) -> None:
        self.device = device
        self.sensor = sensor
        self.stop = threading.Event()
        self.chunks: list[Chunk] = []

    def read(self) -> None:
        for chunk in self.sensor.chunks(self.stop):
            self.chunks.append(chunk)

    def wait_for(self, more: int) -> list[Chunk]:
        """That many chunks that come from now on."""
        had = len(self.chunks)
        wait_until(lambda: len(self.chunks) >= had + more)
        return self.chunks[had:]

    def times_ns(self) -> np.ndarray:
        return np.concatenate([chunk.times_ns for chunk in list(self.chunks)])


def wait_until(true: Callable[[], object], patience_s: float = 20.0) -> None:
    end_s, pause = time.monotonic() + patience_s, threading.Event()
    while not true():
        assert time.monotonic() < end_s
        pause.wait(0.01)


@contextmanager
def running(device: SimulatedSerial) -> Iterator[None]:
    """The device alone, for a sensor that the test reads itself."""
    stop = threading.Event()
    thread = threading.Thread(target=device.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)
        assert not thread.is_alive()


@contextmanager
def rig(device: SimulatedSerial, sensor: Sensor) -> Iterator[Rig]:
    both = Rig(device, sensor)
    reader = threading.Thread(target=both.read)
    with running(device):
        reader.start()
        try:
            yield both
        finally:
            both.stop.set()
            reader.join(5)
            assert not reader.is_alive()

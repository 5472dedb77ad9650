"""A simulated Omron D6T-44L-06: answers its one command with the frame that it measured last.

Omron application note MDMK-12-0493, 6.4 and 6.5; user's manual A284, 6.7 (a frame that was given up).
"""

from __future__ import annotations

import struct

import numpy as np

from edge_agent.sensors.i2c import d6t as driver
from edge_agent.sensors.simulated_chips.thermal_scene import walking_person
from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.types import Clock

CYCLE_S = 0.2
"""How often it measures."""
GENERATOR = 0x107
"""x^8 + x^2 + x + 1"""


class SimulatedD6t:
    """`signal` gives degC, sixteen pixels and then the sensor itself."""

    def __init__(self, clock: Clock, signal: Signal) -> None:
        self.corrupt_next = 0
        """How many of the next frames lose a bit on the wire."""
        self.give_up_next = 0
        """How many of the next frames are FFh, as after the bus was held low for more than a second."""
        self._clock = clock
        self._signal = signal
        self._born_ns = clock.monotonic_ns()
        self._command = b""

    def write(self, data: bytes) -> None:
        """Only a read after the command gives a frame."""
        self._command = data

    def read(self, count: int) -> bytes:
        """The frame, then FFh: an idle bus."""
        command, self._command = self._command, b""
        if command != bytes((driver.COMMAND,)):
            return b"\xff" * count
        if self.give_up_next:
            self.give_up_next -= 1
            return b"\xff" * count
        frame = bytearray(self._frame())
        if self.corrupt_next:
            self.corrupt_next -= 1
            frame[5] ^= 0x10
        return bytes(frame[:count]).ljust(count, b"\xff")

    def _frame(self) -> bytes:
        cycles = int((self._clock.monotonic_ns() - self._born_ns) * 1e-9 / CYCLE_S)
        *pixels, own = np.clip(np.rint(self._signal(cycles * CYCLE_S) * 10), -32768, 32767).astype(int)
        words = struct.pack("<17h", own, *pixels)
        write, read = driver.ADDRESS << 1, driver.ADDRESS << 1 | 1
        return words + bytes((remainder(bytes((write, driver.COMMAND, read)) + words),))


def remainder(data: bytes) -> int:
    """The packet error code as what it is: the remainder of a division of polynomials over two elements."""
    rest = int.from_bytes(data, "big") << 8
    while (shift := rest.bit_length() - GENERATOR.bit_length()) >= 0:
        rest ^= GENERATOR << shift
    return rest


def invented(seed: int) -> Signal:
    """See chips.Invent: somebody walks through a room."""
    return walking_person(4, 4, seed)


def simulated(clock: Clock, signal: Signal | None = None, seed: int = 0) -> SimulatedD6t:
    """See chips.Simulate."""
    return SimulatedD6t(clock, signal or invented(seed))

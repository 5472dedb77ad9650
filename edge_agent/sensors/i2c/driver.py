"""What a chip's driver is: identify, configure, read. No thread, no clock of its own, no retries.

A driver talks to one chip on a bus; the sensor around it (`i2c/sensor.py`) paces it, gives samples their
times, and starts it anew when an exchange fails. To add a chip: a driver module here, a simulated chip in
`simulated_chips/`, and one entry in `i2c/chips.py`; the contract suite does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edge_agent.errors import SensorError
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.types import Float32

Wait = Callable[[float], object]
"""Waits so many seconds on the sensor's clock, or less when the agent stops."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a read gave: values (n, channels) oldest first, n >= 1; `lost` samples went missing before them.

    A channel that the chip could not measure this time is NaN.
    """

    values: Float32
    lost: int = 0


class Driver(Protocol):
    """One chip. Every method may raise OSError: the exchange failed, or the chip is not what it should be."""

    channels: tuple[Channel, ...]
    rate_hz: float
    """Samples a second that the chip really gives after `start`: the nearest it can to what was asked."""
    poll_s: float
    """How often to read: one period, or less often for a chip that queues samples."""

    def start(self) -> None:
        """Identify, reset and configure. Raises SensorError where another chip answers."""
        ...

    def read(self) -> Reading | None:
        """What is new since the last read, None when nothing is."""
        ...


class Registers:
    """A chip's registers: the one way that drivers here put bytes on the bus.

    `index_bytes` is 1 for most chips and 2, big-endian, for those with a 16-bit register map.
    """

    def __init__(self, bus: I2CBus, address: int, index_bytes: int = 1) -> None:
        self.bus = bus
        self.address = address
        self._index_bytes = index_bytes

    def read(self, register: int, count: int) -> bytes:
        """`count` bytes from `register` on."""
        return self.bus.write_read(self.address, self._index(register), count)

    def read_u8(self, register: int) -> int:
        """One register."""
        return self.read(register, 1)[0]

    def write(self, register: int, *values: int) -> None:
        """Write bytes from `register` on."""
        self.bus.write(self.address, self._index(register) + bytes(values))

    def update(self, register: int, mask: int, value: int) -> None:
        """Change the bits of `mask` in one register."""
        self.write(register, (self.read_u8(register) & ~mask & 0xFF) | (value & mask))

    def expect(self, register: int, identities: dict[int, str], wanted: str) -> str:
        """The name of the chip whose identity stands in `register`; SensorError where it is none of them."""
        found = self.read_u8(register)
        if found not in identities:
            known = ", ".join(f"0x{identity:02x}" for identity in identities)
            raise SensorError(
                f"address 0x{self.address:02x} is no {wanted}: its identity is 0x{found:02x}, not {known}",
                hint="`edge-agent sensors probe` tells which chips answer",
            )
        return identities[found]

    def _index(self, register: int) -> bytes:
        return register.to_bytes(self._index_bytes, "big")


MakeDriver = Callable[[I2CBus, int, "float | None", Wait], Driver]
"""(bus, address, wanted rate in Hz or None for the chip's usual one, wait) -> a driver, not yet started."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A kind of chip that can be named in the configuration."""

    name: str
    modality: str
    """One of the twelve of the manifest, or "environment"."""
    description: str
    addresses: tuple[int, ...]
    """Where it can be strapped to; the first is the default."""
    make: MakeDriver
    identify: Callable[[I2CBus, int], bool]
    """Whether this chip answers at an address: reads only, changes nothing. False on any OSError."""

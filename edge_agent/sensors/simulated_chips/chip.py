"""Chips that are not there: register files that behave as the data sheet says, on a bus that is not there.

The adapter stands where smbus2 does, below the same `I2CBus` and the same drivers. It refuses what a real
bus refuses: an address without a chip is not acknowledged, a chip that is busy is not either.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

I2C_M_RD = 0x0001
"""linux/i2c.h: the message is a read."""


class SimulatedChip(Protocol):
    """What is at one address. Both methods raise NackError where the real chip would not acknowledge."""

    def write(self, data: bytes) -> None:
        """The master writes `data`; empty data only addresses the chip."""
        ...

    def read(self, count: int) -> bytes:
        """The master reads `count` bytes."""
        ...


class NackError(OSError):
    """The chip did not acknowledge."""

    def __init__(self) -> None:
        super().__init__(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))


class SimulatedAdapter:
    """A bus with chips on it, and faults that a test or a user can set.

    `chips` may change while the bus is in use: to take one out is to unplug it.
    """

    def __init__(self, chips: Mapping[int, SimulatedChip] | None = None) -> None:
        self.chips: dict[int, SimulatedChip] = dict(chips or {})
        self.fail_next: list[int] = []
        """errno values that the next transactions end with, one each, before any chip hears of them."""
        self.stuck = False
        """A chip holds a line low: every transaction times out."""
        self.transactions = 0
        self.opened = 0
        self.files = 0
        """How many are open now."""
        self.unplugged = 0
        """How often the bus itself went away, as one at USB that is pulled out."""
        self._plugged = True

    def open(self, _path: str) -> OpenBus:
        """What `I2CBus` takes as `open_adapter`."""
        if not self._plugged:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        self.opened += 1
        self.files += 1
        return OpenBus(self)

    def unplug(self) -> None:
        """Take the bus away, with all that is on it."""
        self._plugged = False
        self.unplugged += 1

    def plug(self) -> None:
        """Bring it back; what was open before stays dead."""
        self._plugged = True

    def i2c_rdwr(self, *messages: Any) -> None:
        """Carry out smbus2.i2c_msg messages on the chips."""
        self.transactions += 1
        if self.stuck:
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        if self.fail_next:
            number = self.fail_next.pop(0)
            raise OSError(number, os.strerror(number))
        for message in messages:
            chip = self.chips.get(message.addr)
            if chip is None:
                raise NackError
            if message.flags & I2C_M_RD:
                data = chip.read(message.len)
                assert len(data) == message.len, (type(chip).__name__, len(data), message.len)
                for i, byte in enumerate(data):
                    message.buf[i] = byte
            else:
                chip.write(bytes(message))


class OpenBus:
    """A device file of a simulated bus; as a real one, it dies with its bus."""

    def __init__(self, bus: SimulatedAdapter) -> None:
        self._bus = bus
        self._unplugged = bus.unplugged
        self._open = True

    def i2c_rdwr(self, *messages: Any) -> None:
        """As the bus does."""
        if not self._open or self._bus.unplugged != self._unplugged:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        self._bus.i2c_rdwr(*messages)

    def close(self) -> None:
        """Let it go."""
        self._bus.files -= self._open
        self._open = False


class RegisterChip:
    """A chip with registers and a pointer that the first bytes of a write set; both ways it moves on by one.

    Subclasses override `loaded` (a register is read) and `stored` (one is written) for what has behaviour.
    Registers that were never set read as 0. `index_bytes` is 2 for chips with a 16-bit register map.
    """

    index_bytes = 1

    def __init__(self, monotonic_ns: Callable[[], int], registers: Mapping[int, int] | None = None) -> None:
        self.monotonic_ns = monotonic_ns
        self.registers: dict[int, int] = dict(registers or {})
        self.pointer = 0

    def write(self, data: bytes) -> None:
        """Set the pointer, then the registers from there on."""
        if len(data) < self.index_bytes:
            return
        self.pointer = int.from_bytes(data[: self.index_bytes], "big")
        for value in data[self.index_bytes :]:
            self.stored(self.pointer, value)
            self.pointer = self.following(self.pointer)

    def read(self, count: int) -> bytes:
        """The registers from the pointer on."""
        out = bytearray()
        for _ in range(count):
            out.append(self.loaded(self.pointer))
            self.pointer = self.following(self.pointer)
        return bytes(out)

    def loaded(self, register: int) -> int:
        """The byte that a read of `register` gives."""
        return self.registers.get(register, 0)

    def stored(self, register: int, value: int) -> None:
        """`register` is written."""
        self.registers[register] = value

    def following(self, register: int) -> int:
        """Where the pointer goes after `register`; a FIFO's data register stays."""
        return (register + 1) % (1 << (8 * self.index_bytes))

    def put(self, register: int, data: bytes) -> None:
        """Set registers from `register` on, as the chip itself does."""
        for i, value in enumerate(data):
            self.registers[register + i] = value

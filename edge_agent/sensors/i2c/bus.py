"""An I2C bus: shared by its chips, locked, retried, opened again. The one module that imports smbus2.

Every exchange is one `i2c_rdwr` of smbus2 (the kernel's I2C_RDWR, Documentation/i2c/dev-interface.rst), so
a write and the read that belongs to it are one transaction with a repeated start. Anything with
`i2c_rdwr` and `close` can stand where smbus2 does: the simulated adapter has simulated chips on it.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import smbus2

from edge_agent.errors import ConfigurationError, SensorError

FLAKY = frozenset((errno.EREMOTEIO, errno.EIO, errno.EAGAIN))
"""What a loose wire gives now and then: no acknowledgement, a bus error, arbitration lost."""
ABSENT = frozenset((errno.EREMOTEIO, errno.ENXIO, errno.EIO))
"""What a probe of an address without a chip gives, by adapter."""
ATTEMPTS = 3
RETRY_PAUSE_S = 0.002
REOPEN_AFTER = 5
"""Exchanges that failed one after the other, whatever the chip, before the bus is opened again."""
MEMORIES = (range(0x30, 0x38), range(0x50, 0x60))
"""Where i2cdetect does not write either."""
LOWEST_ADDRESS, HIGHEST_ADDRESS = 0x08, 0x77
"""What is outside is reserved (NXP UM10204, 3.1.12)."""


class Adapter(Protocol):
    """What we use of smbus2.SMBus."""

    def i2c_rdwr(self, *messages: Any) -> None:
        """Carry out the messages (smbus2.i2c_msg) as one transaction; OSError where one fails."""
        ...

    def close(self) -> None:
        """Let the device file go."""
        ...


@dataclass(slots=True)
class BusCounters:
    """What went over a bus."""

    exchanges: int = 0
    retries: int = 0
    failures: int = 0
    reopened: int = 0


class I2CBus:
    """One bus with all of its chips; any thread may use it. Opened at the first exchange.

    Every method raises OSError with the kernel's errno, after `ATTEMPTS` where the error is one of FLAKY;
    SensorError when the bus itself cannot be opened or is stuck.
    """

    def __init__(
        self,
        path: str,
        open_adapter: Callable[[str], Adapter] = smbus2.SMBus,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self.path = path
        self.counters = BusCounters()
        self._open_adapter = open_adapter
        self._pause = pause
        self._adapter: Adapter | None = None
        self._failed_in_a_row = 0
        self._lock = threading.Lock()

    def write(self, address: int, data: bytes) -> None:
        """Write `data` to a chip."""
        self._exchange(smbus2.i2c_msg.write(address, list(data)))

    def read(self, address: int, count: int) -> bytes:
        """Read `count` bytes from wherever the chip stands."""
        message = smbus2.i2c_msg.read(address, count)
        self._exchange(message)
        return bytes(message)

    def write_read(self, address: int, data: bytes, count: int) -> bytes:
        """Write `data`, usually a register's address, and read `count` bytes after a repeated start."""
        message = smbus2.i2c_msg.read(address, count)
        self._exchange(smbus2.i2c_msg.write(address, list(data)), message)
        return bytes(message)

    def scan(self, first: int = LOWEST_ADDRESS, last: int = HIGHEST_ADDRESS) -> list[int]:
        """The addresses that answer, asked as `i2cdetect` asks."""
        return [address for address in range(first, last + 1) if self.answers(address)]

    def answers(self, address: int) -> bool:
        """Whether a chip acknowledges its address. SensorError when the bus cannot be used.

        A read of one byte; some chips refuse one that no command came before, so then a write of nothing,
        but where memories live, of which some take that for the beginning of a write.
        """
        asked = [smbus2.i2c_msg.read(address, 1)]
        if not any(address in memories for memories in MEMORIES):
            asked.append(smbus2.i2c_msg.write(address, []))
        with self._lock:
            return any(self._acknowledged(message) for message in asked)

    def _acknowledged(self, message: Any) -> bool:
        try:
            self._opened().i2c_rdwr(message)
        except OSError as error:
            if error.errno in ABSENT:
                return False
            if error.errno == errno.EBUSY:  # a kernel driver has claimed it: it is there
                return True
            raise self._explained(error) from error
        return True

    def close(self) -> None:
        """Close the device file; the next exchange opens it again."""
        with self._lock:
            self._drop()

    def _exchange(self, *messages: Any) -> None:
        with self._lock:
            self.counters.exchanges += 1
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    self._opened().i2c_rdwr(*messages)
                except OSError as error:
                    if error.errno in FLAKY and attempt < ATTEMPTS:
                        self.counters.retries += 1
                        self._pause(RETRY_PAUSE_S)
                        continue
                    self._count_failure()
                    raise self._explained(error) from error
                self._failed_in_a_row = 0
                return

    def _count_failure(self) -> None:
        self.counters.failures += 1
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= REOPEN_AFTER:
            self._drop()
            self._failed_in_a_row = 0
            self.counters.reopened += 1

    def _opened(self) -> Adapter:
        if self._adapter is None:
            try:
                self._adapter = self._open_adapter(self.path)
            except FileNotFoundError as error:
                raise SensorError(
                    f"there is no I2C bus {self.path}",
                    hint="switch I2C on (raspi-config, Interface Options); `ls /dev/i2c-*` lists the buses",
                ) from error
            except PermissionError as error:
                raise SensorError(
                    f"no permission for {self.path}", hint="add the user to the group i2c"
                ) from error
        return self._adapter

    def _drop(self) -> None:
        adapter, self._adapter = self._adapter, None
        if adapter is not None:
            adapter.close()

    def _explained(self, error: OSError) -> OSError:
        """The error itself, or in words where the kernel's say little."""
        if error.errno == errno.ETIMEDOUT:
            self._drop()
            stuck = SensorError(
                f"{self.path} is stuck: a chip holds SDA or SCL low",
                hint="power the chips off and on; look for a short or a missing pull-up",
            )
            stuck.errno = errno.ETIMEDOUT
            return stuck
        return error


def bus_path(bus: int | str) -> str:
    """1 or "/dev/i2c-1" -> "/dev/i2c-1". Raises ConfigurationError for anything else."""
    if isinstance(bus, int):
        return f"/dev/i2c-{bus}"
    if not Path(bus).is_absolute():
        raise ConfigurationError(
            f'"{bus}" is no I2C bus', key="bus", hint='bus = 1, bus = "/dev/i2c-1" or bus = "simulated"'
        )
    return bus

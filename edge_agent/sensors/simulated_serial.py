"""A device at the far end of a pty: what opens its port cannot tell it from one on USB.

What the device says is the affair of a `SimulatedDevice`, which does no I/O and has no clock. It can be
unplugged, fed with noise, and made to lose or spoil frames. It ships with the product: the demo plays
recordings through it, and anyone without hardware can.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

_TICK_S = 0.05
"""How late a stop or a fault is noticed."""
_READ_BYTES = 4096


class SimulatedDevice(Protocol):
    """The device without its line. `age_us` is the time since it was made, by its own oscillator."""

    def boot(self, age_us: int) -> bytes:
        """Power comes back; return what it says then."""
        ...

    def receive(self, data: bytes, age_us: int) -> bytes:
        """Take the host's bytes; return the answers."""
        ...

    def due(self, age_us: int) -> list[bytes]:
        """Return the frames that are complete by now."""
        ...

    def next_due_us(self) -> int | None:
        """The age at which `due` has something again; None while it says nothing by itself."""
        ...


class SimulatedSerial:
    """Puts `device` behind a port for whoever opens `path`, from `run`, until stopped.

    with SimulatedSerial(device, link=Path("board")) as line:
        line.run(stop)         # blocks: give it a thread or a process

    `link` is a symbolic link that stays the same over `unplug` and `plug`, as /dev/serial/by-id does.
    `drift_ppm` is how much faster than the host its clock runs. A pty has no baud rate: frames come when
    the device has them. The faults may be called from any thread.
    """

    def __init__(
        self,
        device: SimulatedDevice,
        *,
        link: Path | None = None,
        drift_ppm: float = 40.0,
        seed: int = 0,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._device = device
        self._link = link
        self._rate = 1 + drift_ppm * 1e-6
        self._rng = random.Random(seed)
        self._monotonic_ns = monotonic_ns
        self._born_ns = monotonic_ns()
        self._master = self._slave = -1
        self._slave_path = ""
        self._lock = threading.Lock()
        self._plugged = True
        self._noise = b""
        self._drop_frames = 0
        self._spoil_frames = 0
        self.dropped_frames = 0
        """Frames that were lost by a fault, or because nobody emptied the line."""
        self.spoilt_frames = 0
        """Frames that went out with a wrong bit."""

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    @property
    def path(self) -> Path:
        """What to open."""
        return self._link or Path(self._slave_path)

    def garbage(self, size: int) -> None:
        """Put `size` random bytes on the line, between two frames."""
        with self._lock:
            self._noise += self._rng.randbytes(size)

    def drop_frames(self, count: int) -> None:
        """Lose the next `count` frames."""
        with self._lock:
            self._drop_frames += count

    def spoil_frames(self, count: int) -> None:
        """Turn one bit over in each of the next `count` frames: the checksum, if there is one, is wrong."""
        with self._lock:
            self._spoil_frames += count

    def unplug(self) -> None:
        """Take the device away: its port hangs up and its path disappears."""
        with self._lock:
            self._plugged = False

    def plug(self) -> None:
        """Bring the device back at the same link; it starts anew."""
        with self._lock:
            self._plugged = True

    def run(self, stop: threading.Event) -> None:
        """Play until `stop`."""
        while not stop.is_set():
            self._obey_plug()
            if self._master < 0:
                stop.wait(_TICK_S)
                continue
            readable, _, _ = select.select([self._master], [], [], self._wait_s())
            if readable:
                self._write(self._device.receive(os.read(self._master, _READ_BYTES), self._age_us()))
            self._play()

    def _age_us(self) -> int:
        return int((self._monotonic_ns() - self._born_ns) * self._rate) // 1000

    def _wait_s(self) -> float:
        due_us = self._device.next_due_us()
        if due_us is None:
            return _TICK_S
        return min(_TICK_S, max(0.0, (due_us - self._age_us()) / 1e6))

    def _play(self) -> None:
        with self._lock:
            noise, self._noise = self._noise, b""
        self._write(noise)
        for frame in self._device.due(self._age_us()):
            self._send(frame)

    def _send(self, frame: bytes) -> None:
        with self._lock:
            dropping, self._drop_frames = self._drop_frames > 0, max(0, self._drop_frames - 1)
            spoiling = not dropping and self._spoil_frames > 0
            self._spoil_frames -= spoiling
        if spoiling:
            frame = self._spoilt(frame)
            self.spoilt_frames += 1
        if dropping or not self._write(frame):
            self.dropped_frames += 1

    def _spoilt(self, frame: bytes) -> bytes:
        spoilt = bytearray(frame)
        spoilt[self._rng.randrange(len(frame))] ^= 1 << self._rng.randrange(8)
        return bytes(spoilt)

    def _write(self, data: bytes) -> bool:
        """Write what the line takes; False where it is full, which a device cannot wait for."""
        try:
            return not data or os.write(self._master, data) == len(data)
        except BlockingIOError:
            return False

    def _obey_plug(self) -> None:
        with self._lock:
            plugged = self._plugged
        if plugged and self._master < 0:
            self._open()
        elif not plugged and self._master >= 0:
            self._close()

    def _open(self) -> None:
        """Make the pty. The far end stays open here too, so that a host may come and go."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._slave_path = os.ttyname(self._slave)
        if self._link is not None:
            fresh = self._link.with_name(self._link.name + ".new")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(self._slave_path)
            fresh.replace(self._link)
        self._write(self._device.boot(self._age_us()))

    def _close(self) -> None:
        if self._master < 0:
            return
        if self._link is not None:
            with contextlib.suppress(FileNotFoundError):
                if self._link.readlink() == Path(self._slave_path):
                    self._link.unlink()
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1

"""A mosquitto of a benchmark's own, on a free port of the loopback."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

ANYBODY = "allow_anonymous true"
ROOMY = f"{ANYBODY}\nmax_queued_messages 0\nmax_inflight_messages 1000"
"""Drops nothing for a subscriber that is slower than the publishers for a while."""
_LISTENS_S = 10.0


def free_port() -> int:
    """A port that nobody has, below those that the system gives to outgoing connections (32768 on).

    Else a client that tries again while its broker is away could be given the broker's own port.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def program() -> str | None:
    """Where mosquitto is, also where only root's PATH leads; None: not installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Broker:
    """Keeps nothing on disk; `with` starts and stops it. `lines` are of its configuration.

    It can be stopped and started again on the same port.
    """

    def __init__(self, folder: Path, lines: str = ANYBODY) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._file = folder / f"mosquitto-{self.port}.conf"
        self._file.write_text(f"listener {self.port} 127.0.0.1\n{lines}\npersistence false\n")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Return when it listens. Raises RuntimeError when it does not."""
        command = [program() or "mosquitto", "-c", str(self._file)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end_s = time.monotonic() + _LISTENS_S
        while time.monotonic() < end_s and self._process.poll() is None:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"mosquitto does not listen on port {self.port}")

    def stop(self) -> None:
        """Ask it to end, and wait."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

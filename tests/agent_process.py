"""A whole agent in a process of its own, with a microcontroller on a pty before it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from conftest import ROOT

from edge_agent.demo_world import invented
from edge_agent.sensors.simulated import SimulatedMcu

NODE = "edge/kitchen"


def configuration(
    folder: Path,
    model: Path,
    port: int,
    *,
    sensors: str | None = None,
    mqtt: str = "",
    health_s: float = 1.0,
    deadline_s: float = 2.0,
    state: Path | None = None,
) -> Path:
    """Write an agent's configuration; `sensors` in TOML, by default the board and a simulated microphone.

    All sensor states come again every `health_s`: a test that waits for the next one waits so long. An answer
    may take `deadline_s`; what survives a restart is in `state`, by default in `folder`.
    """
    board = f"""
[[sensor]]
kind = "serial"
name = "board"
port = '{folder / "board"}'
streams = {{ phone = {{ slot = "imu_phone" }}, watch = {{ slot = "imu_watch" }} }}
[[sensor]]
kind = "simulated"
name = "sound"
slot = "audio"
"""
    file = folder / "edge-agent.toml"
    file.write_text(
        f"""
[node]
name = "kitchen"
state_directory = '{state or folder / "state"}'
[model]
path = '{model}'
language_deadline_s = {deadline_s}
[mqtt]
host = "127.0.0.1"
port = {port}
commands = ["ask"]
{mqtt}
[publish]
health_interval_s = {health_s}
percept_interval_s = 0.5
event_hold_s = 0.0
sentence_interval_s = 0.5
{board if sensors is None else sensors}
"""
    )
    return file


@contextmanager
def board(folder: Path) -> Iterator[SimulatedMcu]:
    """A microcontroller at `folder/board` that plays invented motion."""
    stop = threading.Event()
    with SimulatedMcu(invented().streams, link=folder / "board") as mcu:
        thread = threading.Thread(target=mcu.run, args=(stop,), daemon=True)
        thread.start()
        try:
            yield mcu
        finally:
            stop.set()
            thread.join(5)


class AgentProcess:
    """`edge-agent run`, as a service manager starts it."""

    def __init__(self, config: Path, environment: dict[str, str] | None = None) -> None:
        self.log = config.with_suffix(".log")
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edge_agent", "run", "-c", str(config)],
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
                stdout=output,
                stderr=output,
            )

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """(exit code, seconds that it took)."""
        begun_s = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(20), time.monotonic() - begun_s

    def __enter__(self) -> AgentProcess:  # noqa: PYI034
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        print(self.log.read_text(errors="replace")[-4000:])


class Supervisor:
    """The service manager's end of sd_notify: a real datagram socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(30)

    def wait(self, state: str) -> str:
        """The next datagram that holds the line `state`."""
        while True:
            text = self._socket.recv(4096).decode()
            if state in text.splitlines():
                return text

    def close(self) -> None:
        self._socket.close()


def tone(path: Path, seconds: float = 3.0) -> Path:
    """A WAV file with a little noise in it."""
    import soundfile

    rng = np.random.default_rng(0)
    soundfile.write(path, rng.normal(0, 0.05, round(16_000 * seconds)).astype(np.float32), 16_000)
    return path

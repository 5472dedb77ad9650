"""The processes around the demo: a broker on a free port, and whatever else is started and ended with it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edge_agent.config import Mqtt
from edge_agent.errors import DeliveryError

_START_S = 20.0


@contextmanager
def process(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own: Ctrl-C is for the demo, which then ends the others in order.

    `environment` comes on top of the demo's own.
    """
    with log.open("wb") as output:
        started = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env={**os.environ, **(environment or {})}, start_new_session=True,
        )  # fmt: skip
    try:
        yield started
    finally:
        terminate(started)


def terminate(started: subprocess.Popen[bytes]) -> int:
    """End a process, gently first; its exit code."""
    if started.poll() is None:
        started.send_signal(signal.SIGTERM)
    try:
        return started.wait(5)
    except subprocess.TimeoutExpired:
        started.kill()
        return started.wait()


@contextmanager
def broker(folder: Path) -> Iterator[tuple[Mqtt, str]]:
    """A broker for this demo alone: (how to reach it, its name). Raises DeliveryError when none starts."""
    command, settings, name = broker_command(folder)
    with process(command, folder / "broker.log") as running:
        _await_port(running, settings.port, name)
        yield settings, name


def broker_command(folder: Path, search: str | None = None) -> tuple[list[str], Mqtt, str]:
    """(how to start it, how to reach it, its name): mosquitto where `search` has it, else amqtt."""
    port = _free_port()
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin" if search is None else search
    if program := shutil.which("mosquitto", path=path):
        file = folder / "mosquitto.conf"
        text = f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
        file.write_text(text, encoding="utf-8")
        return [program, "-c", str(file)], Mqtt(host="127.0.0.1", port=port), "mosquitto"
    file = folder / "amqtt.yaml"
    file.write_text(
        f"listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{port}\n"
        "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-P", "-m", "amqtt.scripts.broker_script", "-c", str(file)]
    return command, Mqtt(host="127.0.0.1", port=port, protocol="3.1.1"), "amqtt"  # which knows no MQTT 5


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _await_port(started: subprocess.Popen[bytes], port: int, name: str) -> None:
    never, deadline_s = threading.Event(), time.monotonic() + _START_S
    while time.monotonic() < deadline_s and started.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        never.wait(0.05)
    raise DeliveryError(f"{name} did not start", hint="sudo apt install mosquitto")

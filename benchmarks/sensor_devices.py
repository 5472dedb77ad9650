"""One sensor of each kind with its device, for `benchmarks.sensors`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.broker import Broker, program
from benchmarks.timing import DEFAULT_MODEL
from edge_agent import config
from edge_agent import manifest as manifests
from edge_agent.assembly import make_sensors
from edge_agent.cli_simulate import SERIAL
from edge_agent.clock import SystemClock
from edge_agent.config_sensors import I2cSensor
from edge_agent.sensors.i2c import chips
from edge_agent.sensors.i2c.build import I2cBuilder
from edge_agent.types import Sensor

CLOCK = SystemClock()
APPEARS_S = 30.0
FILM_FRAMES, FILM_HZ = 50, 10
NODE = "kitchen"
TRACKERS = f"""
import sys, threading
from benchmarks.every_sensor import Publisher
from benchmarks.timing import DEFAULT_MODEL
from edge_agent import manifest
with Publisher(manifest.read(DEFAULT_MODEL), int(sys.argv[1]), "{NODE}"):
    threading.Event().wait()
"""
"""What publishes for the network sensors, each at its slot's rate."""


class NotHereError(Exception):
    """This machine lacks what the device needs."""


@contextmanager
def plain(name: str) -> Iterator[Sensor]:
    """A chip, which needs nothing beside it."""
    yield chip(name)


def chip(name: str) -> Sensor:
    """A simulated chip on a bus of its own: some share an address."""
    settings = I2cSensor(kind="i2c", name=name, chip=name, bus="simulated")
    return I2cBuilder(CLOCK).make(settings, None)


def configured(table: str, more: str = "") -> Sensor:
    """The sensor of a `[[sensor]]` table; `more` are other tables."""
    text = f'[model]\npath = "{DEFAULT_MODEL}"\n{more}\n[[sensor]]\n{table}'
    settings = config.loads(text, Path())
    (sensor,) = make_sensors(settings, manifests.read(DEFAULT_MODEL), CLOCK)
    return sensor


def _await(path: Path) -> None:
    end_s = time.monotonic() + APPEARS_S
    while not path.exists():
        if time.monotonic() > end_s:
            raise TimeoutError(f"{path} did not appear")
        time.sleep(0.05)


@contextmanager
def beside(command: list[str]) -> Iterator[None]:
    """A process that runs in the block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(APPEARS_S)


@contextmanager
def serial(name: str) -> Iterator[Sensor]:
    """The sensor of a simulated serial device."""
    with tempfile.TemporaryDirectory() as folder:
        port = Path(folder) / "port"
        with beside([sys.executable, "-m", "edge_agent", "simulate", name, "--link", str(port)]):
            _await(port)
            table = SERIAL[name].replace(", ", "\n")
            yield configured(f'name = "{name}"\nport = "{port}"\n{table}')


@contextmanager
def microphone() -> Iterator[Sensor]:
    """The hum of a PulseAudio of its own, at 16 kHz through PortAudio."""
    if shutil.which("pulseaudio") is None:
        raise NotHereError("PulseAudio is not installed")
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "pulse.socket"
        own = {"HOME": folder, "XDG_RUNTIME_DIR": folder, "PULSE_SERVER": f"unix:{socket}"}
        before = {name: os.environ.get(name) for name in own}
        os.environ.update(own)
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        command += ["--load=module-sine-source source_name=room rate=16000"]
        command += [f"--load=module-native-protocol-unix socket={socket} auth-anonymous=1"]
        try:
            with beside(command):
                _await(socket)
                yield configured('kind = "microphone"\nname = "microphone"\ndevice = "pulse"')
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def _scenes(count: int) -> Iterator[np.ndarray]:
    """Coarse random pictures of 640 x 480, which compress about as real ones do."""
    import cv2

    rng = np.random.default_rng(1)
    for _ in range(count):
        yield cv2.resize(rng.integers(0, 256, (12, 16, 3), np.uint8), (640, 480))


@contextmanager
def pictures(rate_hz: float, name: str) -> Iterator[Sensor]:
    """JPEG images of 640 x 480, brought to 160 x 120."""
    import cv2

    with tempfile.TemporaryDirectory() as folder:
        for i, scene in enumerate(_scenes(10)):
            cv2.imwrite(f"{folder}/{i}.jpg", scene)
        yield configured(f'kind = "camera"\nname = "{name}"\nsource = "{folder}"\nrate_hz = {rate_hz}')


@contextmanager
def film() -> Iterator[Sensor]:
    """A video file of 640 x 480, brought to 160 x 120."""
    import cv2

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/film.avi"
        writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), FILM_HZ, (640, 480))
        for scene in _scenes(FILM_FRAMES):
            writer.write(scene)
        writer.release()
        yield configured(f'kind = "camera"\nname = "film"\nsource = "{path}"')


@contextmanager
def tracker(name: str, slot: str) -> Iterator[Sensor]:
    """What another machine publishes over MQTT, at the slot's rate."""
    if program() is None:
        raise NotHereError("mosquitto is not installed")
    with (
        tempfile.TemporaryDirectory() as folder,
        Broker(Path(folder)) as broker,
        beside([sys.executable, "-c", TRACKERS, str(broker.port)]),
    ):
        where = f'[node]\nname = "{NODE}"\n[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}'
        yield configured(f'kind = "network"\nname = "{name}"\nslot = "{slot}"', where)


DEVICES: dict[str, Callable[[], AbstractContextManager[Sensor]]] = {
    **{name: partial(plain, name) for name in chips.NAMES},
    **{name: partial(serial, name) for name in SERIAL},
    "microphone": microphone,
    "camera": partial(pictures, 10.0, "camera"),
    "film": film,
    "pictures": partial(pictures, 1.0, "pictures"),
    "eyes": partial(tracker, "eyes", "gaze"),
    "hand": partial(tracker, "hand", "pose_hand"),
}
"""name -> its sensor, inside `with`. Raises NotHereError."""

"""A device of every kind that can be unplugged and plugged in again while an agent reads it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Mosquitto, wait_for
from listening import Listener
from serial_rig import running

from edge_agent.assembly import MakeSensors, make_sensors
from edge_agent.clock import SystemClock
from edge_agent.config import Config, Mqtt
from edge_agent.delivery.subscription import Subscription
from edge_agent.demo_world import invented
from edge_agent.errors import SensorError
from edge_agent.sensors.camera import CameraSensor
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.i2c import chips
from edge_agent.sensors.i2c.build import I2cBuilder
from edge_agent.sensors.network import NetworkSensor
from edge_agent.sensors.simulated import SimulatedMcu
from edge_agent.sensors.simulated_chips.chip import SimulatedAdapter
from edge_agent.sensors.simulated_gps import SimulatedGps, walk_in_a_circle
from edge_agent.sensors.simulated_ld06 import SimulatedLd06
from edge_agent.sensors.simulated_lidar import room
from edge_agent.sensors.simulated_rplidar import SimulatedRplidar
from edge_agent.sensors.simulated_serial import SimulatedSerial
from edge_agent.sensors.video_frames import Frame
from edge_agent.types import Sensor

FRAME_S = 0.1
PLUGINS = ROOT / "docs" / "plugins.md"


@dataclass
class Device:
    """`table` configures the sensor `name`, whose reason says `says` when it is gone.

    `make` makes the sensors where the device is behind a seam. With an `environment` of its own, the agent
    has to be a process of its own.
    """

    table: str
    name: str
    unplug: Callable[[], object]
    plug: Callable[[], object]
    says: str
    reconnects: int = 1
    make: MakeSensors | None = None
    environment: dict[str, str] = field(default_factory=dict)


Kind = Callable[[Path, Listener], Iterator[Device]]


def serial(table: str, name: str, make: Callable[[Path], SimulatedSerial]) -> Kind:
    """A device behind a pty."""

    def kind(folder: Path, _: Listener) -> Iterator[Device]:
        port = folder / "port"
        with make(port) as device, running(device):
            yield Device(f"{table}\nport = '{port}'", name, device.unplug, device.plug, f"{port}")

    return kind


def chip(_folder: Path, _: Listener) -> Iterator[Device]:
    """A chip on the same bus as the neighbour."""
    clock = SystemClock()
    builder, address = I2cBuilder(clock), chips.chip("mpu6050").addresses[0]

    def plug() -> None:
        fresh = chips.simulated("mpu6050")(clock, chips.invented("mpu6050", 0), 0)
        builder.simulated.chips[address] = fresh

    yield Device(
        "kind = 'i2c'\nname = 'imu'\nchip = 'mpu6050'\nbus = 'simulated'",
        "imu",
        lambda: builder.simulated.chips.pop(address),
        plug,
        "the chip does not answer",
        make=lambda settings, *_: [builder.make(table, None) for table in settings.sensors],
    )


OnBus = Callable[[SimulatedAdapter], object]


def i2c_bus(unplug: OnBus, plug: OnBus, says: str) -> Kind:
    """A chip on a bus of its own, of which the whole bus goes."""

    def kind(_folder: Path, _: Listener) -> Iterator[Device]:
        clock = SystemClock()
        own, others = I2cBuilder(clock), I2cBuilder(clock)
        bus = own.simulated

        def make(settings: Config, *_: object) -> list[Sensor]:
            first, *more = settings.sensors
            return [own.make(first, None), *(others.make(table, None) for table in more)]

        table = "kind = 'i2c'\nname = 'imu'\nchip = 'mpu6050'\nbus = 'simulated'"
        yield Device(table, "imu", lambda: unplug(bus), lambda: plug(bus), says, make=make)

    return kind


class Webcam:
    """What OpenCV is for a camera: it can be opened and read while it is plugged in."""

    def __init__(self) -> None:
        self.plugged = threading.Event()
        self.plugged.set()

    @contextmanager
    def open(self, source: int | str, width: int, height: int, _rate_hz: float) -> Iterator[Webcam]:
        if not self.plugged.is_set():
            raise SensorError(f"there is no camera /dev/video{source}", hint="is it plugged in?")
        self._image = np.zeros((height, width, 3), np.uint8)
        yield self

    def read(self, timeout_s: float) -> Frame | None:
        if timeout_s == 0:
            return None
        threading.Event().wait(FRAME_S)
        if not self.plugged.is_set():
            raise SensorError("the camera was unplugged")
        return Frame(SystemClock().monotonic_ns(), self._image)


def camera(_folder: Path, _: Listener) -> Iterator[Device]:
    """A camera behind the seam of V4L2."""
    pytest.importorskip("cv2", reason="pip install 'iotlm-edge[camera]'")
    webcam = Webcam()

    def make(settings, manifest, clock):
        eye, *others = settings.sensors
        watching = CameraSensor(
            eye.name, "", clock, source=eye.source, width=8, height=6, rate_hz=eye.rate_hz,
            open_camera=webcam.open,
        )  # fmt: skip
        return [watching, *make_sensors(settings.model_copy(update={"sensors": others}), manifest, clock)]

    table = "kind = 'camera'\nname = 'eye'\nsource = 0\nrate_hz = 10.0"
    yield Device(table, "eye", webcam.plugged.clear, webcam.plugged.set, "camera", make=make)


def images(folder: Path, _: Listener) -> Iterator[Device]:
    """A folder of images, as on a stick that is pulled out."""
    cv2 = pytest.importorskip("cv2", reason="pip install 'iotlm-edge[camera]'")
    stick = folder / "stick"
    stick.mkdir()
    for i in range(5):
        cv2.imwrite(str(stick / f"{i}.png"), np.zeros((6, 8, 3), np.uint8))
    table = f"kind = 'camera'\nname = 'eye'\nsource = '{stick}'\nwidth = 8\nheight = 8\nrate_hz = 10.0"
    away = folder / "away"
    yield Device(table, "eye", lambda: stick.rename(away), lambda: away.rename(stick), "cannot play")


def video(folder: Path, _: Listener) -> Iterator[Device]:
    """A film on a stick that is pulled out; what was opened plays to its end."""
    cv2 = pytest.importorskip("cv2", reason="pip install 'iotlm-edge[camera]'")
    stick, away = folder / "stick", folder / "away"
    stick.mkdir()
    film = cv2.VideoWriter(str(stick / "film.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for i in range(5):
        film.write(np.full((48, 64, 3), 40 * i, np.uint8))
    film.release()
    table = f"kind = 'camera'\nname = 'film'\nsource = '{stick / 'film.avi'}'\nwidth = 8\nheight = 8"
    yield Device(table, "film", lambda: stick.rename(away), lambda: away.rename(stick), "cannot play")


def plugin(folder: Path, _: Listener) -> Iterator[Device]:
    """The barometer of docs/plugins.md, installed as pip would leave it; the kernel takes its file away."""
    found = re.search(r"<!-- plugin: begin -->\n```python\n(.*?)```", PLUGINS.read_text(), re.DOTALL)
    assert found
    site, file = folder / "site", folder / "in_pressure_input"
    about = site / "hot_plug-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "hot_plug.py").write_text(found[1])
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hot-plug\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[edge_agent.sensors]\nhot-plug = hot_plug:IioPressure\n")
    file.write_text("101.325")
    table = "kind = 'plugin'\nname = 'barometer'\nplugin = 'hot-plug'"
    sys.path.insert(0, str(site))
    try:
        yield Device(
            f"{table}\noptions = {{ file = '{file}', rate_hz = 10.0 }}", "barometer",
            file.unlink, lambda: file.write_text("101.325"), "No such file", 0,
        )  # fmt: skip
    finally:
        sys.path.remove(str(site))
        sys.modules.pop("hot_plug", None)


@contextmanager
def speaking(listener: Listener, plugged: threading.Event) -> Iterator[None]:
    """Gaze that is published ten times a second while `plugged`."""
    stop = threading.Event()

    def speak() -> None:
        while not stop.wait(0.1):
            if plugged.is_set():
                listener.send(GAZE_TOPIC, {"values": {"x": 0.5}})

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    plugged.set()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)


GAZE_TOPIC = "laboratory/gaze"
GAZE = f"kind = 'network'\nname = 'gaze'\ntopic = '{GAZE_TOPIC}'\nchannels = {{ x = '1' }}"


def eye_tracker(_folder: Path, listener: Listener) -> Iterator[Device]:
    """An eye tracker that falls silent: there is nothing to reconnect to."""
    plugged = threading.Event()
    with speaking(listener, plugged):
        yield Device(GAZE, "gaze", plugged.clear, plugged.set, "nothing has come for", 0)


def network(folder: Path, _: Listener) -> Iterator[Device]:
    """An eye tracker at a broker to which the network is cut; at another one the agent is still heard."""
    (folder / "far").mkdir()
    far = Mosquitto(folder / "far")
    far.start()
    plugged = threading.Event()

    def make(settings, manifest, clock):
        gaze, *others = settings.sensors
        subscribe = Subscription(
            Mqtt(host="127.0.0.1", port=far.port), clock, client_id="far", topic=GAZE_TOPIC
        )
        sensor = NetworkSensor(gaze.name, "", clock, subscribe, channels=(Channel("x", "1"),))
        return [sensor, *make_sensors(settings.model_copy(update={"sensors": others}), manifest, clock)]

    def cut() -> None:
        plugged.clear()
        far.stop()

    def mend() -> None:
        far.start()
        plugged.set()

    try:
        # It only speaks: what it hears, and would keep, is nothing.
        with Listener(far.port, "nothing") as beyond, speaking(beyond, plugged):
            yield Device(GAZE, "gaze", cut, mend, "127.0.0.1", make=make)
    finally:
        far.stop()


class Pulse:
    """A PulseAudio on a socket of its own, with a tone for a microphone.

    A sink's monitor would give its first two seconds all at once, when they have passed. Without shared
    memory: with it, about one restart in a hundred is never heard of by the client (`sensors/portaudio`).
    """

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "pulse.socket"
        own = {"HOME": folder, "XDG_RUNTIME_DIR": folder, "PULSE_SERVER": f"unix:{self.socket}"}
        self.environment = {key: str(value) for key, value in own.items()}
        self.environment["PULSE_SOURCE"] = "room"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
                "--disable-shm",
                "--load=module-sine-source source_name=room rate=16000",
                f"--load=module-native-protocol-unix socket={self.socket} auth-anonymous=1",
            ],
            env={**os.environ, **self.environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for(self.socket.exists, 15, "PulseAudio")

    def stop(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait(10)
        self.socket.unlink(missing_ok=True)


def microphone(folder: Path, _: Listener) -> Iterator[Device]:
    """A microphone of PulseAudio, which goes and comes back with its server."""
    if not shutil.which("pulseaudio") or importlib.util.find_spec("sounddevice") is None:
        pytest.skip("no PulseAudio (apt install pulseaudio libasound2-plugins)")
    pulse = Pulse(folder)
    pulse.start()
    table = "kind = 'microphone'\nname = 'mic'\nslot = 'audio'\ndevice = 'pulse'"
    try:
        yield Device(
            table, "mic", pulse.stop, pulse.start, "no sound|cannot open", environment=pulse.environment
        )
    finally:
        pulse.stop()


KINDS: dict[str, Kind] = {
    "board": serial(
        "kind = 'serial'\nname = 'board'\nstreams = { phone = { slot = 'imu_phone' } }",
        "phone",
        lambda port: SimulatedMcu(invented().streams, link=port),
    ),
    "gps": serial(
        "kind = 'gps'\nname = 'gps'",
        "gps",
        lambda port: SimulatedGps(walk_in_a_circle(), SystemClock(), link=port, rate_hz=5.0),
    ),
    "ld06": serial(
        "kind = 'lidar'\nmodel = 'ld06'\nname = 'lidar'",
        "lidar",
        lambda port: SimulatedLd06(room(), SystemClock(), link=port),
    ),
    "rplidar": serial(
        "kind = 'lidar'\nmodel = 'rplidar_a1'\nname = 'lidar'",
        "lidar",
        lambda port: SimulatedRplidar(room(), SystemClock(), link=port),
    ),
    "chip": chip,
    "bus": i2c_bus(SimulatedAdapter.unplug, SimulatedAdapter.plug, "there is no I2C bus"),
    "stuck bus": i2c_bus(
        lambda bus: setattr(bus, "stuck", True), lambda bus: setattr(bus, "stuck", False), "is stuck"
    ),
    "camera": camera,
    "images": images,
    "video": video,
    "plugin": plugin,
    "eye tracker": eye_tracker,
    "network": network,
    "microphone": microphone,
}
"""name -> a generator of one device, which is there until the generator is closed."""

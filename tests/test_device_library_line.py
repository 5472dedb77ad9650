"""Devices made of the C library on a pipe and on a pty: contract, the agent's own sensor, examples."""

from __future__ import annotations

import os
import subprocess
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import wait_for
from contracts.bridge_device import BridgeDeviceContract, Host
from device_programs import DEVICE, ProgramLine, build, build_example, build_library

from edge_agent.sensors.bridge import StreamTarget
from edge_agent.sensors.serial import SerialBridgeSensor
from edge_agent.sensors.simulated import IMU_CHANNELS, IMU_UNITS
from edge_agent.types import Chunk, SensorState
from firmware_bridge import Samples, SensorDescriptor, Start

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_library(tmp_path_factory.mktemp("device"))


@pytest.fixture(scope="module")
def program(library: Path) -> Path:
    return build(library, DEVICE / "test" / "device_main.c")


class TestOnAPipe(BridgeDeviceContract):
    @pytest.fixture
    def device(self, program: Path) -> Iterator[ProgramLine]:
        line = ProgramLine(program)
        yield line
        line.close()


class TestOnAPty(BridgeDeviceContract):
    @pytest.fixture
    def device(self, program: Path) -> Iterator[ProgramLine]:
        line = ProgramLine(program, pty=True)
        yield line
        line.close()


def test_the_agents_sensor_reads_it(program: Path):
    """The serial sensor opens the near end of a pty, the C program is the board at the far end."""
    master, slave = os.openpty()
    tty.setraw(slave)
    board = subprocess.Popen([program], stdin=master, stdout=master)
    sensor = SerialBridgeSensor(
        "board", os.ttyname(slave), {"imu": StreamTarget("phone", "imu_phone", IMU_CHANNELS, IMU_UNITS)}
    )
    stop, chunks = threading.Event(), list[Chunk]()
    thread = threading.Thread(target=lambda: chunks.extend(sensor.chunks(stop)))
    thread.start()
    wait_for(lambda: sensor.health.samples > 150, what="150 samples")
    health = sensor.healths["phone"]
    assert (health.state, health.reason, health.lost, health.errors) == (SensorState.ONLINE, "", 0, 0)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    os.close(master)
    os.close(slave)
    assert board.wait(20) == 0
    values = np.concatenate([chunk.values for chunk in chunks])
    numbers = np.arange(len(values))[:, None]
    counted = (numbers * 31 + np.arange(6) * 1009) % 601 - 300
    scale, offset = np.array([0.0078125] * 3 + [0.0009765625] * 3), np.array([0.5] * 3 + [0.0] * 3)
    np.testing.assert_allclose(values, counted * scale + offset, rtol=1e-6)
    times_ns = np.concatenate([chunk.times_ns for chunk in chunks])
    assert np.median(np.diff(times_ns)) == pytest.approx(10e6, rel=0.1)
    assert all(chunk.simulated for chunk in chunks)


class Sketch:
    """What an example said: its sensors, and at least `wanted` rows of each."""

    def __init__(self, library: Path, name: str, wanted: int) -> None:
        line = ProgramLine(build_example(library, name))
        host = Host(line)
        host.greet()
        self.sensors = host.describe()
        host.send(Start())
        self.frames: dict[int, list[Samples]] = {d.sensor_id: [] for d in self.sensors.values()}
        while min(sum(f.count for f in frames) for frames in self.frames.values()) < wanted:
            samples = host.wait(Samples)
            assert isinstance(samples, Samples)
            self.frames[samples.sensor_id].append(samples)
        line.close()
        assert host.connection.counters.errors == host.connection.counters.lost_frames == 0

    def rows(self, name: str) -> np.ndarray:
        """(samples, columns) as they were sent."""
        sensor = self.sensors[name]
        form = {1: "<i2", 2: "<i4", 3: "<f4"}[sensor.format]
        data = b"".join(frame.data for frame in self.frames[sensor.sensor_id])
        return np.frombuffer(data, form).reshape(-1, len(sensor.columns()))

    def rate_hz(self, sensor: SensorDescriptor) -> float:
        times_us = [t for frame in self.frames[sensor.sensor_id] for t in frame.times_us()]
        assert times_us == sorted(times_us)
        return 1e6 / float(np.median(np.diff(times_us)))


def test_the_example_of_an_imu(library: Path):
    sketch = Sketch(library, "imu", 40)
    sensor = sketch.sensors["imu"]
    assert [(channel.name, channel.unit) for channel in sensor.channels] == list(
        zip(IMU_CHANNELS, IMU_UNITS, strict=True)
    )
    values = sketch.rows("imu")[0] * [channel.scale for channel in sensor.channels]
    np.testing.assert_allclose(values, [0, 0, 9.80665, 0, 0, 0], rtol=1e-6)
    assert sketch.rate_hz(sensor) == pytest.approx(sensor.rate_hz, rel=0.3)


def test_the_example_of_a_touch_matrix(library: Path):
    sketch = Sketch(library, "touch", 4)
    sensor = sketch.sensors["touch"]
    images = sketch.rows("touch").reshape(-1, 27, 15)
    # What stands in for the matrix answers with its nine address lines: the column's above the row's.
    addressed = np.arange(15) << 5 | np.arange(27)[:, None]
    np.testing.assert_array_equal(images, np.broadcast_to(addressed, images.shape))
    assert [sensor.columns()[at].name for at in (0, 15, -1)] == ["c00_00", "c00_01", "c14_26"]
    assert sketch.rate_hz(sensor) == pytest.approx(sensor.rate_hz, rel=0.3)


def test_the_example_of_a_depth_sensor(library: Path):
    sketch = Sketch(library, "depth", 3)
    names = [column.name for column in sketch.sensors["depth"].columns()]
    assert names == ["zone_0", "zone_1", "zone_2", "zone_3"]
    for row in sketch.rows("depth"):
        assert row.tolist() == [1029, 1715, 2401, -32768]  # 343 m/s, there and back; no echo in the last zone


def test_the_example_of_a_thermal_array(library: Path):
    sketch = Sketch(library, "thermal", 3)
    sensor = sketch.sensors["thermal"]
    assert [column.name for column in sensor.columns()] == [f"px_{pixel:02}" for pixel in range(64)]
    assert (sensor.channels[0].unit, sensor.channels[0].scale) == ("degC", 0.25)
    for row in sketch.rows("thermal"):
        assert (row * sensor.channels[0].scale).tolist() == [pixel / 4 for pixel in range(63)] + [-1.0]
    assert sketch.rate_hz(sensor) == pytest.approx(sensor.rate_hz, rel=0.3)


def test_the_example_of_a_room(library: Path):
    sketch = Sketch(library, "environment", 4)
    sensor = sketch.sensors["air"]
    assert [(channel.name, channel.unit) for channel in sensor.channels] == [
        ("temperature", "degC"), ("humidity", "%"),
    ]  # fmt: skip
    rows = sketch.rows("air")
    np.testing.assert_allclose(rows[:, 1], 50.0, atol=0.001)
    spoilt = np.isnan(rows[:, 0])
    np.testing.assert_allclose(rows[~spoilt, 0], 25.0, atol=0.001)
    assert 1 <= spoilt.sum() < len(rows), "a third has a wrong checksum"


def test_there_is_an_example_for_each_class_of_sensor_and_a_test_of_it():
    """Sound, pictures, GPS and scanners have lines of their own (docs/sensors.md)."""
    classes = {"imu": "imu", "thermal": "thermal", "depth": "depth", "touch": "capacitance",
               "keypoints": "gaze", "environment": "environment"}  # fmt: skip
    examples = {path.name: path for path in (DEVICE / "examples").iterdir()}
    assert examples.keys() == classes.keys()
    for name, modality in classes.items():
        assert f'"{modality}"' in (examples[name] / f"{name}.ino").read_text()
    assert '"pose"' in (examples["keypoints"] / "keypoints.ino").read_text()


def test_the_example_of_gaze_and_keypoints(library: Path):
    sketch = Sketch(library, "keypoints", 12)
    assert {name: sensor.modality for name, sensor in sketch.sensors.items()} == {
        "gaze": "gaze",
        "hand": "pose",
    }
    assert [channel.name for channel in sketch.sensors["hand"].channels[-3:]] == ["y_19", "x_20", "y_20"]
    gaze, hand = sketch.rows("gaze"), sketch.rows("hand")
    n = min(len(gaze), len(hand))
    points = np.hstack([gaze[:n], hand[:n]]).ravel()
    start = round(float(points[0]) * 100) if np.isfinite(points[0]) else 101
    printed = (np.arange(len(points)) + start) % 102 / 100
    np.testing.assert_allclose(points, np.where(printed > 1, np.nan, printed), atol=1e-6)

"""The serial sensor on a real pty with the simulated board behind it: streams, clocks, faults, replugging."""

from __future__ import annotations

import os
import threading
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import serial_rig

from edge_agent.errors import ConfigurationError
from edge_agent.sensors.bridge import StreamTarget
from edge_agent.sensors.serial import SerialBridgeSensor
from edge_agent.sensors.simulated import IMU_CHANNELS, IMU_UNITS, SimulatedMcu, SimulatedStream, simulated_imu
from edge_agent.sensors.simulated_firmware import SimulatedFirmware
from edge_agent.sensors.simulated_serial import SimulatedSerial
from edge_agent.testing import SensorContract
from edge_agent.types import Chunk, SensorState

PHONE = StreamTarget("phone", "imu_phone", IMU_CHANNELS, IMU_UNITS)
WATCH = StreamTarget("watch", "imu_watch", IMU_CHANNELS, IMU_UNITS)


def stream(name: str, *, simulated: bool = False) -> SimulatedStream:
    t_us, values = simulated_imu("walking", 4.0, np.random.default_rng(3))
    return SimulatedStream(name, t_us, values, simulated=simulated)


class Rig:
    """A board, a sensor on it, and everything that came out."""

    def __init__(self, mcu: SimulatedMcu, sensor: SerialBridgeSensor) -> None:
        self.mcu = mcu
        self.sensor = sensor
        self.stop = threading.Event()
        self.chunks: list[Chunk] = []

    def read(self) -> None:
        for chunk in self.sensor.chunks(self.stop):
            self.chunks.append(chunk)

    def samples(self, name: str) -> int:
        return sum(len(chunk.times_ns) for chunk in list(self.chunks) if chunk.sensor == name)

    def times_ns(self, name: str) -> np.ndarray:
        return np.concatenate([chunk.times_ns for chunk in list(self.chunks) if chunk.sensor == name])


def wait_until(true: Callable[[], object], patience_s: float = 20.0) -> float:
    start_s, pause = time.monotonic(), threading.Event()
    while not true():
        assert time.monotonic() - start_s < patience_s
        pause.wait(0.02)
    return time.monotonic() - start_s


@contextmanager
def rig(
    tmp_path: Path, streams: list[SimulatedStream], targets: dict[str, StreamTarget], drift_ppm: float = 0
):
    link = tmp_path / "board"
    with SimulatedMcu(streams, link=link, drift_ppm=drift_ppm) as mcu:
        both = Rig(mcu, SerialBridgeSensor("board", str(link), targets))
        threads = [threading.Thread(target=mcu.run, args=(both.stop,)), threading.Thread(target=both.read)]
        for thread in threads:
            thread.start()
        try:
            yield both
        finally:
            both.stop.set()
            for thread in threads:
                thread.join(5)
            assert not any(thread.is_alive() for thread in threads)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Rig]:
    streams = [stream("phone-imu"), stream("watch-imu", simulated=True)]
    with rig(tmp_path, streams, {"phone-imu": PHONE, "watch-imu": WATCH}, drift_ppm=80.0) as both:
        yield both


class TestContract(SensorContract):
    """Two streams of one port under the contract of every sensor."""

    channels: Mapping[str, int] = MappingProxyType({"phone": 6, "watch": 6})
    chunks_needed = 8

    @pytest.fixture
    def sensor(self, tmp_path: Path):
        ended = threading.Event()
        with SimulatedMcu([stream("phone-imu"), stream("watch-imu")], link=tmp_path / "board") as mcu:
            thread = threading.Thread(target=mcu.run, args=(ended,))
            thread.start()
            yield SerialBridgeSensor("board", str(mcu.path), {"phone-imu": PHONE, "watch-imu": WATCH})
            ended.set()
            thread.join(5)


def test_two_sensors_come_through_one_port(pair: Rig):
    before_ns = time.monotonic_ns()
    wait_until(lambda: pair.samples("phone") > 150 and pair.samples("watch") > 150)
    sensor = pair.sensor
    for name in ("phone", "watch"):
        times_ns = pair.times_ns(name)
        assert (np.diff(times_ns) >= 0).all()
        assert before_ns - 2_000_000_000 < times_ns[0] < times_ns[-1] <= time.monotonic_ns()
        assert np.median(np.diff(times_ns)) == pytest.approx(10e6, rel=0.1)
        health = sensor.healths[name]
        assert (health.state, health.reason) == (SensorState.ONLINE, "")
        assert (health.lost, health.errors, health.reconnects) == (0, 0, 0)
        assert health.samples >= 150
    assert sensor.health.state is SensorState.ONLINE
    assert sensor.slots == {"phone": "imu_phone", "watch": "imu_watch"}
    assert {c.simulated for c in pair.chunks if c.sensor == "phone"} == {False}
    assert {c.simulated for c in pair.chunks if c.sensor == "watch"} == {True}


def test_the_values_are_those_that_were_played(pair: Rig):
    wait_until(lambda: pair.samples("phone") > 100)
    values = np.concatenate([chunk.values for chunk in pair.chunks if chunk.sensor == "phone"])[:100]
    assert values.dtype == np.float32
    assert np.abs(values - stream("x").values[:100]).max() < 0.002


def test_garbage_on_the_line_is_counted_and_skipped(pair: Rig):
    wait_until(lambda: pair.samples("phone") > 20)
    for _ in range(5):
        pair.mcu.garbage(400)
        had = pair.samples("phone")
        wait_until(lambda had=had: pair.samples("phone") > had + 20)
    assert pair.sensor.health.errors > 0
    assert pair.sensor.healths["phone"].errors == pair.sensor.health.errors
    assert pair.sensor.health.reconnects == 0
    assert pair.sensor.healths["phone"].lost + pair.sensor.healths["watch"].lost <= 5 * 2 * 10


def test_lost_frames_are_counted_to_the_sample(pair: Rig):
    wait_until(lambda: pair.samples("phone") > 20 and pair.samples("watch") > 20)
    pair.mcu.drop_frames(6)
    wait_until(lambda: pair.mcu.dropped_frames == 6)
    had = pair.samples("phone"), pair.samples("watch")
    wait_until(lambda: pair.samples("phone") > had[0] + 20 and pair.samples("watch") > had[1] + 20)
    lost = {name: health.lost for name, health in pair.sensor.healths.items()}
    assert sum(lost.values()) == 60
    assert sum(chunk.lost for chunk in pair.chunks) == 60
    assert pair.sensor.health.lost == 60


def test_unplug_and_replug(pair: Rig):
    """The state is published per sensor, and samples flow again within five seconds."""
    healths = pair.sensor.healths
    wait_until(lambda: pair.samples("phone") > 20 and pair.samples("watch") > 20)
    pair.mcu.unplug()
    wait_until(lambda: all(health.state is SensorState.OFFLINE for health in healths.values()))
    wait_until(lambda: "plugged in" in healths["watch"].reason)
    had = pair.samples("phone"), pair.samples("watch")
    pair.mcu.plug()
    took_s = wait_until(lambda: pair.samples("phone") > had[0] and pair.samples("watch") > had[1])
    assert took_s < 5
    assert all(health.state is SensorState.ONLINE for health in healths.values())
    assert [health.reconnects for health in (*healths.values(), pair.sensor.health)] == [1, 1, 1]
    assert (np.diff(pair.times_ns("phone")) >= 0).all()


def test_stop_is_honoured_and_the_board_falls_silent(pair: Rig):
    wait_until(lambda: pair.samples("phone") > 20)
    pair.stop.set()
    wait_until(lambda: pair.sensor.health.reason == "stopped", 2)
    assert pair.sensor.healths["phone"].state is SensorState.OFFLINE


def test_a_port_that_is_not_there_is_waited_for_and_stop_ends_it(tmp_path: Path):
    sensor = SerialBridgeSensor("board", str(tmp_path / "none"), {"phone-imu": PHONE})
    stop = threading.Event()
    thread = threading.Thread(target=lambda: list(sensor.chunks(stop)))
    thread.start()
    wait_until(lambda: "plugged in" in sensor.healths["phone"].reason)
    stop.set()
    thread.join(3)
    assert not thread.is_alive()


def test_a_line_of_nothing_but_garbage_never_ends_the_sensor():
    """No board at all: noise for longer than the silence that makes it open the port anew."""
    master, slave = os.openpty()
    tty.setraw(slave)
    sensor = SerialBridgeSensor("board", os.ttyname(slave), {"phone-imu": PHONE})
    stop = threading.Event()
    chunks: list[Chunk] = []
    thread = threading.Thread(target=lambda: chunks.extend(sensor.chunks(stop)))
    thread.start()
    rng = np.random.default_rng(9)
    os.set_blocking(master, False)

    def noise_until_given_up() -> bool:
        try:
            os.write(master, rng.bytes(200))
            os.read(master, 4096)  # its hellos
        except BlockingIOError:
            pass
        return "does not answer" in sensor.healths["phone"].reason

    wait_until(noise_until_given_up)
    assert sensor.health.errors > 10
    assert chunks == []
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    os.close(master)
    os.close(slave)


def test_a_sensor_that_the_board_does_not_have_is_named(tmp_path: Path):
    targets = {"phone-imu": PHONE, "lidar-9": StreamTarget("nine", "lidar")}
    with rig(tmp_path, [stream("phone-imu")], targets) as both:
        wait_until(lambda: both.samples("phone") > 10)
        health = both.sensor.healths["nine"]
        assert health.state is SensorState.OFFLINE
        assert health.reason == 'the board has no sensor "lidar-9"; it has phone-imu'


def test_channels_are_matched_by_name_and_units_are_converted(tmp_path: Path):
    t_us = np.arange(100, dtype=np.int64) * 10_000
    values = np.tile(np.array([[90.0, 1.0, 2.0, np.nan]], np.float32), (100, 1))
    board = SimulatedStream(
        "imu", t_us, values, channels=("gyro_z", "acc_x", "acc_y", "acc_z"), units=("deg/s", "g", "m/s2", "g")
    )
    with rig(tmp_path, [board], {"imu": PHONE}) as both:
        wait_until(lambda: both.samples("phone") > 10)
        expected = [9.80665, 2.0, np.nan, np.nan, np.nan, np.pi / 2]
        np.testing.assert_allclose(both.chunks[0].values[0], expected, rtol=1e-3)
        health = both.sensor.healths["phone"]
        assert (health.state, health.reason) == (SensorState.DEGRADED, "no channel gyro_x, gyro_y")


def test_a_unit_that_cannot_be_converted_is_named(tmp_path: Path):
    t_us = np.arange(10, dtype=np.int64) * 10_000
    board = SimulatedStream(
        "imu", t_us, np.ones((10, 1), np.float32), channels=("acc_x",), units=("furlong",)
    )
    with rig(tmp_path, [board], {"imu": PHONE}) as both:
        wait_until(lambda: "furlong" in both.sensor.healths["phone"].reason)
        assert both.sensor.healths["phone"].state is SensorState.OFFLINE
        assert both.chunks == []


def test_closing_the_generator_closes_the_port(tmp_path: Path):
    stop = threading.Event()
    with SimulatedMcu([stream("phone-imu")], link=tmp_path / "board") as mcu:
        thread = threading.Thread(target=mcu.run, args=(stop,))
        thread.start()
        for _ in range(2):  # an exclusive port could not be opened twice
            sensor = SerialBridgeSensor("board", str(mcu.path), {"phone-imu": PHONE})
            with closing(sensor.chunks(stop)) as chunks:
                assert len(next(chunks).times_ns) > 0
        stop.set()
        thread.join(5)


class Witness(SimulatedFirmware):
    """Remembers when its clock began, and when it was told to start: its n-th sample is n periods later."""

    booted_us: int = 0
    started_us: int | None = None

    def boot(self, age_us: int) -> bytes:
        self.booted_us = age_us
        return super().boot(age_us)

    def receive(self, data: bytes, age_us: int) -> bytes:
        answers = super().receive(data, age_us)
        if self.started_us is None and self.next_due_us() is not None:
            self.started_us = age_us
        return answers


def test_samples_of_a_drifting_clock_are_within_two_milliseconds_of_the_truth(tmp_path: Path):
    """80 ppm fast, and soon over the wrap of its 32 bits; each value is the number of its sample."""
    drift_ppm, start_us, period_us = 80.0, 2**32 - 1_000_000, 10_000
    numbers = np.arange(2000, dtype=np.int64)
    played = SimulatedStream(
        "imu", numbers * period_us, numbers[:, None].astype(np.float32), channels=("n",), units=("1",)
    )
    board, link = Witness([played], clock_start_us=start_us), tmp_path / "board"
    sensor = SerialBridgeSensor("board", str(link), {"imu": StreamTarget("phone", "")})
    born_ns = time.monotonic_ns()
    with serial_rig.rig(SimulatedSerial(board, link=link, drift_ppm=drift_ppm), sensor) as both:
        health = sensor.healths["phone"]
        # Over the wrap, and until two exchanges lie far enough apart to tell the drift.
        wait_until(lambda: health.samples > 800 and health.clock is not None and health.clock.drift_ppm != 0)
        clock, now_ns = sensor.healths["phone"].clock, time.monotonic_ns()
    assert board.started_us is not None
    taken_us = board.started_us + np.concatenate([chunk.values[:, 0] for chunk in both.chunks]) * period_us
    error_ms = (both.times_ns() - born_ns - taken_us * 1000 / (1 + drift_ppm * 1e-6)) * 1e-6
    print(f"errors up to {np.abs(error_ms).max():.3f} ms, {clock}")
    assert np.abs(error_ms).max() < 2
    assert clock is not None
    shown_us = start_us - board.booted_us + (now_ns - born_ns) * (1 + drift_ppm * 1e-6) / 1000
    assert clock.offset_ms == pytest.approx((now_ns - 1000 * shown_us) * 1e-6, abs=2)
    assert clock.drift_ppm == pytest.approx(drift_ppm, abs=40)
    assert 0 <= clock.error_ms < 2


def test_no_streams_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="no streams"):
        SerialBridgeSensor("board", "/dev/null", {})

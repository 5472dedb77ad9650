"""The simulated board under the device contract, in memory and through a real pty, and its faults."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from contracts.bridge_device import BridgeDeviceContract, Host, Line

from edge_agent.sensors.simulated import SimulatedMcu, SimulatedStream, simulated_imu
from edge_agent.sensors.simulated_firmware import SimulatedFirmware
from firmware_bridge import Samples, Start


def stream(seconds: float = 3.0, name: str = "imu", **changes: bool) -> SimulatedStream:
    t_us, values = simulated_imu("walking", seconds, np.random.default_rng(3))
    return SimulatedStream(name, t_us, values, **changes)


class MemoryLine:
    """The firmware without pty or clock: each read lets 50 ms pass."""

    def __init__(self, firmware: SimulatedFirmware) -> None:
        self.firmware = firmware
        self.age_us = 1_000_000
        self._out = firmware.boot(self.age_us)

    def write(self, data: bytes) -> None:
        self._out += self.firmware.receive(data, self.age_us)

    def read(self) -> bytes:
        self.age_us += 50_000
        out, self._out = self._out + b"".join(self.firmware.due(self.age_us)), b""
        return out


class FileLine:
    """The far end of a pty, as any program opens it."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY)

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._fd, data) :]

    def read(self) -> bytes:
        readable, _, _ = select.select([self._fd], [], [], 0.05)
        return os.read(self._fd, 4096) if readable else b""

    def close(self) -> None:
        os.close(self._fd)


class TestFirmwareInMemory(BridgeDeviceContract):
    @pytest.fixture
    def device(self) -> Line:
        return MemoryLine(SimulatedFirmware([stream(), stream(name="watch")], clock_start_us=2**32 - 500_000))


class TestMcuOnAPty(BridgeDeviceContract):
    @pytest.fixture
    def device(self, tmp_path: Path) -> Iterator[Line]:
        stop = threading.Event()
        with SimulatedMcu([stream()], link=tmp_path / "board") as mcu:
            thread = threading.Thread(target=mcu.run, args=(stop,))
            thread.start()
            line = FileLine(mcu.path)
            yield line
            line.close()
            stop.set()
            thread.join(5)
            assert not thread.is_alive()


def play(firmware: SimulatedFirmware, samples: int) -> tuple[Host, list[Samples]]:
    host = Host(MemoryLine(firmware))
    host.greet()
    host.describe()
    host.send(Start())
    got: list[Samples] = []
    while sum(s.count for s in got) < samples:
        event = host.wait(Samples)
        assert isinstance(event, Samples)
        got.append(event)
    return host, got


def test_what_is_played_is_what_arrives_and_it_loops():
    source = stream(1.0)
    host, got = play(SimulatedFirmware([source]), 250)
    scale = np.array([c.scale for c in host.connection.descriptors[1].channels])
    values = np.concatenate([np.frombuffer(s.data, "<i2").reshape(s.count, 6) for s in got]) * scale
    expected = np.concatenate([source.values] * 3)[: len(values)]
    assert np.abs(values - expected).max() <= scale.max() / 2 + 1e-6
    times_us = np.array([t for s in got for t in s.times_us()])
    assert np.array_equal(np.diff(times_us)[:99], np.diff(source.t_us))
    assert 9_000 < times_us[100] - times_us[99] < 11_000


def test_without_a_loop_it_ends():
    firmware = SimulatedFirmware([stream(0.5)], loop=False)
    play(firmware, 50)
    assert firmware.finished
    assert firmware.next_due_us() is None


def test_twice_the_speed_is_twice_the_rate():
    _, got = play(SimulatedFirmware([stream()], speed=2.0), 200)
    times_us = [t for s in got for t in s.times_us()]
    assert (times_us[-1] - times_us[0]) / (len(times_us) - 1) == pytest.approx(5_000, rel=0.02)


def test_a_batch_is_never_longer_than_a_frame():
    _, got = play(SimulatedFirmware([stream(10.0)], batch=10_000), 600)
    assert 200 < got[0].count < 340


def test_a_long_pause_begins_a_new_frame_and_no_reading_is_marked():
    t_us = np.array([0, 10_000, 20_000, 200_000, 210_000], np.int64)
    values = np.zeros((5, 1), np.float32)
    values[1] = np.nan
    source = SimulatedStream("x", t_us, values, channels=("x",), units=("1",))
    _, got = play(SimulatedFirmware([source]), 5)
    assert [s.count for s in got[:2]] == [3, 2]
    assert got[1].time_us - got[0].time_us == 200_000
    assert np.frombuffer(got[0].data, "<i2").tolist() == [0, -32768, 0]


@pytest.mark.parametrize(
    ("t_us", "values"),
    [
        ([0, 1], np.zeros((3, 6))),
        ([0, 0], np.zeros((2, 6))),
        ([0], np.zeros((1, 6))),
        ([0, 1], np.zeros((2, 5))),
    ],
)
def test_a_stream_that_cannot_be_is_refused(t_us: list[int], values: np.ndarray):
    with pytest.raises(ValueError, match="imu"):
        SimulatedStream("imu", np.array(t_us, np.int64), values.astype(np.float32))


def test_the_link_goes_and_comes_with_the_board(tmp_path: Path):
    link, stop = tmp_path / "board", threading.Event()
    with SimulatedMcu([stream()], link=link) as mcu:
        assert link.exists()
        thread = threading.Thread(target=mcu.run, args=(stop,))
        thread.start()
        mcu.unplug()
        wait_until(lambda: not link.is_symlink())
        mcu.plug()
        wait_until(link.exists)
        stop.set()
        thread.join(5)
    assert not link.is_symlink()


def wait_until(true, patience_s: float = 10.0) -> None:
    end_s, pause = time.monotonic() + patience_s, threading.Event()
    while not true():
        assert time.monotonic() < end_s
        pause.wait(0.02)

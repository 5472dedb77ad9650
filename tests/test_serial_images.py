"""Images over the bridge: each is one sample, from the simulated board and from the C program."""

from __future__ import annotations

import os
import subprocess
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from device_programs import DEVICE, build, build_library
from serial_rig import running, wait_until

from edge_agent.sensors.bridge import BridgeSession, StreamTarget
from edge_agent.sensors.serial import SerialBridgeSensor
from edge_agent.sensors.simulated import SimulatedMcu, SimulatedStream
from edge_agent.sensors.simulated_firmware import SimulatedFirmware
from edge_agent.types import Chunk, SensorHealth, SensorState

TOUCH = (27, 15)
DEPTH = (24, 32)
TOUCH_NAMES = [f"c{column:02}_{row:02}" for row in range(27) for column in range(15)]
DEPTH_NAMES = tuple(f"distance_{pixel:03}" for pixel in range(768))


def counted(images: int, shape: tuple[int, int]) -> np.ndarray:
    """(images, pixels) as device_main.c counts them."""
    numbers, pixels = np.arange(images)[:, None], np.arange(shape[0] * shape[1])
    return ((numbers * 31 + pixels * 1009) % 601 - 300).astype(np.float32)


def streams(images: int = 100, step_us: int = 20_000) -> list[SimulatedStream]:
    """The images of device_main.c; all of their values are whole steps of the board's scale."""
    t_us = np.arange(images, dtype=np.int64) * step_us
    row = tuple(f"c{column:02}" for column in range(15))
    touch = SimulatedStream("touch", t_us, counted(images, TOUCH), "capacitance", row, ("1",) * 15, True, 27)
    distances = counted(images, DEPTH) * np.float32(0.0078125) + np.float32(2.0)
    return [touch, SimulatedStream("depth", t_us, distances, "depth", ("distance",), ("m",), True, 768)]


# ---- over a pty ----


@contextmanager
def simulated_board(folder: Path) -> Iterator[str]:
    with SimulatedMcu(streams(), link=folder / "board", batch=2) as mcu, running(mcu):
        yield str(mcu.path)


@contextmanager
def c_board(folder: Path) -> Iterator[str]:
    program = build(build_library(folder), DEVICE / "test" / "device_main.c")
    master, slave = os.openpty()
    tty.setraw(slave)
    board = subprocess.Popen([program], stdin=master, stdout=master)
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)
    assert board.wait(20) == 0


@pytest.mark.parametrize(
    "board", [simulated_board, pytest.param(c_board, marks=pytest.mark.e2e)], ids=lambda made: made.__name__
)
def test_images_come_whole_through_a_port(
    tmp_path: Path, board: Callable[[Path], AbstractContextManager[str]]
):
    targets = {
        "touch": StreamTarget("hand", ""),
        "depth": StreamTarget("room", "depth", DEPTH_NAMES, ("m",) * 768),
    }
    chunks, stop = list[Chunk](), threading.Event()
    with board(tmp_path) as port:
        sensor = SerialBridgeSensor("board", port, targets)
        thread = threading.Thread(target=lambda: chunks.extend(sensor.chunks(stop)))
        thread.start()
        wait_until(lambda: all(health.samples >= 6 for health in sensor.healths.values()))
        for health in (*sensor.healths.values(), sensor.health):
            assert (health.state, health.reason, health.lost) == (SensorState.ONLINE, "", 0)
            assert health.errors == 0
        stop.set()
        thread.join(5)
        assert not thread.is_alive()
    hand = np.concatenate([chunk.values for chunk in chunks if chunk.sensor == "hand"])
    room = np.concatenate([chunk.values for chunk in chunks if chunk.sensor == "room"])
    assert hand.dtype == room.dtype == np.float32
    np.testing.assert_array_equal(hand, counted(len(hand), TOUCH))
    np.testing.assert_array_equal(room, counted(len(room), DEPTH) * 0.0078125 + 2.0)


# ---- without a port ----


def played(
    stream: SimulatedStream, target: StreamTarget, batch: int = 1
) -> tuple[list[np.ndarray], SensorHealth]:
    """The values of each chunk that a session makes of a second of the stream, and what it says of it."""
    firmware, health = SimulatedFirmware([stream], batch=batch), SensorHealth()
    session = BridgeSession({stream.name: target}, {target.sensor: health})
    values = []
    firmware.boot(0)
    for now_ns in range(0, 1_000_000_000, 10_000_000):
        answer = firmware.receive(session.outgoing(now_ns), now_ns // 1000)
        line = answer + b"".join(firmware.due(now_ns // 1000))
        values += [chunk.values for chunk in session.receive(line, now_ns)]
    return values, health


def test_a_slot_picks_pixels_by_name_and_what_is_not_there_is_nan():
    touch, _ = streams()
    names = ("c14_26", "c01_00", "c15_00", "c00_01", "c00")
    chunks, health = played(touch, StreamTarget("hand", "touch", names, ("1",) * 5))
    values = np.concatenate(chunks)
    expected = counted(len(values), TOUCH)[:, [404, 1, 0, 15, 0]]
    expected[:, [2, 4]] = np.nan
    assert len(values) > 10
    np.testing.assert_array_equal(values, expected)
    assert (health.state, health.reason) == (SensorState.DEGRADED, "no channel c15_00, c00")


def test_a_reason_does_not_name_every_pixel():
    touch, _ = streams()
    _, health = played(touch, StreamTarget("hand", "touch", ("c00_00", *DEPTH_NAMES), ("1",) * 769))
    assert health.reason.startswith("no channel distance_000, distance_001, ")
    assert health.reason.endswith("distance_007 and 760 more")
    _, health = played(touch, StreamTarget("hand", "touch", DEPTH_NAMES, ("m",) * 768))
    assert health.state is SensorState.OFFLINE
    assert "c07_00 and 397 more; its slot needs distance_000" in health.reason


def test_each_channel_of_a_row_keeps_its_unit_scale_and_missing_readings():
    """Two rows of a small and a large channel; the small one may not lose its digits to the large one."""
    t_us = np.arange(50, dtype=np.int64) * 20_000
    values = np.tile(np.array([[0.001, 100.0, np.nan, 50.0]], np.float32), (50, 1))
    stream = SimulatedStream("imu", t_us, values, channels=("acc", "turn"), units=("g", "deg/s"), repeat=2)
    wanted = ("turn_1", "acc_0", "acc_1", "turn_0")
    got, health = played(stream, StreamTarget("x", "imu", wanted, ("rad/s", "m/s2", "m/s2", "rad/s")))
    expected = [np.radians(50.0), 0.00980665, np.nan, np.radians(100.0)]
    np.testing.assert_allclose(got[0], [expected], rtol=1e-4)
    assert health.state is SensorState.ONLINE


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_images_share_a_frame_where_they_fit(batch: int):
    touch, depth = streams()
    for stream, at_most in ((touch, 5), (depth, 2)):
        chunks, health = played(stream, StreamTarget("x", ""), batch)
        assert {values.shape for values in chunks} == {(min(batch, at_most), stream.values.shape[1])}
        np.testing.assert_array_equal(np.concatenate(chunks), stream.values[: health.samples])
        assert health.samples >= 30


@pytest.mark.parametrize("changes", [
    {"repeat": 26}, {"repeat": 1}, {"repeat": 0}, {"channels": ("c00",)}, {"units": ("1",)},
    {"values": np.zeros((100, 15 * 136), np.float32), "repeat": 136},
])  # fmt: skip
def test_an_image_that_cannot_be_is_refused(changes: dict[str, object]):
    touch, _ = streams()
    with pytest.raises(ValueError, match='"touch"'):
        replace(touch, **changes)


def test_the_largest_image_there_is_can_be_played():
    t_us = np.arange(50, dtype=np.int64) * 20_000
    values = np.arange(50 * 2037, dtype=np.float32).reshape(50, 2037) % 1000
    stream = SimulatedStream("big", t_us, values, "depth", ("d",), ("m",), repeat=2037)
    got, _ = played(stream, StreamTarget("x", ""), batch=10)
    assert len(got) > 10
    np.testing.assert_array_equal(np.concatenate(got), values[: len(got)])
    with pytest.raises(ValueError, match="4076 bytes"):
        replace(stream, values=np.zeros((50, 2038), np.float32), repeat=2038)

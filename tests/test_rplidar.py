"""The RPLIDAR A1: the exchanges of its document, turns, noise, its own health, all of it on a real pty."""

from __future__ import annotations

import gzip
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serial_rig import Rig, rig, running, wait_until

from edge_agent.clock import SystemClock
from edge_agent.errors import SensorError
from edge_agent.sensors.rplidar import Point, RplidarSession, follows, parse_point, rplidar_sensor
from edge_agent.sensors.scan import CHANNELS
from edge_agent.sensors.simulated_lidar import around, room
from edge_agent.sensors.simulated_rplidar import RplidarDevice, SimulatedRplidar
from edge_agent.testing import SensorContract
from edge_agent.types import Chunk, SensorHealth, SensorState

LOGS = Path(os.environ.get("EDGE_AGENT_DATA", "../shared/data")) / "lidar_2d_carmen"
STEP_US = 4000
TURN_US = 100_000

# Interface Protocol and Application Notes, rev. 1.1: requests and response descriptors.
STOP, RESET, SCAN = b"\xa5\x25", b"\xa5\x40", b"\xa5\x20"
GET_INFO, GET_HEALTH = b"\xa5\x50", b"\xa5\x52"
INFO_ANSWER = bytes.fromhex("A5 5A 14 00 00 00 04") + bytes([0x18, 29, 1, 7, *range(16)])
HEALTH_ANSWER = bytes.fromhex("A5 5A 03 00 00 00 06")
SCAN_ANSWER = bytes.fromhex("A5 5A 05 00 00 40 81")


def ramp(_seconds: float) -> np.ndarray:
    """1 m in front, 4.59 m to the left of the front, and nothing at all between 90 and 99 degrees."""
    ranges_m = (1 + np.arange(360) / 100).astype(np.float32)
    ranges_m[90:100] = np.nan
    return ranges_m


class Bench:
    """A session and a scanner on one made-up clock; `spoil` may change what the scanner says."""

    def __init__(self, *, turns_hz: float = 10.0, simulated: bool = False) -> None:
        self.device = RplidarDevice(ramp, turns_hz=turns_hz, spin_up_us=0)
        self.health = SensorHealth()
        self.session = RplidarSession("lidar", self.health, simulated)
        self.chunks: list[Chunk] = []
        self.asked: list[bytes] = []
        self.now_us = 0
        self.spoil = lambda data: data
        self.banner = self.device.boot(0)

    def step(self) -> None:
        self.now_us += STEP_US
        request = self.session.outgoing(self.now_us * 1000)
        self.asked += [request] if request else []
        heard = self.banner + self.device.receive(request, self.now_us)
        heard += b"".join(self.device.due(self.now_us))
        self.banner = b""
        self.chunks += self.session.receive(self.spoil(heard), self.now_us * 1000)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 1e6 / STEP_US)):
            self.step()


def scanning(simulated: bool = False) -> RplidarSession:
    """A session that is about to hear points."""
    session = RplidarSession("lidar", SensorHealth(), simulated)
    session.receive(INFO_ANSWER + HEALTH_ANSWER + bytes(3) + SCAN_ANSWER, 0)
    return session


def points(turns: float, *, per_turn: int = 360, begin: int = 0) -> bytes:
    """A point each degree, 2 m away, and ten of the next turn."""
    return b"".join(
        bytes([15 << 2 | (1 if i % per_turn == 0 else 2)])
        + (int(i % per_turn * 360 / per_turn * 64) << 1 | 1).to_bytes(2, "little")
        + (8000).to_bytes(2, "little")
        for i in range(begin, round(turns * per_turn) + 10)
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        # S=1, quality 15, 1.5 degrees (96), 1 m (4000): 0x3D | 0xC1 0x00 | 0xA0 0x0F
        ("3D C1 00 A0 0F", Point(begins_turn=True, angle_deg=1.5, range_m=1.0)),
        # S=0, 359.984375 degrees (23039 = 0x59FF), 250.25 mm (1001)
        ("3E FF B3 E9 03", Point(begins_turn=False, angle_deg=359.984375, range_m=0.25025)),
        ("02 01 00 00 00", Point(begins_turn=False, angle_deg=0.0, range_m=0.0)),
        ("3F C1 00 A0 0F", None),  # S and its inverse are both set
        ("3C C1 00 A0 0F", None),  # and neither
        ("3D C0 00 A0 0F", None),  # the check bit is not
        ("3D 01 B4 A0 0F", None),  # 360 degrees
    ],
)
def test_a_point(data: str, expected: Point | None):
    assert parse_point(bytes.fromhex(data)) == expected


@pytest.mark.parametrize(
    ("before", "after", "right"),
    [(10, 11, True), (10, 9, True), (359.5, 0.5, True), (10, 54, True), (10, 80, False), (10, 340, False)],
)
def test_what_may_follow_on_a_point(before: float, after: float, right: bool):
    assert follows(before, after) is right


def test_the_conversation_of_the_document():
    bench = Bench(turns_hz=5.5)
    bench.run(0.6)
    assert bench.asked == [STOP, GET_INFO, GET_HEALTH, SCAN]
    assert bench.session.device == f"model 0x18 firmware 1.29 hardware 7 {bytes(range(16)).hex()}"
    assert bench.health.errors == 0
    assert len(bench.chunks) >= 2
    got_m, wanted_m = bench.chunks[-1].values[0], ramp(0)
    seen = np.isfinite(got_m)
    assert seen.sum() > 340  # of 350 that have an echo, at 363 points a turn
    np.testing.assert_allclose(got_m[seen], wanted_m[seen], atol=0.0005)
    assert (bench.health.state, bench.health.reason) == (SensorState.ONLINE, "")
    assert bench.session.goodbye() == STOP


def test_what_is_not_answered_is_asked_again():
    bench = Bench()
    bench.spoil = lambda data: b"" if bench.now_us < 1_200_000 else data
    bench.run(2)
    assert bench.asked == [STOP, GET_INFO, GET_INFO, GET_INFO, GET_INFO, GET_HEALTH, SCAN]
    assert bench.chunks


def test_a_scanner_that_was_left_scanning_is_stopped_first():
    bench = Bench()
    bench.device.receive(SCAN, 0)
    bench.run(0.4)
    assert bench.asked[0] == STOP
    assert bench.chunks
    assert bench.health.errors == 0


@pytest.mark.parametrize("piece", [1, 2, 7, 10_000])
def test_answers_and_points_may_be_cut_anywhere(piece: int):
    session, chunks = RplidarSession("lidar", SensorHealth()), []
    data = b"RP LIDAR\r\n" + INFO_ANSWER + HEALTH_ANSWER + bytes(3) + SCAN_ANSWER + points(2)
    for at in range(0, len(data), piece):
        chunks += session.receive(data[at : at + piece], 1000 + at)
    assert len(chunks) == 2
    for chunk in chunks:
        assert (chunk.values == 2).all()
    assert 1000 <= chunks[0].times_ns[0] <= chunks[1].times_ns[0] <= 1000 + len(data)


def test_a_turn_that_was_not_seen_from_its_beginning_is_not_told():
    session = scanning()
    assert session.receive(points(0.9, begin=100), 1) == []
    assert len(session.receive(points(1), 2)) == 1


def test_a_sparse_turn_has_holes():
    (chunk,) = scanning().receive(points(1, per_turn=180), 1)
    assert np.isfinite(chunk.values[0, ::2]).all()
    assert np.isnan(chunk.values[0, 1::2]).all()


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 6, 333])
def test_lost_bytes_cost_the_turn_and_are_counted(cut: int):
    """What came after the loss and looked like points must not be told: no checksum would have said so.

    With four bytes lost, an angle may pass for the flags of a beginning: then a part of a turn is told.
    """
    session = scanning()
    data = points(4)
    at = 450 * 5 + 2  # in the second turn
    chunks = session.receive(data[:at] + data[at + cut :], 1)
    assert [chunk.lost for chunk in chunks] == ([0, 1, 0, 0] if cut == 4 else [0, 1, 0])
    assert all(np.nanmax(chunk.values) == np.nanmin(chunk.values) == 2 for chunk in chunks)
    assert all(np.isfinite(chunk.values).all() for chunk in (chunks[0], chunks[-1]))
    assert session.health.errors == 1


def test_what_looks_like_points_but_jumps_about_is_not_believed():
    session = scanning()
    jumping = b"".join(points(0, begin=degree)[:5] for degree in (0, -240, -120) * 100)
    assert session.receive(points(0.5) + b"\xff\xff\xff" + jumping, 1) == []
    assert session.health.errors == 1


@given(st.binary(min_size=1, max_size=200), st.integers(0, 359))
def test_noise_costs_no_more_than_two_turns(noise: bytes, at: int):
    session = scanning()
    data = points(5)
    cut = (720 + at) * 5 + 3
    chunks = session.receive(data[:cut] + noise + data[cut:], 1)
    assert len(chunks) >= 3
    for chunk in (chunks[0], chunks[-1]):
        assert (chunk.values == 2).all()


@given(st.binary(max_size=3000), st.integers(1, 100))
def test_noise_alone_raises_nothing(noise: bytes, piece: int):
    for session in (RplidarSession("lidar", SensorHealth()), scanning()):
        for at in range(0, len(noise), piece):
            session.receive(noise[at : at + piece], at)


def test_a_scanner_in_protection_is_reported_and_reset():
    bench = Bench()
    bench.device.health = (2, 0x8001)
    with pytest.raises(SensorError, match="protect itself, error code 0x8001"):
        bench.run(1)
    assert bench.session.goodbye() == RESET
    assert bench.device.receive(SCAN, bench.now_us) == b""
    assert bench.device.receive(RESET, bench.now_us).startswith(b"RP LIDAR")
    assert bench.device.receive(GET_HEALTH, bench.now_us) == HEALTH_ANSWER + bytes(3)


def test_a_warning_degrades_and_does_not_stop():
    bench = Bench()
    bench.device.health = (1, 0x0102)
    bench.run(0.4)
    assert bench.chunks
    assert bench.health.state is SensorState.DEGRADED
    assert bench.health.reason == "the lidar warns, error code 0x0102"


def test_silence_and_a_held_motor_are_given_up():
    session = RplidarSession("lidar", SensorHealth())
    assert session.outgoing(0) == STOP
    with pytest.raises(SensorError, match="does not answer") as caught:
        session.outgoing(3_000_000_001)
    assert "baud" in caught.value.hint
    bench = Bench()
    bench.run(0.5)
    bench.device.turntable.held = True
    with pytest.raises(SensorError, match="completes no turn"):
        bench.run(4)


@pytest.mark.parametrize("simulated", [False, True])
def test_what_the_settings_call_simulated_is_marked_so(simulated: bool):
    (chunk,) = scanning(simulated).receive(points(1), 1)
    assert chunk.simulated is simulated


def test_the_simulated_scanner_answers_as_the_document_says():
    device = RplidarDevice(ramp, turns_hz=5.5, spin_up_us=300_000)
    device.boot(0)
    assert device.receive(GET_INFO, 0) == INFO_ANSWER
    assert device.receive(b"\x00\xa5", 0) == b""  # skips what is no request, waits for the rest of one
    assert device.receive(b"\x52", 0) == HEALTH_ANSWER + bytes(3)
    assert device.next_due_us() is None
    assert device.receive(SCAN, 1_000_000) == SCAN_ANSWER
    assert device.due(1_300_000) == []  # the motor does not turn steadily yet
    first = device.due(1_310_000)[0]
    assert parse_point(first[:5]) == Point(begins_turn=True, angle_deg=0.0, range_m=1.0)
    assert len(first) == 16 * 5
    assert device.receive(b"\xa5\x99", 1_400_000) == b""  # any other request ends the scan
    assert device.due(2_000_000) == []


@pytest.fixture
def pair(tmp_path: Path):
    clock = SystemClock(speed=3.0)
    with (
        SimulatedRplidar(room(), clock, link=tmp_path / "lidar", turns_hz=10.0, spin_up_s=0.0) as lidar,
        rig(lidar, rplidar_sensor("lidar", "room", str(lidar.path), clock=clock)) as both,
    ):
        yield both


class TestContract(SensorContract):
    channels: Mapping[str, int] = MappingProxyType({"lidar": 360})
    chunks_needed = 3

    @pytest.fixture
    def sensor(self, tmp_path: Path):
        clock, link = SystemClock(speed=3.0), tmp_path / "lidar"
        with SimulatedRplidar(room(), clock, link=link, spin_up_s=0.0) as lidar, running(lidar):
            yield rplidar_sensor("lidar", "room", str(lidar.path), clock=clock)


def test_the_room_comes_out_as_it_is(pair: Rig):
    """2 m from the left wall and 1.5 m from the rear one, in a room of 5 m by 4 m; somebody is in the way."""
    ranges_m = np.fmax.reduce([chunk.values[0] for chunk in pair.wait_for(3)])
    assert np.nanmin(ranges_m[85:96]) == pytest.approx(3.0, abs=0.01)
    assert np.nanmin(ranges_m[175:186]) == pytest.approx(1.5, abs=0.01)
    assert np.nanmin(ranges_m[265:276]) == pytest.approx(2.0, abs=0.01)
    assert np.nanmax(ranges_m) == pytest.approx(math.hypot(3, 2.5), abs=0.05)
    assert pair.sensor.channels == {"lidar": CHANNELS}


def test_garbage_on_the_line(pair: Rig):
    pair.wait_for(1)
    pair.device.garbage(333)
    wait_until(lambda: pair.sensor.health.errors > 0)
    pair.wait_for(2)
    assert pair.sensor.health.lost == sum(chunk.lost for chunk in pair.chunks) >= 1
    assert pair.sensor.health.reconnects == 0
    assert all(np.nanmax(chunk.values) < 4 and np.nanmin(chunk.values) > 0.5 for chunk in pair.chunks)


def test_unplug_and_replug(pair: Rig):
    pair.wait_for(1)
    pair.device.unplug()
    wait_until(lambda: "plugged in" in pair.sensor.health.reason)
    assert pair.sensor.health.state is SensorState.OFFLINE
    pair.device.plug()
    pair.wait_for(2)
    assert (pair.sensor.health.state, pair.sensor.health.reconnects) == (SensorState.ONLINE, 1)
    assert (np.diff(pair.times_ns()) >= 0).all()


def test_protection_is_reported_and_a_reset_ends_it(tmp_path: Path):
    """Four times faster than real: it is silent for three seconds before anyone asks for its health."""
    clock = SystemClock(speed=4.0)
    with (
        SimulatedRplidar(room(), clock, link=tmp_path / "lidar", spin_up_s=0.0) as lidar,
        rig(lidar, rplidar_sensor("lidar", "room", str(lidar.path), clock=clock)) as both,
    ):
        both.wait_for(1)
        lidar.protect(0x8002)
        wait_until(lambda: "error code 0x8002" in both.sensor.health.reason)
        assert both.sensor.health.state is SensorState.OFFLINE
        both.wait_for(2)
        assert both.sensor.health.state is SensorState.ONLINE


def test_a_warning_is_seen_at_the_next_start(tmp_path: Path):
    clock = SystemClock()
    with SimulatedRplidar(room(), clock, link=tmp_path / "lidar", turns_hz=10.0, spin_up_s=0.0) as lidar:
        lidar.warn(7)
        with rig(lidar, rplidar_sensor("lidar", "room", str(lidar.path), clock=clock)) as both:
            both.wait_for(1)
            assert both.sensor.health.reason == "the lidar warns, error code 0x0007"


@pytest.mark.skipif(not LOGS.exists(), reason="the recordings are not here")
def test_a_recorded_building(tmp_path: Path):
    """Every degree that was measured shows what was recorded there; it measures one in 0.99 degrees."""
    with gzip.open(LOGS / "intel-corrected.log.gz", "rt") as log:
        fields = next(line.split() for line in log if line.startswith("FLASER"))
    seen_m = around(np.array([fields[2 : 2 + int(fields[1])]], np.float32))[0]
    lidar = SimulatedRplidar(lambda _seconds: seen_m, SystemClock(), link=tmp_path / "lidar")
    with lidar, rig(lidar, rplidar_sensor("lidar", "room", str(lidar.path), clock=SystemClock())) as both:
        got_m = both.wait_for(2)[-1].values[0]
    wanted_m = np.where(seen_m <= 12, seen_m, np.nan)
    there = np.isfinite(got_m)
    assert there.sum() > 150
    neighbours_m = np.stack([np.roll(wanted_m, shift) for shift in (-1, 0, 1)])
    assert (np.nanmin(np.abs(got_m - neighbours_m)[:, there], axis=0) < 0.001).all()

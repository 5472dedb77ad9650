"""The LD06: its manual's packet, turns, noise, time, and the whole of it on a real pty."""

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
from edge_agent.sensors.ld06 import PACKET, Ld06Session, crc8, ld06_sensor, parse
from edge_agent.sensors.scan import CHANNELS
from edge_agent.sensors.simulated_chips.world import Played
from edge_agent.sensors.simulated_ld06 import Ld06Device, SimulatedLd06
from edge_agent.sensors.simulated_lidar import around, room
from edge_agent.testing import SensorContract
from edge_agent.types import Chunk, SensorHealth, SensorState

# LD19 Development Manual v2.3, section 3: the example of a packet.
EXAMPLE = bytes.fromhex(
    "54 2C 68 08 AB 7E E0 00 E4 DC 00 E2 D9 00 E5 D5 00 E3 D3 00 E4 D0 00 E9 CD 00 E4 CA 00 E2 C7 00 E9"
    "C5 00 E5 C2 00 E5 C0 00 E5 BE 82 3A 1A 50"
)
LOGS = Path(os.environ.get("EDGE_AGENT_DATA", "../shared/data")) / "lidar_2d_carmen"
TURN_US = 100_000


def turns_us(turns: float) -> int:
    """After so many turns, and the packet that goes over their end."""
    return round(turns * TURN_US) + 3000


def ramp(_seconds: float) -> np.ndarray:
    """1 m in front, 4.59 m to the left of the front, and nothing at all between 90 and 99 degrees."""
    ranges_m = (1 + np.arange(360) / 100).astype(np.float32)
    ranges_m[90:100] = np.nan
    return ranges_m


class Bench:
    """A session and a scanner on one made-up clock."""

    def __init__(self, *, simulated: bool = False) -> None:
        self.device = Ld06Device(ramp, turns_hz=10.0, spin_up_us=0)
        self.health = SensorHealth()
        self.session = Ld06Session("lidar", self.health, simulated)
        self.chunks: list[Chunk] = []
        self.device.boot(0)

    def packets(self, until_us: int) -> list[bytes]:
        return self.device.due(until_us)

    def hear(self, data: bytes, now_us: int, piece: int = 100_000) -> None:
        for at in range(0, len(data), piece):
            self.chunks += self.session.receive(data[at : at + piece], now_us * 1000)

    def run(self, until_us: int, spoil=lambda packet: packet) -> None:
        """Each packet arrives when it is measured."""
        while (now_us := self.device.next_due_us()) <= until_us:
            for packet in self.packets(now_us):
                self.hear(spoil(packet), now_us)


def test_the_example_of_the_manual():
    packet = parse(EXAMPLE)
    assert packet.speed_deg_s == 2152
    assert (packet.start_deg, packet.end_deg) == (324.27, 334.7)
    assert packet.time_ms == 6714
    expected_mm = [224, 220, 217, 213, 211, 208, 205, 202, 199, 197, 194, 192]
    assert [round(range_m * 1000) for range_m in packet.ranges_m] == expected_mm
    assert packet.angles_deg == pytest.approx(np.linspace(324.27, 334.7, 12))
    assert crc8(EXAMPLE[:-1]) == 0x50
    assert [crc8(bytes([byte])) for byte in range(8)] == [0x00, 0x4D, 0x9A, 0xD7, 0x79, 0x34, 0xE3, 0xAE]


def test_a_packet_over_the_end_of_a_turn():
    body = PACKET.pack(b"\x54\x2c", 3600, 35_560, b"\xe8\x03\xc8" * 12, 440, 0, 0)[:-1]
    packet = parse(body + bytes([crc8(body)]))
    expected_deg = [355.6, 356.4, 357.2, 358, 358.8, 359.6, 0.4, 1.2, 2, 2.8, 3.6, 4.4]
    assert packet.angles_deg == pytest.approx(expected_deg)


@pytest.mark.parametrize("at", range(47))
def test_a_wrong_bit_anywhere_is_seen(at: int):
    spoilt = bytearray(EXAMPLE)
    spoilt[at] ^= 0x10
    with pytest.raises(ValueError, match="no packet"):
        parse(bytes(spoilt))


def test_angles_beyond_a_circle_are_refused():
    body = PACKET.pack(b"\x54\x2c", 3600, 36_000, bytes(36), 440, 0, 0)[:-1]
    with pytest.raises(ValueError, match="no angles"):
        parse(body + bytes([crc8(body)]))


def test_a_turn_is_one_sample_at_its_end():
    bench = Bench()
    bench.run(turns_us(4))
    assert len(bench.chunks) == 3  # the first turn began with the first point, but nobody saw what was before
    for number, chunk in enumerate(bench.chunks, start=2):
        assert chunk.times_ns[0] == pytest.approx(number * TURN_US * 1000, abs=1_000_000)
        expected = ramp(0)
        np.testing.assert_allclose(chunk.values[0], expected, atol=0.0006)
    assert bench.health.errors == 0
    assert (bench.health.state, bench.health.reason) == (SensorState.ONLINE, "")


def test_the_nearest_of_a_degree_counts():
    """450 points in 360 degrees: a spike that only one of two points sees is kept."""
    bench = Bench()
    seen = ramp(0)
    seen[200] = 0.5
    bench.device = Ld06Device(lambda _s: seen, turns_hz=10.0, spin_up_us=0)
    bench.device.boot(0)
    bench.run(turns_us(3))
    assert bench.chunks[-1].values[0, 200] == pytest.approx(0.5)
    assert bench.chunks[-1].values[0, 201] == pytest.approx(3.01)


@pytest.mark.parametrize("piece", [1, 5, 46, 1000])
def test_it_may_be_cut_anywhere(piece: int):
    whole, parts = Bench(), Bench()
    data = b"".join(whole.packets(turns_us(3)))
    whole.hear(data, turns_us(3))
    parts.hear(data, turns_us(3), piece)
    assert len(whole.chunks) == len(parts.chunks) == 2
    for one, other in zip(whole.chunks, parts.chunks, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    assert parts.health.errors == 0


def test_what_lay_in_a_buffer_is_timed_by_the_scanners_own_clock():
    """Three turns that are read at once have ended a turn apart all the same."""
    bench = Bench()
    bench.hear(b"".join(bench.packets(turns_us(4))), turns_us(4))
    times_us = [int(chunk.times_ns[0]) // 1000 for chunk in bench.chunks]
    assert times_us == pytest.approx([2 * TURN_US, 3 * TURN_US, 4 * TURN_US], abs=2000)


def test_lost_packets_are_holes_and_a_wrong_one_is_counted():
    bench = Bench()
    bench.run(turns_us(2))
    packets = bench.packets(turns_us(3))
    spoilt = bytearray(packets[10])
    spoilt[20] ^= 1
    data = b"".join([*packets[:10], bytes(spoilt), *packets[11:20], *packets[22:]])
    bench.hear(data, turns_us(3))
    bench.run(turns_us(4))
    holes = np.isnan(bench.chunks[1].values[0])
    assert 9 + 24 < holes.sum() < 13 + 30  # ten degrees are never seen, and 36 points are lost
    assert not np.isnan(bench.chunks[2].values[0]).sum() > 12
    assert (bench.health.errors, sum(chunk.lost for chunk in bench.chunks)) == (1, 0)


def test_turns_that_are_missing_are_counted():
    bench = Bench()
    bench.run(turns_us(2.5))
    bench.packets(turns_us(5.5))  # three turns that nobody hears
    bench.run(turns_us(9))
    assert [chunk.lost for chunk in bench.chunks[1:3]] == [3, 0]
    assert np.isfinite(bench.chunks[1].values).sum() == 350


def test_the_scanners_clock_begins_again_every_thirty_seconds():
    bench = Bench()
    bench.device.boot(29_800_000)
    bench.run(29_800_000 + turns_us(5))
    assert [chunk.lost for chunk in bench.chunks] == [0] * 4
    bench = Bench()
    bench.device.boot(29_750_000)
    bench.run(29_750_000 + turns_us(1.5))
    bench.packets(29_750_000 + turns_us(4.5))  # three turns that nobody hears
    bench.run(29_750_000 + turns_us(7))
    assert sum(chunk.lost for chunk in bench.chunks) == 3


def test_a_header_that_is_cut_in_two_is_found():
    bench = Bench()
    packets = bench.packets(turns_us(2))
    for junk in range(40, 50):
        bench.hear(bytes(junk) + packets[0], 1000, piece=junk + 1)
        assert bench.session.outgoing(3_000_000_000) == b""  # each of them is heard
        bench.health.errors = 0


@pytest.mark.parametrize("simulated", [False, True])
def test_what_the_settings_call_simulated_is_marked_so(simulated: bool):
    bench = Bench(simulated=simulated)
    bench.run(turns_us(2))
    assert [chunk.simulated for chunk in bench.chunks] == [simulated]


@given(
    st.lists(st.binary(max_size=100) | st.just(b"\x54\x2c") | st.just(EXAMPLE[:30]), max_size=8),
    st.integers(1, 60),
)
def test_noise_between_packets_costs_no_packet(noise: list[bytes], piece: int):
    bench = Bench()
    for i, packet in enumerate(bench.packets(turns_us(3))):
        junk = noise[i - 40] if 40 <= i < 40 + len(noise) else b""  # within a turn that is told
        bench.hear(packet + junk, turns_us(3), piece)
    assert len(bench.chunks) == 2
    for chunk in bench.chunks:
        np.testing.assert_allclose(chunk.values[0], ramp(0), atol=0.0006)


def test_a_scanner_that_is_silent_or_held_is_given_up():
    bench = Bench()
    assert bench.session.outgoing(0) == b""
    with pytest.raises(SensorError, match="says nothing"):
        bench.session.outgoing(3_000_000_001)
    bench.run(turns_us(2))
    bench.device.turntable.held = True
    bench.run(4_000_000)
    with pytest.raises(SensorError, match="does not turn") as caught:
        bench.session.outgoing(4_000_000_000)
    assert caught.value.hint
    assert bench.session.goodbye() == b""


@pytest.fixture
def pair(tmp_path: Path):
    clock = SystemClock(speed=3.0)
    with (
        SimulatedLd06(room(), clock, link=tmp_path / "lidar", spin_up_s=0.0) as lidar,
        rig(lidar, ld06_sensor("lidar", "room", str(lidar.path), clock=clock)) as both,
    ):
        yield both


class TestContract(SensorContract):
    channels: Mapping[str, int] = MappingProxyType({"lidar": 360})
    chunks_needed = 3

    @pytest.fixture
    def sensor(self, tmp_path: Path):
        clock = SystemClock(speed=3.0)
        link = tmp_path / "lidar"
        with SimulatedLd06(room(), clock, link=link, spin_up_s=0.0) as lidar, running(lidar):
            yield ld06_sensor("lidar", "room", str(lidar.path), clock=clock)


def test_the_room_comes_out_as_it_is(pair: Rig):
    """2 m from the left wall and 1.5 m from the rear one, in a room of 5 m by 4 m; somebody is in the way."""
    ranges_m = np.fmax.reduce([chunk.values[0] for chunk in pair.wait_for(2)])
    assert ranges_m[90] == pytest.approx(3.0, abs=0.01)
    assert ranges_m[180] == pytest.approx(1.5, abs=0.01)
    assert ranges_m[270] == pytest.approx(2.0, abs=0.01)
    assert ranges_m.max() == pytest.approx(math.hypot(3, 2.5), abs=0.05)
    assert pair.sensor.channels == {"lidar": CHANNELS}
    assert CHANNELS[7] == ("range_007", "m")


def test_faults_of_the_line(pair: Rig):
    pair.wait_for(1)
    pair.device.spoil_frames(5)
    wait_until(lambda: pair.device.spoilt_frames == 5)
    wait_until(lambda: pair.sensor.health.errors > 0)
    pair.device.garbage(300)
    pair.device.drop_frames(3)
    pair.wait_for(3)
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


def test_a_scanner_that_is_held_is_reported_until_it_is_let_go(tmp_path: Path):
    clock = SystemClock(speed=4.0)
    with (
        SimulatedLd06(room(), clock, link=tmp_path / "lidar") as lidar,
        rig(lidar, ld06_sensor("lidar", "room", str(lidar.path), clock=clock)) as both,
    ):
        both.wait_for(1)
        lidar.hold()
        wait_until(lambda: "does not turn" in both.sensor.health.reason)
        lidar.hold(held=False)
        both.wait_for(2)
        assert both.sensor.health.state is SensorState.ONLINE


def test_a_scan_to_the_front_becomes_one_all_around():
    """181 beams from right to left, as CARMEN logs them; the scanner counts clockwise from the front."""
    beams_m = np.arange(1, 182, dtype=np.float32)[None, :]
    ranges_m = around(beams_m)[0]
    assert (ranges_m[90], ranges_m[0], ranges_m[270]) == (1, 91, 181)
    assert np.isnan(ranges_m[91:270]).all()
    assert np.isfinite(ranges_m).sum() == 181


@pytest.mark.skipif(not LOGS.exists(), reason="the recordings are not here")
def test_a_recorded_building(tmp_path: Path):
    with gzip.open(LOGS / "intel-corrected.log.gz", "rt") as log:
        scans = [line.split() for line in log if line.startswith("FLASER")][:20]
    front_m = np.array([fields[2 : 2 + int(fields[1])] for fields in scans], np.float32)
    seen_m = around(front_m)
    times_ns = np.arange(len(seen_m), dtype=np.int64) * 1_000_000_000
    clock = SystemClock()
    with (
        SimulatedLd06(Played(times_ns, seen_m), clock, link=tmp_path / "lidar") as lidar,
        rig(lidar, ld06_sensor("lidar", "room", str(lidar.path), clock=clock)) as both,
    ):
        got_m = both.wait_for(1)[0].values[0]
    wanted_m = np.where(seen_m[0] <= 12, seen_m[0], np.nan)
    np.testing.assert_allclose(got_m, wanted_m, atol=0.001)

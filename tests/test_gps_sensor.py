"""A receiver on a real pty: contract, tracks, tunnels, wrong sentences, unplugging, the clock's offset."""

from __future__ import annotations

import csv
import io
import math
import os
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from serial_rig import Rig, rig, running, wait_until

from edge_agent.clock import ManualClock, SystemClock
from edge_agent.sensors.gps import CHANNELS, gps_sensor
from edge_agent.sensors.simulated_gps import NmeaReceiver, SimulatedGps, Track, walk_in_a_circle
from edge_agent.testing import SensorContract
from edge_agent.types import SensorState

RATE_HZ = 20.0
RECORDINGS = Path(os.environ.get("EDGE_AGENT_DATA", "../shared/data")) / "gps_activities" / "trajectories.zip"


def straight(*, simulated: bool = False) -> Track:
    """North-east at 10 m/s, 100 m up, for ever as a test sees it."""
    t_s = np.array([0.0, 1000.0])
    way_m = t_s * 10 / math.sqrt(2)
    track = Track.from_metres(t_s, way_m, way_m, origin=(-33.5, -70.5), simulated=simulated)
    return Track(track.t_s, track.latitude, track.longitude, np.array([100.0, 100.0]), simulated)


@pytest.fixture
def pair(tmp_path: Path):
    clock = SystemClock(speed=3.0)
    with (
        SimulatedGps(
            straight(), clock, link=tmp_path / "gps", rate_hz=RATE_HZ, latency_s=0.01, utc_error_s=2.5
        ) as gps,
        rig(gps, gps_sensor("gps", "place", str(gps.path), clock=clock)) as both,
    ):
        yield both


class TestContract(SensorContract):
    channels: Mapping[str, int] = MappingProxyType({"gps": 8})
    chunks_needed = 3

    @pytest.fixture
    def sensor(self, tmp_path: Path):
        clock = SystemClock(speed=3.0)
        with SimulatedGps(straight(), clock, link=tmp_path / "gps", rate_hz=RATE_HZ) as gps, running(gps):
            yield gps_sensor("gps", "place", str(gps.path), clock=clock)


def test_an_invented_track_is_simulated_because_the_receiver_says_so(tmp_path: Path):
    clock = SystemClock()
    track, link, stop = walk_in_a_circle(), tmp_path / "gps", threading.Event()
    with SimulatedGps(track, clock, link=link, rate_hz=RATE_HZ) as gps, running(gps):
        chunk = next(gps_sensor("gps", "place", str(gps.path), clock=clock).chunks(stop))
    assert chunk.simulated
    assert chunk.values[0, -1] == 8


def column(both: Rig, name: str) -> np.ndarray:
    at = [channel.name for channel in CHANNELS].index(name)
    return np.array([chunk.values[0, at] for chunk in both.chunks])


def test_the_track_comes_out_as_it_was_gone(pair: Rig):
    pair.wait_for(8)
    assert column(pair, "latitude") == pytest.approx(-33.5, abs=0.01)
    assert column(pair, "longitude") == pytest.approx(-70.5, abs=0.01)
    assert column(pair, "altitude") == pytest.approx(100)
    assert column(pair, "speed") == pytest.approx(10, rel=1e-3)
    assert column(pair, "course") == pytest.approx(45, abs=0.1)
    assert set(column(pair, "satellites")) == {9}
    assert set(column(pair, "fix_quality")) == {1}
    assert (np.diff(column(pair, "latitude")) >= 0).all()
    assert (np.diff(pair.times_ns()) > 0).all()
    assert pair.sensor.channels == {"gps": CHANNELS}


def test_the_offset_of_utc_is_known_but_for_the_receivers_delay(pair: Rig):
    pair.wait_for(10)
    assert pair.sensor.health.fix.quality == 1
    assert 2.1 < pair.sensor.health.fix.utc_offset_s <= 2.5


def test_a_tunnel(pair: Rig):
    pair.wait_for(2)
    pair.device.lose_fix()
    wait_until(lambda: pair.sensor.health.state is SensorState.DEGRADED)
    assert pair.sensor.health.reason == "no fix"
    lost = pair.wait_for(2)[-1]
    assert np.isnan(lost.values[0, :6]).all()
    assert lost.values[0, 6:].tolist() == [0, 0]
    assert pair.sensor.health.fix.quality == 0
    pair.device.find_fix()
    wait_until(lambda: pair.sensor.health.state is SensorState.ONLINE)
    assert np.isfinite(pair.wait_for(2)[-1].values).all()


def test_spoilt_sentences_and_garbage_are_counted_and_skipped(pair: Rig):
    pair.wait_for(2)
    pair.device.spoil_frames(10)
    wait_until(lambda: pair.device.spoilt_frames == 10)
    wait_until(lambda: pair.sensor.health.errors >= 5)  # two may join into one line
    pair.device.garbage(500)
    pair.wait_for(4)
    latitude = column(pair, "latitude")
    assert np.nanmax(np.abs(latitude + 33.5)) < 0.01
    assert pair.sensor.health.reconnects == 0


def test_unplug_and_replug(pair: Rig):
    pair.wait_for(2)
    pair.device.unplug()
    wait_until(lambda: "plugged in" in pair.sensor.health.reason)
    assert pair.sensor.health.state is SensorState.OFFLINE
    pair.device.plug()
    pair.wait_for(2)
    assert (pair.sensor.health.state, pair.sensor.health.reconnects) == (SensorState.ONLINE, 1)
    assert (np.diff(pair.times_ns()) >= 0).all()


def test_a_receiver_that_falls_silent_is_opened_anew(tmp_path: Path):
    """Twenty times faster than real, so that nobody waits for three seconds."""
    clock = SystemClock(speed=20.0)
    with (
        SimulatedGps(straight(), clock, link=tmp_path / "gps", rate_hz=2.0) as gps,
        rig(gps, gps_sensor("gps", "place", str(gps.path), clock=clock)) as both,
    ):
        both.wait_for(2)
        gps.drop_frames(60)  # seven and a half seconds
        wait_until(lambda: "NMEA 0183" in both.sensor.health.reason)
        both.wait_for(2)
        assert both.sensor.health.reconnects >= 1


def test_a_cold_receiver_finds_its_time_and_place_later():
    receiver = NmeaReceiver(
        straight(), utc_us=1_039_422_900_300_000, rate_hz=1.0, latency_us=50_000, first_fix_us=2_000_000
    )
    assert receiver.boot(0).startswith(b"$GPTXT")
    assert receiver.next_due_us() == 750_000  # the next whole second of UTC, and the latency
    assert receiver.due(749_999) == []
    assert receiver.due(750_000)[0] == b"$GPRMC,,V,,,,,,,,,,N*53\r\n"
    assert [frame[3:6] for frame in receiver.due(1_750_000)] == [b"RMC", b"VTG", b"GGA", b"GSA"]
    assert receiver.due(2_750_000)[0].startswith(b"$GPRMC,083503.00,A,3329.989")
    assert receiver.receive(b"$PUBX,00*33\r\n", 3_000_000) == b""


def test_the_track_is_gone_again_and_again():
    track = walk_in_a_circle(radius_m=40.0, speed_m_s=1.4)
    lap_s = track.t_s[-1]
    assert lap_s == pytest.approx(2 * math.pi * 40 / 1.4)
    for seconds in (0.0, 17.0, lap_s - 0.1):
        place = track.at(seconds)
        assert place == pytest.approx(track.at(seconds + 3 * lap_s), abs=1e-6)
        assert place.speed == pytest.approx(1.4, rel=0.01)
    assert track.at(0.1).course == pytest.approx(92.5, abs=0.1)  # at the northernmost point, to the east


@pytest.mark.parametrize("t_s", [[0.0], [0.0, 0.0], [1.0, 2.0]])
def test_a_track_that_cannot_be_is_refused(t_s: list[float]):
    column_of = np.zeros(len(t_s))
    with pytest.raises(ValueError, match="track"):
        Track(np.array(t_s), column_of, column_of, column_of)


def test_the_wall_clock_of_a_manual_clock_is_enough():
    """The receiver's UTC comes from the clock that it is given, not from the machine's."""
    clock = ManualClock(0, wall_offset_ns=1_039_422_900 * 10**9)
    gps = SimulatedGps(straight(), clock)
    with gps:
        assert gps.path.exists()


@pytest.mark.skipif(not RECORDINGS.exists(), reason="the recordings are not here")
def test_a_recorded_trajectory(tmp_path: Path):
    with zipfile.ZipFile(RECORDINGS) as archive:
        name = min(n for n in archive.namelist() if n.endswith(".csv"))
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open(name), "utf-8")))
    times = np.array([row["timestamp"] for row in rows], "datetime64[us]")
    t_s = (times - times[0]) / np.timedelta64(1, "s")
    x_m, y_m = (np.array([float(row[key]) for row in rows]) for key in ("x", "y"))
    track = Track.from_metres(t_s, x_m, y_m, origin=(47.6, -122.3))
    clock = SystemClock()
    stop = threading.Event()
    with SimulatedGps(track, clock, link=tmp_path / "gps", rate_hz=RATE_HZ) as gps, running(gps):
        chunk = next(gps_sensor("gps", "place", str(gps.path), clock=clock).chunks(stop))
    first = track.at(0.0)
    assert not chunk.simulated
    assert chunk.values[0, 0] == pytest.approx(first.latitude, abs=1e-3)
    assert chunk.values[0, 1] == pytest.approx(first.longitude, abs=1e-3)

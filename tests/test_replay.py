"""Recordings read and replayed, on a clock that is moved by hand."""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import soundfile

from edge_agent.clock import NS_PER_S, ManualClock, SystemClock
from edge_agent.errors import ConfigurationError
from edge_agent.manifest import Slot
from edge_agent.sensors.recording import IMU_COLUMNS
from edge_agent.sensors.replay import ReplaySensor, read_recording
from edge_agent.testing import SensorContract
from edge_agent.types import SensorState
from edge_agent.windows import Windows

HEADER = ",".join((*IMU_COLUMNS, "timestamp", "label"))
DEMO = Path(os.environ.get("EDGE_AGENT_DATA", Path(__file__).parents[2] / "shared" / "data")) / "demo"


def write_imu(path, n=300, start_ms=1_657_533_977_813, period_ms=10):
    rows = [
        f"{i},{-i},{9.81},{0.1 * i},0,0,{start_ms + period_ms * i},{'SEATED' if i < n // 2 else 'WALKING'}"
        for i in range(n)
    ]
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def write_tone(path, rate_hz=44_100, seconds=1.0, tone_hz=440.0, channels=2):
    t = np.arange(round(rate_hz * seconds)) / rate_hz
    tone = 0.5 * np.sin(2 * np.pi * tone_hz * t)
    soundfile.write(path, np.stack([tone] * channels, 1), rate_hz)
    return path


def play(sensor, stop=None):
    return list(sensor.chunks(stop or threading.Event()))


class TestReplayedMotion(SensorContract):
    channels = MappingProxyType({"phone": 6})

    @pytest.fixture
    def sensor(self, tmp_path):
        return ReplaySensor("phone", "imu_phone", [write_imu(tmp_path / "a.csv")], ManualClock())


class TestReplayedSoundOnTheRealClock(SensorContract):
    channels = MappingProxyType({"sound": 1})

    @pytest.fixture
    def sensor(self, tmp_path):
        return ReplaySensor("sound", "audio", [write_tone(tmp_path / "a.wav")], SystemClock())


def test_a_motion_recording_is_read_as_it_was_written(tmp_path):
    recording = read_recording(write_imu(tmp_path / "a.csv"))
    assert recording.values.shape == (300, 6)
    assert recording.values[7].tolist() == pytest.approx([7, -7, 9.81, 0.7, 0, 0])
    assert recording.times_ns[[0, -1]].tolist() == [0, 2_990_000_000]
    assert recording.rate_hz == pytest.approx(100)
    assert recording.duration_ns == 3_000_000_000
    assert (recording.label_at(0), recording.label_at(2_000_000_000)) == ("seated", "walking")


def test_sound_becomes_one_filtered_channel_at_the_slots_rate(tmp_path):
    recording = read_recording(write_tone(tmp_path / "a.ogg", seconds=2.0))
    assert recording.values.shape == (32_000, 1)
    assert recording.values.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(recording.values[8000:24_000, 0]))
    assert np.argmax(spectrum) == 440
    high = read_recording(write_tone(tmp_path / "b.wav", tone_hz=12_000.0))
    assert np.abs(high.values[1000:-1000]).max() < 0.01  # unfiltered it would sound at 4 kHz


def test_the_whole_recording_comes_at_its_own_pace(tmp_path):
    clock = ManualClock(5 * NS_PER_S)
    sensor = ReplaySensor("phone", "imu_phone", [write_imu(tmp_path / "a.csv")], clock, loop=False)
    arrived = []
    chunks = []
    for chunk in sensor.chunks(threading.Event()):
        arrived.append(clock.monotonic_ns())
        chunks.append(chunk)
    assert sum(len(c.times_ns) for c in chunks) == 300
    assert [int(c.times_ns[-1]) for c in chunks] == arrived  # neither before it happened nor later
    assert np.diff(arrived).max() <= 60_000_000
    times = np.concatenate([c.times_ns for c in chunks])
    np.testing.assert_array_equal(times, 5 * NS_PER_S + np.arange(300) * 10_000_000)
    assert sensor.health.state is SensorState.OFFLINE
    assert "ended" in sensor.health.reason


def test_files_follow_each_other_and_loop_without_a_gap(tmp_path):
    files = [write_imu(tmp_path / "a.csv"), write_imu(tmp_path / "b.csv", n=100)]
    sensor = ReplaySensor("phone", "imu_phone", files, ManualClock())
    names = []
    taken = []
    for chunk in itertools.islice(sensor.chunks(threading.Event()), 170):
        taken.append(chunk.times_ns)
        names.append(sensor.playing[0])
    np.testing.assert_array_equal(np.diff(np.concatenate(taken)), 10_000_000)
    assert [name for name, _ in itertools.groupby(names)] == ["a.csv", "b.csv"] * 2 + ["a.csv"]
    assert {sensor.playing[1]} <= {"seated", "walking"}


def test_played_at_twice_the_speed_it_takes_half_the_time(tmp_path):
    clock = ManualClock()
    chunks = play(
        ReplaySensor("p", "imu_phone", [write_imu(tmp_path / "a.csv")], clock, loop=False, speed=2.0)
    )
    assert clock.monotonic_ns() == pytest.approx(1.5 * NS_PER_S, abs=2e7)
    assert np.diff(np.concatenate([c.times_ns for c in chunks])).max() == 5_000_000
    sound = play(
        ReplaySensor("s", "audio", [write_tone(tmp_path / "a.wav")], ManualClock(), loop=False, speed=2.0)
    )
    values = np.concatenate([c.values for c in sound])[:, 0]
    assert len(values) == pytest.approx(8000, abs=2)  # half a second at an unchanged 16 kHz
    assert np.argmax(np.abs(np.fft.rfft(values, 16_000))) == pytest.approx(880, abs=2)


def test_after_a_long_pause_nothing_comes_in_a_rush(tmp_path):
    clock = ManualClock()
    chunks = ReplaySensor("p", "imu_phone", [write_imu(tmp_path / "a.csv")], clock).chunks(threading.Event())
    next(chunks)
    clock.advance(100.0)
    following = next(chunks)
    assert following.times_ns[-1] == clock.monotonic_ns()


def test_replayed_sound_fills_its_windows_sample_for_sample(tmp_path):
    slot = Slot(
        name="audio", modality="audio", placement="room", encoder="a.onnx", features="log_mel",
        channels=("sound",), units=("full scale",), rate_hz=16_000.0, window_s=2.0, n_tokens=4, heads=(),
        description="the microphone",
    )  # fmt: skip
    path = write_tone(tmp_path / "a.wav", seconds=3.0)
    clock = ManualClock(start_ns=123_456_789)
    windows = Windows([slot], {"sound": "audio"})
    made = []
    for chunk in itertools.islice(
        ReplaySensor("sound", "audio", [path], clock).chunks(threading.Event()), 120
    ):
        windows.push(chunk)
        made += windows.ready(clock.monotonic_ns())
    assert windows.stats()["audio"].gaps == 0
    full = [w for w in made if "audio" in w.slots and w.slots["audio"].coverage == 1.0]
    assert len(full) >= 6
    whole = read_recording(path).values[:, 0]
    played = np.concatenate([whole, whole, whole])
    for window in full:
        newest = round((window.end_ns - 123_456_789) * 16_000 / NS_PER_S)
        expected = played[newest - 31_999 : newest + 1]
        np.testing.assert_array_equal(window.slots["audio"].values[:, 0], expected)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "", "lacks the column"),
        ("a.csv", "x_acc,y_acc\n1,2\n", "z_acc"),
        ("a.csv", HEADER + "\n1,2,3,4,5,6,7,X\n", "fewer than two"),
        ("a.csv", HEADER + "\n1,2,3,4,5,6,7,X\n1,2,3,4,five,6,8,X\n", "no number"),
        ("a.csv", HEADER + "\n1,2,3,4,5,6,7,X\n1,2,3\n", "no number"),
        ("a.csv", HEADER + "\n1,2,3,4,5,6,9,X\n1,2,3,4,5,6,8,X\n", "do not go forward"),
        ("a.wav", "this is no sound", "no sound file"),
        ("a.mp4", "", "cannot read a.mp4"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_an_error(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        read_recording(tmp_path / name)


def test_a_missing_file_is_an_error_before_anything_is_played(tmp_path):
    sensor = ReplaySensor(
        "p", "imu_phone", [write_imu(tmp_path / "a.csv"), tmp_path / "b.csv"], ManualClock()
    )
    with pytest.raises(ConfigurationError, match=r"no recording at .*b\.csv"):
        play(sensor)
    assert sensor.health.samples == 0


@pytest.mark.skipif(not DEMO.is_dir(), reason="the demo recordings are not on this machine")
def test_the_real_recordings_are_read():
    phone = read_recording(DEMO / "s01_01_sp.csv")
    assert phone.values.shape == (1351, 6)
    assert set(phone.labels) == {"seated", "sitting_down", "standing_up", "turning", "walking"}
    assert phone.rate_hz == pytest.approx(102, abs=1)
    sound = read_recording(DEMO / "5-203128-A.ogg")
    assert len(sound.values) == pytest.approx(80_000, abs=500)
    assert np.abs(sound.values).max() > 0.05


def test_the_scaled_clock_runs_at_its_speed():
    clock = SystemClock(speed=50.0)
    start_ns, wall_ns = clock.monotonic_ns(), clock.wall_ns()
    assert clock.wait_until(start_ns + 5 * NS_PER_S, threading.Event())
    assert clock.monotonic_ns() - start_ns >= 5 * NS_PER_S
    assert clock.wall_ns() - wall_ns >= 5 * NS_PER_S
    stopped = threading.Event()
    stopped.set()
    assert not clock.wait_until(start_ns + 10_000 * NS_PER_S, stopped)
    with pytest.raises(ValueError, match="positive"):
        SystemClock(speed=0)

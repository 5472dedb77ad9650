"""Videos, folders of images and a simulated camera, on a clock that is moved by hand."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2", reason="pip install 'iotlm-edge[camera]'")

from conftest import wait_for
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.clock import NS_PER_S, ManualClock, SystemClock
from edge_agent.errors import ConfigurationError, SensorError
from edge_agent.sensors.camera import SILENCE_LIMIT_S, CameraSensor
from edge_agent.sensors.video_frames import Frame, Holes, Pace, Pixels
from edge_agent.testing import SensorContract
from edge_agent.types import SensorState

DATA = Path(os.environ.get("EDGE_AGENT_DATA", Path(__file__).parents[2] / "shared" / "data"))
SIGNS = DATA / "sign_digit_images" / "data.npz"


def flat(grey):
    """A frame of one colour: blue `grey`, green 128, red 255 - `grey`."""
    return np.full((48, 64, 3), (grey, 128, 255 - grey), np.uint8)


def write_video(path, greys=range(0, 200, 10), fps=25.0):
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), fps, (64, 48))
    assert writer.isOpened()
    for grey in greys:
        writer.write(flat(grey))
    writer.release()
    return path


def write_images(folder, greys=range(0, 200, 10)):
    folder.mkdir(exist_ok=True)
    for i, grey in enumerate(greys):
        cv2.imwrite(str(folder / f"{i:03d}.png"), flat(grey))
    return folder


def camera(source, clock=None, **more):
    options = {"width": 8, "height": 6, "rate_hz": 25.0, **more}
    return CameraSensor("eye", "camera", clock or ManualClock(), source=source, **options)


def play(source, **more):
    sensor = camera(str(source), loop=False, **more)
    return sensor, list(sensor.chunks(threading.Event()))


def greys(chunks):
    """The blue of each frame, as it was written; JPEG is right to within a few steps."""
    return [round(float(chunk.values[0, 2::3].mean()) * 255) for chunk in chunks]


class TestVideo(SensorContract):
    channels = MappingProxyType({"eye": 144})

    @pytest.fixture
    def sensor(self, tmp_path):
        return camera(str(write_video(tmp_path / "a.avi")))


class TestFolder(SensorContract):
    channels = MappingProxyType({"eye": 144})
    simulated = True

    @pytest.fixture
    def sensor(self, tmp_path):
        return camera(str(write_images(tmp_path / "images")), simulated=True)


class TestFolderOnTheRealClock(SensorContract):
    channels = MappingProxyType({"eye": 144})

    @pytest.fixture
    def sensor(self, tmp_path):
        return camera(str(write_images(tmp_path / "images")), SystemClock(), rate_hz=100.0)


class SimulatedCamera:
    """A camera at `fps` that behaves as V4L2 does: a queue of four, the driver drops what does not fit.

    It shares its clock with the sensor; `drops` are frames that it never delivers, `broken` those that
    cannot be decoded, at `dies_at` it is unplugged, at `mute_at` it goes on and gives nothing.
    """

    def __init__(self, clock, fps=30.0, drops=(), broken=(), dies_at=None, mute_at=None) -> None:
        self.clock = clock
        self.opened = 0
        self.asked = None
        self._period_ns = NS_PER_S / fps
        self._drops = set(drops)
        self._broken = set(broken)
        self._dies_at = dies_at
        self._mute_at = mute_at

    @contextmanager
    def open(self, source, width, height, rate_hz):
        self.asked = (source, width, height, rate_hz)
        self.opened += 1
        if self.opened == 2:
            raise SensorError("there is no camera", hint="is it plugged in?")
        self._next = 0
        self._start_ns = self.clock.monotonic_ns()
        yield self

    def read(self, timeout_s):
        if self.opened == 1 and self._dies_at is not None and self._next >= self._dies_at:
            raise SensorError("the camera was unplugged")
        while self._next in self._drops:
            self._next += 1
        oldest_kept = int((self.clock.monotonic_ns() - self._start_ns) / self._period_ns) - 3
        self._next = max(self._next, oldest_kept)
        mute = self.opened == 1 and self._mute_at is not None and self._next >= self._mute_at
        at_ns = self._start_ns + round((self._next + 1) * self._period_ns)
        if mute or at_ns > self.clock.monotonic_ns() + timeout_s * NS_PER_S:
            self.clock.advance(max(timeout_s, 0.001))
            return None
        self.clock.wait_until(at_ns, threading.Event())
        self._next += 1
        image = None if self._next - 1 in self._broken else flat(self._next - 1)
        return Frame(7 * NS_PER_S + at_ns, image)  # the driver's clock is not ours


def watch(device, count, **more):
    sensor = camera(3, device.clock, open_camera=device.open, **{"rate_hz": 30.0, **more})
    return sensor, list(itertools.islice(sensor.chunks(threading.Event()), count))


class TestCamera(SensorContract):
    channels = MappingProxyType({"eye": 144})

    @pytest.fixture
    def sensor(self):
        clock = ManualClock()
        return camera(0, clock, open_camera=SimulatedCamera(clock).open)


def test_a_frame_becomes_a_row_of_reds_greens_and_blues(tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2, 2:] = (0, 0, 255)  # the upper right quarter is red; OpenCV writes blue first
    image[3, 0] = (255, 0, 0)  # and one pixel of the lower left one blue
    cv2.imwrite(str(folder / "a.png"), image)
    sensor, (chunk,) = play(folder, width=2, height=2)
    assert sensor.shape == (2, 2, 3)
    frame = chunk.values.reshape(sensor.shape)
    assert frame[0, 1].tolist() == [1, 0, 0]
    assert frame[1, 0].tolist() == pytest.approx([0, 0, 64 / 255])  # the mean of four, rounded to a byte
    assert frame[0, 0].tolist() == frame[1, 1].tolist() == [0, 0, 0]
    names = sensor.channels["eye"]
    assert len(names) == chunk.values.shape[1] == 12
    assert (names[3].name, names[-1].name) == ("px_000003", "px_000011")  # 3: the red of row 0, column 1


def test_channels_of_a_large_frame_are_made_when_they_are_asked_for():
    names = Pixels(1920, 1080)
    assert len(names) == 6_220_800
    assert names[6_220_799].name == "px_6220799"
    assert [channel.name for channel in names[1:3]] == ["px_000001", "px_000002"]
    with pytest.raises(IndexError):
        names[len(names)]


def test_a_video_comes_in_real_time_and_whole(tmp_path):
    clock = ManualClock(5 * NS_PER_S)
    sensor = camera(str(write_video(tmp_path / "a.avi")), clock, loop=False)
    arrived, chunks = [], []
    for chunk in sensor.chunks(threading.Event()):
        arrived.append(clock.monotonic_ns())
        chunks.append(chunk)
    assert arrived == [int(chunk.times_ns[0]) for chunk in chunks]
    np.testing.assert_array_equal(arrived, 5 * NS_PER_S + np.arange(20) * 40_000_000)
    assert greys(chunks) == pytest.approx(list(range(0, 200, 10)), abs=6)
    assert (sensor.health.state, sensor.health.errors) == (SensorState.OFFLINE, 0)
    assert "ended" in sensor.health.reason


@pytest.mark.parametrize(
    ("rate_hz", "taken"), [(5.0, range(0, 20, 5)), (12.5, range(0, 20, 2)), (60.0, range(20))]
)
def test_a_video_is_thinned_to_the_rate_and_never_filled_up(tmp_path, rate_hz, taken):
    sensor, chunks = play(write_video(tmp_path / "a.avi"), rate_hz=rate_hz)
    assert [int(chunk.times_ns[0]) // 40_000_000 for chunk in chunks] == list(taken)
    assert sensor.health.lost == 0


@pytest.mark.parametrize("make", [write_video, write_images])
def test_it_loops_without_a_gap(tmp_path, make):
    sensor = camera(str(make(tmp_path / "a.avi", range(0, 100, 20))))
    chunks = list(itertools.islice(sensor.chunks(threading.Event()), 13))
    np.testing.assert_array_equal(np.diff([chunk.times_ns[0] for chunk in chunks]), 40_000_000)
    assert greys(chunks) == pytest.approx(([0, 20, 40, 60, 80] * 3)[:13], abs=6)


def test_after_a_long_pause_nothing_comes_in_a_rush(tmp_path):
    clock = ManualClock()
    chunks = camera(str(write_images(tmp_path / "a")), clock).chunks(threading.Event())
    next(chunks)
    clock.advance(100.0)
    for _ in range(3):
        assert next(chunks).times_ns[0] == clock.monotonic_ns()
    assert clock.monotonic_ns() < 101 * NS_PER_S


def test_broken_frames_of_a_video_are_counted_and_skipped(tmp_path):
    path = write_video(tmp_path / "a.avi")
    data = bytearray(path.read_bytes())
    starts = [found.start() for found in re.finditer(b"\xff\xd8\xff", data)]
    for i in (5, 6, 12):
        data[starts[i] : starts[i + 1] - 8] = bytes(starts[i + 1] - 8 - starts[i])
    path.write_bytes(data)
    sensor, chunks = play(path)
    whole = [i for i in range(20) if i not in (5, 6, 12)]
    assert [int(chunk.times_ns[0]) // 40_000_000 for chunk in chunks] == whole
    assert [chunk.lost for chunk in chunks] == [{7: 2, 13: 1}.get(i, 0) for i in whole]
    assert (sensor.health.errors, sensor.health.lost, sensor.health.samples) == (3, 3, 17)


def test_broken_images_are_counted_and_skipped(tmp_path):
    folder = write_images(tmp_path / "a", range(0, 60, 10))
    jpeg = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))[1].tobytes()
    (folder / "001.png").write_bytes(b"")
    (folder / "002.png").write_bytes((folder / "003.png").read_bytes()[:90])
    (folder / "0035.jpg").write_bytes(jpeg[:-200])  # cv2.imread would give it, grey below
    (folder / "0045.JPG").write_bytes(jpeg)
    (folder / "0046.txt").write_text("no image and not counted")
    sensor, chunks = play(folder)
    assert [round(chunk.times_ns[0] / 40_000_000) for chunk in chunks] == [0, 3, 5, 6, 7]
    assert [chunk.lost for chunk in chunks] == [0, 2, 1, 0, 0]
    assert (sensor.health.errors, sensor.health.lost) == (3, 3)


@pytest.mark.parametrize("what", ["no_video.avi", "all_broken"])
def test_what_holds_no_frame_is_a_wrong_configuration(tmp_path, what):
    (tmp_path / "no_video.avi").write_bytes(b"hello" * 100)
    (tmp_path / "all_broken").mkdir()
    (tmp_path / "all_broken" / "a.png").write_bytes(b"hello")
    with pytest.raises(ConfigurationError, match=what) as caught:
        play(tmp_path / what)
    assert caught.value.key == "source"


@pytest.mark.parametrize(
    ("name", "said"), [("nothing", "no such file or folder"), ("stick", "no image in it")]
)
def test_a_folder_that_is_not_there_yet_is_reported_and_waited_for(tmp_path, name, said):
    """Nor is one that is still empty, as the place is where a stick will be mounted."""
    (tmp_path / "stick").mkdir()
    sensor, stop = camera(str(tmp_path / name)), threading.Event()
    taken = []
    thread = threading.Thread(target=lambda: taken.extend(itertools.islice(sensor.chunks(stop), 2)))
    thread.start()
    try:
        wait_for(lambda: said in sensor.health.reason, what="the report")
        assert sensor.health.state is SensorState.OFFLINE
        assert "plugged in" in sensor.health.reason
        write_images(tmp_path / name, range(3))
        wait_for(lambda: len(taken) == 2, what="images")
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert sensor.health.reconnects == 0


def test_a_folder_that_goes_away_while_it_is_played_is_reported_and_waited_for(tmp_path):
    folder = write_images(tmp_path / "a", range(3))
    sensor, stop = camera(str(folder)), threading.Event()
    chunks = sensor.chunks(stop)
    for _ in range(3):
        next(chunks)
    folder.rename(tmp_path / "b")
    back = threading.Timer(0.3, lambda: (tmp_path / "b").rename(folder))
    back.start()
    assert next(chunks).values.shape == (1, 144)
    back.join()
    assert sensor.health.errors > 0
    assert sensor.health.state is SensorState.ONLINE
    stop.set()
    assert list(chunks) == []


def test_a_camera_is_asked_for_its_size_and_rate_and_thinned_to_it():
    device = SimulatedCamera(ManualClock())
    sensor, chunks = watch(device, 10, rate_hz=10.0)
    assert device.asked == (3, 8, 6, 10.0)
    assert np.diff([chunk.times_ns[0] for chunk in chunks]) == pytest.approx(NS_PER_S / 10, abs=2e6)
    assert sensor.health.lost == sensor.health.errors == 0


def test_a_slow_camera_is_not_taken_for_a_dead_one():
    sensor, chunks = watch(SimulatedCamera(ManualClock(), fps=2.0), 12)
    assert np.diff([chunk.times_ns[0] for chunk in chunks]) == pytest.approx(NS_PER_S / 2, abs=2e6)
    assert sensor.health.lost == sensor.health.errors == 0


def test_frames_that_the_driver_dropped_or_broke_are_counted():
    sensor, chunks = watch(SimulatedCamera(ManualClock(), drops=(10, 20, 21), broken=(30,)), 36)
    assert greys(chunks) == [i for i in range(40) if i not in (10, 20, 21, 30)]
    assert {grey: chunk.lost for grey, chunk in zip(greys(chunks), chunks, strict=True) if chunk.lost} == {
        11: 1, 22: 2, 31: 1,
    }  # fmt: skip
    assert (sensor.health.lost, sensor.health.errors) == (4, 1)


def test_who_comes_late_gets_the_newest_frame_and_the_count_of_the_others():
    device = SimulatedCamera(ManualClock())
    sensor = camera(0, device.clock, open_camera=device.open, rate_hz=30.0)
    chunks = sensor.chunks(threading.Event())
    early = [next(chunks) for _ in range(10)]
    device.clock.advance(1.0)
    late = next(chunks)
    assert device.clock.monotonic_ns() - late.times_ns[0] == 0
    assert greys([late])[0] == pytest.approx(39, abs=1)
    assert late.lost == greys([late])[0] - greys(early)[-1] - 1
    assert sensor.health.lost == late.lost


@pytest.mark.parametrize("fault", ["dies_at", "mute_at"])
def test_a_lost_camera_is_reported_and_opened_again(fault):
    device = SimulatedCamera(ManualClock(), **{fault: 6})
    sensor = camera(0, device.clock, open_camera=device.open, rate_hz=30.0)
    states = []
    chunks = sensor.chunks(threading.Event())
    for _ in range(10):
        next(chunks)
        states.append(sensor.health.state)
    assert device.opened == 3  # the second attempt found no camera
    assert set(states) == {SensorState.ONLINE}
    assert (sensor.health.errors, sensor.health.reconnects) == (2, 1)
    if fault == "mute_at":
        assert device.clock.monotonic_ns() > SILENCE_LIMIT_S * NS_PER_S


@pytest.mark.parametrize(
    ("source", "said"), [(97, "no camera /dev/video97"), ("/dev/null", "open the camera")]
)
def test_a_camera_that_is_not_there_is_waited_for(source, said):
    sensor, stop = camera(source), threading.Event()
    thread = threading.Thread(target=lambda: list(sensor.chunks(stop)), daemon=True)
    thread.start()
    wait_for(lambda: said in sensor.health.reason, what="the report")
    assert sensor.health.state is SensorState.OFFLINE
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert sensor.health.reason == "stopped"


def test_without_opencv_it_says_how_to_install_it():
    code = (
        "import sys; sys.modules['cv2'] = None\n"
        "from edge_agent.clock import ManualClock\n"
        "from edge_agent.errors import ConfigurationError\n"
        "from edge_agent.sensors.camera import CameraSensor\n"
        "try: CameraSensor('a', 'b', ManualClock(), source=0, width=8, height=8, rate_hz=1.0)\n"
        "except ConfigurationError as error: print(error.hint)\n"
    )
    root = Path(__file__).parents[1]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "pip install 'iotlm-edge[camera]'"


@given(
    st.floats(1.0, 60.0),
    st.floats(1.0, 60.0),
    st.lists(st.floats(-0.2, 0.2), min_size=50, max_size=50),
)
def test_the_pace_is_kept_whatever_the_rates_and_the_jitter(fps, rate_hz, jitter):
    at_ns = ((np.arange(50) + jitter) * NS_PER_S / fps).astype(np.int64).tolist()
    pace = Pace(rate_hz, early=0.25)
    taken = [at for at in at_ns if pace.takes(at)]
    span_s = (at_ns[-1] - at_ns[0]) / NS_PER_S
    assert len(taken) <= span_s * rate_hz + 1.5
    assert len(taken) >= min(50, span_s * rate_hz) * (1.0 if rate_hz < fps / 2 else 0.5) - 1.5


def test_a_driver_whose_clock_is_set_stops_nothing_and_loses_nothing():
    pace, holes = Pace(10.0, 0.25), Holes()
    at_s = [100.0, 100.1, 100.2, 100.3, 100.4, 3.0, 3.1, 3.2, 9e8, 9e8 + 0.1]
    stamps = [round(s * 10) * NS_PER_S // 10 for s in at_s]
    assert [pace.takes(at) for at in stamps] == [True] * 10
    assert [holes.before(at) for at in stamps] == [0] * 10
    same = Holes()
    assert [same.before(at) for at in [0, 0, 0, 0, 0, NS_PER_S]] == [0] * 6  # a driver without times


@pytest.mark.skipif(not SIGNS.is_file(), reason="the recordings are not on this machine")
def test_real_photographs_come_through(tmp_path):
    with np.load(SIGNS, allow_pickle=False) as signs:
        data, offset = signs["jpeg"].tobytes(), signs["offset"]
    for i in range(8):
        (tmp_path / f"{i}.jpg").write_bytes(data[offset[i] : offset[i + 1]])
    sensor, chunks = play(tmp_path, width=32, height=32)
    assert (len(chunks), sensor.health.errors) == (8, 0)
    frames = np.concatenate([chunk.values for chunk in chunks])
    assert frames.shape == (8, 32 * 32 * 3)
    assert frames.min() >= 0
    assert frames.max() <= 1
    assert (frames.std(1) > 0.05).all()
    assert (np.abs(np.diff(frames, axis=0)).max(1) > 0.1).all()

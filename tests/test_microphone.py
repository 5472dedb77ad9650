"""The microphone: on blocks given by the test, and (e2e) on PortAudio with a PulseAudio server of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from types import MappingProxyType

import numpy as np
import pytest
import soundfile

from edge_agent.clock import NS_PER_S, ManualClock, SystemClock
from edge_agent.errors import ConfigurationError, SensorError
from edge_agent.sensors import microphone, portaudio
from edge_agent.sensors.microphone import QUEUE_BLOCKS, MicrophoneSensor
from edge_agent.testing import SensorContract
from edge_agent.types import SensorState


def tone(n, rate_hz, tone_hz=440.0):
    return (0.5 * np.sin(2 * np.pi * tone_hz * np.arange(n) / rate_hz)).astype(np.float32)


class Device:
    """A sound card whose blocks come when its thread is told, on a thread of its own as PortAudio's do."""

    def __init__(self, blocks=None, *, fail=0, pace_s=0.002, clock=None) -> None:
        self.blocks = blocks
        self.fail = fail
        self.pace_s = pace_s
        self.clock = clock
        self.opened = 0

    @contextmanager
    def open(self, device, rate_hz, block, on_block):
        self.opened += 1
        if self.fail > 0:
            self.fail -= 1
            raise SensorError("no such device")
        ended = threading.Event()

        def run():
            for k in itertools.count() if self.blocks is None else range(self.blocks):
                if ended.wait(self.pace_s):
                    return
                if self.clock is not None:
                    self.clock.advance(block / rate_hz)
                on_block(tone(block, rate_hz).tobytes(), k == 3)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


class TestAtTheSlotsRate(SensorContract):
    channels = MappingProxyType({"mic": 1})

    @pytest.fixture
    def sensor(self):
        return MicrophoneSensor("mic", "audio", SystemClock(), open_stream=Device().open)


class TestAtAnotherRate(SensorContract):
    channels = MappingProxyType({"mic": 1})

    @pytest.fixture
    def sensor(self):
        clock = ManualClock(NS_PER_S)
        return MicrophoneSensor(
            "mic", "audio", clock, rate_hz=44_100, open_stream=Device(clock=clock, pace_s=0.001).open
        )


def take(sensor, count):
    stop = threading.Event()
    chunks = list(itertools.islice(sensor.chunks(stop), count))
    stop.set()
    return chunks


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_the_sound_arrives_whole_at_the_slots_rate_and_on_time(rate_hz):
    clock = ManualClock(NS_PER_S)
    device = Device(clock=clock, pace_s=0.001)
    chunks = take(MicrophoneSensor("mic", "audio", clock, rate_hz=rate_hz, open_stream=device.open), 25)
    values = np.concatenate([c.values for c in chunks])[:, 0]
    times = np.concatenate([c.times_ns for c in chunks])
    assert len(values) == pytest.approx(25 * 0.05 * 16_000, abs=2000)  # the filter may hold some back
    assert np.argmax(np.abs(np.fft.rfft(values[2000:10_000], 16_000))) == pytest.approx(440, abs=2)
    assert (np.diff(times) > 0).all()
    assert (times[-1] - times[0]) / NS_PER_S == pytest.approx(len(times) / 16_000, rel=0.03)
    assert NS_PER_S - 2e8 < times[0] < NS_PER_S + 2e8


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000])
def test_what_the_slots_rate_cannot_hold_is_filtered_out(rate_hz):
    """12 kHz: of every third sample alone it would be heard as 4 kHz."""
    made = shape(rate_hz, 10 * NS_PER_S + np.arange(1, 41) * 0.05 * NS_PER_S, tone_hz=12_000.0)
    values = np.concatenate([values for _, values, _ in made])[2000:-2000]
    assert len(values) > 20_000
    assert np.abs(values).max() < 0.01


def shape(sensor_rate_hz, arrivals_ns, dropped=None, tone_hz=440.0):
    shaper = microphone._Shaper(sensor_rate_hz, 16_000)
    n = round(sensor_rate_hz * 0.05)
    sound = tone(n * len(arrivals_ns), sensor_rate_hz, tone_hz)
    made = []
    first_sample = 0
    for k, end_ns in enumerate(arrivals_ns):
        first_sample += 0 if dropped is None else dropped[k]
        part = sound[k * n : (k + 1) * n]
        block = microphone._Block(part.tobytes(), int(end_ns), False, k, first_sample)
        made.append(shaper.shape(block))
        first_sample += n
    return made


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_late_callbacks_and_a_drifting_card_leave_the_times_smooth_and_true(rate_hz):
    """Callbacks late by up to 30 ms, a card 200 ppm slow: spacing stays regular, and no time runs away."""
    rng = np.random.default_rng(0)
    true_ns = 10 * NS_PER_S + np.arange(1, 1201) * 0.05 * NS_PER_S * 1.0002
    made = shape(rate_hz, true_ns + rng.uniform(0, 0.03, 1200) * NS_PER_S)
    ends = np.array([times[-1] for times, _, _ in made if len(times)])
    steps = np.diff(np.concatenate([times for times, _, _ in made[2:]]))
    assert np.abs(steps / 62_500 - 1).max() < 0.11
    assert np.abs(ends[-200:] - true_ns[-len(ends) :][-200:]).max() < 0.1 * NS_PER_S


def test_a_hole_in_the_sound_is_a_hole_in_the_times():
    ends_s = [0.05, 0.10, 0.15, 1.15, 1.20]
    made = shape(16_000, [s * NS_PER_S for s in ends_s])
    assert (made[3][0][0] - made[2][0][-1]) / NS_PER_S == pytest.approx(0.95, abs=0.01)
    dropped = shape(16_000, [s * NS_PER_S for s in (0.05, 0.15)], dropped=[0, 800])
    assert dropped[1][2] == 800
    assert (dropped[1][0][0] - dropped[0][0][-1]) / NS_PER_S == pytest.approx(0.05, abs=0.001)


def test_when_nobody_listens_the_oldest_blocks_go_and_are_counted():
    blocks = QUEUE_BLOCKS + 15
    device = Device(blocks, pace_s=0.0)
    sensor = MicrophoneSensor("mic", "audio", SystemClock(), open_stream=device.open, silence_limit_s=0.3)
    stop = threading.Event()
    chunks = sensor.chunks(stop)
    first = next(chunks)
    threading.Event().wait(1.0)  # the listener is away while the device goes on
    taken, lost = len(first.values), first.lost
    for chunk in itertools.islice(chunks, blocks):
        taken += len(chunk.values)
        lost += chunk.lost
        if taken + lost >= blocks * 800:
            break
    assert taken + lost == blocks * 800
    assert taken <= (QUEUE_BLOCKS + 1) * 800
    assert lost == sensor.health.lost == sensor.health.dropped_chunks * 800
    stop.set()
    chunks.close()


def test_a_missing_device_is_reported_and_found_when_it_comes():
    device = Device(fail=2)
    sensor = MicrophoneSensor("mic", "audio", SystemClock(), open_stream=device.open)
    stop = threading.Event()
    got = threading.Event()

    def listen():
        for _ in sensor.chunks(stop):
            got.set()

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        assert got.wait(20)
        assert device.opened == 3
        assert sensor.health.errors >= 2
        assert sensor.health.state is SensorState.ONLINE
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


def test_a_device_that_falls_silent_is_opened_again():
    device = Device(blocks=2)
    sensor = MicrophoneSensor("mic", "audio", SystemClock(), open_stream=device.open, silence_limit_s=0.2)
    assert len(take(sensor, 5)) == 5
    assert device.opened == 3
    assert sensor.health.reconnects == 2


def test_a_microphone_that_was_muted_for_a_while_was_not_lost():
    device = Device()
    sensor = MicrophoneSensor("mic", "audio", SystemClock(), open_stream=device.open)
    assert len(take(sensor, 2)) == len(take(sensor, 2)) == 2
    assert (device.opened, sensor.health.reconnects) == (2, 0)


def test_without_portaudio_the_error_says_what_to_install(tmp_path):
    """In a process of its own, where the library sounddevice needs is not to be found."""
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    script = (
        "import threading\n"
        "from edge_agent.clock import SystemClock\n"
        "from edge_agent.errors import ConfigurationError\n"
        "from edge_agent.sensors.microphone import MicrophoneSensor\n"
        "try:\n"
        "    next(MicrophoneSensor('m', 'audio', SystemClock()).chunks(threading.Event()))\n"
        "except ConfigurationError as error:\n"
        "    print(error, '|', error.hint)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )  # fmt: skip
    assert "PortAudio library not found | sudo apt install libportaudio2" in ran.stdout


def portaudio_missing():
    try:
        portaudio._library()
    except ConfigurationError as error:
        return str(error)
    return ""


@pytest.mark.skipif(bool(portaudio_missing()), reason="PortAudio is not installed")
def test_a_device_that_does_not_exist_is_a_sensor_error():
    with (
        pytest.raises(SensorError, match='the microphone "no such thing"') as caught,
        portaudio.portaudio_stream("no such thing", 16_000, 800, lambda *_: None),
    ):
        pass
    assert "sounddevice" in caught.value.hint


HANGING = """
import threading
from edge_agent.sensors import portaudio

class Hanging:
    # As a stream whose sound server died while its client held shared memory.
    def start(self): pass
    def abort(self, ignore_errors): threading.Event().wait()
    def close(self, ignore_errors): pass

portaudio.CLOSE_S = 0.2
for _ in range(2):
    with portaudio._open("microphone", None, 16_000, lambda _library: Hanging()):
        pass
    print("closed", portaudio._open_streams, flush=True)
"""


@pytest.mark.skipif(bool(portaudio_missing()), reason="PortAudio is not installed")
def test_a_stream_that_does_not_end_is_left_behind_and_holds_neither_the_next_nor_the_process():
    ran = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=30, check=True
    )
    assert ran.stdout.splitlines() == ["closed 1", "closed 2"], "PortAudio is not begun anew under them"
    assert "left behind" in ran.stderr


@pytest.fixture
def pulseaudio(tmp_path, monkeypatch):
    """A server of our own with a sink whose monitor is the default microphone."""
    if missing := [name for name in ("pulseaudio", "pactl", "paplay") if shutil.which(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if reason := portaudio_missing():
        pytest.skip(reason)
    address = tmp_path / "native"
    for name, value in (
        ("HOME", tmp_path), ("XDG_RUNTIME_DIR", tmp_path), ("PULSE_SERVER", f"unix:{address}"),
    ):  # fmt: skip
        monkeypatch.setenv(name, str(value))
    server = subprocess.Popen(
        [
            "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm",
            f"--load=module-native-protocol-unix auth-anonymous=1 socket={address}",
            "--load=module-null-sink sink_name=room rate=48000",
        ],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(50):
            if subprocess.run(["pactl", "info"], capture_output=True, check=False).returncode == 0:
                break
            threading.Event().wait(0.1)
        else:
            pytest.skip("the PulseAudio server did not start")
        yield
    finally:
        server.terminate()
        server.wait(10)


@pytest.mark.e2e
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_a_tone_played_in_the_room_is_heard_through_portaudio(pulseaudio, tmp_path, rate_hz):
    soundfile.write(tmp_path / "tone.wav", tone(10 * 48_000, 48_000, 1000.0), 48_000)
    sensor = MicrophoneSensor("mic", "audio", SystemClock(), device="pulse", rate_hz=rate_hz)
    player = subprocess.Popen(["paplay", "--device=room", str(tmp_path / "tone.wav")])
    try:
        chunks = take(sensor, 60)
    finally:
        player.terminate()
        player.wait(10)
    values = np.concatenate([c.values for c in chunks])[-16_000:, 0]
    times = np.concatenate([c.times_ns for c in chunks])
    assert np.argmax(np.abs(np.fft.rfft(values))) == pytest.approx(1000, abs=3)
    assert np.abs(values).max() == pytest.approx(0.5, abs=0.15)
    assert (np.diff(times) >= 0).all()
    assert sensor.health.errors == 0

"""The microphone through real PortAudio: a PulseAudio of our own, whose null sink is what it hears."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, wait_for

RATE_HZ = 16_000
TONE_HZ = 1000.0
HEADER = """
import json, sys, threading
import numpy as np
from edge_agent.clock import SystemClock
from edge_agent.sensors.microphone import MicrophoneSensor
from edge_agent.sensors.portaudio import devices

def say(**facts):
    print(json.dumps(facts), flush=True)

sensor = MicrophoneSensor(
    "mic", "audio", SystemClock(), device="pulse", rate_hz=int(sys.argv[1]), slot_rate_hz=16000)
stop = threading.Event()
"""
LISTENER = (
    HEADER
    + """
say(devices=[found.where for found in devices()])
heard = []
for chunk in sensor.chunks(stop):
    heard.append(chunk)
    if len(heard) == 1:
        say(listening=True)
    if sum(len(c.times_ns) for c in heard) > 16000 * 3:
        break
y = np.concatenate([c.values[:, 0] for c in heard])
t = np.concatenate([c.times_ns for c in heard])
spectrum = np.abs(np.fft.rfft(y * np.hanning(len(y))))
say(peak_hz=float(np.fft.rfftfreq(len(y), 1 / 16000)[spectrum.argmax()]), loudest=float(np.abs(y).max()),
    rate_hz=(len(t) - 1) / ((t[-1] - t[0]) * 1e-9), lost=sensor.health.lost)
"""
)
WATCHER = (
    HEADER
    + """
def watch():
    said = None
    while not stop.wait(0.05):
        state = str(sensor.health.state)
        if state != said:
            said = state
            say(state=said, reconnects=sensor.health.reconnects)

threading.Thread(target=watch, daemon=True).start()
for _ in sensor.chunks(stop):
    pass
"""
)

pytestmark = pytest.mark.e2e


class Pulse:
    """A PulseAudio with a null sink called `room`, on a socket of its own."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "pulse.socket"
        own = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PULSE_SERVER": f"unix:{self.socket}"}
        chosen = {"PULSE_SINK": "room", "PULSE_SOURCE": "room.monitor", "PYTHONPATH": str(ROOT)}
        self.environment = {**os.environ, **own, **chosen}

    def start(self) -> None:
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        command.append("--disable-shm")
        protocol = f"module-native-protocol-unix socket={self.socket} auth-anonymous=1"
        command += ["--load=module-null-sink sink_name=room", f"--load={protocol}"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, env=self.environment, **quiet)
        wait_for(self.socket.exists, 15, "PulseAudio")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self.socket.unlink(missing_ok=True)

    def run(self, script: str, rate_hz: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, str(rate_hz)]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def pulse(tmp_path: Path):
    if not shutil.which("pulseaudio") or not shutil.which("paplay"):
        pytest.skip("no PulseAudio (apt install pulseaudio pulseaudio-utils libasound2-plugins)")
    server = Pulse(tmp_path)
    server.start()
    yield server
    server.stop()


def write_tone(path: Path, seconds: float) -> None:
    samples = 0.4 * np.sin(2 * np.pi * TONE_HZ * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_what_is_played_is_heard_at_the_slots_rate(pulse: Pulse, tmp_path: Path, rate_hz: int):
    write_tone(tmp_path / "tone.wav", 6.0)
    listener = pulse.run(LISTENER, rate_hz)
    assert listener.stdout
    try:
        assert any("pulse" in name for name in json.loads(listener.stdout.readline())["devices"])
        assert json.loads(listener.stdout.readline()) == {"listening": True}
        player = subprocess.Popen(["paplay", str(tmp_path / "tone.wav")], env=pulse.environment)
        heard = json.loads(listener.stdout.readline())
        player.terminate()
        player.wait(10)
    finally:
        listener.kill()
        listener.wait()
    assert heard["peak_hz"] == pytest.approx(TONE_HZ, abs=3)
    assert 0.2 < heard["loudest"] < 0.6
    assert heard["rate_hz"] == pytest.approx(RATE_HZ, rel=0.03)
    assert heard["lost"] == 0


def test_probe_lists_the_microphones_with_the_line_that_names_them(pulse: Pulse):
    said = subprocess.run(
        [sys.executable, "-m", "edge_agent", "sensors", "probe", "--json"],
        cwd=ROOT, env=pulse.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = {each["where"]: each for each in map(json.loads, said.stdout.splitlines())}
    assert found["pulse"]["kind"] == "audio"
    assert found["pulse"]["what"].endswith(" Hz")
    assert found["pulse"]["hint"] == 'kind = "microphone", device = "pulse"'


def test_the_device_is_lost_and_comes_back(pulse: Pulse):
    watcher = pulse.run(WATCHER, RATE_HZ)
    assert watcher.stdout

    def until(state: str) -> dict[str, object]:
        for line in watcher.stdout:
            if (said := json.loads(line))["state"] == state:
                return said
        raise AssertionError(f"it ended before it was {state}")

    try:
        until("online")
        pulse.stop()
        until("offline")
        pulse.start()
        assert until("online")["reconnects"] == 1
    finally:
        watcher.kill()
        watcher.wait()

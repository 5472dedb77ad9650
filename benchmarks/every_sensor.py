"""Every modality at once without hardware: the devices of docs/every-sensor.md, as the daemon finds them.

Ports by `edge-agent simulate`, a folder of pictures, and a publisher that sends what trackers on other
machines would. The numbers are invented; the drivers that read them are the real ones.
"""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.manifest import Manifest, Slot

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "every-sensor.md"
FOLDER = "/tmp/every-sensor"  # noqa: S108  (as the document has it)
PORTS = {"board": "board", "gps": "gps", "scanner": "ld06"}
"""Name of the port -> what `edge-agent simulate` is asked for."""
PUBLISHED = {"hand": "pose_hand", "finger": "pose_finger", "eyes": "gaze", "room": "room"}
"""Sensor -> slot."""
PICTURES = 16
APPEAR_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0
FASTEST_MESSAGES_HZ, SLOWEST_MESSAGES_HZ = 10.0, 1.0


def configuration(folder: Path, model: Path, port: int) -> str:
    """The document's configuration with these paths and this broker."""
    text = DOCUMENT.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    text = text.replace(FOLDER, str(folder)).replace('"models/iotlm-7m"', f'"{model.absolute()}"')
    return text.replace("[mqtt]\n", f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\n')


@contextlib.contextmanager
def simulated(name: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A device on a port of its own, from when the port is there."""
    link = folder / name
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "simulate", PORTS[name], "--link", str(link)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline_s = time.monotonic() + APPEAR_TIMEOUT_S
        while not link.is_symlink():
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise TimeoutError(f"the simulated {name} did not appear")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(STOP_TIMEOUT_S)


def pictures(folder: Path) -> None:
    """A bright square that moves over a dark ground."""
    folder.mkdir()
    for number in range(PICTURES):
        image = np.full((48, 64, 3), 30, np.uint8)
        left = number * (64 - 16) // PICTURES
        image[16:32, left : left + 16] = (60, 180, 220)
        cv2.imwrite(str(folder / f"{number:03}.png"), image)


def sample(slot: Slot, at_s: float) -> dict[str, float]:
    """Channel -> a number that moves slowly in 0..1, each channel in its own place."""
    return {
        name: round(0.5 + 0.3 * math.sin(0.6 * at_s + 0.37 * i), 4) for i, name in enumerate(slot.channels)
    }


class Publisher:
    """Sends what the network sensors expect, each at its slot's rate, in messages of several samples."""

    def __init__(self, manifest: Manifest, port: int, node: str = "kitchen") -> None:
        self._slots = {name: manifest.slot(slot) for name, slot in PUBLISHED.items()}
        self._node = node
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.connect("127.0.0.1", port)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(name,)) for name in PUBLISHED]

    def __enter__(self) -> Publisher:  # noqa: PYI034
        self._client.loop_start()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(STOP_TIMEOUT_S)
        self._client.disconnect()
        self._client.loop_stop()

    def _send(self, name: str) -> None:
        slot, sequence = self._slots[name], 0
        messages_hz = min(FASTEST_MESSAGES_HZ, max(SLOWEST_MESSAGES_HZ, slot.rate_hz))
        each = max(1, round(slot.rate_hz / messages_hz))
        period_s = each / max(slot.rate_hz, SLOWEST_MESSAGES_HZ)
        due_s = time.monotonic()
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            ages_s = [(each - 1 - i) * period_s / each for i in range(each)]
            samples = [{"age_s": age_s, "values": sample(slot, due_s - age_s)} for age_s in ages_s]
            body = {"samples": samples, "sequence": sequence, "simulated": True}
            self._client.publish(f"edge/{self._node}/in/{name}", json.dumps(body))
            sequence += each
            due_s += period_s


@contextlib.contextmanager
def devices(folder: Path, manifest: Manifest, port: int) -> Iterator[dict[str, Callable[[], None]]]:
    """Everything that the document's configuration reads. Gives name of a port -> what unplugs it."""
    pictures(folder / "pictures")
    with contextlib.ExitStack() as stack:
        found = {}
        for name in PORTS:
            process = stack.enter_context(simulated(name, folder))
            found[name] = process.terminate
        stack.enter_context(Publisher(manifest, port))
        yield found

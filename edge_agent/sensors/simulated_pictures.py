"""A camera that is not there: a folder of pictures that an agent plays as its camera (`kind = "camera"`).

A bright thing moves over a dark ground. The folder can be away, like a stick that is pulled out, and pictures
of it empty, cut off or no pictures at all; they are whole again after HEALS_S.
"""

from __future__ import annotations

import random
import shutil
import struct
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from edge_agent.config_sensors import Disturbance
from edge_agent.errors import SensorError

PICTURES, WIDTH, HEIGHT = 16, 64, 48
HEALS_S = 3.0
TICK_S = 0.1
_NO_PICTURE = "noise.png"


class SimulatedPictures:
    """Keeps the folder `folder` while it runs, and removes it at the end. Faults: from any thread."""

    def __init__(self, folder: Path, faults: Disturbance, seed: int = 0) -> None:
        self._folder = folder
        self._away = folder.with_name(folder.name + ".away")
        self._faults = faults
        self._rng = random.Random(seed)
        rng = np.random.default_rng(seed)
        noise = rng.normal(0, 255 * faults.noise, (PICTURES, HEIGHT, WIDTH, 3))
        images = (_scene(number) + noise[number] for number in range(PICTURES))
        self._whole = {
            f"{number:03}.png": png(np.clip(np.rint(image), 0, 255).astype(np.uint8))
            for number, image in enumerate(images)
        }
        self._lock = threading.Lock()
        self._due: list[Callable[[], None]] = []
        self._heals_s: dict[str, float] = {}

    def __enter__(self) -> Self:
        """Raises SensorError where there is something already: at the end both folders are removed."""
        for path in (self._folder, self._away):
            if path.is_symlink() or path.exists():
                raise SensorError(f"{path} exists", hint="choose a path that is free")
        self._folder.mkdir(parents=True)
        for name in self._whole:
            self._put(name, self._whole[name])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.rmtree(self._away, ignore_errors=True)

    @property
    def path(self) -> Path:
        """What the camera's `source` is."""
        return self._folder

    def garbage(self, size: int) -> None:
        """Put a file of `size` random bytes among the pictures."""
        self._soon(lambda: self._damage(_NO_PICTURE, self._rng.randbytes(size)))

    def drop_frames(self, count: int) -> None:
        """Empty `count` pictures."""
        self._soon(*[lambda: self._damage(self._any(), b"")] * count)

    def spoil_frames(self, count: int) -> None:
        """Cut `count` pictures off."""

        def spoil() -> None:
            name = self._any()
            self._damage(name, self._whole[name][: len(self._whole[name]) // 2])

        self._soon(*[spoil] * count)

    def unplug(self) -> None:
        """Take the folder away."""
        self._soon(lambda: self._move(self._folder, self._away))

    def plug(self) -> None:
        """Bring it back."""
        self._soon(lambda: self._move(self._away, self._folder))

    def run(self, stop: threading.Event) -> None:
        """Until `stop`. Only this thread touches the files."""
        born_s, stuck = time.monotonic(), False
        while not stop.wait(TICK_S):
            with self._lock:
                due, self._due = self._due, []
            for fault in due:
                fault()
            if not stuck and 0 < self._faults.stuck_after_s < time.monotonic() - born_s:
                stuck = True
                self._whole = dict.fromkeys(self._whole, self._whole["000.png"])
                self._heals_s |= dict.fromkeys(self._whole, 0.0)
            if self._folder.is_dir():
                self._heal()

    def _soon(self, *faults: Callable[[], None]) -> None:
        with self._lock:
            self._due += faults

    def _any(self) -> str:
        return self._rng.choice(list(self._whole))

    def _damage(self, name: str, data: bytes) -> None:
        if self._folder.is_dir():
            self._put(name, data)
            self._heals_s[name] = time.monotonic() + HEALS_S

    def _heal(self) -> None:
        for name in [name for name, at_s in self._heals_s.items() if at_s <= time.monotonic()]:
            del self._heals_s[name]
            if name in self._whole:
                self._put(name, self._whole[name])
            else:
                (self._folder / name).unlink(missing_ok=True)

    def _put(self, name: str, data: bytes) -> None:
        """In one step, so that no picture is ever seen half written."""
        fresh = self._folder / f"{name}.new"
        fresh.write_bytes(data)
        fresh.replace(self._folder / name)

    def _move(self, here: Path, there: Path) -> None:
        if here.is_dir():
            here.rename(there)


def _scene(number: int) -> npt.NDArray[np.float64]:
    """(HEIGHT, WIDTH, 3): red, green and blue, 0 to 255."""
    image = np.full((HEIGHT, WIDTH, 3), 30.0)
    left = number * (WIDTH - 16) // PICTURES
    image[16:32, left : left + 16] = (220, 180, 60)
    return image


def png(image: npt.NDArray[np.uint8]) -> bytes:
    """(h, w, 3) as a file: 8 bits, colour type 2, no filter (W3C, PNG, third edition, 11.2 and 9.2)."""
    height, width, _ = image.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), image.reshape(height, -1)], axis=1)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )

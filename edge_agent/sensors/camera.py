"""A camera, a video file or a folder of images. The one module that imports cv2 (OpenCV).

Whatever the source, a sample is one frame: area-resampled to `width` x `height` (stretched, never cropped),
RGB, float32 in 0..1, flattened row by row to width * height * 3 values.

A camera is read through OpenCV's V4L2 backend. Reading it never needs a thread: `VideoCapture.waitAny` waits
for a frame with a limit. OpenCV does not hand on V4L2's `sequence` of a frame (V4L2 API, struct v4l2_buffer),
so what the driver dropped is read from its timestamps: a hole of two or more usual spacings.
"""

from __future__ import annotations

import math
import os
import random
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.clock import NS_PER_S, PacingClock
from edge_agent.errors import ConfigurationError, SensorError
from edge_agent.sensors.video_frames import Camera, Frame, Holes, Image, OpenCamera, Pace, Pixels
from edge_agent.types import Chunk, SensorHealth, SensorState

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})
POLL_S = 0.1
"""How long to wait for a frame before looking at `stop`."""
SILENCE_LIMIT_S = 2.0
"""A camera that gives no frame for so long is dead, and is opened again."""
DRIVER_QUEUE = 4
"""Frames that OpenCV lets the driver fill ahead of us: no more than these can be old."""
BROKEN_IN_A_ROW = 30
"""Frames that a video file may fail to give one after the other; more is its end."""
MAX_BEHIND_S = 1.0
"""Played this much too late (the machine slept), the rest is played later instead of in a rush."""
BACKOFF_BASE_S = 0.25
BACKOFF_CAP_S = 3.0

Recorded = tuple[int, Callable[[], Image | None]]
"""When a recorded frame is due in ns after the first, and what decodes it, to be called before the next."""


class CameraSensor:
    """One sample a frame, at most `rate_hz` a second.

    `source` is a camera (its number, or a path in /dev), a video file (played in real time, at its own rate
    where that is lower) or a folder (its images in the order of their names, `rate_hz` a second). Files are
    played on the clock and again and again if `loop`. A frame that cannot be decoded is skipped, counted
    in `health.errors`, and lost. `lost` counts frames.

    Raises ConfigurationError where OpenCV is missing. `open_camera` is the seam: anything that gives frames
    can stand where V4L2 does.
    """

    def __init__(
        self,
        name: str,
        slot: str,
        clock: PacingClock,
        *,
        source: int | str,
        width: int,
        height: int,
        rate_hz: float,
        loop: bool = True,
        simulated: bool = False,
        open_camera: OpenCamera | None = None,
    ) -> None:
        self.name = name
        self.slot = slot
        self.health = SensorHealth()
        self.shape = (height, width, 3)
        self.channels = {name: Pixels(width, height)}
        self._clock = clock
        self._source = source
        self._rate_hz = rate_hz
        self._loop = loop
        self._simulated = simulated
        self._open_camera = open_camera or v4l2_camera
        self._cv2 = _library()
        self._lost = 0
        self._away = False
        """The camera or the file was lost: the next chunk is a reconnection."""

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        """See types.Sensor. Raises ConfigurationError for a file or images that cannot be decoded.

        Opening a camera may outlast a stop by a second: the driver cannot be interrupted while it starts.
        """
        failures = 0
        live = isinstance(self._source, int) or self._source.startswith("/dev/")
        try:
            while not stop.is_set():
                try:
                    for chunk in self._watch(stop) if live else self._play(stop):
                        failures = 0
                        yield chunk
                    if not live and not stop.is_set():
                        self._set(SensorState.OFFLINE, "the recording has ended")
                        return
                except SensorError as error:
                    self._set(SensorState.OFFLINE, f"{error}. {error.hint}".strip(" .") + ".")
                    self.health.errors += 1
                    self._away = self.health.samples > 0
                    stop.wait(random.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**failures)))
                    failures = min(failures + 1, 8)
        finally:
            if stop.is_set():
                self._set(SensorState.OFFLINE, "stopped")

    def _watch(self, stop: threading.Event) -> Iterator[Chunk]:
        """Chunks of one opening of the camera. SensorError when it is lost or falls silent."""
        height, width, _ = self.shape
        pace, holes = Pace(self._rate_hz, early=0.25), Holes()
        quiet_ns: int | None = None
        with self._open_camera(self._source, width, height, self._rate_hz) as camera:
            while not stop.is_set():
                frames = _waiting(camera)
                now_ns = self._clock.monotonic_ns()
                if frames:
                    quiet_ns = None
                elif quiet_ns is None:  # since an empty wait, not the last frame: we may have been away
                    quiet_ns = now_ns
                elif now_ns - quiet_ns >= SILENCE_LIMIT_S * NS_PER_S:
                    raise SensorError(f"no frame has come for {SILENCE_LIMIT_S:g} s")
                due = sum(pace.takes(frame.at_ns) for frame in frames)
                self._lose(sum(holes.before(frame.at_ns) for frame in frames))
                whole = [frame.image for frame in frames if frame.image is not None]
                self.health.errors += len(frames) - len(whole)
                self._lose(max(0, due - bool(whole)))  # the newest wins
                if due and whole:
                    yield self._chunk(now_ns, whole[-1], "watching")

    def _play(self, stop: threading.Event) -> Iterator[Chunk]:
        """The file or folder, once or for ever. SensorError when it went away while it was played."""
        start_ns = self._clock.monotonic_ns()
        while not stop.is_set():
            before = self.health.samples
            start_ns = yield from self._play_once(start_ns, stop)
            if self.health.samples == before and not stop.is_set():
                raise self._unusable("there is no frame in it that can be decoded")
            if not self._loop:
                return

    def _play_once(self, start_ns: int, stop: threading.Event) -> Generator[Chunk, None, int]:
        """Play from `start_ns`; return when the next round begins."""
        period_ns, recorded = self._open_recording(Path(str(self._source)))
        pace, at_ns = Pace(self._rate_hz, early=0.01), 0
        for at_ns, decode in recorded:
            if not self._clock.wait_until(start_ns + at_ns, stop):
                return start_ns
            behind_ns = self._clock.monotonic_ns() - start_ns - at_ns
            if behind_ns > MAX_BEHIND_S * NS_PER_S:
                start_ns += behind_ns
            if not pace.takes(at_ns):
                continue
            if (image := decode()) is None:
                self.health.errors += 1
                self._lose(1)
            else:
                yield self._chunk(start_ns + at_ns, image, f"playing {Path(str(self._source)).name}")
        return start_ns + at_ns + period_ns

    def _open_recording(self, path: Path) -> tuple[int, Iterator[Recorded]]:
        """(time from one frame to the next, the frames)."""
        if path.is_dir():
            return round(NS_PER_S / self._rate_hz), self._images(path)
        if not path.is_file():
            raise self._missing("there is no such file or folder")
        cv2 = self._cv2
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not capture.isOpened():
            raise self._unusable("it is no video that OpenCV can read")
        rate_hz = capture.get(cv2.CAP_PROP_FPS)
        period_ns = NS_PER_S / (rate_hz if 0 < rate_hz < math.inf else self._rate_hz)
        return round(period_ns), self._video(capture, period_ns)

    def _images(self, folder: Path) -> Iterator[Recorded]:
        try:
            paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        except OSError as error:
            raise self._missing(error.strerror or str(error)) from error
        if not paths:  # as the place is where a stick will be mounted
            raise self._missing(f"there is no image in it ({', '.join(sorted(IMAGE_SUFFIXES))})")
        for i, path in enumerate(paths):
            yield round(i * NS_PER_S / self._rate_hz), partial(self._read_image, path)

    def _video(self, capture: Any, period_ns: float) -> Iterator[Recorded]:
        """The frames of an open file. Where it holds no times of use, they are `period_ns` apart."""
        at_ns, broken = -period_ns, 0
        try:
            while broken <= BROKEN_IN_A_ROW:
                if not capture.grab():
                    broken += 1
                    continue
                for _ in range(broken):  # a broken frame is one only if another follows: else it was the end
                    at_ns += period_ns
                    yield round(at_ns), _nothing
                says_ns = capture.get(self._cv2.CAP_PROP_POS_MSEC) * 1e6
                at_ns, broken = says_ns if says_ns > at_ns else at_ns + period_ns, 0
                yield round(at_ns), lambda: _usable(*capture.retrieve())
        finally:
            capture.release()

    def _read_image(self, path: Path) -> Image | None:
        try:
            # From memory: read from a file, a JPEG that was cut off would come, grey where it ends.
            data = np.frombuffer(path.read_bytes(), np.uint8)
            return _usable(True, self._cv2.imdecode(data, self._cv2.IMREAD_COLOR))
        except (OSError, self._cv2.error):  # error: an empty file, or one that claims to be huge
            return None

    def _chunk(self, at_ns: int, image: Image, doing: str) -> Chunk:
        height, width, _ = self.shape
        small = self._cv2.resize(image, (width, height), interpolation=self._cv2.INTER_AREA)
        values = (small[:, :, ::-1] / np.float32(255)).reshape(1, -1)
        lost, self._lost = self._lost, 0
        self.health.reconnects += self._away
        self._away = False
        self._set(SensorState.ONLINE, doing)
        self.health.samples += 1
        return Chunk(self.name, np.array([at_ns], np.int64), values, lost, self._simulated)

    def _lose(self, frames: int) -> None:
        self._lost += frames
        self.health.lost += frames

    def _missing(self, why: str) -> SensorError:
        """It may be on a stick or a network drive, and come back."""
        return SensorError(f"cannot play {self._source}: {why}", hint="is it plugged in, and the path right?")

    def _unusable(self, why: str) -> ConfigurationError | SensorError:
        """What is there at the start is a wrong setting; later it was damaged, and may be whole again."""
        said = f"cannot play {self._source}: {why}"
        if self.health.samples:
            return SensorError(said)
        return ConfigurationError(
            said, key="source", hint="it takes images, videos that OpenCV reads, and cameras (0, /dev/video0)"
        )

    def _set(self, state: SensorState, reason: str) -> None:
        self.health.state, self.health.reason = state, reason


def _nothing() -> Image | None:
    return None


def _usable(given: bool, image: Any) -> Image | None:  # noqa: FBT001  (as OpenCV's own `retrieve` has it)
    if not given or image is None or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        return None
    usable: Image = image
    return usable


def _waiting(camera: Camera) -> list[Frame]:
    """The frames that wait at the driver, oldest first, after at most POLL_S; empty when none came."""
    frames: list[Frame] = []
    while len(frames) <= DRIVER_QUEUE and (frame := camera.read(0.0 if frames else POLL_S)) is not None:
        frames.append(frame)
    return frames


@contextmanager
def v4l2_camera(source: int | str, width: int, height: int, rate_hz: float) -> Iterator[Camera]:
    """An OpenCamera on real hardware."""
    cv2 = _library()
    path = f"/dev/video{source}" if isinstance(source, int) else source
    capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
    try:
        if not capture.isOpened():
            there = Path(path).exists()
            raise SensorError(
                f"cannot open the camera {path}" if there else f"there is no camera {path}",
                hint="the user must be in the group video, and no other program may use the camera"
                if there
                else "is it plugged in?",
            )
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)  # the driver takes the nearest that it can do
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        capture.set(cv2.CAP_PROP_FPS, max(1, math.ceil(rate_hz)))
        yield _V4l2Camera(capture, path)
    finally:
        capture.release()


class _V4l2Camera:
    def __init__(self, capture: Any, path: str) -> None:
        self._cv2 = _library()
        self._capture = capture
        self._path = path

    def read(self, timeout_s: float) -> Frame | None:
        """See Camera."""
        cv2 = self._cv2
        try:
            # 0 would mean for ever; 1 ns is rounded up to the millisecond of poll(2).
            came, ready = cv2.VideoCapture.waitAny([self._capture], max(1, round(timeout_s * NS_PER_S)))
            if came and not ready:
                raise SensorError(f"the camera {self._path} was unplugged")
            if not came:
                return None
            at_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
            image = _usable(*self._capture.retrieve())
        except cv2.error as error:
            raise SensorError(f"the camera {self._path} was lost: {error.err or error}") from error
        return Frame(at_ns or time.monotonic_ns(), image)  # 0: a driver that gives no times


def _library() -> Any:
    """The module cv2, imported here so that a device without a camera does without OpenCV."""
    # Read when it is loaded: by default a read of a dead camera waits for 10 s, and FFmpeg writes on stderr.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "1")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(
            f"cameras, videos and images need OpenCV: {error}", hint="pip install 'iotlm-edge[camera]'"
        ) from error
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # we say it in the sensor's state
    cv2.setNumThreads(1)  # frames are small; the processor's other cores have work
    return cv2

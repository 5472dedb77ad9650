"""Sound in and out through PortAudio. The one module that imports sounddevice.

PortAudio is one for the whole process, and so are its lock and its list of devices.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_agent.errors import ConfigurationError, SensorError
from edge_agent.sensors.probe import Found
from edge_agent.threads import begin, join

OnBlock = Callable[[bytes, bool], None]
"""Called with one block of float32 mono samples, and whether the device lost sound before it."""
Int16 = npt.NDArray[np.int16]
OUTPUT_LATENCY_S = 0.1
"""Of a loudspeaker: long enough for a busy machine, short enough to be interrupted."""
CLOSE_S = 2.0
"""What the end of a stream may take."""
_open_streams = 0
_portaudio_lock = threading.Lock()
"""PortAudio is one for the whole process: its list of devices is renewed only while no stream is open."""
_log = logging.getLogger(__name__)


@contextmanager
def portaudio_stream(device: str | None, rate_hz: int, block: int, on_block: OnBlock) -> Iterator[object]:
    """An OpenStream on real hardware."""

    def callback(indata: Any, _frames: int, _time: object, status: Any) -> None:
        on_block(bytes(indata), bool(status.input_overflow))

    def make(library: Any) -> Any:
        return library.RawInputStream(
            samplerate=rate_hz, blocksize=block, device=device, channels=1, dtype="float32",
            callback=callback,
        )  # fmt: skip

    with _open("microphone", device, rate_hz, make) as stream:
        yield stream


class Loudspeaker:
    """An output that plays until it is closed; what it has not played by then is not played."""

    def __init__(self, stream: Any, errors: type[Exception]) -> None:
        self.latency_s = float(stream.latency)
        """From the moment that a sample is written until it is heard."""
        self._stream = stream
        self._errors = errors

    @property
    def room(self) -> int:
        """How many samples can be written now without waiting. Raises SensorError when the device is gone."""
        try:
            return int(self._stream.write_available)
        except self._errors as error:
            raise SensorError(f"the loudspeaker was lost: {_first_line(error)}") from error

    def write(self, samples: Int16) -> None:
        """Play (n,) samples after those that wait. Raises SensorError when the device is gone."""
        try:
            self._stream.write(samples.tobytes())
        except self._errors as error:
            raise SensorError(f"the loudspeaker was lost: {_first_line(error)}") from error


@contextmanager
def portaudio_loudspeaker(device: str | None, rate_hz: int) -> Iterator[Loudspeaker]:
    """Play through `device`, part of its name or None for the system's default, at `rate_hz`, mono.

    Raises SensorError when it cannot be opened now, ConfigurationError without PortAudio.
    """

    def make(library: Any) -> Any:
        return library.RawOutputStream(
            samplerate=rate_hz, device=device, channels=1, dtype="int16", latency=OUTPUT_LATENCY_S
        )

    with _open("loudspeaker", device, rate_hz, make) as stream:
        yield Loudspeaker(stream, _library().PortAudioError)


@contextmanager
def _open(what: str, device: str | None, rate_hz: int, make: Callable[[Any], Any]) -> Iterator[Any]:
    """A stream that runs inside `with`. Raises SensorError."""
    global _open_streams  # noqa: PLW0603
    library = _library()
    with _portaudio_lock:
        if _open_streams == 0:
            _renew_devices(library)
        stream = None
        try:
            stream = make(library)
            stream.start()
        except (library.PortAudioError, ValueError) as error:  # ValueError: no device of that name
            if stream is not None:
                stream.close(ignore_errors=True)
            named = f'the {what} "{device}"' if device else f"the default {what}"
            raise SensorError(
                f"cannot open {named} at {rate_hz} Hz: {_first_line(error)}",
                hint="`python -m sounddevice` lists the devices; the user must be in the group audio",
            ) from error
        _open_streams += 1
    try:
        yield stream
    finally:
        with _portaudio_lock:
            _open_streams -= _closed(stream, library, what)


def _closed(stream: Any, library: Any, what: str) -> bool:
    """End a stream; False where it does not end, and is left behind for the next one to be opened beside it.

    PulseAudio's client may wait for ever, with its own lock held, for memory that it shared with a server
    that died. Nothing that belongs to such a stream can be ended any more, the library included.
    """

    def end(_stop: threading.Event) -> None:
        # What waits in an output is dropped: whoever wants it heard waits for it before.
        stream.abort(ignore_errors=True)
        stream.close(ignore_errors=True)

    if not join([begin(f"end of the {what}", end)], CLOSE_S):
        return True
    _log.error("the %s cannot be closed, since its sound server died; it is left behind", what)
    atexit.unregister(library._exit_handler)  # noqa: SLF001  (it ends the library, and would wait for ever too)
    return False


def _library() -> Any:
    """The module sounddevice, imported here so that a device without sound does without PortAudio."""
    try:
        import sounddevice  # noqa: PLC0415
    except (ImportError, OSError) as error:  # OSError: the package without its C library
        raise ConfigurationError(
            f"sound needs PortAudio: {error}",
            hint="sudo apt install libportaudio2 (and libasound2-plugins for PulseAudio)",
        ) from error
    return sounddevice


def _renew_devices(library: Any) -> None:
    """PortAudio looks for devices only when it starts; one plugged in later is found by starting again."""
    try:
        library._terminate()  # noqa: SLF001  (the maintainers' documented way)
        library._initialize()  # noqa: SLF001
    except library.PortAudioError as error:
        raise SensorError(f"PortAudio does not start: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def devices() -> Iterator[Found]:
    """The microphones that PortAudio knows; how to get PortAudio where it is missing."""
    try:
        library = _library()
    except ConfigurationError as error:
        yield Found("audio", "-", str(error), error.hint)
        return
    with _portaudio_lock:
        if _open_streams == 0:
            _renew_devices(library)
        known = list(library.query_devices())
    for device in known:
        if device["max_input_channels"]:
            name = device["name"]
            rate_hz = round(device["default_samplerate"])
            yield Found("audio", name, f"{rate_hz} Hz", f'kind = "microphone", device = "{name}"')

"""A microphone through PortAudio.

PortAudio calls back on its own thread; that thread only copies a block into a bounded queue. Blocks become
chunks of one channel at the slot's rate, low-pass filtered where the device is faster. The sound card's
clock is not ours: times follow our monotonic clock slowly, so that neither jitter nor drift tears the sound.
"""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

import numpy as np
import soxr

from edge_agent.clock import NS_PER_S
from edge_agent.errors import SensorError
from edge_agent.sensors.portaudio import OnBlock, portaudio_stream
from edge_agent.types import Chunk, Clock, Float32, Int64, SensorHealth, SensorState

BLOCK_S = 0.05
SAMPLE_BYTES = 4
QUEUE_BLOCKS = 40
"""Two seconds of sound; when nobody takes them the oldest go and are counted."""
SILENCE_LIMIT_S = 2.0
"""A stream that gives no block for so long is dead, and is opened again."""
POLL_S = 0.1
"""How long to wait for a block before looking at `stop`."""
BACKOFF_BASE_S = 0.25
BACKOFF_CAP_S = 3.0
REANCHOR_S = 0.2
"""A block this far from where the clock expects it means that sound is missing between."""
TRACKING = 0.02
"""Share of a block's time error that is corrected with that block."""

OpenStream = Callable[[str | None, int, int, OnBlock], AbstractContextManager[object]]
"""(device, rate_hz, samples in a block, on_block) -> a stream that runs inside `with`.

Raises SensorError when the device cannot be opened now, ConfigurationError when it never will.
"""


@dataclass(frozen=True, slots=True)
class _Block:
    data: bytes
    end_ns: int
    overflowed: bool
    index: int
    first_sample: int
    """Counted from the opening of the stream, dropped ones too: a jump shows what was dropped."""


class MicrophoneSensor:
    """One input device. `device` is part of its name, None for the system's default.

    `open_stream` is the seam: anything that gives blocks of samples can stand where PortAudio does.
    """

    def __init__(
        self,
        name: str,
        slot: str,
        clock: Clock,
        *,
        device: str | None = None,
        rate_hz: int = 16_000,
        slot_rate_hz: int = 16_000,
        open_stream: OpenStream | None = None,
        silence_limit_s: float = SILENCE_LIMIT_S,
    ) -> None:
        self.name = name
        self.slot = slot
        self.health = SensorHealth()
        self._clock = clock
        self._device = device
        self._rate_hz = rate_hz
        self._slot_rate_hz = slot_rate_hz
        self._open_stream = open_stream or portaudio_stream
        self._silence_limit_s = silence_limit_s
        self._away = False
        """It was lost: the next chunk is a reconnection."""

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        """See types.Sensor. Raises ConfigurationError when PortAudio is not installed."""
        failures = 0
        try:
            while not stop.is_set():
                try:
                    for chunk in self._listen(stop):
                        failures = 0
                        yield chunk
                except SensorError as error:
                    self._away = self.health.samples > 0
                    self._set(SensorState.OFFLINE, str(error))
                    self.health.errors += 1
                    stop.wait(random.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**failures)))
                    failures = min(failures + 1, 8)
        finally:
            self._set(SensorState.OFFLINE, "stopped")

    def _listen(self, stop: threading.Event) -> Iterator[Chunk]:
        """Chunks of one opening of the device. SensorError when it falls silent."""
        inbox = _Inbox(self._clock)
        shaper = _Shaper(self._rate_hz, self._slot_rate_hz)
        waited_s, expected, lost = 0.0, 0, 0
        with self._open_stream(self._device, self._rate_hz, round(self._rate_hz * BLOCK_S), inbox.put):
            while not stop.is_set():
                block = inbox.get(POLL_S)
                if block is None:
                    waited_s += POLL_S
                    if waited_s >= self._silence_limit_s:
                        raise SensorError(f"no sound has come for {self._silence_limit_s:g} s")
                    continue
                waited_s = 0.0
                self.health.errors += block.overflowed
                self.health.dropped_chunks += block.index - expected
                expected = block.index + 1
                times_ns, values, lost_now = shaper.shape(block)
                lost += lost_now
                self.health.lost += lost_now
                if len(times_ns):  # a filter that has just begun gives nothing yet
                    self.health.reconnects += self._away
                    self._away = False
                    self._set(SensorState.ONLINE, "listening")
                    self.health.samples += len(times_ns)
                    yield Chunk(self.name, times_ns, values, lost)
                    lost = 0

    def _set(self, state: SensorState, reason: str) -> None:
        self.health.state, self.health.reason = state, reason


class _Inbox:
    """The bounded queue between PortAudio's thread and ours: the oldest block goes first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._blocks: queue.Queue[_Block] = queue.Queue(QUEUE_BLOCKS)
        self._index = self._first_sample = 0

    def put(self, data: bytes, overflowed: bool) -> None:  # noqa: FBT001  (the audio library's own form)
        """Called on PortAudio's thread: never blocks."""
        if self._blocks.full():
            with suppress(queue.Empty):  # our thread may have been quicker
                self._blocks.get_nowait()
        self._blocks.put_nowait(
            _Block(data, self._clock.monotonic_ns(), overflowed, self._index, self._first_sample)
        )
        self._index += 1
        self._first_sample += len(data) // SAMPLE_BYTES

    def get(self, timeout_s: float) -> _Block | None:
        """The next block; None when none came in time."""
        try:
            return self._blocks.get(timeout=timeout_s)
        except queue.Empty:
            return None


class _Shaper:
    """Blocks at the device's rate -> samples with times at the slot's rate."""

    def __init__(self, rate_hz: int, slot_rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._slot_rate_hz = slot_rate_hz
        self._expected = 0
        self._out_end_ns = 0.0
        self._begin()

    def _begin(self) -> None:
        """Nothing before counts: the next block is anchored to the clock anew."""
        same = self._rate_hz == self._slot_rate_hz
        self._stream = None if same else soxr.ResampleStream(self._rate_hz, self._slot_rate_hz, 1, "float32")
        self._in_end_ns: float | None = None
        self._samples_in = self._samples_out = 0

    def shape(self, block: _Block) -> tuple[Int64, Float32, int]:
        """(times (m,), values (m,1), samples lost directly before), all at the slot's rate; m may be 0."""
        x = np.frombuffer(block.data, np.float32)
        lost = block.first_sample - self._expected
        self._expected = block.first_sample + len(x)
        duration_ns = len(x) * NS_PER_S / self._rate_hz
        late_ns = 0.0 if self._in_end_ns is None else block.end_ns - self._in_end_ns - duration_ns
        if lost or abs(late_ns) > REANCHOR_S * NS_PER_S:
            self._begin()
        if self._in_end_ns is None:
            self._in_end_ns = float(block.end_ns)
            self._out_end_ns = max(self._out_end_ns, block.end_ns - duration_ns)
        else:
            correction_ns = np.clip(late_ns * TRACKING, -duration_ns / 10, duration_ns / 10)
            self._in_end_ns += duration_ns + float(correction_ns)
        y = x if self._stream is None else self._stream.resample_chunk(x)
        times_ns = self._times(len(x), len(y))
        return times_ns, y.astype(np.float32)[:, None], round(lost * self._slot_rate_hz / self._rate_hz)

    def _times(self, n_in: int, n_out: int) -> Int64:
        """(n_out,) spread evenly from the last sample given to where this block ends for us.

        The filter holds some sound back: what it gave is older than what it got by that much.
        """
        assert self._in_end_ns is not None
        self._samples_in += n_in
        self._samples_out += n_out
        held_s = self._samples_in / self._rate_hz - self._samples_out / self._slot_rate_hz
        period_ns = NS_PER_S / self._slot_rate_hz
        end_ns = max(self._in_end_ns - held_s * NS_PER_S, self._out_end_ns + n_out * period_ns / 2)
        times_ns = np.linspace(self._out_end_ns, end_ns, n_out + 1)[1:]
        if n_out:
            self._out_end_ns = end_ns
        return np.round(times_ns).astype(np.int64)

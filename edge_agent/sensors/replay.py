"""A sensor that plays recorded files in real time, as if they happened now."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from edge_agent.clock import NS_PER_S, PacingClock
from edge_agent.sensors.recording import SOUND_RATE_HZ, Recording, read_recording
from edge_agent.types import Chunk, SensorHealth, SensorState

__all__ = ["Recording", "ReplaySensor", "read_recording"]

CHUNK_S = 0.05
MAX_BEHIND_S = 1.0
"""Played this much too late (the machine slept), the rest is played later instead of in a rush."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a recording: samples `low` to `high`, which are all known at `due_ns` after its start."""

    low: int
    high: int
    due_ns: int


class ReplaySensor:
    """Plays `files` one after the other, again and again if `loop`, on the given clock.

    Each chunk holds about 50 ms and is given when its last sample has "happened". `speed` plays faster or
    slower as a tape does: a quicker movement, a higher tone. `playing` is (file, label of its makers), the
    label "" where there is none. All files are read before the first is played: ConfigurationError then.
    """

    def __init__(
        self,
        name: str,
        slot: str,
        files: Sequence[Path],
        clock: PacingClock,
        *,
        loop: bool = True,
        speed: float = 1.0,
        sound_rate_hz: float = SOUND_RATE_HZ,
    ) -> None:
        self.name = name
        self.slot = slot
        self.health = SensorHealth()
        self.playing: tuple[str, str] = ("", "")
        self._files = tuple(files)
        self._clock = clock
        self._loop = loop
        self._speed = speed
        self._sound_rate_hz = sound_rate_hz

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        """See types.Sensor."""
        recordings = [(path.name, self._read(path)) for path in self._files]
        start_ns = self._clock.monotonic_ns()
        try:
            while not stop.is_set():
                for name, recording in recordings:
                    start_ns = yield from self._play(name, recording, start_ns, stop)
                if not self._loop:
                    self._set(SensorState.OFFLINE, "the recording has ended")
                    return
        finally:
            if stop.is_set():
                self._set(SensorState.OFFLINE, "stopped")

    def _read(self, path: Path) -> Recording:
        """The recording as it sounds or moves at this speed, at an unchanged rate if it is sound."""
        recording = read_recording(path, self._sound_rate_hz / self._speed)
        times_ns = np.round(recording.times_ns / self._speed).astype(np.int64)
        return Recording(times_ns, recording.values, recording.rate_hz * self._speed, recording.labels)

    def _play(
        self, name: str, recording: Recording, start_ns: int, stop: threading.Event
    ) -> Generator[Chunk, None, int]:
        """Play one recording from `start_ns`; return when the next one begins."""
        for piece in _pieces(recording):
            if not self._clock.wait_until(start_ns + piece.due_ns, stop):
                return start_ns
            behind_ns = self._clock.monotonic_ns() - start_ns - piece.due_ns
            if behind_ns > MAX_BEHIND_S * NS_PER_S:
                start_ns += behind_ns
            self.playing = (name, recording.label_at(int(recording.times_ns[piece.high - 1])))
            self._set(SensorState.ONLINE, f"playing {name}")
            self.health.samples += piece.high - piece.low
            yield Chunk(
                self.name,
                recording.times_ns[piece.low : piece.high] + start_ns,
                recording.values[piece.low : piece.high],
            )
        return start_ns + recording.duration_ns

    def _set(self, state: SensorState, reason: str) -> None:
        self.health.state, self.health.reason = state, reason


def _pieces(recording: Recording) -> Iterator[_Piece]:
    """Cut where CHUNK_S have passed; a sample is due when it happened."""
    cuts_ns = np.arange(0, recording.duration_ns, round(CHUNK_S * NS_PER_S))
    edges = [*np.searchsorted(recording.times_ns, cuts_ns).tolist(), len(recording.times_ns)]
    for low, high in pairwise(edges):
        if high > low:
            yield _Piece(low, high, int(recording.times_ns[high - 1]))

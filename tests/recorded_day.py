"""A recorded day: real recordings through the windows and the shipped model, minute by minute.

The air of a room (UCI occupancy detection, Candanedo 2016) as it was from 3 to 4 February 2015; beside it,
moved to the same days, another room with its people (Singh 2018), sounds (ESC-10) and a watch (Matey-Sanz
2022). Which sound and which movement comes when is drawn; the watch lies on the table at night, and somebody
pulls the plug of the microphone.
"""

from __future__ import annotations

import csv
import random
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from memory_world import DATA, S

from edge_agent.clock import ManualClock
from edge_agent.memory.notes import note_of
from edge_agent.memory.store import Store
from edge_agent.perception.pipeline import Pipeline
from edge_agent.types import Chunk, Percept
from edge_agent.windows import Windows
from export.datasets import esc10, phone_watch_imu

MODEL = Path(__file__).parent.parent / "models" / "iotlm-7m"
CONFIGURED = ("imu_watch", "audio", "air", "room")
HOP_S = 120.0
FIRST = datetime(2015, 2, 2, 23, 30, tzinfo=UTC)
WATCH_OFF = range(23 * 60, 31 * 60)
"""Minutes after midnight, of any day."""
MICROPHONE_OFF = (range(15 * 60 + 10, 15 * 60 + 43), range(20 * 60 + 5, 20 * 60 + 7))
Float32 = npt.NDArray[np.float32]


class RecordedDay:
    """What the model read and what was measured, minute by minute; nothing of it comes from the memory."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.pipeline = Pipeline(MODEL, configured=CONFIGURED)
        self.percepts: list[tuple[int, Percept]] = []
        """Wall ns of each window's end, and what was perceived."""
        windows = Windows(self.pipeline.manifest.slots, {n: n for n in CONFIGURED}, hop_s=HOP_S)
        offset_ns = clock.wall_ns() - clock.monotonic_ns()
        assert offset_ns % (60 * S) == 0, "a window ends with each minute of the recording"
        for end_ns, chunks in minutes():
            for chunk in chunks:
                windows.push(_moved(chunk, -offset_ns))
            clock.advance((end_ns + S // 5 - clock.wall_ns()) / S)
            for window in windows.ready(clock.monotonic_ns()):
                percept = self.pipeline.perceive(window)
                self.percepts.append((window.end_ns + offset_ns, percept))
                store.observe(note_of(percept, self.pipeline.manifest, CONFIGURED))


def minutes() -> Iterator[tuple[int, list[Chunk]]]:
    """What the sensors give in each minute of the two days, and when it ends; wall ns."""
    if not (DATA / "room_occupancy" / "datatest.txt").exists() or not MODEL.is_dir():
        pytest.skip(f"the recordings or the model are not there ({DATA}, {MODEL})")
    rng = random.Random(20150203)
    sounds, movements = _Drawn(rng, *_sounds()), _Drawn(rng, *_movements())
    people = _people()
    for at_ns, air in _air():
        end_ns = (at_ns + 30 * S) // (60 * S) * 60 * S  # it was written down a second early or late
        clock = datetime.fromtimestamp(end_ns // S, UTC)
        minute = clock.hour * 60 + clock.minute
        chunks = [Chunk("air", np.array([at_ns]), air)]
        while people and people[0][0] < end_ns:
            chunks.append(Chunk("room", np.array([people[0][0]]), people.pop(0)[1]))
        sound, movement = sounds.next(), movements.next()
        if not any(minute in off for off in MICROPHONE_OFF):
            chunks.append(_ending(end_ns, "audio", 16000, sound))
        if minute not in WATCH_OFF and minute + 24 * 60 not in WATCH_OFF:
            chunks.append(_ending(end_ns, "imu_watch", 100, movement))
        yield end_ns, chunks


def _ending(end_ns: int, slot: str, rate_hz: int, values: Float32) -> Chunk:
    """Samples whose last is the last before `end_ns`."""
    times_ns = end_ns - np.arange(len(values), 0, -1, dtype=np.int64) * (S // rate_hz)
    return Chunk(slot, times_ns, values)


def _moved(chunk: Chunk, by_ns: int) -> Chunk:
    return Chunk(chunk.sensor, chunk.times_ns + by_ns, chunk.values)


def _utc_ns(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()) * S


def _air() -> Iterator[tuple[int, Float32]]:
    with (DATA / "room_occupancy" / "datatest.txt").open(newline="") as file:
        for row in list(csv.reader(file))[1:]:
            if (at_ns := _utc_ns(row[1])) >= FIRST.timestamp() * S:
                yield at_ns, np.array([[float(value) for value in row[2:6]]], np.float32)


def _people() -> list[tuple[int, Float32]]:
    with (DATA / "room_people_count" / "data.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    begins_ns = _utc_ns(" ".join(rows[0][:2]).replace("/", "-"))
    shift_ns = int(FIRST.timestamp()) * S - begins_ns
    return [
        (
            _utc_ns(" ".join(row[:2]).replace("/", "-")) + shift_ns,
            np.array([[float(value) for value in row[2:18]]], np.float32),
        )
        for row in rows
    ]


def _sounds() -> tuple[Sequence[Float32], Sequence[int]]:
    """The loudest two seconds of clips that the model was not trained on."""
    with tempfile.TemporaryDirectory() as folder:  # of these alone: all of them take a while to read
        chosen = Path(folder) / esc10.INFO.name
        chosen.mkdir()
        for path in (DATA / esc10.INFO.name).glob(f"*__{esc10.SHIPPED_TEST_FOLD}-*.ogg"):
            (chosen / path.name).symlink_to(path)
        clips = esc10.load(Path(folder))
    return [_loudest(clip.samples) for clip in clips], [clip.label for clip in clips]


def _loudest(samples: Float32) -> Float32:
    starts = range(0, len(samples) - 32_000 + 1, 8000)
    best = max(starts, key=lambda start: float(np.square(samples[start : start + 32_000]).sum()))
    return samples[best : best + 32_000, None]


def _movements() -> tuple[Sequence[Float32], Sequence[int]]:
    executions = [e for e in phone_watch_imu.load(DATA) if e.subject in {"s12", "s16"}]
    found = phone_watch_imu.windows(executions)
    return found.x[:, 1], found.label.tolist()


class _Drawn:
    """A class holds for some minutes, each with another recording of it."""

    def __init__(self, rng: random.Random, values: Sequence[Float32], labels: Sequence[int]) -> None:
        self._rng = rng
        self._of = {
            label: [v for v, la in zip(values, labels, strict=True) if la == label] for label in labels
        }
        self._left, self._label = 0, labels[0]

    def next(self) -> Float32:
        if self._left <= 0:
            self._left, self._label = self._rng.randrange(1, 25), self._rng.choice(sorted(self._of))
        self._left -= 1
        return self._rng.choice(self._of[self._label])

"""Takes the chunks of every sensor and writes them to a file. A stage: it starts no thread.

Sensors never wait for the disk: `take` puts a chunk into a bounded mailbox, and where that is full the oldest
one in it is dropped and counted, in the file too. A disk that is full or gone ends the recording and nothing
else: `error` says so, and what comes later is let go and counted.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge_agent.clock import NS_PER_S
from edge_agent.mailbox import Mailbox
from edge_agent.record.encoding import Arrival, RecordingError, Source
from edge_agent.record.mcap_file import End, Header, RecordingWriter
from edge_agent.types import Chunk, Clock

CHUNKS_WAITING = 1024
"""A card that is erasing its blocks may take nothing for seconds."""
FLUSH_S = 0.5
"""So much is lost at most when the power fails, and the time of one write more."""
_POLL_S = 0.25
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a recording is. `chunks` are in the file and `dropped` never will be, by Chunk.sensor."""

    duration_s: float
    size_bytes: int
    chunks: Mapping[str, int]
    dropped: Mapping[str, int]


def create(path: Path) -> BinaryIO:
    """A new file for a recording. Raises RecordingError where there is one already or there can be none."""
    if path.is_file():
        raise RecordingError(f"{path} exists already", hint="name another file, or remove this one first")
    try:
        return path.open("wb", buffering=0)
    except OSError as error:
        raise RecordingError(f"cannot write {path}: {error.strerror}", hint="name another file") from error


class Recorder:
    """Records on `clock` into the open unbuffered file `raw`, which it owns.

    `describe` is asked once for each Chunk.sensor, with its first chunk. `take` is for any thread, `run` for
    one.
    """

    name = "recorder"
    problem = ""
    """Always: a full disk is no reason to start the agent anew."""

    def __init__(
        self,
        raw: BinaryIO,
        header: Header,
        describe: Callable[[Chunk], Source],
        clock: Clock,
        *,
        limit: int = CHUNKS_WAITING,
    ) -> None:
        self.error = ""
        """Why the recording ended by itself; empty while it goes on."""
        self._raw = raw
        self._header = header
        self._describe = describe
        self._clock = clock
        self._inbox: Mailbox[Arrival] = Mailbox(limit)
        self._lock = threading.Lock()
        self._given: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._pending: Counter[str] = Counter()
        """What is in the MCAP chunk that is not in the file yet: all of it is lost if the disk refuses it."""
        self._written: Counter[str] = Counter()
        self._size_bytes = 0
        self._last_ns = header.start_ns

    def take(self, chunk: Chunk) -> None:
        """A chunk that came in now. Never waits for the disk."""
        with self._lock:  # held for no more than this: the file has them in the order of their times
            if self.error:
                self._dropped[chunk.sensor] += 1
                return
            arrival = Arrival(
                chunk, self._clock.monotonic_ns(), self._clock.wall_ns(), self._given[chunk.sensor]
            )
            self._given[chunk.sensor] += 1
            if (oldest := self._inbox.put(arrival)) is not None:
                self._dropped[oldest.chunk.sensor] += 1

    @property
    def progress(self) -> Progress:
        """How far it is, from any thread."""
        with self._lock:
            now_ns = self._last_ns if self.error else self._clock.monotonic_ns()
            seconds = (now_ns - self._header.start_ns) / NS_PER_S
            return Progress(seconds, self._size_bytes, Counter(self._written), Counter(self._dropped))

    def run(self, stop: threading.Event) -> None:
        """Until `stop`; then what is still waiting is written, and the end."""
        try:
            with RecordingWriter(self._raw, self._header) as file:
                self._record(file, stop)
        except OSError as error:
            self._give_up(error)
        stop.wait()  # the thread of an agent that goes on

    def _record(self, file: RecordingWriter, stop: threading.Event) -> None:
        flushed_ns = self._clock.monotonic_ns()
        while not stop.is_set():
            if (arrival := self._inbox.take(_POLL_S)) is not None:
                self._write(file, arrival)
            now_ns = self._clock.monotonic_ns()
            if now_ns - flushed_ns >= FLUSH_S * NS_PER_S:
                flushed_ns = now_ns
                file.flush()
                self._landed(file)
        for arrival in self._inbox.take_all():
            self._write(file, arrival)
        file.finish(End(self._clock.monotonic_ns(), dict(self._given)))
        self._landed(file)

    def _write(self, file: RecordingWriter, arrival: Arrival) -> None:
        sensor = arrival.chunk.sensor
        if not file.knows(sensor):
            file.announce(self._describe(arrival.chunk))
            self._landed(file)
        try:
            file.add(arrival)
        except ValueError as error:
            _log.warning("a chunk of %s is not recorded: %s", sensor, error)
            with self._lock:
                self._dropped[sensor] += 1
        else:
            with self._lock:
                self._pending[sensor] += 1
                self._last_ns = arrival.arrival_ns
            self._landed(file)

    def _landed(self, file: RecordingWriter) -> None:
        """A file that has grown has everything up to here: it grows by whole MCAP chunks."""
        with self._lock:
            if file.size_bytes > self._size_bytes:
                self._size_bytes = file.size_bytes
                self._written.update(self._pending)
                self._pending.clear()

    def _give_up(self, error: OSError) -> None:
        with self._lock:
            self.error = f"the recording has ended: {error.strerror or error}"
            self._dropped.update(self._pending)
            self._pending.clear()
            self._dropped.update(arrival.chunk.sensor for arrival in self._inbox.take_all())
        _log.error("%s", self.error)

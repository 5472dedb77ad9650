"""A recording beside an agent that perceives: `edge-agent run --record FILE`. A stage: it starts no thread.

How it goes is published on `edge/<node>/recording`, retained: when it changes, and with every health report.
The schema is `schemas/recording.schema.json`.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Literal

from edge_agent.assembly import Parts, assemble, make_sensors
from edge_agent.clock import NS_PER_S, PacingClock
from edge_agent.config import Config
from edge_agent.delivery import payloads
from edge_agent.delivery.message import Message
from edge_agent.manifest import Manifest
from edge_agent.record.recorder import Recorder, create
from edge_agent.record.session import Tapped, describer, header
from edge_agent.types import Clock, Sensor


class Recording:
    """A recorder in an agent, which says on `topic` every `interval_s` how it is. `name` is of its file."""

    name = "recorder"

    def __init__(
        self, recorder: Recorder, file_name: str, topic: str, interval_s: float, clock: Clock
    ) -> None:
        self._recorder = recorder
        self._file_name = file_name
        self._topic = topic
        self._interval_ns = interval_s * NS_PER_S
        self._clock = clock
        self._stopped = False
        self._said = ""
        self._said_ns = 0

    def run(self, stop: threading.Event) -> None:
        """Record until `stop`; a disk that is full ends the recording, but not this."""
        self._recorder.run(stop)
        self._stopped = True

    @property
    def state(self) -> Literal["recording", "stopped", "failed"]:
        """Whether it goes on, and if not whether it ended in order."""
        if self._recorder.error:
            return "failed"
        return "stopped" if self._stopped else "recording"

    def due(self) -> list[Message]:
        """What is to be published now, perhaps nothing."""
        now_ns, state = self._clock.monotonic_ns(), self.state
        if state == self._said and now_ns - self._said_ns < self._interval_ns:
            return []
        self._said, self._said_ns = state, now_ns
        return [Message(self._topic, payloads.encode(self._body(state)), retain=True)]

    def _body(self, state: str) -> payloads.Json:
        progress = self._recorder.progress
        return {
            "state": state,
            "reason": self._recorder.error,
            "file": self._file_name,
            "duration_s": payloads.finite(progress.duration_s, 1),
            "size_bytes": progress.size_bytes,
            "chunks": dict(progress.chunks),
            "dropped_chunks": dict(progress.dropped),
            "time_utc": payloads.utc(self._clock.wall_ns()),
        }


def assemble_recorded(config: Config, clock: PacingClock, path: Path) -> tuple[Parts, Recording]:
    """The parts of an agent whose sensors are recorded into the new file `path`, and what records them.

    Raises what `assemble` raises, and then RecordingError where there can be no such file.
    """
    made: list[Recorder] = []

    def make(settings: Config, manifest: Manifest, clock: PacingClock) -> list[Sensor]:
        sensors = make_sensors(settings, manifest, clock)
        describe = describer(settings, manifest, sensors)
        made.append(Recorder(create(path), header(settings, clock), describe, clock))
        return [Tapped(sensor, made[0].take) for sensor in sensors]

    parts = assemble(config, clock, make)
    interval_s = config.publish.health_interval_s
    return parts, Recording(made[0], path.name, parts.topics.recording, interval_s, clock)

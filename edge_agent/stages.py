"""What the agent's threads do; no stage starts a thread, and none knows of another's.

Each has a `run(stop)` for its thread and says in `problem` when it has stopped moving for no good reason.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np

from edge_agent.assembly import Parts, healths_of
from edge_agent.clock import NS_PER_S
from edge_agent.delivery import payloads
from edge_agent.delivery.ids import new_id
from edge_agent.delivery.message import Kind, Message, Publish
from edge_agent.delivery.payloads import Flow
from edge_agent.errors import ConfigurationError
from edge_agent.events import Change, Holds, signature
from edge_agent.flow import FlowMeter, flow_of
from edge_agent.mailbox import Mailbox
from edge_agent.memory.keeper import Keeper
from edge_agent.memory.notes import Event
from edge_agent.muting import Either
from edge_agent.perception import facts
from edge_agent.perception.taught import question_of
from edge_agent.types import Chunk, Clock, Conditioning, Percept, Sensor, SensorState, Window
from edge_agent.vitals import Latencies
from edge_agent.wording import Job

PIPELINE = "main"
_CHUNKS_WAITING = 512
_POLL_S = 0.25
_RESTART_S = 2.0
_SILENT_S = 30.0
"""An online sensor that gives nothing for so long hangs in its driver."""
_STUCK_S = 5.0
_MAX_FAILURES = 10
_log = logging.getLogger(__name__)


class Stage(Protocol):
    """What the runtime needs to know of a stage."""

    name: str

    @property
    def problem(self) -> str:
        """Why the watchdog must not be fed; empty when all is well."""
        ...

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`."""
        ...


class Acquisition:
    """One sensor: takes its chunks and puts them where inference fetches them."""

    def __init__(self, sensor: Sensor, clock: Clock, failed: Callable[[ConfigurationError], None]) -> None:
        self.name = f"sensor {sensor.name}"
        self.chunks: Mailbox[Chunk] = Mailbox(_CHUNKS_WAITING)
        self.healths = healths_of(sensor)
        self.simulated: dict[str, bool] = {}
        self.tap: Callable[[Chunk], None] | None = None
        """Sees every chunk as well; must not wait."""
        self.finished = False
        self._silent = self._wanted_silent = False
        self._lock = threading.Lock()
        self._turn = threading.Event()
        self._sensor = sensor
        self._clock = clock
        self._failed = failed
        self._moved_ns = clock.monotonic_ns()

    def run(self, stop: threading.Event) -> None:
        """Until `stop` or the end of a recording. A fault in a driver is logged and tried again."""
        while not (self.finished or stop.is_set()):
            turn = self._begin(stop)
            if self._wanted_silent:
                self._silent = True
                self._say(SensorState.MUTED, "muted")
                turn.wait()
            else:
                self._silent = False
                self.finished = self._acquire(turn) or self.finished
        self.finished = True

    def _begin(self, stop: threading.Event) -> Either:
        """What ends a turn, in which the device is open or stays closed: `stop`, or the other is wanted."""
        with self._lock:
            self._turn = Either(stop)
            self._moved_ns = self._clock.monotonic_ns()
            return self._turn

    def mute(self, *, on: bool) -> None:
        """Close the device soon, or open it again; `muted` tells when. Safe from any thread."""
        with self._lock:
            if on != self._wanted_silent:
                self._wanted_silent = on
                self._turn.set()

    @property
    def muted(self) -> bool:
        """Whether the device is closed because it was muted."""
        return self._wanted_silent and (self._silent or self.finished)

    def _acquire(self, turn: Either) -> bool:
        """Take what the sensor gives until `turn` is over; whether nothing more will come."""
        try:
            for chunk in self._sensor.chunks(turn):
                if not self._wanted_silent:
                    self._take(chunk)
        except ConfigurationError as error:
            self._say(SensorState.OFFLINE, str(error))
            self._failed(error)
            return True
        except Exception as error:  # noqa: BLE001  # whatever a driver does, the others go on
            _log.exception("%s failed", self.name)
            self._say(SensorState.OFFLINE, f"{type(error).__name__}: {error}")
            self._sensor.health.errors += 1
            turn.wait(_RESTART_S)
            return False
        return not turn.is_set()

    def _take(self, chunk: Chunk) -> None:
        self._moved_ns = self._clock.monotonic_ns()
        self.simulated[chunk.sensor] = chunk.simulated
        if (oldest := self.chunks.put(chunk)) is not None and oldest.sensor in self.healths:
            self.healths[oldest.sensor].dropped_chunks += 1
        if self.tap is not None:
            self.tap(chunk)

    def _say(self, state: SensorState, reason: str) -> None:
        for health in self.healths.values():
            health.state, health.reason = state, reason

    @property
    def problem(self) -> str:
        """A sensor that is not online says so itself, and is at rest."""
        online = any(h.state is SensorState.ONLINE for h in self.healths.values())
        silent_s = (self._clock.monotonic_ns() - self._moved_ns) / NS_PER_S
        if online and not self.finished and silent_s > _SILENT_S:
            return f"{self.name} is online and has given nothing for {silent_s:.0f} s"
        return ""


class Inference:
    """The fast path: chunks to windows to percepts to the broker, and events to the slow path."""

    name = "inference"

    def __init__(
        self,
        parts: Parts,
        sources: list[Acquisition],
        publish: Publish,
        jobs: Mailbox[Job],
        keeper: Keeper | None = None,
    ) -> None:
        self.latest: Percept | None = None
        self.meters = {n: FlowMeter() for n, slot in parts.config.sources.items() if not slot}
        """Chunk.sensor -> what flows, for those that fill no slot."""
        self.newest: dict[str, Chunk] = {}
        """Chunk.sensor -> what it gave last."""
        self.counts: Counter[str] = Counter()
        self.latencies = {"perceive": Latencies(), "percept_age": Latencies()}
        self._flows: Mapping[str, Flow] = {}
        self._perceived = parts.config.perceived
        self._parts = parts
        self._sources = sources
        self._publish = publish
        self._jobs = jobs
        self._keeper = keeper
        self._clock = parts.clock
        self._questions = {head.name: head.question for head in parts.manifest.tasks}
        self._holds = Holds(parts.config.publish.event_hold_s)
        self._said: tuple[object, ...] | None = None
        self._said_ns = 0
        self._worded_ns: int | None = None
        self._moved_ns = self._clock.monotonic_ns()
        self._failures = 0

    def run(self, stop: threading.Event) -> None:
        """Until `stop`: wait for the next window, then for nothing."""
        while not stop.is_set():
            self._moved_ns = now_ns = self._clock.monotonic_ns()
            for source in self._sources:
                for chunk in source.chunks.take_all():
                    self._push(chunk)
            for window in self._parts.windows.ready(now_ns):
                self._window(window)
            limit_ns = now_ns + round(_POLL_S * NS_PER_S)
            self._clock.wait_until(min(self._parts.windows.next_ready_ns or limit_ns, limit_ns), stop)

    def _push(self, chunk: Chunk) -> None:
        if len(chunk.times_ns):
            self.newest[chunk.sensor] = chunk
        if chunk.sensor in self._perceived:
            self._parts.windows.push(chunk)
        elif chunk.sensor in self.meters:
            self.meters[chunk.sensor].add(chunk)
        else:
            self.counts["unknown_sensor"] += 1

    def _window(self, window: Window) -> None:
        """A window that cannot be perceived is counted; the next one is tried all the same."""
        begun_ns = self._clock.monotonic_ns()
        try:
            percept = self._perceive(window)
        except Exception:  # noqa: BLE001  # a fault in a numerical library: one lost percept is better than a dead agent
            _log.exception("window %d could not be perceived", window.sequence)
            self.counts["perceive"] += 1
            self._failures += 1
            return
        self._failures = 0
        now_ns = self._clock.monotonic_ns()
        self.latencies["perceive"].add((now_ns - begun_ns) * 1e-6)
        self.latencies["percept_age"].add((now_ns - window.end_ns) * 1e-6)
        self.latest = percept
        if self._keeper is not None:
            self._keeper.remember(percept)
        self._measure()
        self._tell(percept)

    def _perceive(self, window: Window) -> Percept:
        if window.slots:
            percept = self._parts.pipeline.perceive(window)
            earlier = facts.before(self._parts.manifest, self._holds.before)
            return replace(percept, facts={**percept.facts, **earlier})
        spec = self._parts.manifest.adapter
        nothing = Conditioning(
            np.zeros((spec.n_soft, spec.n_embd), np.float32),
            np.zeros((spec.n_layer - 1, spec.n_embd), np.float32),
        )
        missing = tuple(slot.name for slot in self._parts.manifest.slots)
        return Percept(window.sequence, window.end_ns, {}, (), missing, nothing)

    def _measure(self) -> None:
        self._flows = {slot: flow_of(stats) for slot, stats in self._parts.windows.stats().items()}
        self.counts["skipped_windows"] = self._parts.windows.skipped_windows

    def flow(self, sensor: str) -> Flow:
        """What we measured of a sensor's samples, whether they are perceived or not."""
        if (meter := self.meters.get(sensor)) is not None:
            return meter.flow(self._clock.monotonic_ns())
        return self._flows.get(self._perceived.get(sensor, ""), Flow())

    def _tell(self, percept: Percept) -> None:
        """Publish on change and at least at every interval, then the events."""
        interval_ns = round(self._parts.config.publish.percept_interval_s * NS_PER_S)
        said = signature(percept)
        # Half a hop early counts as in time: else a beat between hop and interval skips every other window.
        slack_ns = round(self._parts.config.windows.hop_s * NS_PER_S / 2)
        if said != self._said or percept.end_ns - self._said_ns >= interval_ns - slack_ns:
            self._said, self._said_ns = said, percept.end_ns
            self.counts["percepts"] += 1
            body = payloads.percept(self._new_id(), percept, self._parts.model, self._clock)
            topic = self._parts.topics.percept(PIPELINE)
            self._publish(Message(topic, payloads.encode(body), source=f"percept/{PIPELINE}"))
        for change in self._holds.update(percept):
            self._event(change, percept)

    def _event(self, change: Change, percept: Percept) -> None:
        identity = self._new_id()
        self.counts["events"] += 1
        body = payloads.event(identity, change.found, change.previous, percept, self._clock)
        topic = self._parts.topics.event(identity)
        self._publish(Message(topic, payloads.encode(body), kind=Kind.EVENT, source="event"))
        if self._keeper is not None:
            found = change.found
            self._keeper.remember_event(
                Event(identity, percept.end_ns, found.task, found.label, change.previous, found.probability)
            )
        interval_s = self._parts.config.publish.sentence_interval_s
        now_ns = self._clock.monotonic_ns()
        due = self._worded_ns is None or now_ns - self._worded_ns >= interval_s * NS_PER_S
        question = question_of(change.found.task, self._questions.get(change.found.task, ""))
        # Whoever asks comes first: with questions waiting nothing is worded unasked.
        if interval_s and due and not len(self._jobs):
            self._worded_ns = now_ns
            self._jobs.offer(Job(identity, question, None, percept))

    def _new_id(self) -> str:
        return new_id(self._clock.wall_ns())

    @property
    def problem(self) -> str:
        """Why the watchdog must not be fed; empty when all is well."""
        still_s = (self._clock.monotonic_ns() - self._moved_ns) / NS_PER_S
        if still_s > _STUCK_S:
            return f"inference has not moved for {still_s:.0f} s"
        if self._failures >= _MAX_FAILURES:
            return f"the last {self._failures} windows could not be perceived"
        return ""

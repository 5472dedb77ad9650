"""The agent at work: owns every thread, process, queue and signal, and ends them all.

Threads: one for each sensor, one for inference, one for wording, one for the broker, one each for Sparkplug
and for a recording if they are wanted; the caller's thread watches them, reports, and feeds systemd's
watchdog. The language model is a process of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from edge_agent.announcing import discovery_of
from edge_agent.assembly import Parts, is_simulated, outbox_of
from edge_agent.delivery import payloads
from edge_agent.delivery.delivery import Delivery, DeliveryStatus
from edge_agent.delivery.message import Incoming, Message, Publish
from edge_agent.delivery.publisher import Publisher
from edge_agent.edge_node import edge_node_of
from edge_agent.errors import ConfigurationError, EdgeAgentError
from edge_agent.memory.keeper import Keeper
from edge_agent.muting import FILE, Muting
from edge_agent.orders import Orders
from edge_agent.reporter import Reporter
from edge_agent.stages import Acquisition, Inference, Stage
from edge_agent.systemd import Notifier
from edge_agent.threads import Worker, begin, join
from edge_agent.voicing import voice_of
from edge_agent.wording import Wording

TICK_S = 0.25
"""How soon a change of a sensor's state is published."""
STOP_S = 1.0
"""For sensors, inference and wording to end; then the recording, and then the broker's farewell."""
LAST_WRITE_S = 6.0
"""For a recording to bring what is waiting to a slow disk; the service manager waits for ten."""
FAREWELL_S = 0.9
_DELIVERY_STUCK_S = 30.0
_log = logging.getLogger(__name__)


class ShutdownError(EdgeAgentError, RuntimeError):
    """A thread did not end in time. The process ends all the same, with an exit code that says so."""


class Beside(Protocol):
    """What keeps what the sensors give while the agent perceives it (record/beside.py); ends after them."""

    name: str

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`, whatever happens to the disk."""
        ...

    def due(self) -> list[Message]:
        """What it has to say now, perhaps nothing."""
        ...


class Upkeep(Protocol):
    """What keeps an agent's configuration (reloading.py)."""

    def reload(self) -> None:
        """Read it again; raises EdgeAgentError where it is wrong."""
        ...

    def over(self, status: DeliveryStatus) -> bool:
        """Whether the agent shall end, for another one to begin."""
        ...

    def as_json(self) -> payloads.Json:
        """Whether it is in use as it was read."""
        ...


class Agent:
    """Runs the parts of one configuration until it is told to stop, perhaps before it began."""

    def __init__(
        self,
        parts: Parts,
        notifier: Notifier | None = None,
        stop: threading.Event | None = None,
        recording: Beside | None = None,
        upkeep: Upkeep | None = None,
    ) -> None:
        self._parts = parts
        self._upkeep = upkeep
        self._restarts = False
        self._notifier = notifier or Notifier(None)
        self._recording = recording
        self._fatal: ConfigurationError | None = None
        self._stop = stop or threading.Event()
        self._sensing = [Acquisition(s, parts.clock, self._give_up) for s in parts.sensors]
        self.muting = self._make_muting()
        self.wording = Wording(parts, lambda: self.inference.latest, self._publish)
        keeper: Keeper | None = None
        if parts.memory is not None:
            keeper = Keeper(parts.memory, parts.manifest, set(parts.config.perceived.values()))
        self.inference = Inference(parts, self._sensing, self._publish, self.wording.jobs, keeper)
        self._stages: list[Stage] = [*self._sensing, self.inference, self.wording]
        self._discovery = discovery_of(parts)
        if keeper is not None:
            self._stages.append(keeper)
        self._deliveries = self._make_deliveries()
        self.publisher = next(iter(self._deliveries.values()))
        self.voice = voice_of(parts, self._sensing, self.wording, self._publish, self._give_up)
        if self.voice is not None:
            self._stages += self.voice.stages
        beside = self._deliveries.get("sparkplug") if len(self._deliveries) > 1 else None
        self.reporter = Reporter(
            parts, self._sensing, self.inference, self.wording, self.publisher,
            upkeep.as_json if upkeep is not None else lambda: {"reverted": False, "reason": ""}, beside,
        )  # fmt: skip
        self.orders = Orders(
            parts, self.wording.commands, self.wording.take, self.muting, self.reporter,
            upkeep.reload if upkeep is not None else None, self.voice,
        )  # fmt: skip
        self._delivery_steps = dict.fromkeys(self._deliveries, (0, time.monotonic()))

    def _make_muting(self) -> Muting:
        config = self._parts.config
        return Muting(
            {s.name: source for s, source in zip(self._parts.sensors, self._sensing, strict=True)},
            self._parts.clock,
            config.node.state_directory / FILE,
            streams={stream: sensor.name for sensor in config.sensors for stream in sensor.sources},
            muted=[sensor.name for sensor in config.sensors if sensor.muted],
        )

    def mute(self, name: str, *, on: bool, for_s: float | None = None) -> None:
        """Close the device of a sensor, or open it again: see `Muting.mute`. Safe from any thread."""
        self.muting.mute(name, on=on, for_s=for_s)

    def _make_deliveries(self) -> dict[str, Delivery]:
        """By the names of their threads; the first is the one whose state the agent reports."""
        edge_node = edge_node_of(self._parts)
        if edge_node is None:
            return {"delivery": self._make_publisher(lambda _: None)}
        if not self._parts.config.sparkplug.beside_json:
            return {"sparkplug": edge_node}
        return {"delivery": self._make_publisher(edge_node.publish), "sparkplug": edge_node}

    def _make_publisher(self, beside: Publish) -> Publisher:
        parts = self._parts
        simulated = any(is_simulated(parts.config).values())
        topic, home = parts.topics.state, parts.config.homeassistant
        birth = payloads.state(online=True, simulated=simulated, clock=parts.clock)
        return Publisher(
            parts.config.mqtt,
            client_id=f"edge-agent-{parts.config.node.name}",
            birth=Message(topic, payloads.encode(birth), retain=True),
            will=Message(
                topic, payloads.encode(payloads.state(online=False, simulated=simulated)), retain=True
            ),
            command_topics=[
                *([parts.topics.commands] if parts.config.mqtt.commands else []),
                *([home.status_topic] if home.enabled else []),
            ],
            on_command=self._received,
            outbox=outbox_of(parts.config, parts.clock),
            beside=beside,
        )

    def _received(self, incoming: Incoming) -> None:
        if incoming.topic == self._parts.config.homeassistant.status_topic:
            self._discovery.on_status(incoming)
        else:
            for message in self.orders.on_command(incoming):
                self._publish(message)

    def _publish(self, message: Message) -> None:
        self.publisher.publish(message)

    def _give_up(self, error: ConfigurationError) -> None:
        """A sensor found that no retry will help: the agent ends, and says why."""
        self._fatal = error

    def stop(self) -> None:
        """End `run`; safe from any thread and from a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Work until `stop`.

        Raises ConfigurationError when a sensor says that its settings cannot work, ShutdownError when a
        thread does not end in time.
        """
        workers: list[Worker] = []
        recording: list[Worker] = []
        deliveries: list[Worker] = []
        self._parts.language.start()
        if self.voice is not None:
            self.voice.start()
        try:
            for name, delivery in self._deliveries.items():
                delivery.open()
                deliveries.append(begin(name, delivery.run))
            if self._recording is not None:
                recording.append(begin(self._recording.name, self._recording.run))
            workers += [begin(stage.name, stage.run) for stage in self._stages]
            status = f"{len(self._parts.config.sources)} sensors, model {self._parts.model.name}"
            _log.info("running: %s", status)
            self._notifier.ready(status)
            self._watch([*workers, *recording, *deliveries])
        finally:
            self._end(workers, recording, deliveries)
        if self._fatal is not None:
            raise self._fatal

    def _watch(self, workers: Sequence[Worker]) -> None:
        """Report and feed the watchdog, until told to stop."""
        interval_s = self._notifier.watchdog_interval_s
        fed_s = complained_s = -float("inf")
        while not (self._stop.wait(TICK_S) or self._fatal or self._restarting()):
            self.muting.tick()
            self.reporter.report()
            self._report_recording()
            for message in self.orders.due():
                self._publish(message)
            for message in self._discovery.due(connected=self.publisher.status.connected):
                self._publish(message)
            now_s = time.monotonic()
            if problem := self.problem(workers):
                if now_s - complained_s > _DELIVERY_STUCK_S:
                    complained_s = now_s
                    _log.error("%s", problem)
                    self._notifier.status(problem)
            elif interval_s is not None and now_s - fed_s >= interval_s - TICK_S:
                fed_s = now_s
                self._notifier.alive()

    def _restarting(self) -> bool:
        self._restarts = self._upkeep is not None and self._upkeep.over(self.publisher.status)
        return self._restarts

    def _report_recording(self) -> None:
        for message in self._recording.due() if self._recording is not None else ():
            self._publish(message)

    def problem(self, workers: Sequence[Worker]) -> str:
        """Why the watchdog is not fed; empty while every stage moves or rests for a good reason."""
        for worker in workers:
            if not worker.thread.is_alive() and not self._may_end(worker.thread.name):
                return f"the thread {worker.thread.name} ended"
        return next((p for stage in self._stages if (p := stage.problem)), "") or self._delivery_problem()

    def _may_end(self, name: str) -> bool:
        """A recording that does not loop comes to its end."""
        return any(source.name == name and source.finished for source in self._sensing)

    def _delivery_problem(self) -> str:
        now_s = time.monotonic()
        for name, delivery in self._deliveries.items():
            steps, since_s = self._delivery_steps[name]
            if delivery.status.steps != steps:
                self._delivery_steps[name] = (delivery.status.steps, now_s)
            elif now_s - since_s > _DELIVERY_STUCK_S:
                return f"{name} has not moved for {now_s - since_s:.0f} s"
        return ""

    def _end(
        self, workers: Sequence[Worker], recording: Sequence[Worker], deliveries: Sequence[Worker]
    ) -> None:
        """Signal all, then join all; the broker last, so that it hears what the others said at the end.

        The recording after the sensors, so that it has everything that they gave.
        """
        _log.info("stopping")
        if self._restarts:
            self._notifier.reloading()
        else:
            self._notifier.stopping()
        for worker in workers:
            worker.stop.set()
        self.wording.jobs.wake()
        self._parts.language.stop()
        if self.voice is not None:
            self.voice.stop()
        alive = join(workers, STOP_S)
        for worker in recording:
            worker.stop.set()
        alive += join(recording, LAST_WRITE_S)
        if self._parts.memory is not None and not alive:
            self._parts.memory.close()
        self.reporter.sensors(everything=False)
        self._report_recording()
        for worker in deliveries:
            worker.stop.set()
        for delivery in self._deliveries.values():
            delivery.wake()
        alive += join(deliveries, FAREWELL_S)
        for delivery in self._deliveries.values():
            delivery.close()
        if alive:
            raise ShutdownError(f"did not end in time: {', '.join(alive)}")

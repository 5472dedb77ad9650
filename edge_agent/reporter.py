"""What the agent says of itself: info, sensor states, health. Called by the runtime's own thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np

from edge_agent import __version__
from edge_agent.assembly import Parts, is_simulated
from edge_agent.clock import NS_PER_S
from edge_agent.delivery import payloads
from edge_agent.delivery.delivery import Delivery
from edge_agent.delivery.ids import new_id
from edge_agent.delivery.message import Message
from edge_agent.delivery.payloads import Json
from edge_agent.inventory import MOST_VALUES, memory_of, newest_values, versions
from edge_agent.sensors.channels import channels_of
from edge_agent.stages import PIPELINE, Acquisition, Inference
from edge_agent.types import SensorHealth, SensorState
from edge_agent.vitals import usage
from edge_agent.wording import Wording


class Reporter:
    """Publishes sensor states when they change, and those with the health at every interval."""

    def __init__(
        self,
        parts: Parts,
        acquisitions: list[Acquisition],
        inference: Inference,
        wording: Wording,
        publisher: Delivery,
        configured: Callable[[], Json],
        edge_node: Delivery | None = None,
    ) -> None:
        """`configured` says which settings are in use, and why where they are not those of the file."""
        self._configured = configured
        self._parts = parts
        self._acquisitions = acquisitions
        self._inference = inference
        self._wording = wording
        self._publisher = publisher
        self._edge_node = edge_node
        self._invented = is_simulated(parts.config)
        self._started_ns = self._measured_ns = parts.clock.monotonic_ns()
        self._reported_ns: int | None = None
        self._cpu_s = 0.0
        self._said: dict[str, tuple[object, ...]] = {}
        self._info_said: object = None

    def report(self) -> None:
        """Publish what is due."""
        now_ns = self._parts.clock.monotonic_ns()
        interval_ns = self._parts.config.publish.health_interval_s * NS_PER_S
        due = self._reported_ns is None or now_ns - self._reported_ns >= interval_ns
        self.sensors(everything=due)
        if self._info_said != (says := (self.simulated, self._configured())):
            self._info_said = says
            self._say(self._parts.topics.info, self._info(), retain=True)
        if due:
            self._reported_ns = now_ns
            body = payloads.encode(self._health(now_ns))
            self._publisher.publish(Message(self._parts.topics.health, body, source="health"))
            self._queue()

    @property
    def simulated(self) -> bool:
        """Whether anything that is perceived may be invented."""
        return any(self._is_simulated(name) for name in self._invented)

    def _is_simulated(self, sensor: str) -> bool:
        seen = (source.simulated.get(sensor, False) for source in self._acquisitions)
        return self._invented.get(sensor, False) or any(seen)

    def sensors(self, *, everything: bool) -> None:
        """Each sensor whose state changed, or all of them."""
        for source in self._acquisitions:
            for name, health in source.healths.items():
                says = (health.state, health.reason, self._is_simulated(name))
                if everything or self._said.get(name) != says:
                    self._said[name] = says
                    self._say(self._parts.topics.sensor_state(name), self._sensor(name, health), retain=True)

    def _sensor(self, name: str, health: SensorHealth) -> Json:
        newest, flow = self._newest(name), self._inference.flow(name)
        return payloads.sensor_state(
            name,
            self._parts.config.sources.get(name, ""),
            health,
            flow,
            values=newest if len(newest) <= MOST_VALUES else {},
            missing_channels=flow.missing_channels or [c for c, v in newest.items() if np.isnan(v)],
            simulated=self._is_simulated(name),
            clock=self._parts.clock,
        )

    def status(self) -> Json:
        """All that is published, with versions and the memory; as `report`, for the runtime's own thread."""
        queue = self._books()
        return {
            "info": self._info(),
            "health": self._health(self._parts.clock.monotonic_ns()),
            "sensors": {name: self._sensor(name, health) for name, health in self._healths()},
            **({} if queue is None else {"queue": queue}),
            "memory": memory_of(self._parts),
            "versions": versions(),
        }

    def snapshot(self) -> Json:
        """The newest percept and the newest values of each sensor that is not muted."""
        percept, clock = self._inference.latest, self._parts.clock
        channels = {
            name: [channel.name for channel in have]
            for sensor in self._parts.sensors
            for name, have in channels_of(sensor).items()
        }
        silent = {name for name, health in self._healths() if health.state is SensorState.MUTED}
        newest = newest_values(self._parts, dict(self._inference.newest), channels, silent)
        seen = percept and payloads.percept(new_id(clock.wall_ns()), percept, self._parts.model, clock)
        return {"percept": seen, "sensors": newest}

    def _healths(self) -> Iterator[tuple[str, SensorHealth]]:
        for source in self._acquisitions:
            yield from source.healths.items()

    def _newest(self, name: str) -> dict[str, np.floating]:
        """The newest values of a sensor that fills no slot and knows its channels, by channel."""
        meter = self._inference.meters.get(name)
        channels = next((found[name] for s in self._parts.sensors if name in (found := channels_of(s))), ())
        if meter is None or meter.newest is None or not channels:
            return {}
        return {c.name: value for c, value in zip(channels, meter.newest, strict=True)}

    def _say(self, topic: str, body: Json, *, retain: bool = False) -> None:
        self._publisher.publish(Message(topic, payloads.encode(body), retain))

    def _info(self) -> Json:
        manifest, config = self._parts.manifest, self._parts.config
        return {
            "node": config.node.name,
            "version": __version__,
            "model": self._parts.model.as_json(),
            "pipeline": PIPELINE,
            "tasks": {task.name: list(task.labels) for task in manifest.tasks},
            "numbers": {head.name: list(head.numbers) for head in manifest.numbers},
            "slots": {slot.name: slot.description for slot in manifest.slots},
            "sensors": config.sources,
            "commands": list(config.mqtt.commands),
            "configuration": self._configured(),
            "simulated": self.simulated,
            "time_utc": payloads.utc(self._parts.clock.wall_ns()),
        }

    def _health(self, now_ns: int) -> Json:
        counts, worker = self._inference.counts, self._parts.language
        rss_bytes, cpu_percent = self._cost(now_ns)
        latencies = {**self._inference.latencies, **self._wording.latencies}
        body = {
            "uptime_s": round((now_ns - self._started_ns) / NS_PER_S, 1),
            "rss_bytes": rss_bytes,
            "cpu_percent": cpu_percent,
            "percepts": counts["percepts"],
            "events": counts["events"],
            "windows": self._windows(),
            "mqtt": _delivery(self._publisher),
            "language": {"ready": worker.ready, "reason": worker.reason, **_language(worker.counters)},
            "commands": {
                "answered": self._wording.answered,
                "carried_out": self._wording.commands.carried_out,
                "refused": dict(self._wording.commands.refused),
            },
            "latency_ms": {name: kept.summary() for name, kept in latencies.items()},
            "errors": {name: counts[name] for name in ("perceive", "unknown_sensor", "skipped_windows")},
            "configuration": self._configured(),
            "simulated": self.simulated,
            "time_utc": payloads.utc(self._parts.clock.wall_ns()),
        }
        if self._edge_node is not None:
            body["sparkplug"] = _delivery(self._edge_node)
        return body

    def _queue(self) -> None:
        if (books := self._books()) is not None:
            self._say(self._parts.topics.queue, books, retain=True)

    def _books(self) -> Json | None:
        """The books of the outbox, where there is one."""
        if (outbox := self._publisher.outbox) is None:
            return None
        status = self._publisher.status
        return payloads.queue(
            outbox.ledger(),
            unstored=status.unstored,
            reason=status.storage or outbox.reason,
            clock=self._parts.clock,
        )

    def _windows(self) -> Json:
        return {
            slot: self._inference.flow(name).as_json() for name, slot in self._parts.config.perceived.items()
        }

    def _cost(self, now_ns: int) -> tuple[int, float | None]:
        """(resident bytes, percent of one core since the last report) of the agent and its worker."""
        worker = self._parts.language.pid
        used = usage([os.getpid(), *([] if worker is None else [worker])])
        passed_s = (now_ns - self._measured_ns) / NS_PER_S
        # A worker that was replaced takes its seconds with it; less than nothing is not a figure.
        spent_s = used.cpu_s - self._cpu_s
        percent = 100 * spent_s / passed_s if passed_s > 0 and spent_s >= 0 else None
        self._measured_ns, self._cpu_s = now_ns, used.cpu_s
        return used.rss_bytes, None if percent is None else round(percent, 1)


_COUNTED = ("language_model", "fallback", "refusal", "late", "failed", "objected", "restarts")


def _delivery(delivery: Delivery) -> Json:
    status = delivery.status
    return {
        "connected": status.connected,
        "reason": status.reason,
        "connects": status.connects,
        "queued": delivery.queued,
        "dropped": delivery.dropped,
        "acknowledged": status.acknowledged,
        "refused": status.refused,
        "deferred": status.deferred,
    }


def _language(counters: dict[str, int]) -> Json:
    return {name: int(counters.get(name, 0)) for name in _COUNTED}

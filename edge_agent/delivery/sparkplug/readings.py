"""From the messages of docs/mqtt.md to the metrics of Sparkplug: both say the same, whoever listens.

Everything that can be said is declared at the start, since a birth names every metric that will ever follow
(tck-id-operational-behavior-data-publish-nbirth). Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from edge_agent.config_sparkplug import PERCEPTION
from edge_agent.delivery.sparkplug.values import (
    DataSet,
    DataType,
    Quality,
    Reading,
    Scalar,
    Template,
    Value,
)

REBIRTH = "Node Control/Rebirth"
BD_SEQ = "bdSeq"
Json = Mapping[str, Any]
_B, _D, _I, _S = DataType.BOOLEAN, DataType.DOUBLE, DataType.INT64, DataType.STRING
_HEALTH: tuple[tuple[str, DataType, tuple[str, ...]], ...] = (
    ("Health/Uptime s", _D, ("uptime_s",)),
    ("Health/Memory bytes", _I, ("rss_bytes",)),
    ("Health/Processor percent", _D, ("cpu_percent",)),
    ("Health/Percepts", _I, ("percepts",)),
    ("Health/Events", _I, ("events",)),
    ("Health/Skipped Windows", _I, ("errors", "skipped_windows")),
    ("Health/Failed Windows", _I, ("errors", "perceive")),
    ("Health/Perceive p95 ms", _D, ("latency_ms", "perceive", "p95")),
    ("Health/Percept Age p95 ms", _D, ("latency_ms", "percept_age", "p95")),
    ("Health/Language Model Ready", _B, ("language", "ready")),
    ("Health/Language Model Restarts", _I, ("language", "restarts")),
    ("Health/Simulated", _B, ("simulated",)),
)
STORE = ("Store/Queued", "Store/Dropped", "Store/Delivered", "Store/Expired", "Store/Evicted")
"""What waits for a host, and what became of it."""
_SENSOR: tuple[tuple[str, DataType, tuple[str, ...]], ...] = (
    ("State", _S, ("state",)),
    ("Reason", _S, ("reason",)),
    ("Slot", _S, ("slot",)),
    ("Rate Hz", _D, ("rate_hz",)),
    ("Jitter ms", _D, ("jitter_ms",)),
    ("Offset ms", _D, ("offset_ms",)),
    ("Gaps", _I, ("gaps",)),
    ("Samples", _I, ("samples",)),
    ("Lost", _I, ("lost",)),
    ("Errors", _I, ("errors",)),
    ("Reconnects", _I, ("reconnects",)),
    ("Dropped Chunks", _I, ("dropped_chunks",)),
    ("Clock Offset ms", _D, ("clock_offset_ms",)),
    ("Clock Drift ppm", _D, ("clock_drift_ppm",)),
    ("Clock Error ms", _D, ("clock_error_ms",)),
    ("Simulated", _B, ("simulated",)),
)
EVENT = "Perceived Event"
"""The template of events: what is said of one is never seen beside what was said of another."""
DEFINITION = f"_types_/{EVENT}"
"""The metric that defines it, named as in the examples of the specification."""
_EVENT = (("Label", _S, "label"), ("Previous", _S, "previous"), ("Probability", _D, "probability"))
_ANSWER: tuple[tuple[str, DataType, tuple[str, ...]], ...] = (
    ("Answer/Question", _S, ("question",)),
    ("Answer/Text", _S, ("text",)),
    ("Answer/Source", _S, ("source",)),
    ("Answer/Asked", _B, ("asked",)),
)


@dataclass(frozen=True, slots=True)
class Outline:
    """What one agent can say: its heads, slots and sensors, and what it is (`properties`, name -> text).

    `numbers` is head -> the names of its numbers, units at their end.
    """

    tasks: tuple[str, ...]
    numbers: Mapping[str, tuple[str, ...]]
    slots: tuple[str, ...]
    sensors: tuple[str, ...]
    properties: Mapping[str, str] = field(default_factory=dict)


def declared(outline: Outline, at_ms: int) -> list[Reading]:
    """Every metric as it is at the start: null, but for what the agent is."""
    readings = [Reading("", f"Properties/{name}", _S, text) for name, text in outline.properties.items()]
    readings += _read("", _HEALTH, {})
    readings += [Reading("", name, _I, None) for name in STORE]
    readings.append(Reading("", DEFINITION, DataType.TEMPLATE, _event_of(None, {})))
    readings += _percept({}, outline)
    for task in outline.tasks:
        readings += _event({"task": task}, outline)
    readings += _read(PERCEPTION, _ANSWER, {})
    for sensor in outline.sensors:
        readings += _sensor({"sensor": sensor}, outline)
    return [replace(reading, timestamp_ms=at_ms) for reading in readings]


def readings_of(kind: str, body: Json, outline: Outline) -> list[Reading]:
    """What the message of `kind` (the third level of its topic) says; nothing for what is no metric.

    Raises KeyError, TypeError or ValueError for a body that no agent writes.
    """
    make = _MAKERS.get(kind)
    if make is None or "error" in body:
        return []
    at_ms = milliseconds(body)
    return [replace(reading, timestamp_ms=at_ms) for reading in make(body, outline)]


def milliseconds(body: Json) -> int:
    """When it was true: `time_utc` as milliseconds since 1970 (tck-id-payloads-metric-timestamp-in-UTC)."""
    return round(datetime.fromisoformat(body["time_utc"]).timestamp() * 1000)


def _percept(body: Json, outline: Outline) -> Iterator[Reading]:
    for task in outline.tasks:
        yield from _task(task, body.get("tasks", {}).get(task))
    for head, names in outline.numbers.items():
        found = body.get("numbers", {}).get(head)
        nothing: Sequence[None] = [None] * len(names)
        values, sigmas = (found["values"], found["sigma"]) if found else (nothing, nothing)
        quality = Quality.GOOD if found else Quality.STALE
        for name, value, sigma in zip(names, values, sigmas, strict=True):
            yield Reading(PERCEPTION, f"{head}/{name}", _D, value, quality=quality)
            yield Reading(PERCEPTION, f"{head}/{name} sigma", _D, sigma, quality=quality)
    for slot in outline.slots:
        yield Reading(PERCEPTION, f"Present/{slot}", _B, slot in body["present"] if body else None)
    facts = sorted(body.get("facts", {}).items())
    yield Reading(PERCEPTION, "Facts", DataType.DATA_SET, _table(("Name", "Value"), (_S, _S), facts))
    yield Reading(PERCEPTION, "Simulated", _B, body.get("simulated"))


def _task(name: str, found: Json | None) -> Iterator[Reading]:
    """A task whose sensors are all missing is null and stale; where nothing is known its quality is bad.

    A cell of a table cannot be null (tck-id-payloads-template-dataset-value), so such a row is left out.
    """
    quality = Quality.STALE if found is None else Quality.GOOD if found["known"] else Quality.BAD
    said: Json = found or {}
    for title, datatype, key in (
        ("Label", _S, "label"), ("Probability", _D, "probability"), ("Known", _B, "known"),
        ("Novelty", _D, "novelty"), ("Novel", _B, "novel"),
    ):  # fmt: skip
        yield Reading(PERCEPTION, f"{name}/{title}", datatype, said.get(key), quality=quality)
    tables: dict[str, DataSet | None] = {"Probabilities": None, "Weights": None}
    if found is not None:
        possible = found["possible"]
        rows = [(label, p, label in possible) for label, p in found["probabilities"].items() if p is not None]
        tables["Probabilities"] = _table(("Label", "Probability", "Possible"), (_S, _D, _B), rows)
        weights = [(slot, weight) for slot, weight in found["alpha"].items() if weight is not None]
        tables["Weights"] = _table(("Slot", "Weight"), (_S, _D), weights)
    for title, table in tables.items():
        yield Reading(PERCEPTION, f"{name}/{title}", DataType.DATA_SET, table, quality=quality)


def _table(
    columns: tuple[str, ...], types: tuple[DataType, ...], rows: Sequence[tuple[Scalar, ...]]
) -> DataSet:
    return DataSet(columns, types, tuple(rows))


def _event(body: Json, _outline: Outline) -> Iterator[Reading]:
    task = body["task"]
    yield Reading(PERCEPTION, f"{task}/Event", DataType.TEMPLATE, _event_of(task, body))


def _event_of(task: str | None, body: Json) -> Template:
    """An event of a task; the definition of all of them for none."""
    members = tuple((name, datatype, body.get(key)) for name, datatype, key in _EVENT)
    return Template(None if task is None else EVENT, members, (("Task", _S, task or ""),))


def _answer(body: Json, _outline: Outline) -> Iterator[Reading]:
    yield from _read(PERCEPTION, _ANSWER, body)


def _health(body: Json, _outline: Outline) -> Iterator[Reading]:
    yield from _read("", _HEALTH, body)


def _sensor(body: Json, _outline: Outline) -> Iterator[Reading]:
    yield from _read(body["sensor"], _SENSOR, body)
    for channel, value in body.get("values", {}).items():
        yield Reading(body["sensor"], f"Values/{channel}", _D, value)


def _read(
    device: str, table: tuple[tuple[str, DataType, tuple[str, ...]], ...], body: Json
) -> Iterator[Reading]:
    for name, datatype, path in table:
        found: Any = body
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        value: Value = found
        yield Reading(device, name, datatype, value)


_MAKERS: dict[str, Callable[[Json, Outline], Iterator[Reading]]] = {
    "percept": _percept,
    "event": _event,
    "answer": _answer,
    "health": _health,
    "sensor": _sensor,
}
KINDS = frozenset(_MAKERS)
"""The third level of the topics that say something in metrics."""

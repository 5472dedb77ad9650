"""The JSON of every message. Each function has a schema of its name in `edge_agent/schemas`.

Wall time appears here and only here, as ISO 8601 in UTC with milliseconds. Numbers are rounded to what they
mean, and nothing but finite numbers is ever written: NaN is no JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Any, SupportsFloat

from edge_agent.delivery.commands import Order, Refusal
from edge_agent.delivery.ledger import Ledger
from edge_agent.types import Answer, Clock, NumberPercept, Percept, SensorHealth, TaskPercept

Json = dict[str, Any]
SCHEMAS = (
    "state", "info", "health", "queue", "sensor_state", "percept", "event", "answer", "recording", "ask",
    "sensor_input", "command", "mute", "reply", "talk", "voice",
)  # fmt: skip


def schema(name: str) -> Json:
    """The published JSON Schema (draft 2020-12) of one payload; `name` is one of SCHEMAS."""
    text = resources.files("edge_agent").joinpath(f"schemas/{name}.schema.json").read_text(encoding="utf-8")
    loaded: Json = json.loads(text)
    return loaded


def encode(payload: Mapping[str, object]) -> bytes:
    """UTF-8 JSON without blanks. Raises ValueError for a number that is not finite."""
    return json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def decoded(payload: bytes) -> Json:
    """The object that a message is; empty where it is none."""
    try:
        body = json.loads(payload)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def utc(wall_ns: int) -> str:
    """'2025-01-31T12:00:00.123Z'."""
    seconds, rest_ns = divmod(wall_ns, 1_000_000_000)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{rest_ns // 1_000_000:03d}Z"


def utc_of(clock: Clock, monotonic_ns: int) -> str:
    """The wall time of a monotonic instant."""
    return utc(clock.wall_ns() - (clock.monotonic_ns() - monotonic_ns))


def finite(value: float, digits: int = 4) -> float | None:
    """Rounded, or None for what JSON cannot say."""
    return round(float(value), digits) if math.isfinite(value) else None


def reading(value: SupportsFloat) -> float | None:
    """In the fewest digits that lose nothing, be it float32 or float64; None for what JSON cannot say."""
    return float(str(value)) if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class ModelId:
    """Which model a percept is from: `sha256` is of its manifest, which holds the hash of every file."""

    name: str
    version: str
    sha256: str

    def as_json(self) -> Json:
        """The three fields."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256}


def state(*, online: bool, simulated: bool, clock: Clock | None = None) -> Json:
    """Birth, farewell or last will. A will is written long before it is said, so it has no time."""
    body: Json = {"state": "online" if online else "offline", "simulated": simulated}
    if clock is not None:
        body["time_utc"] = utc(clock.wall_ns())
    return body


@dataclass(frozen=True, slots=True)
class Flow:
    """What we measured of a sensor's samples; `gaps` counts the times they did not join up.

    `offset_ms` and `missing_channels` are of the slot's last window (`windows.SlotStats`).
    """

    rate_hz: float = 0.0
    jitter_ms: float = 0.0
    gaps: int = 0
    age_s: float = math.inf
    offset_ms: float = math.inf
    missing_channels: tuple[str, ...] = ()

    def as_json(self) -> Json:
        """The figures."""
        return {
            "rate_hz": finite(self.rate_hz, 2),
            "jitter_ms": finite(self.jitter_ms, 3),
            "offset_ms": finite(self.offset_ms, 3),
            "gaps": self.gaps,
            "age_s": finite(self.age_s, 3),
        }


def sensor_state(
    name: str,
    slot: str,
    health: SensorHealth,
    flow: Flow,
    *,
    values: Mapping[str, SupportsFloat],
    missing_channels: Sequence[str],
    simulated: bool,
    clock: Clock,
) -> Json:
    """One sensor: what it says of itself, and what we measured."""
    body = {
        "sensor": name,
        "slot": slot,
        "state": str(health.state),
        "reason": health.reason,
        **flow.as_json(),
        "samples": health.samples,
        "lost": health.lost,
        "errors": health.errors,
        "reconnects": health.reconnects,
        "dropped_chunks": health.dropped_chunks,
        "values": {channel: reading(value) for channel, value in values.items()},
        "missing_channels": list(missing_channels),
        "simulated": simulated,
        "time_utc": utc(clock.wall_ns()),
    }
    if health.clock is not None:
        body["clock_offset_ms"] = finite(health.clock.offset_ms, 3)
        body["clock_drift_ppm"] = finite(health.clock.drift_ppm, 1)
        body["clock_error_ms"] = finite(health.clock.error_ms, 3)
    if (fix := health.fix) is not None:
        body["fix_quality"] = fix.quality
        body["utc_offset_s"] = None if fix.utc_offset_s is None else finite(fix.utc_offset_s, 3)
    return body


def task(percept: TaskPercept) -> Json:
    """One task of a percept."""
    return {
        "label": percept.label,
        "probability": finite(percept.probability),
        "probabilities": {label: finite(p) for label, p in percept.probabilities.items()},
        "alpha": {slot: finite(weight) for slot, weight in percept.alpha.items()},
        "novelty": finite(percept.novelty),
        "novel": percept.novel,
        "known": percept.known,
        "possible": list(percept.possible),
    }


def numbers(percept: NumberPercept) -> Json:
    """The numbers of one head; their names and units are in the agent's `info`."""
    return {
        "values": [finite(float(v)) for v in percept.values],
        "sigma": [finite(float(s)) for s in percept.sigma],
        "alpha": {slot: finite(weight) for slot, weight in percept.alpha.items()},
    }


def percept(identity: str, seen: Percept, model: ModelId, clock: Clock) -> Json:
    """All tasks of one window; `time_utc` is its end, `age_s` how old that was when it was published."""
    body = {
        "id": identity,
        "sequence": seen.sequence,
        "time_utc": utc_of(clock, seen.end_ns),
        "age_s": finite(max(0.0, (clock.monotonic_ns() - seen.end_ns) * 1e-9), 3),
        "tasks": {name: task(found) for name, found in seen.tasks.items()},
        "present": list(seen.present),
        "missing": list(seen.missing),
        "model": model.as_json(),
        "simulated": seen.simulated,
    }
    if seen.numbers:
        body["numbers"] = {name: numbers(found) for name, found in seen.numbers.items()}
    if seen.facts:
        body["facts"] = dict(seen.facts)
    if seen.missing_channels:
        body["missing_channels"] = {slot: list(names) for slot, names in seen.missing_channels.items()}
    return body


def event(identity: str, found: TaskPercept, previous: str | None, seen: Percept, clock: Clock) -> Json:
    """A label that changed and held; `previous` is None for the first one."""
    return {
        "id": identity,
        "task": found.task,
        "label": found.label,
        "previous": previous,
        "probability": finite(found.probability),
        "alpha": {slot: finite(weight) for slot, weight in found.alpha.items()},
        "sequence": seen.sequence,
        "time_utc": utc_of(clock, seen.end_ns),
        "simulated": seen.simulated,
    }


def answer(identity: str, given: Answer, *, asked: bool, simulated: bool, clock: Clock) -> Json:
    """A worded answer. `asked` is False for the sentence that goes with the event of the same id."""
    return {
        "id": identity,
        "question": given.question,
        "text": given.text,
        "source": str(given.source),
        "worded_by": given.worded_by,
        "understood_by": given.understood_by,
        "evidence": [_plain(fact) for fact in given.evidence],
        "reason": given.reason,
        "latency_ms": finite(given.latency_ms, 1),
        "first_token_ms": finite(given.first_token_ms, 1),
        "asked": asked,
        "simulated": simulated,
        "time_utc": utc(clock.wall_ns()),
    }


def queue(ledger: Ledger, *, unstored: int, reason: str, clock: Clock) -> Json:
    """The books of the outbox; `unstored` messages wait or waited in memory only, for `reason`."""
    return {
        **ledger.as_json(),
        "unstored": unstored,
        "reason": reason,
        "time_utc": utc(clock.wall_ns()),
    }


def refusal(refused: Refusal, clock: Clock) -> Json:
    """The reply to a command that is not carried out (schema `answer` to a question, else `reply`)."""
    return {
        "id": refused.id,
        **({} if refused.verb == "ask" else {"verb": refused.verb}),
        "error": {"code": refused.code, "message": refused.message, "hint": refused.hint},
        "time_utc": utc(clock.wall_ns()),
    }


def reply(order: Order, found: Json, clock: Clock) -> Json:
    """The reply to a command that was carried out; what was `found` is under the command's name."""
    return {"id": order.id, "verb": order.verb, order.verb: found, "time_utc": utc(clock.wall_ns())}


def _plain(value: object) -> Any:
    """Evidence as JSON, whatever number type it was written with."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, bool | str | int) or value is None:
        return value
    if isinstance(value, Sequence):
        return [_plain(inner) for inner in value]
    return finite(float(value), 4) if hasattr(value, "__float__") else str(value)

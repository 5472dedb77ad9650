"""What an agent says, for tests of its Sparkplug side: the JSON messages of one small agent."""

from __future__ import annotations

from typing import Any

from edge_agent.delivery import payloads
from edge_agent.delivery.message import Kind, Message
from edge_agent.delivery.sparkplug.readings import Outline
from edge_agent.delivery.topics import Topics

TOPICS = Topics("edge", "kitchen")
OUTLINE = Outline(
    tasks=("activity",),
    numbers={"gaze": ("x_cm",)},
    slots=("imu", "audio"),
    sensors=("phone", "sound"),
    properties={"Software": "edge-agent"},
)
T0_MS = 1_735_732_800_000


def time_utc(at_s: float) -> str:
    return payloads.utc(round((T0_MS / 1000 + at_s) * 1e9))


def percept(label: str | None, at_s: float = 0.0, probability: float = 0.9, **more: Any) -> Message:
    """A percept of one task, or of none; `more` replaces parts of the task."""
    task = {
        "label": label, "probability": probability,
        "probabilities": {"walking": probability, "seated": round(1 - probability, 4)},
        "alpha": {"imu": 1.0}, "novelty": -3.0, "novel": False, "known": True,
        "possible": [label], **more,
    }  # fmt: skip
    body = {
        "id": "i", "sequence": 1, "time_utc": time_utc(at_s), "age_s": 0.1,
        "tasks": {} if label is None else {"activity": task},
        "numbers": {"gaze": {"values": [probability], "sigma": [1.0], "alpha": {}}},
        "facts": {"temperature": "21.5 degrees"},
        "present": [] if label is None else ["imu"], "missing": ["audio"],
        "model": {"name": "m", "version": "1", "sha256": "0"}, "simulated": False,
    }  # fmt: skip
    return Message(TOPICS.percept("main"), payloads.encode(body), source="percept/main")


def event(label: str, previous: str | None, at_s: float = 0.0) -> Message:
    body = {
        "id": "e", "task": "activity", "label": label, "previous": previous, "probability": 0.9, "alpha": {},
        "sequence": 1, "time_utc": time_utc(at_s), "simulated": False,
    }  # fmt: skip
    return Message(TOPICS.event("e"), payloads.encode(body), kind=Kind.EVENT, source="event")


def answer(text: str, at_s: float = 0.0) -> Message:
    body = {
        "id": "a", "question": "what?", "text": text, "source": "fallback", "evidence": [], "reason": "",
        "latency_ms": 1.0, "first_token_ms": 0.0, "asked": True, "simulated": False,
        "time_utc": time_utc(at_s),
    }  # fmt: skip
    return Message(TOPICS.answer("a"), payloads.encode(body), kind=Kind.ANSWER, source="answer")


def sensor(name: str, state: str, at_s: float = 0.0, samples: int = 0, **values: float) -> Message:
    body = {
        "sensor": name, "slot": "imu", "state": state, "reason": "", "rate_hz": 100.0, "jitter_ms": None,
        "offset_ms": 1.0, "gaps": 0, "age_s": 0.1, "samples": samples, "lost": 0, "errors": 0,
        "reconnects": 0, "dropped_chunks": 0, "values": values, "missing_channels": [], "simulated": False,
        "time_utc": time_utc(at_s),
    }  # fmt: skip
    return Message(TOPICS.sensor_state(name), payloads.encode(body), retain=True)


def health(uptime_s: float, at_s: float = 0.0) -> Message:
    body = {
        "uptime_s": uptime_s, "rss_bytes": 1000, "cpu_percent": None, "percepts": 3, "events": 1,
        "errors": {"perceive": 0, "skipped_windows": 0}, "latency_ms": {"perceive": {"p95": 2.5}},
        "language": {"ready": True, "restarts": 0}, "simulated": False, "time_utc": time_utc(at_s),
    }  # fmt: skip
    return Message(TOPICS.health, payloads.encode(body), source="health")

"""What `status` and `snapshot` tell beyond the regular reports: versions, the memory, newest values."""

from __future__ import annotations

import base64
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from edge_agent import __version__
from edge_agent.assembly import Parts
from edge_agent.delivery import payloads
from edge_agent.delivery.payloads import Json
from edge_agent.types import Chunk

MOST_VALUES = 16
"""A sensor of more channels is no set of figures that anyone reads in a message."""
MOST_RAW_VALUES = 65_536
"""Of one sensor, newest first: four seconds of sound, or a picture of 147 x 147 pixels."""
FASTEST_HZ = 2000.0
"""Above this it is sound, whatever it is called."""
HEARD_OR_SEEN = frozenset({"audio", "camera", "video", "image", "depth", "thermal"})
_PACKAGES = ("numpy", "onnxruntime", "llama-cpp-python", "paho-mqtt", "pydantic")


@cache
def versions() -> Json:
    """Of the agent and of what it stands on."""
    found = {"edge_agent": __version__, "python": platform.python_version(), "system": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # built into the system by other means
    return found


def memory_of(parts: Parts) -> Json:
    """How much is remembered, since when, and how much could not be."""
    settings = parts.config.memory
    if parts.memory is None:
        return {"enabled": False}
    bounds = {"keep_days": settings.keep_days, "max_bytes": settings.max_bytes, "lost": parts.memory.lost}
    try:
        stat = parts.memory.read.stat()
    except sqlite3.Error as error:
        return {"enabled": True, **bounds, "reason": str(error)}
    oldest, newest = (None if at is None else payloads.utc(at) for at in (stat.oldest_ns, stat.newest_ns))
    counted = {"intervals": stat.intervals, "events": stat.events, "bytes": stat.bytes}
    return {"enabled": True, **bounds, **counted, "oldest_utc": oldest, "newest_utc": newest}


def is_private(chunk: Chunk, modality: str) -> bool:
    """Whether samples of it let someone listen or watch, so that they leave only where that is allowed."""
    if modality in HEARD_OR_SEEN or chunk.values.shape[1] > MOST_VALUES:
        return True
    span_ns = int(chunk.times_ns[-1] - chunk.times_ns[0])
    return span_ns > 0 and (len(chunk.times_ns) - 1) * 1e9 / span_ns > FASTEST_HZ


def newest_of(chunk: Chunk, channels: Sequence[str], modality: str, *, raw: bool, now_ns: int) -> Json:
    """The newest sample of a sensor, by channel; of what is heard or seen only with `raw`, and all of it.

    `channels` are its names, empty where it does not know them; then they are numbers from 0.
    """
    found: Json = {"age_s": payloads.finite(max(0, now_ns - int(chunk.times_ns[-1])) * 1e-9, 3)}
    found["simulated"] = chunk.simulated
    if not is_private(chunk, modality):
        newest = chunk.values[-1]
        names = channels if len(channels) == len(newest) else [str(i) for i in range(len(newest))]
        found["values"] = {name: payloads.reading(value) for name, value in zip(names, newest, strict=True)}
    elif raw and (rows := MOST_RAW_VALUES // chunk.values.shape[1]):
        values = np.ascontiguousarray(chunk.values[-rows:], dtype="<f4")
        found["raw"] = {
            "type": "float32",
            "shape": list(values.shape),
            "base64": base64.b64encode(values.tobytes()).decode("ascii"),
        }
    return found


def newest_values(
    parts: Parts, newest: Mapping[str, Chunk], channels: Mapping[str, Sequence[str]], silent: set[str]
) -> Json:
    """Sensor -> what it gave last; a sensor that is `silent` or has given nothing yet is left out."""
    slots, now_ns = parts.config.sources, parts.clock.monotonic_ns()
    raw = parts.config.mqtt.snapshot_raw
    modalities = {slot.name: slot.modality for slot in parts.manifest.slots}
    names = {slot.name: slot.channels for slot in parts.manifest.slots}
    return {
        name: newest_of(
            chunk,
            channels.get(name) or names.get(slots.get(name, ""), ()),
            modalities.get(slots.get(name, ""), ""),
            raw=raw,
            now_ns=now_ns,
        )
        for name, chunk in newest.items()
        if name not in silent
    }

"""Windows of one slot whose class is known, from a recording or from arrays, as features of its encoder."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_agent.clock import NS_PER_S
from edge_agent.errors import EdgeAgentError
from edge_agent.perception.encoders import window_shape
from edge_agent.perception.pipeline import Pipeline
from edge_agent.record.playback import Playback
from edge_agent.types import Float32, SlotWindow, Window

_ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class Examples:
    """Features z (n,d) of windows of one class; `label` is empty where it is not known."""

    label: str
    z: Float32
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a recording that shows the class, in seconds since its start."""

    start_s: float = 0.0
    stop_s: float = math.inf

    def holds(self, start_s: float, end_s: float) -> bool:
        """Whether a window lies in it from its first sample to its last."""
        return start_s >= self.start_s - _ROUNDING_S and end_s <= self.stop_s + _ROUNDING_S


def recorded(playback: Playback, slot: str, label: str, span: Span) -> Examples:
    """The windows of a recording, cut as a running agent cuts them. Raises EdgeAgentError for none."""
    begun_ns = playback.clock.monotonic_ns()
    length_s = playback.pipeline.manifest.slot(slot).window_s
    inside = (
        window
        for window in playback.windows()
        if span.holds((end_s := (window.end_ns - begun_ns) / NS_PER_S) - length_s, end_s)
    )
    return _encoded(playback.pipeline, slot, label, inside)


def arrays(pipeline: Pipeline, slot: str, path: Path, label: str) -> list[Examples]:
    """The classes of an .npz: x (N,T,C) in the slot's units, and `label` (N,) where it holds several.

    A `label` that is given picks one of them, or names the class of a file without labels. Raises
    EdgeAgentError for a file of another layout.
    """
    x, labels = _loaded(path)
    expected = window_shape(pipeline.manifest.slot(slot))
    if x.ndim != 3 or x.shape[1:] != expected or not np.issubdtype(x.dtype, np.number):
        raise EdgeAgentError(
            f"{path}: x is {x.shape} of {x.dtype}; {slot} takes numbers (N, {expected[0]}, {expected[1]})",
            hint="windows as the slot has them: edge-agent record makes them from the sensor itself",
        )
    if labels is None:
        return [_encoded(pipeline, slot, label, _windows(slot, x))]
    if labels.shape != (len(x),) or labels.dtype.kind != "U":
        raise EdgeAgentError(f"{path}: label is {labels.shape} of {labels.dtype}, not {len(x)} strings")
    wanted = [label] if label else sorted(set(labels.tolist()))
    return [_encoded(pipeline, slot, name, _windows(slot, x[labels == name])) for name in wanted]


def _loaded(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return np.asarray(file["x"]), np.asarray(file["label"]) if "label" in file else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise EdgeAgentError(
            f"{path} holds no labelled windows: {error}",
            hint="numpy.savez(FILE, x=..., label=...), with x (N,T,C) and label (N,) strings",
        ) from error


def _windows(slot: str, x: np.ndarray) -> Iterator[Window]:
    for i, values in enumerate(x):
        yield Window(i, 0, {slot: SlotWindow(values, coverage=1.0, age_s=0.0)})


def _encoded(pipeline: Pipeline, slot: str, label: str, windows: Iterator[Window]) -> Examples:
    z, simulated = [], False
    for window in windows:
        if (found := pipeline.encode(only(window, slot)).get(slot)) is not None:
            z.append(found.pooled)
            simulated |= window.slots[slot].simulated
    if not z:
        raise EdgeAgentError(
            f"no complete window of {slot}" + (f' for "{label}"' if label else ""),
            hint="edge-agent record info FILE tells what a recording holds; a window must have few gaps",
        )
    return Examples(label, np.stack(z), simulated)


def only(window: Window, slot: str) -> Window:
    """The window without the other slots."""
    slots: Mapping[str, SlotWindow] = {k: v for k, v in window.slots.items() if k == slot}
    return Window(window.sequence, window.end_ns, slots)

"""Windows made worse on purpose: noise on them, channels gone, only their end known. Pure functions.

A window here is the values of its slots, name -> (T,C), as the sensors gave them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from edge_agent.types import SlotWindow, Window
from export.catalog import SLOTS
from export.readers import Case, window_of

Values = dict[str, npt.NDArray[np.floating]]

SHORTEST = 5
"""Steps of a slot, at least, for a part of its window to be a question."""


def deviations(cases: Sequence[Case]) -> Values:
    """slot -> (C,): the deviation of each channel over all windows."""
    return {
        slot: np.stack([c.values[slot] for c in cases]).std(axis=(0, 1), dtype=np.float64)
        for slot in cases[0].values
    }


def noisy(values: Values, deviation: Values, level: float, rng: np.random.Generator) -> Values:
    """With Gaussian noise of `level` deviations; a beam without an echo (0) has nothing to be noisy."""
    found: Values = {}
    for slot, x in values.items():
        noise = level * deviation[slot] * rng.standard_normal(x.shape)
        if SLOTS[slot].encoder == "scan":
            noise = np.where(x > 0, noise, 0.0)
        found[slot] = (x + noise).astype(x.dtype)
    return found


def ends(values: Values, share: float) -> Values:
    """Only the last `share` of each slot's steps; before it stands the first of them."""
    found: Values = {}
    for slot, x in values.items():
        kept = max(1, round(share * len(x)))
        found[slot] = np.concatenate([np.repeat(x[-kept:][:1], len(x) - kept, axis=0), x[-kept:]])
    return found


def without_channels(values: Values, share: float, rng: np.random.Generator) -> Window:
    """Each channel missing with probability `share`, at least one of a slot left; what is missing is 0."""
    window = window_of(values)
    slots: dict[str, SlotWindow] = {}
    for slot, given in window.slots.items():
        missing = np.asarray(rng.random(given.values.shape[1]) < share)
        if missing.all():
            missing[rng.integers(len(missing))] = False
        x = np.where(missing, given.values.dtype.type(0), given.values)
        slots[slot] = replace(given, values=x, missing_channels=missing)
    return replace(window, slots=slots)


def can_lose_channels(values: Values) -> bool:
    """Whether the encoders of all slots are told of single channels."""
    return all(SLOTS[s].features == "raw" and x.shape[1] > 1 for s, x in values.items())


def has_length(values: Values) -> bool:
    """Whether every slot has steps enough for a part of them to be a window."""
    return all(len(x) >= SHORTEST for x in values.values())

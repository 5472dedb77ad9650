"""Measured numbers that may be said. A sentence holds `{name}`; the number is put in here, by no network.

So no language model ever words a number of its own: what is in braces and not measured makes the sentence
unusable (`fill` says which).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from edge_agent.manifest import Fact, Manifest, NumberHead
from edge_agent.types import Float32, NumberPercept, Window

_BRACED = re.compile(r"\{([^{}]*)\}")


def of_window(manifest: Manifest, window: Window) -> dict[str, str]:
    """name -> "21.5 degrees", for the slots that this window has."""
    found = {}
    for slot in manifest.facts:
        if (part := window.slots.get(slot.slot)) is None:
            continue
        for fact in slot.facts:
            if not part.missing[fact.first]:
                found[fact.name] = worded(fact, part.values[:, fact.first])
    return found


def of_head(head: NumberHead, found: NumberPercept) -> dict[str, str]:
    """The facts of a head that reads numbers."""
    return {f.name: worded(f, found.values[f.first : f.last + 1]) for f in head.facts}


def worded(fact: Fact, values: Float32) -> str:
    """A fact as it is said: values (n,) reduced to one number, scaled, rounded, with its unit."""
    reduced = {
        "value": lambda v: v[0],
        "first": lambda v: v[0],
        "last": lambda v: v[-1],
        "min": np.min,
        "max": np.max,
        "mean": np.mean,
        "norm": np.linalg.norm,
    }[fact.reduce](np.asarray(values, np.float64))
    number = f"{fact.scale * float(reduced):.{fact.decimals}f}"
    if float(number) == 0:
        number = number.removeprefix("-")
    return f"{number} {fact.unit}".strip()


def fill(text: str, facts: Mapping[str, str]) -> tuple[str, str]:
    """(the text with every `{name}` replaced, the first name that is no fact, or an empty string)."""
    unknown = next((name for name in _BRACED.findall(text) if name not in facts), "")
    return _BRACED.sub(lambda m: facts.get(m[1], m[0]), text), unknown

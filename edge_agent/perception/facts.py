"""What the device knows and may say. A sentence holds `{name}`; its value is put in here, by no network.

So no language model ever words a number of its own, nor which sensors there are or whether they agree: what
is in braces and not known makes the sentence unusable (`fill` says which).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np
import numpy.typing as npt

from edge_agent.manifest import Fact, Manifest, NumberHead
from edge_agent.types import NumberPercept, Percept, Values, Window

Float64 = npt.NDArray[np.float64]

BEFORE = "before_"
SENSORS = "sensors"
SUMMARY = "summary"
AGREEMENT = "agreement"
NOTHING_BEFORE = "nothing else that I know of"
_REDUCE: dict[str, Callable[[Float64], float]] = {
    "value": lambda v: float(v[0]),
    "first": lambda v: float(v[0]),
    "last": lambda v: float(v[-1]),
    "min": lambda v: float(v.min()),
    "max": lambda v: float(v.max()),
    "mean": lambda v: float(v.mean()),
    "norm": lambda v: float(np.linalg.norm(v)),
}
_BRACED = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def of_percept(manifest: Manifest, percept: Percept) -> dict[str, str]:
    """Everything that may be said of one percept, by the names that an answer has in braces."""
    said = {
        **percept.facts,
        **sources(manifest, percept.present),
        SUMMARY: summary(manifest, percept),
        AGREEMENT: agreement(manifest, percept),
    }
    return {name: words for name, words in said.items() if words}


def summary(manifest: Manifest, percept: Percept) -> str:
    """A sentence for every head that is known now."""
    classes = (
        f"{head.readout.strip()} {head.phrase(found.label)}."
        for head in manifest.tasks
        if (found := percept.tasks.get(head.name)) and found.known
    )
    numbers = (fill(n.readout.strip(), percept.facts) for n in manifest.numbers if n.name in percept.numbers)
    return " ".join([*classes, *(sentence for sentence, unknown in numbers if not unknown)])


def agreement(manifest: Manifest, percept: Percept) -> str:
    """What each of several slots that serve one head reads alone, and whether that is the same."""
    told = []
    for head in manifest.tasks:
        if alone := percept.alone.get(head.name):
            for slot, label in alone.items():
                name = manifest.slot(slot).description
                told.append(f"{name[0].upper()}{name[1:]} says {head.phrase(label)}.")
            told.append("They agree." if len(set(alone.values())) == 1 else "They do not agree.")
    return " ".join(told) or "No two sensors that have data tell the same thing."


def of_window(manifest: Manifest, window: Window) -> dict[str, str]:
    """name -> "21.5 degrees", for the slots that this window has."""
    found = {}
    for slot in manifest.facts:
        if (part := window.slots.get(slot.slot)) is None:
            continue
        missing = (
            part.missing_channels if len(part.missing_channels) else np.zeros(part.values.shape[1], bool)
        )
        for fact in slot.facts:
            if not missing[fact.first]:
                found[fact.name] = worded(fact, part.values[:, fact.first])
    return found


def of_head(head: NumberHead, found: NumberPercept) -> dict[str, str]:
    """The facts of a head that reads numbers."""
    return {f.name: worded(f, found.values[f.first : f.last + 1]) for f in head.facts}


def before(manifest: Manifest, labels: Mapping[str, str]) -> dict[str, str]:
    """`before_<head>`: what it was before, as it is said; `labels` are the earlier ones, by head."""
    return {
        f"{BEFORE}{head.name}": head.phrase(labels[head.name])
        for head in manifest.tasks
        if head.name in labels
    }


def sources(manifest: Manifest, present: Collection[str]) -> dict[str, str]:
    """`sensors` and `sensors_<head>`: which have data, and which of them serve a head, as it is said."""
    heads = [*manifest.tasks, *manifest.numbers]
    serving = {f"{SENSORS}_{head.name}": manifest.serving(head.name) for head in heads}
    serving[SENSORS] = frozenset(present)
    listed = {
        name: join(s.description for s in manifest.slots if s.name in present and s.name in slots)
        for name, slots in serving.items()
    }
    return {name: words for name, words in listed.items() if words}


def join(names: Iterable[str], word: str = "and") -> str:
    """'a', 'a and b', 'a, b and c'."""
    items = list(names)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}" if items else ""


def worded(fact: Fact, values: Values) -> str:
    """A fact as it is said: values (n,) reduced to one number, scaled, rounded, with its unit."""
    number = f"{fact.scale * _REDUCE[fact.reduce](np.asarray(values, np.float64)):.{fact.decimals}f}"
    if float(number) == 0:
        number = number.removeprefix("-")
    return f"{number} {fact.unit}".strip()


def fill(text: str, facts: Mapping[str, str]) -> tuple[str, str]:
    """(the text with every `{name}` replaced, the first name that is no fact, or an empty string)."""
    known = {name: facts.get(name) or _otherwise(name) for name in _BRACED.findall(text)}
    unknown = next((name for name, value in known.items() if not value), "")
    return _BRACED.sub(lambda m: known[m[1]] or m[0], text), unknown


def _otherwise(name: str) -> str:
    return NOTHING_BEFORE if name.startswith(BEFORE) else ""

"""The words for what is measured, by how they are used: "temperature", "warm", "warmer", "warmest"."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass

from edge_agent.memory.number_grammar import superlatives
from edge_agent.memory.numbers import Number

_NEVER_COMPARED = frozenset(
    ("chilly", "humid", "moist", "lit", "stale", "ventilated", "loud", "close", "far")
)
"""Adjectives of which a manifest need not hold the comparative."""
_ABBREVIATED = {"ppm": "parts per million"}
SMALL = frozenset(("degrees", "percent", "metres", "centimetres"))
"""Units of which there are seldom a hundred."""


@dataclass(frozen=True, slots=True)
class Measures:
    """The words of some numbers."""

    quantities: tuple[str, ...]
    adjectives: tuple[str, ...]
    comparatives: tuple[str, ...]
    superlatives: tuple[str, ...]
    units: tuple[str, ...]


def measures(numbers: Iterable[Number], known: Container[str]) -> Measures:
    """What `numbers` are called; of superlatives, which are made here, only those in `known`."""
    several = list(numbers)
    words = dict.fromkeys(word for number in several for word in number.words)
    units = dict.fromkeys(number.unit for number in several if number.unit)
    comparatives = [word for word in words if word.endswith("er") and _bases(word) & words.keys()]
    compared = set().union(*map(_bases, comparatives)) if comparatives else set()
    adjectives = [word for word in words if word in compared | _NEVER_COMPARED]
    others: Collection[str] = {*comparatives, *adjectives, *units}
    subjects = [number.subject.removeprefix("the ") for number in several]
    quantities = dict.fromkeys([*subjects, *(word for word in words if word not in others)])
    return Measures(
        tuple(quantities),
        tuple(adjectives),
        tuple(comparatives),
        tuple(word for word in superlatives(tuple(words)) if word in known),
        tuple(_ABBREVIATED.get(unit, unit) for unit in units),
    )


def _bases(comparative: str) -> set[str]:
    """What "warmer", "drier" and "hotter" may be the comparative of."""
    root = comparative.removesuffix("er")
    bases = {root, f"{root}e"}
    if root.endswith("i"):
        bases.add(f"{root[:-1]}y")
    if len(root) > 2 and root[-1] == root[-2]:
        bases.add(root[:-1])
    return bases

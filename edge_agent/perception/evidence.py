"""What an answer about now rests on, ready for JSON: what each head read, and what was measured."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from edge_agent.manifest import Manifest
from edge_agent.types import Percept, TaskPercept

Fact = Mapping[str, object]


def evidence(manifest: Manifest, percept: Percept, age_s: float, used: Collection[str]) -> tuple[Fact, ...]:
    """Every fact of one window, those that the answer used first.

    `used` names heads and facts. `sequence` is the window's number, as on `percept/main` and in events, and
    `alpha` how much each sensor weighed.
    """
    window: Fact = {"sequence": percept.sequence, "age_s": age_s, "simulated": percept.simulated}
    weights = dict(_weights(manifest, percept))
    read = [(found.task, _read(found)) for found in percept.tasks.values()]
    said = [
        (name, {"fact": name, "value": value, "alpha": weights.get(name, {})})
        for name, value in percept.facts.items()
    ]
    every = [{**fact, "used": name in used, **window} for name, fact in (*read, *said)]
    return tuple(sorted(every, key=lambda fact: not fact["used"]))


def _read(found: TaskPercept) -> Fact:
    return {
        "task": found.task,
        "label": found.label,
        "probability": found.probability,
        "known": found.known,
        "alpha": dict(found.alpha),
    }


def _weights(manifest: Manifest, percept: Percept) -> Iterator[tuple[str, Mapping[str, float]]]:
    """How much each slot weighed in a number: one slot measures it alone, or a head reads it from several."""
    for slot in manifest.facts:
        yield from ((fact.name, {slot.slot: 1.0}) for fact in slot.facts)
    for head in manifest.numbers:
        if head.name in percept.numbers:
            yield from ((fact.name, dict(percept.numbers[head.name].alpha)) for fact in head.facts)

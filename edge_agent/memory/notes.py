"""What of a percept is worth remembering: for each head what was read, for each slot whether it gave data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from edge_agent.manifest import Manifest
from edge_agent.memory.numbers import numbers_of
from edge_agent.types import Percept

SLOT = "@"
"""Before the name of a slot: its data are remembered as a head of this name."""
DATA, NO_DATA = "data", "no data"


@dataclass(frozen=True, slots=True)
class Kind:
    """What an interval is of. It ends where any of this changes.

    `sensors` are the slots that gave data for the head; of a head that is not `known` the label is the best
    guess, and `novel` says that its input was unlike what the model knows.
    """

    head: str
    label: str
    known: bool = True
    novel: bool = False
    simulated: bool = False
    sensors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """What a number is of: its fact in the manifest, its unit, and the slots that it came from."""

    name: str
    unit: str
    simulated: bool = False
    sensors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """All that one window tells: head -> what was read and its probability. `at_ns` is monotonic.

    `measured` are the numbers that may be said, as rounded as they are said: a number of the past is never
    another one than was told when it was now.
    """

    at_ns: int
    sequence: int
    read: Mapping[str, tuple[Kind, float]]
    measured: Mapping[Measure, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """A label that changed and held, as it was published under `id`. `at_ns` is monotonic."""

    id: str
    at_ns: int
    head: str
    label: str
    previous: str | None
    probability: float


def note_of(percept: Percept, manifest: Manifest, configured: Collection[str]) -> Note:
    """What to remember of a percept; `configured` are the slots that have a sensor."""
    read: dict[str, tuple[Kind, float]] = {}
    for head in manifest.tasks:
        if (found := percept.tasks.get(head.name)) is None:
            continue
        serving = manifest.serving(head.name)
        sensors = tuple(name for name in percept.present if name in serving)
        novel = found.novelty > head.novelty_threshold
        kind = Kind(head.name, found.label, found.known, novel, percept.simulated, sensors)
        read[head.name] = (kind, found.probability)
    for slot in manifest.slots:
        if slot.name in configured:
            label = DATA if slot.name in percept.present else NO_DATA
            kind = Kind(f"{SLOT}{slot.name}", label, simulated=percept.simulated, sensors=(slot.name,))
            read[kind.head] = (kind, 1.0)
    return Note(percept.end_ns, percept.sequence, read, _measured(percept, manifest))


def _measured(percept: Percept, manifest: Manifest) -> dict[Measure, float]:
    found: dict[Measure, float] = {}
    for number in numbers_of(manifest):
        if (said := percept.facts.get(number.name)) is not None:
            sensors = tuple(name for name in percept.present if name in number.slots)
            measure = Measure(number.name, number.unit, percept.simulated, sensors)
            found[measure] = float(said.split()[0])
    return found

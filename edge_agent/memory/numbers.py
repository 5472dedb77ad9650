"""The numbers of a model that have a history: the facts of slots, and those of heads that read numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_agent.manifest import Fact, Manifest


@dataclass(frozen=True, slots=True)
class Number:
    """A fact of the manifest: how it is asked for, how it is said, and the slots that it comes from.

    `endings` are the parts of its name that tell it from the other facts of its head: "near", "far".
    """

    name: str
    unit: str
    decimals: int
    words: tuple[str, ...]
    subject: str
    slots: frozenset[str]
    endings: tuple[str, ...] = ()

    def said(self, value: float) -> str:
        """The number with its unit, as facts.worded writes it."""
        text = f"{value:.{self.decimals}f}"
        return f"{text.removeprefix('-') if float(text) == 0 else text} {self.unit}".strip()


def numbers_of(manifest: Manifest) -> list[Number]:
    """All of them, in the order of the manifest."""
    found = [
        _number(fact, fact.words, fact.sentence, frozenset((part.slot,)))
        for part in manifest.facts
        for fact in part.facts
        if fact.reduce != "first"  # how it was at the beginning of a window; the window before told it
    ]
    for head in manifest.numbers:
        serving = manifest.serving(head.name)
        for fact in head.facts:
            endings = tuple(fact.name.removeprefix(head.name).strip("_").split("_"))
            found.append(_number(fact, fact.words or head.words, head.readout, serving, endings))
    return found


def _number(
    fact: Fact, words: tuple[str, ...], sentence: str, slots: frozenset[str], endings: tuple[str, ...] = ()
) -> Number:
    said = re.search(rf"(?:^|\. )\s*(the [^.{{]*) is \{{{fact.name}\}}", sentence, re.IGNORECASE)
    subject = said[1].lower() if said else f"the {fact.name.replace('_', ' ')}"
    return Number(fact.name, fact.unit, fact.decimals, words, subject, slots, endings)

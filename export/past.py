"""Dialogs about the past: the kind of an answer, the names of its facts and a question; how it is to be said.

The answer is one of the forms that the device accepts (edge_agent/memory/forms.py): the first to a whole
question, the second to half a question, the third to an order. Nothing else in it comes from the question,
and nothing from the sensors: it is trained over any of their states.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

import numpy as np

from edge_agent.memory.forms import CAUTION
from edge_agent.memory.telling import Said, forms, prompt
from export import questions as q
from export.answers import Turn
from export.catalog import SLOTS, classes
from export.wordings.past import ABOVE, BELOW, PAST, THINGS, TIMES

FAMILY = "past"
CAUTIOUS = 0.3
"""How often what is read of a time needs a caution."""
NUMBERS = ("the temperature", "the humidity", "the light", "the co2", "the distance", "the co2 in the air")
_NO_DATA = {"no data": 0.12, "no data ever": 0.06}
_NO_VALUE = {"no value": 0.14, "no value ever": 0.08}
KINDS: dict[str, Mapping[str, float]] = {
    "last": {"last": 0.5, "now": 0.2, "never": 0.15, **_NO_DATA},
    "first": {"first": 0.6, "never": 0.15, **_NO_DATA},
    "since": {"still": 0.45, "over": 0.35, "never": 0.12, **_NO_DATA},
    "how long": {"how long": 0.6, "none": 0.2, **_NO_DATA},
    "how often": {"how often": 0.6, "none": 0.2, **_NO_DATA},
    "whether": {"yes": 0.45, "no": 0.35, **_NO_DATA},
    "why": {"how often": 0.5, "none": 0.35, **_NO_DATA},
    "what happened": {"events": 0.7, "nothing": 0.2, **_NO_DATA},
    "before": {"before": 0.7, "nothing before": 0.25, "no data ever": 0.05},
    "after": {"after": 0.7, "nothing after": 0.25, "no data ever": 0.05},
    "more": {"more": 0.32, "less": 0.32, "as much": 0.12, "none": 0.12, **_NO_DATA},
    "most": {"most often": 0.36, "longest": 0.36, "nothing": 0.1, **_NO_DATA},
    "each": {"each": 1.0},
    "unusual": {"unusual": 0.5, "nothing unusual": 0.4, **_NO_DATA},
    "sensors": {"sensors": 0.85, "no data ever": 0.15},
    "sources": {"told by": 0.35, "told by none": 0.2, "measured by": 0.3, "measured by none": 0.15},
    "certainty": {"sure": 0.35, "sure of none": 0.2, "sure of value": 0.3, "sure of no value": 0.15},
    "highest": {"highest": 0.78, **_NO_VALUE},
    "lowest": {"lowest": 0.78, **_NO_VALUE},
    "value": {"value": 0.5, "range": 0.4, **_NO_VALUE},
    "average": {"average": 0.78, **_NO_VALUE},
    "change": {"rose": 0.32, "fell": 0.32, "same": 0.16, **_NO_VALUE},
    "higher": {"higher": 0.32, "lower": 0.32, "equal": 0.16, **_NO_VALUE},
    "limit": {"above": 0.2, "not above": 0.2, "below": 0.2, "not below": 0.2, **_NO_VALUE},
}  # fmt: skip
"""What is asked -> the kinds of its answers and how often each is drawn."""
NEVER_CAUTIOUS = frozenset(
    (
        "no data", "no data ever", "told by", "told by none", "sure", "measured by", "measured by none",
        "sure of value", "sure of no value", "highest", "lowest", "value", "average", "range", "rose", "fell",
        "same", "above", "not above", "below", "not below", "no value", "no value ever",
        "higher", "lower", "equal", "each",
    )
)  # fmt: skip
"""Kinds whose answers have no caution beside them: they say themselves what is not known."""


class Past:
    """Draws questions about the past, from the training wordings or the held-out ones."""

    def __init__(self, rng: np.random.Generator, *, held_out: bool = False) -> None:
        self.rng = rng
        self.held_out = held_out

    def turn(self) -> Turn:
        """What the device asks the language model, and what it is to write."""
        return self.draw()[1]

    def draw(self) -> tuple[Said, Turn]:
        """The same beside what is to be said, whose facts have names alone."""
        many = np.array([len(kinds) for kinds in KINDS.values()])
        asked = tuple(KINDS)[self.rng.choice(len(KINDS), p=many / many.sum())]
        kinds = KINDS[asked]
        shares = np.array(list(kinds.values()))
        kind = tuple(kinds)[self.rng.choice(len(kinds), p=shares / shares.sum())]
        way = int(self.rng.choice(3, p=(0.5, 0.25, 0.25)))
        cautious = kind not in NEVER_CAUTIOUS and self.rng.random() < CAUTIOUS
        said = Said(kind, dict.fromkeys((CAUTION,) if cautious else (), ""))
        question = self._framed(self._question(asked, way, kind), way)
        answer = f" {forms(kind, said.facts)[way]}"
        return said, Turn(FAMILY, None, prompt(kind, said.names, question), answer, reads=False)

    def _question(self, asked: str, way: int, kind: str) -> str:
        wording = self._one(q.split(PAST[asked][way], held_out=self.held_out))
        limits = BELOW if "below" in kind or (kind.startswith("no value") and way == 1) else ABOVE
        places = {
            "x": self._one(things()),
            "t": self._one(TIMES),
            "n": (number := self._one(NUMBERS)),
            "m": number.removeprefix("the "),
            "l": self._one(limits),
            "s": self._one(tuple(slot.description for slot in SLOTS.values())),
        }
        return re.sub(r" +", " ", wording.format(**places)).strip(" ,")

    def _framed(self, question: str, way: int) -> str:
        """Now and then with the words that people put around a question."""
        if self.held_out or way != 0 or self.rng.random() < 0.75:
            return question
        return f"{self._one(q.OPENERS)} {question}"

    def _one(self, items: tuple[str, ...]) -> str:
        return items[self.rng.integers(len(items))]


@cache
def things() -> tuple[str, ...]:
    """What may have been read: as people say it, and how every label is said."""
    return (*THINGS, *(phrase for head in classes() for phrase in head.phrases.values()))

"""For questions about the past that no rule covers: the nearest known way to ask, filled with what is named.

Only what the rules leave open is asked here: a refusal, a list where one label was named, the range of a
number. What is named stays the business of the lexicon: nothing is answered that was not in the question.
"""

from __future__ import annotations

import re
from dataclasses import replace

from edge_agent.memory.lexicon import Lexicon, stem
from edge_agent.memory.measured import Measured, Wanted
from edge_agent.memory.nearest import LABEL, NEAR, NEAR_NAMED, NUMBER, SENSOR, Nearest
from edge_agent.memory.number_grammar import NumberGrammar
from edge_agent.memory.queries import (
    Availability,
    FirstTime,
    HowLong,
    HowOften,
    LastTime,
    Query,
    Span,
    Target,
    Timeline,
    Unusual,
    Whether,
)

_OF_A_LABEL = {kind.__name__: kind for kind in (HowOften, HowLong, Whether, LastTime, FirstTime)}


class SecondParser:
    """What is nearest, for one model and one set of sensors."""

    def __init__(self, lexicon: Lexicon, numbers: NumberGrammar) -> None:
        self._lexicon = lexicon
        self._numbers = numbers
        self._nearest = Nearest()

    def parse(self, rest: str, span: Span) -> Query | Measured | None:
        """The query of a question without its time; None where it is near to nothing, or names nothing."""
        target, number = self._lexicon.target(rest), self._numbers.named(rest)
        near = NEAR if target is None else NEAR_NAMED
        wanted, _ = self._nearest.wanted(self._masked(rest, target, number.words if number else ()), near)
        if number is not None:
            known = target is None and wanted in set(Wanted)
            return Measured(number.name, Wanted(wanted), span) if known else None
        if target is not None:
            return _OF_A_LABEL[wanted](target, span) if wanted in _OF_A_LABEL else None
        return self._of_all(wanted, self._lexicon.named_slots(rest), span)

    def _of_all(self, wanted: str, slots: tuple[str, ...], span: Span) -> Query | None:
        """A question that names no label and no number."""
        if wanted == "Availability":
            return Availability(slots or tuple(slot.name for slot in self._lexicon.slots), span)
        if wanted == "Timeline" and not slots:
            return Timeline(tuple(head.name for head in self._lexicon.heads), span)
        return Unusual(span) if wanted == "Unusual" and not slots else None

    def improved(self, query: Measured, rest: str) -> Measured:
        """A question about a number of which the rules know only which one."""
        found = self.parse(rest, query.span)
        return replace(query, wanted=found.wanted) if isinstance(found, Measured) else query

    def _masked(self, rest: str, target: Target | None, number: tuple[str, ...]) -> str:
        text = rest
        for slot in self._lexicon.slots:
            noun = slot.description.lower().removeprefix("the ")
            text = re.sub(rf"\b(?:the |your )?{re.escape(noun)}\b", SENSOR, text)
        for word in number:
            text = re.sub(rf"\b{re.escape(word)}\b", NUMBER, text)
        if target is not None:
            stems = self._lexicon.label_stems(target)
            text = re.sub(r"[a-z]+", lambda found: LABEL if stem(found[0]) in stems else found[0], text)
        return re.sub(rf"\b({LABEL}|{NUMBER}|{SENSOR})(?: (?:\1))+\b", r"\1", text)

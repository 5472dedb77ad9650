"""What is to be said of a finding: a kind of answer and its facts, and who words it. Pure.

The rules fill the first form of the kind. A language model is asked by the names of the facts alone and
writes, held to the forms, a sentence with those names in braces. It is believed only where that is made of
clauses of the forms and says every fact once. The device then puts the facts in: no value passes through it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from edge_agent.memory.forms import CAUTION, FORMS
from edge_agent.perception.dialog import Written
from edge_agent.perception.prompt import normalise_question
from edge_agent.types import WordedBy

_PLACE = re.compile(r"\{([a-z]+)\}")
_STARTS = re.compile(r"(^|[.?!] )\{([a-z]+)\}")
_JOINT = re.compile(r"(\s*[.,:;()][\s.,:;()]*)")


@dataclass(frozen=True, slots=True)
class Said:
    """The facts of one answer as they are said, by name. `lead` comes before the answer, whoever words it."""

    kind: str
    facts: Mapping[str, str] = field(default_factory=dict)
    lead: str = ""

    def but(self, caution: str) -> Said:
        """The same with a caution; without one where there is nothing to be cautious about."""
        return replace(self, facts={**self.facts, CAUTION: caution}) if caution else self

    @property
    def text(self) -> str:
        """The answer in the words of the rules."""
        return self.filled(forms(self.kind, self.facts)[0])

    @property
    def names(self) -> tuple[str, ...]:
        """The facts in the order of the kind's first form."""
        return tuple(places(forms(self.kind, self.facts)[0]))

    def filled(self, form: str) -> str:
        """A form with the facts in its places, capitals where a sentence begins with one."""
        begun = _STARTS.sub(lambda m: m[1] + _upper(self.facts[m[2]]), form)
        text = _PLACE.sub(lambda m: self.facts[m[1]], begun)
        return f"{self.lead} {text}" if self.lead else text


@dataclass(frozen=True, slots=True)
class Told:
    """A text and who worded it: the rules, with an objection where a language model was to."""

    text: str
    by: WordedBy
    objection: str = ""
    first_token_ms: float = 0.0


Tell = Callable[[Said, str], Told]
"""Words what is to be said in answer to a question."""


def by_rules(said: Said, _question: str) -> Told:
    """In the words of the rules."""
    return Told(said.text, "rules")


Write = Callable[[str, str], Written]
"""What a language model writes to a prompt, held to a grammar."""


def by_model(said: Said, question: str, write: Write) -> Told:
    """In the words of a language model where it writes some that pass the check, else of the rules."""
    written = write(prompt(said.kind, said.names, question), grammar(said.kind, said.facts))
    if wrong := written.reason or objection(written.text, said):
        return Told(said.text, "rules", wrong, written.first_token_ms)
    return Told(said.filled(written.text.strip()), "lm", "", written.first_token_ms)


def forms(kind: str, names: Collection[str]) -> tuple[str, ...]:
    """The forms of a kind, with a place for the caution where that is among the names."""
    ending = f" {{{CAUTION}}}." if CAUTION in names else ""
    return tuple(f"{form}{ending}" for form in FORMS[kind])


def prompt(kind: str, names: Iterable[str], question: str) -> str:
    """What the language model is asked: the kind, the facts that there are, then the user's question."""
    listed = " ".join(names)
    return normalise_question(f"past {kind}{': ' if listed else ''}{listed}. {question}")


def grammar(kind: str, names: Collection[str]) -> str:
    """The forms of a kind in llama.cpp's GBNF, rule `root`: what a model prefers among them is its choice."""
    return f'root ::= " "? ( {" | ".join(map(json.dumps, forms(kind, names)))} )\n'


def objection(written: str, said: Said) -> str:
    """Why what a language model wrote must not be filled and said; empty where it may."""
    known, text = pieces(said.kind), written.strip()
    found = _split(text)
    if strange := next((piece for piece in found if piece not in known), None):
        return f'"{strange.strip()}" is in no form of {said.kind}'
    if not text.endswith(".") or text.count("(") != text.count(")"):
        return "the sentence has no end"
    if len(set(found)) < len(found):
        return "it says something twice"
    told = places(text)
    if wrong := sorted(set(told) ^ set(said.names)) or sorted({p for p in told if told.count(p) > 1}):
        return f"{{{wrong[0]}}} must be said exactly once"
    return ""


def places(text: str) -> list[str]:
    """The names in braces, in their order."""
    return _PLACE.findall(text)


@cache
def pieces(kind: str) -> frozenset[str]:
    """Every clause of a kind with the punctuation before it: what a sentence may be made of."""
    every = (*forms(kind, ()), *forms(kind, (CAUTION,)))
    return frozenset(piece for form in every for piece in _split(form))


def _split(text: str) -> list[str]:
    """The first clause, then each other one with the punctuation before it, the last one being empty."""
    first, *rest = _JOINT.split(text)
    return [first, *(joint + clause for joint, clause in zip(rest[::2], rest[1::2], strict=True))]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]

"""Which kind of answer a question wants, told by the language model where the rules cannot. Pure.

The model sees how it is asked and nothing else: what is asked about and the time were found by the rules, and
stand in the question as THING, NUMBER or DEVICE and THEN. It is held to one word out of a closed set and
believed where it would have written that word of itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from edge_agent.memory.known_words import DEVICE, NUMBER, THEN, THING
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.measured import Measured, Wanted
from edge_agent.memory.numbers import Number
from edge_agent.memory.queries import (
    Availability,
    FirstTime,
    HowLong,
    HowOften,
    LastTime,
    Query,
    Span,
    Target,
    Targeted,
    Timeline,
    Whether,
)
from edge_agent.memory.telling import Said, Tell, Told, Write, prompt
from edge_agent.perception.vocabulary import slot_words

OF_THING = ("often", "long", "last", "first", "whether", "events")
OF_NUMBER = ("lowest", "highest", "average", "value", "change")
OF_DEVICE = ("sensors", "events")
OTHER = "other"
"""What is asked of it is none of these: where it was, whose, how loud."""
LEAST = 0.9
"""Below this probability a word is not believed."""
LEADS = {
    "often": "If you ask how often:", "long": "If you ask for how long:",
    "last": "If you ask for the last time:",
    "first": "If you ask for the first time:", "whether": "If you ask whether it was so:",
    "events": "If you ask what there was:", "lowest": "If you ask for the lowest value:",
    "highest": "If you ask for the highest value:", "average": "If you ask for the average:",
    "value": "If you ask for the value:", "change": "If you ask how it changed:",
    "sensors": "If you ask whether there were data:",
}  # fmt: skip
"""Before an answer whose kind the model told, so that who meant something else hears it."""
QUALITIES = frozenset(
    (
        "warm", "warmer", "warmest", "hot", "hottest", "cold", "colder", "coldest", "cool", "coolest",
        "chilly", "humid", "damp", "dampest", "dry", "driest", "bright", "brightest", "dark", "darker",
        "darkest", "dim", "stuffy", "stuffiest", "fresh", "fresher", "freshest",
    )
)  # fmt: skip
"""Words for a number that say in which way it is asked for, and so stay in the question."""
_QUERIES: dict[str, type[Targeted]] = {
    "often": HowOften, "long": HowLong, "last": LastTime, "first": FirstTime, "whether": Whether,
}  # fmt: skip
_TWICE = re.compile(rf"\b({THING}|{NUMBER}|{DEVICE})(?: \1\b)+")


@dataclass(frozen=True, slots=True)
class Found:
    """What the rules found of a question whose kind they did not: what it names, and when.

    `rest` is the question without its time. One of `target`, `number` and `slots` is there. `span` is the
    time asked about, `ever` that of the last time, `timed` whether a time was named, `instant` whether that
    was one moment. `told` is whether a rule says already that all there was is to be told.
    """

    rest: str
    span: Span
    ever: Span
    timed: bool
    instant: bool
    told: bool
    target: Target | None = None
    number: Number | None = None
    slots: tuple[str, ...] = ()

    @property
    def of(self) -> str:
        """THING, NUMBER or DEVICE."""
        if self.target is not None:
            return THING
        return NUMBER if self.number is not None else DEVICE

    @property
    def kinds(self) -> tuple[str, ...]:
        """What can be asked of it."""
        return {THING: OF_THING, NUMBER: OF_NUMBER, DEVICE: OF_DEVICE}[self.of]

    def query(self, kind: str, lexicon: Lexicon) -> Query | Measured:
        """What a kind makes of it."""
        if self.number is not None:
            value = Wanted.VALUE if self.instant else Wanted.RANGE
            return Measured(self.number.name, value if kind == "value" else Wanted(kind), self.span)
        if self.target is None:
            read = lexicon.read_by(self.slots)
            return Availability(self.slots, self.span) if kind == "sensors" else Timeline(read, self.span)
        if kind not in _QUERIES:
            return Timeline((self.target.head,), self.span)
        return _QUERIES[kind](self.target, self.ever if kind == "last" else self.span)


def asking(rest: str, *, timed: bool) -> str:
    """The prompt for a question whose names and time are replaced; `timed` where it had a time."""
    plain = _TWICE.sub(r"\1", rest.rstrip(" ?"))
    return prompt("kind", (), f"{plain} {THEN}" if timed else plain)


def unnamed(found: Found, lexicon: Lexicon) -> str:
    """The question with the fixed words in the places of what it names."""
    if found.target is not None:
        return _replaced(found.rest, lexicon.naming(found.target, found.rest), THING)
    if found.number is not None:
        number = found.number
        words = {number.name, *number.subject.removeprefix("the ").split(), *number.words} - QUALITIES
        return _replaced(found.rest, words, NUMBER)
    named = (word for slot in lexicon.slots if slot.name in found.slots for word in slot_words(slot))
    return _replaced(found.rest, ("sensors", "sensor", "devices", *named), DEVICE)


def grammar(kinds: Collection[str]) -> str:
    """The answers, in llama.cpp's GBNF."""
    return f'root ::= " "? ( {" | ".join(json.dumps(answer(kind)) for kind in (*kinds, OTHER))} )\n'


def answer(kind: str) -> str:
    """What the model is to write."""
    return f"{kind}."


def chosen(found: Found, lexicon: Lexicon, write: Write) -> str:
    """The kind that the model tells; empty where it cannot, is not sure, or says that it is another."""
    written = write(asking(unnamed(found, lexicon), timed=found.timed), grammar(found.kinds))
    kind = written.text.strip().removesuffix(".")
    sure = not written.reason and written.probability >= LEAST
    return kind if sure and kind in found.kinds else ""


def led(kind: str, tell: Tell) -> Tell:
    """The same with how the question was understood said first."""

    def say(said: Said, question: str) -> Told:
        return tell(replace(said, lead=LEADS[kind]), question)

    return say


def _replaced(text: str, words: Iterable[str], by: str) -> str:
    """`by` for each of the words, the longest first."""
    either = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    return re.sub(rf"\b(?:{either})\b", by, text) if either else text

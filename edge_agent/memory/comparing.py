"""Two times compared, as facts in words and as evidence: what was at each, and which of them was more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edge_agent.clock import NS_PER_S
from edge_agent.memory.clock_words import duration_words
from edge_agent.memory.compound import Compared
from edge_agent.memory.evidence import evidence
from edge_agent.memory.measured import Measured, MeasuredFinding, Wanted, measured
from edge_agent.memory.number_grammar import NumberGrammar
from edge_agent.memory.number_words import NumberWords, number_evidence
from edge_agent.memory.numbers import Number
from edge_agent.memory.queries import Finding, HowLong, HowOften, Queries
from edge_agent.memory.spells import together
from edge_agent.memory.telling import Said
from edge_agent.memory.words import Words, times
from edge_agent.perception.facts import join

Evidence = tuple[Mapping[str, object], ...]
_VALUE = {Wanted.AVERAGE: " on average", Wanted.HIGHEST: " at its highest", Wanted.LOWEST: " at its lowest"}


class Comparing:
    """Answers comparisons, with the words of the questions that they are made of."""

    def __init__(
        self, queries: Queries, numbers: NumberGrammar, words: Words, number_words: NumberWords
    ) -> None:
        self._queries = queries
        self._numbers = numbers
        self._words = words
        self._number_words = number_words

    def answer(self, query: Compared, now_ns: int) -> tuple[Said, Evidence]:
        """What is to be said of two times, and what it rests on."""
        if isinstance(query.one, Measured) and isinstance(query.other, Measured):
            return self._of_number(query.one, query.other, now_ns, up=query.up)
        one, other = (
            self._queries.run(part, now_ns)
            for part in (query.one, query.other)
            if isinstance(part, HowLong | HowOften)
        )
        said, change = self._of_label(one, other, up=query.up)
        return said, (_summary(said, change), *evidence(one), *evidence(other))

    # -- how long or how often a label was read ----------------------------------------------------------

    def _of_label(
        self, one: Finding, other: Finding, *, up: bool | None
    ) -> tuple[Said, Mapping[str, object]]:
        for found in (one, other):
            if found.newest_ns is None or (not found.watched_ns and not found.spells):
                return self._words.answer(found), {}  # there were no data
        assert isinstance(one.query, HowLong | HowOften)
        assert isinstance(other.query, HowLong | HowOften)
        often = isinstance(one.query, HowOften)
        whens = [self._words.span(f.query.span, f.now_ns) for f in (one, other)]  # type: ignore[union-attr]
        what, cautions = self._words.quoted(one.query.target), self._cautions((one, other), whens)
        if not one.total.times and not other.total.times:
            lead = "" if up is None else "No."
            return Said("none", {"what": what, "when": join(whens, "or")}, lead).but(cautions), {}
        sizes = [f.total.times if often else round(f.total.seen_ns / NS_PER_S) for f in (one, other)]
        facts = {
            "what": what,
            "when": whens[0],
            "then": whens[1],
            "value": _size(sizes[0], often=often),
        }
        change = abs(sizes[0] - sizes[1])
        kind = _kind(sizes[0] - sizes[1], "more", "less", "as much")
        if change:
            much = times(change) if often else duration_words(change * NS_PER_S)
            facts |= {"other": _size(sizes[1], often=often), "change": much}
        both = together([f.total for f in (one, other) if f.total.times])
        facts |= {"proof": self._words.proof(both)}
        said = Said(kind, facts, _lead(sizes[0] - sizes[1], up=up)).but(cautions)
        return said, {"change" if often else "change_seconds": change, "mean_probability": both.mean}

    def _cautions(self, found: tuple[Finding, ...], whens: list[str]) -> str:
        """Of which of the times not all was seen."""
        told = []
        for one, when in zip(found, whens, strict=True):
            span = one.query.span  # type: ignore[union-attr]
            if self._words.caution(one, span):
                whole, seen = span.end_ns - span.start_ns, one.watched_ns
                told.append(f"for {duration_words(seen)} of the {duration_words(whole)} {when}")
        return f"I had data {join(told)}" if told else ""

    # -- a measured number ---------------------------------------------------------------------------------

    def _of_number(
        self, one: Measured, other: Measured, now_ns: int, *, up: bool | None
    ) -> tuple[Said, Evidence]:
        number = self._numbers.number(one.name)
        found = [measured(self._queries.store, part, number.unit, now_ns) for part in (one, other)]
        proof = [fact for part in found for fact in number_evidence(part, number)]
        for part in found:
            if not part.minutes:
                when = self._words.span(part.query.span, now_ns)
                said = self._number_words.answer(part, number, when)
                return said, (_summary(said, {}), *proof)
        first, second = (_value(part, number) for part in found)
        both = replace(found[0], minutes=(*found[0].minutes, *found[1].minutes))
        facts = {
            "number": number.subject,
            "value": f"{number.said(first)}{_VALUE.get(one.wanted, '')}",
            "when": self._when(found[0]),
            "then": self._when(found[1]),
            "proof": self._number_words.proof(both),
        }
        kind = _kind(first - second, "higher", "lower", "equal")
        change = number.said(abs(first - second))
        if kind != "equal":
            facts |= {"other": f"{number.said(second)}{_VALUE.get(other.wanted, '')}", "change": change}
        said = Said(kind, facts, _lead(first - second, up=up))
        return said, (_summary(said, {"said_change": change, "count": both.count}), *proof)

    def _when(self, found: MeasuredFinding) -> str:
        if found.query.wanted is Wanted.VALUE:
            return self._number_words.minute(found.minutes[0], found)
        return self._words.span(found.query.span, found.now_ns)


def _value(found: MeasuredFinding, number: Number) -> float:
    """What is compared, as rounded as it is said: a difference is the one of the numbers beside it."""
    match found.query.wanted:
        case Wanted.HIGHEST:
            value = found.highest.high
        case Wanted.LOWEST:
            value = found.lowest.low
        case _:
            value = found.average
    return round(value, number.decimals)


def _kind(difference: float, more: str, less: str, same: str) -> str:
    return more if difference > 0 else less if difference < 0 else same


def _lead(difference: float, *, up: bool | None) -> str:
    """Yes or no, where the question wanted that."""
    if up is None:
        return ""
    return "Yes." if (difference > 0 if up else difference < 0) else "No."


def _size(size: int, *, often: bool) -> str:
    if often:
        return times(size) if size else "not once"
    return f"for {duration_words(size * NS_PER_S)}" if size else "at no time"


def _summary(said: Said, change: Mapping[str, object]) -> dict[str, object]:
    return {"query": "Compared", "relation": said.kind, **change}

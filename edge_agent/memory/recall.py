"""A question to an answer from memory, and the small dialog that lets one follow another.

None means that the question is not about the past: it then goes the way of every question about now.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import tzinfo

from edge_agent.memory import phrases
from edge_agent.memory.days import PhraseError
from edge_agent.memory.evidence import evidence, heads_of, span_of
from edge_agent.memory.grammar import Grammar, Refused, moved
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.measured import Measured, Wanted, measured
from edge_agent.memory.number_words import NumberWords, number_evidence
from edge_agent.memory.queries import (
    Before,
    FirstTime,
    HowLong,
    HowOften,
    LastTime,
    Now,
    Ongoing,
    Queries,
    Query,
    Span,
    Target,
    Timeline,
    Whether,
)
from edge_agent.memory.words import Words
from edge_agent.perception.prompt import normalise_question
from edge_agent.types import Answer, AnswerSource, Clock

ASKERS = 32
DIALOG_S = 300.0
"""A question follows on the one before it only within so many seconds."""
_BEFORE = re.compile(
    r"(and )?(what (was|happened|did you \w+|were \w+) )?(it )?(right |just )?(before|earlier)( that| this)?"
)
_SENSOR = re.compile(
    r"(and )?((which|what) (sensors?|one|device) .*|(from )?(which|what) sensors?|who (told|says|said).*"
    r"|how do you know( that| this| it)?|where do you (know|have) .* from|says who)"
)
_SURE = re.compile(
    r"(and )?(are you (really |quite )?(sure|certain)|how (sure|certain|confident) .*|really|sure)( .*)?"
)
_AND = re.compile(r"(and|what about|how about|and what about|and how about)\b")
_IT = re.compile(r"\bit\b|^and\b")
_SO_LONG = re.compile(r"(how long|since when) (has|is) (it|that) ?(been)? ?(so|like that|the case|that way)?")
_THAT = r"( was (it|that|this)| did (it|that) (happen|last))?"
_AGAIN = (
    (re.compile(rf"(and )?(for )?how long{_THAT}"), HowLong),
    (re.compile(rf"(and )?how (often|many times)({_THAT}| did (it|that) happen)"), HowOften),
    (re.compile(rf"(and )?(when|at what time|what time)(exactly )?{_THAT}( the)?( last)?( time)?"), LastTime),
    (
        re.compile(rf"(and )?(when (was|did) (it|that) first( happen)?|the first( time)?|when first{_THAT})"),
        FirstTime,
    ),
)
"""The same label and time, and another thing asked of it."""
_TARGETED = (LastTime, FirstTime, Ongoing, HowLong, HowOften, Whether)
_ONLY_AND = re.compile(r"(and|what about|how about|and what about|and how about|or)?[ ?,]*")


Asked = Query | Measured
_Again = HowLong | HowOften | LastTime | FirstTime
_BEFORE_WHAT = "Before what? Please ask for example: what happened in the last ten minutes?"
_NOTHING_BEFORE = "Please ask the whole question, for example: what happened in the last ten minutes?"


@dataclass(frozen=True, slots=True)
class _Turn:
    query: Asked
    at_ns: int


class Recall:
    """Answers about the past, for one thread."""

    def __init__(self, queries: Queries, lexicon: Lexicon, zone: tzinfo, clock: Clock) -> None:
        self._queries = queries
        self._lexicon = lexicon
        self._grammar = Grammar(lexicon, zone)
        self._numbers = self._grammar.numbers
        self._words = Words(lexicon, zone)
        self._number_words = NumberWords(lexicon.manifest, zone)
        self._clock = clock
        self._turns: OrderedDict[str, _Turn] = OrderedDict()

    def answer(self, question: str, asker: str) -> Answer | None:
        """The answer, or None where the question is for the model; `asker` is whose dialog this is."""
        began = time.monotonic()
        try:
            answer = self._answer(question, asker)
        except sqlite3.Error as error:
            text = "I cannot read my memory."
            answer = Answer(question, text, AnswerSource.REFUSAL, (), f"the memory failed: {error}")
        return answer and replace(answer, latency_ms=1e3 * (time.monotonic() - began))

    def _answer(self, question: str, asker: str) -> Answer | None:
        now_ns = self._clock.wall_ns()
        asked = normalise_question(question).rstrip("?")
        last = self._last(asker)
        if last is not None and (told := self._about_answer(asked, last, question, now_ns)) is not None:
            return told
        parsed = self._follow_up(asked, last, now_ns) or self._grammar.parse(question, now_ns)
        if isinstance(parsed, Timeline) and last is not None and _IT.search(asked):
            parsed = replace(parsed, heads=_heads_of(last) or parsed.heads)
        if isinstance(parsed, Refused):
            return Answer(question, parsed.text, AnswerSource.REFUSAL, (), parsed.reason)
        if parsed is None:
            number = self._numbers.named(asked)
            self._remember(asker, Now(self._lexicon.concerned(asked), number.name if number else ""))
            return None
        self._remember(asker, parsed)
        if isinstance(parsed, Measured):
            return self._measured(question, parsed, now_ns)
        found = self._queries.run(parsed, now_ns)
        return Answer(question, self._words.answer(found), AnswerSource.MEMORY, evidence(found))

    def _measured(self, question: str, query: Measured, now_ns: int, about: str = "") -> Answer:
        """The answer to a question about a number, or, of it, its sources or how sure they are."""
        number = self._numbers.number(query.name)
        found = measured(self._queries.store, query, number.unit, now_ns)
        match about:
            case "sources":
                text = self._number_words.sources(found)
            case "certainty":
                text = self._number_words.certainty(found, number)
            case _:
                text = self._number_words.answer(found, number, self._words.span(query.span, now_ns))
        return Answer(question, text, AnswerSource.MEMORY, number_evidence(found, number))

    # -- the dialog --------------------------------------------------------------------------------------

    def _last(self, asker: str) -> Asked | None:
        turn = self._turns.get(asker)
        if turn is None or self._clock.monotonic_ns() - turn.at_ns > DIALOG_S * 1e9:
            return None
        return turn.query

    def _remember(self, asker: str, query: Asked) -> None:
        self._turns.pop(asker, None)
        self._turns[asker] = _Turn(query, self._clock.monotonic_ns())
        while len(self._turns) > ASKERS:
            self._turns.popitem(last=False)

    def _about_answer(self, asked: str, last: Asked, question: str, now_ns: int) -> Answer | None:
        """Which sensor told, and how sure it is; about an answer from the model the model is asked."""
        sensor, sure = _SENSOR.fullmatch(asked), _SURE.fullmatch(asked)
        if isinstance(last, Now) or not (sensor or sure):
            return None
        if isinstance(last, Measured):
            return self._measured(question, last, now_ns, "sources" if sensor else "certainty")
        found = self._queries.run(last, now_ns)
        text = self._words.sources(found) if sensor else self._words.certainty(found)
        return Answer(question, text, AnswerSource.MEMORY, evidence(found))

    def _follow_up(self, asked: str, last: Asked | None, now_ns: int) -> Asked | Refused | None:
        """A question that is only whole with the one before it."""
        if _BEFORE.fullmatch(asked):
            return (
                Refused(_BEFORE_WHAT, "nothing was asked before")
                if last is None
                else self._before(last, now_ns)
            )
        again = next((kind for pattern, kind in _AGAIN if pattern.fullmatch(asked)), None)
        if again is not None:
            return self._again(last, again)
        if last is not None and _SO_LONG.fullmatch(asked) and len(heads := _heads_of(last)) == 1:
            return Ongoing(Target(heads[0], ()))
        if last is None or not (_AND.match(asked) or _ONLY_AND.fullmatch(asked)):
            return None
        try:
            when = phrases.find(asked, now_ns, self._grammar.zone)
        except PhraseError as error:
            return Refused(str(error), "no such time")
        return self._varied(last, when.rest if when else asked, when)

    def _again(self, last: Asked | None, again: type[_Again]) -> Asked | Refused | None:
        """Another thing asked of the label and the time of the question before."""
        if last is None:
            return Refused(_NOTHING_BEFORE, "nothing was asked before")
        if isinstance(last, Measured):
            return last  # its answer tells when
        if isinstance(last, Now) and len(last.heads) == 1 and again is HowLong:
            return Ongoing(Target(last.heads[0], ()))
        if not isinstance(last, _TARGETED) or isinstance(last, Ongoing):
            return None
        return again(last.target, last.span)

    def _varied(self, last: Asked, rest: str, when: phrases.TimePhrase | None) -> Asked | None:
        """The question before, of another time, of another label or of another number."""
        if when is not None and _ONLY_AND.fullmatch(rest):
            if isinstance(last, Now) and last.number:
                return Measured(last.number, self._numbers.wanted(rest, when), when.span)
            if isinstance(last, Measured) and last.wanted in {Wanted.VALUE, Wanted.RANGE}:
                return replace(last, span=when.span, wanted=self._numbers.wanted(rest, when))
            return moved(last, when.span)
        if isinstance(last, Measured):
            return self._other_number(last, rest, when)
        target = self._lexicon.target(rest)
        if target is not None and when is None and isinstance(last, _TARGETED):
            return replace(last, target=target)
        return None

    def _other_number(self, last: Measured, rest: str, when: phrases.TimePhrase | None) -> Measured | None:
        """The same of another number, or something else of the same one."""
        other, wanted = self._numbers.named(rest), self._numbers.wanted(rest, None)
        if other is None and wanted is Wanted.RANGE:
            return None
        if wanted is Wanted.RANGE and last.limit is None:
            wanted = last.wanted
        return Measured(other.name if other else last.name, wanted, when.span if when else last.span)

    def _before(self, last: Asked, now_ns: int) -> Asked:
        """What was before the last answer: the time before, or what was read before what it told of."""
        if isinstance(last, Measured):
            start_ns, end_ns = last.span.start_ns, last.span.end_ns
            return replace(last, span=Span(start_ns - (end_ns - start_ns), start_ns))
        span = span_of(last)
        if isinstance(last, Before):
            found = self._queries.run(last, now_ns)
            starts = [spell.start_ns for spell in found.spells]
            return Before(last.heads, min(starts, default=last.at_ns))
        if isinstance(last, Now):
            heads = last.heads or tuple(head.name for head in self._lexicon.heads)
            return Before(heads, self._current_start(heads, now_ns))
        if isinstance(last, LastTime | Ongoing):
            found = self._queries.run(last, now_ns)
            at_ns = found.spells[0].start_ns if found.spells else now_ns
            if isinstance(last, Ongoing):
                return Before((last.target.head,), at_ns)
            return LastTime(last.target, Span(last.span.start_ns, at_ns, open=last.span.open))
        assert span is not None  # all others have one
        earlier = moved(last, Span(span.start_ns - (span.end_ns - span.start_ns), span.start_ns))
        assert earlier is not None
        return earlier

    def _current_start(self, heads: tuple[str, ...], now_ns: int) -> int:
        """When what goes on now began."""
        newest = self._queries.run(Before(heads, now_ns), now_ns).spells
        return newest[-1].start_ns if newest else now_ns


def _heads_of(last: Asked) -> tuple[str, ...]:
    return () if isinstance(last, Measured) else heads_of(last)

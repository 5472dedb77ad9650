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

from edge_agent.memory.evidence import evidence
from edge_agent.memory.follow_ups import Asked, FollowUps, about_answer
from edge_agent.memory.grammar import Grammar, Refused
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.measured import Measured, measured
from edge_agent.memory.number_words import NumberWords, number_evidence
from edge_agent.memory.queries import Now, Queries, Timeline, heads_of
from edge_agent.memory.words import Words
from edge_agent.perception.prompt import normalise_question
from edge_agent.types import Answer, AnswerSource, Clock

ASKERS = 32
DIALOG_S = 300.0
"""A question follows on the one before it only within so many seconds."""
_IT = re.compile(r"\bit\b|^and\b")


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
        self._follow_ups = FollowUps(self._grammar, queries)
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
        if last is not None and not isinstance(last, Now) and (about := about_answer(asked)):
            return self._told(question, last, now_ns, about)
        parsed = self._follow_ups.parse(asked, last, now_ns) or self._grammar.parse(question, now_ns)
        if isinstance(parsed, Timeline) and last is not None and _IT.search(asked):
            parsed = replace(parsed, heads=heads_of(last) or parsed.heads)
        if isinstance(parsed, Refused):
            return Answer(question, parsed.text, AnswerSource.REFUSAL, (), parsed.reason)
        if parsed is None:
            number = self._numbers.named(asked)
            self._remember(asker, Now(self._lexicon.concerned(asked), number.name if number else ""))
            return None
        self._remember(asker, parsed)
        return self._told(question, parsed, now_ns)

    def _told(self, question: str, query: Asked, now_ns: int, about: str = "") -> Answer:
        """The answer to a query or, `about` it, its "sources" or its "certainty"."""
        if isinstance(query, Measured):
            return self._measured(question, query, now_ns, about)
        found = self._queries.run(query, now_ns)
        match about:
            case "sources":
                text = self._words.sources(found)
            case "certainty":
                text = self._words.certainty(found)
            case _:
                text = self._words.answer(found)
        return Answer(question, text, AnswerSource.MEMORY, evidence(found))

    def _measured(self, question: str, query: Measured, now_ns: int, about: str) -> Answer:
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

"""A question to an answer from memory, and the small dialog that lets one follow another.

None means that the question is not about the past: it then goes the way of every question about now.
"""

from __future__ import annotations

import re
import sqlite3
import time
from dataclasses import replace
from datetime import tzinfo

from edge_agent.askers import Askers
from edge_agent.memory import kinds
from edge_agent.memory.comparing import Comparing, Evidence
from edge_agent.memory.compound import Compared, Each, Part, Whole
from edge_agent.memory.evidence import evidence
from edge_agent.memory.follow_ups import Asked, FollowUps, about_answer
from edge_agent.memory.grammar import NOT_PERCEIVED, Grammar, Refused
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.measured import Measured, measured
from edge_agent.memory.number_words import NumberWords, number_evidence
from edge_agent.memory.queries import Now, Queries, Query, Timeline, heads_of
from edge_agent.memory.telling import Said, Tell, Write, by_rules
from edge_agent.memory.words import Words
from edge_agent.perception.prompt import normalise_question
from edge_agent.types import Answer, AnswerSource, Clock

_IT = re.compile(r"\bit\b|^and\b")


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
        self._comparing = Comparing(queries, self._numbers, self._words, self._number_words)
        self._clock = clock
        self.askers: Askers[Asked] = Askers(clock)

    def answer(
        self, question: str, asker: str, tell: Tell = by_rules, write: Write | None = None
    ) -> Answer | None:
        """The answer, or None where the question is for the model; `asker` is whose dialog this is.

        `tell` words what is to be said. A refusal is worded here. What kind of answer is wanted is asked of
        the language model, by `write`, where the rules do not tell.
        """
        began = time.monotonic()
        try:
            answer = self._answer(question, asker, tell, write)
        except sqlite3.Error as error:
            text = "I cannot read my memory."
            answer = Answer(question, text, AnswerSource.REFUSAL, (), f"the memory failed: {error}")
        return answer and replace(answer, latency_ms=1e3 * (time.monotonic() - began))

    def _answer(self, question: str, asker: str, tell: Tell, write: Write | None) -> Answer | None:
        now_ns = self._clock.wall_ns()
        asked = normalise_question(question).rstrip("?")
        last = self.askers.last(asker)
        if last is not None and not isinstance(last, Now) and (about := about_answer(asked)):
            return self._told(question, last, now_ns, tell, about)
        parsed, kind = self._follow_ups.parse(asked, last, now_ns), ""
        if parsed is None:
            parsed, kind = self._parsed(question, now_ns, write)
        if isinstance(parsed, Timeline) and last is not None and _IT.search(asked):
            parsed = replace(parsed, heads=heads_of(last) or parsed.heads)
        if isinstance(parsed, Refused):
            return Answer(question, parsed.text, AnswerSource.REFUSAL, (), parsed.reason)
        if parsed is None:
            number = self._numbers.named(asked)
            self.askers.remember(asker, Now(self._lexicon.concerned(asked), number.name if number else ""))
            return None
        self.askers.remember(asker, parsed)
        if not kind:
            return self._told(question, parsed, now_ns, tell)
        told = self._told(question, parsed, now_ns, kinds.led(kind, tell))
        return replace(told, understood_by="lm")

    def _parsed(self, question: str, now_ns: int, write: Write | None) -> tuple[Whole | Refused | None, str]:
        """The query, and its kind where the language model told that; else as the rules have it."""
        parsed = self._grammar.parse(question, now_ns)
        found = self._grammar.found(question, now_ns) if write and _is_unclear(parsed) else None
        if write is None or found is None or (isinstance(parsed, Timeline) and found.told):
            return parsed, ""
        kind = kinds.chosen(found, self._lexicon, write)
        if not kind or (isinstance(parsed, Timeline) and kind == "events"):
            return parsed, ""
        return found.query(kind, self._lexicon), kind

    def _told(self, question: str, query: Whole, now_ns: int, tell: Tell, about: str = "") -> Answer:
        """The answer to a query or, `about` it, its "sources" or its "certainty"."""
        said, proof = self._said(query, now_ns, about)
        told = tell(said, question)
        return Answer(
            question, told.text, AnswerSource.MEMORY, proof, told.objection,
            first_token_ms=told.first_token_ms, worded_by=told.by,
        )  # fmt: skip

    def _said(self, query: Whole, now_ns: int, about: str) -> tuple[Said, Evidence]:
        match query:
            case Compared() if not about:
                return self._comparing.answer(query, now_ns)
            case Compared():
                return self._each((query.one, query.other), now_ns, about)
            case Each(parts):
                return self._each(parts, now_ns, about)
            case Measured():
                return self._measured(query, now_ns, about)
        return self._read(query, now_ns, about)

    def _each(self, parts: tuple[Part, ...], now_ns: int, about: str) -> tuple[Said, Evidence]:
        """Several answers, one after the other, each in the words of the rules."""
        told = [self._said(part, now_ns, about) for part in parts]
        events = " ".join(dict.fromkeys(said.text for said, _ in told)).removesuffix(".")
        summary = {"query": "Each", "questions": len(parts)}
        return Said("each", {"events": events}), (summary, *(fact for _, proof in told for fact in proof))

    def _read(self, query: Query, now_ns: int, about: str) -> tuple[Said, Evidence]:
        found = self._queries.run(query, now_ns)
        match about:
            case "sources":
                said = self._words.sources(found)
            case "certainty":
                said = self._words.certainty(found)
            case _:
                said = self._words.answer(found)
        return said, evidence(found)

    def _measured(self, query: Measured, now_ns: int, about: str) -> tuple[Said, Evidence]:
        number = self._numbers.number(query.name)
        found = measured(self._queries.store, query, number.unit, now_ns)
        match about:
            case "sources":
                said = self._number_words.sources(found)
            case "certainty":
                said = self._number_words.certainty(found, number)
            case _:
                said = self._number_words.answer(found, number, self._words.span(query.span, now_ns))
        return said, number_evidence(found, number)


def _is_unclear(parsed: Whole | Refused | None) -> bool:
    """Whether the rules found no query, or told all there was for want of a better one."""
    return isinstance(parsed, Timeline | None) or (
        isinstance(parsed, Refused) and parsed.reason == NOT_PERCEIVED
    )

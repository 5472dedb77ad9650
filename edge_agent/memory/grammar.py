"""From a question to a query, by rules alone; what they do not cover is not about the past.

The rules look for what is wanted (how often, how long, when), for which time, and of what. Where the question
is plainly about the past and names nothing that is perceived, the answer is a refusal that says what is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import tzinfo

from edge_agent.memory import (
    asking,
    each_grammar,
    everyday,
    exact,
    most_grammar,
    number_grammar,
    phrases,
    unanswered,
)
from edge_agent.memory.clock_words import day_bounds_ns, local
from edge_agent.memory.compare_grammar import CompareGrammar
from edge_agent.memory.compound import Each, Part, Whole, each
from edge_agent.memory.database import EVER_NS
from edge_agent.memory.days import PhraseError
from edge_agent.memory.kinds import Found
from edge_agent.memory.known_words import KnownWords
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.measured import Measured, Wanted
from edge_agent.memory.number_grammar import Limit, NumberGrammar
from edge_agent.memory.queries import (
    Availability,
    FirstTime,
    HowLong,
    HowOften,
    LastTime,
    Most,
    Now,
    Ongoing,
    Query,
    Span,
    Target,
    Targeted,
    Timeline,
    Unusual,
    Whether,
)
from edge_agent.perception.facts import join
from edge_agent.perception.prompt import normalise_question

NOT_PERCEIVED = "not perceived"
_AS_ASKED = "not to be told as it is asked"


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a question about the past has no answer, in words."""

    text: str
    reason: str


class Grammar:
    """The rules for one model, one set of sensors and one place."""

    def __init__(self, lexicon: Lexicon, zone: tzinfo) -> None:
        self.lexicon = lexicon
        self.zone = zone
        self.numbers = NumberGrammar(lexicon.manifest, frozenset(slot.name for slot in lexicon.slots))
        self._known = KnownWords(lexicon, self.numbers.numbers)
        self._compare = CompareGrammar(lexicon, self.numbers, self._known, zone)

    def parse(self, question: str, now_ns: int) -> Whole | Refused | None:
        """The query, or why there is none, or None where the question is not about the past."""
        asked = normalise_question(question)
        if asking.SMALL_TALK.search(asked) or asking.HOW_KNOWN.match(asked):
            return None
        asked = _worded(asked)
        try:
            return self._parsed(asked, now_ns)
        except PhraseError as error:
            return Refused(str(error), "no such time")

    def _parsed(self, asked: str, now_ns: int) -> Whole | Refused | None:
        if text := self._unanswered(asked):
            return Refused(text, _AS_ASKED)
        asked, limit = self.numbers.without_limit(asked)
        if limit is not None and self.numbers.without_limit(asked)[1] is not None:
            return Refused("Please ask of one limit at a time.", "two limits")
        if (compared := self._compared(asked, now_ns)) is not None:
            return compared
        when = phrases.find(asked, now_ns, self.zone)
        rest = when.rest if when else asked
        past = when is not None or asking.PAST.search(rest) is not None or everyday.tells_of_past(rest)
        if (past or unanswered.who(rest)) and (text := unanswered.of_past(rest)):
            return Refused(text, _AS_ASKED)
        if when is not None and (second := phrases.find(rest, now_ns, self.zone)) is not None:
            return self._of_two_times(asked, limit, when, second, now_ns)
        return self._of_time(asked, rest, limit, when, now_ns)

    def _of_time(
        self, asked: str, rest: str, limit: Limit | None, when: phrases.TimePhrase | None, now_ns: int
    ) -> Part | Each | Refused | None:
        """The query of one time, or of none; `rest` is without it."""
        past = when is not None or asking.PAST.search(rest) is not None or everyday.tells_of_past(rest)
        rest = everyday.plain(rest, self.lexicon)
        query: Query | Measured | Refused | None = self._query(rest, when, now_ns, past=past)
        if not isinstance(query, Unusual | Availability) and (limit or self._is_of_number(rest)):
            query = self._measured(rest, when, limit, now_ns, asked) or query
        if (query is not None or when is not None) and (absent := self._absent(rest)):
            return absent
        checked = self._checked(query, rest)
        if checked is None or isinstance(checked, Refused):
            return checked
        if text := exact.refusal(checked, rest, self.lexicon):
            return Refused(text, _AS_ASKED)
        if isinstance(checked, Measured):
            return self._several(checked, rest)
        return self._several(self._exact(checked, asked, rest), rest)

    def _of_two_times(
        self,
        asked: str,
        limit: Limit | None,
        when: phrases.TimePhrase,
        second: phrases.TimePhrase,
        now_ns: int,
    ) -> Part | Each | Refused | None:
        """The same question of each of two times, or of one within the other: "in the last hour today"."""
        outer = second.span
        if outer.start_ns <= when.span.start_ns and when.span.end_ns <= outer.end_ns:
            return self._of_time(asked, second.rest, limit, when, now_ns)
        rest, joined = unanswered.JOINED.subn("", second.rest)
        if not joined or when.instant or second.instant:
            return Refused(unanswered.TWO_TIMES, "two times")
        query = self._of_time(asked, rest, limit, when, now_ns)
        if query is None or isinstance(query, Refused):
            return query
        other = moved(query, second.span)
        return (
            each([query, other])
            if other and not isinstance(query, Each)
            else Refused(unanswered.TWO_TIMES, "two times")
        )

    def _unanswered(self, asked: str) -> str:
        """Why a question has no answer that is known from a few of its words."""
        if self.numbers.named(asked) is not None:
            return ""
        least = "" if " than " in asked else most_grammar.least(asked)
        return most_grammar.loud(asked) or unanswered.compared_otherwise(asked) or least

    def _measured(  # noqa: PLR0911  # each way not to be answered
        self, rest: str, when: phrases.TimePhrase | None, limit: Limit | None, now_ns: int, asked: str
    ) -> Measured | Refused | None:
        """What is asked of a number; None where the question is not about the past of one."""
        by_day = unanswered.by_day(rest)
        ever_words = number_grammar.EVER if limit is None else number_grammar.BEYOND
        ever = by_day or ever_words.search(rest) is not None
        found = self.numbers.parse(rest, when, lambda: self.span(when, now_ns, ever=ever), limit)
        if isinstance(found, str):
            return Refused(found, "another unit")
        if found is None:
            return None
        takes = unanswered.takes(rest)
        if found.limit is not None and not takes and (unanswered.denied(asked) or unanswered.whole(asked)):
            return replace(found, wanted=Wanted.RANGE, limit=None)  # from where to where it was tells that
        most = found.wanted in {Wanted.HIGHEST, Wanted.LOWEST}
        if by_day and not most:
            return Refused(unanswered.BY_DAY, _AS_ASKED)
        if takes and found.limit is None and not most:
            subject = self.numbers.number(found.name).subject
            return Refused(
                f"I can tell when {subject} was above or below a value, and when it was highest or lowest. "
                "Please ask for that.",
                _AS_ASKED,
            )
        if found.wanted is Wanted.CHANGE and when is not None and when.instant:
            return replace(found, span=Span(when.middle_ns, now_ns))  # how it changed from noon
        return found

    def _exact(self, query: Query, asked: str, rest: str) -> Query | Refused:
        """A query that answers no more than was asked."""
        if exact.is_of_another_sensor(query, rest, self.lexicon):
            return self._unknown()
        return exact.exact(query, asked, rest, self.lexicon)

    def _compared(self, asked: str, now_ns: int) -> Whole | Refused | None:
        """A comparison of two times, or why there is none; None where nothing is compared."""
        found = self._compare.parse(asked, now_ns, self._is_of_number, asking.RULES)
        if found is not None and (absent := self._absent(asked)):
            return absent
        return Refused(found, "not to be compared") if isinstance(found, str) else found

    def _several(self, query: Part | Refused | None, rest: str) -> Part | Each | Refused | None:
        """The same of each thing that is named."""
        if isinstance(query, Measured):
            return each_grammar.several_numbers(query, rest, self.numbers)
        if query is None or isinstance(query, Refused):
            return query
        return each_grammar.several(query, rest, self.lexicon)

    def _absent(self, asked: str) -> Refused | None:
        """A refusal where a sensor is named that is not there."""
        if not (absent := self.lexicon.absent(asked)):
            return None
        missing = join((f"no {name}" for name in absent), "and")
        return Refused(f"I have {missing}. I have {self._owned()}.", "no such sensor")

    def _checked(
        self, query: Query | Measured | Refused | None, rest: str
    ) -> Query | Measured | Refused | None:
        """Refused where a word means something not perceived: "was the baby fed" is not of its crying."""
        if query is None or isinstance(query, Refused):
            return query
        if isinstance(query, LastTime | FirstTime | Ongoing | HowLong | HowOften) and asking.NOT.search(rest):
            return Refused(
                "I keep what was read, not what was not. Please ask it without the word not.", "a negation"
            )
        rules = number_grammar.RULES if isinstance(query, Measured) else asking.RULES
        if isinstance(query, Measured) and query.limit is not None:
            rules = (*rules, number_grammar.BEYOND)
        unknown = self._known.unknown(rest, rules)
        return (
            Refused(f'I do not know what "{unknown[0]}" is. {self._offer()}', NOT_PERCEIVED)
            if unknown
            else query
        )

    def _is_of_number(self, rest: str) -> bool:
        """Whether a measured number is meant, not a label: "did the light fall" is not of falling rain."""
        number, target = self.numbers.named(rest), self.lexicon.target(rest)
        slots = self.lexicon.named_slots(rest)
        if number is None or (slots and not number.slots & set(slots)):
            return False
        concerned = self.lexicon.concerned(rest)
        if number.endings:  # of a head, whose words ("the camera") say less
            return target is None and not concerned
        return target is None or target.head not in concerned

    def span(self, when: phrases.TimePhrase | None, now_ns: int, *, ever: bool = False) -> Span:
        """The time asked about; without one today, or as far back as anything goes."""
        if when is not None:
            return when.span
        if ever:
            return Span(-EVER_NS, now_ns, open=True)
        return Span(day_bounds_ns(local(now_ns, self.zone).date(), self.zone)[0], now_ns)

    def _query(
        self, rest: str, when: phrases.TimePhrase | None, now_ns: int, *, past: bool
    ) -> Query | Refused | None:
        if past and asking.WHY.match(rest):
            target = self.lexicon.target(rest)
            return Whether(target, self.span(when, now_ns), why=True) if target else self._unknown()
        span = self.span(when, now_ns)
        if past and asking.UNUSUAL.search(rest):
            return Unusual(span)
        if past and (slots := self._asked_slots(rest)):
            return Availability(slots, span)
        most = most_grammar.parse(rest, span, self.lexicon)
        if most is not None and (past or "most" in rest):
            return most
        return self._counted(rest, when, now_ns, past=past) or self._told(rest, when, now_ns, past=past)

    def _asked_slots(self, rest: str) -> tuple[str, ...]:
        """The slots whose data are asked about, empty where the question is another one."""
        if not asking.DATA.search(rest) or self.lexicon.target(rest):
            return ()
        named = self.lexicon.named_slots(rest)
        everything = tuple(slot.name for slot in self.lexicon.slots)
        return named or (
            everything if asking.NOUN_SENSOR.search(rest) and not self.lexicon.absent(rest) else ()
        )

    def _counted(  # noqa: PLR0911  # one for each kind of question
        self, rest: str, when: phrases.TimePhrase | None, now_ns: int, *, past: bool
    ) -> Query | Refused | None:
        """How often, how long, when: a question about one label."""
        ago, often = asking.AGO.search(rest) is not None, asking.OFTEN.search(rest) is not None
        long = asking.LONG.search(rest) is not None and not ago
        if not (often or long or ago or (past and (asking.WHEN.search(rest) or asking.FIRST.search(rest)))):
            return None
        target = self.lexicon.target(rest)
        if target is None:
            concerned = self.lexicon.concerned(rest)
            if past and long and len(concerned) == 1 and when is None and asking.ONGOING.search(rest):
                return Ongoing(Target(concerned[0], ()))
            return self._unknown() if past else None
        if not (long or often):
            begun = asking.FIRST.search(rest) or (when is not None and asking.BECAME.search(rest))
            first = begun and not (ago or asking.LAST.search(rest))
            if when is None and asking.STOPPED.search(rest) and not first:
                return Ongoing(target)  # which tells when it ended
            span = self.span(when, now_ns, ever=not first)
            return FirstTime(target, span) if first else LastTime(target, span)
        ongoing = when is None and asking.ONGOING.search(rest) and not re.search(r"\b(was|were|did)\b", rest)
        if long and not often and ongoing:
            return Ongoing(target)
        return (HowOften if often else HowLong)(target, self.span(when, now_ns))

    def _told(  # noqa: PLR0911  # one for each kind of question
        self, rest: str, when: phrases.TimePhrase | None, now_ns: int, *, past: bool
    ) -> Query | Refused | None:
        """Whether, or what: a question about what there was."""
        if not past:
            return None
        target, heads = self.lexicon.target(rest), self.lexicon.concerned(rest)
        if target is not None and when is None and asking.HAS_STOPPED.match(rest):
            return Ongoing(target)
        if target is not None and asking.POLAR.match(rest):
            return _whether(rest)(target, self.span(when, now_ns))
        if target is not None and when is not None:
            for kind, words in asking.OTHERWISE:
                if words.search(rest):
                    return kind(target, when.span)
        heads = heads or ((target.head,) if target is not None else ())
        if heads and (when is not None or (asking.TOLD.search(rest) and asking.PAST_TENSE.search(rest))):
            return Timeline(heads, self.span(when, now_ns))
        plain = (
            when is not None
            and self._known.names_nothing(rest)
            and not re.search(r"\d", rest)
            and not asking.MINE.search(rest)
        )
        if plain or asking.EVERYTHING.search(rest):
            return Timeline(self._all_heads(), self.span(when, now_ns))
        doubtful = (
            asking.POLAR.match(rest) and asking.PAST_TENSE.search(rest) and not asking.OF_ITSELF.search(rest)
        )
        return self._unknown() if when is not None or doubtful else None

    def _all_heads(self) -> tuple[str, ...]:
        return tuple(head.name for head in self.lexicon.heads)

    def _unknown(self) -> Refused:
        return Refused(f"I cannot tell that from what I perceive. {self._offer()}", NOT_PERCEIVED)

    def _offer(self) -> str:
        known = [*(n.subject for n in self.numbers.numbers), *self.lexicon.known_phrases()]
        some = join(known, "or") if len(known) <= 12 else f"{', '.join(known[:12])} and others"
        return f"I can look back for {some}."

    def _owned(self) -> str:
        return join(slot.description for slot in self.lexicon.slots) or "no sensors"

    def found(self, question: str, now_ns: int) -> Found | None:
        """What a question about the past names, whatever is asked of it; None where it is no such question.

        Not either where it names several things or holds a word that is not known, a limit, or a "not".
        """
        asked, limit = self.numbers.without_limit(_worded(normalise_question(question)))
        try:
            when = phrases.find(asked, now_ns, self.zone)
        except PhraseError:
            return None
        rest = everyday.plain(when.rest if when else asked, self.lexicon)
        past = when is not None or asking.PAST_TENSE.search(rest)
        denied = asking.NOT.search(rest) or asking.NO.search(rest) or asking.WHY.match(rest)
        if not past or limit or denied or self.lexicon.absent(rest):
            return None
        span, ever = (self.span(when, now_ns, ever=ever) for ever in (False, True))
        instant = when is not None and when.instant
        found = Found(rest, span, ever, when is not None, instant, asking.EVERYTHING.search(rest) is not None)
        named = self._naming(found)
        return named if named is not None and self._is_asked(named) else None

    def _naming(self, found: Found) -> Found | None:
        """The same with the one thing that it names: a number, a label or sensors."""
        rest, number = found.rest, self.numbers.named(found.rest)
        if number is not None and self._is_of_number(rest):
            one = self._several(Measured(number.name, Wanted.RANGE, found.span), rest)
            return None if isinstance(one, Each) else replace(found, number=number)
        if most_grammar.loud(rest) or most_grammar.least(rest):
            return None
        if (target := self.lexicon.target(rest)) is not None:
            one = self._several(Whether(target, found.span), rest)
            return None if isinstance(one, Each) else replace(found, target=target)
        slots = self.lexicon.named_slots(rest)
        return replace(found, slots=slots) if slots else None

    def _is_asked(self, found: Found) -> bool:
        """Whether all words are known or only say how something is asked."""
        rules = number_grammar.RULES if found.number else asking.RULES
        return self._known.only_asks(self._known.unknown(found.rest, rules), found.of)


def _worded(asked: str) -> str:
    """A normalised question in the plain words that the rules look for."""
    return everyday.unframed(
        asking.THROUGH.sub("tell me", asking.POSSESSIVE.sub(r"\1", everyday.spelled_out(asked)))
    )


def _whether(rest: str) -> type[Whether | HowOften | HowLong]:
    """What a question is that wants a yes or a no; "more than three times?" wants to know how often."""
    if (least := unanswered.COUNT.search(rest)) is None:
        return Whether
    return HowOften if (least["unit"] or "time").startswith("time") else HowLong


def moved(query: Whole | Now, span: Span) -> Part | None:
    """The same question of another time; None where it has none."""
    if isinstance(query, Measured | Targeted | Timeline | Most | Unusual | Availability):
        return replace(query, span=span)
    if isinstance(query, Ongoing) and query.target.labels:
        return HowLong(query.target, span)
    return None

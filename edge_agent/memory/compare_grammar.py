"""From a comparison to a query: "was it warmer than yesterday?", "did it rain more today or on Monday?".

A question is cut where what it compares with begins; the time, and what was so, are looked for on each side.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo

from edge_agent.memory import everyday, number_grammar, phrases
from edge_agent.memory.clock_words import NUMBER, day_bounds_ns, instant_ns, local
from edge_agent.memory.compound import Comparable, Compared
from edge_agent.memory.days import DAY
from edge_agent.memory.known_words import KnownWords
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.measured import Measured, Wanted
from edge_agent.memory.number_grammar import NumberGrammar
from edge_agent.memory.numbers import Number
from edge_agent.memory.queries import HowLong, HowOften, Most, Span

_DOWN = r"colder|cooler|chillier|darker|dimmer|drier|dryer|fresher|lower|shorter|rarer|better|quieter"
_UP = (
    r"more|longer|higher|warmer|hotter|brighter|lighter|damper|wetter|moister|stuffier|staler|worse|greater"
    r"|bigger|louder"
)
_LOW = r"(?:cold|cool|chilly|dark|dim|dry|fresh|ventilated)"
_MORE = re.compile(rf"\b(?:{_UP}|{_DOWN}|less|fewer)\b")
_AS = re.compile(r"\bas (?:\w+) (?:\w+ )?(?=as\b)")
_COMPARE = re.compile(
    r"\b(compare[ds]?|comparing|comparison|differen(?:t|ce)|differ(?:ed|s)?|versus|vs|against"
    r"|the same)\b"
)
_CUT = re.compile(
    r",? \b(than|as|compared (?:to|with)|in comparison (?:to|with)|versus|vs|against|or|with|and|to|from)\b "
)
_ANYHOW = frozenset(("than", "as", "versus", "vs", "against"))
"""Cut where a comparison is made; at "or" and "and" only where both sides have a time."""
_FILLER = re.compile(
    r"\b(?:it|that|this|he|she|they|there|one|was|were|is|are|did|do|had|has|been|be|so|the|a|in|on|at|of|for"
    r"|during|what|how|air|room|values?|average|again)\b|[ ,?]"
)
_NOW = re.compile(r"\b(?:(?:right |just )?now|at the moment|currently|at present)\b")
_PRESENT = re.compile(r"\b(?:is|are|has|have)\b|'s\b")
_OFTEN = re.compile(r"\b(?:often|times|frequent(?:ly)?|regular(?:ly)?|fewer|occasions|count)\b")
_DURING = re.compile(r"\b(?:long|longer|shorter|time|minutes|hours)\b")
_POLAR = re.compile(r"(?:and |so )?(?:tell me (?:if|whether)|was|were|did|has|have|had|is|are|does|do)\b")
_THE_ONE_BEFORE = re.compile(
    r"(?:it was |in |on |during )*the (?:(?P<unit>day|night|morning|afternoon|evening|week|hour)|one|time)"
    r" before(?: that)?\??"
)
_DAY = re.compile(rf"\b(?:{DAY})")
_OWN_DAY = re.compile(r"\b(?:this|last|since|ago|tonight|now|past|week|month)\b")
_OF_A_DAY = re.compile(r"\b(?:morning|afternoon|evening|night|noon|midnight|at \w+)\b")
_THRESHOLD = re.compile(rf"\bthan (?:about |around )?(?:{NUMBER}|once|twice)\b")
_USUAL = re.compile(
    r"\b(?:than|as|with|to) (?:it (?:was|is) )?(?:\w+ )?(?:usual(?:ly)?|normal(?:ly)?|average|ever|always)\b"
)
_BEFORE = re.compile(r"\bthan (?:before|earlier|that|(?:it|they) (?:was|were|had been)\b)")
_DIFFERENT = (_MORE, _AS, _COMPARE, _OFTEN, _DURING)
_ALIKE = 0.85
"""Two times of about one length are a day and a day, a month and a month."""
HELP = (
    "I can compare one thing, or a number, at two times. "
    "Please ask for example: was it warmer today than yesterday?"
)


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a comparison: its words without the time, and the time (None: none was said).

    `up`: whether it was asked to be more than the other (or less); None: it was not.
    """

    rest: str
    when: phrases.TimePhrase | None
    up: bool | None = None


class CompareGrammar:
    """The rules for one model, one set of sensors and one place."""

    def __init__(self, lexicon: Lexicon, numbers: NumberGrammar, known: KnownWords, zone: tzinfo) -> None:
        self._lexicon = lexicon
        self._numbers = numbers
        self._known = known
        self._zone = zone

    def parse(  # noqa: PLR0911  # each way not to be answered
        self, asked: str, now_ns: int, is_of_number: Callable[[str], bool], rules: Iterable[re.Pattern[str]]
    ) -> Compared | Measured | Most | str | None:
        """The query, or why there is none, or None where nothing is compared.

        Raises PhraseError for a time that cannot be meant.
        """
        compared = bool(_MORE.search(asked) or _AS.search(asked))
        if not compared and not _COMPARE.search(asked):
            return None
        sides = self._sides(asked, now_ns, compared=compared)
        if sides is None:
            return self._without_times(asked, now_ns) if compared else None
        one, other = sides
        rest = everyday.plain(one.rest, self._lexicon)
        if unknown := self._known.unknown(rest, (*_DIFFERENT, *number_grammar.RULES, *rules)):
            return f'I do not know what "{unknown[0]}" is. {HELP}'
        number = self._numbers.named(rest) if is_of_number(rest) else None
        if number is not None:
            return self._of_number(rest, number, one, other, now_ns)
        target = self._lexicon.target(rest)
        if target is None:
            return HELP
        kind = HowOften if _OFTEN.search(rest) else HowLong
        spans = self._spans(one, other, now_ns)
        if isinstance(spans, str):
            return spans
        return Compared(kind(target, spans[0]), kind(target, spans[1]), one.up)

    # -- where the sides are ---------------------------------------------------------------------------------

    def _sides(self, asked: str, now_ns: int, *, compared: bool) -> tuple[_Side, _Side] | None:
        """What is compared and with what, where the other side is a time alone."""
        for cut in reversed(list(_CUT.finditer(asked))):
            said = asked[cut.end() :]
            one = self._side(_on_its_day(asked[: cut.start()], said), now_ns)
            before = _THE_ONE_BEFORE.fullmatch(said)
            other = self._side_before(one, before["unit"]) if before else self._side(said, now_ns)
            if other.when is None or _FILLER.sub("", other.rest):
                continue
            if not (cut[1] in _ANYHOW or "compar" in cut[1]) and one.when is None:
                continue
            if cut[1] == "or" and not compared:
                continue
            return replace(one, up=None if cut[1] == "or" else _up(one.rest)), other
        return None

    def _side(self, words: str, now_ns: int) -> _Side:
        when = phrases.find(words, now_ns, self._zone)
        if when is None and (now := _NOW.search(words)):
            rest = f"{words[: now.start()]} {words[now.end() :]}"
            return _Side(rest, phrases.TimePhrase(Span(now_ns, now_ns), rest, instant=True))
        return _Side(when.rest if when else words, when)

    def _side_before(self, one: _Side, unit: str | None) -> _Side:
        """The same hours of the day or the week before, or as long a time just before."""
        if one.when is None:
            return one
        span = one.when.span
        if (days := {"week": 7, "hour": 0, None: 0}.get(unit, 1)) == 0:
            before = Span(2 * span.start_ns - span.end_ns, span.start_ns)
            return _Side("", replace(one.when, span=before))
        ends = (local(at_ns, self._zone) - timedelta(days=days) for at_ns in (span.start_ns, span.end_ns))
        start_ns, end_ns = (instant_ns(at.date(), at.time(), self._zone) for at in ends)
        return _Side("", replace(one.when, span=Span(start_ns, end_ns)))

    def _without_times(self, asked: str, now_ns: int) -> Most | str | None:
        """Compared with another label, or with what nobody can tell."""
        if _USUAL.search(asked):
            return f"I do not know what is usual. {HELP}"
        cut = next((m for m in _CUT.finditer(asked) if m[1] == "than"), None)
        if cut is None or _THRESHOLD.search(asked) or _BEFORE.search(asked):
            return None
        one, other = (
            self._lexicon.target(part, asked) for part in (asked[: cut.start()], asked[cut.end() :])
        )
        if one is None or other is None or one == other:
            return HELP
        when = phrases.find(asked, now_ns, self._zone)
        return Most((one, other), self._or_today(when, now_ns), longest=not _OFTEN.search(asked))

    # -- of which times --------------------------------------------------------------------------------------

    def _or_today(self, when: phrases.TimePhrase | None, now_ns: int) -> Span:
        today = local(now_ns, self._zone).date()
        return when.span if when is not None else Span(day_bounds_ns(today, self._zone)[0], now_ns)

    def _spans(self, one: _Side, other: _Side, now_ns: int) -> tuple[Span, Span] | str:
        """The two times; of one that is not over yet the other one is as much, for both to be alike."""
        assert other.when is not None  # or there were no sides
        today = self._day(local(now_ns, self._zone).date(), now_ns)
        begins_today = other.when.span.start_ns >= today.span.start_ns
        since = phrases.TimePhrase(Span(other.when.span.end_ns, now_ns), "")
        first = one.when or (since if begins_today else today)
        if first.span == other.when.span or (first is since and since.span.start_ns >= now_ns):
            return f"These are not two times. {HELP}"
        return (
            self._as_long(first, other.when, now_ns),
            self._as_long(other.when, first, now_ns),
        )

    def _day(self, day: date, now_ns: int) -> phrases.TimePhrase:
        start_ns, end_ns = day_bounds_ns(day, self._zone)
        return phrases.TimePhrase(Span(start_ns, min(end_ns, now_ns)), "", whole_ns=end_ns - start_ns)

    def _as_long(self, this: phrases.TimePhrase, beside: phrases.TimePhrase, now_ns: int) -> Span:
        """A time up to the hour that the one beside it has come to, where that one is not over yet."""
        begun = beside.span.end_ns == now_ns and beside.span.end_ns - beside.span.start_ns < beside.whole_ns
        if not begun or this.span.end_ns == now_ns or not this.whole_ns:
            return this.span
        start, beside_start = (local(t.span.start_ns, self._zone).time() for t in (this, beside))
        if start != beside_start or not _ALIKE < this.whole_ns / beside.whole_ns < 1 / _ALIKE:
            return this.span
        passed = _naive(now_ns, self._zone) - _naive(beside.span.start_ns, self._zone)
        until = _naive(this.span.start_ns, self._zone) + passed
        end_ns = instant_ns(until.date(), until.time(), self._zone)
        return Span(this.span.start_ns, min(end_ns, this.span.end_ns))

    # -- of a number -----------------------------------------------------------------------------------------

    def _of_number(
        self, rest: str, number: Number, one: _Side, other: _Side, now_ns: int
    ) -> Compared | Measured | str:
        assert other.when is not None  # or there were no sides
        if _OFTEN.search(rest) or re.search(r"\b(?:longer|shorter)\b", rest):
            return f"Of {number.subject} I can compare how high it was. {HELP}"
        is_now = one.when is None and bool(_PRESENT.search(rest)) and not re.search(r"\b(?:was|been)\b", rest)
        now = phrases.TimePhrase(Span(now_ns, now_ns), "", instant=True)
        first = now if is_now else one.when
        if other.when.instant and (first is None or first.span == now.span):
            return Measured(number.name, Wanted.CHANGE, Span(other.when.middle_ns, now_ns))
        second = other.when
        if first is not None and first.span == now.span:
            second = self._same_hour(second, now_ns)
        spans = self._spans(_Side(rest, first), _Side("", second), now_ns)
        if isinstance(spans, str):
            return spans
        wanted = self._numbers.wanted(_MORE.sub("", rest), None)
        wanted = wanted if wanted in {Wanted.HIGHEST, Wanted.LOWEST} else Wanted.AVERAGE
        parts: list[Comparable] = [
            Measured(number.name, Wanted.VALUE if when is not None and when.instant else wanted, span)
            for when, span in zip((first, second), spans, strict=True)
        ]
        return Compared(parts[0], parts[1], one.up)

    def _same_hour(self, day: phrases.TimePhrase, now_ns: int) -> phrases.TimePhrase:
        """With a whole day "now" is compared at its hour."""
        start = local(day.span.start_ns, self._zone)
        if day_bounds_ns(start.date(), self._zone) != (day.span.start_ns, day.span.end_ns):
            return day
        at_ns = instant_ns(start.date(), local(now_ns, self._zone).time(), self._zone)
        return replace(day, span=Span(at_ns, at_ns), instant=True)


def _on_its_day(one: str, other: str) -> str:
    """One side with the day of the other, where that is of both: "warmer at six than at ten yesterday"."""
    day, at = _DAY.search(other), _OF_A_DAY.search(one)
    if day is None or at is None or _DAY.search(one) or _OWN_DAY.search(one) or not _OF_A_DAY.search(other):
        return one
    return f"{one[: at.end()]} {day[0]}{one[at.end() :]}"


def _naive(at_ns: int, zone: tzinfo) -> datetime:
    return local(at_ns, zone).replace(tzinfo=None)


def _up(rest: str) -> bool | None:
    """Whether more was asked for (or less), of a question that wants a yes or a no."""
    if not _POLAR.match(rest) or not _MORE.search(rest) or re.search(r"\bhow much\b", rest):
        return None
    down = bool(
        re.search(rf"\b(?:{_DOWN}|fewer)\b|\bmore (?:cold|cool|dark|dim|dry|fresh|ventilated)\b", rest)
    )
    of_low = re.search(r"\bless (?:cold|cool|dark|dim|dry|fresh|ventilated)\b", rest)
    return bool(of_low) or not (down or re.search(r"\bless\b", rest))

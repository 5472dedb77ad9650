"""Questions that are whole only with the one before: "and before that?", "and yesterday?", "are you sure?"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

from edge_agent.memory import phrases
from edge_agent.memory.clock_words import instant_ns, local
from edge_agent.memory.compound import Comparable, Compared, Each, Part, Whole, each
from edge_agent.memory.days import PhraseError
from edge_agent.memory.grammar import Grammar, Refused, moved
from edge_agent.memory.measured import Measured, Wanted
from edge_agent.memory.queries import (
    After,
    Availability,
    Before,
    FirstTime,
    HowLong,
    HowOften,
    LastTime,
    Most,
    Now,
    Ongoing,
    Queries,
    Span,
    Target,
    Targeted,
    Timeline,
    Unusual,
    Whether,
    heads_of,
    span_of,
)

Asked = Whole | Now
_ABOUT = r"(?:and |so |or )?(?:(?:what|how) about )?"
_BEFORE = re.compile(
    rf"{_ABOUT}(?:what (?:was|came|happened|did you \w+|were \w+) )?(?:it )?(?:the time )?(?:right |just )?"
    r"(?:before|earlier|previously)(?: (?:that|this|then|it))?|(?:go |look )?further back"
)
_AFTER = re.compile(
    rf"{_ABOUT}(?:(?:what|anything)(?P<all> happened| else happened| happen| was going on)? "
    r"(?:(?:was|came|comes|did you \w+|were \w+) )?)?(?:it )?"
    r"(?:(?:right |just |directly |immediately )?(?:after(?:wards?)?|next|later)(?: (?:that|this|then|it))?)"
    r"|(?:and |so )?then(?: what(?: happened)?)?|what then"
)
_DAY_BEFORE = re.compile(
    rf"{_ABOUT}(?:what happened )?(?:on )?the (?P<unit>day|night|morning|afternoon|evening|week) before"
    r"(?: that| this)?"
)
_SENSOR = re.compile(
    r"(?:and )?(?:(?:by |from |on |because of )?(?:which|what) (?:sensors?|one|device|basis|evidence)\b"
    r"(?!.*\b(?:online|offline|missing|working|available|connected|disconnected|there|down|running|broken|dead"
    r"|silent|unplugged|ok|okay|fine|active|installed|configured|up|fail\w*|work|lost|have|has|had|trust)\b).*"
    r"|who (?:told|says|said).*|says who|based on what|what is (?:that|this|it) based on"
    r"|what makes you say .*|how (?:do|did|can|could) you (?:know|tell)(?: that| this| it)?"
    r"|where (?:do|did) you (?:know|have|get) .* from|why do you (?:think|say|believe)(?: so| that| this)?)"
)
_SURE = re.compile(
    r"(?:and )?(?:are you (?:really |quite |absolutely |very )?(?:sure|certain|positive|confident)(?: .*)?"
    r"|how (?:sure|certain|confident|reliable|likely) .*"
    r"|(?:really|sure|certain|you sure|no doubt)(?: about .*)?"
    r"|is (?:that|this|it) (?:really |definitely )?(?:right|true|correct|certain|sure)"
    r"|can i (?:trust|believe|rely on) (?:that|this|it|you))"
)
_AND = re.compile(r"(?:and|what about|how about|same for|also|then|or)\b")
_WHOLE = re.compile(
    r"\b(?:was|were|did|do|does|is|are|has|have|had|how (?!about)|when|who|why|tell|what (?!about))\b"
)
"""A question with such a word is whole, also where it begins with "and"."""
_SO_LONG = re.compile(
    r"since when|(?:how long|since when) (?:has|is) (?:it|that) ?(?:been)? ?"
    r"(?:so|like that|like this|the case|that way)?"
)
_THAT = r"(?: was (?:it|that|this)| did (?:it|that|this) (?:happen|last|take))?"
_AGAIN: tuple[tuple[type[Targeted], str], ...] = (
    (HowLong, rf"(?:for )?how long{_THAT}(?: in (?:all|total))?"),
    (HowOften, rf"how (?:often|many times){_THAT}"),
    (
        FirstTime,
        r"(?:when was )?the first(?: time| one)?|when (?:(?:was|did) (?:it|that) )?first(?: happen)?",
    ),
    (LastTime, r"(?:when was )?the last(?: time| one)?|when (?:was|did) (?:it|that) last(?: happen)?"),
    (LastTime, rf"(?:exactly )?(?:when|at what time|what time)(?: exactly)?{_THAT}"),
)
"""The same label and time, and another thing asked of it."""
_ONLY_AND = re.compile(r"(?:(?:and|what|how|about|or|then|the|same|thing|question|for|on|also)\b|[ ?,])*")
_AFTER_WHAT = "After what? Please ask for example: what happened in the last ten minutes?"
_STILL = "That goes on until now: there is nothing after it yet."
_BEFORE_WHAT = "Before what? Please ask for example: what happened in the last ten minutes?"
_NOTHING_BEFORE = "Please ask the whole question, for example: what happened in the last ten minutes?"


def about_answer(asked: str) -> str:
    """What a question wants to know of the answer before it: its "sources", its "certainty", or nothing."""
    if _SENSOR.fullmatch(asked):
        return "sources"
    return "certainty" if _SURE.fullmatch(asked) else ""


def kind_of(asked: str) -> str:
    """Which follow-up a question is that is whole only with the one before; empty where it is none."""
    if about := about_answer(asked):
        return about
    if _BEFORE.fullmatch(asked):
        return "before"
    if _AFTER.fullmatch(asked):
        return "after"
    if _SO_LONG.fullmatch(asked) or any(re.fullmatch(f"(?:and )?(?:{words})", asked) for _, words in _AGAIN):
        return "again"
    return "varied" if _AND.match(asked) and not _WHOLE.search(asked) else ""


class FollowUps:
    """What a short question means after another one."""

    def __init__(self, grammar: Grammar, queries: Queries) -> None:
        self._grammar, self._queries = grammar, queries
        self._lexicon, self._numbers = grammar.lexicon, grammar.numbers

    def parse(self, asked: str, last: Asked | None, now_ns: int) -> Whole | Refused | None:
        """The whole question; None where it is whole already. `last` is the one before, if any."""
        if isinstance(last, Each):
            return self._of_each(asked, last, now_ns)
        if isinstance(last, Compared):
            return self._of_compared(asked, last, now_ns)
        before, after = _BEFORE.fullmatch(asked), _AFTER.fullmatch(asked)
        again = next((kind for kind, words in _AGAIN if re.fullmatch(f"(?:and )?(?:{words})", asked)), None)
        if last is None:
            help_with = _BEFORE_WHAT if before else _AFTER_WHAT if after else _NOTHING_BEFORE if again else ""
            return Refused(help_with, "nothing was asked before") if help_with else None
        if before:
            return self._before(last, now_ns)
        if after:
            return self._after(last, now_ns, everything=bool(after["all"]))
        return self._again(last, again) if again is not None else self._varied(asked, last, now_ns)

    def _of_each(self, asked: str, last: Each, now_ns: int) -> Whole | Refused | None:
        """The same follow-up of each question of the one before."""
        parts: list[Part] = []
        for part in last.parts:
            found = self.parse(asked, part, now_ns)
            if found is None or isinstance(found, Refused | Compared | Each):
                return found
            parts.append(found)
        return each(parts)

    def _of_compared(self, asked: str, last: Compared, now_ns: int) -> Whole | Refused | None:
        """The same two times compared, of another thing."""
        one, other = (self.parse(asked, part, now_ns) for part in (last.one, last.other))
        if one is None and other is None:
            return None
        if isinstance(one, Comparable) and isinstance(other, Comparable) and one.span == last.one.span:
            return Compared(one, other)
        return Refused(_NOTHING_BEFORE, "two times were compared before")

    def _varied(self, asked: str, last: Asked, now_ns: int) -> Whole | Refused | None:
        """The question before, of another time or another thing."""
        if _SO_LONG.fullmatch(asked) and len(heads := heads_of(last)) == 1:
            return Ongoing(Target(heads[0], ()))
        if found := _DAY_BEFORE.fullmatch(asked):
            return self._day_before(last, 7 if found["unit"] == "week" else 1)
        try:
            when = phrases.find(asked, now_ns, self._grammar.zone)
        except PhraseError as error:
            return Refused(str(error), "no such time") if _AND.match(asked) else None
        if when is not None and _ONLY_AND.fullmatch(when.rest):
            return self._other_time(last, when)
        if not _AND.match(asked) or _WHOLE.search(asked):
            return None
        return self._other_thing(last, when.rest if when else asked, when)

    def _again(self, last: Asked, again: type[Targeted]) -> Whole | None:
        """Another thing asked of the label and the time of the question before."""
        if isinstance(last, Measured):
            return last  # its answer tells when
        if isinstance(last, Now) and len(last.heads) == 1 and again is HowLong:
            return Ongoing(Target(last.heads[0], ()))
        if not isinstance(last, Targeted):
            return None
        return again(last.target, last.span)

    def _other_time(self, last: Asked, when: phrases.TimePhrase) -> Whole | None:
        if isinstance(last, Now) and last.number:
            return Measured(last.number, self._numbers.wanted("", when), when.span)
        if isinstance(last, Now) and last.heads:
            return Timeline(last.heads, when.span)
        if isinstance(last, Measured) and last.wanted in {Wanted.VALUE, Wanted.RANGE}:
            return replace(last, span=when.span, wanted=self._numbers.wanted("", when))
        return moved(last, when.span)

    def _other_thing(self, last: Asked, rest: str, when: phrases.TimePhrase | None) -> Whole | None:
        """The same of another label, another number, another sensor or what another head reads."""
        if isinstance(last, Measured):
            return self._other_number(last, rest, when)
        if (span := when.span if when else span_of(last)) is None:
            return None
        if isinstance(last, Most) and re.search(r"\blongest\b|\bmost (?:often|frequent)", rest):
            return replace(last, span=span, longest="longest" in rest)
        target, slots = self._lexicon.target(rest), self._lexicon.named_slots(rest)
        if target is not None and when is None and isinstance(last, Targeted | Ongoing):
            return replace(last, target=target)
        if isinstance(last, Timeline) and (
            heads := self._lexicon.concerned(rest) or self._lexicon.read_by(slots)
        ):
            return Timeline(heads, span)
        known = isinstance(last, Availability | Unusual | Timeline | HowLong | HowOften | Whether)
        return Availability(slots, span) if slots and known else None

    def _other_number(self, last: Measured, rest: str, when: phrases.TimePhrase | None) -> Measured | None:
        """The same of another number, or something else of the same one."""
        other, wanted = self._numbers.named(rest), self._numbers.wanted(rest, None)
        if other is None and wanted is Wanted.RANGE:
            return None
        if wanted is Wanted.RANGE and last.limit is None:
            wanted = last.wanted
        return Measured(other.name if other else last.name, wanted, when.span if when else last.span)

    def _before(  # noqa: PLR0911  # one for each kind of answer
        self, last: Asked, now_ns: int
    ) -> Whole | Refused | None:
        """What was before the last answer: the time before, or what was read before what it told of."""
        if isinstance(last, Before):
            found = self._queries.run(last, now_ns)
            return Before(last.heads, min((spell.start_ns for spell in found.spells), default=last.at_ns))
        if isinstance(last, Now):
            heads = last.heads or tuple(head.name for head in self._lexicon.heads)
            newest = self._queries.run(Before(heads, now_ns), now_ns).spells
            return Before(heads, newest[-1].start_ns if newest else now_ns)
        if isinstance(last, LastTime | Ongoing):
            found = self._queries.run(last, now_ns)
            at_ns = found.spells[0].start_ns if found.spells else now_ns
            if isinstance(last, Ongoing):
                return Before((last.target.head,), at_ns)
            return LastTime(last.target, replace(last.span, end_ns=at_ns))
        if isinstance(last, After):
            return Before(last.heads, last.at_ns)
        if isinstance(last, Each | Compared) or last.span.open:
            return Refused(_BEFORE_WHAT, "no time was asked for before")
        return moved(last, Span(2 * last.span.start_ns - last.span.end_ns, last.span.start_ns))

    def _after(  # noqa: PLR0911  # one for each kind of answer
        self, last: Asked, now_ns: int, *, everything: bool
    ) -> Whole | Refused | None:
        """What began after the last answer, of what it told of or of `everything`, or the time after it."""
        every = tuple(head.name for head in self._lexicon.heads)
        heads = every if everything else heads_of(last) or every
        if isinstance(last, After | Before | LastTime | FirstTime | Ongoing):
            found = self._queries.run(last, now_ns)
            if not found.spells:
                return Refused(_AFTER_WHAT, "nothing was told of before")
            if isinstance(last, After):  # the next round
                return After(heads, max(spell.start_ns for spell in found.spells) + 1)
            end_ns = max(spell.end_ns for spell in found.spells)
            if found.ongoing and not isinstance(last, FirstTime):
                return Refused(_STILL, "it goes on")
            if isinstance(last, FirstTime) and not everything and end_ns < last.span.end_ns:
                return FirstTime(last.target, replace(last.span, start_ns=end_ns))
            return After(heads, end_ns)
        span = span_of(last)
        if span is None or span.end_ns >= now_ns:
            return Refused(_STILL, "it goes on")
        later = Span(span.end_ns, min(2 * span.end_ns - span.start_ns, now_ns))
        return Timeline(every, later) if everything else moved(last, later)

    def _day_before(self, last: Asked, days: int) -> Whole | None:
        """The same so many days earlier, at the same hours."""
        span, zone = span_of(last), self._grammar.zone
        if span is None or span.open:
            return None
        begin, end = (local(at_ns, zone) - timedelta(days=days) for at_ns in (span.start_ns, span.end_ns))
        start_ns, end_ns = (instant_ns(at.date(), at.time(), zone) for at in (begin, end))
        return moved(last, Span(start_ns, end_ns))

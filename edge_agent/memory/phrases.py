"""Time in plain English: "yesterday", "in the last ten minutes", "between two and four", "since lunch".

What this finds it takes out of the question, so that its words mean nothing else there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, time, timedelta, tzinfo

from edge_agent.clock import NS_PER_S
from edge_agent.memory.clock_words import CLOCK, NUMBER, clock_times, local, number
from edge_agent.memory.days import DAY, Now, PhraseError
from edge_agent.memory.queries import Span

_UNITS_S = {
    "second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "day": 86_400, "week": 604_800,
    "month": 2_592_000,
}  # fmt: skip
_PARTS = {
    "morning": (time(5), time(12)), "afternoon": (time(12), time(18)), "evening": (time(18), time(22)),
    "night": (time(22), time(6)), "noon": (time(11, 30), time(12, 30)), "early hours": (time(0), time(5)),
}  # fmt: skip
"""When a part of the day begins and ends; one that ends before it begins ends on the next day."""
_PART = "|".join(_PARTS)
_FUTURE = re.compile(
    r"\b(tomorrow|next (?:week|month|year|time|hour|weekend|\w+day)|will be|later today|in the future)\b"
)
_VAGUE = re.compile(
    r"\b(a (?:short |little |long )?(?:while|time) (?:ago|back)|(?<!how )long ago|some time ago|recently"
    r"|lately|the other day"
    r"|(?:while|when|since) (?:i|we) (?:(?:was|were) (?:away|out|gone|asleep|sleeping)|left|slept|woke up"
    r"|got up))"
)
_LAST_NIGHT = re.compile(r",? ?\b(?:on |during |in )?last (?:night|evening)\b,?")
_AROUND_S = {"at": 300, "as of": 300, "around": 900}


@dataclass(frozen=True, slots=True)
class TimePhrase:
    """`rest` is the question without the words of the time; `instant` where one moment was meant.

    `whole_ns` is the length of the time, also where it is not over yet and the span ends now.
    """

    span: Span
    rest: str
    instant: bool = False
    whole_ns: int = 0

    @property
    def middle_ns(self) -> int:
        """Of an instant the moment itself."""
        return (self.span.start_ns + self.span.end_ns) // 2


def find(question: str, now_ns: int, zone: tzinfo) -> TimePhrase | None:
    """The time that a normalised question speaks of, None where it speaks of none.

    Raises PhraseError for the future and for a date that is none.
    """
    if _FUTURE.search(question):
        raise PhraseError("That has not happened yet: I can only tell of now and of the past.")
    if (vague := _VAGUE.search(question)) is not None:
        raise PhraseError(
            f'I do not know when "{vague[0]}" was. Please name a time, for example: in the last two hours.'
        )
    now = Now(now_ns, zone)
    if (night := _hour_of_last_night(question, now)) is not None:
        return night
    for pattern, rule in _RULES:
        if (found := pattern.search(question)) is not None:
            span = rule(found, now)
            if span.start_ns >= now_ns:
                raise PhraseError("That time has not come yet: I can only tell of now and of the past.")
            return _phrase(span, found, now_ns)
    return None


def _phrase(span: Span, found: re.Match[str], now_ns: int) -> TimePhrase:
    cut = Span(span.start_ns, min(span.end_ns, now_ns))
    whole_ns = span.end_ns - span.start_ns
    return TimePhrase(cut, _without(found), "instant" in found.groupdict(), whole_ns)


def _without(found: re.Match[str]) -> str:
    """The question without the words that were found."""
    rest = f"{found.string[: found.start()]} {found.string[found.end() :]}"
    return re.sub(r"\s+", " ", rest).strip().replace(" ?", "?")


def _hour_of_last_night(question: str, now: Now) -> TimePhrase | None:
    """An hour beside "last night", as in "between ten and two last night": the newest as the night ended."""
    if (night := _LAST_NIGHT.search(question)) is None:
        return None
    dusk_ns = now.at(now.today - timedelta(days=1), time(18))
    dawn_ns = min(now.now_ns, now.at(now.today, time(5, 59)))
    rest = _without(night)
    for pattern, rule in _RULES:
        if rule in _OF_HOURS and (found := pattern.search(rest)) is not None:
            span = rule(found, Now(dawn_ns, now.zone))
            if rule is _since_hour:
                span = Span(span.start_ns, now.now_ns)
            elif rule is _after:
                late = found["how"] == "after"
                span = Span(span.start_ns, dawn_ns) if late else Span(dusk_ns, span.end_ns)
            return _phrase(span, found, now.now_ns)
    return None


def _hour_on(text: str, now: Now, day: str | None, part: str | None) -> int:
    """The instant of an hour; without a day the newest that is past, with one by daylight."""
    hours = clock_times(text)
    if part is not None and len(hours) == 2:
        hours = [hours[0] if part == "morning" else hours[1]]
        if part == "night" and hours[0].hour < 18:
            hours = [clock_times(text)[0]]
    if day is not None or part is not None:
        at = hours[0] if len(hours) == 1 or hours[0].hour >= 7 else hours[1]
        return now.at(now.named(day), at)
    candidates = [now.at(now.today - timedelta(days=back), at) for back in (0, 1) for at in hours]
    return max(instant for instant in candidates if instant <= now.now_ns)


def _between(found: re.Match[str], now: Now) -> Span:
    day, part = found["day"] or found["day2"], found["part"] or found["part1"]
    first, second = found["first"], found["second"]
    if half := re.search(r" ?[ap]\.?m\.?$", second):
        first = first if re.search(r"[ap]\.?m\.?$", first) else first + half[0]
    start_ns = _hour_on(first, now, day, part)
    began = local(start_ns, now.zone)
    ends = [now.at(began.date() + timedelta(days=n), at) for n in (0, 1) for at in clock_times(second)]
    return Span(start_ns, min(end for end in ends if end > start_ns))


def _days(found: re.Match[str], now: Now) -> Span:
    """From one day to the end of another, or to an hour of it, or to now."""
    first, second = found["first"], found["second"]
    start = (
        now.day(now.named(found["day"])).start_ns
        if first is None
        else _hour_on(first, now, found["day"], None)
    )
    if found["day2"] == "now":
        return Span(start, now.now_ns)
    last = (
        now.day(now.named(found["day2"])).end_ns
        if second is None
        else _hour_on(second, now, found["day2"], None)
    )
    if start >= last:
        raise PhraseError("That time ends before it begins. Please name the earlier day first.")
    return Span(start, last)


def _part_of_day(found: re.Match[str], now: Now) -> Span:
    said, part = found.groupdict(), found["part"]
    day = now.named(said["day"] or said.get("day2"))
    begins, ends = _PARTS[part]
    if tonight := said.get("which") == "to":
        begins, ends = time(18), time(0)
    if said.get("before") or said.get("which") in {"last", "over"}:
        day -= timedelta(days=2 if said.get("before") == "before last" else 1)
    span = _part_on(day, begins, ends, now)
    if (
        (said["day"] or said.get("day2")) is None
        and span.start_ns >= now.now_ns
        and not (tonight or said.get("which") == "this")
    ):
        span = _part_on(day - timedelta(days=1), begins, ends, now)  # "in the evening", said in the morning
    return span


def _part_on(day: date, begins: time, ends: time, now: Now) -> Span:
    """From one time of a day to another; one that is not later is of the next day."""
    return Span(now.at(day, begins), now.at(day + timedelta(days=ends <= begins), ends))


def _nights_ago(found: re.Match[str], now: Now) -> Span:
    return _part_on(now.today - timedelta(days=round(number(found["count"]))), *_PARTS["night"], now)


def _last_units(found: re.Match[str], now: Now) -> Span:
    length = number(found["count"]) * _UNITS_S[found["unit"]]
    return Span(now.now_ns - round(length * NS_PER_S), now.now_ns)


def _recent(found: re.Match[str], now: Now) -> Span:
    """The last ten minutes or the last hour; "last week" without an article is one of the calendar."""
    if found["count"]:
        return _last_units(found, now)
    unit = found["unit"]
    if unit in {"week", "month"} and " the " not in f" {found[0]} ":
        return _calendar_span("last", unit, now)
    return Span(now.now_ns - _UNITS_S[unit] * NS_PER_S, now.now_ns)


def _ago(found: re.Match[str], now: Now) -> Span:
    """Around a moment; of days, weeks and months the whole day."""
    unit_s = _UNITS_S[found["unit"]]
    if unit_s >= _UNITS_S["day"]:
        return now.day(now.today - timedelta(seconds=number(found["count"]) * unit_s))
    at_ns = now.now_ns - round(number(found["count"]) * unit_s * NS_PER_S)
    around_ns = unit_s * NS_PER_S // 2
    return Span(at_ns - around_ns, at_ns + around_ns)


def _since_part(found: re.Match[str], now: Now) -> Span:
    return Span(_part_of_day(found, now).start_ns, now.now_ns)


def _since_hour(found: re.Match[str], now: Now) -> Span:
    day = found["day"] or found["day2"]
    return Span(_hour_on(found["hour"], now, day, found["part"]), now.now_ns)


def _since_day(found: re.Match[str], now: Now) -> Span:
    if found["hour"]:
        return Span(_hour_on(found["hour"], now, found["day"], None), now.now_ns)
    return Span(now.day(now.named(found["day"])).start_ns, now.now_ns)


def _after(found: re.Match[str], now: Now) -> Span:
    at_ns = _hour_on(found["hour"], now, found["day"] or found["day2"], found["part"])
    day = now.day(local(at_ns, now.zone).date())
    return Span(at_ns, day.end_ns) if found["how"] == "after" else Span(day.start_ns, at_ns)


def _at(found: re.Match[str], now: Now) -> Span:
    day, part = found["day"] or found["day2"], found["part"] or found["part1"]
    at_ns = _hour_on(found["hour"], now, day, part)
    around_ns = _AROUND_S[found["how"]] * NS_PER_S
    return Span(at_ns - around_ns, at_ns + around_ns)


def _calendar(found: re.Match[str], now: Now) -> Span:
    return _calendar_span(found["which"] or "this", found["unit"], now)


def _calendar_span(which: str, unit: str, now: Now) -> Span:
    """This or the last week or month of the calendar, or the newest weekend."""
    monday = now.today - timedelta(days=now.today.weekday())
    if unit == "weekend":
        saturday = monday + timedelta(days=5)
        return now.day(saturday if now.today >= saturday else saturday - timedelta(days=7), 2)
    if unit == "week":
        return now.day(monday if which == "this" else monday - timedelta(days=7), 7)
    first = now.today.replace(day=1)
    if which != "this":
        first = (first - timedelta(days=1)).replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return now.day(first, (following - first).days)


def _whole_day(found: re.Match[str], now: Now) -> Span:
    return now.day(now.named(found["day"]))


def _today(_found: re.Match[str], now: Now) -> Span:
    return now.day(now.today)


def _just_now(_found: re.Match[str], now: Now) -> Span:
    return Span(now.now_ns - 60 * NS_PER_S, now.now_ns)


def _this_time(found: re.Match[str], now: Now) -> Span:
    """Now, on another day."""
    at = local(now.now_ns, now.zone).time()
    middle_ns = now.at(now.named(found["day"]), at)
    return Span(middle_ns - _AROUND_S["at"] * NS_PER_S, middle_ns + _AROUND_S["at"] * NS_PER_S)


_Rule = Callable[[re.Match[str], Now], Span]
_OF_HOURS = frozenset((_between, _since_hour, _after, _at))
_END = r"(?=[\s?,.]|$)"
_ON = rf"(?:,? (?P<day2>{DAY}))?(?: (?:in the |this |at )?(?P<part>{_PART}))?{_END}"
_DAY_LEAD = rf"(?:\b(?P<day>{DAY}),? )?"
_LEAD = rf"(?:\b(?P<day>{DAY}),? )?\b(?:(?:in the |this )?(?P<part1>{_PART}),? )?"
_COUNT = rf"(?:about |around |roughly |some )?(?P<count>{NUMBER}) "
_UNIT = rf"(?P<unit>{'|'.join(_UNITS_S)})s?"
_HOUR = rf"(?P<hour>{CLOCK})"
_OVER = rf"(?P<hour>{CLOCK}|work)"
_TO = "(?:and|to|till|until)"
_SINCE = r"\b(?:ever )?since "
_WHOLE = "(?:(?:all|the whole|the entire|the rest) (?:of )?|throughout |all through )"
_ALL_DAY = rf"{_WHOLE}(?:the )?day(?: long)?"
_ADVERB = "(?:earlier|early|later|late) "
_DURING = rf"(?:since |in |during |over |within |for |of |on |at )?{_WHOLE}?"
_PART_LEAD = rf"{_DURING}(?:{_ADVERB})?(?:in )?(?:the )?(?:(?P<which>this|last|to|over) ?)?"
_BEFORE = "(?: (?P<before>before(?: last)?))?"
_RULES: tuple[tuple[re.Pattern[str], _Rule], ...] = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        (
            rf"{_LEAD}(?:between|from) (?P<first>{CLOCK}) {_TO} (?P<second>{CLOCK}){_ON}",
            _between,
        ),
        (
            (
                rf"\b(?:between|from) (?P<day>{DAY})(?:,? (?:at )?(?P<first>{CLOCK}))? {_TO}"
                rf" (?P<day2>{DAY}|now)(?:,? (?:at )?(?P<second>{CLOCK}))?{_END}"
            ),
            _days,
        ),
        (rf"{_SINCE}{_COUNT}{_UNIT} ago{_END}", _last_units),
        (rf"\b{_DURING}(?:the |these )?(?:last|past) (?:{_COUNT})?{_UNIT}{_END}", _recent),
        (rf"{_DAY_LEAD}{_SINCE}{_OVER}{_ON}", _since_hour),
        (
            rf"{_SINCE}(?:(?P<day>{DAY}) )?(?:the |(?P<which>this|last) )?(?P<part>{_PART}){_END}",
            _since_part,
        ),
        (rf"{_DAY_LEAD}\bfrom {_HOUR}{_ON} (?:on|onwards?|(?:to|till|until) now){_END}", _since_hour),
        (rf"{_SINCE}(?P<day>{DAY})(?: at {_HOUR})?{_END}", _since_day),
        (rf"\b(?:just now|(?:a|one) (?:moment|second) ago){_END}", _just_now),
        (rf"\b{_COUNT}nights? ago{_END}", _nights_ago),
        (rf"\b{_COUNT}{_UNIT} (?:ago|earlier){_END}(?P<instant>)", _ago),
        (rf"{_DAY_LEAD}\b(?P<how>before|until|till|after) {_OVER}{_ON}", _after),
        (
            rf"{_LEAD}\b(?:at )?(?P<how>{'|'.join(_AROUND_S)}) (?:about )?{_HOUR}{_ON}(?P<instant>)",
            _at,
        ),
        (rf"\b(?:at )?this (?:time|hour) (?P<day>{DAY}){_END}(?P<instant>)", _this_time),
        (
            rf"\b(?:(?P<day>{DAY}),? )?{_PART_LEAD}(?P<part>{_PART}){_BEFORE}(?:,? (?P<day2>{DAY}))?{_END}",
            _part_of_day,
        ),
        (
            rf"\b{_DURING}(?:the )?(?:(?P<which>this|last|past) )?(?P<unit>weekend)\b",
            _calendar,
        ),
        (rf"\b{_DURING}(?:the )?(?P<which>this|last|past) (?P<unit>week|month)\b", _calendar),
        (rf"\b{_WHOLE}(?P<which>)(?P<unit>week|month)\b", _calendar),
        (
            rf"\b(?:so far |{_ALL_DAY} )?{_DURING}(?:{_ADVERB})?(?P<day>{DAY})(?: so far)?{_END}",
            _whole_day,
        ),
        (rf"\b(?:{_ALL_DAY}|so far|(?:up to|until|till) now){_END}", _today),
    )
)

"""Time in plain English: "yesterday", "in the last ten minutes", "between two and four", "since lunch".

What this finds it takes out of the question, so that its words mean nothing else there. Days and dates that
are not in the tables go to dateparser (in the extra `memory`), which is loaded when one is first asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from edge_agent.clock import NS_PER_S
from edge_agent.memory.clock_words import (
    CLOCK,
    NUMBER,
    clock_times,
    day_bounds_ns,
    instant_ns,
    local,
    number,
)
from edge_agent.memory.queries import Span

_UNITS_S = {
    "second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "day": 86_400, "week": 604_800,
    "month": 2_592_000,
}  # fmt: skip
_PARTS = {
    "morning": (time(5), time(12)), "afternoon": (time(12), time(18)), "evening": (time(18), time(22)),
    "night": (time(22), time(6)), "noon": (time(11, 30), time(12, 30)),
}  # fmt: skip
"""When a part of the day begins and ends; one that ends before it begins ends on the next day."""
_MEALS = {"breakfast": time(8), "lunch": time(13), "dinner": time(19), "supper": time(19), "work": time(17)}
"""When it is over."""
_PART = "|".join(_PARTS)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january|february|march|april|may|june|july|august|september|october|november|december"
    "|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec"
)
_ORDINAL = r"\d{1,2}(?:st|nd|rd|th)?"
_DATE = (
    rf"(?:the )?{_ORDINAL}(?: of)? (?:{_MONTHS})(?: \d{{4}})?"
    rf"|(?:{_MONTHS}) (?:the )?{_ORDINAL}(?:,? \d{{4}})?"
)
_DAY = (
    rf"today|yesterday|the day before yesterday|(?:on )?(?:last |this )?(?:{'|'.join(_WEEKDAYS)})"
    rf"|(?:on )?(?:{_DATE}|\d{{4}}-\d\d-\d\d)"
)
_FUTURE = re.compile(
    r"\b(tomorrow|next (?:week|month|year|time|hour|weekend|\w+day)|will be|later today|in the future)\b"
)
_AROUND_S = {"at": 300, "around": 900}


class PhraseError(ValueError):
    """A time that cannot be meant; the message is a sentence for who asked."""


@dataclass(frozen=True, slots=True)
class TimePhrase:
    """`rest` is the question without the words of the time; `instant` where one moment was meant."""

    span: Span
    rest: str
    instant: bool = False


@dataclass(frozen=True, slots=True)
class _Now:
    now_ns: int
    zone: tzinfo

    @property
    def today(self) -> date:
        return local(self.now_ns, self.zone).date()

    @property
    def yesterday(self) -> date:
        return self.today - timedelta(days=1)

    def at(self, day: date, at: time) -> int:
        return instant_ns(day, at, self.zone)

    def day(self, day: date, days: int = 1) -> Span:
        return Span(*day_bounds_ns(day, self.zone, days))


def find(question: str, now_ns: int, zone: tzinfo) -> TimePhrase | None:
    """The time that a normalised question speaks of, None where it speaks of none.

    Raises PhraseError for the future and for a date that is none.
    """
    if _FUTURE.search(question):
        raise PhraseError("That has not happened yet: I can only tell of now and of the past.")
    now = _Now(now_ns, zone)
    for pattern, rule in _RULES:
        if (found := pattern.search(question)) is not None:
            span = rule(found, now)
            if span.start_ns >= now_ns:
                raise PhraseError("That time has not come yet: I can only tell of now and of the past.")
            rest = f"{question[: found.start()]} {question[found.end() :]}"
            rest = re.sub(r"\s+", " ", rest).strip().replace(" ?", "?")
            cut = Span(span.start_ns, min(span.end_ns, now_ns))
            return TimePhrase(cut, rest, instant="instant" in found.groupdict())
    return None


# -- days and hours ----------------------------------------------------------------------------------------


def _day_of(text: str, now: _Now) -> date:
    said = text.removeprefix("on ").strip()
    simple = {"today": 0, "yesterday": 1, "the day before yesterday": 2}
    if said in simple:
        return now.today - timedelta(days=simple[said])
    name = said.removeprefix("last ").removeprefix("this ")
    if name in _WEEKDAYS:
        back = (now.today.weekday() - _WEEKDAYS.index(name)) % 7
        return now.today - timedelta(days=back or (7 if said.startswith("last ") else 0))
    return _parsed(said, now)


def _parsed(said: str, now: _Now) -> date:
    """A calendar date, by dateparser."""
    try:
        from dateparser.date import DateDataParser  # noqa: PLC0415  # 10 MB, rarely needed
    except ModuleNotFoundError as error:
        raise PhraseError(
            f"I cannot read the date \"{said}\" without dateparser: pip install 'iotlm-edge[memory]'."
        ) from error
    base = local(now.now_ns, now.zone).replace(tzinfo=None)
    settings = {"RELATIVE_BASE": base, "PREFER_DATES_FROM": "past", "RETURN_AS_TIMEZONE_AWARE": False}
    plain = said.removeprefix("the ").replace(" of ", " ").replace(" the ", " ")
    found: datetime | None = DateDataParser(["en"], settings=settings).get_date_data(plain).date_obj
    if found is None:
        raise PhraseError(f'I know no date "{said}".')
    return found.date()


def _hour_on(text: str, now: _Now, day: str | None, part: str | None) -> int:
    """The instant of an hour; without a day the newest that is past, with one by daylight."""
    hours = clock_times(text)
    if part is not None and len(hours) == 2:
        hours = [hours[0] if part == "morning" else hours[1]]
        if part == "night" and hours[0].hour < 18:
            hours = [clock_times(text)[0]]
    if day is not None or part is not None:
        at = hours[0] if len(hours) == 1 or hours[0].hour >= 7 else hours[1]
        return now.at(_day_of(day, now) if day else now.today, at)
    candidates = [now.at(now.today - timedelta(days=back), at) for back in (0, 1) for at in hours]
    return max(instant for instant in candidates if instant <= now.now_ns)


def _between(found: re.Match[str], now: _Now) -> Span:
    day, part = found["day"] or found["day2"], found["part"] or found["part1"]
    first, second = found["first"], found["second"]
    if half := re.search(r" ?[ap]\.?m\.?$", second):
        first = first if re.search(r"[ap]\.?m\.?$", first) else first + half[0]
    start_ns = _hour_on(first, now, day, part)
    began = local(start_ns, now.zone)
    ends = [now.at(began.date() + timedelta(days=n), at) for n in (0, 1) for at in clock_times(second)]
    return Span(start_ns, min(end for end in ends if end > start_ns))


def _part_of_day(found: re.Match[str], now: _Now) -> Span:
    words, part = found[0], found["part"]
    day = _day_of(found["day"], now) if found["day"] else now.today
    begins, ends = _PARTS[part]
    if "tonight" in words:
        begins, ends = time(18), time(0)
    elif words.startswith("last "):
        day -= timedelta(days=1)
    span = Span(now.at(day, begins), now.at(day + timedelta(days=ends <= begins), ends))
    if found["day"] is None and span.start_ns >= now.now_ns and words.split()[0] not in {"this", "tonight"}:
        before = day - timedelta(days=1)  # "in the evening", said in the morning
        span = Span(now.at(before, begins), now.at(before + timedelta(days=ends <= begins), ends))
    return span


def _last_units(found: re.Match[str], now: _Now) -> Span:
    length = number(found["count"]) * _UNITS_S[found["unit"]]
    return Span(now.now_ns - round(length * NS_PER_S), now.now_ns)


def _recent(found: re.Match[str], now: _Now) -> Span:
    """The last ten minutes or the last hour; "last week" without an article is one of the calendar."""
    if found["count"]:
        return _last_units(found, now)
    unit = found["unit"]
    if unit in {"week", "month"} and " the " not in f" {found[0]} ":
        return _calendar_span("last", unit, now)
    return Span(now.now_ns - _UNITS_S[unit] * NS_PER_S, now.now_ns)


def _ago(found: re.Match[str], now: _Now) -> Span:
    unit_s = _UNITS_S[found["unit"]]
    at_ns = now.now_ns - round(number(found["count"]) * unit_s * NS_PER_S)
    around_ns = unit_s * NS_PER_S // 2
    return Span(at_ns - around_ns, at_ns + around_ns)


def _since_meal(found: re.Match[str], now: _Now) -> Span:
    at = _MEALS[found["meal"]]
    today_ns = now.at(now.today, at)
    return Span(today_ns if today_ns <= now.now_ns else now.at(now.yesterday, at), now.now_ns)


def _since_part(found: re.Match[str], now: _Now) -> Span:
    return Span(_part_of_day(found, now).start_ns, now.now_ns)


def _since_hour(found: re.Match[str], now: _Now) -> Span:
    return Span(_hour_on(found["hour"], now, found["day2"], found["part"]), now.now_ns)


def _since_day(found: re.Match[str], now: _Now) -> Span:
    if found["hour"]:
        return Span(_hour_on(found["hour"], now, found["day"], None), now.now_ns)
    return Span(now.day(_day_of(found["day"], now)).start_ns, now.now_ns)


def _after(found: re.Match[str], now: _Now) -> Span:
    at_ns = _hour_on(found["hour"], now, found["day2"], found["part"])
    day = now.day(local(at_ns, now.zone).date())
    return Span(at_ns, day.end_ns) if found["how"] == "after" else Span(day.start_ns, at_ns)


def _at(found: re.Match[str], now: _Now) -> Span:
    day, part = found["day"] or found["day2"], found["part"] or found["part1"]
    at_ns = _hour_on(found["hour"], now, day, part)
    around_ns = _AROUND_S[found["how"]] * NS_PER_S
    return Span(at_ns - around_ns, at_ns + around_ns)


def _calendar(found: re.Match[str], now: _Now) -> Span:
    return _calendar_span(found["which"], found["unit"], now)


def _calendar_span(which: str, unit: str, now: _Now) -> Span:
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


def _whole_day(found: re.Match[str], now: _Now) -> Span:
    return now.day(_day_of(found["day"], now))


_Rule = Callable[[re.Match[str], _Now], Span]
_END = r"(?=[\s?,.]|$)"
_ON = rf"(?:,? (?P<day2>{_DAY}))?(?: (?:in the |this |at )?(?P<part>{_PART}))?{_END}"
_LEAD = rf"(?:\b(?P<day>{_DAY}),? )?\b(?:(?:in the |this )?(?P<part1>{_PART}),? )?"
_COUNT = rf"(?P<count>{NUMBER}) "
_UNIT = rf"(?P<unit>{'|'.join(_UNITS_S)})s?"
_TO = "(?:and|to|till|until)"
_DURING = "(?:since |in |during |over |within |for |of |on )?"
_PART_LEAD = "(?:at |in the |during the |this |last |to)?"
_RULES: tuple[tuple[re.Pattern[str], _Rule], ...] = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        (
            rf"{_LEAD}(?:between|from) (?P<first>{CLOCK}) {_TO} (?P<second>{CLOCK}){_ON}",
            _between,
        ),
        (rf"\bsince (?P<meal>{'|'.join(_MEALS)}){_END}", _since_meal),
        (rf"\bsince {_COUNT}{_UNIT} ago{_END}", _last_units),
        (rf"\b{_DURING}(?:the |these )?(?:last|past) (?:{_COUNT})?{_UNIT}{_END}", _recent),
        (rf"\bsince (?:(?P<day>{_DAY}) )?(?:this |the )?(?P<part>{_PART}){_END}", _since_part),
        (rf"\bsince (?P<hour>{CLOCK}){_ON}", _since_hour),
        (rf"\bsince (?P<day>{_DAY})(?: at (?P<hour>{CLOCK}))?{_END}", _since_day),
        (rf"\b{_COUNT}{_UNIT} ago{_END}(?P<instant>)", _ago),
        (rf"\b(?P<how>before|until|after) (?P<hour>{CLOCK}){_ON}", _after),
        (rf"{_LEAD}\b(?P<how>at|around) (?:about )?(?P<hour>{CLOCK}){_ON}(?P<instant>)", _at),
        (
            rf"\b(?:(?P<day>{_DAY}),? )?{_PART_LEAD}(?P<part>{_PART}){_END}",
            _part_of_day,
        ),
        (
            rf"\b{_DURING}(?:the )?(?P<which>this|last|past) (?P<unit>weekend|week|month)\b",
            _calendar,
        ),
        (rf"\b(?P<day>{_DAY}){_END}", _whole_day),
    )
)

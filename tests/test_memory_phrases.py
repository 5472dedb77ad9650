"""Time in plain English, in several places of the earth and around the days when their clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.memory.clock_words import clock_words, duration_words, instant_ns, local, moment_words
from edge_agent.memory.days import PhraseError
from edge_agent.memory.phrases import find

S = 1_000_000_000


def at(text: str, zone: str) -> int:
    """Wall ns of a local time, or of an instant with an offset."""
    naive = datetime.fromisoformat(text)
    there = naive if naive.tzinfo else naive.replace(tzinfo=ZoneInfo(zone))
    return int(there.astimezone(UTC).timestamp()) * S


# Europe's clocks go forward on 29 March 2026 and back on 25 October; New York's earlier and later; India's .
SPRING, AUTUMN, PLAIN = "2026-03-29T15:07:00", "2026-10-25T15:07:00", "2026-06-17T15:07:00"
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kolkata")
OLDEST, NEWEST = (datetime.fromisoformat(day) for day in ("2000-01-01", "2040-01-01"))
WORDS = ("since", "between", "at", "in the last", "ago", "yesterday", "from two to")
FUTURE = ("tomorrow", "next week", "tonight", "between four and five today", "at 18:00 today")
CASES = [
    ("Europe/Berlin", PLAIN, "yesterday", "2026-06-16T00:00", "2026-06-17T00:00"),
    ("America/New_York", PLAIN, "yesterday", "2026-06-16T00:00", "2026-06-17T00:00"),
    ("Asia/Kolkata", PLAIN, "yesterday", "2026-06-16T00:00", "2026-06-17T00:00"),
    ("Australia/Lord_Howe", PLAIN, "yesterday", "2026-06-16T00:00", "2026-06-17T00:00"),
    ("Asia/Kolkata", PLAIN, "this morning", "2026-06-17T05:00", "2026-06-17T12:00"),
    ("Europe/Berlin", PLAIN, "today", "2026-06-17T00:00", PLAIN),
    ("Europe/Berlin", PLAIN, "this afternoon", "2026-06-17T12:00", PLAIN),
    ("Europe/Berlin", PLAIN, "last night", "2026-06-16T22:00", "2026-06-17T06:00"),
    ("Europe/Berlin", PLAIN, "last night between ten and midnight", "2026-06-16T22:00", "2026-06-17T00:00"),
    ("Europe/Berlin", PLAIN, "between eleven and two last night", "2026-06-16T23:00", "2026-06-17T02:00"),
    ("Europe/Berlin", PLAIN, "at half past ten last night", "2026-06-16T22:25", "2026-06-16T22:35"),
    ("Europe/Berlin", PLAIN, "around three last night", "2026-06-17T02:45", "2026-06-17T03:15"),
    ("Europe/Berlin", PLAIN, "since eleven last night", "2026-06-16T23:00", PLAIN),
    ("Europe/Berlin", PLAIN, "after midnight last night", "2026-06-17T00:00", "2026-06-17T05:59"),
    ("Europe/Berlin", PLAIN, "before midnight last night", "2026-06-16T18:00", "2026-06-17T00:00"),
    ("Europe/Berlin", "2026-06-17T02:00:00", "at eleven last night", "2026-06-16T22:55", "2026-06-16T23:05"),
    ("Asia/Kolkata", SPRING, "at two last night", "2026-03-29T01:55", "2026-03-29T02:05"),
    ("Europe/Berlin", PLAIN, "two nights ago", "2026-06-15T22:00", "2026-06-16T06:00"),
    ("Europe/Berlin", PLAIN, "all week", "2026-06-15T00:00", PLAIN),
    ("Europe/Berlin", PLAIN, "yesterday evening", "2026-06-16T18:00", "2026-06-16T22:00"),
    ("Europe/Berlin", PLAIN, "in the evening", "2026-06-16T18:00", "2026-06-16T22:00"),
    ("Europe/Berlin", PLAIN, "in the last ten minutes", "2026-06-17T14:57", PLAIN),
    ("Europe/Berlin", PLAIN, "over the past 24 hours", "2026-06-16T15:07", PLAIN),
    ("Europe/Berlin", PLAIN, "in the last hour", "2026-06-17T14:07", PLAIN),
    ("Europe/Berlin", PLAIN, "in the last twenty-five minutes", "2026-06-17T14:42", PLAIN),
    ("Europe/Berlin", PLAIN, "two hours ago", "2026-06-17T12:37", "2026-06-17T13:37"),
    ("Europe/Berlin", PLAIN, "half an hour ago", "2026-06-17T14:07", PLAIN),
    ("Europe/Berlin", PLAIN, "between two and four", "2026-06-17T14:00", PLAIN),
    ("Europe/Berlin", "2026-06-17T10:00:00", "between two and four", "2026-06-17T02:00", "2026-06-17T04:00"),
    ("Europe/Berlin", PLAIN, "yesterday between two and four", "2026-06-16T14:00", "2026-06-16T16:00"),
    ("Europe/Berlin", PLAIN, "between 2 and 4 am yesterday", "2026-06-16T02:00", "2026-06-16T04:00"),
    ("Europe/Berlin", PLAIN, "between ten and two", "2026-06-17T10:00", "2026-06-17T14:00"),
    ("Europe/Berlin", PLAIN, "from 13:15 to 14:45", "2026-06-17T13:15", "2026-06-17T14:45"),
    ("Europe/Berlin", PLAIN, "since lunch", "2026-06-17T13:00", PLAIN),
    ("Europe/Berlin", "2026-06-17T09:00:00", "since lunch", "2026-06-16T13:00", "2026-06-17T09:00"),
    ("Europe/Berlin", PLAIN, "since breakfast", "2026-06-17T08:00", PLAIN),
    ("Europe/Berlin", PLAIN, "since 14:30", "2026-06-17T14:30", PLAIN),
    ("Europe/Berlin", PLAIN, "since half past two", "2026-06-17T14:30", PLAIN),
    ("Europe/Berlin", PLAIN, "since yesterday", "2026-06-16T00:00", PLAIN),
    ("Europe/Berlin", PLAIN, "since this morning", "2026-06-17T05:00", PLAIN),
    ("Europe/Berlin", PLAIN, "since monday", "2026-06-15T00:00", PLAIN),
    ("Europe/Berlin", PLAIN, "on monday", "2026-06-15T00:00", "2026-06-16T00:00"),
    ("Europe/Berlin", PLAIN, "on wednesday", "2026-06-17T00:00", PLAIN),
    ("Europe/Berlin", PLAIN, "last wednesday", "2026-06-10T00:00", "2026-06-11T00:00"),
    ("Europe/Berlin", PLAIN, "the day before yesterday", "2026-06-15T00:00", "2026-06-16T00:00"),
    ("Europe/Berlin", PLAIN, "this week", "2026-06-15T00:00", PLAIN),
    ("Europe/Berlin", PLAIN, "last week", "2026-06-08T00:00", "2026-06-15T00:00"),
    ("Europe/Berlin", PLAIN, "last month", "2026-05-01T00:00", "2026-06-01T00:00"),
    ("Europe/Berlin", PLAIN, "last weekend", "2026-06-13T00:00", "2026-06-15T00:00"),
    ("Europe/Berlin", PLAIN, "on 3 march", "2026-03-03T00:00", "2026-03-04T00:00"),
    ("Europe/Berlin", PLAIN, "on december the 24th", "2025-12-24T00:00", "2025-12-25T00:00"),
    ("Europe/Berlin", PLAIN, "on 2026-05-30", "2026-05-30T00:00", "2026-05-31T00:00"),
    ("Europe/Berlin", PLAIN, "at three", "2026-06-17T14:55", "2026-06-17T15:05"),
    ("Europe/Berlin", PLAIN, "yesterday at a quarter to five", "2026-06-16T16:40", "2026-06-16T16:50"),
    ("Europe/Berlin", PLAIN, "around noon", "2026-06-17T11:45", "2026-06-17T12:15"),
    ("Europe/Berlin", PLAIN, "before noon", "2026-06-17T00:00", "2026-06-17T12:00"),
    ("Europe/Berlin", PLAIN, "after ten yesterday", "2026-06-16T10:00", "2026-06-17T00:00"),
    ("Europe/Berlin", PLAIN, "all day", "2026-06-17T00:00", PLAIN),
    ("Europe/Berlin", PLAIN, "so far today", "2026-06-17T00:00", PLAIN),
    ("Europe/Berlin", PLAIN, "today so far", "2026-06-17T00:00", PLAIN),
    ("Europe/Berlin", PLAIN, "so far", "2026-06-17T00:00", PLAIN),
    ("Europe/Berlin", PLAIN, "earlier today", "2026-06-17T00:00", PLAIN),
    ("Europe/Berlin", PLAIN, "all day yesterday", "2026-06-16T00:00", "2026-06-17T00:00"),
    ("Europe/Berlin", PLAIN, "throughout yesterday", "2026-06-16T00:00", "2026-06-17T00:00"),
    ("Europe/Berlin", PLAIN, "over the weekend", "2026-06-13T00:00", "2026-06-15T00:00"),
    ("Europe/Berlin", PLAIN, "at the weekend", "2026-06-13T00:00", "2026-06-15T00:00"),
    ("Europe/Berlin", PLAIN, "during the night", "2026-06-16T22:00", "2026-06-17T06:00"),
    ("Europe/Berlin", PLAIN, "during last night", "2026-06-16T22:00", "2026-06-17T06:00"),
    ("Europe/Berlin", PLAIN, "all night", "2026-06-16T22:00", "2026-06-17T06:00"),
    ("Europe/Berlin", PLAIN, "overnight", "2026-06-16T22:00", "2026-06-17T06:00"),
    ("Europe/Berlin", "2026-06-17T23:00:00", "overnight", "2026-06-16T22:00", "2026-06-17T06:00"),
    ("Europe/Berlin", PLAIN, "the night before last", "2026-06-15T22:00", "2026-06-16T06:00"),
    ("Europe/Berlin", PLAIN, "late last night", "2026-06-16T22:00", "2026-06-17T06:00"),
    ("Europe/Berlin", PLAIN, "the whole morning", "2026-06-17T05:00", "2026-06-17T12:00"),
    ("Europe/Berlin", PLAIN, "in the early hours", "2026-06-17T00:00", "2026-06-17T05:00"),
    ("Europe/Berlin", PLAIN, "since last night", "2026-06-16T22:00", PLAIN),
    ("Europe/Berlin", PLAIN, "ever since noon", "2026-06-17T12:00", PLAIN),
    ("Europe/Berlin", PLAIN, "since eight", "2026-06-17T08:00", PLAIN),
    ("Europe/Berlin", PLAIN, "from noon on", "2026-06-17T12:00", PLAIN),
    ("Europe/Berlin", PLAIN, "from eight until now", "2026-06-17T08:00", PLAIN),
    ("Europe/Berlin", PLAIN, "since work", "2026-06-16T17:00", PLAIN),
    ("Europe/Berlin", PLAIN, "before lunch", "2026-06-17T00:00", "2026-06-17T13:00"),
    ("Europe/Berlin", PLAIN, "between breakfast and lunch", "2026-06-17T08:00", "2026-06-17T13:00"),
    ("Europe/Berlin", PLAIN, "around lunchtime yesterday", "2026-06-16T12:45", "2026-06-16T13:15"),
    ("Europe/Berlin", PLAIN, "in the past couple of hours", "2026-06-17T13:07", PLAIN),
    ("Europe/Berlin", PLAIN, "in the last few minutes", "2026-06-17T15:04", PLAIN),
    ("Europe/Berlin", PLAIN, "about two hours ago", "2026-06-17T12:37", "2026-06-17T13:37"),
    ("Europe/Berlin", PLAIN, "two days ago", "2026-06-15T00:00", "2026-06-16T00:00"),
    ("Europe/Berlin", PLAIN, "a week ago", "2026-06-10T00:00", "2026-06-11T00:00"),
    ("Europe/Berlin", PLAIN, "just now", "2026-06-17T15:06", PLAIN),
    ("Europe/Berlin", PLAIN, "at this time yesterday", "2026-06-16T15:02", "2026-06-16T15:12"),
    # clocks that change
    ("Europe/Berlin", SPRING, "today", "2026-03-29T00:00+01:00", "2026-03-29T15:07+02:00"),
    ("Europe/Berlin", SPRING, "last night", "2026-03-28T22:00+01:00", "2026-03-29T06:00+02:00"),
    ("Europe/Berlin", SPRING, "this morning between two and four", "2026-03-29T02:00+01:00",
     "2026-03-29T04:00+02:00"),
    ("Europe/Berlin", SPRING, "between 2:30 am and 4 am today", "2026-03-29T02:00+01:00",
     "2026-03-29T04:00+02:00"),
    ("Europe/Berlin", SPRING, "in the last 24 hours", "2026-03-28T14:07+01:00", "2026-03-29T15:07+02:00"),
    ("Europe/Berlin", AUTUMN, "today", "2026-10-25T00:00+02:00", "2026-10-25T15:07+01:00"),
    ("Europe/Berlin", AUTUMN, "between 2 am and 4 am", "2026-10-25T02:00+02:00", "2026-10-25T04:00+01:00"),
    ("Europe/Berlin", AUTUMN, "yesterday", "2026-10-24T00:00+02:00", "2026-10-25T00:00+02:00"),
    ("America/New_York", "2026-11-01T12:00:00", "today", "2026-11-01T00:00-04:00", "2026-11-01T12:00-05:00"),
    ("America/New_York", "2026-03-08T12:00:00", "since midnight",
     "2026-03-08T00:00-05:00", "2026-03-08T12:00-04:00"),
    ("Australia/Lord_Howe", "2026-10-04T12:00:00", "today",
     "2026-10-04T00:00+10:30", "2026-10-04T12:00+11:00"),
    ("America/Havana", "2026-03-08T12:00:00", "today", "2026-03-08T01:00-04:00", "2026-03-08T12:00-04:00"),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "now", "phrase", "start", "end"), CASES)
def test_a_phrase_is_the_time_that_a_person_means(zone: str, now: str, phrase: str, start: str, end: str):
    if any(name in phrase for name in ("march", "december", "2026-")):
        pytest.importorskip("dateparser")
    question = f"what happened {phrase}?"
    found = find(question, at(now, zone), ZoneInfo(zone))
    assert found is not None
    there = [str(local(ns, ZoneInfo(zone))) for ns in (found.span.start_ns, found.span.end_ns)]
    assert (found.span.start_ns, found.span.end_ns) == (at(start, zone), at(end, zone)), there
    assert found.rest == "what happened?"


@pytest.mark.parametrize(
    "question",
    ["what is the person doing?", "how long has the person sat?", "two", "how many people are there?"],
)  # fmt: skip
def test_no_time_is_no_time(question: str):
    assert find(question, at(PLAIN, "UTC"), UTC) is None


@pytest.mark.parametrize(
    "phrase", ["tomorrow", "next week", "tonight", "between four and five today", "at 18:00 today"]
)
def test_the_future_is_refused(phrase: str):
    with pytest.raises(PhraseError, match="not"):
        find(f"what happened {phrase}?", at(PLAIN, "Europe/Berlin"), ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    "phrase", ["a while ago", "some time ago", "recently", "the other day", "while I was out", "since I left"]
)
def test_a_time_that_nobody_can_know_is_asked_for(phrase: str):
    with pytest.raises(PhraseError, match="name a time"):
        find(f"what happened {phrase.lower()}?", at(PLAIN, "Europe/Berlin"), ZoneInfo("Europe/Berlin"))


def test_an_hour_that_comes_twice_is_told_with_its_zone():
    berlin = ZoneInfo("Europe/Berlin")
    first, second = at("2026-10-25T02:30+02:00", "UTC"), at("2026-10-25T02:30+01:00", "UTC")
    assert clock_words(first, berlin) == "02:30 CEST"
    assert clock_words(second, berlin) == "02:30 CET"
    assert moment_words(first, second + 86_400 * S, berlin) == "yesterday at 02:30 CEST"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "less than a second"), (1, "1 second"), (61, "1 minute 1 second"), (7325, "2 hours 2 minutes"),
     (90_000, "1 day 1 hour")],
)  # fmt: skip
def test_durations_in_words(seconds: int, words: str):
    assert duration_words(seconds * S) == words


@settings(max_examples=200, deadline=None)
@given(st.datetimes(OLDEST, NEWEST), st.sampled_from(ZONES))
def test_a_local_time_and_its_instant_belong_together(moment: datetime, name: str):
    zone = ZoneInfo(name)
    moment = moment.replace(microsecond=0)
    there = local(instant_ns(moment.date(), moment.time(), zone), zone).replace(tzinfo=None)
    exists = moment.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == moment
    assert there == moment if exists else 0 < (there - moment).total_seconds() <= 3600


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=60),
    st.sampled_from(WORDS),
)
def test_no_question_breaks_it(text: str, word: str):
    now_ns = at(PLAIN, "Europe/Berlin")
    try:
        found = find(f"{text} {word} {text}".lower(), now_ns, ZoneInfo("Europe/Berlin"))
    except PhraseError:
        return
    assert found is None or found.span.start_ns < found.span.end_ns <= now_ns


def test_midnight_that_is_skipped_begins_the_day_at_the_change():
    zone = ZoneInfo("America/Havana")
    begins = instant_ns(datetime(2026, 3, 8, tzinfo=UTC).date(), time(0), zone)
    assert str(local(begins, zone)) == "2026-03-08 01:00:00-04:00"

"""Local time and words: hours as people say them, instants of a place with daylight saving, and durations."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from edge_agent.clock import NS_PER_S

_LOCALTIME = Path("/etc/localtime")
_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90,
}  # fmt: skip
_OTHER = {
    "a couple of": 2, "couple of": 2, "a few": 3, "few": 3, "several": 3, "an": 1, "a": 1, "half an": 0.5,
    "half a": 0.5,
}  # fmt: skip
_NAMED = {
    "noon": time(12), "midday": time(12), "midnight": time(0), "breakfast": time(8), "lunch": time(13),
    "lunchtime": time(13), "dinner": time(19), "supper": time(19), "work": time(17),
}  # fmt: skip
"""Hours with a name; of a meal and of work when it is over."""
TO_99: dict[str, int] = {
    **{word: i for i, word in enumerate(_ONES)},
    **_TENS,
    **{f"{ten} {_ONES[one]}": n + one for ten, n in _TENS.items() for one in range(1, 10)},
}
"""Whole numbers as they are spoken, without a hyphen."""
NUMBERS: dict[str, float] = {**TO_99, **{word.replace(" ", "-"): n for word, n in TO_99.items()}, **_OTHER}
"""Numbers as words."""
NUMBER = r"(?:\d+(?:\.\d+)?|" + "|".join(sorted(map(re.escape, NUMBERS), key=len, reverse=True)) + ")"
_HOUR = r"(?:[01]?\d|2[0-3]|" + "|".join(_ONES[1:13]) + ")"
_MINUTE = r"(?:thirty|fifteen|forty[ -]five|ten|twenty|forty|fifty)"
_PAST_TO = r"(?:(?:a )?quarter|five|ten|twenty[ -]five|twenty|fifteen|thirty|forty[ -]five|forty|fifty)"
CLOCK = (
    rf"(?:{'|'.join(name for name in _NAMED if name != 'work')}"  # "at work" is a place
    rf"|(?:half(?: past)?|{_PAST_TO} (?:past|to)) {_HOUR}|{_HOUR}[:.][0-5]\d(?![\d:])"
    rf"|{_HOUR} {_MINUTE}\b|{_HOUR}(?: o'?clock)?)(?: ?(?:a\.?m|p\.?m)\b\.?)?"
)
"""An hour of the day: "two", "14:30", "half past two", "2 pm", "noon", "lunch"."""


def number(text: str) -> float:
    """The value of what NUMBER matches."""
    return NUMBERS[text] if text in NUMBERS else float(text)


def clock_times(text: str) -> list[time]:
    """The hours of the day that a CLOCK may mean: one, or both halves of the day where nothing tells them."""
    said = re.sub(r" o'?clock| ?([ap])\.?m\.?$", "", text).strip()
    half = re.search(r"([ap])\.?m\.?$", text)
    if said in _NAMED:
        return [_NAMED[said]]
    hour, minute, certain = _hour_and_minute(said)
    if half is not None:
        return [time(hour % 12 + (12 if half[1] == "p" else 0), minute)]
    if certain or hour > 12 or hour == 0:
        return [time(hour, minute)]
    return [time(hour % 12, minute), time(hour % 12 + 12, minute)]


def _hour_and_minute(said: str) -> tuple[int, int, bool]:
    """(hour, minute, whether it is of a clock of 24 hours)."""
    if found := re.fullmatch(rf"half(?: past)? ({_HOUR})", said):
        return int(number(found[1])), 30, False
    if found := re.fullmatch(rf"({_PAST_TO}) (past|to) ({_HOUR})", said):
        hour, minute = int(number(found[3])), 15 if "quarter" in found[1] else int(number(found[1]))
        return (hour, minute, False) if found[2] == "past" else ((hour - 1) % 12 or 12, 60 - minute, False)
    hour_word, _, minute_word = re.sub(r"[:.]", " ", said, count=1).partition(" ")
    certain = len(hour_word) == 2 and hour_word.startswith("0")
    return int(number(hour_word)), int(number(minute_word)) if minute_word else 0, certain


# -- instants of a place ------------------------------------------------------------------------------------


def local_zone(name: str | None = None) -> tzinfo:
    """The zone of that name, or the device's: $TZ, then /etc/localtime, then UTC.

    Raises zoneinfo.ZoneInfoNotFoundError for a name that is none.
    """
    if name is not None:
        return ZoneInfo(name)
    if wanted := os.environ.get("TZ", "").lstrip(":"):
        with suppress(ValueError, OSError, ZoneInfoNotFoundError):  # TZ may also be a rule or a path
            return ZoneInfo(wanted)
    if _LOCALTIME.is_file():
        with _LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file, key="localtime")
    return UTC


def local(wall_ns: int, zone: tzinfo) -> datetime:
    """The local time of an instant, to the second."""
    return datetime.fromtimestamp(wall_ns // NS_PER_S, UTC).astimezone(zone)


def instant_ns(day: date, at: time, zone: tzinfo) -> int:
    """Wall ns of a local time: the moment of the change for one that is skipped, the first of two."""
    naive = datetime.combine(day, at)
    early, late = (naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    if early < late and late.astimezone(zone).replace(tzinfo=None) != naive:
        low, high = int(early.timestamp()), int(late.timestamp())
        before = datetime.fromtimestamp(low, UTC).astimezone(zone).utcoffset()
        while high - low > 1:
            middle = (low + high) // 2
            same = datetime.fromtimestamp(middle, UTC).astimezone(zone).utcoffset() == before
            low, high = (middle, high) if same else (low, middle)
        return high * NS_PER_S
    return int(late.timestamp()) * NS_PER_S


def day_bounds_ns(day: date, zone: tzinfo, days: int = 1) -> tuple[int, int]:
    """From one local midnight to another."""
    return instant_ns(day, time(0), zone), instant_ns(day + timedelta(days=days), time(0), zone)


# -- words ------------------------------------------------------------------------------------------------


def day_words(day: date, today: date) -> str:
    """'today', 'yesterday', 'on Monday 3 March', with the year where it is another one."""
    if day == today:
        return "today"
    if day == today - timedelta(days=1):
        return "yesterday"
    return f"on {day:%A} {day.day} {day:%B}" + (f" {day.year}" if day.year != today.year else "")


def clock_words(wall_ns: int, zone: tzinfo) -> str:
    """'14:03', or '14:03:10' where it is not on the minute; with the zone in an hour that comes twice."""
    at = local(wall_ns, zone)
    text = f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"
    naive = at.replace(tzinfo=None)
    offsets = {naive.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
    return f"{text} {at.tzname()}" if len(offsets) > 1 else text


def moment_words(wall_ns: int, now_ns: int, zone: tzinfo) -> str:
    """'today at 14:03:10'."""
    day = day_words(local(wall_ns, zone).date(), local(now_ns, zone).date())
    return f"{day} at {clock_words(wall_ns, zone)}"


def duration_words(length_ns: int) -> str:
    """'2 hours 5 minutes': the two largest units, to the second."""
    left = round(length_ns / NS_PER_S)
    if left == 0:
        return "less than a second"
    parts = []
    for name, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}{'' if count == 1 else 's'}")
    return " ".join(parts[:2])


def utc_words(wall_ns: int) -> str:
    """'2025-01-31T12:00:00.123Z'."""
    seconds, rest_ns = divmod(wall_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1_000_000:03d}Z"

"""What holds of every answer from memory: each number of its text is among its evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo

from memory_world import S

from edge_agent.types import Answer

_WORDS = frozenset(
    (
        "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
        "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty",
        "forty", "fifty", "sixty", "hundred", "thousand",
    )
)  # fmt: skip


def utc_ns(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000) * 1_000_000


def said_numbers(text: str) -> set[str]:
    """The numbers of a text, in digits or words; what is quoted is a label, not a number."""
    plain = re.sub(r'"[^"]*"', '""', text.lower()).replace("co2", "")
    return {*re.findall(r"\d+(?:\.\d+)?", plain), *(w for w in re.findall(r"[a-z]+", plain) if w in _WORDS)}


def invented(answer: Answer, zone: tzinfo) -> set[str]:
    """The numbers of an answer that no fact of its evidence bears out."""
    borne: set[str] = set()
    for fact in answer.evidence:
        for key, value in fact.items():
            borne |= set(_numbers_of(key, value, zone))
        if "start_utc" in fact and "end_utc" in fact:
            borne |= set(_lengths(utc_ns(str(fact["end_utc"])) - utc_ns(str(fact["start_utc"]))))
    return said_numbers(answer.text) - borne


def _numbers_of(key: str, value: object, zone: tzinfo) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _numbers_of(str(name), inner, zone)
    elif key.endswith("_utc"):
        at = datetime.fromtimestamp(utc_ns(str(value)) // S, UTC).astimezone(zone)
        # A day is told to the hour, minute and second, and its date where it is not today or yesterday.
        yield from (f"{at:%H}", f"{at:%M}", f"{at:%S}", str(at.day), str(at.year))
    elif key.endswith("seconds"):
        yield from _lengths(round(float(str(value)) * S))
    elif key.startswith("probability") or key == "mean_probability":
        yield f"{100 * float(str(value)):.0f}"
    elif key == "said" or key.startswith("said_"):
        yield from re.findall(r"\d+(?:\.\d+)?", str(value))
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)


def _lengths(length_ns: int) -> Iterator[str]:
    """The largest two units of a duration, as it is said."""
    left = round(length_ns / S)
    for size in (86_400, 3600, 60, 1):
        yield str(left // size)
        left %= size


def length_words(length_ns: int) -> str:
    """A duration as it ought to be said: its two largest units."""
    days, left = divmod(round(length_ns / S), 86_400)
    hours, left = divmod(left, 3600)
    parts = zip((days, hours, *divmod(left, 60)), ("day", "hour", "minute", "second"), strict=True)
    return " ".join(f"{n} {unit}" + "s" * (n != 1) for n, unit in [(n, u) for n, u in parts if n][:2])


def clock_words(at_ns: int, zone: tzinfo) -> str:
    """An hour as it ought to be said."""
    at = datetime.fromtimestamp(at_ns // S, UTC).astimezone(zone)
    return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"

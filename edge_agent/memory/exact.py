"""A query that answers no more than was asked: no yes to "all day", no second time for the last one. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from edge_agent.memory import unanswered
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.measured import Measured
from edge_agent.memory.queries import (
    FirstTime,
    HowLong,
    HowOften,
    LastTime,
    Most,
    Ongoing,
    Query,
    Target,
    Targeted,
    Timeline,
    Whether,
)

_ONE_TIME = re.compile(r"\b(?:last|first|latest|earliest|most recent(?:ly)?)\b")


def refusal(query: Query | Measured, rest: str, lexicon: Lexicon) -> str:
    """Why a query does not answer its question; empty where it does."""
    if unanswered.outside(rest) and not _is_heard(query, lexicon):
        return unanswered.OUTSIDE
    if not isinstance(query, Targeted | Timeline | Most):
        return ""
    if unanswered.how_far(rest):
        return unanswered.HOW_FAR
    count = unanswered.COUNT.search(rest)
    if isinstance(query, HowOften) and count and count["unit"] and not count["unit"].startswith("time"):
        return unanswered.EVERY_TIME
    one_day = isinstance(query, LastTime | FirstTime) and _ONE_TIME.search(rest)
    return unanswered.BY_DAY if unanswered.by_day(rest) and not one_day else ""


def _is_heard(query: Query | Measured, lexicon: Lexicon) -> bool:
    """Whether a label is read from a microphone, which hears what is outside as well."""
    if not isinstance(query, Targeted | Ongoing):
        return False
    serving = lexicon.manifest.serving(query.target.head)
    return any(lexicon.manifest.slot(name).modality == "audio" for name in serving)


def is_of_another_sensor(query: Query, rest: str, lexicon: Lexicon) -> bool:
    """Whether a sensor is named that does not read the label: "did the watch hear rain?"."""
    slots = lexicon.named_slots(rest)
    return isinstance(query, Targeted) and bool(slots) and query.target.head not in lexicon.read_by(slots)


def exact(query: Query, asked: str, rest: str, lexicon: Lexicon) -> Query:
    """The same query, or one that says less: how long or how often, where a yes would say too much."""
    if not isinstance(query, Targeted):
        return query
    return _counting(query, rest, lexicon) or _without_yes(query, asked)


def _counting(query: Targeted, rest: str, lexicon: Lexicon) -> Targeted | None:
    """Three where "more than two" were asked for; None where no label stands for a number."""
    count = unanswered.COUNT.search(rest)
    if count is None or count["unit"]:
        return None
    labels = lexicon.counted(query.target.head, count["how"], count["count"])
    target = Target(query.target.head, labels)
    if not labels:
        return None
    return Whether(target, query.span) if isinstance(query, HowOften) else replace(query, target=target)


def _without_yes(query: Targeted, asked: str) -> Targeted:
    if not isinstance(query, Whether) or query.why:
        return query
    if unanswered.whole(asked):
        return HowLong(query.target, query.span)
    return HowOften(query.target, query.span) if unanswered.denied(asked) else query

"""What an answer from memory rests on, ready for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edge_agent.memory.clock_words import utc_words
from edge_agent.memory.database import NS_PER_S
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.notes import DATA, NO_DATA, SLOT
from edge_agent.memory.queries import Availability, Finding, Query, Span, Target
from edge_agent.memory.spells import Spell

EVIDENCE = 50
"""So many spells go with an answer; the summary counts them all."""


def span_of(query: Query) -> Span | None:
    """The time a query is about."""
    return getattr(query, "span", None)


def heads_of(query: Query) -> tuple[str, ...]:
    """The heads that a query names."""
    target: Target | None = getattr(query, "target", None)
    heads: tuple[str, ...] = getattr(query, "heads", ())
    return heads if target is None else (target.head,)


def slots_of(query: Query, lexicon: Lexicon) -> Iterable[str]:
    """The slots that a query is answered from."""
    if isinstance(query, Availability):
        return query.slots
    heads = heads_of(query) or tuple(head.name for head in lexicon.heads)
    return frozenset[str]().union(*(lexicon.manifest.serving(head) for head in heads))


def evidence(found: Finding) -> tuple[Mapping[str, object], ...]:
    """What an answer rests on, ready for JSON: a summary, then the newest spells and events."""
    span = span_of(found.query)
    summary: dict[str, object] = {
        "query": type(found.query).__name__,
        "count": len(found.spells),
        "events": len(found.events),
        "seconds": found.seen_ns / NS_PER_S,
        "watched_seconds": found.watched_ns / NS_PER_S,
    }
    if span is not None and not span.open:
        summary |= {"start_utc": utc_words(span.start_ns), "end_utc": utc_words(span.end_ns)}
    if found.newest_ns is not None:
        summary |= {"newest_utc": utc_words(found.newest_ns)}
    spells = [_fact(spell) for spell in found.spells[-EVIDENCE:]]
    events = [
        {
            "event": e.id,
            "task": e.head,
            "label": e.label,
            "probability": e.probability,
            "time_utc": utc_words(e.at_ns),
        }
        for e in found.events[-EVIDENCE:]
    ]
    return (summary, *spells, *events)


def _fact(spell: Spell) -> dict[str, object]:
    what = (
        {"sensor": spell.head.removeprefix(SLOT)} if spell.label in {DATA, NO_DATA} else {"task": spell.head}
    )
    return {
        **what,
        "label": spell.label,
        "start_utc": utc_words(spell.start_ns),
        "end_utc": utc_words(spell.end_ns),
        "seconds": spell.seen_ns / NS_PER_S,
        "probability": spell.probability,
        "windows": spell.windows,
        "first_window": spell.first_window,
        "last_window": spell.last_window,
        "intervals": spell.intervals,
        "sensors": list(spell.sensors),
        "simulated": spell.simulated,
    }

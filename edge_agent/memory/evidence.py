"""What an answer from memory rests on, ready for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from edge_agent.clock import NS_PER_S
from edge_agent.memory.clock_words import utc_words
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.notes import DATA, NO_DATA, SLOT
from edge_agent.memory.queries import Availability, Finding, Query, Span, Target, Timeline
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
    """What an answer rests on, ready for JSON: a summary, sums by label, then the newest spells and events.

    Every number of the answer's text is among them.
    """
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
    return (_summary(found), *_sums(found), *spells, *events)


def _summary(found: Finding) -> dict[str, object]:
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
        age_s = (found.now_ns - found.newest_ns) / NS_PER_S
        summary |= {"newest_utc": utc_words(found.newest_ns), "age_seconds": age_s}
    if found.spells:
        chances = [spell.probability for spell in found.spells]
        summary |= {"probability_min": min(chances), "probability_max": max(chances)}
        summary |= _weighed(found.spells)
    return summary


def _weighed(spells: Sequence[Spell]) -> dict[str, object]:
    """Of some spells together: their windows, their mean probability, and when the first and last began."""
    windows = sum(spell.windows for spell in spells)
    return {
        "windows": windows,
        "mean_probability": sum(spell.probability * spell.windows for spell in spells) / windows,
        "first_utc": utc_words(spells[0].start_ns),
        "last_utc": utc_words(spells[-1].start_ns),
    }


def _sums(found: Finding) -> list[dict[str, object]]:
    """A query about more than one label or slot: each one's share."""
    groups: dict[tuple[str, str], list[Spell]] = {}
    for spell in found.spells:
        groups.setdefault((spell.head, spell.label), []).append(spell)
    if isinstance(found.query, Availability):
        return [
            {
                "sensor": slot,
                "count": len(gaps := groups.get((f"{SLOT}{slot}", NO_DATA), [])),
                "seconds": sum(spell.seen_ns for spell in gaps) / NS_PER_S,
                "watched_seconds": found.watched_by.get(f"{SLOT}{slot}", 0) / NS_PER_S,
                **(_weighed(gaps) if gaps else {}),
            }
            for slot in found.query.slots
        ]
    if not isinstance(found.query, Timeline):
        return []
    return [
        {
            "task": head,
            "label": label,
            "count": len(group),
            "seconds": sum(s.seen_ns for s in group) / NS_PER_S,
        }
        for (head, label), group in groups.items()
    ]


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

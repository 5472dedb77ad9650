"""What an answer from memory rests on, ready for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edge_agent.clock import NS_PER_S
from edge_agent.memory.clock_words import utc_words
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.notes import DATA, NO_DATA, SLOT
from edge_agent.memory.queries import KEPT, Availability, Finding, Most, Query, Timeline, heads_of, span_of
from edge_agent.memory.spells import Spell, Sum


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
    spells = [_fact(spell) for spell in found.spells]
    events = [
        {
            "event": e.id,
            "task": e.head,
            "label": e.label,
            "probability": e.probability,
            "time_utc": utc_words(e.at_ns),
        }
        for e in found.events[-KEPT:]
    ]
    return (_summary(found), *_sums(found), *spells, *events)


def _summary(found: Finding) -> dict[str, object]:
    span, total = span_of(found.query), found.total
    summary: dict[str, object] = {
        "query": type(found.query).__name__,
        "count": total.times,
        "events": len(found.events),
        "seconds": total.seen_ns / NS_PER_S,
        "watched_seconds": found.watched_ns / NS_PER_S,
        "simulated": total.simulated,
    }
    if span is not None and not span.open:
        summary |= {"start_utc": utc_words(span.start_ns), "end_utc": utc_words(span.end_ns)}
    if found.newest_ns is not None:
        age_s = (found.now_ns - found.newest_ns) / NS_PER_S
        summary |= {"newest_utc": utc_words(found.newest_ns), "age_seconds": age_s}
    if total.times:
        summary |= {"probability_min": total.least, "probability_max": total.greatest, **_weighed(total)}
    return summary


def _weighed(one: Sum) -> dict[str, object]:
    """Of some spells together: their windows, their mean probability, and when the first and last began."""
    return {
        "windows": one.windows,
        "mean_probability": one.mean,
        "first_utc": utc_words(one.first_ns),
        "last_utc": utc_words(one.last_ns),
    }


def _sums(found: Finding) -> list[dict[str, object]]:
    """A query about more than one label or slot: each one's share."""
    if isinstance(found.query, Availability):
        return [
            {
                "sensor": slot,
                "count": (gaps := found.sums.get((f"{SLOT}{slot}", NO_DATA), Sum())).times,
                "seconds": gaps.seen_ns / NS_PER_S,
                "watched_seconds": found.watched_by.get(f"{SLOT}{slot}", 0) / NS_PER_S,
                **(_weighed(gaps) if gaps.times else {}),
            }
            for slot in found.query.slots
        ]
    if not isinstance(found.query, Timeline | Most):
        return []
    return [
        {"task": head, "label": label, "count": one.times, "seconds": one.seen_ns / NS_PER_S}
        for (head, label), one in found.sums.items()
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
        "probability": spell.mean,
        "windows": spell.windows,
        "first_window": spell.first_window,
        "last_window": spell.last_window,
        "intervals": spell.intervals,
        "sensors": sorted(spell.sensors),
        "simulated": spell.simulated,
    }

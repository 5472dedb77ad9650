"""What was measured, as facts in words and as evidence. Every number goes through its fact's formatter."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import tzinfo

from edge_agent.clock import NS_PER_S
from edge_agent.manifest import Manifest
from edge_agent.memory.clock_words import duration_words, moment_words, utc_words
from edge_agent.memory.database import Minute
from edge_agent.memory.measured import MeasuredFinding, Wanted
from edge_agent.memory.numbers import Number
from edge_agent.memory.series import MINUTE_NS
from edge_agent.memory.telling import Said
from edge_agent.memory.words import times
from edge_agent.perception.facts import join

_EVIDENCE = 20
"""So many minutes go with an answer; the summary counts them all."""


class NumberWords:
    """What is to be said of numbers, for one model in one place."""

    def __init__(self, manifest: Manifest, zone: tzinfo) -> None:
        self._manifest = manifest
        self._zone = zone

    def answer(self, found: MeasuredFinding, number: Number, when: str) -> Said:
        """What is to be said; `when` is the time asked about, as it is said."""
        if not found.minutes:
            return self._nothing(found, number, when)
        wanted = found.query.wanted
        facts = {"number": number.subject, "when": when, "proof": self.proof(found)}
        match wanted:
            case Wanted.ABOVE | Wanted.BELOW:
                return self._limit(found, number, facts)
            case Wanted.VALUE:
                (minute,) = found.minutes
                del facts["when"]
                facts |= {
                    "value": number.said(minute.total / minute.count),
                    "at": self.minute(minute, found),
                }
            case Wanted.CHANGE:
                return self._change(found, number, facts)
            case Wanted.AVERAGE:
                facts["average"] = number.said(found.average)
            case Wanted.RANGE:
                facts |= {
                    "low": number.said(found.lowest.low),
                    "high": number.said(found.highest.high),
                    "average": number.said(found.average),
                }
            case Wanted.LOWEST | Wanted.HIGHEST:
                facts |= self._most(found, number, low=wanted is Wanted.LOWEST)
        return Said(wanted.value, facts)

    def sources(self, found: MeasuredFinding) -> Said:
        """Which sensors an answer rests on."""
        if not found.minutes:
            return Said("measured by none")
        return Said("measured by", {"sensors": self._names(found.sensors), "times": times(found.count)})

    def certainty(self, found: MeasuredFinding, number: Number) -> Said:
        """How sure an answer is: as sure as its values are many."""
        if not found.minutes:
            return Said("sure of no value", {"number": number.subject})
        facts = {
            "times": times(found.count),
            "sensors": self._names(found.sensors),
            "low": number.said(found.lowest.low),
            "high": number.said(found.highest.high),
        }
        return Said("sure of value", facts)

    # -- parts -----------------------------------------------------------------------------------------

    def _nothing(self, found: MeasuredFinding, number: Number, when: str) -> Said:
        if found.newest_ns is None:
            sensors = self._names(number.slots)
            return Said("no value ever", {"number": number.subject, "sensors": sensors})
        newest = self._moment(found.newest_ns, found)
        return Said("no value", {"number": number.subject, "when": when, "at": newest})

    def _most(self, found: MeasuredFinding, number: Number, *, low: bool) -> dict[str, str]:
        minute = found.lowest if low else found.highest
        value, at_ns = (minute.low, minute.low_ns) if low else (minute.high, minute.high_ns)
        return {"value": number.said(value), "at": self._moment(at_ns, found)}

    def _limit(self, found: MeasuredFinding, number: Number, facts: dict[str, str]) -> Said:
        query, beyond = found.query, found.beyond
        assert query.limit is not None  # these have one
        facts["limit"] = f"{query.wanted} {_plain(query.limit)} {number.unit}".strip()
        facts |= self._most(found, number, low=query.wanted is Wanted.BELOW)
        if not beyond:
            return Said(f"not {query.wanted}", facts)
        first, last = (self.minute(minute, found) for minute in (beyond[0], beyond[-1]))
        many = f"in {len(beyond)} minutes, first {first}, last {last}"
        facts["times"] = f"once, {first}" if len(beyond) == 1 else many
        del facts["at"]
        return Said(query.wanted.value, facts)

    def _change(self, found: MeasuredFinding, number: Number, facts: dict[str, str]) -> Said:
        first, last = found.minutes[0], found.minutes[-1]
        begun, ended = number.said(first.first), number.said(last.last)
        facts |= {
            "value": begun,
            "at": self._moment(first.start_ns, found),
            "end": self._moment(last.end_ns, found),
        }
        if begun == ended:
            return Said("same", facts)
        facts |= {"change": number.said(abs(last.last - first.first)), "now": ended}
        return Said("rose" if last.last > first.first else "fell", facts)

    def proof(self, found: MeasuredFinding) -> str:
        """How often it was measured, and by which sensors."""
        invented = ", simulated" if any(m.measure.simulated for m in found.minutes) else ""
        old = ""
        if found.query.span.end_ns >= found.now_ns and not found.fresh and found.newest_ns is not None:
            old = f", the newest {duration_words(found.now_ns - found.newest_ns)} old"
        return f"measured {times(found.count)}, from {self._names(found.sensors)}{invented}{old}"

    def _names(self, slots: Collection[str]) -> str:
        return join(slot.description for slot in self._manifest.slots if slot.name in slots)

    def minute(self, minute: Minute, found: MeasuredFinding) -> str:
        """When a minute began."""
        return self._moment(minute.start_ns // MINUTE_NS * MINUTE_NS, found)

    def _moment(self, at_ns: int, found: MeasuredFinding) -> str:
        return moment_words(at_ns, found.now_ns, self._zone)


def number_evidence(found: MeasuredFinding, number: Number) -> tuple[Mapping[str, object], ...]:
    """What an answer rests on, ready for JSON: a summary, then the newest minutes of those that count."""
    query = found.query
    summary: dict[str, object] = {
        "query": "Measured",
        "number": query.name,
        "wanted": query.wanted.value,
        "unit": number.unit,
        "count": found.count,
        "minutes": len(found.minutes),
        "sensors": list(found.sensors),
        "simulated": any(minute.measure.simulated for minute in found.minutes),
    }
    if not query.span.open:
        span = query.span
        summary |= {"start_utc": utc_words(span.start_ns), "end_utc": utc_words(span.end_ns)}
    if found.newest_ns is not None:
        age_s = (found.now_ns - found.newest_ns) / NS_PER_S
        summary |= {"newest_utc": utc_words(found.newest_ns), "age_seconds": age_s}
    if query.limit is not None:
        beyond = found.beyond
        summary |= {"limit": query.limit, "said_limit": _plain(query.limit), "minutes_beyond": len(beyond)}
        if beyond:
            first, last = beyond[0], beyond[-1]
            summary |= {"beyond_first_utc": utc_words(first.start_ns)}
            summary |= {"beyond_last_utc": utc_words(last.start_ns)}
    if found.minutes:
        summary |= _values(found, number)
    kept = found.beyond or found.minutes
    return (summary, *(_fact(minute) for minute in kept[-_EVIDENCE:]))


def _values(found: MeasuredFinding, number: Number) -> dict[str, object]:
    first, last, low, high = found.minutes[0], found.minutes[-1], found.lowest, found.highest
    values = {
        "lowest": low.low,
        "highest": high.high,
        "average": found.average,
        "first": first.first,
        "last": last.last,
        "change": abs(last.last - first.first),
    }
    return {
        **values,
        **{f"said_{name}": number.said(value) for name, value in values.items()},
        "lowest_utc": utc_words(low.low_ns),
        "highest_utc": utc_words(high.high_ns),
        "first_utc": utc_words(first.start_ns),
        "last_utc": utc_words(last.end_ns),
    }


def _fact(minute: Minute) -> dict[str, object]:
    return {
        "number": minute.measure.name,
        "start_utc": utc_words(minute.start_ns),
        "end_utc": utc_words(minute.end_ns),
        "low": minute.low,
        "high": minute.high,
        "mean": minute.total / minute.count,
        "count": minute.count,
        "first_window": minute.first_window,
        "last_window": minute.last_window,
        "sensors": list(minute.measure.sensors),
        "simulated": minute.measure.simulated,
    }


def _plain(value: float) -> str:
    return f"{value:g}"

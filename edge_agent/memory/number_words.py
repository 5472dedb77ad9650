"""What was measured, in words and as evidence. Every number goes through the formatter of its fact."""

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
from edge_agent.memory.words import times, upper
from edge_agent.perception.facts import join

_EVIDENCE = 20
"""So many minutes go with an answer; the summary counts them all."""


class NumberWords:
    """Sentences about numbers, for one model in one place; `when` says a span in words."""

    def __init__(self, manifest: Manifest, zone: tzinfo) -> None:
        self._manifest = manifest
        self._zone = zone

    def answer(self, found: MeasuredFinding, number: Number, when: str) -> str:
        """The facts in one or two sentences; `when` is the time asked about, as it is said."""
        if not found.minutes:
            return self._nothing(found, number, when)
        match found.query.wanted:
            case Wanted.ABOVE | Wanted.BELOW:
                text = self._limit(found, number, when)
            case Wanted.VALUE:
                (minute,) = found.minutes
                at = self._minute(minute, found)
                text = f"{upper(number.subject)} was {number.said(minute.total / minute.count)} {at}"
            case Wanted.CHANGE:
                text = self._change(found, number, when)
            case Wanted.AVERAGE:
                text = f"{upper(number.subject)} was {number.said(found.average)} on average {when}"
            case Wanted.RANGE:
                text = (
                    f"{upper(number.subject)} was between {number.said(found.lowest.low)} and "
                    f"{number.said(found.highest.high)} {when}, {number.said(found.average)} on average"
                )
            case wanted:
                low = wanted is Wanted.LOWEST
                value = found.lowest.low if low else found.highest.high
                at = self._moment(found.lowest.low_ns if low else found.highest.high_ns, found)
                text = f"{upper(number.subject)} was {number.said(value)} at its {wanted} {when}, {at}"
        return f"{text} ({self._proof(found)})."

    def sources(self, found: MeasuredFinding) -> str:
        """Which sensors an answer rests on."""
        if not found.minutes:
            return "None told me: I remember no value of that time."
        return f"{upper(self._names(found.sensors))} measured it, {times(found.count)}."

    def certainty(self, found: MeasuredFinding, number: Number) -> str:
        """How sure an answer is: as sure as its values are many."""
        if not found.minutes:
            return f"I am sure only that I remember no value of {number.subject} then."
        names = self._names(found.sensors)
        return (
            f"It was measured {times(found.count)}, by {names}; the values are between "
            f"{number.said(found.lowest.low)} and {number.said(found.highest.high)}."
        )

    # -- parts -----------------------------------------------------------------------------------------

    def _nothing(self, found: MeasuredFinding, number: Number, when: str) -> str:
        names = self._names(number.slots)
        if found.newest_ns is None:
            return f"I remember no value of {number.subject}, which {names} would have to measure."
        newest = self._moment(found.newest_ns, found)
        return f"I have no value of {number.subject} {when}, so I cannot say. The newest is from {newest}."

    def _limit(self, found: MeasuredFinding, number: Number, when: str) -> str:
        query, beyond = found.query, found.beyond
        assert query.limit is not None  # these have one
        above = query.wanted is Wanted.ABOVE
        side = f"{query.wanted} {_plain(query.limit)} {number.unit}".strip()
        most = found.highest if above else found.lowest
        value, at_ns = (most.high, most.high_ns) if above else (most.low, most.low_ns)
        kind, at = ("highest" if above else "lowest"), self._moment(at_ns, found)
        if not beyond:
            text = f"No. {upper(number.subject)} was not {side} {when}"
            return f"{text}: the {kind} was {number.said(value)}, {at}"
        first, last = (self._minute(minute, found) for minute in (beyond[0], beyond[-1]))
        told = (
            f"once, {first}" if len(beyond) == 1 else f"in {len(beyond)} minutes, first {first}, last {last}"
        )
        return f"Yes. {upper(number.subject)} was {side} {when} {told}; the {kind} was {number.said(value)}"

    def _change(self, found: MeasuredFinding, number: Number, when: str) -> str:
        first, last = found.minutes[0], found.minutes[-1]
        begun, ended = number.said(first.first), number.said(last.last)
        at, until = self._moment(first.start_ns, found), self._moment(last.end_ns, found)
        change = number.said(abs(last.last - first.first))
        if begun == ended:
            return f"{upper(number.subject)} was the same at both ends {when}: {begun} {at} and {until}"
        way = "rose" if last.last > first.first else "fell"
        return f"{upper(number.subject)} {way} by {change} {when}, from {begun} {at} to {ended} {until}"

    def _proof(self, found: MeasuredFinding) -> str:
        invented = ", simulated" if any(m.measure.simulated for m in found.minutes) else ""
        old = ""
        if found.query.span.end_ns >= found.now_ns and not found.fresh and found.newest_ns is not None:
            old = f", the newest {duration_words(found.now_ns - found.newest_ns)} old"
        return f"measured {times(found.count)}, from {self._names(found.sensors)}{invented}{old}"

    def _names(self, slots: Collection[str]) -> str:
        return join(slot.description for slot in self._manifest.slots if slot.name in slots)

    def _minute(self, minute: Minute, found: MeasuredFinding) -> str:
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
        "start_utc": utc_words(query.span.start_ns),
        "end_utc": utc_words(query.span.end_ns),
    }
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

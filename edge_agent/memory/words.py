"""A finding as facts in words: what is to be said of it. Every number goes through one formatter.

A label is quoted as the model says it: `I read "the person is seated" ...`, which is true of any head.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from edge_agent.clock import NS_PER_S
from edge_agent.memory.clock_words import (
    clock_words,
    day_words,
    duration_words,
    local,
    moment_words,
)
from edge_agent.memory.evidence import slots_of
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.notes import NO_DATA, SLOT
from edge_agent.memory.queries import (
    After,
    Availability,
    Before,
    Finding,
    FirstTime,
    HowLong,
    HowOften,
    LastTime,
    Most,
    Ongoing,
    Query,
    Span,
    Target,
    Timeline,
    Unusual,
    Whether,
    span_of,
)
from edge_agent.memory.spells import Spell, Sum, together
from edge_agent.memory.telling import Said
from edge_agent.perception.facts import join

TOLD = 5
"""So many spells are told one by one; of more only the sums."""
_EVER = "as far back as I remember"
_WATCHED_SHARE = 0.95
"""Where less of a time than this had data, the answer says so."""


class Words:
    """What is to be said, for one model in one place."""

    def __init__(self, lexicon: Lexicon, zone: tzinfo) -> None:
        self._lexicon = lexicon
        self._zone = zone

    def answer(self, found: Finding) -> Said:  # noqa: C901  # one for each query
        """What is to be said of a finding."""
        query = found.query
        span = span_of(query)
        if span is not None and not span.open and found.watched_ns == 0 and not found.spells:
            return Said("no data", {"sources": self._sources(query), "when": self.span(span, found.now_ns)})
        if found.newest_ns is None:
            return Said("no data ever", {"sources": self._sources(query)})
        match query:
            case LastTime(target, span) | FirstTime(target, span):
                said = self._one(found, target, span)
            case Ongoing(target):
                said = self._ongoing(found, target)
            case HowLong(target, span) | HowOften(target, span) | Whether(target, span):
                said = self._sum(found, target, span)
            case Timeline(heads, span):
                said = self._timeline(found, heads, span)
            case Before():
                said = self._before(found)
            case After():
                said = (
                    Said("after", {"events": self._listed(found)}) if found.spells else Said("nothing after")
                )
            case Most(_, span):
                said = self._most(found, span, longest=query.longest)
            case Unusual(span):
                said = self._unusual(found, span)
            case Availability(slots, span):
                said = self._availability(found, slots, span)
        return said.but(self.caution(found, span))

    # -- one query each --------------------------------------------------------------------------------

    def _one(self, found: Finding, target: Target, span: Span) -> Said:
        if not found.spells:
            back = _EVER if span.open else self.span(span, found.now_ns)
            return Said("never", {"what": self.quoted(target), "when": back})
        first = isinstance(found.query, FirstTime)
        if not first and found.ongoing:
            return Said("now", self._lasting(found))
        return Said("first" if first else "last", self._told_of(found.spells[0], found))

    def _ongoing(self, found: Finding, target: Target) -> Said:
        if not found.spells:
            return Said("never", {"what": self.quoted(target), "when": _EVER})
        if found.ongoing:
            return Said("still", self._lasting(found))
        facts = self._told_of(found.spells[0], found)
        facts["end"] = moment_words(found.spells[0].end_ns, found.now_ns, self._zone)
        del facts["at"]
        return Said("over", facts)

    def _sum(self, found: Finding, target: Target, span: Span) -> Said:
        query = found.query
        whether, why = isinstance(query, Whether), isinstance(query, Whether) and query.why
        facts = {"what": self.quoted(target), "when": self.span(span, found.now_ns)}
        if not found.spells:
            lead = "No, so there is no why." if why else ""
            return Said("no" if whether and not why else "none", facts, lead)
        facts |= {
            "times": times(found.total.times),
            "duration": duration_words(found.total.seen_ns),
            "moments": self._moments(found.spells, found.total, found),
            "proof": self.proof(found.total),
        }
        if isinstance(query, HowLong):
            return Said("how long", facts)
        facts["duration"] += " in all" if found.total.times > 1 else ""
        lead = "I cannot tell why, only what I read." if why else ""
        return Said("yes" if whether and not why else "how often", facts, lead)

    def _timeline(self, found: Finding, heads: Sequence[str], span: Span) -> Said:
        when = {"when": self.span(span, found.now_ns)}
        if not found.spells:
            return Said("nothing", when)
        if found.total.times <= TOLD:
            return Said("events", {**when, "events": self._listed(found)})
        parts = []
        for head in heads:
            sums = [(one, label) for (of, label), one in found.sums.items() if of == head]
            ranked = sorted(sums, key=lambda pair: -pair[0].seen_ns)[:TOLD]
            parts += [
                f"{self._said(head, label)} {times(one.times)}, for {duration_words(one.seen_ns)}"
                for one, label in ranked
            ]
        return Said("events", {**when, "events": "; ".join(parts)})

    def _before(self, found: Finding) -> Said:
        return Said("before", {"events": self._listed(found)}) if found.spells else Said("nothing before")

    def _most(self, found: Finding, span: Span, *, longest: bool) -> Said:
        """The first of a ranking, or those that share its place, then the next ones."""
        when = {"when": self.span(span, found.now_ns)}
        if not found.sums:
            return Said("nothing", when)

        def rank(one: Sum) -> int:
            return round(one.seen_ns / NS_PER_S) if longest else one.times

        def much(one: Sum) -> str:
            return duration_words(one.seen_ns) if longest else times(one.times)

        ranked = sorted(found.sums.items(), key=lambda pair: -rank(pair[1]))
        first = [pair for pair in ranked if rank(pair[1]) == rank(ranked[0][1])]
        after = ranked[len(first) : len(first) + TOLD]
        facts = {
            "what": join(self._said(*of) for of, _ in first),
            "value": much(first[0][1]) + (" each" if len(first) > 1 else ""),
            "proof": self.proof(together([one for _, one in first])),
            "events": ", ".join(f"{self._said(*of)} {much(one)}" for of, one in after) or "nothing else",
        }
        return Said("longest" if longest else "most often", {**when, **facts})

    def _unusual(self, found: Finding, span: Span) -> Said:
        when = {"when": self.span(span, found.now_ns)}
        alarms = [
            f"{self._said(e.head, e.label)} {moment_words(e.at_ns, found.now_ns, self._zone)}"
            for e in found.events[-TOLD:]
        ]
        if not alarms and not found.spells:
            return Said("nothing unusual", when)
        parts = []
        if alarms:
            count = len(found.events)
            newest = " the newest:" if count > TOLD else ""
            parts.append(f"What asks for attention, {times(count)}:{newest} {'; '.join(alarms)}")
        if found.spells:
            moments = self._moments(found.spells, found.total, found)
            parts.append(f"Unlike anything that I know, {times(found.total.times)}: {moments}")
        return Said("unusual", {**when, "events": ". ".join(parts)})

    def _availability(self, found: Finding, slots: Sequence[str], span: Span) -> Said:
        parts = []
        for slot in slots:
            name = self._slot(slot)
            gaps = found.sums.get((f"{SLOT}{slot}", NO_DATA), Sum())
            had = found.watched_by.get(f"{SLOT}{slot}", 0)
            if not gaps.times:
                whole = "without a gap" if had else "at no time"
                parts.append(f"{name} gave data {whole}" + (f", {duration_words(had)}" if had else ""))
            else:
                told = [spell for spell in found.spells if spell.head == f"{SLOT}{slot}"]
                moments = self._moments(told, gaps, found)
                missing = duration_words(gaps.seen_ns)
                parts.append(f"{name} gave no data {times(gaps.times)}, for {missing}: {moments}")
        return Said("sensors", {"when": self.span(span, found.now_ns), "events": "; ".join(parts)})

    # -- about an answer -------------------------------------------------------------------------------

    def sources(self, found: Finding) -> Said:
        """Which sensors an answer rests on."""
        if not (names := found.total.sensors):
            return Said("told by none", {"sources": self._sources(found.query)})
        used = join(self._slot(slot.name) for slot in self._lexicon.slots if slot.name in names)
        return Said("told by", {"sensors": used, "count": str(found.total.windows)})

    def certainty(self, found: Finding) -> Said:
        """How sure an answer is, from the probabilities that it rests on."""
        total = found.total
        if not total.times:
            return Said("sure of none").but(self.caution(found, span_of(found.query)))
        low, high = _percent(total.least), _percent(total.greatest)
        sure = low if low == high else f"{low} to {high}"
        return Said("sure", {"share": sure, "count": str(total.windows)})

    # -- parts ------------------------------------------------------------------------------------------

    def caution(self, found: Finding, span: Span | None) -> str:
        """What was not seen, or how old the newest data are where that matters; mostly nothing."""
        if span is not None and not span.open:
            length_ns = span.end_ns - span.start_ns
            if found.watched_ns < _WATCHED_SHARE * length_ns:
                watched = duration_words(found.watched_ns)
                return f"I had data for {watched} of these {duration_words(length_ns)}"
        elif not found.fresh and found.newest_ns is not None:
            return f"My newest data are {duration_words(found.now_ns - found.newest_ns)} old"
        return ""

    def _sources(self, query: Query) -> str:
        wanted = set(slots_of(query, self._lexicon))
        names = [self._slot(slot.name) for slot in self._lexicon.slots if slot.name in wanted]
        return f"from {join(names, 'or')}" if names else "from any sensor"

    def _lasting(self, found: Finding) -> dict[str, str]:
        """The facts of the last spell, which goes on."""
        spell = found.spells[0]
        return {
            "what": self._label(spell),
            "since": moment_words(spell.start_ns, found.now_ns, self._zone),
            "duration": duration_words(spell.end_ns - spell.start_ns),
            "proof": self.proof(found.total),
        }

    def _told_of(self, spell: Spell, found: Finding) -> dict[str, str]:
        """The facts of the one spell that was found."""
        return {
            "what": self._label(spell),
            "at": moment_words(spell.start_ns, found.now_ns, self._zone),
            "duration": duration_words(spell.seen_ns),
            "proof": self.proof(found.total),
        }

    def _listed(self, found: Finding) -> str:
        return "; ".join(self._told(spell, found.now_ns) for spell in found.spells)

    def _told(self, spell: Spell, now_ns: int) -> str:
        at = moment_words(spell.start_ns, now_ns, self._zone)
        return f"{self._label(spell)} {at}, for {duration_words(spell.seen_ns)} ({self.proof(spell)})"

    def _moments(self, spells: Sequence[Spell], of: Sum, found: Finding) -> str:
        """When they began; of many, or of some that are not at hand, the first and the last."""
        if len(spells) == of.times <= TOLD:
            return join(moment_words(spell.start_ns, found.now_ns, self._zone) for spell in spells)
        first, last = (moment_words(at, found.now_ns, self._zone) for at in (of.first_ns, of.last_ns))
        return f"the first {first}, the last {last}"

    def proof(self, of: Spell | Sum) -> str:
        """How sure it was read, and by which sensors."""
        used = join(self._slot(slot.name) for slot in self._lexicon.slots if slot.name in of.sensors)
        return f"{_percent(of.mean)}, from {used}" if used else _percent(of.mean)

    def _label(self, spell: Spell) -> str:
        return self._said(spell.head, spell.label)

    def _said(self, head: str, label: str) -> str:
        readout = self._lexicon.manifest.task(head).readout.strip()
        readout = readout if readout.startswith("I ") else readout[:1].lower() + readout[1:]
        return f'"{readout} {self._lexicon.phrase(head, label)}"'

    def quoted(self, target: Target) -> str:
        """The labels of a target, as the model says them."""
        return join((self._said(target.head, label) for label in target.labels), "or") or "anything"

    def _slot(self, name: str) -> str:
        return self._lexicon.manifest.slot(name).description

    def span(self, span: Span, now_ns: int) -> str:
        """'today', 'yesterday', 'today from 14:00 to 16:00', 'since today at 14:00'."""
        if span.open:
            return _EVER
        zone, today = self._zone, local(now_ns, self._zone).date()
        start, end = local(span.start_ns, zone), local(span.end_ns - NS_PER_S, zone)
        midnight = (start.hour, start.minute, start.second) == (0, 0, 0)
        full = midnight and start.date() == end.date() and (end.hour, end.minute, end.second) == (23, 59, 59)
        if full or (midnight and start.date() == today and span.end_ns == now_ns):
            return day_words(start.date(), today)
        if span.end_ns == now_ns:
            return f"since {_bare(span.start_ns, now_ns, zone)}"
        begin, finish = (_bare(at_ns, now_ns, zone) for at_ns in (span.start_ns, span.end_ns))
        if local(span.end_ns, zone).date() == start.date():
            first, last = clock_words(span.start_ns, zone), clock_words(span.end_ns, zone)
            return f"{day_words(start.date(), today)} from {first} to {last}"
        return f"from {begin} to {finish}"


def times(count: int) -> str:
    """How often."""
    return "once" if count == 1 else f"{count} times"


def _bare(at_ns: int, now_ns: int, zone: tzinfo) -> str:
    """A moment after "from", "to" and "since"."""
    return moment_words(at_ns, now_ns, zone).removeprefix("on ")


def _percent(probability: float) -> str:
    return f"{100 * probability:.0f} percent"

"""A finding in words, and the evidence for them. Every number comes from the finding, through one formatter.

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
    Availability,
    Before,
    Finding,
    FirstTime,
    HowLong,
    HowOften,
    LastTime,
    Ongoing,
    Query,
    Span,
    Target,
    Timeline,
    Unusual,
    Whether,
    span_of,
)
from edge_agent.memory.spells import Spell, Sum
from edge_agent.perception.facts import join

TOLD = 5
"""So many spells are told one by one; of more only the sums."""
_WATCHED_SHARE = 0.95
"""Where less of a time than this had data, the answer says so."""


class Words:
    """Sentences for one model in one place."""

    def __init__(self, lexicon: Lexicon, zone: tzinfo) -> None:
        self._lexicon = lexicon
        self._zone = zone

    def answer(self, found: Finding) -> str:
        """The facts in one to three sentences."""
        query = found.query
        span = span_of(query)
        if span is not None and not span.open and found.watched_ns == 0 and not found.spells:
            return self._no_data(found, span)
        if found.newest_ns is None:
            return f"I remember no data {self._sources(query)} at all."
        match query:
            case LastTime(target, span) | FirstTime(target, span):
                text = self._one(found, target, span, "last" if isinstance(query, LastTime) else "first")
            case Ongoing(target):
                text = self._ongoing(found, target)
            case HowLong(target, span) | HowOften(target, span) | Whether(target, span):
                text = self._sum(found, target, span)
            case Timeline(heads, span):
                text = self._timeline(found, heads, span)
            case Before():
                text = self._before(found)
            case Unusual(span):
                text = self._unusual(found, span)
            case Availability(slots, span):
                text = self._availability(found, slots, span)
            case _:
                raise ValueError(f"{type(query).__name__} is not for memory to word")
        return text + self._caution(found, span)

    # -- one query each --------------------------------------------------------------------------------

    def _one(self, found: Finding, target: Target, span: Span, which: str) -> str:
        if not found.spells:
            back = "as far back as I remember" if span.open else self.span(span, found.now_ns)
            return f"I have not read {self._quoted(target)} {back}."
        spell = found.spells[0]
        if which == "last" and found.ongoing:
            return f"I read {self._label(spell)} now, {self._since(spell, found)} {self._proof(found.total)}."
        at = moment_words(spell.start_ns, found.now_ns, self._zone)
        lasted = duration_words(spell.seen_ns)
        return f"I {which} read {self._label(spell)} {at}, for {lasted} {self._proof(found.total)}."

    def _ongoing(self, found: Finding, target: Target) -> str:
        if not found.spells:
            return f"I have not read {self._quoted(target)} as far back as I remember."
        spell = found.spells[0]
        if found.ongoing:
            return f"I read {self._label(spell)} {self._since(spell, found)} {self._proof(found.total)}."
        ended = moment_words(spell.end_ns, found.now_ns, self._zone)
        lasted, proof = duration_words(spell.seen_ns), self._proof(found.total)
        return f"I do not read {self._label(spell)} now. It ended {ended}, after {lasted} {proof}."

    def _sum(self, found: Finding, target: Target, span: Span) -> str:
        when = self.span(span, found.now_ns)
        if not found.spells:
            no = "No, so there is no why. " if _why(found.query) else ""
            no = no or ("No. " if isinstance(found.query, Whether) else "")
            return f"{no}I did not read {self._quoted(target)} {when}."
        times, total = _times(found.total.times), duration_words(found.total.seen_ns)
        if isinstance(found.query, HowLong):
            text = f"I read {self._quoted(target)} for {total} {when}, {times}"
        else:
            yes = "I cannot tell why, only what I read. " if _why(found.query) else ""
            yes = yes or ("Yes. " if isinstance(found.query, Whether) else "")
            text = f"{yes}I read {self._quoted(target)} {times} {when}, for {total}" + (
                " in all" if found.total.times > 1 else ""
            )
        return f"{text}: {self._moments(found.spells, found.total, found)} {self._proof(found.total)}."

    def _timeline(self, found: Finding, heads: Sequence[str], span: Span) -> str:
        when = self.span(span, found.now_ns)
        if not found.spells:
            return f"I read nothing that I am sure of {when}."
        if found.total.times <= TOLD:
            told = "; ".join(self._told(spell, found.now_ns) for spell in found.spells)
            return f"{upper(when)}: {told}."
        parts = []
        for head in heads:
            sums = [(one, label) for (of, label), one in found.sums.items() if of == head]
            ranked = sorted(sums, key=lambda pair: -pair[0].seen_ns)[:TOLD]
            parts += [
                f"{self._said(head, label)} {_times(one.times)}, for {duration_words(one.seen_ns)}"
                for one, label in ranked
            ]
        return f"{upper(when)}: {'; '.join(parts)}."

    def _before(self, found: Finding) -> str:
        if not found.spells:
            return "I remember nothing before that."
        told = "; ".join(self._told(spell, found.now_ns) for spell in found.spells)
        return f"Before that: {told}."

    def _unusual(self, found: Finding, span: Span) -> str:
        when = self.span(span, found.now_ns)
        alarms = [
            f"{self._said(e.head, e.label)} {moment_words(e.at_ns, found.now_ns, self._zone)}"
            for e in found.events[-TOLD:]
        ]
        if not alarms and not found.spells:
            return f"I noticed nothing unusual {when}."
        parts = []
        if alarms:
            count = len(found.events)
            newest = " the newest:" if count > TOLD else ""
            parts.append(f"What asks for attention, {_times(count)}:{newest} {'; '.join(alarms)}")
        if found.spells:
            moments = self._moments(found.spells, found.total, found)
            parts.append(f"Unlike anything that I know, {_times(found.total.times)}: {moments}")
        return f"{upper(when)}. {'. '.join(parts)}."

    def _availability(self, found: Finding, slots: Sequence[str], span: Span) -> str:
        when = self.span(span, found.now_ns)
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
                parts.append(f"{name} gave no data {_times(gaps.times)}, for {missing}: {moments}")
        return f"{upper(when)}: {'; '.join(parts)}."

    # -- parts ------------------------------------------------------------------------------------------

    def sources(self, found: Finding) -> str:
        """Which sensors an answer rests on."""
        if not (names := found.total.sensors):
            return f"None told me: I know it because nothing was read {self._sources(found.query)}."
        used = join(self._slot(slot.name) for slot in self._lexicon.slots if slot.name in names)
        return f"{upper(used)} told me, in {found.total.windows} windows of data."

    def certainty(self, found: Finding) -> str:
        """How sure an answer is, from the probabilities that it rests on."""
        total = found.total
        if not total.times:
            caution = self._caution(found, span_of(found.query))
            return f"I am as sure as my data are complete: nothing of the kind was read.{caution}"
        low, high = _percent(total.least), _percent(total.greatest)
        sure = low if low == high else f"{low} to {high}"
        return f"I am {sure} sure, over {total.windows} windows of data."

    def _caution(self, found: Finding, span: Span | None) -> str:
        """What was not seen, and how old the newest data are where that matters."""
        text = ""
        if span is not None and not span.open:
            length_ns = span.end_ns - span.start_ns
            if found.watched_ns < _WATCHED_SHARE * length_ns:
                watched = duration_words(found.watched_ns)
                text = f" I had data for {watched} of these {duration_words(length_ns)}."
        elif not found.fresh and found.newest_ns is not None:
            text = f" My newest data are {duration_words(found.now_ns - found.newest_ns)} old."
        return text

    def _no_data(self, found: Finding, span: Span) -> str:
        when = self.span(span, found.now_ns)
        return f"I had no data {self._sources(found.query)} {when}, so I cannot say."

    def _sources(self, query: Query) -> str:
        wanted = set(slots_of(query, self._lexicon))
        names = [self._slot(slot.name) for slot in self._lexicon.slots if slot.name in wanted]
        return f"from {join(names, 'or')}" if names else "from any sensor"

    def _since(self, spell: Spell, found: Finding) -> str:
        at = moment_words(spell.start_ns, found.now_ns, self._zone)
        return f"since {at}, for {duration_words(spell.end_ns - spell.start_ns)} so far"

    def _told(self, spell: Spell, now_ns: int) -> str:
        at = moment_words(spell.start_ns, now_ns, self._zone)
        return f"{self._label(spell)} {at}, for {duration_words(spell.seen_ns)} {self._proof(spell)}"

    def _moments(self, spells: Sequence[Spell], of: Sum, found: Finding) -> str:
        """When they began; of many, or of some that are not at hand, the first and the last."""
        if len(spells) == of.times <= TOLD:
            return join(moment_words(spell.start_ns, found.now_ns, self._zone) for spell in spells)
        first, last = (moment_words(at, found.now_ns, self._zone) for at in (of.first_ns, of.last_ns))
        return f"the first {first}, the last {last}"

    def _proof(self, of: Spell | Sum) -> str:
        used = join(self._slot(slot.name) for slot in self._lexicon.slots if slot.name in of.sensors)
        return f"({_percent(of.mean)}, from {used})" if used else f"({_percent(of.mean)})"

    def _label(self, spell: Spell) -> str:
        return self._said(spell.head, spell.label)

    def _said(self, head: str, label: str) -> str:
        readout = self._lexicon.manifest.task(head).readout.strip()
        readout = readout if readout.startswith("I ") else readout[:1].lower() + readout[1:]
        return f'"{readout} {self._lexicon.phrase(head, label)}"'

    def _quoted(self, target: Target) -> str:
        return join((self._said(target.head, label) for label in target.labels), "or") or "anything"

    def _slot(self, name: str) -> str:
        return self._lexicon.manifest.slot(name).description

    def span(self, span: Span, now_ns: int) -> str:
        """'today', 'yesterday', 'today from 14:00 to 16:00', 'since today at 14:00'."""
        zone, today = self._zone, local(now_ns, self._zone).date()
        start, end = local(span.start_ns, zone), local(span.end_ns - NS_PER_S, zone)
        midnight = (start.hour, start.minute, start.second) == (0, 0, 0)
        full = midnight and start.date() == end.date() and (end.hour, end.minute, end.second) == (23, 59, 59)
        if full or (midnight and start.date() == today and span.end_ns == now_ns):
            return day_words(start.date(), today)
        if span.end_ns == now_ns:
            return f"since {moment_words(span.start_ns, now_ns, zone)}"
        begin, finish = moment_words(span.start_ns, now_ns, zone), moment_words(span.end_ns, now_ns, zone)
        if local(span.end_ns, zone).date() == start.date():
            first, last = clock_words(span.start_ns, zone), clock_words(span.end_ns, zone)
            return f"{day_words(start.date(), today)} from {first} to {last}"
        return f"from {begin} to {finish}"


def _why(query: Query) -> bool:
    return isinstance(query, Whether) and query.why


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _percent(probability: float) -> str:
    return f"{100 * probability:.0f} percent"


def upper(text: str) -> str:
    """With a capital at its beginning."""
    return text[:1].upper() + text[1:]

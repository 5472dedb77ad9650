"""The closed set of questions that memory answers, and their answers as facts. Times are wall ns.

A query says what is asked and of which time; `Queries.run` reads it from what is remembered. Nothing here is
worded: words.py does that from a Finding, and from nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.clock import NS_PER_S
from edge_agent.manifest import Manifest
from edge_agent.memory.database import EVER_NS, Wanted
from edge_agent.memory.notes import NO_DATA, SLOT, Event, Kind
from edge_agent.memory.spells import Hold, Spell, Spells, Sum, clip, spells, together
from edge_agent.memory.store import Store

FRESH_S = 5.0
"""Data older than this are stale: what was going on then need not go on now."""
KEPT = 50
"""So many of the newest spells are told one by one; of all there are only sums."""
_PAGE = 64
_STEP_NS = 3600 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Span:
    """From start to end, wall ns; `open` where it reaches as far back as anything is remembered."""

    start_ns: int
    end_ns: int
    open: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """One or more labels of one head."""

    head: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Now:
    """What is going on; it is the model's to say, memory only keeps that it was asked.

    `number` is the measured number that was asked for, if any.
    """

    heads: tuple[str, ...]
    number: str = ""


@dataclass(frozen=True, slots=True)
class Targeted:
    """A question about the spells of a target in a span."""

    target: Target
    span: Span


class LastTime(Targeted):
    """The newest one."""


class FirstTime(Targeted):
    """The oldest one."""


class HowLong(Targeted):
    """For how long in all they were."""


class HowOften(Targeted):
    """How many there are."""


@dataclass(frozen=True, slots=True)
class Whether(Targeted):
    """Whether there is any; `why` where the question took it for granted."""

    why: bool = False


@dataclass(frozen=True, slots=True)
class Ongoing:
    """For how long a target has been read until now; without labels, whatever the head reads."""

    target: Target


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything that some heads read in a span, one after the other."""

    heads: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Before:
    """What some heads read last before a moment."""

    heads: tuple[str, ...]
    at_ns: int


@dataclass(frozen=True, slots=True)
class After:
    """What some heads began to read first after a moment."""

    heads: tuple[str, ...]
    at_ns: int


@dataclass(frozen=True, slots=True)
class Most:
    """Which of some labels was read most often in a span, or `longest` in all."""

    targets: tuple[Target, ...]
    span: Span
    longest: bool

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads of the labels, each once."""
        return tuple(dict.fromkeys(target.head for target in self.targets))


@dataclass(frozen=True, slots=True)
class Unusual:
    """What was novel to the model in a span, and what it says should be alarmed about."""

    span: Span


@dataclass(frozen=True, slots=True)
class Availability:
    """When some slots gave no data in a span."""

    slots: tuple[str, ...]
    span: Span


Query = Targeted | Ongoing | Timeline | Before | After | Most | Unusual | Availability


def span_of(query: object) -> Span | None:
    """The time that a query is about."""
    return getattr(query, "span", None)


def heads_of(query: object) -> tuple[str, ...]:
    """The heads that a query names."""
    target: Target | None = getattr(query, "target", None)
    heads: tuple[str, ...] = getattr(query, "heads", ())
    return heads if target is None else (target.head,)


@dataclass(frozen=True, slots=True)
class Finding:
    """What memory holds of a query.

    `sums` are the spells found, by head and label, `total` all of them, `spells` the newest, oldest first.
    `watched_ns` is for how long each head (or slot) asked about had data in the span, `newest_ns` when they
    last had any (None: never).
    """

    query: Query
    spells: tuple[Spell, ...]
    sums: Mapping[tuple[str, str], Sum]
    total: Sum
    watched_by: Mapping[str, int]
    newest_ns: int | None
    now_ns: int
    events: tuple[Event, ...] = ()

    @property
    def watched_ns(self) -> int:
        """For how long there were data of the head that had most."""
        return max(self.watched_by.values(), default=0)

    @property
    def fresh(self) -> bool:
        """Whether the newest data are new enough to speak of now."""
        return self.newest_ns is not None and self.now_ns - self.newest_ns <= FRESH_S * NS_PER_S

    @property
    def ongoing(self) -> bool:
        """Whether the last spell goes on."""
        last = self.spells[-1] if self.spells else None
        return last is not None and self.fresh and last.end_ns == self.newest_ns


class Queries:
    """Runs queries on a store, for one model."""

    def __init__(self, store: Store, manifest: Manifest, hold: Hold | None = None) -> None:
        self.store = store
        self._manifest = manifest
        self._hold = hold or Hold()

    def run(self, query: Query, now_ns: int) -> Finding:  # noqa: C901, PLR0911  # one for each query
        """The facts. Everything up to the newest percept is in them."""
        self.store.flush()
        match query:
            case LastTime(target, span):
                return self._finding(query, (target.head,), span, self._last(_of(target), span), now_ns)
            case FirstTime(target, span):
                starts = [found.part(slice(1)) for found in self._spells(_of(target), span) if len(found)]
                first = sorted(starts, key=lambda one: one.spell(0))[:1]
                return self._finding(query, (target.head,), span, first, now_ns)
            case Ongoing(target):
                ever = Span(-EVER_NS, now_ns, open=True)
                wanted = _of(target) if target.labels else _known(target.head)
                return self._finding(query, (target.head,), ever, self._last(wanted, ever), now_ns)
            case Targeted(target, span):
                return self._finding(query, (target.head,), span, self._spells(_of(target), span), now_ns)
            case Timeline(heads, span):
                found = self._spells(lambda kind: kind.known and kind.head in heads, span)
                return self._finding(query, heads, span, found, now_ns)
            case Before(heads, at_ns):
                ever = Span(-EVER_NS, at_ns, open=True)
                last_of = [last for head in heads for last in self._last(_known(head), ever)]
                return self._finding(query, heads, ever, last_of, now_ns)
            case After(heads, at_ns):
                later = Span(at_ns, now_ns, open=True)
                next_of = [first for head in heads for first in self._next(_known(head), later)]
                return self._finding(query, heads, later, next_of, now_ns)
            case Most(targets, span):
                labels = {(target.head, label) for target in targets for label in target.labels}
                found = self._spells(lambda kind: kind.known and _label_of(kind) in labels, span)
                return self._finding(query, query.heads, span, found, now_ns)
            case Unusual(span):
                return self._unusual(query, span, now_ns)
            case Availability(slots, span):
                heads = tuple(f"{SLOT}{name}" for name in slots)
                found = self._spells(lambda kind: kind.label == NO_DATA and kind.head in heads, span)
                return self._finding(query, heads, span, found, now_ns)

    def _unusual(self, query: Unusual, span: Span, now_ns: int) -> Finding:
        """Novel spells of any head, and the events whose label asks for something to be done."""
        heads = tuple(head.name for head in self._manifest.tasks)
        found = self._spells(lambda kind: kind.novel and kind.head in heads, span)
        alarms = {(head.name, label) for head in self._manifest.tasks for label in head.alarms}
        events = self.store.read.events(span.start_ns, span.end_ns)
        told = [event for event in events if (event.head, event.label) in alarms]
        return self._finding(query, heads, span, found, now_ns, told)

    def _finding(
        self,
        query: Query,
        heads: Sequence[str],
        span: Span,
        groups: Iterable[Spells],
        now_ns: int,
        events: Sequence[Event] = (),
    ) -> Finding:
        """`groups` are the spells of one label each, which are held only until they are added up."""
        read, newest, sums = self.store.read, list[Spell](), dict[tuple[str, str], Sum]()
        for group in filter(len, groups):
            since_ns = newest[0].start_ns if len(newest) == KEPT else -EVER_NS
            newest = sorted(newest + group.newest(KEPT, since_ns))[-KEPT:]
            sums[group.of] = group.sum()
        kinds = {head: read.kinds(_data(head)) for head in heads}
        watched = (
            {} if span.open else {h: read.covered_ns(kinds[h], span.start_ns, span.end_ns) for h in heads}
        )
        ends = [int(row["end_ns"]) for head in heads for row in read.latest(kinds[head], now_ns + 1, 1)]
        return Finding(
            query=query,
            spells=tuple(newest),
            sums=sums,
            total=together(sums.values()),
            watched_by=watched,
            newest_ns=max(ends, default=None),
            now_ns=now_ns,
            events=tuple(events),
        )

    def _spells(self, wanted: Wanted, span: Span) -> Iterator[Spells]:
        """The spells of a span, label by label."""
        for kinds in self._labels(wanted):
            rows = self.store.read.rows(kinds, span.start_ns, span.end_ns)
            yield spells(clip(rows, span.start_ns, span.end_ns), kinds, self._hold)

    def _last(self, wanted: Wanted, span: Span) -> list[Spells]:
        """The spell of a span that ended last; none where there is none."""
        found = filter(len, (self._last_of(kinds, span) for kinds in self._labels(wanted)))
        return sorted(found, key=lambda one: one.spell(0).end_ns)[-1:]

    def _last_of(self, kinds: Mapping[int, Kind], span: Span) -> Spells:
        """The last spell of one label, from as few rows as will do."""
        count = _PAGE
        while True:
            rows = self.store.read.latest(kinds, span.end_ns, count)
            cut = clip(rows, span.start_ns, span.end_ns)
            last = spells(cut, kinds, self._hold).part(slice(-1, None))
            complete = len(rows) < count or rows["start_ns"][0] <= span.start_ns
            # A spell at the beginning of a page may have begun before it.
            if complete or (len(last) and last.spell(0).start_ns > cut["start_ns"][0] + self._hold.join_ns):
                return last
            count *= 8

    def _next(self, wanted: Wanted, span: Span) -> list[Spells]:
        """The spell that begins first in a span; none where there is none."""
        end_ns, step_ns = span.start_ns, _STEP_NS
        while end_ns < span.end_ns:
            end_ns, step_ns = min(end_ns + step_ns, span.end_ns), 8 * step_ns
            begun = list[Spells]()
            for kinds in self._labels(wanted):
                rows = self.store.read.rows(kinds, span.start_ns, end_ns)
                rows = clip(rows[rows["start_ns"] >= span.start_ns], span.start_ns, end_ns)
                begun += filter(len, [spells(rows, kinds, self._hold).part(slice(1))])
            first = sorted(begun, key=lambda one: one.spell(0))[:1]
            # One that reaches the end of what was looked at may go on after it.
            if first and (end_ns == span.end_ns or first[0].spell(0).end_ns + self._hold.join_ns < end_ns):
                return first
        return []

    def _labels(self, wanted: Wanted) -> Iterator[dict[int, Kind]]:
        """The kinds that are wanted, label by label."""
        found = sorted(self.store.read.kinds(wanted).items(), key=lambda one: _label_of(one[1]))
        for _, kinds in itertools.groupby(found, key=lambda one: _label_of(one[1])):
            yield dict(kinds)


def _label_of(kind: Kind) -> tuple[str, str]:
    return kind.head, kind.label


def _of(target: Target) -> Wanted:
    return lambda kind: kind.known and kind.head == target.head and kind.label in target.labels


def _known(head: str) -> Wanted:
    return lambda kind: kind.known and kind.head == head


def _data(head: str) -> Wanted:
    """Of a head whatever it read, of a slot that it gave data."""
    return lambda kind: kind.head == head and kind.label != NO_DATA

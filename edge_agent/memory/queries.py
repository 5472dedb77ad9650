"""The closed set of questions that memory answers, and their answers as facts. Times are wall ns.

A query says what is asked and of which time; `Queries.run` reads it from what is remembered. Nothing here is
worded: words.py does that from a Finding, and from nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edge_agent.clock import NS_PER_S
from edge_agent.manifest import Manifest
from edge_agent.memory.database import EVER_NS, Row
from edge_agent.memory.notes import NO_DATA, SLOT, Event, Kind
from edge_agent.memory.spells import Hold, Spell, clip, spells
from edge_agent.memory.store import Store

FRESH_S = 5.0
"""Data older than this are stale: what was going on then need not go on now."""
_PAGE = 64


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
class LastTime:
    """The newest spell of a target in a span."""

    target: Target
    span: Span


@dataclass(frozen=True, slots=True)
class FirstTime:
    """The oldest spell of a target in a span."""

    target: Target
    span: Span


@dataclass(frozen=True, slots=True)
class Ongoing:
    """For how long a target has been read until now; without labels, whatever the head reads."""

    target: Target


@dataclass(frozen=True, slots=True)
class HowLong:
    """For how long in all a target was read in a span."""

    target: Target
    span: Span


@dataclass(frozen=True, slots=True)
class HowOften:
    """How many spells of a target there are in a span."""

    target: Target
    span: Span


@dataclass(frozen=True, slots=True)
class Whether:
    """Whether there is any spell of a target in a span; `why` where the question took it for granted."""

    target: Target
    span: Span
    why: bool = False


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
class Unusual:
    """What was novel to the model in a span, and what it says should be alarmed about."""

    span: Span


@dataclass(frozen=True, slots=True)
class Availability:
    """When some slots gave no data in a span."""

    slots: tuple[str, ...]
    span: Span


Query = (
    Now
    | LastTime
    | FirstTime
    | Ongoing
    | HowLong
    | HowOften
    | Whether
    | Timeline
    | Before
    | Unusual
    | Availability
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What memory holds of a query.

    `spells` are those found, oldest first; `seen_ns` is their sum, `watched_ns` for how long the heads (or
    slots) asked about had data in the span, `newest_ns` when they last had any (None: never).
    """

    query: Query
    spells: tuple[Spell, ...]
    seen_ns: int
    watched_ns: int
    newest_ns: int | None
    now_ns: int
    events: tuple[Event, ...] = ()
    watched_by: dict[str, int] = field(default_factory=dict)
    """head or slot -> its own watched_ns."""

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

    def run(self, query: Query, now_ns: int) -> Finding:  # noqa: PLR0911  # one for each query
        """The facts. Everything up to the newest percept is in them."""
        self.store.flush()
        match query:
            case Now(heads):
                return self._finding(query, heads, Span(now_ns, now_ns), (), now_ns)
            case LastTime(target, span):
                last = self._newest(_of(target), span.start_ns, span.end_ns)
                return self._finding(query, (target.head,), span, [last] if last else [], now_ns)
            case FirstTime(target, span):
                return self._finding(query, (target.head,), span, self._spells(_of(target), span)[:1], now_ns)
            case Ongoing(target):
                return self._ongoing(query, target, now_ns)
            case HowLong(target, span) | HowOften(target, span) | Whether(target, span):
                return self._finding(query, (target.head,), span, self._spells(_of(target), span), now_ns)
            case Timeline(heads, span):
                found = self._spells(lambda kind: kind.known and kind.head in heads, span)
                return self._finding(query, heads, span, found, now_ns)
            case Before(heads, at_ns):
                last_of = [self._newest(_known(head), -EVER_NS, at_ns) for head in heads]
                found = sorted(filter(None, last_of), key=lambda spell: spell.end_ns)
                return self._finding(query, heads, Span(-EVER_NS, at_ns, open=True), found, now_ns)
            case Unusual(span):
                return self._unusual(query, span, now_ns)
            case Availability(slots, span):
                return self._availability(query, slots, span, now_ns)

    # -- one query each --------------------------------------------------------------------------------

    def _ongoing(self, query: Ongoing, target: Target, now_ns: int) -> Finding:
        """The last spell of the target, or of whatever its head read last."""
        ever = Span(-EVER_NS, now_ns, open=True)
        wanted = _of(target) if target.labels else _known(target.head)
        last = self._newest(wanted, ever.start_ns, ever.end_ns)
        return self._finding(query, (target.head,), ever, [last] if last else [], now_ns)

    def _unusual(self, query: Unusual, span: Span, now_ns: int) -> Finding:
        """Novel spells of any head, and the events whose label asks for something to be done."""
        heads = tuple(head.name for head in self._manifest.tasks)
        found = self._spells(lambda kind: kind.novel and kind.head in heads, span)
        alarms = {(head.name, label) for head in self._manifest.tasks for label in head.alarms}
        events = self.store.read.events(span.start_ns, span.end_ns)
        told = [event for event in events if (event.head, event.label) in alarms]
        return self._finding(query, heads, span, found, now_ns, told)

    def _availability(self, query: Availability, slots: Sequence[str], span: Span, now_ns: int) -> Finding:
        heads = tuple(f"{SLOT}{name}" for name in slots)
        found = self._spells(lambda kind: kind.label == NO_DATA and kind.head in heads, span)
        return self._finding(query, heads, span, found, now_ns)

    # -- reading ---------------------------------------------------------------------------------------

    def _finding(
        self,
        query: Query,
        heads: Sequence[str],
        span: Span,
        found: Sequence[Spell],
        now_ns: int,
        events: Sequence[Event] = (),
    ) -> Finding:
        watched = {head: self._watched_ns(head, span) for head in heads} if not span.open else {}
        newest = [row.end_ns for head in heads for row in self._latest_data(head, now_ns)]
        return Finding(
            query=query,
            spells=tuple(found),
            seen_ns=sum(spell.seen_ns for spell in found),
            watched_ns=max(watched.values(), default=0),
            newest_ns=max(newest, default=None),
            now_ns=now_ns,
            events=tuple(events),
            watched_by=watched,
        )

    def _watched_ns(self, head: str, span: Span) -> int:
        return self.store.read.covered_ns(_data(head), span.start_ns, span.end_ns)

    def _latest_data(self, head: str, now_ns: int) -> list[Row]:
        return self.store.read.latest(_data(head), now_ns + 1, 1)

    def _spells(self, wanted: Callable[[Kind], bool], span: Span) -> list[Spell]:
        rows = self.store.read.rows(wanted, span.start_ns, span.end_ns)
        return spells(clip(rows, span.start_ns, span.end_ns), self._hold)

    def _newest(self, wanted: Callable[[Kind], bool], start_ns: int, end_ns: int) -> Spell | None:
        """The newest spell, from as few rows as will do."""
        count = _PAGE
        while True:
            rows = self.store.read.latest(wanted, end_ns, count)
            kept = clip(reversed(rows), start_ns, end_ns)
            found = spells(kept, self._hold)
            complete = len(rows) < count or rows[-1].start_ns <= start_ns
            newest = max(found, key=lambda spell: spell.end_ns, default=None)
            # A spell at the beginning of a page may have begun before it.
            if complete or (newest and newest.start_ns > kept[0].start_ns + self._hold.join_ns):
                return newest
            count *= 8


def _of(target: Target) -> Callable[[Kind], bool]:
    return lambda kind: kind.known and kind.head == target.head and kind.label in target.labels


def _known(head: str) -> Callable[[Kind], bool]:
    return lambda kind: kind.known and kind.head == head


def _data(head: str) -> Callable[[Kind], bool]:
    """Of a head whatever it read, of a slot that it gave data."""
    return lambda kind: kind.head == head and kind.label != NO_DATA

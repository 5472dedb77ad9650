"""Questions about measured numbers, and what memory holds of them. Times are wall ns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edge_agent.clock import NS_PER_S
from edge_agent.memory.database import Minute
from edge_agent.memory.queries import FRESH_S, Span
from edge_agent.memory.series import MINUTE_NS
from edge_agent.memory.store import Store

NEAREST_NS = 600 * NS_PER_S
"""A number is told of a moment where it was measured within so long of it."""


class Wanted(StrEnum):
    """What is asked of a number."""

    HIGHEST = "highest"
    LOWEST = "lowest"
    AVERAGE = "average"
    VALUE = "value"
    RANGE = "range"
    CHANGE = "change"
    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Measured:
    """`wanted` of the number `name` in a span; of VALUE in the minute of its middle, or the nearest.

    `limit` is for ABOVE and BELOW.
    """

    name: str
    wanted: Wanted
    span: Span
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class MeasuredFinding:
    """The minutes in which a number was measured, oldest first, and when it last was (None: never)."""

    query: Measured
    minutes: tuple[Minute, ...]
    newest_ns: int | None
    now_ns: int

    @property
    def fresh(self) -> bool:
        """Whether the newest value is new enough to speak of now."""
        return self.newest_ns is not None and self.now_ns - self.newest_ns <= FRESH_S * NS_PER_S

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(minute.count for minute in self.minutes)

    @property
    def lowest(self) -> Minute:
        """The minute of the lowest value, the first of several."""
        return min(self.minutes, key=lambda minute: minute.low)

    @property
    def highest(self) -> Minute:
        """The minute of the highest value, the first of several."""
        return max(self.minutes, key=lambda minute: minute.high)

    @property
    def average(self) -> float:
        """The mean of all values."""
        return sum(minute.total for minute in self.minutes) / self.count

    @property
    def beyond(self) -> tuple[Minute, ...]:
        """The minutes with a value above, or below, the limit."""
        limit, above = self.query.limit, self.query.wanted is Wanted.ABOVE
        if limit is None:
            return ()
        return tuple(m for m in self.minutes if (m.high > limit if above else m.low < limit))

    @property
    def sensors(self) -> tuple[str, ...]:
        """The slots that the values came from."""
        return tuple(sorted({name for minute in self.minutes for name in minute.measure.sensors}))


def measured(store: Store, query: Measured, unit: str, now_ns: int) -> MeasuredFinding:
    """What is remembered of a number, up to the newest value."""
    store.flush()
    span = query.span
    if query.wanted is Wanted.VALUE:
        middle_ns = (span.start_ns + span.end_ns) // 2
        start_ns, end_ns = middle_ns - NEAREST_NS, min(middle_ns + NEAREST_NS, now_ns + 1)
        near = store.read.minutes(query.name, unit, start_ns, end_ns)
        found = sorted(near, key=lambda m: abs(m.start_ns // MINUTE_NS - middle_ns // MINUTE_NS))[:1]
    else:
        found = store.read.minutes(query.name, unit, span.start_ns, span.end_ns)
    return MeasuredFinding(query, tuple(found), store.read.newest_minute_ns(query.name, unit), now_ns)

"""When a label becomes an event: it changed, it is known, and it held. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.clock import NS_PER_S
from edge_agent.types import Percept, TaskPercept


@dataclass(frozen=True, slots=True)
class Change:
    """A label that held; `previous` is None for the first one of its task."""

    found: TaskPercept
    previous: str | None


class Holds:
    """Watches the labels of all tasks. What is not known neither makes an event nor ends a label."""

    def __init__(self, hold_s: float) -> None:
        self._hold_ns = round(hold_s * NS_PER_S)
        self._settled: dict[str, str] = {}
        self.before: dict[str, str] = {}
        """task -> the label that the settled one took the place of."""
        self._candidate: dict[str, tuple[str, int]] = {}

    def update(self, percept: Percept) -> list[Change]:
        """The labels that this percept settles."""
        return [change for found in percept.tasks.values() if (change := self._task(found, percept.end_ns))]

    def _task(self, found: TaskPercept, now_ns: int) -> Change | None:
        if not found.known:
            self._candidate.pop(found.task, None)
            return None
        label, since_ns = self._candidate.get(found.task, ("", now_ns))
        if label != found.label:
            since_ns = now_ns
            self._candidate[found.task] = (found.label, now_ns)
        previous = self._settled.get(found.task)
        if found.label == previous or now_ns - since_ns < self._hold_ns:
            return None
        if previous is not None:
            self.before[found.task] = previous
        self._settled[found.task] = found.label
        return Change(found, previous)


def signature(percept: Percept) -> tuple[object, ...]:
    """What makes a percept differ from the one before: labels, what is known, who is there, what it lacks."""
    labels = tuple((name, found.label, found.known) for name, found in percept.tasks.items())
    lacking = tuple(sorted(percept.missing_channels.items()))
    return (labels, percept.present, percept.missing, lacking, percept.simulated)

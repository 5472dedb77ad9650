"""The subscriber's side of the promise: what of a stream is missing, and what came twice. Pure.

Loss shows as a number that is missing between two of one source, a duplicate as an id that came before. What
expired, was evicted or still waits is missing too: the books that the agent publishes say how much that is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from edge_agent.delivery.stamp import KEY


@dataclass(slots=True)
class _Source:
    """Which numbers of one source came."""

    numbers: set[int] = field(default_factory=set)

    @property
    def missing(self) -> int:
        """Between the first and the last that came."""
        return max(self.numbers) - min(self.numbers) + 1 - len(self.numbers)


class Verifier:
    """Takes messages as they come, of any number of nodes; remembers every id, so memory grows with them."""

    def __init__(self) -> None:
        self.received = 0
        self.duplicates = 0
        self.historical = 0
        self._ids: set[str] = set()
        self._sources: dict[tuple[str, str], _Source] = {}
        self._excused: dict[str, int] = {}

    def add(self, topic: str, payload: bytes) -> None:
        """One message; what carries no stamp is passed over."""
        try:
            body = json.loads(payload)
        except ValueError:
            return
        if not isinstance(body, dict):
            return
        if topic.endswith("/queue"):
            self._books(body)
        elif isinstance(stamp := body.get(KEY), dict):
            self._stamped(stamp)

    def _stamped(self, stamp: dict[str, Any]) -> None:
        identity, log, source, sequence = (stamp.get(key) for key in ("id", "log", "source", "sequence"))
        if not (isinstance(identity, str) and isinstance(sequence, int)):
            return
        self.received += 1
        self.historical += stamp.get("historical") is True
        if identity in self._ids:
            self.duplicates += 1
            return
        self._ids.add(identity)
        self._sources.setdefault((str(log), str(source)), _Source()).numbers.add(sequence)

    def _books(self, body: dict[str, Any]) -> None:
        """The newest books of a log: what it let go, or has not sent yet."""
        counts = [body.get(key) for key in ("expired", "evicted", "queued")]
        if isinstance(log := body.get("log"), str) and all(isinstance(count, int) for count in counts):
            self._excused[log] = sum(int(count) for count in counts if count is not None)

    @property
    def missing(self) -> int:
        """Numbers that did not come, for whatever reason."""
        return sum(source.missing for source in self._sources.values())

    @property
    def lost(self) -> int:
        """Those of the missing that no books excuse."""
        by_log: dict[str, int] = {}
        for (log, _), source in self._sources.items():
            by_log[log] = by_log.get(log, 0) + source.missing
        return sum(max(0, missing - self._excused.get(log, 0)) for log, missing in by_log.items())

    def as_json(self) -> dict[str, Any]:
        """The result; for each source what came of it."""
        sources = [
            {
                "log": log,
                "source": name,
                "received": len(source.numbers),
                "first": min(source.numbers),
                "last": max(source.numbers),
                "missing": source.missing,
            }
            for (log, name), source in sorted(self._sources.items())
        ]
        return {
            "received": self.received,
            "unique": len(self._ids),
            "duplicates": self.duplicates,
            "historical": self.historical,
            "missing": self.missing,
            "lost": self.lost,
            "sources": sources,
        }

"""What the agent says of itself now: every metric's newest value, and which devices are there.

Written by whoever publishes, read by the thread that owns the connection.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from edge_agent.delivery.sparkplug.values import Reading

NODE = ""
"""The name of the node among its devices."""
Shown = dict[str, dict[str, Reading]]
"""Device that is there -> metric -> its newest reading; the node among them."""


class Picture:
    """Thread-safe. A device without readings does not exist; those in `absent` exist and are not there."""

    def __init__(self, readings: Iterable[Reading], absent: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._now: Shown = {NODE: {}}
        self._absent = set(absent)
        self.take_in(readings)

    def take_in(self, readings: Iterable[Reading]) -> None:
        """Show these; what comes later is newer, whatever the wall clock says."""
        with self._lock:
            for reading in readings:
                self._now.setdefault(reading.device, {})[reading.name] = reading

    def seen(self, device: str, *, there: bool) -> None:
        """A device came or went."""
        with self._lock:
            if there:
                self._absent.discard(device)
            else:
                self._absent.add(device)

    def now(self) -> Mapping[str, Mapping[str, Reading]]:
        """The devices that are there, the node first."""
        with self._lock:
            return {name: dict(metrics) for name, metrics in self._now.items() if name not in self._absent}

"""A sensor whose columns are brought into the order and the units of its slot."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

from edge_agent.sensors.channels import Fit
from edge_agent.types import Chunk, Sensor


class FittedSensor:
    """The sensor `inner` as its slot wants it. Health and name are the inner sensor's own."""

    def __init__(self, inner: Sensor, fitted: Fit) -> None:
        self.name = inner.name
        self.slot = inner.slot
        self.health = inner.health
        self.channels = {inner.name: fitted.channels}
        self._inner = inner
        self._fitted = fitted

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        """See types.Sensor."""
        chunks = self._inner.chunks(stop)
        try:
            for chunk in chunks:
                yield replace(chunk, values=self._fitted.apply(chunk.values))
        finally:
            if hasattr(chunks, "close"):  # a generator, which lets go of its device when it is closed
                chunks.close()

"""What goes wrong with an invented signal, on purpose: `faults` of `kind = "simulated"`."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edge_agent.config_sensors import SignalFaults
from edge_agent.sensors.channels import channels_of
from edge_agent.types import Chunk, Clock, Sensor, SensorState

AWAY = "it has vanished, as its faults say"


class FaultySensor:
    """The sensor `inner`, disturbed as `faults` say. Health and name are the inner sensor's own."""

    def __init__(self, inner: Sensor, faults: SignalFaults, clock: Clock, seed: int = 0) -> None:
        self.name = inner.name
        self.slot = inner.slot
        self.health = inner.health
        self.channels = dict(channels_of(inner))
        self._inner = inner
        self._faults = faults
        self._clock = clock
        self._rng = random.Random(seed)
        self._noise = np.random.default_rng(seed)
        self._stuck: np.ndarray | None = None

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        """See types.Sensor. What is lost on the way is counted."""
        born_ns, lost = self._clock.monotonic_ns(), 0
        for chunk in self._inner.chunks(stop):
            away = self._faults.away((self._clock.monotonic_ns() - born_ns) * 1e-9)
            self._say(away=away)
            if away or self._rng.random() < self._faults.drop_share:
                lost += len(chunk.times_ns)
                self.health.samples -= len(chunk.times_ns)
                self.health.lost += len(chunk.times_ns)
                continue
            values = self._disturbed(chunk, born_ns)
            yield replace(chunk, values=values, lost=chunk.lost + lost)
            lost = 0

    def _say(self, *, away: bool) -> None:
        was_away = self.health.reason == AWAY
        if away:
            self.health.state, self.health.reason = SensorState.OFFLINE, AWAY
        elif was_away:
            self.health.state, self.health.reason = SensorState.ONLINE, "simulated"
            self.health.reconnects += 1

    def _disturbed(self, chunk: Chunk, born_ns: int) -> np.ndarray:
        values = chunk.values
        if self._faults.noise:
            noise = self._noise.normal(0, self._faults.noise, values.shape)
            values = values + noise.astype(values.dtype)
        if not self._faults.stuck_after_s:
            return values
        late = chunk.times_ns - born_ns > self._faults.stuck_after_s * 1e9
        if late.any() and self._stuck is None:
            self._stuck = values[late][0]
        return values if self._stuck is None else np.where(late[:, None], self._stuck, values)

"""A tracker on another machine that is not there: publishes samples for a sensor of `kind = "network"`.

What it measures is handed in. Its faults are those of `sensors/simulated_serial.py`, for any thread: a
message that is lost, that arrives spoilt, that is no message at all, and a tracker that is away.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager

from edge_agent.config import Mqtt
from edge_agent.delivery.message import Message
from edge_agent.delivery.mqtt import Connection
from edge_agent.errors import DeliveryError
from edge_agent.types import Clock

MESSAGES_HZ = 10.0
"""Several samples in a message above that (docs/mqtt.md)."""
STEP_S = 0.05
AGAIN_S = 1.0
NS_PER_S = 1_000_000_000


class SimulatedTracker:
    """Publishes what `measure` (seconds -> channel -> value) gives `rate_hz` times a second on `topic`."""

    def __init__(
        self,
        settings: Mqtt,
        topic: str,
        measure: Callable[[float], Mapping[str, float]],
        rate_hz: float,
        clock: Clock,
        *,
        client_id: str,
        seed: int = 0,
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._measure = measure
        self._rate_hz = rate_hz
        self._clock = clock
        self._client_id = client_id
        self._rng = random.Random(seed)
        self._born_ns = clock.monotonic_ns()
        self._sequence = 0
        self._lock = threading.Lock()
        self._drop = self._spoil = 0
        self._noise: list[bytes] = []
        self._plugged = True

    def check(self) -> None:
        """Connect once. Raises DeliveryError, which says why, where the broker cannot be reached."""
        with self._connected(threading.Event()):
            pass

    def garbage(self, size: int) -> None:
        """Publish `size` random bytes."""
        with self._lock:
            self._noise.append(self._rng.randbytes(size))

    def drop_frames(self, count: int) -> None:
        """Lose the next `count` messages."""
        with self._lock:
            self._drop += count

    def spoil_frames(self, count: int) -> None:
        """Cut the next `count` messages off."""
        with self._lock:
            self._spoil += count

    def unplug(self) -> None:
        """Measure on, and say nothing."""
        with self._lock:
            self._plugged = False

    def plug(self) -> None:
        """Speak again."""
        with self._lock:
            self._plugged = True

    def run(self, stop: threading.Event) -> None:
        """Publish until `stop`; a broker that is lost is connected to again."""
        while not stop.is_set():
            try:
                with self._connected(stop) as connection:
                    self._publish(connection, stop)
            except DeliveryError:
                stop.wait(AGAIN_S)

    @contextmanager
    def _connected(self, stop: threading.Event) -> Iterator[Connection]:
        with closing(Connection(self._settings, client_id=self._client_id)) as connection:
            connection.open()
            connection.await_consent(stop.is_set)
            yield connection

    def _publish(self, connection: Connection, stop: threading.Event) -> None:
        each = max(1, round(self._rate_hz / MESSAGES_HZ))
        due_s = self._age_s()
        while not stop.is_set():
            connection.step(min(STEP_S, max(0.0, due_s - self._age_s())))
            if self._age_s() < due_s:
                continue
            due_s += each / self._rate_hz
            for payload in self._payloads(each):
                connection.send(Message(self._topic, payload), qos=0)

    def _payloads(self, samples: int) -> list[bytes]:
        """What is to be published now; the sequence goes on where nothing is."""
        now_s, sequence = self._age_s(), self._sequence
        self._sequence += samples
        ages_s = [(samples - 1 - i) / self._rate_hz for i in range(samples)]
        taken = [{"age_s": round(age_s, 4), "values": dict(self._measure(now_s - age_s))} for age_s in ages_s]
        body = {"samples": taken, "sequence": sequence, "simulated": True}
        payload = json.dumps(body, separators=(",", ":")).encode()
        with self._lock:
            said, self._noise = self._noise, []
            dropping, self._drop = self._drop > 0, max(0, self._drop - 1)
            spoiling = not dropping and self._spoil > 0
            self._spoil -= spoiling
            if not self._plugged:
                return []
        if not dropping:
            said.append(payload[: len(payload) // 2] if spoiling else payload)
        return said

    def _age_s(self) -> float:
        return (self._clock.monotonic_ns() - self._born_ns) / NS_PER_S

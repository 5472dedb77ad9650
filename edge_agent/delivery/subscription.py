"""What others publish for a sensor of ours: one topic, on a connection of its own.

A connection of its own, so that a flood of samples delays nothing of what the agent says, and so that the
thread that reads it is the sensor's.
"""

from __future__ import annotations

import threading
from collections.abc import Generator

from edge_agent.config import Mqtt
from edge_agent.delivery.mqtt import Connection
from edge_agent.delivery.topics import is_topic
from edge_agent.errors import ConfigurationError
from edge_agent.types import Clock

STEP_S = 0.1
"""How long to wait for a message before looking at `stop`."""


class Subscription:
    """Called, it connects and yields (payload, arrival in ns on `clock`), or None where nothing came lately.

    That is the `Subscribe` of `sensors/network.py`. A retained message is passed over: nobody knows how old
    it is. `client_id` must differ from every other one at the broker. Raises ConfigurationError for a topic
    with wildcards, or one of the broker's own.
    """

    def __init__(self, settings: Mqtt, clock: Clock, *, client_id: str, topic: str) -> None:
        if not is_topic(topic):
            raise ConfigurationError(
                f'"{topic}" is no topic that a sensor can listen to',
                key="topic",
                hint="one topic, without the wildcards + and #, not beginning with $",
            )
        self._settings = settings
        self._clock = clock
        self._client_id = client_id
        self._topic = topic

    def __call__(self, stop: threading.Event) -> Generator[tuple[bytes, int] | None, None, None]:
        """Yield until `stop`. Raises DeliveryError when the broker is away, refuses us or is lost."""
        connection = Connection(self._settings, client_id=self._client_id)
        try:
            connection.open()
            connection.await_consent(stop.is_set)
            if not stop.is_set():
                connection.subscribe(self._topic)
            while not stop.is_set():
                connection.step(STEP_S)
                arrived_ns = self._clock.monotonic_ns()
                if not connection.received:
                    yield None
                while connection.received:
                    incoming = connection.received.popleft()
                    if not incoming.retain:
                        yield incoming.payload, arrived_ns
        finally:
            connection.close()

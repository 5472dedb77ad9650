"""A second client at the broker: what it hears is what is really on the wire."""

from __future__ import annotations

import json
import threading
from typing import Any, Self

from conftest import wait_for
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from edge_agent.config import Mqtt
from edge_agent.delivery import payloads
from edge_agent.delivery.message import Incoming, Message
from edge_agent.delivery.mqtt import Connection
from edge_agent.errors import DeliveryError

_SCHEMA_OF = {
    "state": "state", "info": "info", "health": "health", "queue": "queue", "sensor": "sensor_state",
    "percept": "percept", "event": "event", "answer": "answer", "recording": "recording",
    "reply": "reply", "voice": "voice",
}  # fmt: skip


def validator(name: str) -> Draft202012Validator:
    """Of one published schema, which may refer to the others."""
    known = [Resource.from_contents(payloads.schema(other)) for other in payloads.SCHEMAS]
    return Draft202012Validator(
        payloads.schema(name), registry=Registry().with_resources((r.id(), r) for r in known)
    )


def schema_of(topic: str) -> str:
    """`edge/<node>/percept/main` -> `percept`."""
    return _SCHEMA_OF[topic.split("/")[2]]


class Listener:
    """Subscribes to `filter_`, keeps everything, and comes back when the broker does."""

    def __init__(self, port: int, filter_: str = "#", protocol: str = "5") -> None:
        self.heard: list[Incoming] = []
        self._settings = Mqtt(host="127.0.0.1", port=port, protocol=protocol)
        self._filter = filter_
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._out: list[tuple[Message, str | None]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.is_set():
            connection = Connection(self._settings, client_id=f"listener-{id(self)}")
            try:
                connection.open()
                connection.await_consent(self._stop.is_set)
                connection.subscribe(self._filter)
                connection.step(0.2)
                self._ready.set()
                while not self._stop.is_set():
                    while self._out:
                        message, reply_to = self._out.pop(0)
                        if reply_to is None:
                            connection.send(message)
                        else:
                            connection.request(message, reply_to)
                    connection.step(0.02)
                    while connection.received:
                        self.heard.append(connection.received.popleft())
            except DeliveryError:
                self._stop.wait(0.1)
            finally:
                connection.close()

    def send(
        self, topic: str, payload: bytes | dict[str, Any], reply_to: str | None = None, **more: Any
    ) -> None:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self._out.append((Message(topic, body, **more), reply_to))

    def on(self, topic: str) -> list[dict[str, Any]]:
        """The payloads heard so far on topics that begin so."""
        return [json.loads(m.payload) for m in list(self.heard) if m.topic.startswith(topic)]

    def wait(self, topic: str, condition: Any = lambda _: True, timeout_s: float = 20.0) -> dict[str, Any]:
        """The first payload on `topic...` that fulfils `condition`."""

        def found() -> list[dict[str, Any]]:
            return [body for body in self.on(topic) if condition(body)]

        return wait_for(found, timeout_s, f"a message on {topic}")[0]  # type: ignore[index]

    def validate(self) -> dict[str, int]:
        """Check every message of an agent against its published schema; topic kind -> how many."""
        counts: dict[str, int] = {}
        validators = {name: validator(name) for name in payloads.SCHEMAS}
        for message in list(self.heard):
            if "/cmd/" in message.topic or not message.topic.startswith("edge/"):
                continue
            name = schema_of(message.topic)
            errors = list(validators[name].iter_errors(json.loads(message.payload)))
            assert not errors, f"{message.topic}: {errors[0].message} in {message.payload!r}"
            counts[name] = counts.get(name, 0) + 1
        return counts

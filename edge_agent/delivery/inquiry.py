"""The asking side of `edge-agent status`: the command where it is allowed, else what is retained."""

from __future__ import annotations

import time

from edge_agent.config import Mqtt
from edge_agent.delivery.message import Message
from edge_agent.delivery.mqtt import Connection
from edge_agent.delivery.payloads import Json, decoded, encode
from edge_agent.delivery.topics import Topics
from edge_agent.errors import DeliveryError

QUIET_S = 0.7
"""So long after the last retained message there are no more: they come with the subscription (3.3.1.3)."""
FROM_COMMAND, FROM_RETAINED = "command", "retained"


class Inquiry:
    """One look at an agent over its broker. Raises DeliveryError where it is not running, or not reached."""

    def __init__(self, settings: Mqtt, node: str, *, identity: str, timeout_s: float) -> None:
        self._settings = settings
        self._node = node
        self._topics = Topics(settings.topic_root, node)
        self._identity = identity
        self._deadline_s = time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._seen: dict[str, Json] = {}
        self._heard_s = 0.0

    def status(self) -> Json:
        """As the reply to the command `status`, and `source`: where it is from."""
        connection = Connection(self._settings, client_id=f"edge-status-{self._identity}")
        try:
            connection.open()
            connection.await_consent(lambda: time.monotonic() > self._deadline_s)
            self._listen(connection)
            self._must_run()
            if "status" in self._seen.get(self._topics.info, {}).get("commands", []):
                return {"source": FROM_COMMAND, **self._command(connection)}
        finally:
            connection.close()
        return {"source": FROM_RETAINED, **self._retained()}

    def _listen(self, connection: Connection) -> None:
        """Take in what is retained, until all of it is there."""
        topics = self._topics
        for topic in (topics.state, topics.info, topics.queue, topics.sensor_state_filter):
            connection.subscribe(topic)
        connection.subscribe(topics.reply(self._identity))
        self._heard_s = time.monotonic()
        while time.monotonic() < min(self._heard_s + QUIET_S, self._deadline_s):
            self._step(connection)

    def _step(self, connection: Connection) -> None:
        connection.step(0.1)
        while connection.received:
            incoming = connection.received.popleft()
            self._heard_s = time.monotonic()
            self._seen[incoming.topic] = decoded(incoming.payload)

    def _must_run(self) -> None:
        state = self._seen.get(self._topics.state)
        if state is None:
            raise DeliveryError(
                f'no agent "{self._node}" has ever spoken to this broker',
                hint="start it: edge-agent run -c FILE; or check --node, --host and --port",
            )
        if state.get("state") != "online":
            since = self._seen.get(self._topics.info, {}).get("time_utc", "")
            raise DeliveryError(
                f'the agent "{self._node}" is not running' + (f" (it began at {since})" if since else ""),
                hint="start it: edge-agent run -c FILE; a service: systemctl status edge-agent",
            )

    def _command(self, connection: Connection) -> Json:
        reply = self._topics.reply(self._identity)
        connection.send(
            Message(
                self._topics.command("status"),
                encode({"id": self._identity}),
                expiry_s=max(1, round(self._timeout_s)),
            )
        )
        while reply not in self._seen and time.monotonic() < self._deadline_s:
            self._step(connection)
        if reply not in self._seen:
            raise DeliveryError(
                f'the agent "{self._node}" did not answer within {self._timeout_s:g} s',
                hint="its broker says that it is online; look at its log, or try a longer --timeout",
            )
        body = self._seen[reply]
        if "error" in body:
            raise DeliveryError(str(body["error"]["message"]), hint=str(body["error"]["hint"]))
        found: Json = body["status"]
        return found

    def _retained(self) -> Json:
        topics = self._topics
        found: Json = {"info": self._seen.get(topics.info, {})}
        if topics.queue in self._seen:
            found["queue"] = self._seen[topics.queue]
        begin = topics.sensor_state_filter.partition("+")[0]
        states = [body for topic, body in sorted(self._seen.items()) if topic.startswith(begin)]
        # A sensor that left the configuration is still retained there.
        known = found["info"].get("sensors", {})
        found["sensors"] = {s["sensor"]: s for s in states if not known or s.get("sensor") in known}
        return found

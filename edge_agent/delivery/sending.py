"""The asking side: a connection to the broker of one agent, for orders and questions one after the other."""

from __future__ import annotations

import json
import math
import time
from typing import Self

from edge_agent.config import Mqtt
from edge_agent.delivery.message import Message
from edge_agent.delivery.mqtt import Connection
from edge_agent.delivery.payloads import Json, decoded, encode
from edge_agent.delivery.topics import Topics
from edge_agent.errors import DeliveryError


class Sender:
    """Used in a `with`. `heard` is topic -> the newest message on it."""

    def __init__(self, settings: Mqtt, node: str, identity: str) -> None:
        """`identity` names the client at the broker."""
        self.topics = Topics(settings.topic_root, node)
        self.heard: dict[str, Json] = {}
        self.kept_s = 0.0
        """When a retained message came last, in seconds on the monotonic clock."""
        self._settings = settings
        self._connection = Connection(settings, client_id=f"edge-order-{identity}")

    def __enter__(self) -> Self:
        """Connect. Raises DeliveryError."""
        try:
            self._connection.open()
            self._connection.await_consent(lambda: False)
        except DeliveryError:
            self._connection.close()
            raise
        self.listen(self.topics.state, self.topics.info)
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def info(self) -> Json:
        """What the agent left of itself at the broker; empty for none."""
        return self.heard.get(self.topics.info, {})

    def listen(self, *topics: str) -> None:
        """Hear what is and will be on these topics."""
        for topic in topics:
            self._connection.subscribe(topic)
        self.kept_s = time.monotonic()

    def step(self, timeout_s: float) -> None:
        """Take in what comes. Raises DeliveryError when the broker is lost."""
        self._connection.step(timeout_s)
        while self._connection.received:
            incoming = self._connection.received.popleft()
            self.heard[incoming.topic] = decoded(incoming.payload)
            if incoming.retain:
                self.kept_s = time.monotonic()

    def order(self, verb: str, body: Json, *, identity: str, timeout_s: float) -> Json:
        """The agent's reply (schema `reply`, or `answer` to `ask`), perhaps an `error`.

        Raises DeliveryError when none comes in time, and says why. Then it is not carried out later either.
        """
        wanted = self.topics.answer(identity) if verb == "ask" else self.topics.reply(identity)
        # Subscribed before on the same connection, so the broker cannot pass the reply by us (4.6).
        self._connection.subscribe(wanted)
        self._say(
            Message(
                self.topics.command(verb),
                encode({**body, "id": identity}),
                correlation=identity.encode(),
                expiry_s=math.ceil(timeout_s),
            ),
            wanted,
        )
        deadline_s = time.monotonic() + timeout_s
        while wanted not in self.heard and (left_s := deadline_s - time.monotonic()) > 0:
            self.step(left_s)
        if wanted not in self.heard:
            self.must_run()
            raise self._silence(verb, timeout_s)
        return self.heard.pop(wanted)

    def _say(self, message: Message, response_topic: str) -> None:
        if self._settings.protocol == "5":
            self._connection.request(message, response_topic)
        else:
            self._connection.send(message)

    def must_run(self) -> None:
        """Raise DeliveryError where the broker knows of no such agent, or knows that it is not running."""
        state = self.heard.get(self.topics.state)
        if state is None:
            raise DeliveryError(
                f'no agent "{self.topics.node}" has ever spoken to this broker',
                hint="start it: edge-agent run -c FILE; or check --node, --host and --port",
            )
        if state.get("state") != "online":
            raise DeliveryError(
                f'the agent "{self.topics.node}" is offline: it is not running',
                hint="start it: edge-agent run -c FILE; a service: systemctl status edge-agent",
            )

    def _silence(self, verb: str, timeout_s: float) -> DeliveryError:
        """Why an agent that runs may not have replied."""
        allowed, node = self.info.get("commands", []), self.topics.node
        if verb not in allowed:
            what = "questions" if verb == "ask" else f'command "{verb}"'
            return DeliveryError(
                f'the agent "{node}" takes no {what}',
                hint=f"set commands = {json.dumps([*allowed, verb])} in its [mqtt] table",
            )
        return DeliveryError(
            f'the agent "{node}" did not answer within {timeout_s:g} s',
            hint="its broker says that it is online; look at its log, or try a longer --timeout",
        )

"""The sending side of commands other than questions: one order to a running agent, and its reply."""

from __future__ import annotations

import json
import time

from edge_agent.config import Mqtt
from edge_agent.delivery.message import Message
from edge_agent.delivery.mqtt import Connection
from edge_agent.delivery.payloads import Json, encode
from edge_agent.delivery.topics import Topics
from edge_agent.errors import DeliveryError


class Sender:
    """A connection to the broker of one agent, for orders one after the other; used in a `with`."""

    def __init__(self, settings: Mqtt, node: str, identity: str) -> None:
        """`identity` names the client at the broker."""
        self._topics = Topics(settings.topic_root, node)
        self._node = node
        self._connection = Connection(settings, client_id=f"edge-order-{identity}")

    def __enter__(self) -> Sender:  # noqa: PYI034
        """Connect. Raises DeliveryError."""
        try:
            self._connection.open()
            self._connection.await_consent(lambda: False)
        except DeliveryError:
            self._connection.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def order(self, verb: str, body: Json, *, identity: str, timeout_s: float) -> Json:
        """The agent's reply (schema `reply`). Raises DeliveryError when none comes in time."""
        deadline_s, wanted = time.monotonic() + timeout_s, self._topics.reply(identity)
        self._connection.subscribe(wanted)
        self._connection.send(Message(self._topics.command(verb), encode({**body, "id": identity})))
        while (left_s := deadline_s - time.monotonic()) > 0:
            self._connection.step(left_s)
            while self._connection.received:
                incoming = self._connection.received.popleft()
                if incoming.topic == wanted:
                    reply: Json = json.loads(incoming.payload)
                    return reply
        raise DeliveryError(
            f'the agent "{self._node}" did not reply to "{verb}" within {timeout_s:g} s',
            hint=f'is it running, and is "{verb}" among the commands in its [mqtt] table?',
        )

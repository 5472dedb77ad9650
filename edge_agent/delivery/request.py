"""The asking side: one question to a running agent, over its broker."""

from __future__ import annotations

import time

from edge_agent.config import Mqtt
from edge_agent.delivery.message import Message
from edge_agent.delivery.mqtt import Connection
from edge_agent.delivery.payloads import Json, decoded, encode
from edge_agent.delivery.topics import Topics
from edge_agent.errors import DeliveryError


def ask(
    settings: Mqtt, node: str, question: str, *, identity: str, timeout_s: float, asker: str | None = None
) -> Json:
    """The agent's reply (schema `answer`). Raises DeliveryError when none comes in time, and says why.

    Questions of one `asker` belong to one dialog.
    """
    topics = Topics(settings.topic_root, node)
    connection = Connection(settings, client_id=f"edge-ask-{identity}")
    deadline_s = time.monotonic() + timeout_s
    seen: dict[str, Json] = {}
    try:
        connection.open()
        connection.await_consent(lambda: time.monotonic() > deadline_s)
        for topic in (topics.state, topics.info, topics.answer(identity)):
            connection.subscribe(topic)
        body = {"question": question, "id": identity} | ({} if asker is None else {"asker": asker})
        _send(connection, settings, topics, body, identity)
        while topics.answer(identity) not in seen and time.monotonic() < deadline_s:
            connection.step(max(0.0, deadline_s - time.monotonic()))
            while connection.received:
                incoming = connection.received.popleft()
                seen[incoming.topic] = decoded(incoming.payload)
    finally:
        connection.close()
    if (reply := seen.get(topics.answer(identity))) is not None:
        return reply
    raise _silence(seen.get(topics.state), seen.get(topics.info), node, timeout_s)


def _send(connection: Connection, settings: Mqtt, topics: Topics, body: Json, identity: str) -> None:
    message = Message(topics.command("ask"), encode(body), correlation=identity.encode())
    # Subscribed before on the same connection, so the broker cannot pass the reply by us (4.6).
    if settings.protocol == "5":
        connection.request(message, topics.answer(identity))
    else:
        connection.send(message)


def _silence(state: Json | None, info: Json | None, node: str, timeout_s: float) -> DeliveryError:
    """Why there may be no answer, from what the agent left at the broker."""
    if state is None:
        return DeliveryError(
            f'no agent "{node}" has ever spoken to this broker',
            hint="check --node, --host and --port, and that edge-agent run is running",
        )
    if state.get("state") != "online":
        return DeliveryError(f'the agent "{node}" is offline', hint="start it: edge-agent run -c FILE")
    if info is not None and "ask" not in info.get("commands", []):
        return DeliveryError(
            f'the agent "{node}" takes no questions', hint='set commands = ["ask"] in its [mqtt] table'
        )
    return DeliveryError(
        f'the agent "{node}" did not answer within {timeout_s:g} s', hint="try again with a longer --timeout"
    )

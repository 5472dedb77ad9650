"""The asking side of `edge-agent status`: the command where it is allowed, else what is retained."""

from __future__ import annotations

import time

from edge_agent.config import Mqtt
from edge_agent.delivery.payloads import Json
from edge_agent.delivery.sending import Sender
from edge_agent.errors import DeliveryError

QUIET_S = 0.7
"""So long after the last retained message there are no more: they come with the subscription (3.3.1.3)."""


def look(settings: Mqtt, node: str, *, identity: str, timeout_s: float) -> Json:
    """As the reply to the command `status`, and `source`: where it is from.

    Raises DeliveryError where the agent is not running, or not reached within `timeout_s`.
    """
    with Sender(settings, node, identity) as sender:
        sender.listen(sender.topics.queue, sender.topics.sensor_state_filter)
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < min(sender.kept_s + QUIET_S, end_s):
            sender.step(0.1)
        sender.must_run()
        if "status" not in sender.info.get("commands", []):
            return {"source": "retained", **_retained(sender)}
        reply = sender.order("status", {}, identity=identity, timeout_s=timeout_s)
    if "error" in reply:
        raise DeliveryError(str(reply["error"]["message"]), hint=str(reply["error"]["hint"]))
    return {"source": "command", **reply["status"]}


def _retained(sender: Sender) -> Json:
    topics, info = sender.topics, sender.info
    begin = topics.sensor_state_filter.partition("+")[0]
    states = [body for topic, body in sorted(sender.heard.items()) if topic.startswith(begin)]
    # A sensor that left the configuration is still retained there.
    known = info.get("sensors", {})
    sensors = {state["sensor"]: state for state in states if not known or state.get("sensor") in known}
    queue = {"queue": sender.heard[topics.queue]} if topics.queue in sender.heard else {}
    return {"info": info, **queue, "sensors": sensors}

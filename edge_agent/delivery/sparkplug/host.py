"""Whether the primary host application is there. Pure.

Source: Sparkplug 3.0.0, 4.6 (STATE), 5.4 (tck-id-message-flow-edge-node-birth-publish-phid-...), 5.13.
"""

from __future__ import annotations

import json
import math

from edge_agent.delivery.message import Incoming
from edge_agent.delivery.sparkplug.session import state_topic


class PrimaryHost:
    """What the host said of itself on the server that we are connected to; without one it is always there.

    Timestamps are compared for each server apart, as a host counts them
    (tck-id-operational-behavior-host-application-multi-server-timestamp).
    """

    def __init__(self, host: str | None) -> None:
        self.topic = None if host is None else state_topic(host)
        self.ignored = 0
        """Messages that were no STATE, or older than what we know."""
        self._server = ""
        self._newest: dict[str, float] = {}
        self._online: bool | None = None

    def begin(self, server: str) -> None:
        """A new MQTT session with `server`: what it keeps of the host is yet to come."""
        self._server = server
        self._online = None

    @property
    def online(self) -> bool:
        """Whether births and data may be published."""
        return self.topic is None or self._online is True

    @property
    def offline(self) -> bool:
        """Whether the host said that it is not there; not the same as having said nothing yet."""
        return self.topic is not None and self._online is False

    def hear(self, incoming: Incoming) -> None:
        """Take in a message; what is not of our host, malformed or older than the newest changes nothing."""
        said = _parse(incoming.payload) if incoming.topic == self.topic else None
        if said is None or said[1] < self._newest.get(self._server, -math.inf):
            self.ignored += 1
            return
        self._online, self._newest[self._server] = said


def _parse(payload: bytes) -> tuple[bool, float] | None:
    """(online, timestamp in ms) of a STATE payload (tck-id-host-topic-phid-birth-payload); None: not one."""
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    online, timestamp = body.get("online"), body.get("timestamp")
    if not isinstance(online, bool) or isinstance(timestamp, bool) or not isinstance(timestamp, int | float):
        return None
    return (online, timestamp) if math.isfinite(timestamp) else None

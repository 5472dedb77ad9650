"""The brokers of an edge node, which is connected to one of them at a time (5.13)."""

from __future__ import annotations

from collections import deque

from edge_agent.config import Mqtt
from edge_agent.config_sparkplug import Sparkplug, server_address


class Servers:
    """`here` is the one to connect to; all take the user, the password, TLS and the rest from [mqtt]."""

    def __init__(self, settings: Sparkplug, mqtt: Mqtt) -> None:
        addresses = [server_address(server, mqtt.port) for server in settings.servers]
        self.all = deque(
            [mqtt.model_copy(update={"host": host, "port": port}) for host, port in addresses] or [mqtt]
        )

    @property
    def here(self) -> Mqtt:
        """How to connect."""
        return self.all[0]

    @property
    def name(self) -> str:
        """Host and port."""
        return f"{self.here.host}:{self.here.port}"

    @property
    def several(self) -> bool:
        """Whether there is another one to go to."""
        return len(self.all) > 1

    def walk(self) -> None:
        """Go to the next; after the last comes the first."""
        self.all.rotate(-1)

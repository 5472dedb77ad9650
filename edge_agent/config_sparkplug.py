"""The table [sparkplug]: the agent as an edge node of Sparkplug B 3.0 (docs/sparkplug.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, field_validator

from edge_agent.config_types import Frozen

PERCEPTION = "perception"
"""The device of everything that is perceived; every sensor is a device of its own name."""
SparkplugId = Annotated[str, Field(pattern=r"^[^+/#\x00-\x1f\x7f]{1,128}$")]
"""A level of a Sparkplug topic: UTF-8 without `+`, `/` and `#` (Sparkplug 3.0.0, 4.1)."""
_SERVER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:\[\]/]+)(?::(?P<port>\d{1,5}))?")


class Sparkplug(Frozen):
    """Whether the agent is a Sparkplug edge node too, and as whom."""

    enabled: bool = Field(False, description="publish as a Sparkplug B edge node")
    group_id: SparkplugId = Field("edge", description="group of this edge node: spBv1.0/<group_id>/...")
    edge_node_id: SparkplugId | None = Field(
        None, description="name of this edge node; default: node.name. Unique in its group"
    )
    primary_host_id: SparkplugId | None = Field(
        None, description="host application to wait for before anything is published; default: none"
    )
    servers: tuple[str, ...] = Field(
        (), description='brokers to walk through, as "host" or "host:port"; default: that of [mqtt]'
    )
    host_wait_s: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="seconds to wait for the primary host before the next of several servers",
    )
    device_commands: Literal["ignore", "refuse"] = Field(
        "ignore", description='what becomes of DCMD: "refuse" counts them and says why in a metric'
    )
    beside_json: bool = Field(
        True, description="also publish the topics of docs/mqtt.md; false: Sparkplug only"
    )

    @field_validator("servers")
    @classmethod
    def _servers_named(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        for server in servers:
            server_address(server, 1883)
        if len(set(servers)) != len(servers):
            raise ValueError("the same server stands there twice")
        return servers


def server_address(text: str, port: int) -> tuple[str, int]:
    """(host, port) of "host", "host:port" or "[IPv6]:port". Raises ValueError."""
    match = _SERVER.fullmatch(text)
    number = port if match is None or match["port"] is None else int(match["port"])
    if match is None or not 0 < number < 65_536:
        raise ValueError(f'"{text}" is no server: write "host" or "host:port"')
    return match["host"].strip("[]"), number


def conflict(settings: Sparkplug, sensors: Iterable[str], *, needs_json: bool) -> tuple[str, str, str] | None:
    """(key, what is wrong, what to do) where the rest of the configuration does not go with it, else None.

    Device ids must differ by more than their case (tck-id-case-sensitivity-sparkplug-ids).
    """
    if not settings.enabled:
        return None
    seen = {PERCEPTION}
    for name in sensors:
        if name.lower() in seen:
            return (
                "sparkplug.enabled",
                f'"{name}" cannot be a device: another has that id',
                "rename the sensor",
            )
        seen.add(name.lower())
    if needs_json and not settings.beside_json:
        return (
            "sparkplug.beside_json",
            "mqtt.commands and homeassistant.enabled need the JSON topics",
            "set beside_json = true, or switch them off",
        )
    return None

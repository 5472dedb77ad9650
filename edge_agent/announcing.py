"""What the parts of an agent are to Home Assistant."""

from __future__ import annotations

from edge_agent import __version__
from edge_agent.assembly import Parts
from edge_agent.delivery.discovery import Discovery, Memory
from edge_agent.delivery.homeassistant import Node
from edge_agent.inventory import MOST_VALUES
from edge_agent.sensors.channels import channels_of
from edge_agent.stages import PIPELINE


def discovery_of(parts: Parts) -> Discovery:
    """Announces the node when the configuration says so; else takes away what was announced before."""
    settings = parts.config.homeassistant
    return Discovery(
        node_of(parts) if settings.enabled else None,
        prefix=settings.discovery_prefix,
        memory=Memory(parts.config.node.state_directory),
        clock=parts.clock,
    )


def node_of(parts: Parts) -> Node:
    """What there is to announce; of a board only what it perceives, since it names its channels later."""
    channels = {name: have for sensor in parts.sensors for name, have in channels_of(sensor).items()}
    return Node(
        topics=parts.topics,
        pipeline=PIPELINE,
        manifest=parts.manifest,
        sources=parts.config.sources,
        channels={name: have for name, have in channels.items() if len(have) <= MOST_VALUES},
        commands=parts.config.mqtt.commands,
        percept_interval_s=parts.config.publish.percept_interval_s,
        version=__version__,
    )

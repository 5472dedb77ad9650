"""What the parts of an agent are to Sparkplug."""

from __future__ import annotations

from edge_agent import __version__
from edge_agent.assembly import Parts, outbox_of
from edge_agent.delivery.sparkplug.node import EdgeNode
from edge_agent.delivery.sparkplug.readings import Outline

OUTBOX = "sparkplug.sqlite"


def edge_node_of(parts: Parts) -> EdgeNode | None:
    """The edge node that the configuration wants; what waits for its host has a file of its own."""
    config = parts.config
    if not config.sparkplug.enabled:
        return None
    folder = config.node.state_directory
    return EdgeNode(
        config.sparkplug,
        config.mqtt,
        topics=parts.topics,
        outline=outline_of(parts),
        state_directory=folder,
        clock=parts.clock,
        outbox=outbox_of(config, parts.clock, folder / OUTBOX),
    )


def outline_of(parts: Parts) -> Outline:
    """Everything that the agent can say."""
    manifest, model = parts.manifest, parts.model
    return Outline(
        tasks=tuple(task.name for task in manifest.tasks),
        numbers={head.name: tuple(head.numbers) for head in manifest.numbers},
        slots=tuple(slot.name for slot in manifest.slots),
        sensors=tuple(parts.config.sources),
        properties={
            "Software": "edge-agent",
            "Software Version": __version__,
            "Model": model.name,
            "Model Version": model.version,
            "Model Hash": model.sha256,
        },
    )

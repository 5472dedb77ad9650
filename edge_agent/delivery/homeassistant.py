"""What Home Assistant is told of this node: one MQTT device discovery message for everything. Pure.

Source: home-assistant.io, integrations `mqtt` ("Device discovery payload", "Discovery payload"),
`sensor.mqtt` and `text.mqtt`. The templates read the payloads of docs/mqtt.md as they are; nothing is
published twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.delivery.topics import Topics
from edge_agent.manifest import Fact, Manifest, NumberHead, TaskHead
from edge_agent.types import SensorState

Component = dict[str, Any]
ASKED_AS = "home-assistant"
"""The id of every question that Home Assistant asks; so its answers have one topic."""
MOST_NUMBERS = 8
"""A head of more numbers is shown by its facts alone."""
LONGEST_STATE = 255
"""Characters that Home Assistant keeps of a state, and takes in a text entity."""
_PROJECT = "edge-agent"
_UNKNOWN = "'None'"
"""What a sensor understands as unknown, in a template (`sensor.mqtt`, state_topic)."""
_EXPIRY_S = 30
_UNITS: dict[str, tuple[str, str | None]] = {
    "degC": ("°C", "temperature"),
    "lx": ("lx", "illuminance"),
    "lux": ("lx", "illuminance"),
    "hPa": ("hPa", "atmospheric_pressure"),
    "Pa": ("Pa", "atmospheric_pressure"),
    "m": ("m", "distance"),
    "metres": ("m", "distance"),
    "cm": ("cm", "distance"),
    "centimetres": ("cm", "distance"),
    "mm": ("mm", "distance"),
    "V": ("V", "voltage"),
    "percent": ("%", None),
    "degrees": ("°", None),
    "deg": ("°", None),
}
"""Our units -> Home Assistant's, and the device class that goes with them."""
_QUANTITIES = {("humidity", "%"): "humidity", ("co2", "ppm"): "carbon_dioxide"}
"""(how a name begins, unit) -> device class, where the unit alone does not tell."""


@dataclass(frozen=True, slots=True)
class Node:
    """What there is to announce.

    `sources` is Chunk.sensor -> slot ("" for none); `channels` is sensor -> (channel, unit), for those
    without a slot that publish their newest values.
    """

    topics: Topics
    pipeline: str
    manifest: Manifest
    sources: Mapping[str, str]
    channels: Mapping[str, Sequence[tuple[str, str]]]
    commands: Sequence[str]
    percept_interval_s: float
    version: str


def config_topic(prefix: str, node: str) -> str:
    """Where the discovery message of a node belongs."""
    return f"{prefix}/device/{node}/config"


def message(node: Node, removed: Mapping[str, str]) -> dict[str, Any]:
    """The whole discovery payload; `removed` is component -> platform of what shall be taken away.

    A component of which only the platform is left is removed with its entity.
    """
    name, manifest = node.topics.node, node.manifest
    return {
        "device": {
            "identifiers": [f"{_PROJECT}.{name}"],
            "name": name,
            "manufacturer": "IoT-LM on the edge",
            "model": f"{manifest.name} {manifest.version}",
            "sw_version": node.version,
        },
        "origin": {"name": _PROJECT, "sw_version": node.version},
        "availability": [{"topic": node.topics.state, "value_template": "{{ value_json.state }}"}],
        "qos": 1,
        "components": {
            **components(node),
            **{identity: {"platform": platform} for identity, platform in removed.items()},
        },
    }


def components(node: Node) -> dict[str, Component]:
    """Every entity, by its id: what is perceived, how the sensors fare, and asking."""
    found = dict(_entities(node))
    for identity, component in found.items():
        # A node's name has no dot, so no two of them can meet.
        component["unique_id"] = f"{_PROJECT}.{node.topics.node}.{identity}"
    return found


def _entities(node: Node) -> Iterator[tuple[str, Component]]:
    slots = set(node.sources.values())
    for head in node.manifest.heads:
        if node.manifest.serving(head.name) & slots:
            yield from [_task(node, head)] if isinstance(head, TaskHead) else _numbers(node, head)
    for said in node.manifest.facts:
        if said.slot in slots:
            units = node.manifest.slot(said.slot).units
            # The first sample of a window is how it was, not how it is.
            for fact in (f for f in said.facts if f.reduce != "first"):
                yield _fact(node, fact, units[fact.first] if len(units) > 1 else units[0])
    for sensor, slot in node.sources.items():
        yield from _sensor(node, sensor)
        if not slot:
            yield from _values(node, sensor)
    if "ask" in node.commands:
        yield from _asking(node)


# -- what is perceived -----------------------------------------------------------------------------------


def _task(node: Node, head: TaskHead) -> tuple[str, Component]:
    """A label is the state while it is known; the rest of the percept are attributes."""
    found = f"value_json.tasks.get({head.name!r})"
    attributes = f"dict({found} or {{}},simulated=value_json.simulated)"
    component = _perceived(node, head.name) | {
        "device_class": "enum",
        "options": list(head.labels),
        "value_template": f"{{% set t={found} %}}{{{{ t.label if t and t.known else {_UNKNOWN} }}}}",
        "json_attributes_topic": node.topics.percept(node.pipeline),
        "json_attributes_template": f"{{{{ {attributes}|tojson }}}}",
    }
    return f"task_{head.name}", component


def _numbers(node: Node, head: NumberHead) -> Iterator[tuple[str, Component]]:
    """What is said of the numbers; or the numbers, where nothing is said and there are few of them."""
    for fact in head.facts:
        yield _fact(node, fact, fact.unit)
    if head.facts or len(head.numbers) > MOST_NUMBERS:
        return
    for i, name in enumerate(head.numbers):
        found = f"{{% set n=value_json.get('numbers',{{}}).get({head.name!r}) %}}"
        # `n.values` would be the method of the dictionary.
        component = _perceived(node, f"{head.name} {name}") | {
            "value_template": f"{found}{{{{ n['values'][{i}] if n else {_UNKNOWN} }}}}"
        }
        yield f"number_{head.name}_{name}", component | _measured(name, name.rpartition("_")[2])


def _fact(node: Node, fact: Fact, unit: str) -> tuple[str, Component]:
    """A measured number, as it is said and without its unit."""
    found = f"value_json.get('facts',{{}}).get({fact.name!r},{_UNKNOWN})"
    component = _perceived(node, fact.name) | {
        "value_template": f"{{{{ {found}.split(' ')[0] }}}}",
        "suggested_display_precision": fact.decimals,
    }
    return f"fact_{fact.name}", component | _measured(fact.name, unit if fact.scale == 1 else fact.unit)


def _perceived(node: Node, name: str) -> Component:
    return {
        **_entity("sensor", name),
        "state_topic": node.topics.percept(node.pipeline),
        # Percepts are not retained and never rest: silence means that nobody looks any more.
        "expire_after": math.ceil(3 * node.percept_interval_s) + _EXPIRY_S,
    }


# -- how the sensors fare ----------------------------------------------------------------------------------


def _sensor(node: Node, sensor: str) -> Iterator[tuple[str, Component]]:
    """State, rate and losses of one sensor."""
    topic = node.topics.sensor_state(sensor)
    attributes = ("slot", "reason", "missing_channels", "simulated")
    kept = ",".join(f"{key!r}:value_json.{key}" for key in attributes)
    diagnostic = {"entity_category": "diagnostic", "state_topic": topic}
    yield (
        f"state_{sensor}",
        _entity("sensor", sensor)
        | diagnostic
        | {
            "device_class": "enum",
            "options": [str(state) for state in SensorState],
            "value_template": "{{ value_json.state }}",
            "json_attributes_topic": topic,
            "json_attributes_template": f"{{{{ {{{kept}}}|tojson }}}}",
        },
    )
    rate = {"value_template": "{{ value_json.rate_hz }}", "unit_of_measurement": "Hz"}
    rate |= {"device_class": "frequency", "state_class": "measurement"}
    yield f"rate_{sensor}", _entity("sensor", f"{sensor} rate") | diagnostic | rate
    lost = {"value_template": "{{ value_json.lost }}", "state_class": "total_increasing"}
    yield f"lost_{sensor}", _entity("sensor", f"{sensor} lost samples") | diagnostic | lost


def _values(node: Node, sensor: str) -> Iterator[tuple[str, Component]]:
    """The newest values of a sensor that fills no slot, such as a thermometer."""
    for channel, unit in node.channels.get(sensor, ()):
        component = _entity("sensor", f"{sensor} {channel}") | {
            "state_topic": node.topics.sensor_state(sensor),
            "value_template": f"{{{{ value_json['values'].get({channel!r}) }}}}",
        }
        yield f"value_{sensor}.{channel}", component | _measured(channel, unit)


# -- asking --------------------------------------------------------------------------------------------------


def _asking(node: Node) -> Iterator[tuple[str, Component]]:
    """A field for a question, and the answer to it or why there is none."""
    answers = node.topics.answer(ASKED_AS)
    yield (
        "ask",
        _entity("text", "ask")
        | {
            "command_topic": node.topics.command("ask"),
            "command_template": f'{{"question":{{{{ value|tojson }}}},"id":"{ASKED_AS}"}}',
            "min": 1,
            "max": LONGEST_STATE,
        },
    )
    said = "(value_json.text if 'text' in value_json else value_json.error.message)"
    yield (
        "answer",
        _entity("sensor", "answer")
        | {
            "state_topic": answers,
            "value_template": f"{{{{ {said}[:{LONGEST_STATE}] }}}}",
            "json_attributes_topic": answers,
        },
    )


def _entity(platform: str, name: str) -> Component:
    """The name without the device's, which Home Assistant puts before it."""
    said = name.replace("_", " ")
    return {"platform": platform, "name": said[:1].upper() + said[1:]}


def _measured(name: str, unit: str) -> Component:
    """Unit and device class of a number, as far as Home Assistant knows them."""
    known, device_class = _UNITS.get(unit, (unit, None))
    for (begin, of), better in _QUANTITIES.items():
        if name.startswith(begin) and known == of:
            device_class = better
    component: Component = {"state_class": "measurement"}
    if known not in {"", "1"}:
        component["unit_of_measurement"] = known
    if device_class is not None:
        component["device_class"] = device_class
    return component

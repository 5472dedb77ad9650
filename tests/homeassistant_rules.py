"""Home Assistant's own rules for what is announced, as its documentation publishes them, as a strict schema.

Sources, all under https://www.home-assistant.io/integrations/ :
  mqtt          `mqtt/#discovery-topic`, `mqtt/#device-discovery-payload`, `mqtt/#discovery-payload` (origin),
                `mqtt/#using-availability-topics`
  sensor.mqtt   `sensor.mqtt/#configuration`
  text.mqtt     `text.mqtt/#configuration`
  sensor        `sensor/#device-class`: which units belong to a class
and for state classes and the unit of `enum` https://developers.home-assistant.io/docs/core/entity/sensor .

Home Assistant ignores keys that it does not know ("unknown configuration keys are allowed but ignored"); here
they are refused, since an ignored key is a mistake of ours. Of the options, only those of the two platforms.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jsonschema import Draft202012Validator

OBJECT_ID = re.compile(r"[a-zA-Z0-9_-]+")
"""mqtt/#discovery-topic: "the character class [a-zA-Z0-9_-]"."""
STATE_CHARACTERS = 255
"""text.mqtt, max: "maximum is 255"; a longer state of a sensor is refused too."""
ATTRIBUTES_NOT_TAKEN = {
    "assumed_state", "available", "device_class", "device_info", "entity_category", "entity_picture",
    "force_update", "friendly_name", "icon", "last_reset", "should_poll", "state", "state_class",
    "supported_features", "unique_id", "unit_of_measurement",
}  # fmt: skip
"""What an entity says of itself cannot be one of its JSON attributes."""

_TEXT = {"type": "string", "minLength": 1}
_SUBSCRIBED = {"type": "string", "pattern": r"^[^#+\u0000]+$"}
"""A topic without wildcards: stricter than what may be subscribed to, and what may be published to."""
_TEMPLATE = {"type": "string", "pattern": r"\{[{%].*[}%]\}"}
_PAIR = {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2}
_QOS = {"enum": [0, 1, 2]}

DEVICE = {
    "type": "object",
    "properties": {
        "identifiers": {"type": "array", "items": _TEXT, "minItems": 1, "uniqueItems": True},
        "connections": {"type": "array", "items": _PAIR},
        "configuration_url": {"type": "string", "pattern": "^(https?|homeassistant)://"},
        **dict.fromkeys(
            ("hw_version", "manufacturer", "model", "model_id", "name", "serial_number"), _TEXT
        ),
        **dict.fromkeys(("suggested_area", "sw_version", "via_device"), _TEXT),
    },
    # "At least one of identifiers or connections must be present to identify the device."
    "anyOf": [{"required": ["identifiers"]}, {"required": ["connections"]}],
    "required": ["name"],
    "additionalProperties": False,
}  # fmt: skip

ORIGIN = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "sw_version": _TEXT,
        "support_url": {"type": "string", "pattern": "^https?://"},
    },
    "required": ["name"],
    "additionalProperties": False,
}

AVAILABILITY = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {
            "topic": _SUBSCRIBED,
            "payload_available": _TEXT,
            "payload_not_available": _TEXT,
            "value_template": _TEMPLATE,
        },
        "required": ["topic"],
        "additionalProperties": False,
    },
}

_ENTITY = {
    "name": {"type": ["string", "null"], "minLength": 1},
    "unique_id": _TEXT,
    "default_entity_id": _TEXT,
    "enabled_by_default": {"type": "boolean"},
    "encoding": {"type": "string"},
    "entity_picture": _TEXT,
    "icon": {"type": "string", "pattern": "^mdi:"},
    "json_attributes_topic": _SUBSCRIBED,
    "json_attributes_template": _TEMPLATE,
    "qos": _QOS,
    "value_template": _TEMPLATE,
}
"""Common to both platforms; device, origin and availability stand at the root of a device message."""

UNITS = {
    "atmospheric_pressure": [
        "cbar",
        "bar",
        "hPa",
        "mmHg",
        "inHg",
        "inH₂O",
        "kPa",
        "mbar",
        "Pa",
        "mPa",
        "psi",
    ],
    "carbon_dioxide": ["ppm"],
    "distance": ["km", "m", "cm", "mm", "mi", "nmi", "yd", "in"],
    "enum": None,
    "frequency": ["Hz", "kHz", "MHz", "GHz"],
    "humidity": ["%"],
    "illuminance": ["lx"],
    "temperature": ["°C", "°F", "K"],
    "voltage": ["V", "mV", "µV", "kV", "MV"],
}
"""sensor/#device-class: the classes that we use, and their units (enum has none)."""


def _with_unit(units: list[str]) -> dict[str, Any]:
    return {"properties": {"unit_of_measurement": {"enum": units}}, "required": ["unit_of_measurement"]}


def _without_unit() -> dict[str, Any]:
    return {"properties": {"unit_of_measurement": False, "state_class": False}}


SENSOR = {
    "type": "object",
    "properties": {
        **_ENTITY,
        "platform": {"const": "sensor"},
        "device_class": {"enum": list(UNITS)},
        # "When set, the entity category must be `diagnostic` for sensors."
        "entity_category": {"const": "diagnostic"},
        "expire_after": {"type": "integer", "minimum": 0},
        "force_update": {"type": "boolean"},
        "last_reset_value_template": _TEMPLATE,
        "options": {"type": "array", "items": _TEXT, "minItems": 1, "uniqueItems": True},
        "state_class": {"enum": ["measurement", "measurement_angle", "total", "total_increasing"]},
        "state_topic": _SUBSCRIBED,
        "suggested_display_precision": {"type": "integer", "minimum": 0},
        "unit_of_measurement": {"type": ["string", "null"], "minLength": 1},
    },
    # "Required when used with device-based discovery" is said of unique_id.
    "required": ["platform", "state_topic", "unique_id"],
    "dependentSchemas": {
        # "The sensor's `device_class` must be set to `enum`. The `options` option cannot be used together
        # with `state_class` or `unit_of_measurement`."
        "options": {
            "properties": {
                "device_class": {"const": "enum"}, "state_class": False, "unit_of_measurement": False,
            },
            "required": ["device_class"],
        },
        "last_reset_value_template": {"properties": {"state_class": {"const": "total"}}},
        "json_attributes_template": {"required": ["json_attributes_topic"]},
    },
    "allOf": [
        {
            "if": {"properties": {"device_class": {"const": name}}, "required": ["device_class"]},
            "then": _without_unit() if units is None else _with_unit(units),
        }
        for name, units in UNITS.items()
    ],
    "additionalProperties": False,
}  # fmt: skip

TEXT = {
    "type": "object",
    "properties": {
        **_ENTITY,
        "platform": {"const": "text"},
        "command_topic": _SUBSCRIBED,
        "command_template": _TEMPLATE,
        "entity_category": {"enum": ["config", "diagnostic"]},
        "max": {"type": "integer", "minimum": 1, "maximum": STATE_CHARACTERS},
        "min": {"type": "integer", "minimum": 0},
        "mode": {"enum": ["text", "password"]},
        "pattern": {"type": "string", "format": "regex"},
        "retain": {"type": "boolean"},
        "state_topic": _SUBSCRIBED,
    },
    "required": ["platform", "command_topic", "unique_id"],
    "dependentRequired": {"json_attributes_template": ["json_attributes_topic"]},
    "additionalProperties": False,
}

REMOVED = {
    # "An empty config can be published as an update to remove a single component from the device discovery.
    # Note that adding the `platform` (`p`) option is still required."
    "type": "object",
    "properties": {"platform": {"enum": ["sensor", "text"]}},
    "required": ["platform"],
    "additionalProperties": False,
}

MESSAGE = {
    "type": "object",
    "properties": {
        "device": DEVICE,
        "origin": ORIGIN,
        "availability": AVAILABILITY,
        "availability_mode": {"enum": ["all", "any", "latest"]},
        "qos": _QOS,
        "encoding": {"type": "string"},
        # `state_topic` and `command_topic` may be shared, but a text entity would then show every state.
        "components": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "if": {"required": ["unique_id"]},
                "then": {
                    "if": {"properties": {"platform": {"const": "text"}}},
                    "then": TEXT,
                    "else": SENSOR,
                },
                "else": REMOVED,
            },
        },
    },
    # "These mappings are mandatory and cannot be overridden at the entity/component level."
    "required": ["device", "origin", "components"],
    "additionalProperties": False,
}

_VALIDATOR = Draft202012Validator(MESSAGE)


def check(topic: str, payload: bytes) -> dict[str, Any]:
    """The message, which obeys every rule above; else the test fails and says where."""
    prefix, kind, identity, end = topic.rsplit("/", 3)
    assert prefix
    assert (kind, end) == ("device", "config")
    assert OBJECT_ID.fullmatch(identity)
    message: dict[str, Any] = json.loads(payload)
    faults = [f"{e.json_path}: {e.message}" for e in _VALIDATOR.iter_errors(message)]
    assert not faults, faults[0]
    parts = message["components"].values()
    identities = [part["unique_id"] for part in parts if "unique_id" in part]
    # "If two sensors have the same unique ID, Home Assistant will raise an exception."
    assert len(set(identities)) == len(identities)
    for part in parts:
        if "unique_id" in part and part.get("min", 0) >= part.get("max", STATE_CHARACTERS):
            raise AssertionError(f"min is not below max: {part}")
        # "The entity's name should not include the name of the device" (2023.8, MQTT entity names)
        assert part.get("name") != message["device"]["name"]
    return message


def render(template: str, **variables: Any) -> str:
    """As Home Assistant does: sandboxed, blanks around the result taken off; what is undefined is an error.

    Home Assistant would log a warning and go on; a warning at every message is a fault too.
    """
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    # docs/configuration/templating: `tojson` is its own there and escapes no HTML.
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(template).render(**variables).strip()


def state_of(part: Mapping[str, Any], payload: Mapping[str, Any]) -> str | None:
    """What a sensor shows after a message on its state topic; None: unknown. Fails where it cannot."""
    shown = render(part["value_template"], value_json=payload, value=json.dumps(payload))
    if shown == "None":
        return None
    numeric = "unit_of_measurement" in part or "state_class" in part
    if numeric:
        assert float(shown) == float(shown), f"{part['name']}: {shown!r}"
    elif "options" in part:
        assert shown in part["options"], f"{part['name']}: {shown!r}"
    assert len(shown) <= STATE_CHARACTERS
    return shown


def attributes_of(part: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    """What a sensor's JSON attributes are after a message on that topic: a JSON dictionary, or a failure."""
    template = part.get("json_attributes_template")
    said = json.dumps(payload) if template is None else render(template, value_json=payload)
    found = json.loads(said)
    assert isinstance(found, dict), said
    assert not ATTRIBUTES_NOT_TAKEN & set(found), f"{part['name']}: {set(found) & ATTRIBUTES_NOT_TAKEN}"
    return found

"""A host application that believes nothing: it holds every message of an edge node against Sparkplug 3.0.0.

`Host.hear` fails at the first message that breaks an assertion of the specification, and counts each that it
looked at by its id (without `tck-id-`). `HostClient` hears what is really at a broker.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

from conftest import wait_for
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from sparkplug_wire import BOOLEAN, INT64, PLAIN, PLAIN_OF, command, decode, metric

REBIRTH = "Node Control/Rebirth"
VALUES = {*PLAIN, "bytes", "dataset", "template"}
BASIC = range(1, 15)


@dataclass
class Told:
    """What a host knows of a node or a device: its metrics by alias, and what each showed last."""

    names: dict[int, str] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    qualities: dict[str, int] = field(default_factory=dict)


@dataclass
class Heard:
    """One message, decoded."""

    what: str
    device: str
    body: dict[str, Any]
    metrics: dict[str, Any] = field(default_factory=dict)
    """Name -> value; of a metric that came several times the last one."""


class Host:
    """Follows one edge node."""

    def __init__(self, group: str = "plant", node: str = "kitchen") -> None:
        self.checked: Counter[str] = Counter()
        self.heard: list[Heard] = []
        self.old: list[tuple[str, str, int, Any]] = []
        """(device, metric, timestamp, value) of everything that was told as history."""
        self.devices: dict[str, Told] = {}
        """Those that are there; the node itself is "" """
        self._prefix = ["spBv1.0", group]
        self._node = node
        self._seq = 0
        self._bd_seq: int | None = None
        self._aliases: dict[int, tuple[str, str]] = {}
        self._templates: dict[str, tuple[dict[str, int], dict[str, int]]] = {}
        """Definition -> the types of its members, and of its parameters."""

    def hold(self, condition: object, *ids: str, why: object = "") -> None:
        assert condition, f"{', '.join(ids)}: {why}"
        self.checked.update(ids)

    def of(self, what: str, device: str | None = None) -> list[Heard]:
        return [one for one in self.heard if one.what == what and device in (None, one.device)]

    @property
    def order(self) -> list[str]:
        """NBIRTH, DBIRTH/phone, ..."""
        return [f"{one.what}/{one.device}".rstrip("/") for one in self.heard]

    def hear(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        levels = topic.split("/")
        self.hold(levels[:2] == self._prefix, "topic-structure", "topic-structure-namespace-a", why=topic)
        what, device = levels[2], "/".join(levels[4:])
        self.hold(levels[3] == self._node, "topic-structure-namespace-valid-edge-node-id", why=topic)
        self.hold(
            bool(device) == (what in ("DBIRTH", "DDATA", "DDEATH")) and "/" not in device,
            "topic-structure-namespace-device-id-associated-message-types",
            "topic-structure-namespace-device-id-non-associated-message-types",
            why=topic,
        )
        low = what.lower()
        self.hold(len(levels) == (5 if device else 4), f"topics-{low}-topic", why=topic)
        body = decode(payload)
        one = Heard(what, device, body)
        self.heard.append(one)
        self.hold("timestamp" in body or what == "NDEATH", f"payloads-{low}-timestamp")
        if what == "NDEATH":
            self._death(body, qos, retain)
            return
        self.hold(qos == 0 and not retain, f"topics-{low}-mqtt", why=(qos, retain))
        if low != "ddeath":
            self.hold(qos == 0, f"payloads-{low}-qos")
            self.hold(not retain, f"payloads-{low}-retain")
        self._number(what, body)
        if what == "DDEATH":
            self.hold(device in self.devices, "operational-behavior-device-ddeath", why=device)
            del self.devices[device]
        elif what in ("NBIRTH", "DBIRTH"):
            self._birth(one)
        else:
            self._data(one)

    def _number(self, what: str, body: dict[str, Any]) -> None:
        self.hold("seq" in body, "payloads-sequence-num-always-included", f"payloads-{what.lower()}-seq")
        if what == "NBIRTH":
            self.hold(
                body["seq"] == 0,
                "topics-nbirth-seq-num",
                "payloads-sequence-num-req-nbirth",
                "message-flow-edge-node-birth-publish-nbirth-payload-seq",
            )
        else:
            ids = ["payloads-sequence-num-incrementing", f"payloads-{what.lower()}-seq-inc"]
            ids.append("topics-dbirth-seq" if what == "DBIRTH" else f"topics-{what.lower()}-seq-num")
            self.hold(body["seq"] == (self._seq + 1) % 256, *ids, why=(body["seq"], self._seq))
        self._seq = body["seq"]

    def _death(self, body: dict[str, Any], qos: int, retain: bool) -> None:
        self.hold(qos == 1, "payloads-ndeath-will-message-qos",
                  "message-flow-edge-node-birth-publish-will-message-qos")  # fmt: skip
        self.hold(not retain, "payloads-ndeath-will-message-retain",
                  "message-flow-edge-node-birth-publish-will-message-will-retained")  # fmt: skip
        self.hold("seq" not in body, "payloads-ndeath-seq", "topics-ndeath-seq")
        metrics = body["metrics"]
        self.hold(
            len(metrics) == 1 and metrics[0]["name"] == "bdSeq" and metrics[0]["datatype"] == INT64,
            "topics-ndeath-payload",
            "message-flow-edge-node-birth-publish-will-message-payload",
            why=metrics,
        )
        if self.devices:  # of a session that was born, and not the second of two that say the same
            self.hold(
                metrics[0]["long"] == self._bd_seq, "payloads-ndeath-bdseq", why=(metrics, self._bd_seq)
            )
        self.heard[-1].metrics["bdSeq"] = metrics[0]["long"]
        self.devices = {}

    def _birth(self, one: Heard) -> None:
        metrics = one.body["metrics"]
        if one.what == "NBIRTH":
            self._aliases, self._templates = {}, {}
            self._node_birth({m.get("name"): m for m in metrics})
        else:
            self.hold("" in self.devices, "message-flow-device-birth-publish-nbirth-wait")
        told = self.devices[one.device] = Told()
        for found in metrics:
            self.hold("name" in found, "payloads-name-requirement", "topics-nbirth-metrics")
            name = found["name"]
            if name != REBIRTH:
                self.hold("alias" in found, "payloads-alias-birth-requirement", why=name)
                owner = self._aliases.setdefault(found["alias"], (one.device, name))
                self.hold(owner == (one.device, name), "payloads-alias-uniqueness", why=(name, owner))
                told.names[found["alias"]] = name
            self.hold(
                found.get("datatype") in PLAIN_OF,
                "payloads-metric-datatype-req",
                "payloads-metric-datatype-value",
                "payloads-metric-datatype-value-type",
                why=found,
            )
            told.types[name] = found["datatype"]
        names = [m["name"].lower() for m in metrics]
        self.hold(len(names) == len(set(names)), "case-sensitivity-metric-names")
        self._values(one, told)

    def _node_birth(self, metrics: dict[str, Any]) -> None:
        bd_seq = metrics.get("bdSeq", {})
        self.hold(
            bd_seq.get("datatype") == INT64 and 0 <= bd_seq["long"] <= 255,
            "topics-nbirth-bdseq-included",
            "payloads-nbirth-bdseq",
            "message-flow-edge-node-birth-publish-nbirth-payload-bdSeq",
            why=bd_seq,
        )
        if "" in self.devices:
            self.hold(bd_seq["long"] == self._bd_seq, "operational-behavior-data-commands-rebirth-action-3")
        self._bd_seq = bd_seq["long"]
        self.devices = {}
        rebirth = metrics.get(REBIRTH, {})
        self.hold(
            rebirth.get("datatype") == BOOLEAN and rebirth["boolean"] == 0,
            "topics-nbirth-rebirth-metric",
            "payloads-nbirth-rebirth-req",
            "operational-behavior-data-commands-rebirth-name",
            "operational-behavior-data-commands-rebirth-datatype",
            "operational-behavior-data-commands-rebirth-value",
            why=rebirth,
        )
        self.hold("alias" not in rebirth, "operational-behavior-data-commands-rebirth-name-aliases")

    def _data(self, one: Heard) -> None:
        self.hold(
            one.device in self.devices, f"payloads-{one.what.lower()}-order", why=f"{one.what} {one.device}"
        )
        self.hold(one.body.get("metrics"), f"topics-{one.what.lower()}-payload")
        told = self.devices[one.device]
        for found in one.body["metrics"]:
            self.hold("name" not in found, "payloads-alias-data-cmd-requirement", why=found)
            self.hold("datatype" not in found, "payloads-metric-datatype-not-req", why=found)
            self.hold(
                found["alias"] in told.names,
                "operational-behavior-data-publish-nbirth",
                "operational-behavior-data-publish-dbirth",
                "topics-nbirth-metric-reqs",
                "topics-dbirth-metric-reqs",
                why=(one.what, one.device, found),
            )
        self._values(one, told)

    def _values(self, one: Heard, told: Told) -> None:
        letter = one.what[0].lower()
        times = [m["timestamp"] for m in one.body["metrics"] if not m.get("is_historical")]
        self.hold(times == sorted(times), f"operational-behavior-data-publish-{letter}birth-order")
        for found in one.body["metrics"]:
            name = found["name"] if "name" in found else told.names[found["alias"]]
            self.hold("timestamp" in found, "payloads-name-birth-data-requirement", why=name)
            fields = VALUES & set(found)
            self.hold(
                fields == (set() if found.get("is_null") else {PLAIN_OF[told.types[name]]}),
                f"operational-behavior-data-publish-{letter}birth-values",
                why=(name, found),
            )
            value = found[next(iter(fields))] if fields else None
            if "dataset" in found:
                self._table(found["dataset"])
            if "template" in found:
                self._template(one.what, name, found["template"])
            quality = self._quality(found, told.qualities.get(name, 192))
            one.metrics[name] = value
            if found.get("is_historical"):
                self.old.append((one.device, name, found["timestamp"], value))
                continue
            if "name" not in found:
                self.hold(
                    (value, quality) != (told.values[name], told.qualities[name]),
                    f"operational-behavior-data-publish-{letter}birth-change",
                    why=name,
                )
            told.values[name], told.qualities[name] = value, quality

    def _quality(self, found: dict[str, Any], last: int) -> int:
        if "properties" not in found:
            self.hold(last == 192 or "name" in found, "payloads-propertyset-quality-value-value", why=found)
            return 192
        keys, values = found["properties"]["keys"], found["properties"]["values"]
        self.hold(len(keys) == len(values), "payloads-propertyset-keys-array-size",
                  "payloads-propertyset-values-array-size")  # fmt: skip
        quality = values[keys.index("Quality")]
        self.hold(
            quality["type"] == 3,
            "payloads-propertyset-quality-value-type",
            "payloads-metric-propertyvalue-type-type",
            "payloads-metric-propertyvalue-type-value",
            "payloads-metric-propertyvalue-type-req",
        )
        self.hold(quality.get("int") in (0, 192, 500), "payloads-propertyset-quality-value-value")
        number: int = quality["int"]
        return number

    def _table(self, table: dict[str, Any]) -> None:
        columns, types = table["columns"], table["types"]
        self.hold(table["columns_count"] == len(columns), "payloads-dataset-column-size")
        self.hold(len(columns) == len(types), "payloads-dataset-column-num-headers",
                  "payloads-dataset-types-num", "payloads-dataset-parameter-type-req")  # fmt: skip
        self.hold(set(types) <= set(BASIC), "payloads-dataset-types-value", "payloads-dataset-types-type",
                  "payloads-dataset-types-def")  # fmt: skip
        for row in table.get("rows", []):
            kinds = [next(iter(cell)) for cell in row["elements"]]
            self.hold(kinds == [PLAIN_OF[kind] for kind in types], "payloads-template-dataset-value", why=row)

    def _template(self, what: str, name: str, template: dict[str, Any]) -> None:
        self.hold("is_definition" in template, "payloads-template-is-definition")
        members = {one["name"]: one["datatype"] for one in template["metrics"]}
        for one in template["metrics"]:
            self.hold("timestamp" in one, "payloads-name-birth-data-requirement", why=one)
            values = VALUES & set(one)
            self.hold(
                values == (set() if one.get("is_null") else {PLAIN_OF[one["datatype"]]}),
                "payloads-metric-datatype-value", why=one,
            )  # fmt: skip
        parameters = {}
        for one in template["parameters"]:
            self.hold(one.get("name"), "payloads-template-parameter-name-required",
                      "payloads-template-parameter-name-type")  # fmt: skip
            self.hold(one.get("type") in BASIC, "payloads-template-parameter-type-req",
                      "payloads-template-parameter-type-value",
                      "payloads-template-parameter-value-type")  # fmt: skip
            self.hold(PLAIN_OF[one["type"]] in one, "payloads-template-parameter-value", why=one)
            parameters[one["name"]] = one["type"]
        if template["is_definition"]:
            self.hold(what == "NBIRTH", "payloads-template-definition-nbirth-only", why=what)
            self.hold("template_ref" not in template, "payloads-template-definition-ref",
                      "payloads-template-ref-definition", "payloads-template-definition-is-definition",
                      "payloads-template-is-definition-definition")  # fmt: skip
            self._templates[name.removeprefix("_types_/")] = members, parameters
            return
        self.hold(template.get("template_ref"), "payloads-template-instance-ref",
                  "payloads-template-ref-instance", "payloads-template-instance-is-definition",
                  "payloads-template-is-definition-instance")  # fmt: skip
        self.hold(template["template_ref"] in self._templates, "payloads-template-definition-nbirth",
                  "topics-nbirth-templates", why=template)  # fmt: skip
        known, takes = self._templates[template["template_ref"]]
        self.hold(members.items() <= known.items(), "payloads-template-instance-members",
                  "payloads-template-definition-members", why=members)  # fmt: skip
        self.hold(parameters.items() <= takes.items(), "payloads-template-instance-parameters",
                  "payloads-template-definition-parameters", why=parameters)  # fmt: skip
        if what == "DBIRTH":
            self.hold(members == known, "payloads-template-instance-members-birth", why=members)


def members(template: dict[str, Any]) -> dict[str, Any]:
    """Name -> value of the members of a decoded template; None: null."""
    return {
        one["name"]: next((one[kind] for kind in PLAIN if kind in one), None) for one in template["metrics"]
    }


def rows(table: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of a decoded table."""
    return [tuple(next(iter(cell.values())) for cell in row["elements"]) for row in table.get("rows", [])]


class HostClient:
    """A host at a real broker, which can also say what a primary host says."""

    def __init__(self, port: int, host: Host) -> None:
        self.host = host
        self.faults: list[BaseException] = []
        self._port = port
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"host-{id(self)}")
        self._client.on_connect = lambda client, *_: client.subscribe("spBv1.0/+/+/#", 2)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        if self.faults:
            raise self.faults[0]

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if message.topic.split("/")[2] in ("NCMD", "DCMD") or "/STATE/" in message.topic:
            return
        try:
            self.host.hear(message.topic, message.payload, message.qos, bool(message.retain))
        except BaseException as fault:  # noqa: BLE001  # told in the test's own thread
            self.faults.append(fault)

    def say(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos, retain).wait_for_publish(10)

    def state(self, *, online: object, timestamp: object, host_id: str = "scada") -> None:
        """A STATE message (4.6)."""
        body = json.dumps({"online": online, "timestamp": timestamp}).encode()
        self.say(f"spBv1.0/STATE/{host_id}", body, qos=1, retain=True)

    def rebirth(self, group: str = "plant", node: str = "kitchen") -> None:
        self.say(f"spBv1.0/{group}/NCMD/{node}", command(metric(REBIRTH, value=True)))

    def wait(self, condition: Any, what: str, timeout_s: float = 20.0) -> Any:
        """The first true value of `condition()`, unless a message broke a rule."""

        def found() -> Any:
            if self.faults:
                raise self.faults[0]
            return condition()

        return wait_for(found, timeout_s, what)

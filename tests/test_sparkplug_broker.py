"""The edge node at a real mosquitto, by the groups of the Sparkplug 3.0.0 test kit for edge nodes.

Every message that any test sees is held against the specification (`sparkplug_host.Host`), which counts each
assertion by its id; a group names those that it must have looked at.
"""

import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from broker_ear import Proxy
from conftest import Mosquitto, free_port, wait_for
from delivering_thread import at_work
from sparkplug_host import REBIRTH, Host, HostClient, members, rows
from sparkplug_wire import command, decode, metric
from sparkplug_words import OUTLINE, T0_MS, TOPICS, answer, event, health, percept, sensor

from edge_agent.clock import SystemClock
from edge_agent.config import Mqtt
from edge_agent.config_sparkplug import Sparkplug
from edge_agent.delivery.backoff import FullJitter
from edge_agent.delivery.message import Kind
from edge_agent.delivery.mqtt import MAX_PACKET_BYTES
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.room import Limits
from edge_agent.delivery.sparkplug.node import EdgeNode

PROTOCOLS = pytest.mark.parametrize("protocol", ["5", "3.1.1"])
NCMD, DCMD = "spBv1.0/plant/NCMD/kitchen", "spBv1.0/plant/DCMD/kitchen/phone"
TTL_S = dict.fromkeys(Kind, 86_400.0)


@contextmanager
def running(
    port: int, folder: Path, *, protocol: str = "5", on_disk: bool = True, **more: Any
) -> Iterator[EdgeNode]:
    """An edge node in a thread of its own, ended in order."""
    clock = SystemClock()
    node = EdgeNode(
        Sparkplug(enabled=True, group_id="plant", **more),
        Mqtt(host="127.0.0.1", port=port, protocol=protocol, queue_limit=100),  # type: ignore[arg-type]
        topics=TOPICS,
        outline=OUTLINE,
        state_directory=folder,
        clock=clock,
        outbox=Outbox(folder / "sparkplug.sqlite", Limits(10**7, TTL_S), clock) if on_disk else None,
        backoff=FullJitter(0.05, 0.2),
    )
    node.open()
    with at_work(node):
        yield node


def looked_at(host: Host, *ids: str) -> None:
    missing = [one for one in ids if not host.checked[one]]
    assert not missing, f"the host never came to check {missing}"


def born(client: HostClient, times: int = 1) -> None:
    """Until the node and its device were born so often."""
    client.wait(lambda: len(client.host.of("DBIRTH", "perception")) >= times, f"birth {times}")


def labels(host: Host) -> list[str | None]:
    """The live labels, in order."""
    found = [one.metrics for one in host.of("DDATA", "perception") if not _is_old(one.body)]
    return [metrics["activity/Label"] for metrics in found if "activity/Label" in metrics]


def old_labels(host: Host) -> list[tuple[float, str]]:
    """(seconds after T0, label) of what was told as history."""
    return [((at - T0_MS) / 1000, value) for _, name, at, value in host.old if name == "activity/Label"]


def _is_old(body: dict[str, Any]) -> bool:
    return any(found.get("is_historical") for found in body["metrics"])


# -- session establishment ---------------------------------------------------------------------------------


@PROTOCOLS
def test_session_establishment(broker: Mosquitto, tmp_path: Path, protocol: str):
    host = Host()
    with HostClient(broker.port, host) as client, running(broker.port, tmp_path, protocol=protocol) as node:
        born(client)
        assert host.order[:2] == ["NBIRTH", "DBIRTH/perception"]
        node.publish(sensor("phone", "online"))
        client.wait(lambda: host.of("DBIRTH", "phone"), "the sensor's birth")
        assert host.devices["phone"].values["State"] == "online"
        assert host.devices[""].values["Properties/Software"] == "edge-agent"
    looked_at(
        host,
        "message-flow-edge-node-birth-publish-nbirth-payload-bdSeq",
        "message-flow-edge-node-birth-publish-nbirth-payload-seq",
        "message-flow-device-birth-publish-nbirth-wait",
        "topics-nbirth-topic", "topics-nbirth-mqtt", "topics-nbirth-seq-num", "topics-nbirth-metrics",
        "topics-nbirth-bdseq-included", "topics-nbirth-rebirth-metric", "topics-dbirth-topic",
        "topics-dbirth-mqtt", "topics-dbirth-seq", "payloads-nbirth-timestamp", "payloads-nbirth-qos",
        "payloads-nbirth-retain", "payloads-dbirth-timestamp", "payloads-dbirth-qos",
        "payloads-dbirth-retain",
        "payloads-dbirth-seq", "payloads-dbirth-seq-inc", "payloads-alias-uniqueness",
        "payloads-alias-birth-requirement", "payloads-metric-datatype-req", "case-sensitivity-metric-names",
        "operational-behavior-data-publish-nbirth-values", "operational-behavior-data-publish-dbirth-values",
        "operational-behavior-data-publish-nbirth-order", "operational-behavior-data-publish-dbirth-order",
    )  # fmt: skip


def read_packet(wire: socket.socket) -> tuple[int, bytes]:
    """(first byte, rest) of one MQTT packet (MQTT 3.1.1, 2.2)."""
    head = wire.recv(1)
    length = shift = 0
    while True:
        (digit,) = wire.recv(1)
        length |= (digit & 127) << shift
        shift += 7
        if digit < 128:
            return head[0], wire.recv(length, socket.MSG_WAITALL) if length else b""


def texts(data: bytes) -> list[bytes]:
    """Length-prefixed fields, up to the end."""
    found = []
    while data:
        size = int.from_bytes(data[:2], "big")
        found.append(data[2 : 2 + size])
        data = data[2 + size :]
    return found


@PROTOCOLS
def test_the_connect_packet_carries_the_death(tmp_path: Path, protocol: str):
    """What a broker's client cannot see, from the packets themselves.

    payloads-ndeath-will-message, -qos, -retain; message-flow-edge-node-birth-publish-will-message, -topic,
    -payload, -payload-bdSeq, -qos, -will-retained; topics-nbirth-bdseq-increment;
    principles-persistence-clean-session-311 and -50.
    """
    numbers = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        with running(server.getsockname()[1], tmp_path, protocol=protocol):
            for _ in range(3):
                wire, _ = server.accept()
                head, body = read_packet(wire)
                assert (head, body[:6]) == (0x10, b"\0\x04MQTT")
                assert body[7] & 0b111110 == 0b001110, "clean, a will, QoS 1, not retained"
                rest = body[10:]
                if protocol == "5":
                    properties, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
                    ends_with_us, limit = b"\x11" + bytes(4), b"\x27" + MAX_PACKET_BYTES.to_bytes(4, "big")
                    assert properties == ends_with_us + limit
                    size = int.from_bytes(rest[:2], "big")
                    will = rest[2 + size :]
                    rest = rest[: 2 + size] + will[1 + will[0] :]
                client_id, topic, payload = texts(rest)
                assert client_id == b"edge-agent-kitchen-sparkplug"
                assert topic == b"spBv1.0/plant/NDEATH/kitchen"
                said = decode(payload)
                assert "seq" not in said
                (only,) = said["metrics"]
                assert (only["name"], only["datatype"]) == ("bdSeq", 4)
                numbers.append(only["long"])
                wire.close()
    assert numbers == [0, 1, 2]


def test_what_is_obeyed_is_subscribed_to_before_the_birth(tmp_path: Path):
    """message-flow-edge-node-ncmd-subscribe, message-flow-device-dcmd-subscribe, message-flow-...-connect,

    operational-behavior-primary-application-state-with-multiple-servers-state-subs.
    """
    for more, expected in (
        ({}, ["NCMD/kitchen"]),
        ({"device_commands": "refuse"}, ["NCMD/kitchen", "DCMD/kitchen/+"]),
        ({"primary_host_id": "scada"}, ["NCMD/kitchen", "STATE/scada"]),
    ):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(20)
            with running(server.getsockname()[1], tmp_path, protocol="3.1.1", **more):
                wire, _ = server.accept()
                wire.settimeout(20)
                read_packet(wire)
                wire.sendall(b"\x20\x02\0\0")
                for wanted in expected:
                    head, body = read_packet(wire)
                    assert head == 0x82
                    size = int.from_bytes(body[2:4], "big")
                    topic, qos = body[4 : 4 + size].decode(), body[4 + size]
                    assert topic.removeprefix("spBv1.0/").removeprefix("plant/") == wanted
                    assert qos == 1
                if "primary_host_id" in more:
                    wire.settimeout(0.7)
                    with pytest.raises(TimeoutError):
                        wire.recv(1)
                else:
                    head, body = read_packet(wire)
                    assert head == 0x30, "PUBLISH, QoS 0, not retained"
                    assert body[2:].startswith(b"spBv1.0/plant/NBIRTH/kitchen")
                wire.close()


# -- session termination -----------------------------------------------------------------------------------


@PROTOCOLS
def test_session_termination_in_order(broker: Mosquitto, tmp_path: Path, protocol: str):
    host = Host()
    with HostClient(broker.port, host) as client:
        for bd_seq in range(2):
            with running(broker.port, tmp_path, protocol=protocol) as node:
                born(client, bd_seq + 1)
                node.publish(sensor("phone", "online"))
                client.wait(lambda: "phone" in host.devices, "the sensor")
                node.publish(sensor("phone", "offline"))
                client.wait(lambda: "phone" not in host.devices, "its death")
            client.wait(lambda n=bd_seq: host.of("NDEATH")[-1].metrics == {"bdSeq": n}, "the death")
            assert host.of("NBIRTH")[-1].metrics["bdSeq"] == bd_seq, "it goes on over a restart"
    looked_at(
        host,
        "topics-ndeath-topic", "topics-ndeath-payload", "topics-ndeath-seq", "payloads-ndeath-seq",
        "payloads-ndeath-bdseq", "payloads-ndeath-will-message-qos",
        "payloads-ndeath-will-message-retain",
        "operational-behavior-device-ddeath", "topics-ddeath-topic", "topics-ddeath-mqtt",
        "topics-ddeath-seq-num", "payloads-ddeath-seq", "payloads-ddeath-seq-inc",
        "payloads-ddeath-timestamp",
    )  # fmt: skip


@PROTOCOLS
def test_a_farewell_ends_with_the_disconnect_that_the_protocol_wants(tmp_path: Path, protocol: str):
    """operational-behavior-edge-node-intentional-disconnect-ndeath and -packet,

    payloads-ndeath-will-message-publisher, -disconnect-mqtt311 and -mqtt50: read off the wire.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        with running(server.getsockname()[1], tmp_path, protocol=protocol):
            wire, _ = server.accept()
            wire.settimeout(20)
            read_packet(wire)
            wire.sendall(b"\x20\x03\0\0\0" if protocol == "5" else b"\x20\x02\0\0")
            while b"DBIRTH" not in read_packet(wire)[1]:
                pass
        packets = []
        with wire:
            while (packet := read_packet(wire))[0] != 0xE0:
                packets.append(packet)
        head, body = packets[-1]
        assert head == 0x32, "PUBLISH with QoS 1"
        assert b"spBv1.0/plant/NDEATH/kitchen" in body
        assert packet == (0xE0, b"\x04" if protocol == "5" else b"")


@PROTOCOLS
def test_session_termination_by_the_network(broker: Mosquitto, tmp_path: Path, protocol: str):
    host = Host()
    with (
        HostClient(broker.port, host) as client,
        Proxy(broker.port) as proxy,
        running(proxy.port, tmp_path, protocol=protocol),
    ):
        born(client)
        proxy.drop()
        client.wait(lambda: host.of("NDEATH"), "the will")
        born(client, 2)
        assert [one.metrics["bdSeq"] for one in host.of("NBIRTH")] == [0, 1]
        assert host.of("NDEATH")[0].metrics == {"bdSeq": 0}
    looked_at(host, "payloads-ndeath-bdseq", "payloads-ndeath-will-message-qos")


# -- data --------------------------------------------------------------------------------------------------


@PROTOCOLS
def test_send_data(broker: Mosquitto, tmp_path: Path, protocol: str):
    host = Host()
    with HostClient(broker.port, host) as client, running(broker.port, tmp_path, protocol=protocol) as node:
        born(client)
        node.publish(sensor("phone", "online"))
        for n, label in enumerate(["walking", "walking", "seated", "walking"]):
            node.publish(percept(label, n))
            node.publish(sensor("phone", "online", n, samples=n))
        node.publish(event("walking", "seated", 4))
        node.publish(answer("you walk", 5))
        for n in range(300):
            node.publish(health(float(n), n))
        client.wait(lambda: host.devices[""].values["Health/Uptime s"] == 299.0, "the last figure")
        perceived = host.devices["perception"].values
        client.wait(lambda: perceived["Answer/Text"] == "you walk", "the answer")
        assert members(perceived["activity/Event"])["Label"] == "walking"
        assert perceived["gaze/x_cm"] == 0.9
        assert labels(host) == ["walking", "seated", "walking"], "what did not change is not said again"
        figures = [one.metrics.get("Health/Uptime s") for one in host.of("NDATA")]
        assert [one for one in figures if one is not None] == [float(n) for n in range(300)]
        client.wait(lambda: host.devices["phone"].values["Samples"] == 3, "the sensor's figures")
    looked_at(
        host,
        "topics-ndata-topic", "topics-ndata-mqtt", "topics-ndata-seq-num", "topics-ndata-payload",
        "topics-ddata-topic", "topics-ddata-mqtt", "topics-ddata-seq-num", "topics-ddata-payload",
        "payloads-ndata-timestamp", "payloads-ndata-seq", "payloads-ndata-seq-inc", "payloads-ndata-order",
        "payloads-ndata-qos", "payloads-ndata-retain", "payloads-ddata-timestamp", "payloads-ddata-seq",
        "payloads-ddata-seq-inc", "payloads-ddata-order", "payloads-ddata-qos", "payloads-ddata-retain",
        "payloads-sequence-num-incrementing", "payloads-name-birth-data-requirement",
        "payloads-alias-data-cmd-requirement", "payloads-metric-datatype-not-req",
        "operational-behavior-data-publish-nbirth", "operational-behavior-data-publish-nbirth-change",
        "operational-behavior-data-publish-dbirth", "operational-behavior-data-publish-dbirth-change",
    )  # fmt: skip


def test_what_was_perceived_while_the_broker_was_away_is_told_after_a_restart(
    broker: Mosquitto, tmp_path: Path
):
    host = Host()
    with running(free_port(), tmp_path) as node:
        for n, label in enumerate(["walking", "seated", "seated"]):
            node.publish(percept(label, n))
        wait_for(lambda: "no broker" in node.status.reason, what="the report")
        assert node.queued == 3
    with HostClient(broker.port, host) as client:
        with running(broker.port, tmp_path) as node:
            client.wait(lambda: old_labels(host) == [(0.0, "walking"), (1.0, "seated")], "history")
            node.publish(percept("turning", 4))
            client.wait(lambda: labels(host) == ["turning"], "live data")
            wait_for(lambda: node.queued == 0, 30, "the receipt for all of them")
        client.wait(lambda: host.of("NDEATH"), "the death")
        assert host.of("NBIRTH")[0].metrics["bdSeq"] == 0, "no CONNECT packet was sent in vain"
        with running(broker.port, tmp_path) as node:
            born(client, 2)
            assert node.queued == 0
    assert len(old_labels(host)) == 2, "nothing comes twice"


def test_history_keeps_its_time_and_order_and_comes_behind_what_is_live(broker: Mosquitto, tmp_path: Path):
    host = Host()
    with (
        HostClient(broker.port, host) as client,
        Proxy(broker.port) as proxy,
        running(proxy.port, tmp_path) as node,
    ):
        born(client)
        proxy.closed.set()
        proxy.drop()
        client.wait(lambda: host.of("NDEATH"), "the will")
        wait_for(lambda: not node.status.connected, what="the loss")
        for n, label in enumerate(["walking", "seated", "turning", "seated"]):
            node.publish(percept(label, n))
        proxy.closed.clear()
        born(client, 2)
        assert host.devices["perception"].values["activity/Label"] == "seated", "a birth tells what is now"
        expected = [(0.0, "walking"), (1.0, "seated"), (2.0, "turning"), (3.0, "seated")]
        client.wait(lambda: old_labels(host) == expected, "history")
        assert host.devices["perception"].values["activity/Label"] == "seated"


def test_nothing_is_lost_where_connections_break_in_the_middle(broker: Mosquitto, tmp_path: Path):
    host, expected = Host(), set()
    with (
        HostClient(broker.port, host) as client,
        Proxy(broker.port) as proxy,
        running(proxy.port, tmp_path) as node,
    ):
        born(client)
        for n in range(600):
            node.publish(percept("walking", n, probability=n / 1000))
            expected.add(n / 1000)
            if n % 150 == 75:
                proxy.drop()

        def told() -> set[float]:
            live = {one.metrics.get("gaze/x_cm") for one in list(host.heard)}
            return (live | {value for _, name, _, value in list(host.old) if name == "gaze/x_cm"}) - {None}

        client.wait(lambda: expected <= told(), "all of them", 60)
        wait_for(lambda: node.queued == 0, 30, "the receipts")
        assert told() == expected


@pytest.mark.parametrize("seed", range(int(os.environ.get("EDGE_AGENT_SPARKPLUG_SEEDS", "1"))))
def test_through_anything_a_host_misses_nothing(broker: Mosquitto, tmp_path: Path, seed: int):
    """Lost connections, rebirths, a host that comes and goes, sensors that do: by chance, but seeded."""
    rng, host, expected = random.Random(seed), Host(), set()
    with (
        HostClient(broker.port, host) as client,
        Proxy(broker.port) as proxy,
        running(proxy.port, tmp_path, primary_host_id="scada") as node,
    ):
        for n in range(400):
            node.publish(percept(rng.choice(["walking", "seated"]), n, probability=n / 1000))
            expected.add(n / 1000)
            match rng.randrange(40):
                case 0:
                    proxy.drop()
                case 1:
                    client.rebirth()
                case 2 | 3:
                    client.state(online=rng.random() < 0.7, timestamp=n)
                case 4 | 5:
                    node.publish(sensor("phone", rng.choice(["online", "offline", "degraded"]), n))
                case 6:
                    client.say(NCMD, rng.randbytes(20))
        client.state(online=True, timestamp=1000)
        node.publish(sensor("phone", "online", 400, samples=400))

        def told() -> set[float]:
            live = {one.metrics.get("gaze/x_cm") for one in list(host.heard)}
            return (live | {value for _, name, _, value in list(host.old) if name == "gaze/x_cm"}) - {None}

        client.wait(lambda: expected <= told(), "all of them", 60)
        client.wait(lambda: host.devices["phone"].values["Samples"] == 400, "the sensor as it is now")
        assert host.devices["perception"].values["gaze/x_cm"] == 0.399
        wait_for(lambda: node.queued == 0, 30, "the receipts")


def test_in_memory_history_is_told_too(broker: Mosquitto, tmp_path: Path):
    host = Host()
    with (
        HostClient(broker.port, host) as client,
        running(broker.port, tmp_path, on_disk=False, primary_host_id="scada") as node,
    ):
        node.publish(percept("walking", 0))
        node.publish(percept("seated", 1))
        client.state(online=True, timestamp=1)
        client.wait(lambda: old_labels(host) == [(0.0, "walking"), (1.0, "seated")], "history")
        node.publish(percept("turning", 2))
        client.wait(lambda: labels(host) == ["turning"], "live data")


def test_a_device_that_has_something_new_to_say_is_born_again(broker: Mosquitto, tmp_path: Path):
    host = Host()
    with HostClient(broker.port, host) as client, running(broker.port, tmp_path) as node:
        born(client)
        node.publish(sensor("phone", "online", 0))
        client.wait(lambda: "phone" in host.devices, "the sensor")
        node.publish(sensor("phone", "online", 1, temperature_c=21.5))
        client.wait(lambda: "Values/temperature_c" in host.devices["phone"].values, "another birth")
        assert host.devices["phone"].values["Values/temperature_c"] == 21.5
        node.publish(sensor("phone", "degraded", 2, temperature_c=22.0))
        client.wait(lambda: host.devices["phone"].values["Values/temperature_c"] == 22.0, "data")
        assert len(host.of("NBIRTH")) == 2
    looked_at(host, "operational-behavior-data-commands-rebirth-action-3", "topics-dbirth-metric-reqs")


# -- complex data ------------------------------------------------------------------------------------------


def test_complex_data(broker: Mosquitto, tmp_path: Path):
    host = Host()
    with HostClient(broker.port, host) as client, running(broker.port, tmp_path) as node:
        born(client)
        told = host.devices["perception"]
        node.publish(percept("walking", 0, probability=0.75))
        client.wait(lambda: told.values["activity/Probabilities"], "the table")
        assert rows(told.values["activity/Probabilities"]) == [("walking", 0.75, 1), ("seated", 0.25, 0)]
        assert rows(told.values["activity/Weights"]) == [("imu", 1.0)]
        assert rows(told.values["Facts"]) == [("temperature", "21.5 degrees")]
        node.publish(percept("walking", 1, known=False))
        client.wait(lambda: told.qualities["activity/Label"] == 0, "bad quality: it is not known")
        node.publish(percept(None, 2))
        client.wait(lambda: told.qualities["activity/Label"] == 500, "stale: the sensors are gone")
        assert told.values["activity/Probabilities"] is None
        node.publish(percept("seated", 3))
        client.wait(lambda: told.qualities["activity/Label"] == 192, "good again")
        assert members(told.values["activity/Event"]) == dict.fromkeys(("Label", "Previous", "Probability"))
        node.publish(event("walking", None, 4))
        client.wait(lambda: members(told.values["activity/Event"])["Label"], "the first event")
        node.publish(event("seated", "walking", 5))
        client.wait(lambda: members(told.values["activity/Event"])["Previous"], "the second event")
        said = told.values["activity/Event"]
        assert members(said) == {"Label": "seated", "Previous": "walking", "Probability": 0.9}
        assert [(one["name"], one["string"]) for one in said["parameters"]] == [("Task", "activity")]
        # A host may write no template: it is read, refused and disturbs nothing.
        client.say(NCMD, command(metric("a type", None), metric(REBIRTH, value=True)))
        born(client, 2)
        assert host.devices[""].values["Commands/Last Refusal"] == "'a type' cannot be written"
    looked_at(
        host,
        "payloads-dataset-column-size", "payloads-dataset-column-num-headers", "payloads-dataset-types-def",
        "payloads-dataset-types-num", "payloads-dataset-types-type", "payloads-dataset-types-value",
        "payloads-dataset-parameter-type-req", "payloads-template-dataset-value",
        "payloads-propertyset-keys-array-size", "payloads-propertyset-values-array-size",
        "payloads-propertyset-quality-value-type", "payloads-propertyset-quality-value-value",
        "payloads-metric-propertyvalue-type-req", "payloads-metric-propertyvalue-type-value",
        "payloads-template-is-definition", "payloads-template-definition-is-definition",
        "payloads-template-definition-nbirth-only", "payloads-template-definition-nbirth",
        "payloads-template-definition-ref", "payloads-template-definition-members",
        "payloads-template-definition-parameters", "payloads-template-instance-is-definition",
        "payloads-template-instance-ref", "payloads-template-instance-members",
        "payloads-template-instance-members-birth", "payloads-template-instance-parameters",
        "payloads-template-is-definition-definition", "payloads-template-is-definition-instance",
        "payloads-template-ref-definition", "payloads-template-ref-instance",
        "payloads-template-parameter-name-required", "payloads-template-parameter-name-type",
        "payloads-template-parameter-type-req", "payloads-template-parameter-type-value",
        "payloads-template-parameter-value", "payloads-template-parameter-value-type",
        "topics-nbirth-templates",
    )  # fmt: skip


# -- commands ----------------------------------------------------------------------------------------------


@PROTOCOLS
def test_receive_command(broker: Mosquitto, tmp_path: Path, protocol: str):
    """Also operational-behavior-data-commands-ncmd-rebirth-verb, -name, -value and rebirth-action-1, -2."""
    host = Host()
    with HostClient(broker.port, host) as client, running(broker.port, tmp_path, protocol=protocol) as node:
        born(client)
        node.publish(sensor("phone", "online", 0))
        client.wait(lambda: "phone" in host.devices, "the sensor")
        node.publish(percept("walking", 0))
        client.wait(lambda: labels(host), "data")
        client.rebirth()
        born(client, 2)
        client.wait(lambda: len(host.of("DBIRTH", "phone")) == 2, "the sensor's birth")
        at = host.order.index("NBIRTH", 1)
        assert host.order[at : at + 3] == ["NBIRTH", "DBIRTH/perception", "DBIRTH/phone"]
        assert host.devices["perception"].values["activity/Label"] == "walking"
        assert [one.metrics["bdSeq"] for one in host.of("NBIRTH")] == [0, 0]
        assert not host.of("NDEATH")
        for wrong in (command(metric(REBIRTH, value=False)), command(metric(REBIRTH, 1)), b"\xff\xff",
                      command(metric("Health/Uptime s", 5)), command(metric(None, 5, alias=3))):  # fmt: skip
            client.say(NCMD, wrong)
        client.wait(lambda: host.devices[""].values["Commands/Refused"] == 4, "the refusals")
        assert len(host.of("NBIRTH")) == 2
        # What a broker keeps comes again with every subscription, which a receipt renews: once is enough.
        client.say(NCMD, command(metric(REBIRTH, value=True)), retain=True)
        born(client, 3)
        for n in range(150):
            node.publish(health(float(n), n))
        client.wait(lambda: host.devices[""].values["Commands/Refused"] == 5, "the retained command")
        client.say(NCMD, b"", retain=True)
        assert len(host.of("NBIRTH")) == 3
    looked_at(
        host,
        "operational-behavior-data-commands-rebirth-action-3",
        "operational-behavior-data-commands-rebirth-name",
        "operational-behavior-data-commands-rebirth-name-aliases",
        "operational-behavior-data-commands-rebirth-datatype",
        "operational-behavior-data-commands-rebirth-value",
        "topics-nbirth-rebirth-metric", "payloads-nbirth-rebirth-req",
    )  # fmt: skip


def test_a_storm_of_rebirth_requests_is_a_few_births(broker: Mosquitto, tmp_path: Path):
    host = Host()
    with HostClient(broker.port, host) as client, running(broker.port, tmp_path) as node:
        born(client)
        for _ in range(200):
            client.rebirth()
        for n in range(5):
            node.publish(percept("walking" if n % 2 else "seated", n))
        client.wait(lambda: host.devices["perception"].values.get("activity/Label") == "seated", "data")
        assert 2 <= len(host.of("NBIRTH")) <= 20


@pytest.mark.parametrize("device_commands", ["refuse", "ignore"])
def test_a_command_to_a_device_is_refused_or_not_even_heard(
    broker: Mosquitto, tmp_path: Path, device_commands: str
):
    """operational-behavior-data-commands-dcmd-verb, message-flow-device-dcmd-subscribe."""
    host = Host()
    with (
        HostClient(broker.port, host) as client,
        running(broker.port, tmp_path, device_commands=device_commands) as node,
    ):
        born(client)
        node.publish(sensor("phone", "online", 0))
        client.wait(lambda: "phone" in host.devices, "the sensor")
        client.say(DCMD, command(metric("State", "offline")))
        client.say(NCMD, command(metric("bdSeq", 9)))
        expected = 2 if device_commands == "refuse" else 1
        client.wait(lambda: host.devices[""].values["Commands/Refused"] == expected, "the refusals")
        if expected == 2:
            reasons = [one.metrics.get("Commands/Last Refusal") for one in host.of("NDATA")]
            assert any("phone: 'State'" in str(reason) for reason in reasons) or len(reasons) == 1
        assert host.devices["phone"].values["State"] == "online"


# -- the primary host --------------------------------------------------------------------------------------


@PROTOCOLS
def test_primary_host(broker: Mosquitto, tmp_path: Path, protocol: str):
    """message-flow-edge-node-birth-publish-phid-wait, -wait-id, -wait-online, -wait-timestamp, -offline;

    operational-behavior-edge-node-birth-sequence-wait, -termination-host-offline, -offline-timestamp.
    """
    host = Host()
    with (
        HostClient(broker.port, host) as client,
        running(broker.port, tmp_path, protocol=protocol, primary_host_id="scada") as node,
    ):
        wait_for(lambda: node.status.reason == "waits for the primary host scada", what="the wait")
        node.publish(percept("walking", 0))
        for online, timestamp, host_id in (
            (True, 100, "another"), (False, 50, "scada"), (True, 49, "scada"), ("true", 60, "scada"),
        ):  # fmt: skip
            client.state(online=online, timestamp=timestamp, host_id=host_id)
        wait_for(lambda: node._host.ignored == 2, what="all of them")
        assert host.heard == []
        client.state(online=True, timestamp=50)
        born(client)
        client.wait(lambda: old_labels(host) == [(0.0, "walking")], "what it perceived meanwhile")
        client.state(online=False, timestamp=49)
        node.publish(percept("seated", 1))
        client.wait(lambda: labels(host) == ["seated"], "an old farewell does not count")
        assert not host.of("NDEATH")
        client.state(online=False, timestamp=50)
        client.wait(lambda: host.of("NDEATH"), "the death")
        wait_for(lambda: node.status.connects == 2 and node.status.reason, what="another connection")
        node.publish(percept("turning", 2))
        assert len(host.of("NBIRTH")) == 1
        client.state(online=True, timestamp=51)
        born(client, 2)
        client.wait(lambda: (2.0, "turning") in old_labels(host), "the history of the time between")
        assert [one.metrics["bdSeq"] for one in host.of("NBIRTH")] == [0, 1]


# -- several brokers ---------------------------------------------------------------------------------------


def test_several_brokers(tmp_path: Path):
    """operational-behavior-primary-application-state-with-multiple-servers-walk, -single-server, -state-subs;

    operational-behavior-edge-node-termination-host-offline-reconnect.
    """
    brokers = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        brokers.append(Mosquitto(tmp_path / name))
        brokers[-1].start()
    nobody = free_port()
    servers = tuple(f"127.0.0.1:{port}" for port in (nobody, *(broker.port for broker in brokers)))
    first, second = Host(), Host()
    try:
        with (
            HostClient(brokers[0].port, first) as at_a,
            HostClient(brokers[1].port, second) as at_b,
        ):
            at_a.state(online=False, timestamp=10)
            at_b.state(online=True, timestamp=5)
            with running(nobody, tmp_path, servers=servers, primary_host_id="scada") as node:
                born(at_b)
                assert not first.of("NBIRTH")
                at_a.state(online=True, timestamp=11)
                at_b.state(online=False, timestamp=6)
                at_b.wait(lambda: second.of("NDEATH"), "the death at b")
                born(at_a)
                bd_seq = second.of("NBIRTH")[0].metrics["bdSeq"]
                assert second.of("NDEATH")[-1].metrics == {"bdSeq": bd_seq}
                node.publish(percept("walking", 0))
                at_a.wait(lambda: labels(first) == ["walking"], "data at a")
                assert not second.devices, "at one server at a time"
                brokers[0].stop()
                at_b.state(online=True, timestamp=7)
                born(at_b, 2)
    finally:
        for broker in brokers:
            broker.stop()


def test_a_server_where_the_host_says_nothing_is_left_in_time(broker: Mosquitto, tmp_path: Path):
    (tmp_path / "quiet").mkdir()
    quiet = Mosquitto(tmp_path / "quiet")
    quiet.start()
    host = Host()
    servers = (f"127.0.0.1:{quiet.port}", f"127.0.0.1:{broker.port}")
    try:
        with HostClient(broker.port, host) as client:
            client.state(online=True, timestamp=1)
            with running(1, tmp_path, servers=servers, primary_host_id="scada", host_wait_s=0.5):
                born(client)
    finally:
        quiet.stop()

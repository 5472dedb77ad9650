"""What the publisher notes of what the broker acknowledged, and what reaches the wire."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Mosquitto, wait_for
from delivering_thread import at_work
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge_agent.clock import SystemClock
from edge_agent.config import Mqtt
from edge_agent.delivery.backoff import FullJitter
from edge_agent.delivery.message import Kind, Message
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.publisher import MAX_UNACKNOWLEDGED, Publisher
from edge_agent.delivery.room import Limits

LIMITS = Limits(10_000_000, dict.fromkeys(Kind, 3600.0))


@contextmanager
def delivering(folder: Path, settings: Mqtt, count: int) -> Iterator[Publisher]:
    """With `count` messages waiting."""
    outbox = Outbox(folder / "outbox.sqlite", LIMITS, SystemClock())
    publisher = Publisher(settings, client_id="n", outbox=outbox, backoff=FullJitter(30, 30))
    publisher.open()
    outbox.accept_all([Message("edge/n/x", b"%d" % n) for n in range(count)])
    with at_work(publisher):
        yield publisher


def packets(wire: socket.socket) -> Iterator[bytes]:
    """The packets of a client, each whole; all here are shorter than 128 bytes (MQTT 3.1.1, 2.2)."""
    with wire.makefile("rb") as stream:
        while head := stream.read(2):
            yield head + stream.read(head[1])


@pytest.mark.parametrize("acknowledged", [0, 1, 3, MAX_UNACKNOWLEDGED - 1])
def test_what_was_acknowledged_before_a_connection_broke_is_delivered_be_it_ever_so_little(
    tmp_path: Path, acknowledged: int
):
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = Mqtt(host="127.0.0.1", port=server.getsockname()[1], protocol="3.1.1")
        with delivering(tmp_path, settings, 50) as publisher:
            wire, _ = server.accept()
            with wire:
                wire.settimeout(10)
                arriving = packets(wire)
                assert next(arriving)[0] == 0x10
                wire.sendall(b"\x20\x02\0\0")
                published = [next(arriving) for _ in range(MAX_UNACKNOWLEDGED)]
                identifiers = [one[4 + one[3] : 6 + one[3]] for one in published]
                wire.sendall(b"".join(b"\x40\x02" + one for one in identifiers[:acknowledged]))
                wire.shutdown(socket.SHUT_RDWR)
            wait_for(lambda: publisher.status.reason != "" and not publisher.status.connected)
            assert publisher.outbox is not None
            books = publisher.outbox.ledger()
            assert books.total.delivered == acknowledged
            assert books.total.queued == 50 - acknowledged


def test_a_few_acknowledged_ones_are_noted_while_the_rest_is_awaited(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = Mqtt(host="127.0.0.1", port=server.getsockname()[1], protocol="3.1.1")
        with delivering(tmp_path, settings, 10) as publisher:
            wire, _ = server.accept()
            with wire:
                wire.settimeout(10)
                arriving = packets(wire)
                next(arriving)
                wire.sendall(b"\x20\x02\0\0")
                first = next(arriving)
                wire.sendall(b"\x40\x02" + first[4 + first[3] : 6 + first[3]])
                wait_for(lambda: publisher.queued == 9, what="one of ten to be noted")
                assert publisher.status.connected


def test_no_more_is_in_flight_than_the_broker_says_that_it_takes(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = Mqtt(host="127.0.0.1", port=server.getsockname()[1])
        with delivering(tmp_path, settings, 10):
            wire, _ = server.accept()
            with wire:
                wire.settimeout(10)
                arriving = packets(wire)
                assert next(arriving)[0] == 0x10
                wire.sendall(b"\x20\x06\0\0\x03\x21\0\x03")  # receive maximum 3 (MQTT 5.0, 3.2.2.3.3)
                first, *_ = [next(arriving) for _ in range(3)]
                wire.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    wire.recv(1)
                wire.sendall(b"\x40\x02" + first[4 + first[3] : 6 + first[3]])
                wire.settimeout(10)
                assert wire.recv(1) == b"\x32", "one was acknowledged, so there is room for one"


def test_what_goes_with_a_message_reaches_the_subscriber_each_time(tmp_path: Path, broker: Mosquitto):
    subscribed, heard = threading.Event(), []
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_connect = lambda client, *_: client.subscribe("edge/#", 1)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _client, _data, message: heard.append(message)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    assert subscribed.wait(10)
    with delivering(tmp_path, Mqtt(host="127.0.0.1", port=broker.port), 0) as publisher:
        assert publisher.outbox is not None
        publisher.outbox.accept_all(
            [Message("edge/n/x", b"%d" % n, correlation=b"c" if n else None) for n in range(3)]
        )
        publisher.wake()
        wait_for(lambda: len(heard) == 3)
    client.disconnect()
    client.loop_stop()
    correlations = [getattr(one.properties, "CorrelationData", None) for one in heard]
    assert correlations == [None, b"c", b"c"]
    assert all(3590 <= one.properties.MessageExpiryInterval <= 3600 for one in heard)

"""Sessions that outlast a connection, and MQTT over WebSockets, against real brokers."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from certificates import Authority
from conftest import Mosquitto, free_port, wait_for
from listening import Listener
from test_mqtt import PROTOCOLS, local, running, say

from edge_agent.config import Mqtt, Tls
from edge_agent.delivery.message import Incoming, Message
from edge_agent.delivery.mqtt import Connection
from edge_agent.errors import DeliveryError

COMMANDS = ["edge/n/cmd/+"]


def consented(settings: Mqtt, client_id: str, **more: bool) -> Connection:
    connection = Connection(settings, client_id=client_id, **more)
    connection.open()
    connection.await_consent(lambda: False)
    return connection


@PROTOCOLS
def test_a_command_that_came_while_the_agent_was_away_is_carried_out(broker: Mosquitto, protocol: str):
    got: list[Incoming] = []
    options = {"command_topics": COMMANDS, "on_command": got.append}
    settings = local(broker.port, protocol=protocol)
    with running(settings, **options) as publisher:
        wait_for(lambda: publisher.status.connected, what="the connection")
        publisher.publish(say("first"))
        wait_for(lambda: publisher.status.acknowledged == 2, what="acknowledgements")
    with Listener(broker.port) as listener:
        listener.send("edge/n/cmd/mute", {"sensor": "mic", "muted": True})
        listener.wait("edge/n/cmd/mute")
    assert got == []
    with running(settings, **options):
        wait_for(lambda: got, what="the command")
        assert json.loads(got[0].payload) == {"sensor": "mic", "muted": True}
        assert not got[0].retain
        threading.Event().wait(0.3)
        assert len(got) == 1


@PROTOCOLS
def test_without_a_session_nothing_is_kept(broker: Mosquitto, protocol: str):
    got: list[Incoming] = []
    options = {"command_topics": COMMANDS, "on_command": got.append}
    settings = local(broker.port, protocol=protocol, session_expiry_s=0)
    with running(settings, **options) as publisher:
        wait_for(lambda: publisher.status.acknowledged == 1, what="acknowledgements")
    with Listener(broker.port) as listener:
        listener.send("edge/n/cmd/mute", {"sensor": "mic", "muted": True})
        listener.wait("edge/n/cmd/mute")
        with running(settings, **options):
            listener.send("edge/n/cmd/status", {})
            wait_for(lambda: got or listener.send("edge/n/cmd/status", {}), what="a command")
            assert {message.topic for message in got} == {"edge/n/cmd/status"}


@PROTOCOLS
def test_the_broker_tells_whether_it_kept_the_session(broker: Mosquitto, protocol: str):
    settings = local(broker.port, protocol=protocol)
    for expected in (False, True):
        connection = consented(settings, "agent-n", keep_session=True)
        assert connection.session_present is expected
        connection.close()
    passing = consented(settings, "edge-ask-1")
    passing.close()
    passing = consented(settings, "edge-ask-1")
    assert not passing.session_present, "who asks once leaves nothing behind"
    passing.close()


def test_a_session_is_forgotten_when_its_time_is_over(broker: Mosquitto):
    settings = local(broker.port, session_expiry_s=1)
    consented(settings, "agent-n", keep_session=True).close()

    def forgotten() -> bool:
        # Looking prolongs nothing that is over; one that is there is ended a second later again.
        threading.Event().wait(2.5)
        connection = consented(settings, "agent-n", keep_session=True)
        connection.close()
        return not connection.session_present

    wait_for(forgotten, what="the end of the session")


@PROTOCOLS
def test_what_is_delivered_while_a_session_goes_on_comes_once(broker: Mosquitto, protocol: str):
    settings = local(broker.port, protocol=protocol)
    with Listener(broker.port) as listener:
        for round_ in range(3):
            with running(settings) as publisher:
                for n in range(50):
                    publisher.publish(say("x", 50 * round_ + n))
                wait_for(lambda p=publisher: p.status.acknowledged >= 51, what="acknowledgements")
        wait_for(lambda: len(listener.on("edge/n/percept")) >= 150, what="all of them")
        assert [m["n"] for m in listener.on("edge/n/percept")] == list(range(150))


def test_the_broker_lets_a_message_expire_for_who_is_away(broker: Mosquitto):
    later = consented(local(broker.port), "later", keep_session=True)
    later.subscribe("edge/n/percept/+")
    later.step(0.3)
    later.close()
    sender = consented(local(broker.port), "sender")
    for text, expiry_s in (("short", 1), ("long", 600)):
        sender.send(Message("edge/n/percept/main", text.encode(), expiry_s=expiry_s))
    wait_for(lambda: sender.step(0.1) or len(sender.acknowledged) == 2, what="acknowledgements")
    threading.Event().wait(2.2)
    later = consented(local(broker.port), "later", keep_session=True)
    wait_for(lambda: later.step(0.1) or later.received, what="what is left")
    later.step(0.3)
    assert [message.payload for message in later.received] == [b"long"]
    for one in (sender, later):
        one.close()


def test_no_more_is_in_flight_than_the_broker_takes_at_once(tmp_path: Path):
    broker = Mosquitto(tmp_path, "allow_anonymous true\nmax_inflight_messages 3")
    broker.start()
    try:
        with running(local(broker.port)) as publisher:
            for n in range(200):
                publisher.publish(say("x", n))
            wait_for(lambda: publisher.status.acknowledged == 201, what="delivery")
            assert publisher.status.connects == 1
        connection = consented(local(broker.port), "looking")
        assert connection.receive_maximum == 3
        connection.close()
    finally:
        broker.stop()


# -- WebSockets ------------------------------------------------------------------------------------------


def web(port: int, **more: object) -> Mqtt:
    return Mqtt(host="127.0.0.1", port=port, transport="websockets", **more)  # type: ignore[arg-type]


@PROTOCOLS
def test_messages_and_commands_go_over_web_sockets(broker: Mosquitto, protocol: str):
    pytest.importorskip("websockets", reason="comes with amqtt: pip install 'iotlm-edge[demo]'")
    from web_sockets import WebFront

    got: list[Incoming] = []
    options = {"command_topics": COMMANDS, "on_command": got.append}
    with (
        WebFront(broker.port, "/broker") as front,
        Listener(broker.port) as listener,
        running(web(front.port, websocket_path="/broker", protocol=protocol), **options) as publisher,
    ):
        publisher.publish(say("x" * 200_000))
        for n in range(100):
            publisher.publish(say("x" * 1000, n))
        wait_for(lambda: publisher.status.acknowledged == 102, what="delivery")
        listener.send("edge/n/cmd/ask", b"q" * 5000)
        wait_for(lambda: got, what="the command")
        assert got[0].payload == b"q" * 5000
        assert front.connections == publisher.status.connects == 1
    with Listener(broker.port) as late:
        late.wait("edge/n/state", lambda m: m == {"state": "offline"})


def test_web_sockets_over_tls(broker: Mosquitto, tmp_path: Path):
    pytest.importorskip("websockets", reason="comes with amqtt: pip install 'iotlm-edge[demo]'")
    from web_sockets import WebFront

    authority = Authority(tmp_path / "ca", "a private CA")
    server = authority.sign("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    with WebFront(broker.port, ssl=context) as front:
        settings = web(front.port, tls=Tls(ca_file=authority.certificate)).model_copy(
            update={"host": "localhost"}
        )
        with running(settings) as publisher:
            for n in range(100):
                publisher.publish(say("x" * 5000, n))
            wait_for(lambda: publisher.status.acknowledged == 101, what="delivery")
            assert publisher.status.connects == 1


def test_a_wrong_path_or_port_is_told_with_what_to_check(broker: Mosquitto):
    pytest.importorskip("websockets", reason="comes with amqtt: pip install 'iotlm-edge[demo]'")
    from web_sockets import WebFront

    with WebFront(broker.port) as front:
        for port, path in ((front.port, "/other"), (broker.port, "/mqtt")):
            connection = Connection(web(port, websocket_path=path), client_id="a")
            with pytest.raises(DeliveryError) as caught:
                connection.open()
            assert "websocket_path" in caught.value.hint
            connection.close()


@contextmanager
def amqtt(folder: Path) -> Iterator[int]:
    """A second broker, which has WebSockets of its own and knows MQTT 3.1.1."""
    pytest.importorskip("amqtt", reason="pip install 'iotlm-edge[demo]'")
    port, file = free_port(), folder / "amqtt.yaml"
    file.write_text(
        f"listeners:\n  default:\n    type: ws\n    bind: 127.0.0.1:{port}\n"
        "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
    )
    command = [sys.executable, "-P", "-m", "amqtt.scripts.broker_script", "-c", str(file)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        yield port
        process.kill()


@pytest.mark.e2e
def test_a_broker_with_web_sockets_of_its_own(tmp_path: Path):
    with amqtt(tmp_path) as port, running(web(port, protocol="3.1.1")) as publisher:
        for n in range(50):
            publisher.publish(say("x" * 1000, n))
        wait_for(lambda: publisher.status.acknowledged == 51, 60, "delivery")
        assert publisher.queued == 0

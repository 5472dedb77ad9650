"""The publisher against a real mosquitto."""

import json
import random
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Mosquitto, wait_for
from delivering_thread import at_work
from hypothesis import given
from hypothesis import strategies as st
from listening import Listener

from edge_agent.config import Mqtt, Tls
from edge_agent.delivery.backoff import FullJitter
from edge_agent.delivery.message import Backlog, Incoming, Message
from edge_agent.delivery.mqtt import Connection
from edge_agent.delivery.publisher import Publisher
from edge_agent.delivery.request import ask
from edge_agent.errors import ConfigurationError, DeliveryError

BIRTH = Message("edge/n/state", b'{"state":"online"}', retain=True)
WILL = Message("edge/n/state", b'{"state":"offline"}', retain=True)
PROTOCOLS = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


@contextmanager
def running(settings: Mqtt, **more: object) -> Iterator[Publisher]:
    more = {"backoff": FullJitter(0.05, 0.2), **more}
    publisher = Publisher(settings, client_id="agent-n", birth=BIRTH, will=WILL, **more)  # type: ignore[arg-type]
    with at_work(publisher, 5):
        yield publisher


def local(port: int, **more: object) -> Mqtt:
    return Mqtt(host="127.0.0.1", port=port, **more)  # type: ignore[arg-type]


def say(text: str, n: int = 0) -> Message:
    return Message("edge/n/percept/main", json.dumps({"text": text, "n": n}).encode())


@PROTOCOLS
def test_birth_messages_and_a_farewell(broker: Mosquitto, protocol: str):
    with Listener(broker.port) as listener:
        with running(local(broker.port, protocol=protocol)) as publisher:
            publisher.publish(say("hello"))
            listener.wait("edge/n/percept", lambda m: m["text"] == "hello")
            assert listener.on("edge/n/state") == [{"state": "online"}]
            wait_for(lambda: publisher.status.acknowledged == 2, what="acknowledgements")
        listener.wait("edge/n/state", lambda m: m["state"] == "offline")


@PROTOCOLS
def test_the_last_will_speaks_when_the_agent_cannot(broker: Mosquitto, protocol: str):
    connection = Connection(local(broker.port, protocol=protocol), client_id="doomed", will=WILL)
    connection.open()
    connection.await_consent(lambda: False)
    connection.send(BIRTH)
    connection.step(0.2)
    with Listener(broker.port) as listener:
        listener.wait("edge/n/state", lambda m: m["state"] == "online")
        connection._client.socket().close()  # as when the power fails: no DISCONNECT
        listener.wait("edge/n/state", lambda m: m["state"] == "offline")
    connection.close()


@PROTOCOLS
def test_states_are_retained_for_those_who_come_later(broker: Mosquitto, protocol: str):
    with running(local(broker.port, protocol=protocol)) as publisher:
        publisher.publish(Message("edge/n/info", b'{"a":1}', retain=True))
        wait_for(lambda: publisher.status.acknowledged == 2, what="acknowledgements")
        with Listener(broker.port) as late:
            late.wait("edge/n/info", lambda m: m == {"a": 1})
            assert late.on("edge/n/state") == [{"state": "online"}]


def test_a_broker_that_is_down_at_the_start_is_waited_for(stopped_broker: Mosquitto):
    with running(local(stopped_broker.port)) as publisher:
        publisher.publish(say("early"))
        wait_for(lambda: "no broker at 127.0.0.1" in publisher.status.reason, what="the report")
        assert publisher.status.hint
        stopped_broker.start()
        wait_for(lambda: publisher.status.connected, what="the connection")
        assert publisher.status.reason == ""
        wait_for(lambda: publisher.status.acknowledged == 2 and publisher.queued == 0, what="delivery")


@PROTOCOLS
def test_what_is_said_while_the_broker_is_away_arrives_when_it_is_back(broker: Mosquitto, protocol: str):
    with running(local(broker.port, protocol=protocol)) as publisher:
        wait_for(lambda: publisher.status.connected, what="the connection")
        publisher.publish(Message("edge/n/sensor/s/state", b'{"state":"online"}', retain=True))
        wait_for(lambda: publisher.status.acknowledged == 2, what="acknowledgements")
        broker.stop()
        wait_for(lambda: not publisher.status.connected, what="the loss")
        assert publisher.status.reason
        for n in range(5):
            publisher.publish(say("meanwhile", n))
        # The listener waits for the broker too, and may be later than the agent: only what is retained is
        # certain to reach it, so the acknowledgements say whether the rest was delivered.
        broker.start()
        wait_for(lambda: publisher.status.acknowledged == 2 + 2 + 5, what="delivery")
        with Listener(broker.port) as listener:
            # This broker keeps nothing on disk, so the states are here because they were said again.
            listener.wait("edge/n/sensor/s/state", lambda m: m["state"] == "online")
            assert listener.on("edge/n/state") == [{"state": "online"}]


def test_the_order_is_kept_across_an_outage(broker: Mosquitto):
    settings = local(broker.port)
    with running(settings) as publisher, Listener(broker.port) as listener:
        for n in range(300):
            publisher.publish(say("stream", n))
        wait_for(lambda: len(listener.on("edge/n/percept")) == 300, what="all of them")
        assert [m["n"] for m in listener.on("edge/n/percept")] == list(range(300))


def test_a_full_queue_drops_the_oldest_and_counts_them(stopped_broker: Mosquitto):
    with running(local(stopped_broker.port, queue_limit=10)) as publisher:
        for n in range(25):
            publisher.publish(say("much", n))
        assert publisher.dropped == 15
        assert publisher.queued == 11  # ten, and the birth, which is a state
        stopped_broker.start()
        wait_for(lambda: publisher.status.acknowledged == 11, what="delivery")


def test_a_wrong_password_is_reported_with_what_to_check(tmp_path: Path):
    users = tmp_path / "users"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(users), "kitchen", "right"], check=True)
    users.chmod(0o644)
    broker = Mosquitto(tmp_path, f"allow_anonymous false\npassword_file {users}\nuser root")
    broker.start()
    password = tmp_path / "password"
    try:
        password.write_text("wrong\n")
        settings = local(broker.port, username="kitchen", password_file=password)
        with running(settings) as publisher:
            wait_for(lambda: "refused" in publisher.status.reason, what="the refusal")
            assert "password_file" in publisher.status.hint
            password.write_text("right\n")
            wait_for(lambda: publisher.status.connected, what="the connection")
    finally:
        broker.stop()


@pytest.mark.parametrize("more", [{}, {"tls": Tls()}, {"transport": "websockets"}], ids=["tcp", "TLS", "web"])
def test_a_port_that_says_nothing_does_not_hold_the_agent_back(more: dict[str, object]):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        publisher = Publisher(local(silent.getsockname()[1], **more), client_id="a", birth=BIRTH, will=WILL)
        stop = threading.Event()
        thread = threading.Thread(target=publisher.run, args=(stop,), daemon=True)
        thread.start()
        connection, _ = silent.accept()
        stop.set()
        publisher.wake()
        thread.join(2)
        assert not thread.is_alive()
        connection.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x20\x02\x00\x00\xff\xff\xff\xff",
        b"\x20\x03\x00\x00\x05",
        b"\0" * 64,
    ],
)
@PROTOCOLS
def test_what_is_not_a_broker_is_reported_and_tried_again(garbage: bytes, protocol: str):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        with running(local(server.getsockname()[1], protocol=protocol)) as publisher:
            for _ in range(2):
                connection, _ = server.accept()
                connection.recv(1000)
                connection.sendall(garbage)
                connection.close()
            wait_for(lambda: publisher.status.reason not in ("", "not connected yet"), what="the report")
            assert not publisher.status.connected


def test_a_message_that_the_broker_refuses_is_counted_and_told(tmp_path: Path):
    rules = tmp_path / "rules"
    rules.write_text("topic readwrite edge/n/state\n")
    rules.chmod(0o644)
    broker = Mosquitto(tmp_path, f"allow_anonymous true\nacl_file {rules}\nuser root")
    broker.start()
    try:
        with running(local(broker.port)) as publisher:
            publisher.publish(say("forbidden"))
            wait_for(lambda: publisher.status.refused == 1, what="the refusal")
            assert "edge/n/percept/main" in publisher.status.reason
            assert "access rules" in publisher.status.hint
            assert publisher.status.connected
    finally:
        broker.stop()


def test_commands_reach_the_agent_with_their_way_back(broker: Mosquitto):
    got: list[Incoming] = []
    options = {"command_topics": ["edge/n/cmd/ask"], "on_command": got.append}
    with running(local(broker.port), **options) as publisher, Listener(broker.port) as listener:
        wait_for(lambda: publisher.status.connected, what="the connection")
        listener.send("edge/n/cmd/ask", b"hello", reply_to="back/here", correlation=b"\1\2")
        wait_for(lambda: got, what="the command")
        assert got == [Incoming("edge/n/cmd/ask", b"hello", False, "back/here", b"\1\2")]


def test_the_asker_is_told_why_nobody_answers(broker: Mosquitto):
    settings = local(broker.port)
    with pytest.raises(DeliveryError, match="ever spoken"):
        ask(settings, "n", "what?", identity="q", timeout_s=0.3)
    with running(settings) as publisher:
        publisher.publish(Message("edge/n/info", b'{"commands":[]}', retain=True))
        wait_for(lambda: publisher.status.acknowledged == 2, what="acknowledgements")
        with pytest.raises(DeliveryError, match="takes no questions"):
            ask(settings, "n", "what?", identity="q", timeout_s=0.3)
    with pytest.raises(DeliveryError, match="offline"):
        ask(settings, "n", "what?", identity="q", timeout_s=0.3)
    broker.stop()
    with pytest.raises(DeliveryError, match="no broker"):
        ask(settings, "n", "what?", identity="q", timeout_s=0.3)


def test_a_tls_file_that_is_not_there_is_a_wrong_configuration(tmp_path: Path):
    from edge_agent.delivery.tls import tls_context

    with pytest.raises(ConfigurationError) as caught:
        tls_context(Tls(ca_file=tmp_path / "none.pem"))
    assert caught.value.key == "mqtt.tls"


def test_the_wait_between_attempts_grows_to_its_cap_and_begins_again():
    backoff = FullJitter(0.5, 8.0, random.Random(1))
    for ceiling_s in (0.5, 1, 2, 4, 8, 8, 8):
        assert 0 <= backoff.next_s() <= ceiling_s
    capped = [backoff.next_s() for _ in range(200)]
    assert min(capped) < 1, "full jitter: from nothing at all"
    assert max(capped) > 7
    backoff.reset()
    assert backoff.next_s() <= 0.5


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 8))
def test_the_backlog_is_bounded_in_order_and_loses_nothing_uncounted(actions: list[int], limit: int):
    backlog, put, taken, flying = Backlog(limit), 0, [], []
    for action in actions:
        if action in (0, 1):
            backlog.put(say("x", put))
            put += 1
        elif action == 2 and (message := backlog.take()) is not None:
            flying.append(message)
        elif action == 3:
            backlog.give_back(flying)
            flying = []
        assert len(backlog) <= limit
    while (message := backlog.take()) is not None:
        taken.append(message)
    assert put == len(taken) + len(flying) + backlog.dropped
    order = [json.loads(m.payload)["n"] for m in taken]
    assert order == sorted(order)


def test_of_a_state_only_the_newest_is_kept():
    backlog = Backlog(10)
    for n in range(5):
        backlog.put(Message("a", str(n).encode(), retain=True))
    backlog.put(say("event"))
    assert backlog.take() == Message("a", b"4", retain=True)
    assert backlog.take() == say("event")
    assert backlog.take() is None
    backlog.repeat_states()
    assert backlog.take() == Message("a", b"4", retain=True)

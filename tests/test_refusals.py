"""What becomes of a message that the broker does not take: told, counted, and never tried for ever."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from broker_refusing import ACCEPTED, PACKET_TOO_LARGE, QUOTA_EXCEEDED, RefusingBroker
from conftest import Mosquitto, wait_for
from delivering_thread import at_work
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.clock import SystemClock
from edge_agent.config import Mqtt
from edge_agent.delivery.backoff import FullJitter
from edge_agent.delivery.held import MOST_ATTEMPTS, Held
from edge_agent.delivery.message import Kind, Message
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.publisher import Publisher
from edge_agent.delivery.room import Limits

STATE = Message("edge/n/state", b'{"state":"x"}', retain=True)
LIMITS = Limits(50_000_000, dict.fromkeys(Kind, 86_400.0))


@contextmanager
def delivering(folder: Path, port: int, limits: Limits = LIMITS) -> Iterator[Publisher]:
    outbox = Outbox(folder / "outbox.sqlite", limits, SystemClock())
    publisher = Publisher(
        Mqtt(host="127.0.0.1", port=port), client_id="agent-n", birth=STATE, will=STATE, outbox=outbox,
        backoff=FullJitter(0.05, 0.2), quota_backoff=FullJitter(0.01, 0.05),
    )  # fmt: skip
    publisher.open()
    with at_work(publisher):
        yield publisher


def say(n: int, size: int = 10, kind: Kind = Kind.EVENT) -> Message:
    body = json.dumps({"n": n, "x": "x" * size}).encode()
    return Message(f"edge/n/event/{n}", body, kind=kind, source="event")


def total(publisher: Publisher):
    assert publisher.outbox is not None
    return publisher.outbox.ledger().total


def test_what_exceeds_a_quota_for_a_while_is_delivered_when_it_no_longer_does(tmp_path: Path):
    full = threading.Event()
    full.set()
    with (
        RefusingBroker(lambda *_: QUOTA_EXCEEDED if full.is_set() else ACCEPTED) as broker,
        delivering(tmp_path, broker.port) as publisher,
    ):
        for n in range(30):
            publisher.publish(say(n))
        wait_for(lambda: publisher.status.deferred > 100, what="many attempts")
        assert "takes no more now" in publisher.status.reason
        assert "quota" in publisher.status.hint
        assert (total(publisher).queued, total(publisher).evicted, publisher.status.refused) == (30, 0, 0)
        full.clear()
        wait_for(lambda: total(publisher).delivered == 30, what="delivery")
        assert total(publisher).queued == 0
        assert {topic for topic, _ in broker.accepted} == {
            STATE.topic,
            *(f"edge/n/event/{n}" for n in range(30)),
        }
        assert broker.connections == 1


def test_one_that_exceeds_a_quota_while_others_do_not_is_given_up_and_counted(tmp_path: Path):
    with (
        RefusingBroker(lambda topic, _: QUOTA_EXCEEDED if topic.endswith("/7") else ACCEPTED) as broker,
        delivering(tmp_path, broker.port) as publisher,
    ):
        for n in range(60):
            publisher.publish(say(n))
            threading.Event().wait(0.01)  # others are taken between its attempts
        more = 60
        while publisher.status.refused == 0:
            publisher.publish(say(more))
            more += 1
            threading.Event().wait(0.02)
            assert more < 2000
        wait_for(lambda: total(publisher).queued == 0, what="the rest")
        assert (total(publisher).delivered, total(publisher).evicted) == (more - 1, 1)
        assert "edge/n/event/7" in publisher.status.reason
        attempts = sum(topic.endswith("/7") for topic, *_ in broker.heard)
        assert attempts >= MOST_ATTEMPTS


def test_while_it_waits_it_may_expire(tmp_path: Path):
    with (
        RefusingBroker(lambda *_: QUOTA_EXCEEDED) as broker,
        delivering(tmp_path, broker.port, Limits(50_000_000, dict.fromkeys(Kind, 1.0))) as publisher,
    ):
        publisher.publish(say(0))
        wait_for(lambda: total(publisher).expired == 1, what="the end of its time")
        heard = len([topic for topic, *_ in broker.heard if "event" in topic])
        threading.Event().wait(0.3)
        assert len([topic for topic, *_ in broker.heard if "event" in topic]) <= heard + 1
        assert total(publisher).queued == 0


def test_a_packet_that_ends_the_connection_is_not_sent_again(tmp_path: Path):
    def decide(_topic: str, payload: bytes) -> int:
        return PACKET_TOO_LARGE if len(payload) > 5000 else ACCEPTED

    with RefusingBroker(decide) as broker, delivering(tmp_path, broker.port) as publisher:
        for n in range(5):
            publisher.publish(say(n))
        publisher.publish(say(5, 20_000))
        publisher.publish(Message("edge/n/info", b"y" * 30_000, retain=True))
        for n in range(6, 10):
            publisher.publish(say(n))
        wait_for(lambda: total(publisher).delivered == 9, what="the others")
        assert (total(publisher).evicted, total(publisher).queued) == (1, 0)
        assert publisher.status.refused == 2
        wait_for(lambda: publisher.status.connected, what="the connection")
        connections = broker.connections
        publisher.publish(say(11))
        wait_for(lambda: total(publisher).delivered == 10, what="one more")
        assert broker.connections == connections, "and no connection is lost over it again"


def test_a_packet_larger_than_the_broker_says_is_never_sent(tmp_path: Path):
    with (
        RefusingBroker(lambda *_: ACCEPTED, maximum_bytes=4000) as broker,
        delivering(tmp_path, broker.port) as publisher,
    ):
        publisher.publish(say(0, 20_000))
        publisher.publish(say(1))
        wait_for(lambda: total(publisher).delivered == 1, what="the other")
        assert total(publisher).evicted == publisher.status.refused == 1
        assert "no more than 4000 bytes" in publisher.status.reason
        assert max(len(payload) for _, payload, _ in broker.heard) < 4000
        assert broker.connections == 1


def test_mosquitto_says_how_large_a_packet_may_be(tmp_path: Path):
    broker = Mosquitto(tmp_path, "allow_anonymous true\nmax_packet_size 3000")
    broker.start()
    try:
        with delivering(tmp_path, broker.port) as publisher:
            publisher.publish(say(0, 20_000))
            publisher.publish(say(1))
            wait_for(lambda: total(publisher).delivered == 1, what="the other")
            assert total(publisher).evicted == publisher.status.refused == 1
            assert publisher.status.connects == 1
    finally:
        broker.stop()


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=80))
def test_only_what_is_refused_while_others_are_taken_is_given_up(steps: list[tuple[str, bool]]):
    now_s = [0.0]
    held: Held[str] = Held(lambda: now_s[0], FullJitter(1.0, 60.0))
    taken, times, before = 0, dict.fromkeys("abc", 0), dict.fromkeys("abc", -1)
    for key, accepted in steps:
        now_s[0] += 61
        assert not held.rests
        waiting = held.take(100)
        assert len(waiting) == len(set(waiting))
        if accepted:
            taken += 1
            held.forget(key)
            times[key], before[key] = 0, -1
            continue
        times[key] += taken > before[key]
        keeps = held.add(key, key, taken)
        assert keeps is (times[key] < MOST_ATTEMPTS)
        before[key] = taken
        if not keeps:
            times[key], before[key] = 0, -1
        else:
            assert held.count(str) == 1


@pytest.mark.parametrize("most", [0, 1, 5])
def test_no_more_is_tried_again_than_the_window_has_room_for(most: int):
    now_s = [0.0]
    held: Held[int] = Held(lambda: now_s[0])
    for n in range(5):
        held.add(n, n, 0)
    now_s[0] = 100
    assert held.take(most) == list(range(most))
    assert held.clear() == list(range(most, 5))

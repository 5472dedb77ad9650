"""What a sensor is fed over a real mosquitto."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Mosquitto, wait_for
from listening import Listener

from edge_agent.clock import SystemClock
from edge_agent.config import Mqtt
from edge_agent.delivery.subscription import Subscription
from edge_agent.delivery.topics import Topics, is_topic
from edge_agent.errors import ConfigurationError, DeliveryError
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.network import NetworkSensor
from edge_agent.types import Chunk, SensorState

TOPIC = Topics("edge", "n").sensor_input("gaze")
PROTOCOLS = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


def subscription(port: int, protocol: str = "5", topic: str = TOPIC) -> Subscription:
    settings = Mqtt(host="127.0.0.1", port=port, protocol=protocol)  # type: ignore[arg-type]
    return Subscription(settings, SystemClock(), client_id="edge-agent-n-gaze", topic=topic)


@contextmanager
def fed(subscribe: Subscription) -> Iterator[tuple[NetworkSensor, list[Chunk]]]:
    """A sensor at work, and the chunks that it has given."""
    sensor = NetworkSensor("gaze", "eye", SystemClock(), subscribe, channels=(Channel("x", ""),))
    stop, chunks = threading.Event(), []
    thread = threading.Thread(target=lambda: chunks.extend(sensor.chunks(stop)), daemon=True)
    thread.start()
    try:
        yield sensor, chunks
    finally:
        stop.set()
        thread.join(5)
        assert not thread.is_alive()
        assert sensor.health.state is SensorState.OFFLINE


def listens(sensor: NetworkSensor) -> None:
    wait_for(lambda: "nothing has come" in sensor.health.reason, what="the subscription")


@PROTOCOLS
def test_what_is_published_becomes_samples(broker: Mosquitto, protocol: str):
    with Listener(broker.port) as other, fed(subscription(broker.port, protocol)) as (sensor, chunks):
        listens(sensor)
        other.send("edge/n/in/other", {"values": {"x": -1}})
        for n in range(50):
            other.send(TOPIC, {"values": {"x": n}, "sequence": n})
        wait_for(lambda: len(chunks) == 50, what="the samples")
        assert [float(chunk.values[0, 0]) for chunk in chunks] == list(range(50))
        assert (sensor.health.lost, sensor.health.errors) == (0, 0)


def test_a_broker_that_went_and_came_back_is_subscribed_to_anew(stopped_broker: Mosquitto):
    with fed(subscription(stopped_broker.port)) as (sensor, chunks):
        wait_for(lambda: "no broker at" in sensor.health.reason, what="the report")
        stopped_broker.start()
        listens(sensor)
        with Listener(stopped_broker.port) as other:
            other.send(TOPIC, {"values": {"x": 1}, "sequence": 0})
            wait_for(lambda: len(chunks) == 1, what="the first sample")
        stopped_broker.stop()
        wait_for(lambda: sensor.health.state is SensorState.OFFLINE, what="the loss")
        stopped_broker.start()
        listens(sensor)
        with Listener(stopped_broker.port) as other:
            other.send(TOPIC, {"values": {"x": 2}, "sequence": 5})
            wait_for(lambda: len(chunks) == 2, what="the sample after it")
        assert chunks[1].lost == 4
        assert sensor.health.reconnects == 1


def test_a_retained_message_is_passed_over(broker: Mosquitto):
    with Listener(broker.port) as other:
        other.send(TOPIC, {"values": {"x": 1}}, retain=True)
        wait_for(lambda: other.on(TOPIC), what="the retained message")
        with fed(subscription(broker.port)) as (sensor, chunks):
            listens(sensor)
            other.send(TOPIC, {"values": {"x": 2}})
            wait_for(lambda: chunks, what="a sample")
            assert chunks[0].values[0, 0] == 2


def test_a_flood_of_rubbish_stops_nothing(broker: Mosquitto):
    with Listener(broker.port) as other, fed(subscription(broker.port)) as (sensor, chunks):
        listens(sensor)
        for size in (0, 10, 70_000, 10):
            other.send(TOPIC, b"x" * size)
        other.send(TOPIC, {"values": {"x": 3}})
        wait_for(lambda: chunks, what="the sample after it")
        assert sensor.health.errors == 4


def test_a_broker_that_refuses_us_is_said_with_the_next_step(tmp_path: Path):
    broker = Mosquitto(tmp_path, "allow_anonymous false")
    broker.start()
    try:
        with fed(subscription(broker.port)) as (sensor, _):
            wait_for(lambda: "refused the connection" in sensor.health.reason, what="the refusal")
            assert "mqtt.password_file" in sensor.health.reason
    finally:
        broker.stop()


def test_a_broker_that_is_away_is_an_error_and_a_stop_ends_it(stopped_broker: Mosquitto):
    with pytest.raises(DeliveryError, match="no broker at"):
        next(subscription(stopped_broker.port)(threading.Event()))
    stopped_broker.start()
    stop = threading.Event()
    arrivals = subscription(stopped_broker.port)(stop)
    assert next(arrivals) is None
    stop.set()
    assert list(arrivals) == []


@pytest.mark.parametrize("topic", ["", "#", "a/+/b", "edge/n/in/#", "$SYS/broker", "a\0b", "x" * 2000])
def test_a_topic_that_is_not_one_topic_is_a_wrong_configuration(topic: str):
    assert not is_topic(topic)
    with pytest.raises(ConfigurationError) as caught:
        subscription(1, topic=topic)
    assert caught.value.key == "topic"


def test_where_a_sensor_is_fed():
    assert TOPIC == "edge/n/in/gaze"
    assert is_topic("elsewhere/eye tracker/gaze")
    with pytest.raises(ValueError, match="level"):
        Topics("edge", "n").sensor_input("a/b")

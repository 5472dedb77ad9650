"""Samples from another machine, on a clock that is moved by hand. A real broker: `test_subscription.py`."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from types import MappingProxyType

import numpy as np
import pytest
from conftest import wait_for
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edge_agent.clock import NS_PER_S, ManualClock
from edge_agent.delivery.payloads import schema
from edge_agent.errors import DeliveryError
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.network import MAX_PAYLOAD_BYTES, MAX_SEQUENCE, Arrival, NetworkSensor, parse
from edge_agent.testing import SensorContract
from edge_agent.types import SensorState

GAZE = (Channel("x", "screen"), Channel("y", "screen"))
NAMES = ("x", "y")
VALID = Draft202012Validator(schema("sensor_input"))


class Sender:
    """A machine that publishes `script` one after the other, and keeps silent (None) when it is through.

    A number is seconds of silence, an error ends the connection, everything else is a message (JSON or
    bytes) that arrives 10 ms after the one before. `at_end` is set when it is through.
    """

    def __init__(self, clock, *script, at_end=None) -> None:
        self._clock = clock
        self._script = iter(script)
        self._at_end = at_end
        self.connections = 0

    def __call__(self, stop) -> Iterator[Arrival]:
        self.connections += 1
        yield None
        for step in self._script:
            if stop.is_set():
                return
            if isinstance(step, Exception):
                raise step
            if isinstance(step, float):
                self._clock.advance(step)
                yield None
                continue
            self._clock.advance(0.01)
            payload = step if isinstance(step, bytes) else json.dumps(step).encode()
            yield payload, self._clock.monotonic_ns()
        if self._at_end is not None:
            self._at_end.set()
        while not stop.is_set():
            self._clock.advance(0.1)
            stop.wait(0.001)
            yield None


def test_a_place_keeps_what_float32_would_move_by_metres():
    names, place = ("latitude", "longitude"), {"latitude": 47.285239512, "longitude": -170.565258}
    batch = parse(json.dumps({"values": place}).encode(), names)
    assert batch.values.tolist() == [[place["latitude"], place["longitude"]]]
    assert abs(float(np.float32(place["longitude"])) - place["longitude"]) > 2e-6, "some 0.2 m"
    assert parse(b'{"values": {"x": 0.1}}', NAMES).values.dtype == np.float32


def gaze(x, y=0.5, **more):
    return {"values": {"x": x, "y": y}, **more}


def receive(count, *script, **options):
    """(sensor, its first `count` chunks of what the script sends)."""
    clock = ManualClock(NS_PER_S)
    stop = threading.Event()
    sender = Sender(clock, *script, at_end=stop)
    sensor = NetworkSensor("gaze", "eye", clock, sender, channels=GAZE, **options)
    chunks = list(itertools.islice(sensor.chunks(stop), count))
    assert len(chunks) == count
    return sensor, chunks


class TestNetworkSensor(SensorContract):
    channels = MappingProxyType({"gaze": 2})

    @pytest.fixture
    def sensor(self):
        clock = ManualClock()
        sender = Sender(clock, *(gaze(i, sequence=i) for i in range(100)))
        return NetworkSensor("gaze", "eye", clock, sender, channels=GAZE)


class TestSimulatedBatches(SensorContract):
    channels = MappingProxyType({"gaze": 2})
    simulated = True

    @pytest.fixture
    def sensor(self):
        clock = ManualClock()
        batch = {"samples": [{"age_s": i / 100, **gaze(i)} for i in range(4)], "simulated": True}
        return NetworkSensor("gaze", "eye", clock, Sender(clock, *([batch, 0.03] * 50)), channels=GAZE)


def test_values_come_in_the_order_of_the_configuration_and_null_is_nan():
    _, (first, second) = receive(
        2, {"values": {"y": 2, "pupil": 3.5, "x": 1.5}}, {"values": {"x": None, "y": 0}}
    )
    np.testing.assert_array_equal(first.values, [[1.5, 2]])
    np.testing.assert_array_equal(second.values, [[np.nan, 0]])
    assert first.times_ns.tolist() == [NS_PER_S + 10_000_000]
    assert first.simulated is False


def test_a_batch_is_dated_back_and_put_in_order():
    batch = {"samples": [{"age_s": age, **gaze(age)} for age in (0, 0.2, 0.1)]}
    sensor, (chunk,) = receive(1, 0.5, batch)
    assert chunk.values[:, 0].tolist() == pytest.approx([0.2, 0.1, 0])
    assert (chunk.times_ns - chunk.times_ns[-1]).tolist() == [-200_000_000, -100_000_000, 0]
    assert sensor.health.samples == 3


def test_batches_that_overlap_do_not_turn_time_back():
    early = {"samples": [{"age_s": 0.5, **gaze(1)}, {"age_s": 0, **gaze(2)}]}
    _, chunks = receive(2, 1.0, early, early)
    times = np.concatenate([chunk.times_ns for chunk in chunks])
    assert (np.diff(times) >= 0).all()


def test_what_is_missing_in_the_sequence_is_lost():
    batch = {"samples": [{"age_s": 0.1, **gaze(1)}, {"age_s": 0, **gaze(2)}]}
    sensor, chunks = receive(
        7,
        gaze(0, sequence=7), gaze(0, sequence=8), gaze(0, sequence=11),
        {**batch, "sequence": 12}, {**batch, "sequence": 15},
        gaze(0), gaze(0, sequence=900),
    )  # fmt: skip
    assert [chunk.lost for chunk in chunks] == [0, 0, 2, 0, 1, 0, 0]  # an unnumbered one breaks the count
    assert sensor.health.lost == 3


def test_what_is_sent_again_is_skipped_and_a_sender_that_starts_anew_is_not():
    numbers = [0, 1, 2, 1, 2, 3, 0, 1, 500, 100, 101]
    sensor, chunks = receive(9, *(gaze(n, sequence=n) for n in numbers))
    assert [int(chunk.values[0, 0]) for chunk in chunks] == [0, 1, 2, 3, 0, 1, 500, 100, 101]
    assert [chunk.lost for chunk in chunks] == [0, 0, 0, 0, 0, 0, 498, 0, 0]
    assert (sensor.health.errors, sensor.health.lost) == (2, 498)


def test_a_batch_that_is_sent_again_is_skipped_however_large():
    batch = {"samples": [{"age_s": i / 1000, **gaze(i)} for i in range(150)]}
    sensor, chunks = receive(3, *({**batch, "sequence": n} for n in (150, 300, 300, 450)), max_rate_hz=1e5)
    assert [chunk.lost for chunk in chunks] == [0, 0, 0]
    assert sensor.health.errors == 1


MALFORMED = [
    b"",
    b"\xff\xfe",
    b"hello",
    b"[" * 100_00,
    b"[]",
    b"3",
    b'{"values": {"x": NaN}}',
    b'{"values": {"x": Infinity}}',
    b'{"values": {"x": 1e999}}',
    b'{"values": {"x": 1e39}}',
    b'{"values": {"x": ' + b"9" * 400 + b"}}",
    b'{"values": {"x": ' + b"9" * 5000 + b"}}",
    b'{"values": {"x": true}}',
    b'{"values": {"x": "1"}}',
    b'{"values": {"x": [1]}}',
    b'{"values": {"x": 1, "other": "text"}}',
    b'{"values": {}}',
    b'{"values": {"z": 1}}',
    b'{"values": [1, 2]}',
    b'{"values": null}',
    b"{}",
    b'{"values": {"x": 1}, "samples": []}',
    b'{"samples": []}',
    b'{"samples": {}}',
    b'{"samples": [1]}',
    b'{"samples": [{"values": {"x": 1}}]}',
    b'{"samples": [{"age_s": -1, "values": {"x": 1}}]}',
    b'{"samples": [{"age_s": 61, "values": {"x": 1}}]}',
    b'{"samples": [{"age_s": true, "values": {"x": 1}}]}',
    b'{"samples": [{"age_s": NaN, "values": {"x": 1}}]}',
    b'{"samples": [{"age_s": 1}]}',
    b'{"samples": [{"age_s": 1, "values": {"x": 1}, "when": 2}]}',
    b'{"values": {"x": 1}, "when": 2}',
    b'{"values": {"x": 1}, "\\ud800": 2}',
    b'{"values": {"x": 1}, "sequence": -1}',
    b'{"values": {"x": 1}, "sequence": 1.5}',
    b'{"values": {"x": 1}, "sequence": true}',
    b'{"values": {"x": 1}, "sequence": 9007199254740992}',
    b'{"values": {"x": 1}, "simulated": 1}',
    b'{"values": {"x": 1}}' + b" " * MAX_PAYLOAD_BYTES,
]


@pytest.mark.parametrize("payload", MALFORMED, ids=lambda payload: repr(payload[:40]))
def test_a_malformed_message_is_counted_and_skipped(payload):
    sensor, (before, after) = receive(2, gaze(1), payload, gaze(2))
    assert (before.values[0, 0], after.values[0, 0]) == (1, 2)
    assert sensor.health.errors == 1
    assert sensor.health.samples == 2
    assert sensor.health.state is SensorState.ONLINE  # one bad message among good ones is only counted


def test_nothing_but_malformed_messages_is_offline_and_says_why():
    clock = ManualClock()
    sensor = NetworkSensor("gaze", "eye", clock, Sender(clock, b'{"\\ud800": 1}', 1.0), channels=GAZE)
    said = said_until(sensor, "unknown key")
    assert SensorState.ONLINE not in said
    said[SensorState.OFFLINE].encode()  # it goes out over MQTT


def said_until(sensor, words):
    """State -> the last reason that was given with it, until one has these words."""
    stop, said = threading.Event(), {}
    thread = threading.Thread(target=lambda: list(sensor.chunks(stop)), daemon=True)
    thread.start()

    def heard():
        said[sensor.health.state] = sensor.health.reason
        return any(words in reason for reason in said.values())

    wait_for(heard, what=words)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    return said


def mostly(right, wrong):
    return st.one_of(right, right, right, right, wrong)


numbers = mostly(
    st.one_of(st.none(), st.integers(-9, 9), st.floats(-1e9, 1e9)),
    st.one_of(st.integers(-(10**40), 10**40), st.floats(), st.booleans(), st.text(max_size=2)),
)
values = st.dictionaries(st.sampled_from(["x", "y", "z"]), numbers, min_size=1, max_size=3)
ages = mostly(st.floats(0, 60), st.one_of(st.floats(), st.integers(-1, 61), st.booleans()))
samples = mostly(
    st.fixed_dictionaries({"age_s": ages, "values": values}),
    st.fixed_dictionaries({}, optional={"age_s": ages, "values": values, "more": st.none()}),
)
batches = st.lists(samples, max_size=3)
around = {
    "sequence": mostly(
        st.one_of(st.none(), st.integers(0, 9)),
        st.one_of(st.integers(-2, 2), st.integers(MAX_SEQUENCE - 1, MAX_SEQUENCE + 1)),
    ),
    "simulated": mostly(st.booleans(), st.integers(0, 1)),
}
messages = st.one_of(
    st.fixed_dictionaries({"values": values}, optional=around),
    st.fixed_dictionaries({"samples": batches}, optional=around),
    st.fixed_dictionaries({}, optional={"values": values, "samples": batches, **around}),
)


@given(messages)
def test_what_is_taken_is_what_the_schema_describes(message):
    rows = [message] if "values" in message else message.get("samples", [])
    named = any(set(NAMES) & set(row.get("values", {})) for row in rows)
    finite = "NaN" not in (text := json.dumps(message)) and "Infinity" not in text
    try:
        batch = parse(text.encode(), NAMES)
    except ValueError:
        assert not (VALID.is_valid(message) and named and finite)
        return
    assert VALID.is_valid(message)
    assert named
    assert finite
    assert batch.values.shape == (len(rows), 2)
    assert np.isfinite(batch.values).sum() == sum(
        value is not None for row in rows for name, value in row["values"].items() if name in NAMES
    )
    assert (np.diff(batch.ages_ns) <= 0).all()


@given(st.binary(max_size=60))
def test_no_bytes_do_anything_but_a_value_error(payload):
    try:
        parse(payload, NAMES)
    except ValueError:
        return


def test_more_than_the_rate_allows_is_refused_unread_and_counted():
    sensor, chunks = receive(25, *(gaze(n, sequence=n) for n in range(200)), max_rate_hz=10.0)  # 100 a second
    taken = [int(chunk.values[0, 0]) for chunk in chunks]
    assert taken[:10] == list(range(10))  # a second's worth at once
    assert np.diff(taken[11:]) == pytest.approx(10, abs=1)
    assert sum(chunk.lost for chunk in chunks) == taken[-1] + 1 - len(taken) == sensor.health.errors
    assert sensor.health.lost == sensor.health.errors
    assert sensor.health.state is SensorState.DEGRADED
    assert "more than 10 samples a second" in sensor.health.reason


def test_without_numbers_the_refused_messages_are_the_loss():
    _, chunks = receive(25, *(gaze(n) for n in range(200)), max_rate_hz=10.0)
    assert sum(chunk.lost for chunk in chunks) == int(chunks[-1].values[0, 0]) + 1 - len(chunks)


def test_a_batch_larger_than_the_rate_pays_it_back():
    batch = {"samples": [{"age_s": i / 100, **gaze(i)} for i in range(40)]}
    sensor, chunks = receive(2, *([batch] * 300), max_rate_hz=20.0)
    waited_s = (chunks[1].times_ns[-1] - chunks[0].times_ns[-1]) / NS_PER_S
    assert waited_s == pytest.approx(1.05, abs=0.02)  # 20 too many at 20 a second, and one more
    assert sensor.health.errors == chunks[1].lost > 0


def test_a_channel_that_never_comes_degrades_the_sensor_and_a_null_does_not():
    sensor, _ = receive(1, {"values": {"y": 1}})
    assert (sensor.health.state, sensor.health.reason) == (SensorState.DEGRADED, "no channel x")
    sensor, _ = receive(1, {"values": {"x": None, "y": 1}})
    assert sensor.health.state is SensorState.ONLINE
    many = tuple(Channel(f"c{i}", "") for i in range(200))
    clock = ManualClock()
    sensor = NetworkSensor("a", "", clock, Sender(clock, {"values": {"c3": 1}}), channels=many)
    next(iter(sensor.chunks(threading.Event())))
    assert sensor.health.reason == "no channel c0, c1, c2, c4, c5, c6, c7, c8 and 191 more"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([], "connected; nothing has come yet"),
        ([gaze(1), 0.5, gaze(1)], "nothing has come for 10 s"),  # one each half second: twenty are missing
        ([gaze(1), gaze(1)], "nothing has come for 5 s"),
        ([gaze(1), gaze(1), 6.0, b"?"], "a message was not used: it is not JSON"),
    ],
)
def test_a_sender_that_falls_silent_is_told_from_a_broker_that_is_away(script, words):
    clock = ManualClock()
    sensor = NetworkSensor("gaze", "eye", clock, Sender(clock, *script), channels=GAZE)
    assert words in said_until(sensor, words)[SensorState.OFFLINE]


def test_a_lost_connection_is_reported_and_made_again():
    clock = ManualClock()
    lost = [
        DeliveryError("the broker went", hint="is it running?"),
        ConnectionResetError(104, "reset by peer"),
    ]
    script = (gaze(0, sequence=0), *lost, gaze(3, sequence=3), gaze(4, sequence=4))
    sender = Sender(clock, *script)
    sensor = NetworkSensor("gaze", "eye", clock, sender, channels=GAZE)
    chunks = list(itertools.islice(sensor.chunks(threading.Event()), 3))
    assert [chunk.lost for chunk in chunks] == [0, 2, 0]
    assert sender.connections == 3
    assert (sensor.health.errors, sensor.health.reconnects) == (2, 1)
    assert sensor.health.state is SensorState.ONLINE

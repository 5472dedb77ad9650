"""Sparkplug without a network: payloads, metrics, and every order in which an edge node may speak."""

import json
from pathlib import Path

import pytest
from conftest import ROOT, free_port
from hypothesis import example, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from sparkplug_host import REBIRTH, Host, members, rows
from sparkplug_wire import PLAIN_OF, command, decode, metric
from sparkplug_words import OUTLINE, T0_MS, TOPICS, answer, event, health, percept, sensor

from edge_agent import config
from edge_agent.assembly import absences
from edge_agent.config_sparkplug import PERCEPTION, server_address
from edge_agent.delivery.message import Incoming, Message
from edge_agent.delivery.sparkplug import messages
from edge_agent.delivery.sparkplug.birth_number import FILE, BirthNumbers
from edge_agent.delivery.sparkplug.host import PrimaryHost
from edge_agent.delivery.sparkplug.kept import Kept
from edge_agent.delivery.sparkplug.orders import Orders
from edge_agent.delivery.sparkplug.picture import NODE, Picture
from edge_agent.delivery.sparkplug.readings import EVENT, declared, readings_of
from edge_agent.delivery.sparkplug.receipts import WINDOW, Receipts
from edge_agent.delivery.sparkplug.session import Aliases, Place, Session, state_topic
from edge_agent.delivery.sparkplug.values import DataSet, DataType, Quality, Reading, Template
from edge_agent.errors import ConfigurationError

unhurried = effort(deadline=None)
PLACE = Place("plant", "kitchen")
SCALARS = {
    DataType.INT64: st.integers(-(2**63), 2**63 - 1),
    DataType.DOUBLE: st.floats(allow_nan=False),
    DataType.BOOLEAN: st.booleans(),
    DataType.STRING: st.text(max_size=20),
}


def readings(message: Message) -> list[Reading]:
    kind = message.topic.split("/")[2]
    return readings_of(kind, json.loads(message.payload), OUTLINE)


def by_name(found: list[Reading]) -> dict[str, Reading]:
    return {reading.name: reading for reading in found}


# -- payloads ----------------------------------------------------------------------------------------------


@unhurried
@given(st.data())
def test_what_is_written_is_what_the_wire_says(data: st.DataObject):
    datatype = data.draw(st.sampled_from(sorted(SCALARS)))
    value = data.draw(st.none() | SCALARS[datatype])
    quality = data.draw(st.sampled_from(Quality))
    reading = Reading(NODE, data.draw(st.text(min_size=1, max_size=9)), datatype, value, T0_MS, quality)
    birth, old = data.draw(st.booleans()), data.draw(st.booleans())
    alias, seq = data.draw(st.none() | st.integers(0, 2**64 - 1)), data.draw(st.integers(0, 255))
    named = messages.Named(reading, alias, birth=birth, historical=old)
    body = decode(messages.encode([named], timestamp_ms=T0_MS + 1, seq=seq))
    assert (body["timestamp"], body["seq"]) == (T0_MS + 1, seq)
    (found,) = body["metrics"]
    assert found.get("name") == (reading.name if birth else None)
    assert found.get("datatype") == (int(datatype) if birth else None)
    assert found.get("alias") == alias
    assert bool(found.get("is_historical")) is old
    assert bool(found.get("is_null")) is (value is None)
    if value is not None:
        written = found[PLAIN_OF[datatype]]
        assert (written - 2**64 if datatype is DataType.INT64 and written >= 2**63 else written) == value
    said = found.get("properties", {"values": [{"type": 3, "int": 192}]})["values"]
    assert said == [{"type": 3, "int": int(quality)}]


def test_a_table_has_a_type_for_each_column_and_rows_of_that_width():
    table = DataSet(("Label", "P"), (DataType.STRING, DataType.DOUBLE), (("a", 0.25), ("b", 0.75)))
    named = messages.Named(Reading(NODE, "t", DataType.DATA_SET, table, 1), 1, birth=True)
    body = decode(messages.encode([named], timestamp_ms=1, seq=0))
    found = body["metrics"][0]["dataset"]
    assert (found["columns_count"], found["columns"], found["types"]) == (2, ["Label", "P"], [12, 10])
    assert rows(found) == [("a", 0.25), ("b", 0.75)]
    for columns, cells in (("a", ()), ("ab", (("x",),))):
        with pytest.raises(ValueError, match="columns"):
            DataSet(tuple(columns), (DataType.STRING,) * 2, cells)


@unhurried
@given(st.binary(max_size=200))
def test_any_bytes_are_a_command_or_are_refused(data: bytes):
    try:
        found = messages.orders(data)
    except messages.MalformedError:
        return
    assert all(isinstance(order, messages.Order) for order in found)


def test_without_protobuf_the_configuration_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError) as caught:
        messages.require()
    assert "iotlm-edge[sparkplug]" in caught.value.hint


# -- metrics -----------------------------------------------------------------------------------------------


def test_everything_that_is_said_was_declared_with_its_type():
    known = {(one.device, one.name): one.datatype for one in declared(OUTLINE, T0_MS)}
    for said in (percept("walking"), percept(None), event("walking", None), answer("yes"), health(1.0),
                 sensor("phone", "online")):  # fmt: skip
        found = readings(said)
        assert found
        for one in found:
            assert known[one.device, one.name] is one.datatype
            assert one.timestamp_ms == T0_MS


def test_a_percept_is_metrics_with_their_quality():
    found = by_name(readings(percept("walking", probability=0.75)))
    assert found["activity/Label"].value == "walking"
    assert found["activity/Label"].quality is Quality.GOOD
    table = found["activity/Probabilities"].value
    assert isinstance(table, DataSet)
    assert table.rows == (("walking", 0.75, True), ("seated", 0.25, False))
    assert found["Present/imu"].value is True
    assert found["Present/audio"].value is False
    assert found["gaze/x_cm"].value == 0.75
    unknown = by_name(readings(percept("walking", known=False)))
    assert unknown["activity/Label"].quality is Quality.BAD
    gone = by_name(readings(percept(None)))
    assert (gone["activity/Label"].value, gone["activity/Label"].quality) == (None, Quality.STALE)
    assert gone["activity/Probabilities"].value is None


def test_events_answers_and_figures_keep_their_names():
    first = by_name(readings(event("walking", None)))["activity/Event"].value
    assert isinstance(first, Template)
    assert first.reference == EVENT
    assert {name: value for name, _, value in first.members} == {
        "Label": "walking", "Previous": None, "Probability": 0.9
    }  # fmt: skip
    assert by_name(readings(answer("yes")))["Answer/Text"].value == "yes"
    assert by_name(readings(health(5.0)))["Health/Perceive p95 ms"].value == 2.5
    figures = readings(sensor("phone", "online", temperature_c=21.5))
    assert {one.device for one in figures} == {"phone"}
    assert by_name(figures)["Values/temperature_c"].value == 21.5
    refused = Message(TOPICS.answer("x"), b'{"id":"x","error":{},"time_utc":"2025-01-01T00:00:00Z"}')
    assert readings(refused) == []
    assert readings_of("info", {}, OUTLINE) == []


# -- the session -------------------------------------------------------------------------------------------

LABELS = st.sampled_from(["walking", "seated", None])
STATES = st.sampled_from(["online", "offline"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("percept"), LABELS, st.integers(-20, 20)),
        st.tuples(st.just("event"), st.sampled_from(["walking", "seated"]), LABELS),
        st.tuples(st.just("old"), LABELS, st.integers(0, 9)),
        st.tuples(st.just("unknown"), LABELS, st.integers(0, 9)),
        st.tuples(st.just("sensor"), st.sampled_from(OUTLINE.sensors), STATES),
        st.tuples(st.just("values"), st.sampled_from(["a", "b"]), st.integers(0, 3)),
        st.tuples(st.just("rebirth"), st.none(), st.none()),
        st.tuples(st.just("death"), st.none(), st.none()),
    ),
    max_size=40,
)  # fmt: skip


class Story:
    """An agent that lives through some steps, and a host that hears every message of it."""

    def __init__(self, bd_seq: int) -> None:
        self.host = Host()
        self.picture = Picture(declared(OUTLINE, T0_MS), absent=OUTLINE.sensors)
        self._aliases = Aliases()
        self._bd_seq = bd_seq
        self._session = Session(PLACE, bd_seq, self._aliases)
        self._n = 0

    def step(self, what: str, which: str | None, more: object) -> None:
        self._n += 1
        getattr(self, what)(which, more)
        if what not in ("old", "unknown", "death"):
            self.catch_up()

    @property
    def _now_ms(self) -> int:
        return T0_MS + 1000 * self._n

    def _say(self, said: list[Message], qos: int = 0) -> None:
        for message in said:
            self.host.hear(message.topic, message.payload, qos)

    def catch_up(self) -> None:
        for _ in range(2):
            if self._session.wants_birth:
                self._say(self._session.births(self.picture.now(), self._now_ms))
            self._say(self._session.follow(self.picture.now(), self._now_ms))

    def percept(self, label: str | None, late_s: int) -> None:
        found = readings(percept(label, self._n + late_s))
        self.picture.take_in(found)
        self.catch_up()
        self._say(self._session.tell(PERCEPTION, found, self._now_ms))

    def event(self, label: str, previous: str | None) -> None:
        self.picture.take_in(readings(event(label, previous, self._n)))

    def old(self, label: str | None, at_s: int) -> None:
        if self._session.born:
            self._say(self._session.recall(readings(percept(label, at_s - 100)), self._now_ms))

    def unknown(self, label: str | None, at_ms: int) -> None:
        if self._session.born:
            gone = Reading(PERCEPTION, "no/Label", DataType.STRING, label, at_ms)
            self._say(self._session.recall([gone], self._now_ms))

    def sensor(self, name: str, state: str) -> None:
        self.picture.take_in(readings(sensor(name, state, self._n)))
        self.picture.seen(name, there=state != "offline")

    def values(self, channel: str, value: int) -> None:
        self.picture.take_in(readings(sensor("phone", "online", self._n, **{channel: float(value)})))

    def rebirth(self, _which: None, _more: None) -> None:
        self._session.wants_birth = True

    def death(self, _which: None, _more: None) -> None:
        self._say([self._session.death(self._now_ms)], qos=1)
        self._bd_seq = (self._bd_seq + 1) % 256
        self._session = Session(PLACE, self._bd_seq, self._aliases)


@effort(deadline=None, max_examples=200)
@given(STEPS, st.integers(0, 255))
@example([("percept", "walking", 2), ("percept", "seated", 0)], 0)
@example([("sensor", "phone", "online"), ("sensor", "phone", "offline"), ("sensor", "phone", "online")], 0)
def test_whatever_happens_a_host_sees_what_the_agent_shows(steps: list[tuple], bd_seq: int):
    story = Story(bd_seq)
    for step in steps:
        story.step(*step)
    story.catch_up()
    shown = story.picture.now()
    assert set(story.host.devices) == set(shown)
    for device, metrics in shown.items():
        told = story.host.devices[device]
        assert set(metrics) == set(told.values) - {"bdSeq", REBIRTH}
        for name, reading in metrics.items():
            assert plainly(told.values[name]) == plainly(reading.value), name
            assert told.qualities[name] == reading.quality


def plainly(value: object) -> object:
    """What a metric shows, whether the agent or the host tells it."""
    match value:
        case DataSet():
            return list(value.rows)
        case Template():
            return {name: shown for name, _, shown in value.members}
        case {"columns": _}:
            return rows(value)
        case {"metrics": _}:
            return members(value)
        case _:
            return value


def test_the_number_goes_round_after_255():
    host, session = Host(), Session(PLACE, 0, Aliases())
    picture = Picture(declared(OUTLINE, T0_MS), absent=OUTLINE.sensors)
    said = session.births(picture.now(), T0_MS)
    for n in range(300):
        picture.take_in(readings(health(float(n), n)))
        said += session.follow(picture.now(), T0_MS)
    for message in said:
        host.hear(message.topic, message.payload)
    assert [one.body["seq"] for one in host.heard] == [n % 256 for n in range(302)]


def test_nothing_is_said_before_the_birth():
    session = Session(PLACE, 0, Aliases())
    picture = Picture(declared(OUTLINE, T0_MS))
    for speak in (
        lambda: session.follow(picture.now(), 1),
        lambda: session.tell(NODE, [], 1),
        lambda: session.recall([], 1),
    ):
        with pytest.raises(RuntimeError, match="before the birth"):
            speak()


def test_history_is_told_only_where_it_differs_and_to_metrics_that_exist():
    session = Session(PLACE, 0, Aliases())
    picture = Picture(declared(OUTLINE, T0_MS), absent=OUTLINE.sensors)
    host = Host()
    old = [one for n in range(5) for one in readings(percept("walking", n - 50))]
    said = session.births(picture.now(), T0_MS)
    said += session.recall([*old, Reading(PERCEPTION, "gone/Label", DataType.STRING, "x", 1)], T0_MS)
    for message in said:
        host.hear(message.topic, message.payload)
    labels = [(at, value) for _, name, at, value in host.old if name == "activity/Label"]
    assert labels == [(T0_MS - 50_000, "walking")]
    assert session.unknown == 1
    assert host.devices[PERCEPTION].values["activity/Label"] is None


def test_what_was_overtaken_is_history_and_a_clock_that_was_set_back_is_believed():
    host, session = Host(), Session(PLACE, 0, Aliases())
    picture = Picture(declared(OUTLINE, T0_MS), absent=OUTLINE.sensors)
    picture.take_in(readings(percept("walking", 60)))
    said = session.births(picture.now(), T0_MS)
    said += session.tell(PERCEPTION, readings(percept("seated", 59)), T0_MS)
    for message in said:
        host.hear(message.topic, message.payload)
    assert host.devices[PERCEPTION].values["activity/Label"] == "walking"
    assert (PERCEPTION, "activity/Label", T0_MS + 59_000, "seated") in host.old
    for message in session.tell(PERCEPTION, readings(percept("turning", -31_536_000)), T0_MS):
        host.hear(message.topic, message.payload)
    assert host.devices[PERCEPTION].values["activity/Label"] == "turning"


# -- the primary host --------------------------------------------------------------------------------------


def state(online: object, timestamp: object, host: str = "scada") -> Incoming:
    return Incoming(state_topic(host), json.dumps({"online": online, "timestamp": timestamp}).encode())


def test_a_host_is_online_when_it_says_so_and_what_is_older_does_not_count():
    host = PrimaryHost("scada")
    host.begin("a")
    assert not host.online
    assert not host.offline
    host.hear(state(True, 100))
    assert host.online
    host.hear(state(False, 99))
    assert host.online
    host.hear(state(False, 100))
    assert host.offline
    host.hear(state(True, 99))
    assert host.offline
    host.hear(state(True, 101))
    assert host.online
    host.begin("b")
    assert not host.online
    host.hear(state(True, 5))
    assert host.online, "each server has timestamps of its own"
    host.begin("a")
    host.hear(state(True, 100))
    assert not host.online, "what is older than the newest of this server"
    assert host.ignored == 3


@pytest.mark.parametrize(
    "payload",
    [b"", b"ONLINE", b"[]", b'{"online":true}', b'{"online":1,"timestamp":1}', b'{"timestamp":1}',
     b'{"online":true,"timestamp":"1"}', b'{"online":true,"timestamp":true}',
     b'{"online":true,"timestamp":NaN}', b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_state_is_ignored(payload: bytes):
    host = PrimaryHost("scada")
    host.begin("a")
    host.hear(Incoming(state_topic("scada"), payload))
    host.hear(state(True, 1, "another"))
    assert (host.online, host.offline, host.ignored) == (False, False, 2)


@unhurried
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=30))
def test_what_a_host_said_newest_counts(said: list[tuple[bool, int]]):
    host = PrimaryHost("scada")
    host.begin("a")
    newest: tuple[bool, int] | None = None
    for online, timestamp in said:
        host.hear(state(online, timestamp))
        if newest is None or timestamp >= newest[1]:
            newest = (online, timestamp)
    assert host.online is (newest is not None and newest[0])


def test_without_a_primary_host_nothing_is_waited_for():
    host = PrimaryHost(None)
    host.begin("a")
    assert (host.online, host.offline, host.topic) == (True, False, None)


# -- bdSeq -------------------------------------------------------------------------------------------------


def test_the_birth_number_begins_at_0_and_goes_on_after_a_restart(tmp_path: Path):
    numbers = BirthNumbers(tmp_path / "state")
    assert [numbers.take() for _ in range(3)] == [0, 1, 2]
    numbers.give_back()
    assert numbers.take() == 2
    killed = BirthNumbers(tmp_path / "state")
    assert killed.take() == 3, "it is on disk before it is used"
    numbers = BirthNumbers(tmp_path / "state")
    numbers.take()
    numbers.give_back()
    numbers.keep()
    again = BirthNumbers(tmp_path / "state")
    assert [again.take() for _ in range(254)] == [*range(4, 256), 0, 1]


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"bdSeq":256}', '{"bdSeq":true}', '{"bdSeq":"1"}', "\0"]
)
def test_a_damaged_file_begins_anew(tmp_path: Path, content: str):
    (tmp_path / FILE).write_text(content)
    assert BirthNumbers(tmp_path).take() == 0
    assert BirthNumbers(tmp_path).take() == 1


def test_a_disk_that_takes_nothing_stops_nothing(tmp_path: Path):
    (tmp_path / "file").write_text("")
    numbers = BirthNumbers(tmp_path / "file")
    assert [numbers.take(), numbers.take()] == [0, 1]


# -- commands ----------------------------------------------------------------------------------------------


def judge(
    *metrics: bytes, topic: str = "spBv1.0/plant/NCMD/kitchen", retain: bool = False
) -> tuple[bool, str]:
    aliases = Aliases()
    assert aliases.of(NODE, "Health/Uptime s") == 1
    orders = Orders(PLACE, aliases)
    asked = orders.judge(Incoming(topic, command(*metrics), retain))
    assert orders.refused == (orders.reason != "")
    return asked, orders.reason


def test_a_rebirth_is_asked_for_by_its_name_and_true():
    assert judge(metric(REBIRTH, value=True)) == (True, "")
    assert judge(metric(REBIRTH, value=False)) == (False, "")
    assert judge() == (False, "")
    asked, reason = judge(metric(REBIRTH, value=1))
    assert not asked
    assert "Boolean" in reason
    asked, reason = judge(metric(REBIRTH, value=True), retain=True)
    assert not asked
    assert "retained" in reason


def test_everything_else_is_refused_with_a_reason():
    assert judge(metric("Health/Uptime s", 3)) == (False, "'Health/Uptime s' cannot be written")
    assert judge(metric(None, 3, alias=1)) == (False, "'Health/Uptime s' cannot be written")
    assert judge(metric(None, 3, alias=9)) == (False, "the alias 9 cannot be written")
    assert judge(metric("x" * 500, None))[1] == f"'{'x' * 100}' cannot be written"
    asked, reason = judge(metric("State", "off"), topic="spBv1.0/plant/DCMD/kitchen/phone")
    assert not asked
    assert reason.startswith("phone: 'State' cannot be written")
    assert judge(metric("a", "b"), metric(REBIRTH, value=True))[0], "one wrong metric does not hide another"
    orders = Orders(PLACE, Aliases())
    assert not orders.judge(Incoming("spBv1.0/plant/NCMD/kitchen", b"\xff\xff"))
    assert "no Sparkplug B payload" in orders.reason
    assert not orders.judge(Incoming("spBv1.0/plant/NCMD/kitchen", bytes(70_000)))
    assert "at most" in orders.reason


# -- what waits --------------------------------------------------------------------------------------------


def test_in_memory_the_oldest_make_room_and_what_waited_is_history():
    kept = Kept(None, 10)
    kept.open()
    for n in range(12):
        kept.put(health(float(n)))
    assert (kept.queued, kept.dropped) == (10, 2)
    kept.begin()
    kept.put(health(99.0))
    assert kept.dropped == 3
    taken = kept.take(100)
    assert [one.body["uptime_s"] for one in taken] == [*range(3, 12), 99.0]
    assert [one.historical for one in taken] == [True] * 9 + [False]
    kept.give_back(taken)
    kept.begin()
    assert [one.historical for one in kept.take(3)] == [True] * 3
    kept.close()


def test_a_receipt_confirms_what_was_sent_before_it_was_asked_for():
    kept, receipts = Kept(None, 1000), Receipts()
    asked: list[int] = []

    def subscribe() -> int:
        asked.append(len(asked) + 1)
        return asked[-1]

    for n in range(WINDOW):
        kept.put(health(float(n)))
    receipts.sent += kept.take(1)
    receipts.ask(subscribe)
    assert asked == [], "not for every message"
    receipts.sent += kept.take(WINDOW // 2)
    receipts.ask(subscribe)
    receipts.sent += kept.take(5)
    receipts.ask(subscribe)
    assert asked == [1]
    assert receipts.room == WINDOW - WINDOW // 2 - 6
    assert receipts.come(7) == []
    assert len(receipts.come(1)) == WINDOW // 2 + 1
    assert receipts.come(1) == []
    assert len(receipts.all_come()) == 5
    assert receipts.room == WINDOW


# -- the configuration -------------------------------------------------------------------------------------

BASE = """
[model]
path = "m"
[[sensor]]
kind = "simulated"
name = "{name}"
slot = "imu_phone"
[sparkplug]
"""


def settings(text: str, name: str = "phone") -> config.Config:
    return config.loads(BASE.format(name=name) + text, ROOT)


def test_it_is_off_and_has_defaults():
    assert settings("").sparkplug.enabled is False
    wanted = settings('enabled = true\nservers = ["a", "b:1884", "[::1]:1885"]').sparkplug
    assert [server_address(one, 1883) for one in wanted.servers] == [("a", 1883), ("b", 1884), ("::1", 1885)]
    assert (wanted.group_id, wanted.primary_host_id, wanted.beside_json) == ("edge", None, True)


@pytest.mark.parametrize(
    ("text", "name", "key"),
    [
        ('group_id = "a/b"', "phone", "sparkplug.group_id"),
        ('edge_node_id = "a+"', "phone", "sparkplug.edge_node_id"),
        ('primary_host_id = "#"', "phone", "sparkplug.primary_host_id"),
        ('servers = ["a:b"]', "phone", "sparkplug.servers"),
        ('servers = ["a:99999"]', "phone", "sparkplug.servers"),
        ('servers = ["a", "a"]', "phone", "sparkplug.servers"),
        ('device_commands = "obey"', "phone", "sparkplug.device_commands"),
        ("enabled = true", "Perception", "sparkplug.enabled"),
        ('enabled = true\nbeside_json = false\n[mqtt]\ncommands = ["ask"]', "phone", "sparkplug.beside_json"),
    ],
)
def test_what_cannot_be_is_refused_with_its_key(text: str, name: str, key: str):
    with pytest.raises(ConfigurationError) as caught:
        settings(text, name)
    assert caught.value.key == key
    assert caught.value.hint


def test_the_check_looks_for_every_broker_of_the_edge_node():
    ports = [free_port() for _ in range(3)]
    servers = f'servers = ["127.0.0.1:{ports[1]}", "127.0.0.1:{ports[2]}"]'
    for beside, wanted in (("true", ports), ("false", ports[1:])):
        mqtt = f'[mqtt]\nhost = "127.0.0.1"\nport = {ports[0]}'
        told = list(absences(settings(f"enabled = true\nbeside_json = {beside}\n{servers}\n{mqtt}")))
        assert len(told) == len(wanted)
        for complaint, port in zip(told, wanted, strict=True):
            assert f"no broker at 127.0.0.1:{port}" in complaint

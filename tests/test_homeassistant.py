"""What Home Assistant is told: held against its own rules (homeassistant_rules.py), and rendered."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from agent_process import NODE, AgentProcess, configuration
from conftest import wait_for
from homeassistant_rules import attributes_of, check, render, state_of
from hypothesis import given, settings
from hypothesis import strategies as st
from listening import Listener

from edge_agent.clock import ManualClock
from edge_agent.delivery import payloads
from edge_agent.delivery.commands import MAX_QUESTION_CHARACTERS, Commands, Refusal, Request
from edge_agent.delivery.discovery import FILE, FORGET_S, SPREAD_S, Discovery, Memory
from edge_agent.delivery.homeassistant import ASKED_AS, Node, components, config_topic, message
from edge_agent.delivery.message import Incoming
from edge_agent.delivery.payloads import Flow, encode
from edge_agent.delivery.topics import Topics
from edge_agent.manifest import Manifest
from edge_agent.perception.pipeline import Pipeline
from edge_agent.types import Answer, AnswerSource, SensorHealth, SensorState

e2e = pytest.mark.e2e
builder = pytest.importorskip("random_model", reason="the random model is written with torch")

CONFIG_TOPIC = "homeassistant/device/kitchen/config"
SENSORS = {"phone": "imu_phone", "sound": "audio", "air": "air", "eyes": "gaze", "roof": ""}
MODEL = payloads.ModelId("random", "0", "0" * 64)


@cache
def wide_manifest() -> Manifest:
    """What the random model promises, over empty files: no test of a message needs its networks."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for file in (*(f"{slot}.onnx" for slot in builder.WIDE), "adapter.onnx", "lm-q8_0.gguf"):
            (folder / file).touch()
        return builder.make_manifest(folder, builder.WIDE)


@pytest.fixture
def manifest() -> Manifest:
    return wide_manifest()


def node_with(manifest: Manifest, sources: Mapping[str, str] = SENSORS, **more: Any) -> Node:
    facts: dict[str, Any] = {
        "topics": Topics("edge", "kitchen"), "pipeline": "main", "manifest": manifest, "sources": sources,
        "channels": {"roof": [("temperature", "degC"), ("pressure", "hPa"), ("gain", "1")]},
        "commands": ("ask",), "percept_interval_s": 1.0, "version": "1.2.3", **more,
    }  # fmt: skip
    return Node(**facts)


def checked(node: Node, removed: Mapping[str, str] = {}) -> dict[str, Any]:
    topic = config_topic("homeassistant", node.topics.node)
    return check(topic, encode(message(node, removed)))


# -- the message -------------------------------------------------------------------------------------------


def test_every_component_obeys_home_assistants_rules(manifest: Manifest):
    found = checked(node_with(manifest))["components"]
    assert {
        "task_activity_recognition", "task_event_detection", "task_occupancy", "fact_temperature", "fact_co2",
        "fact_gaze_x", "state_phone", "rate_phone", "lost_phone", "state_roof", "value_roof.temperature",
        "ask", "answer",
    } <= set(found)  # fmt: skip
    assert found["task_activity_recognition"]["options"][0] == "seated"
    assert found["fact_gaze_x"]["unit_of_measurement"] == "cm"
    classes = {name: found[name].get("device_class") for name in found if name[:4] in {"fact", "valu"}}
    assert classes["fact_temperature"] == classes["value_roof.temperature"] == "temperature"
    assert classes["fact_humidity"] == "humidity"
    assert classes["fact_co2"] == "carbon_dioxide"
    assert classes["value_roof.pressure"] == "atmospheric_pressure"
    assert "unit_of_measurement" not in found["value_roof.gain"]
    assert "fact_temperature_before" not in found


def test_the_rules_refuse_what_home_assistant_refuses(manifest: Manifest):
    good = message(node_with(manifest), {})
    breaks: list[tuple[str, dict[str, Any]]] = [
        ("task_event_detection", {"options": []}),
        ("task_event_detection", {"state_class": "measurement"}),
        ("task_event_detection", {"device_class": "temperature"}),
        ("fact_temperature", {"unit_of_measurement": "degC"}),
        ("fact_temperature", {"icons": "mdi:home"}),
        ("fact_temperature", {"unique_id": good["components"]["fact_co2"]["unique_id"]}),
        ("rate_phone", {"entity_category": "config"}),
        ("rate_phone", {"state_topic": "edge/+/state"}),
        ("ask", {"max": 400}),
        ("ask", {"device": {}}),
        ("answer", {"platform": "sensors"}),
    ]
    for name, change in breaks:
        bad = {**good, "components": {**good["components"], name: {**good["components"][name], **change}}}
        with pytest.raises(AssertionError):
            check(CONFIG_TOPIC, encode(bad))
    for key in ("device", "origin", "components"):
        with pytest.raises(AssertionError):
            check(CONFIG_TOPIC, encode({k: v for k, v in good.items() if k != key}))


def test_heads_that_no_sensor_serves_are_not_announced(manifest: Manifest):
    found = checked(node_with(manifest, {"sound": "audio"}, commands=()))["components"]
    assert set(found) == {"task_event_detection", "state_sound", "rate_sound", "lost_sound"}


def test_what_is_removed_has_its_platform_alone(manifest: Manifest):
    found = checked(node_with(manifest), {"state_old": "sensor", "text_old": "text"})["components"]
    assert found["state_old"] == {"platform": "sensor"}
    assert found["text_old"] == {"platform": "text"}


def test_a_head_without_facts_shows_its_few_numbers(manifest: Manifest):
    (gaze,) = manifest.numbers
    bare = manifest.model_copy(update={"numbers": (gaze.model_copy(update={"facts": ()}),)})
    found = checked(node_with(bare))["components"]
    part = found["number_gaze_x_cm"]
    assert (part["unit_of_measurement"], part["device_class"]) == ("cm", "distance")
    assert state_of(part, {"numbers": {"gaze": {"values": [1.5, None]}}}) == "1.5"
    assert state_of(found["number_gaze_y_cm"], {"numbers": {"gaze": {"values": [1.5, None]}}}) is None
    assert state_of(part, {}) is None
    many = gaze.model_copy(update={"facts": (), "numbers": tuple(f"wall_{i:02d}_m" for i in range(36))})
    crowded = manifest.model_copy(update={"numbers": (many,)})
    assert not [name for name in components(node_with(crowded)) if name.startswith("number_")]


def test_two_nodes_share_no_identity(manifest: Manifest):
    first, second = (
        {part["unique_id"] for part in components(node_with(manifest, topics=Topics("edge", name))).values()}
        for name in ("a", "a-b")
    )
    assert not first & second


def test_the_largest_model_stays_small_on_the_wire():
    """Sixteen slots, sixteen heads, every sensor: far below the smallest limit of a broker in common use.

    AWS IoT Core takes 128 KiB in a message; mosquitto, which Home Assistant ships, has no limit by default.
    """
    from export.catalog import HEADS, SLOT_FACTS, SLOTS
    from export.ship import describe_slot, fact_of

    small = wide_manifest()
    heads = list(HEADS.values())
    wide = small.model_copy(
        update={
            "slots": tuple(describe_slot(s, 4) for s in SLOTS),
            "tasks": tuple(builder._task(h, 300) for h in heads if not h.regression),
            "numbers": tuple(builder._numbers(h) for h in heads if h.regression),
            "facts": tuple(
                small.facts[0].model_copy(update={"slot": s, "facts": tuple(map(fact_of, f))})
                for s, f in SLOT_FACTS.items()
            ),
        }
    )
    node = node_with(wide, {f"{slot}_sensor": slot for slot in SLOTS})
    found = checked(node)
    size_bytes = len(encode(found))
    print(
        f"{len(SLOTS)} slots, {len(heads)} heads: {len(found['components'])} components, {size_bytes} bytes"
    )
    assert len(SLOTS) == len(heads) == 16
    assert len([n for n in found["components"] if n.startswith("task_")]) == 12
    assert size_bytes < 64 * 1024


# -- the templates -----------------------------------------------------------------------------------------


@cache
def wide_pipeline() -> Pipeline:
    return Pipeline(builder.shared(builder.WIDE).folder)


def seen(present: tuple[str, ...]) -> dict[str, Any]:
    """A percept of the random model as it is on the wire."""
    percept = wide_pipeline().perceive(builder.window(*present))
    said: dict[str, Any] = json.loads(encode(payloads.percept("0" * 26, percept, MODEL, ManualClock())))
    return said


def test_every_percept_can_be_shown(manifest: Manifest):
    found = {
        name: part
        for name, part in checked(node_with(manifest))["components"].items()
        if part.get("state_topic") == "edge/kitchen/percept/main"
    }
    whole = seen(builder.WIDE)
    states = {name: state_of(part, whole) for name, part in found.items()}
    assert len(states) > 6
    assert None not in states.values()
    assert states["task_event_detection"] == whole["tasks"]["event_detection"]["label"]
    assert whole["facts"]["temperature"].startswith(f"{states['fact_temperature']} ")
    attributes = attributes_of(found["task_event_detection"], whole)
    assert attributes["probability"] == whole["tasks"]["event_detection"]["probability"]
    assert attributes["simulated"] is False
    for other in (seen(("audio",)), seen(("gaze",)), {**whole, "tasks": {}, "facts": {}}):
        for part in found.values():
            state_of(part, other)
            if "json_attributes_topic" in part:
                attributes_of(part, other)
    nothing = {k: v for k, v in whole.items() if k != "facts"} | {"tasks": {}}
    assert {state_of(part, nothing) for part in found.values()} == {None}


def test_what_is_not_known_is_shown_as_unknown(manifest: Manifest):
    part = components(node_with(manifest))["task_event_detection"]
    whole = seen(builder.WIDE)
    whole["tasks"]["event_detection"]["known"] = False
    assert state_of(part, whole) is None


def test_every_sensor_state_can_be_shown(manifest: Manifest):
    found = components(node_with(manifest))
    for state in SensorState:
        for values in ({"temperature": 21.25, "pressure": 1013.0, "gain": float("nan")}, {}):
            body = payloads.sensor_state(
                "roof", "", SensorHealth(state, "why", lost=3), Flow(), values=values,
                missing_channels=["gain"], simulated=True, clock=ManualClock(),
            )  # fmt: skip
            assert state_of(found["state_roof"], body) == state
            assert state_of(found["rate_roof"], body) == "0.0"
            assert state_of(found["lost_roof"], body) == "3"
            assert state_of(found["value_roof.temperature"], body) == ("21.25" if values else None)
            assert state_of(found["value_roof.gain"], body) is None
            assert attributes_of(found["state_roof"], body)["reason"] == "why"


def test_availability_follows_the_state_of_the_node(manifest: Manifest):
    (availability,) = message(node_with(manifest), {})["availability"]
    assert availability["topic"] == "edge/kitchen/state"
    for online, shown in ((True, "online"), (False, "offline")):
        body = payloads.state(online=online, simulated=False)
        assert render(availability["value_template"], value_json=body) == shown


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=255))
def test_whatever_is_typed_arrives_as_a_question(typed: str):
    ask = components(node_with(wide_manifest()))["ask"]
    payload = render(ask["command_template"], value=typed).encode("utf-8", "replace")
    judging = Commands(Topics("edge", "kitchen"), ("ask",), ManualClock())
    verdict = judging.judge(Incoming(ask["command_topic"], payload))
    assert verdict is not None
    assert verdict.id == ASKED_AS
    if typed.strip():
        assert isinstance(verdict, Request)
        assert ask["max"] <= MAX_QUESTION_CHARACTERS


def test_answers_and_refusals_can_be_shown(manifest: Manifest):
    part = components(node_with(manifest))["answer"]
    assert part["state_topic"] == f"edge/kitchen/answer/{ASKED_AS}"
    long = Answer("what?", "x" * 1000, AnswerSource.FALLBACK, ({"label": "dog", "probability": 0.5},))
    body = payloads.answer(ASKED_AS, long, asked=True, simulated=False, clock=ManualClock())
    assert state_of(part, body) == "x" * 255
    assert attributes_of(part, body)["text"] == long.text
    refused = payloads.refusal(Refusal(ASKED_AS, "busy", "too many questions are waiting"), ManualClock())
    assert state_of(part, refused) == "too many questions are waiting"


# -- when it is said ---------------------------------------------------------------------------------------


def test_it_is_said_at_once_and_again_when_home_assistant_starts(manifest: Manifest, tmp_path: Path):
    clock = ManualClock()
    home = discovery(node_with(manifest), tmp_path, clock)
    (first,) = home.due(connected=False)
    assert first.retain
    check(first.topic, first.payload)
    assert home.due(connected=True) == []
    home.on_status(Incoming("homeassistant/status", b"offline"))
    clock.advance(round((SPREAD_S + 1) * 1e9))
    assert home.due(connected=True) == []
    home.on_status(Incoming("homeassistant/status", b"online"))
    waited_s = 0.0
    while not (again := home.due(connected=True)):
        clock.advance(50_000_000)
        waited_s += 0.05
        assert waited_s < SPREAD_S + 0.1
    assert again == [first]
    assert home.due(connected=True) == []


def discovery(
    node: Node | None, folder: Path, clock: ManualClock, prefix: str = "homeassistant"
) -> Discovery:
    return Discovery(node, prefix=prefix, memory=Memory(folder), clock=clock, source=random.Random(5))


def said(home: Discovery, connected: bool = True) -> dict[str, dict[str, Any] | None]:
    """topic -> components, None where the device is taken away."""
    return {
        m.topic: check(m.topic, m.payload)["components"] if m.payload else None
        for m in home.due(connected=connected)
    }


def test_a_sensor_that_left_is_removed_and_then_left_out(manifest: Manifest, tmp_path: Path):
    clock = ManualClock()
    (before,) = said(discovery(node_with(manifest), tmp_path, clock)).values()
    assert before is not None
    fewer = node_with(manifest, {"phone": "imu_phone", "roof": ""})
    for _ in range(2):  # the agent restarts before Home Assistant was heard of
        home = discovery(fewer, tmp_path, clock)
        (after,) = said(home).values()
        assert after is not None
        assert set(after) == set(before)
        assert after["state_sound"] == after["task_event_detection"] == {"platform": "sensor"}
        assert "unique_id" in after["state_phone"]
    clock.advance(round(FORGET_S * 1e9))
    assert said(home, connected=False) == {}  # nobody heard it
    assert said(home) == {}
    clock.advance(round(FORGET_S * 1e9))
    (last,) = said(home).values()
    assert last is not None
    assert set(last) == set(components(fewer))
    assert said(home) == {}
    (anew,) = said(discovery(fewer, tmp_path, clock)).values()
    assert anew is not None
    assert set(anew) == set(components(fewer))


def test_switched_off_everything_goes(manifest: Manifest, tmp_path: Path):
    clock = ManualClock()
    said(discovery(node_with(manifest), tmp_path, clock))
    home = discovery(None, tmp_path, clock)
    assert said(home) == {CONFIG_TOPIC: None}
    assert said(discovery(None, tmp_path, clock)) == {CONFIG_TOPIC: None}
    assert said(home) == {}
    clock.advance(round(FORGET_S * 1e9))
    assert said(home) == {}
    assert said(discovery(None, tmp_path, clock)) == {}


def test_under_another_prefix_the_old_message_goes(manifest: Manifest, tmp_path: Path):
    clock = ManualClock()
    said(discovery(node_with(manifest), tmp_path, clock))
    moved = said(discovery(node_with(manifest), tmp_path, clock, prefix="ha/discovery"))
    assert moved[CONFIG_TOPIC] is None
    assert moved["ha/discovery/device/kitchen/config"]


def test_never_switched_on_leaves_no_trace(tmp_path: Path):
    folder = tmp_path / "state"
    home = discovery(None, folder, ManualClock())
    assert said(home) == {}
    home.on_status(Incoming("homeassistant/status", b"online"))
    assert said(home) == {}
    assert not folder.exists()


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=200) | st.sampled_from([b"[]", b'{"a": 1}', b'{"a": null}', b"[" * 100_000]))
def test_a_spoilt_memory_is_begun_anew(tmp_path_factory: pytest.TempPathFactory, spoilt: bytes):
    folder = tmp_path_factory.mktemp("state")
    (folder / FILE).write_bytes(spoilt)
    (told,) = discovery(node_with(wide_manifest()), folder, ManualClock()).due(connected=True)
    assert told.topic == CONFIG_TOPIC
    assert CONFIG_TOPIC in Memory(folder).load()


def test_a_disk_that_cannot_be_written_stops_nothing(manifest: Manifest, tmp_path: Path):
    (tmp_path / "state").write_text("a file where the folder should be")
    assert CONFIG_TOPIC in said(discovery(node_with(manifest), tmp_path / "state", ManualClock()))


# -- a whole agent -------------------------------------------------------------------------------------------

SOUND = '[[sensor]]\nkind = "simulated"\nname = "sound"\nslot = "audio"\n'
PHONE = '[[sensor]]\nkind = "simulated"\nname = "phone"\nslot = "imu_phone"\n'
ROOM = '[[sensor]]\nkind = "i2c"\nname = "room"\nchip = "bme280"\nbus = "simulated"\n'
PATIENCE_S = 60.0
ON = "[homeassistant]\nenabled = true\n"


def configs(listener: Listener) -> list[Incoming]:
    return [m for m in list(listener.heard) if m.topic == CONFIG_TOPIC]


@e2e
def test_home_assistant_meets_a_whole_agent(broker: Any, random_model: Path, tmp_path: Path):
    file = configuration(tmp_path, random_model, broker.port, sensors=ON + SOUND + PHONE + ROOM, health_s=0.2)
    with Listener(broker.port) as listener, AgentProcess(file):
        wait_for(lambda: configs(listener), PATIENCE_S, "the discovery message")
        found = check(CONFIG_TOPIC, configs(listener)[0].payload)["components"]
        assert "value_room.temperature" in found
        listener.wait(f"{NODE}/percept", lambda m: {"audio", "imu_phone"} <= set(m["present"]))
        listener.wait(f"{NODE}/sensor/room/state", lambda m: m["values"])
        listener.send(found["ask"]["command_topic"], render(
            found["ask"]["command_template"], value='what do you "hear"?'
        ).encode())  # fmt: skip
        answer = listener.wait(found["answer"]["state_topic"])
        assert answer["question"] == 'what do you "hear"?'
        assert state_of(found["answer"], answer) == answer["text"][:255]
        shown = {name for name, part in found.items() if _shown(listener, part)}
        assert set(found) - {"ask"} == shown
        before = len(configs(listener))
        listener.send("homeassistant/status", b"online")
        wait_for(lambda: len(configs(listener)) > before, SPREAD_S + 5, "the message again")
    with Listener(broker.port) as late:
        wait_for(lambda: configs(late), 10, "the retained message")
        assert configs(late)[0].retain


def _shown(listener: Listener, part: dict[str, Any]) -> bool:
    """Every real message of its topics can be shown, and one of them showed something."""
    heard = listener.on(part["state_topic"]) if "state_topic" in part else []
    states = [state_of(part, body) for body in heard]
    for body in listener.on(part["json_attributes_topic"]) if "json_attributes_topic" in part else []:
        attributes_of(part, body)
    return any(state is not None for state in states)


@e2e
@pytest.mark.timeout(300)  # three agents, one after the other
def test_what_leaves_the_configuration_leaves_home_assistant(broker: Any, random_model: Path, tmp_path: Path):
    def run(sensors: str, arrived: Any) -> Incoming:
        file = configuration(tmp_path, random_model, broker.port, sensors=sensors, health_s=0.2)
        with Listener(broker.port) as listener, AgentProcess(file) as agent:
            wait_for(lambda: [m for m in configs(listener) if arrived(m)], PATIENCE_S, "it")
            code, _ = agent.end()
            assert code == 0
            return next(m for m in configs(listener) if arrived(m))

    run(ON + SOUND + PHONE, lambda m: b"state_phone" in m.payload)
    left = run(ON + SOUND, lambda m: b'"state_phone":{"platform":"sensor"}' in m.payload)
    parts = check(CONFIG_TOPIC, left.payload)["components"]
    assert parts["task_activity_recognition"] == {"platform": "sensor"}
    assert "unique_id" in parts["task_event_detection"]
    assert run(SOUND, lambda m: m.payload == b"").payload == b""
    with Listener(broker.port) as late:
        late.send("edge/done", {})
        late.wait("edge/done")
        assert not configs(late)

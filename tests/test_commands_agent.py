"""Commands over MQTT to whole agents: what they do, and what is said of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agent_process import NODE, AgentProcess, board, configuration
from conftest import Mosquitto, free_port, wait_for
from hot_plug_devices import KINDS
from listening import Listener

pytestmark = pytest.mark.e2e
ALL = ["ask", "status", "mute", "snapshot", "reload"]
STARTS_S = 60.0
"""A busy machine takes its time to import and load everything."""
SOUND = "[[sensor]]\nkind = 'simulated'\nname = 'sound'\nslot = 'audio'\n"
ROOM = "[[sensor]]\nkind = 'i2c'\nname = 'room'\nchip = 'bme280'\nbus = 'simulated'\n"


def allowing(file: Path, *verbs: str, more: str = "") -> Path:
    text = file.read_text().replace('commands = ["ask"]', f"commands = {list(verbs or ALL)}\n{more}")
    file.write_text(text)
    return file


def order(listener: Listener, verb: str, identity: str, **body: Any) -> dict[str, Any]:
    listener.send(f"{NODE}/cmd/{verb}", {**body, "id": identity})
    return listener.wait(f"{NODE}/reply/{identity}")


@dataclass
class Whole:
    """An agent that all tests give orders to; each leaves it as it was."""

    file: Path
    port: int
    process: AgentProcess


@pytest.fixture(scope="module")
def agent(shipped_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    folder = tmp_path_factory.mktemp("agent")
    broker = Mosquitto(folder)
    broker.start()
    file = configuration(folder, shipped_model, broker.port, health_s=0.2, mqtt="revert_after_s = 5")
    allowing(file).write_text(file.read_text() + ROOM)
    with Listener(broker.port) as listener, board(folder), AgentProcess(file) as process:
        listener.wait(f"{NODE}/percept", lambda m: len(m["present"]) == 3, STARTS_S)
        yield Whole(file, broker.port, process)
    broker.stop()


@pytest.fixture
def listener(agent: Whole) -> Iterator[Listener]:
    """Hears what is retained, and what is said during one test; all of it has to obey its schema."""
    with Listener(agent.port) as listener:
        yield listener
        listener.validate()


def test_what_an_agent_tells(agent: Whole, listener: Listener):
    before = listener.wait(f"{NODE}/health")["commands"]["carried_out"]
    listener.wait(f"{NODE}/sensor/room/state", lambda m: m["values"])
    status = order(listener, "status", "s1")["status"]
    assert status["info"]["commands"] == ALL
    assert set(status["sensors"]) == {"phone", "watch", "sound", "room"}
    assert status["sensors"]["room"]["state"] == "online"
    assert status["queue"]["accepted"] >= 1
    assert status["memory"]["enabled"]
    assert status["memory"]["lost"] == 0
    assert status["versions"]["python"]
    assert status["health"]["mqtt"]["connected"]
    snapshot = order(listener, "snapshot", "p1")["snapshot"]
    assert snapshot["percept"]["tasks"]
    assert set(snapshot["sensors"]["room"]["values"]) == {"temperature", "humidity", "pressure"}
    assert snapshot["sensors"]["sound"].keys() == {"age_s", "simulated"}, "no sound leaves the device"
    # A way back of MQTT 5.
    listener.send(f"{NODE}/cmd/status", b"", reply_to="replies/me", correlation=b"\7")
    assert listener.wait("replies/me")["verb"] == "status"
    listener.wait(f"{NODE}/health", lambda m: m["commands"]["carried_out"] == before + 3)
    (books, *_) = [m for m in listener.heard if m.topic == f"{NODE}/queue"]
    assert books.retain, "kept by the broker"
    counts = json.loads(books.payload)
    assert counts["accepted"] == sum(counts[k] for k in ("delivered", "queued", "expired", "evicted"))


def test_what_it_refuses(agent: Whole, listener: Listener):
    before = Counter(listener.wait(f"{NODE}/health")["commands"]["refused"])
    assert order(listener, "mute", "m0", sensor="nose", muted=True)["error"]["code"] == "unknown_sensor"
    assert order(listener, "mute", "m1", sensor="sound")["error"]["code"] == "malformed"
    assert order(listener, "talk", "t1")["error"]["code"] == "not_allowed"
    assert order(listener, "fly", "f1")["error"]["code"] == "unknown_command"
    refused = Counter(unknown_sensor=1, malformed=1, not_allowed=1, unknown_command=1)
    listener.wait(f"{NODE}/health", lambda m: Counter(m["commands"]["refused"]) - before == refused)


def test_a_sensor_is_muted_for_a_time(agent: Whole, listener: Listener):
    muted = order(listener, "mute", "m2", sensor="sound", muted=True, for_s=2)["mute"]
    assert muted == {"sensor": "sound", "muted": True, "for_s": 2, "closed": True}
    listener.wait(f"{NODE}/sensor/sound/state", lambda m: m["state"] == "muted")
    assert "sound" not in order(listener, "snapshot", "p2")["snapshot"]["sensors"]
    listener.wait(f"{NODE}/percept", lambda m: "audio" in m["missing"])
    wait_for(lambda: listener.on(f"{NODE}/sensor/sound/state")[-1]["state"] == "online", what="its return")
    wait_for(lambda: len(listener.on(f"{NODE}/percept")[-1]["present"]) == 3, what="percepts of all")


def test_a_configuration_is_read_again_and_a_wrong_one_is_refused(agent: Whole, listener: Listener):
    right = agent.file.read_text()
    order(listener, "mute", "m1", sensor="board", muted=True)
    agent.file.write_text(right.replace("language_deadline_s", "language_deadlin_s"))
    refused = order(listener, "reload", "r1")["error"]
    assert refused["code"] == "bad_configuration"
    assert "model.language_deadlin_s" in refused["message"]
    assert 'did you mean "language_deadline_s"' in refused["message"]
    more = right.replace("commands = ", "snapshot_raw = true\ncommands = ")
    agent.file.write_text(more + ROOM.replace("'room'", "'cellar'").replace("bme280", "sht31"))
    assert order(listener, "reload", "r2")["reload"] == {"state": "restarting"}
    assert listener.wait(f"{NODE}/state", lambda m: m["state"] == "offline")
    info = listener.wait(f"{NODE}/info", lambda m: "cellar" in m["sensors"])
    assert info["configuration"] == {"reverted": False, "reason": ""}
    listener.wait(f"{NODE}/sensor/cellar/state", lambda m: m["state"] == "online")
    assert listener.on(f"{NODE}/sensor/phone/state")[-1]["state"] == "muted", "still, after a restart"
    assert listener.on(f"{NODE}/state")[-1]["state"] == "online"
    assert agent.process.process.poll() is None
    # Sound leaves only where the configuration says so, as it now does.
    listener.wait(f"{NODE}/percept", lambda m: m["present"] == ["audio"])
    sound = order(listener, "snapshot", "p1")["snapshot"]["sensors"]["sound"]
    assert sound["raw"]["shape"][1] == 1
    assert len(sound["raw"]["base64"]) >= 4 * sound["raw"]["shape"][0]
    order(listener, "mute", "m3", sensor="board", muted=False)
    # The signal of service managers does the same.
    agent.file.write_text(right)
    agent.process.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "cellar" not in listener.on(f"{NODE}/info")[-1]["sensors"], what="the old file")
    received = [json.loads(m.payload)["delivery"] for m in listener.heard if b'"delivery"' in m.payload]
    numbers = [one["sequence"] for one in received if one["source"] == "percept/main"]
    assert set(numbers) == set(range(numbers[0], max(numbers) + 1)), "nothing was lost over the restarts"
    assert len({one["log"] for one in received}) == 1


def test_broker_settings_that_do_not_connect_are_left_and_nothing_is_lost(agent: Whole, listener: Listener):
    right, elsewhere = agent.file.read_text(), free_port()
    listener.wait(f"{NODE}/percept")
    agent.file.write_text(right.replace(f"port = {agent.port}", f"port = {elsewhere}"))
    assert order(listener, "reload", "r1")["reload"]
    info = listener.wait(f"{NODE}/info", lambda m: m["configuration"]["reverted"], 60)
    reason = info["configuration"]["reason"]
    assert f"127.0.0.1:{elsewhere} within 5 s" in reason
    assert f"127.0.0.1:{agent.port}" in reason
    health = listener.wait(f"{NODE}/health", lambda m: m["configuration"]["reverted"])
    assert health["configuration"]["reason"] == reason
    assert reason in agent.process.log.read_text()
    wait_for(
        lambda: any(m["delivery"]["historical"] for m in listener.on(f"{NODE}/percept")),
        what="what was perceived without a broker",
    )
    queue = listener.wait(f"{NODE}/queue", lambda m: m["queued"] < 5 and m["delivered"] > 10)
    assert queue["evicted"] == queue["expired"] == 0
    wait_for(lambda: not listener.on(f"{NODE}/percept")[-1]["delivery"]["historical"], what="live again")
    stamps = [m["delivery"] for m in listener.on(f"{NODE}/percept")]
    numbers = {one["sequence"] for one in stamps}
    assert numbers == set(range(min(numbers), max(numbers) + 1))
    agent.file.write_text(right)
    assert order(listener, "reload", "r2")["reload"]
    wait_for(lambda: not listener.on(f"{NODE}/info")[-1]["configuration"]["reverted"], what="the right file")


def test_a_microphone_that_is_muted_is_let_go_of(broker: Mosquitto, shipped_model: Path, tmp_path: Path):
    with (
        Listener(broker.port) as listener,
        contextmanager(KINDS["microphone"])(tmp_path, listener) as device,
    ):
        tables = f"[[sensor]]\n{device.table}\n{ROOM}"
        file = allowing(configuration(tmp_path, shipped_model, broker.port, sensors=tables, health_s=0.2))
        with AgentProcess(file, device.environment):
            state = f"{NODE}/sensor/mic/state"
            listener.wait(state, lambda m: m["state"] == "online" and m["samples"] > 1, STARTS_S)
            assert recorders(device.environment) == 1
            assert order(listener, "mute", "m1", sensor="mic", muted=True)["mute"]["closed"]
            assert wait_for(lambda: recorders(device.environment) == 0, what="the microphone to be free")
            listener.wait(state, lambda m: m["state"] == "muted")
            order(listener, "mute", "m2", sensor="mic", muted=False)
            wait_for(lambda: recorders(device.environment) == 1, what="the microphone to be taken")
            room = listener.wait(f"{NODE}/sensor/room/state", lambda m: m["samples"] > 5)
            assert (room["errors"], room["reconnects"], room["state"]) == (0, 0, "online")


def recorders(environment: dict[str, str]) -> int:
    """How many programs record from that PulseAudio."""
    done = subprocess.run(
        ["pactl", "list", "short", "source-outputs"],
        env={**os.environ, **environment}, capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    return len(done.stdout.splitlines())

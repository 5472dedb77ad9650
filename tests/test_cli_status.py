"""`edge-agent status` beside an agent, beside one that takes no commands, and without any."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from agent_process import NODE, AgentProcess, configuration
from conftest import Mosquitto, free_port, wait_for
from listening import Listener, validator
from rich.console import Console
from test_cli import run
from test_commands_agent import ROOM, SOUND, STARTS_S, allowing
from test_mqtt import local, running

from edge_agent import cli
from edge_agent.cli_status import details, headline, sensors_table
from edge_agent.delivery import inquiry
from edge_agent.delivery.message import Message
from edge_agent.errors import DeliveryError


def look(port: int, node: str = "n", timeout_s: float = 5.0) -> dict[str, Any]:
    return inquiry.look(local(port), node, identity="look", timeout_s=timeout_s)


def state(sensor: str, **more: Any) -> Message:
    body = {"sensor": sensor, "slot": "", "state": "online", "reason": "", "rate_hz": 4.0, **more}
    return Message(f"edge/n/sensor/{sensor}/state", json.dumps(body).encode(), retain=True)


def test_without_a_broker_or_an_agent_it_is_told_what_to_do(broker: Mosquitto):
    with pytest.raises(DeliveryError, match="ever spoken") as caught:
        look(broker.port)
    assert "edge-agent run" in caught.value.hint
    with running(local(broker.port)) as publisher:
        wait_for(lambda: publisher.status.acknowledged == 1, what="the birth")
    with pytest.raises(DeliveryError, match="is not running") as caught:
        look(broker.port)
    assert "edge-agent run" in caught.value.hint
    with pytest.raises(DeliveryError, match="no broker"):
        look(free_port())


def test_an_agent_that_takes_no_commands_is_seen_by_what_it_left(broker: Mosquitto):
    with running(local(broker.port)) as publisher:
        info = {"commands": ["ask"], "version": "1", "sensors": {"room": "", "mic": "audio"}}
        publisher.publish(Message("edge/n/info", json.dumps(info).encode(), retain=True))
        for message in (state("room"), state("mic", state="muted", reason="muted"), state("gone")):
            publisher.publish(message)
        wait_for(lambda: publisher.status.acknowledged == 5, what="acknowledgements")
        found = look(broker.port)
    assert found["source"] == "retained"
    assert {name: body["state"] for name, body in found["sensors"].items()} == {
        "room": "online", "mic": "muted"
    }  # fmt: skip
    assert "queue" not in found


def test_an_agent_that_is_online_and_says_nothing_is_told_of(broker: Mosquitto):
    with running(local(broker.port)) as publisher:
        publisher.publish(Message("edge/n/info", b'{"commands":["status"]}', retain=True))
        wait_for(lambda: publisher.status.acknowledged == 2, what="acknowledgements")
        with pytest.raises(DeliveryError, match=r"did not answer within 1.5 s") as caught:
            look(broker.port, timeout_s=1.5)
        assert "log" in caught.value.hint


def test_what_is_shown_fits_a_terminal_and_says_what_is_wrong():
    sensors = {
        "mic": {"state": "muted", "slot": "audio", "rate_hz": None, "samples": 5, "simulated": True},
        "board[red]": {"state": "offline", "slot": "imu_phone", "reason": "there is no [/dev/ttyACM0]"},
    }
    console = Console(width=100, record=True, color_system=None)
    console.print(sensors_table(sensors))
    text = console.export_text()
    assert "board[red]" in text, "what an agent says is no markup"
    assert "there is no [/dev/ttyACM0]" in text
    assert "muted simulated" in text
    said = {"info": {"configuration": {"reverted": True, "reason": "no connection to a:1"}}}
    assert "configuration: no connection to a:1" in list(headline("n", said))
    assert list(details({})) == []


@pytest.mark.e2e
def test_it_shows_a_whole_agent(broker: Mosquitto, shipped_model: Path, tmp_path: Path, capsys):
    file = configuration(tmp_path, shipped_model, broker.port, sensors=SOUND + ROOM, health_s=0.2)
    allowing(file, "status")
    with Listener(broker.port) as listener, AgentProcess(file):
        listener.wait(f"{NODE}/percept", lambda m: m["present"] == ["audio"], STARTS_S)
        listener.wait(f"{NODE}/queue", lambda m: m["delivered"])
        told = run("status", "-c", file, "--json")
        assert told.returncode == 0, told.stderr
        found = json.loads(told.stdout)
        assert found.pop("source") == "command"
        reply = {"id": "a", "verb": "status", "status": found, "time_utc": found["info"]["time_utc"]}
        validator("reply").validate(reply)
        assert cli.main(["status", "-c", str(file)]) == 0
        shown = capsys.readouterr().out
        print(shown)
        assert "\033[" not in shown
        for word in ("kitchen: online", "room", "sound", "queue:", "memory:", "versions:"):
            assert word in shown
    assert cli.main(["status", "-c", str(file)]) == 1
    gone = capsys.readouterr().err
    assert "not running" in gone
    assert "edge-agent run" in gone

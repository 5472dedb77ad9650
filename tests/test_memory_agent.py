"""The memory of a whole agent: asked over MQTT, killed and started again, looked at and erased beside it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from agent_process import NODE, AgentProcess, board, configuration
from conftest import ROOT, Mosquitto, wait_for
from listening import Listener

from edge_agent import cli, config
from edge_agent.assembly import assemble
from edge_agent.clock import ManualClock, SystemClock
from edge_agent.memory.database import EVER_NS, Database, Rows
from edge_agent.memory.notes import Event, Kind, Note
from edge_agent.memory.store import Store

S = 1_000_000_000


def edge_agent(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_agent", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def everything(database: Database) -> Rows:
    return database.rows(database.kinds(lambda _kind: True), -EVER_NS, EVER_NS)


@pytest.mark.e2e
def test_an_agent_remembers_is_killed_remembers_and_forgets(
    broker: Mosquitto, random_model: Path, tmp_path: Path
):
    file = configuration(tmp_path, random_model, broker.port)
    path = tmp_path / "state" / "memory.sqlite"
    with Listener(broker.port) as listener, board(tmp_path):
        with AgentProcess(file) as agent:
            listener.wait(f"{NODE}/percept", lambda m: len(m["present"]) == 3 and m["sequence"] > 10)
            ask = f"{NODE}/cmd/ask"
            listener.send(
                ask, {"question": "what happened in the last ten minutes?", "id": "q1", "asker": "me"}
            )
            told = listener.wait(f"{NODE}/answer/q1")
            assert told["source"] == "memory"
            assert told["simulated"]
            assert told["evidence"][0]["count"] >= 1
            # A model of random weights babbles, if it is loaded yet: its words are not used, and it says so.
            assert told["worded_by"] == "rules"
            assert told["reason"]
            listener.send(ask, {"question": "which sensor told you?", "id": "q2", "asker": "me"})
            assert "told me" in listener.wait(f"{NODE}/answer/q2")["text"]
            listener.send(ask, {"question": "what is the person doing?", "id": "q3", "asker": "me"})
            assert listener.wait(f"{NODE}/answer/q3")["source"] != "memory"
            listener.validate()
            agent.process.send_signal(signal.SIGKILL)
            agent.process.wait(10)
        beside = Database(path)
        before = everything(beside)
        assert len(before)
        assert (before["start_ns"] <= before["end_ns"]).all()
        with AgentProcess(file):
            count = beside.stat().runs
            wait_for(lambda: beside.stat().runs > count - 1 and beside.stat().intervals > len(before), 30)
            assert set(before["id"]) <= set(everything(beside)["id"])
            stat = edge_agent("memory", "stat", "-c", str(file), "--json")
            assert json.loads(stat.stdout)["intervals"] >= len(before)
            erased = edge_agent("memory", "erase", "-c", str(file), "--all")
            assert "forgotten" in erased.stdout
            left = set(everything(beside)["id"])
            assert not left & set(before["id"])
        beside.close()


def test_typed_spoken_and_sent_questions_go_one_way():
    """Whoever asks puts a job into the mailbox of the wording; nothing else reaches memory or model."""
    sources = {path.name: path.read_text() for path in (ROOT / "edge_agent").rglob("*.py")}
    assert [name for name, text in sources.items() if "recall.answer(" in text] == ["wording.py"]
    assert [name for name, text in sources.items() if "language.ask(" in text] == ["wording.py"]
    assert [name for name, text in sources.items() if "language.write(" in text] == ["wording.py"]


def test_erased_is_what_came_since_the_time_that_was_named(tmp_path: Path, random_model: Path, capsys):
    file = configuration(tmp_path, random_model, 1)
    clock = ManualClock(S, time.time_ns() - 3601 * S)
    store = Store(tmp_path / "state" / "memory.sqlite", clock)
    for ago_min in (60, 30, 10, 5):
        clock.advance((time.time_ns() - ago_min * 60 * S - clock.wall_ns()) / S)
        store.event(Event(f"{ago_min} minutes ago", clock.monotonic_ns(), "sound", "dog", None, 0.9))
        store.observe(Note(clock.monotonic_ns(), ago_min, {"sound": (Kind("sound", "dog"), 0.9)}))
    store.close()
    assert cli.main(["memory", "erase", "-c", str(file), "--since", "ten minutes ago"]) == 0
    assert "forgotten" in capsys.readouterr().out
    beside = Database(tmp_path / "state" / "memory.sqlite")
    told = [event.id for event in beside.events(-EVER_NS, EVER_NS)]
    beside.close()
    assert told == ["60 minutes ago", "30 minutes ago"]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
def test_today_is_the_day_of_the_configured_place(tmp_path: Path, random_model: Path, zone: str):
    file = configuration(tmp_path, random_model, 1)
    file.write_text(file.read_text() + f"[memory]\ntime_zone = '{zone}'\n")
    recall = assemble(config.load(file), SystemClock()).recall
    assert recall is not None
    answer = recall.answer("was the microphone working today?", "me")
    assert answer is not None
    start = datetime.fromisoformat(str(answer.evidence[0]["start_utc"])).astimezone(ZoneInfo(zone))
    assert (start.hour, start.minute, start.second) == (0, 0, 0)


def test_nothing_to_look_at_and_no_time_are_clear_errors(tmp_path: Path):
    file = tmp_path / "edge-agent.toml"
    file.write_text(
        "[model]\npath = 'models/iotlm-7m'\n[[sensor]]\nkind = 'simulated'\nname = 'a'\nslot = 'audio'\n"
    )
    nothing = edge_agent("memory", "stat", "-c", str(file))
    assert nothing.returncode == 1
    assert "nothing is remembered yet" in nothing.stderr
    assert not (tmp_path / "state").exists()
    no_time = edge_agent("memory", "erase", "-c", str(file), "--since", "the flood")
    assert no_time.returncode == 1
    assert "no time that I understand" in no_time.stderr
    file.write_text(file.read_text() + "[memory]\ntime_zone = 'Mars/Olympus'\n")
    wrong = edge_agent("memory", "stat", "-c", str(file))
    assert wrong.returncode == 78
    assert "memory.time_zone" in wrong.stderr

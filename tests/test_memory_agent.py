"""The memory of a whole agent: asked over MQTT, killed and started again, looked at and erased beside it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from agent_process import NODE, AgentProcess, board, configuration
from conftest import ROOT, Mosquitto, wait_for
from listening import Listener

from edge_agent.memory.database import EVER_NS, Database, Rows


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

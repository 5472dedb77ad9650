"""The whole model in a real agent: every slot from its own driver, every head, and a sensor that is lost."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from agent_process import NODE, AgentProcess, tone
from conftest import ROOT, Mosquitto, wait_for
from listening import Listener

from benchmarks import every_sensor
from edge_agent import config, manifest
from edge_agent.assembly import check
from edge_agent.manifest import FORMAT, Manifest

LIMIT_MIB = 450.0
PATIENCE_S = 150.0
ID, ASKED_AT_MOST = "every", 10
SOON_COVERED = "[windows]\nmin_coverage = 0.05\n"
"""The air would be perceived after eight minutes only: here its first grid point counts."""


@pytest.fixture(scope="module")
def whole_model() -> Path:
    """The shipped model, or the folder that EDGE_AGENT_MODEL names."""
    folder = Path(os.environ.get("EDGE_AGENT_MODEL", ROOT / "models" / "iotlm-7m"))
    said = json.loads((folder / manifest.MANIFEST_NAME).read_text())
    if said["format"] != FORMAT:
        pytest.skip(f"{folder} is of format {said['format']}: the whole model is not shipped yet")
    return folder


def test_the_document_is_accepted_as_it_stands(whole_model: Path, tmp_path: Path):
    settings = config.loads(every_sensor.configuration(tmp_path, whole_model, 1883), tmp_path)
    promised = check(settings)
    assert set(settings.perceived.values()) == {slot.name for slot in promised.slots}


@dataclass
class Running:
    """An agent with every sensor."""

    manifest: Manifest
    agent: AgentProcess
    listener: Listener
    unplug: dict[str, Any]

    def percept(self, present: set[str]) -> dict[str, Any]:
        """The next percept with just these slots."""
        topic = f"{NODE}/percept"
        seen = max((m["sequence"] for m in self.listener.on(topic)), default=0)
        return self.listener.wait(
            topic, lambda m: m["sequence"] > seen and set(m["present"]) == present, timeout_s=PATIENCE_S
        )

    def answer(self, question: str) -> dict[str, Any]:
        """The answer, also where the machine is so busy that few percepts are new and whole."""
        topic, said = f"{NODE}/answer/{ID}", {"question": question, "id": ID}
        for _ in range(ASKED_AT_MOST):
            self.percept({slot.name for slot in self.manifest.slots})
            before = len(self.listener.on(topic))
            self.listener.send(f"{NODE}/cmd/ask", said)
            wait_for(lambda: len(self.listener.on(topic)) > before, PATIENCE_S, topic)  # noqa: B023  (called here)
            answer = self.listener.on(topic)[-1]
            if answer["reason"] not in ("stale data", "no data for this"):
                return answer
        pytest.fail(f"{question} was answered without data {ASKED_AT_MOST} times")


@pytest.fixture(scope="module")
def running(whole_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("every")
    broker, promised = Mosquitto(folder), manifest.read(whole_model)
    broker.start()
    text = every_sensor.configuration(folder, whole_model, broker.port)
    sound = f'kind = "replay"\nfiles = ["{tone(folder / "sound.wav", 4.0)}"]'
    text = text.replace('kind = "simulated"', sound, 1)
    assert sound in text
    file = folder / "edge-agent.toml"
    file.write_text(SOON_COVERED + text)
    with ExitStack() as stack:
        stack.callback(broker.stop)
        unplug = stack.enter_context(every_sensor.devices(folder, promised, broker.port))
        listener = stack.enter_context(Listener(broker.port, f"{NODE}/#"))
        agent = stack.enter_context(AgentProcess(file))
        yield Running(promised, agent, listener, unplug)


@pytest.mark.e2e
@pytest.mark.timeout(400)
class TestEveryModality:
    """In this order: the last test takes a sensor away."""

    def test_every_slot_is_perceived_and_every_head_is_read(self, running: Running):
        percept = running.percept({slot.name for slot in running.manifest.slots})
        assert percept["missing"] == []
        assert set(percept["tasks"]) == {head.name for head in running.manifest.tasks}
        assert set(percept["numbers"]) == {head.name for head in running.manifest.numbers}
        found = list(_numbers([percept["tasks"], percept["numbers"]]))
        assert len(found) > 100
        assert all(map(math.isfinite, found))
        for head in running.manifest.heads:
            said = (percept["tasks"] | percept["numbers"])[head.name]
            assert set(said["alpha"]) == running.manifest.serving(head.name)

    def test_a_receiver_that_fills_its_slot_still_says_how_good_its_fix_is(self, running: Running):
        state = running.listener.wait(f"{NODE}/sensor/gps/state", lambda m: m.get("fix_quality"))
        assert (state["slot"], state["fix_quality"]) == ("gps", 8)

    def test_three_of_them_can_be_asked_about(self, running: Running):
        for head in ("posture", "touch", "gaze"):
            answer = running.answer(running.manifest.head(head).question)
            print(answer["question"], "->", answer["text"], f"({answer['source']} {answer['reason']})")
            assert answer["text"]
            assert "failed" not in f"{answer['text']} {answer['reason']}"
            rests_on = {
                fact.get("task", fact.get("fact", "").partition("_")[0]) for fact in answer["evidence"]
            }
            assert head in rests_on

    def test_it_keeps_within_its_memory(self, running: Running):
        agent = psutil.Process(running.agent.process.pid)
        parts = [p.memory_info().rss / 2**20 for p in (agent, *agent.children(recursive=True))]
        print(f"agent {parts[0]:.1f} MiB and {len(parts) - 1} worker {sum(parts[1:]):.1f} MiB resident")
        assert len(parts) == 2
        assert sum(parts) < LIMIT_MIB

    def test_a_lost_sensor_takes_its_own_slot_and_nothing_else(self, running: Running):
        slots = {slot.name for slot in running.manifest.slots}
        running.unplug["scanner"]()
        percept = running.percept(slots - {"lidar"})
        lost = {"motion", "walls"}
        assert percept["missing"] == ["lidar"]
        assert set(percept["tasks"]) == {head.name for head in running.manifest.tasks}
        assert set(percept["numbers"]) == {head.name for head in running.manifest.numbers} - lost


def _numbers(value: object) -> Iterator[float]:
    """Every number in a piece of JSON."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value

"""Questions that follow on one about now, worded by the shipped language model in its process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, wait_for

from edge_agent import config
from edge_agent.assembly import Parts, assemble
from edge_agent.clock import SystemClock
from edge_agent.delivery.commands import Request
from edge_agent.types import Answer, Conditioning, Percept, TaskPercept
from edge_agent.wording import Job, Wording

MODEL = ROOT / "models" / "iotlm-7m"
SETTINGS = f"""
[model]
path = "{MODEL}"
[memory]
enabled = false
[[sensor]]
kind = "simulated"
name = "sound"
slot = "audio"
[[sensor]]
kind = "simulated"
name = "wrist"
slot = "imu_watch"
"""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    if not (MODEL / "manifest.json").is_file():
        pytest.skip("no shipped model in models/iotlm-7m")
    file: Path = tmp_path_factory.mktemp("agent") / "edge-agent.toml"
    file.write_text(SETTINGS)
    made = assemble(config.load(file), SystemClock())
    made.language.start()
    made.language.wait_ready(60.0)
    yield made
    made.language.stop()


def percept_of(parts: Parts, **labels: str) -> Percept:
    """Small random soft tokens: what the model reads from them does not matter here."""
    rng, spec = np.random.default_rng(1), parts.manifest.adapter
    soft = rng.normal(0, 0.05, (spec.n_soft, spec.n_embd)).astype(np.float32)
    control = rng.normal(0, 0.01, (spec.n_layer - 1, spec.n_embd)).astype(np.float32)
    tasks = {
        head: TaskPercept(head, label, 0.9, {label: 0.9}, {slot: 1.0}, 0.0, known=True)
        for (head, label), slot in zip(labels.items(), ("audio", "imu_watch"), strict=True)
    }
    now_ns = parts.clock.monotonic_ns()
    return Percept(1, now_ns, tasks, ("audio", "imu_watch"), (), Conditioning(soft, control))


def asked(parts: Parts, *turns: tuple[str, str]) -> list[str]:
    """What is answered to each (asker, question)."""
    answers: list[Answer] = []
    percept = percept_of(parts, event_detection="rain", activity_recognition="seated")
    wording, stop = Wording(parts, lambda: percept, lambda _: None), threading.Event()
    for i, (asker, question) in enumerate(turns):
        request = Request(f"q{i}", question, asker=asker)
        assert wording.jobs.offer(Job(request.id, question, request, percept, answers.append))
    thread = threading.Thread(target=wording.run, args=(stop,))
    thread.start()
    wait_for(lambda: len(answers) == len(turns), 60)
    stop.set()
    thread.join(10)
    return [answer.text for answer in answers]


@pytest.mark.parametrize("follows", ["which sensor told you?", "from which sensor?"])
@pytest.mark.parametrize(
    ("question", "sensor", "other"),
    [
        ("what is the person doing?", "the watch", "the microphone"),
        ("what do you hear?", "the microphone", "the watch"),
    ],
)
def test_what_names_nothing_goes_with_the_question_before(
    parts: Parts, question: str, sensor: str, other: str, follows: str
):
    _, text = asked(parts, ("one", question), ("one", follows))
    assert sensor in text
    assert other not in text


def test_another_asker_does_not_share_it(parts: Parts):
    turns = [("one", "what is the person doing?"), ("one", "are you sure?")]
    alone = asked(parts, ("two", "are you sure?"))
    between = asked(parts, turns[0], ("two", "are you sure?"), turns[1])
    assert between[1] == alone[0]
    assert between[2] == asked(parts, *turns)[1]

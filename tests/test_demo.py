"""The demo: what it puts before the agent, what it shows, and the whole of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from agent_process import NODE, AgentProcess, board, configuration
from conftest import ROOT
from listening import Listener
from rich.console import Console

from edge_agent import recordings
from edge_agent.delivery.message import Incoming
from edge_agent.delivery.topics import Topics
from edge_agent.demo_world import MOTION, invented, recorded
from edge_agent.liveview import Lines, View, render

e2e = pytest.mark.e2e

PHONE = {
    "sensor": "phone", "slot": "imu_phone", "state": "online", "reason": "", "rate_hz": 100.0,
    "jitter_ms": 1.0, "gaps": 2, "age_s": 0.5, "samples": 101, "lost": 0, "errors": 0, "reconnects": 0,
    "dropped_chunks": 0, "simulated": False, "time_utc": "2025-01-01T00:00:01.500Z",
}  # fmt: skip
PERCEPT = {
    "time_utc": "2025-01-01T00:00:01.500Z", "simulated": False, "present": ["imu_phone"], "missing": [],
    "tasks": {
        MOTION: {
            "label": "walking", "probability": 0.93, "probabilities": {}, "alpha": {"imu_phone": 1.0},
            "novelty": -4.0, "known": True,
        }
    },
}  # fmt: skip


def view(*messages: tuple[str, object]) -> View:
    made = View(Topics("edge", "demo"))
    for topic, body in messages:
        made.take(Incoming(f"edge/demo/{topic}", json.dumps(body).encode()))
    return made


def no_truth(*_: object) -> str:
    return ""


def drawn(made: View) -> str:
    console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(render(made, no_truth, "title"))
    return console.export_text()


def test_the_view_shows_what_was_published():
    said = {
        "text": "The person is walking.", "source": "language_model", "reason": "", "latency_ms": 12.0,
        "asked": False, "simulated": False,
    }  # fmt: skip
    text = drawn(view(("sensor/phone/state", PHONE), ("percept/main", PERCEPT), ("answer/x", said)))
    for word in (
        "phone",
        "online",
        "100 Hz",
        "walking",
        "93 %",
        "alpha of imu_phone",
        "The person is walking.",
    ):
        assert word in text
    assert "simulated" not in text


def test_what_is_simulated_is_labelled_in_every_form():
    made = view(("sensor/phone/state", {**PHONE, "simulated": True}))
    assert drawn(made).count("simulated") == 2
    percept = {**PERCEPT, "simulated": True}
    lines = list(Lines().of(made, "percept", percept, no_truth, 0.0))
    assert lines
    assert all(line.startswith("simulated ") for line in lines)


def test_the_picture_shows_the_view_and_needs_no_server():
    from xml.etree import ElementTree as ET

    from edge_agent.demo import draw

    svg = draw(view(("sensor/phone/state", PHONE), ("percept/main", PERCEPT)), invented())
    ET.fromstring(svg)
    assert "walking" in svg
    assert "url(http" not in svg
    assert "cdn" not in svg


def test_a_view_of_nothing_yet():
    assert "nothing perceived yet" in drawn(view())


def test_messages_that_are_no_json_are_passed_over():
    made = view()
    assert made.take(Incoming("edge/demo/percept/main", b"\xff")) == ("", {})
    assert made.take(Incoming("edge/demo/percept/main", b"[]")) == ("", {})
    assert made.percepts == 0


def test_plain_lines_tell_what_is_new_and_not_the_same_again():
    made, lines = view(), Lines()
    assert list(lines.of(made, "sensor", PHONE, no_truth, 0.0)) == [
        "sensor phone online, 100 Hz, 2 gaps, 0 lost"
    ]
    assert list(lines.of(made, "sensor", {**PHONE, "samples": 200}, no_truth, 0.1)) == []
    assert len(list(lines.of(made, "percept", PERCEPT, no_truth, 0.2))) == 1
    assert list(lines.of(made, "percept", PERCEPT, no_truth, 0.3)) == []
    assert len(list(lines.of(made, "percept", PERCEPT, no_truth, 9.0))) == 1


def test_the_invented_world_says_that_it_is_simulated():
    world = invented()
    assert {s.name for s in world.streams} == {"phone", "watch"}
    assert all(s.simulated for s in world.streams)
    assert world.truth(view(("sensor/phone/state", PHONE)), MOTION, PERCEPT) == ""


def test_recordings_are_played_in_step_and_told_beside_the_percept(demo_recordings: Path):
    found = recordings.find(folder=demo_recordings)
    assert found is not None
    world = recorded(found)
    phone, watch = world.streams
    assert not phone.simulated
    assert abs(int(phone.t_us[-1]) - int(watch.t_us[-1])) < 50_000
    assert len(world.labels) == len(phone.t_us)
    # The newest sample, row 100, is half a second old at 1.5 s; the window's middle is half a second before
    # its end, so at that very row; and one second later a second further on.
    made = view(("sensor/phone/state", PHONE))
    assert world.truth(made, MOTION, PERCEPT) == world.labels[100]
    at_us = int(phone.t_us[100]) + 5_000_000
    row = int(np.searchsorted(phone.t_us, at_us, side="right")) - 1
    later = {**PERCEPT, "time_utc": "2025-01-01T00:00:06.500Z"}
    assert world.truth(made, MOTION, later) == world.labels[row]
    # After the last sample it begins again.
    lap_s = (int(phone.t_us[-1]) - int(phone.t_us[100])) * 1e-6 + 0.01
    again = {**PERCEPT, "time_utc": f"2025-01-01T00:00:{1.55 + lap_s:06.3f}Z"}
    assert world.truth(made, MOTION, again) == world.labels[0] == "seated"


def demo(model: Path, *, data: Path | None, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if data is not None:
        environment["EDGE_AGENT_DATA"] = str(data)
    if path is not None:
        environment["PATH"] = path
    return subprocess.run(
        [sys.executable, "-m", "edge_agent", "demo", "--duration", "8", "--model", str(model)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=110,
        check=False,
        env=environment,
    )


@e2e
def test_the_whole_demo_on_real_recordings(demo_recordings: Path, random_model: Path):
    done = demo(random_model, data=demo_recordings.parent)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    for word in (
        "sensor phone online",
        "sensor sound online",
        "recorded: ",
        "alpha imu_phone",
        "mosquitto_sub",
    ):
        assert word in done.stdout
    assert "simulated" not in done.stdout
    assert done.stdout.count("?\n    ") == 3  # three questions with their answers
    assert "\033[" not in done.stdout


@e2e
def test_the_demo_says_plainly_when_it_is_simulated(random_model: Path, tmp_path: Path):
    """No recordings, no cache, and a network that leads nowhere."""
    environment = {
        "EDGE_AGENT_DATA": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path),
        "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", "demo", "--duration", "6", "--model", str(random_model)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=110,
        check=False,
        env={**os.environ, **environment},
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert "simulated sensor phone online" in done.stdout
    assert "simulated sensor sound online" in done.stdout
    assert "simulated activity_recognition" in done.stdout
    assert done.stdout.count("    simulated ") == 3
    assert "recorded: " not in done.stdout


@e2e
def test_the_demo_brings_its_own_broker_where_none_is_installed(random_model: Path, tmp_path: Path):
    pytest.importorskip("amqtt", reason="the broker for machines without mosquitto")
    from edge_agent.delivery.request import ask
    from edge_agent.demo_processes import broker_command

    command, settings, name = broker_command(tmp_path, search="")
    assert (name, settings.protocol) == ("amqtt", "3.1.1")
    file = configuration(tmp_path, random_model, settings.port, mqtt='protocol = "3.1.1"')
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with board(tmp_path), AgentProcess(file), Listener(settings.port, protocol="3.1.1") as listener:
                listener.wait(f"{NODE}/percept", lambda m: len(m["present"]) == 3, 40)
                reply = ask(settings, "kitchen", "what is the person doing?", identity="q", timeout_s=10)
                assert reply["text"]
                listener.wait(f"{NODE}/answer/q")
                listener.validate()
        finally:
            process.terminate()


def test_a_demo_without_a_model_says_so(tmp_path: Path):
    done = demo(tmp_path, data=tmp_path)
    assert done.returncode == 1
    assert "no model at" in done.stderr

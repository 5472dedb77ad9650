"""Nothing downstream of a sensor may delay it, and no clock but the monotonic one may cut a window."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from agent_process import NODE, AgentProcess, board, configuration
from conftest import ROOT, Mosquitto, wait_for
from file_systems import file_system, small_disk
from jsonschema import Draft202012Validator
from listening import Listener

from edge_agent import config
from edge_agent.assembly import assemble, make_sensors
from edge_agent.clock import PacingClock, SystemClock
from edge_agent.config import Config
from edge_agent.delivery import payloads
from edge_agent.manifest import Manifest
from edge_agent.record.info import info
from edge_agent.record.mcap_file import RecordingReader
from edge_agent.runtime import Agent
from edge_agent.threads import begin, join
from edge_agent.types import Chunk, Sensor, SensorHealth, SensorState

pytestmark = pytest.mark.e2e
STALL_S = 4.0
BUSY_S = 60.0
AWAY_S = 10.0
MOST_JITTER_MS = 60.0
PERIODS_HZ = {"room": 4, "heat": 10}
"""Chips that are read so often."""
MOST_LOST = {"room": 0, "heat": 2}
"""On a busy machine one of the reads may be late by up to 300 ms; one that waits for 400 ms loses three."""
DISK_BYTES = 65_536
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
STATE = f"{NODE}/sensor/{{}}/state"
ROOM = """
[[sensor]]
kind = "i2c"
name = "room"
chip = "d6t"
bus = "simulated"
[[sensor]]
kind = "i2c"
name = "heat"
chip = "amg8833"
bus = "simulated"
[[sensor]]
kind = "simulated"
name = "sound"
slot = "audio"
"""


def language_worker(agent: AgentProcess) -> psutil.Process:
    def find() -> psutil.Process | None:
        children = psutil.Process(agent.process.pid).children(recursive=True)
        return next((c for c in children if "worker_main" in " ".join(c.cmdline())), None)

    found = wait_for(find, 20, "the language model's worker")
    assert isinstance(found, psutil.Process)
    return found


class Recorded(AgentProcess):
    """`edge-agent run --record`, started by the command `by`."""

    def __init__(self, config: Path, record: Path, by: tuple[str, ...] = ()) -> None:
        self.log = config.with_suffix(".log")
        command = [*by, sys.executable, "-m", "edge_agent", "run", "-c", str(config), "--record", str(record)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)


@pytest.fixture
def card(tmp_path: Path) -> Iterator[tuple[Path, tuple[str, ...], str]]:
    """(folder, the command that starts a process with this limit, what a full disk is called there).

    A file system of its own; where none may be mounted, a limit to the size of the process's files.
    """
    folder = tmp_path / "card"
    with file_system(folder, str(DISK_BYTES)) as mounted:
        if mounted:
            yield folder, (), "No space left on device"
        else:
            yield folder, ("prlimit", f"--fsize={DISK_BYTES}"), "File too large"


@contextlib.contextmanager
def kept_full(folder: Path) -> Iterator[None]:
    """In the block another program takes what is left of the disk, again and again."""

    def take(stop: threading.Event) -> None:
        with (folder / "ballast").open("ab", buffering=0) as file:
            while not stop.wait(0.05):
                for size in (65_536, 512, 1):
                    with contextlib.suppress(OSError):
                        while True:
                            file.write(bytes(size))

    worker = begin("ballast", take)
    try:
        yield
    finally:
        worker.stop.set()
        assert join([worker], 10) == []


def latest(listener: Listener) -> dict[str, dict[str, Any]]:
    """What the agent said last of the chips that it reads."""
    return {name: listener.on(STATE.format(name))[-1] for name in PERIODS_HZ}


def flowing(listener: Listener) -> dict[str, dict[str, Any]]:
    """The same, as soon as they give samples."""
    for name, rate_hz in PERIODS_HZ.items():
        listener.wait(STATE.format(name), lambda m, least=2 * rate_hz: m["samples"] > least)
    return latest(listener)


def undelayed(listener: Listener, before: dict[str, dict[str, Any]], seconds: float) -> None:
    """Since `before`, for so long, no read was late by more than `PERIODS_HZ` and MOST_LOST allow.

    A read that waits for anything is late, and the samples that it should have taken are lost.
    """
    for name, rate_hz in PERIODS_HZ.items():
        calm, more = before[name], before[name]["samples"] + 0.95 * rate_hz * seconds
        after = listener.wait(STATE.format(name), lambda m, more=more: m["samples"] >= more, seconds + 30)
        assert after["state"] == "online"
        assert after["lost"] - calm["lost"] <= MOST_LOST[name]
        assert (after["gaps"], after["dropped_chunks"]) == (calm["gaps"], 0)
        assert after["rate_hz"] == pytest.approx(rate_hz, rel=0.15)
        assert after["jitter_ms"] < MOST_JITTER_MS
        print(f"{name}: jitter before {calm['jitter_ms']} ms, after the stall {after['jitter_ms']} ms")


def total(counted: dict[str, Any], sensor: str) -> int:
    return int(counted["chunks"].get(sensor, 0)) + int(counted["dropped_chunks"].get(sensor, 0))


def test_a_disk_that_is_full_delays_no_sensor_and_what_is_lost_is_counted_and_published(
    broker: Mosquitto,
    random_model: Path,
    tmp_path: Path,
    card: tuple[Path, tuple[str, ...], str],
):
    folder, by, reason = card
    file, path = configuration(tmp_path, random_model, broker.port, sensors=ROOM), folder / "a.mcap"
    recording, room = f"{NODE}/recording", STATE.format("room")
    with Listener(broker.port) as listener, Recorded(file, path, by) as agent:
        began = listener.wait(recording)
        assert (began["state"], began["file"]) == ("recording", "a.mcap")
        flowing(listener)
        full = listener.wait(recording, lambda m: m["state"] == "failed")
        assert reason in full["reason"]
        listener.wait(room, lambda m: m["samples"] >= total(full, "room"))
        before = latest(listener)
        undelayed(listener, before, STALL_S)
        more = before["room"]["samples"] + 4 * STALL_S
        lost = listener.wait(recording, lambda m: total(m, "room") >= more)
        percept = listener.on(f"{NODE}/percept")[-1]
        assert percept["present"] == ["audio"], "perception went on as well"
        assert agent.end()[0] == 0
        last = listener.wait(room, lambda m: m["reason"] == "stopped")
        ended = [body for body in listener.on(recording) if total(body, "room") == last["samples"]]
        assert ended, "each of its chunks, one a sample, was kept or counted as dropped"
        heard = listener.on(recording)
    assert lost["chunks"] == full["chunks"], "nothing was written any more"
    assert lost["dropped_chunks"]["room"] > full["dropped_chunks"].get("room", 0)
    assert lost["dropped_chunks"]["sound"] > full["dropped_chunks"].get("sound", 0)
    validator = Draft202012Validator(payloads.schema("recording"))
    assert [error.message for body in heard for error in validator.iter_errors(body)] == []
    with RecordingReader(path.open("rb"), "it") as reader:
        kept = {name: sensor["chunks"] for name, sensor in info(reader)["sensors"].items()}
        assert reader.damage == "cut off"
    assert {name: count for name, count in kept.items() if count} == full["chunks"]


def test_what_is_recorded_beside_an_agent_is_whole_and_can_be_replayed(
    broker: Mosquitto, random_model: Path, tmp_path: Path
):
    file, path = configuration(tmp_path, random_model, broker.port), tmp_path / "walk.mcap"
    recording = f"{NODE}/recording"
    with Listener(broker.port) as listener, board(tmp_path), Recorded(file, path) as agent:
        listener.wait(f"{NODE}/percept", lambda m: len(m["present"]) == 3)
        listener.wait(recording, lambda m: m["chunks"].get("phone", 0) > 10)
        code, took_s = agent.end()
        assert (code, took_s < 4) == (0, True)
        last = listener.wait(recording, lambda m: m["state"] == "stopped")
        listener.wait(f"{NODE}/state", lambda m: m["state"] == "offline")
    assert last["reason"] == ""
    assert last["dropped_chunks"] == {}
    with RecordingReader(path.open("rb"), "it") as reader:
        facts = info(reader)
    assert facts["complete"]
    assert {name: sensor["chunks"] for name, sensor in facts["sensors"].items()} == last["chunks"]
    assert last["size_bytes"] == path.stat().st_size
    command = [
        sys.executable,
        "-m",
        "edge_agent",
        "replay",
        str(path),
        "-c",
        str(file),
        "--speed=max",
        "--json",
    ]
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(json.loads(again.stdout.splitlines()[-1])["present"]) == 3
    taken = Recorded(file, path)
    assert taken.process.wait(30) == 1
    assert "exists already" in taken.log.read_text()


@pytest.mark.timeout(240)
def test_a_language_model_that_is_busy_for_a_minute_delays_no_sensor(
    broker: Mosquitto, random_model: Path, tmp_path: Path
):
    """It is stopped in the middle of one answer, which may take longer than that."""
    file = configuration(tmp_path, random_model, broker.port, sensors=ROOM, deadline_s=2 * BUSY_S)
    with Listener(broker.port) as listener, AgentProcess(file) as agent:
        before = flowing(listener)
        listener.wait(f"{NODE}/health", lambda m: m["language"]["ready"])
        worker = language_worker(agent)
        worker.send_signal(signal.SIGSTOP)
        try:
            listener.send(f"{NODE}/cmd/ask", {"question": "what do you hear?", "id": "asked"})
            undelayed(listener, before, BUSY_S)
            percepts = [m["sequence"] for m in listener.on(f"{NODE}/percept")]
            assert listener.on(f"{NODE}/answer/asked") == []
        finally:
            worker.send_signal(signal.SIGCONT)
        listener.wait(f"{NODE}/answer/asked", timeout_s=30)
        longest_ms = max(m["latency_ms"] for m in listener.on(f"{NODE}/answer"))  # or of a sentence unasked
        health = listener.on(f"{NODE}/health")[-1]
    assert longest_ms > 0.9e3 * BUSY_S
    assert health["language"]["restarts"] == 0, "it was the same one, busy all the time"
    assert percepts[-1] - percepts[0] >= 1.8 * BUSY_S, "two windows a second went on"
    assert health["errors"]["skipped_windows"] == 0


@contextlib.contextmanager
def away(broker: Mosquitto, how: str) -> Iterator[None]:
    """In the block the broker is not there, or there and mute."""
    if how == "ends":
        broker.stop()
        yield
        broker.start()
        return
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


@pytest.mark.parametrize("how", ["ends", "hangs"])
def test_a_broker_that_goes_delays_no_sensor(how: str, broker: Mosquitto, random_model: Path, tmp_path: Path):
    file = configuration(tmp_path, random_model, broker.port, sensors=ROOM)
    with Listener(broker.port) as listener, AgentProcess(file):
        before = flowing(listener)
        with away(broker, how):
            begun_s = time.monotonic()
            wait_for(lambda: time.monotonic() - begun_s > AWAY_S, AWAY_S + 5)
        undelayed(listener, before, AWAY_S)


@pytest.fixture
def state_disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    with small_disk(tmp_path / "disk", "4m") as folder:
        yield folder


def test_a_full_disk_below_the_outbox_and_the_memory_delays_no_sensor(
    broker: Mosquitto, random_model: Path, tmp_path: Path, state_disk: Path
):
    """Another program fills it while the agent runs; the broker is there all the time."""
    file = configuration(tmp_path, random_model, broker.port, sensors=ROOM, state=state_disk)
    with Listener(broker.port) as listener, AgentProcess(file) as agent:
        flowing(listener)
        with kept_full(state_disk):
            for i in range(10):  # whose answers have to be on the disk before they are sent
                listener.send(f"{NODE}/cmd/ask", {"question": "what do you hear?", "id": f"q{i}"})
            wait_for(
                lambda: listener.on(f"{NODE}/queue")[-1]["reason"] or "disk is full" in agent.log.read_text(),
                30, "the outbox or the memory to complain",
            )  # fmt: skip
            before, heard = latest(listener), len(listener.on(f"{NODE}/percept"))
            undelayed(listener, before, STALL_S)
            assert len(listener.on(f"{NODE}/percept")) > heard + STALL_S
        assert agent.end()[0] == 0


class Flood:
    """A driver that gives far more chunks at once than wait for the fast path."""

    name, slot = "flood", ""

    def __init__(self) -> None:
        self.health = SensorHealth(SensorState.ONLINE, "")

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        while not stop.wait(0.5):
            for _ in range(3000):
                self.health.samples += 1
                yield Chunk("flood", np.array([time.monotonic_ns()]), np.zeros((1, 1), np.float32))


def test_chunks_that_nobody_could_take_in_time_are_published_as_dropped_and_no_neighbour_loses_any(
    broker: Mosquitto, random_model: Path, tmp_path: Path
):
    table = '[[sensor]]\nkind = "i2c"\nname = "flood"\nchip = "bme280"\nbus = "simulated"\n'
    settings = config.load(configuration(tmp_path, random_model, broker.port, sensors=table + ROOM))
    flood = Flood()

    def make(whole: Config, manifest: Manifest, clock: PacingClock) -> list[Sensor]:
        return [flood, *make_sensors(whole, manifest, clock)[1:]]

    agent = Agent(assemble(settings, SystemClock(), make))
    worker = begin("agent", lambda _: agent.run())
    with Listener(broker.port) as listener:
        before = flowing(listener)
        told = listener.wait(f"{NODE}/sensor/flood/state", lambda m: m["dropped_chunks"] > 2000)
        undelayed(listener, before, STALL_S)
        agent.stop()
        assert join([worker], 10) == []
        listener.validate()
    assert told["dropped_chunks"] < told["samples"]


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed (apt install faketime)")
def test_a_wall_clock_that_jumps_a_year_changes_no_window(
    broker: Mosquitto, random_model: Path, tmp_path: Path
):
    setting = tmp_path / "clock"
    setting.write_text("+0")
    environment = {
        "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(setting), "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    file = configuration(tmp_path, random_model, broker.port)
    with Listener(broker.port) as listener, board(tmp_path), AgentProcess(file, environment):
        whole = listener.wait(f"{NODE}/percept", lambda m: len(m["present"]) == 3)
        this_year = int(whole["time_utc"][:4])
        setting.write_text("+366d")
        jumped = listener.wait(f"{NODE}/percept", lambda m: int(m["time_utc"][:4]) > this_year, timeout_s=30)
        setting.write_text("-366d")
        back = listener.wait(f"{NODE}/percept", lambda m: int(m["time_utc"][:4]) < this_year, timeout_s=30)
        first = max(whole["sequence"], jumped["sequence"] - 2)  # before `whole`, sensors were still starting
        heard = [m for m in listener.on(f"{NODE}/percept/main") if m["sequence"] >= first]
        health = listener.wait(f"{NODE}/health", lambda m: m["percepts"] > back["sequence"] // 2)
    lacking = [(m["sequence"], m["time_utc"], m["missing"]) for m in heard if len(m["present"]) != 3]
    assert not lacking, "a window was lost when the clock was set"
    assert [m["sequence"] for m in heard] == sorted({m["sequence"] for m in heard})
    assert health["errors"]["skipped_windows"] == 0
    assert all(flow["gaps"] == 0 for flow in health["windows"].values())
    assert os.environ.get("LD_PRELOAD") is None

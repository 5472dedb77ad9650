"""Every kind of sensor is unplugged and plugged in again beside a neighbour, which loses nothing."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agent_process import NODE, AgentProcess, configuration, tone
from conftest import Mosquitto, wait_for
from hot_plug_devices import KINDS, Device
from listening import Listener

from edge_agent import config
from edge_agent.assembly import assemble
from edge_agent.clock import ManualClock, SystemClock
from edge_agent.runtime import Agent
from edge_agent.sensors.replay import ReplaySensor
from edge_agent.types import SensorState

pytestmark = pytest.mark.e2e
RECOVERS_WITHIN_S = 5.0
NEIGHBOUR_HZ = 4.0
NEIGHBOUR = """
[[sensor]]
kind = "i2c"
name = "room"
chip = "d6t"
bus = "simulated"
"""
STATE = f"{NODE}/sensor/{{}}/state"
COUNTERS = ("gaps", "lost", "errors", "reconnects", "dropped_chunks")


@contextmanager
def agent(file: Path, device: Device) -> Iterator[Callable[[], bool]]:
    """An agent with that device and a neighbour; whether it still runs."""
    if device.environment:
        with AgentProcess(file, device.environment) as process:
            yield lambda: process.process.poll() is None
        return
    running = Agent(assemble(config.load(file), SystemClock(), device.make))
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        yield thread.is_alive
    finally:
        running.stop()
        thread.join(10)
        assert not thread.is_alive()


class Told:
    """What an agent has published of one sensor since a moment, and what it publishes yet."""

    def __init__(self, listener: Listener, sensor: str) -> None:
        self._listener = listener
        self._topic = STATE.format(sensor)
        self._from = len(listener.heard)

    def all(self) -> list[dict[str, Any]]:
        heard = list(self._listener.heard)[self._from :]
        return [json.loads(m.payload) for m in heard if m.topic == self._topic]

    def wait(self, condition: Callable[[dict[str, Any]], object], timeout_s: float) -> dict[str, Any]:
        found = wait_for(
            lambda: [body for body in self.all() if condition(body)], timeout_s, f"a message on {self._topic}"
        )
        return found[0]  # type: ignore[index]


def seconds_between(before: dict[str, Any], after: dict[str, Any]) -> float:
    begin, end = (datetime.fromisoformat(body["time_utc"]) for body in (before, after))
    return (end - begin).total_seconds()


def test_a_recording_plays_on_when_the_stick_it_came_from_is_pulled_out(tmp_path: Path):
    """Nothing of it can be unplugged: its files are read before the first is played."""
    file = tone(tmp_path / "room.wav", seconds=1.0)
    sensor = ReplaySensor("sound", "audio", [file], ManualClock())
    chunks = sensor.chunks(threading.Event())
    taken = [next(chunks)]
    file.unlink()
    taken += [next(chunks) for _ in range(50)]  # two and a half rounds
    assert (np.diff(np.concatenate([chunk.times_ns for chunk in taken])) == 62_500).all()
    assert (sensor.health.state, sensor.health.errors) == (SensorState.ONLINE, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_unplugged_and_plugged_in_again(kind: str, broker: Mosquitto, random_model: Path, tmp_path: Path):
    with Listener(broker.port) as listener, contextmanager(KINDS[kind])(tmp_path, listener) as device:
        tables = f"[[sensor]]\n{device.table}\n{NEIGHBOUR}"
        file = configuration(tmp_path, random_model, broker.port, sensors=tables)
        with agent(file, device) as runs:
            told, neighbour = Told(listener, device.name), Told(listener, "room")
            before = told.wait(lambda m: m["state"] == "online" and m["samples"] > 1, 20)
            calm = neighbour.wait(lambda m: m["state"] == "online" and m["samples"] > 1, 20)
            since, neighbour = Told(listener, device.name), Told(listener, "room")
            device.unplug()
            gone = since.wait(lambda m: m["state"] != "online", 15)
            assert gone["state"] in ("offline", "degraded")
            assert gone["reason"]
            # What was lost is told first, and why it does not come back with the first attempt to open it;
            # a state lasts until the next one, so either may be over before it was published.
            assert since.wait(lambda m: m["state"] != "online" and re.search(device.says, m["reason"]), 5)
            since = Told(listener, device.name)
            device.plug()
            plugged_s = time.monotonic()
            back = since.wait(lambda m: m["state"] == "online", 15)
            took_s = time.monotonic() - plugged_s
            print(f"{kind}: {gone['state']}, {gone['reason']}; back after {took_s:.2f} s")
            assert took_s < RECOVERS_WITHIN_S
            flows = since.wait(lambda m: m["samples"] > max(back["samples"], before["samples"]), 10)
            assert flows["reconnects"] == before["reconnects"] + device.reconnects
            later = neighbour.wait(lambda m: m["samples"] >= calm["samples"] + 8, 15)
            assert {body["state"] for body in neighbour.all()} == {"online"}
            assert runs()
            listener.validate()
    assert {key: later[key] for key in COUNTERS} == {key: calm[key] for key in COUNTERS}
    assert later["lost"] == later["errors"] == 0
    expected = NEIGHBOUR_HZ * seconds_between(calm, later)
    assert later["samples"] - calm["samples"] == pytest.approx(expected, abs=2)

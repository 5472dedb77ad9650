"""What a whole agent says of each sensor: timing, missing channels, the board's clock, its place."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import serial_rig
from agent_process import NODE, AgentProcess, configuration
from conftest import Mosquitto
from listening import Listener

from edge_agent import config
from edge_agent.assembly import assemble
from edge_agent.clock import SystemClock
from edge_agent.runtime import Agent
from edge_agent.sensors.simulated import SimulatedMcu, SimulatedStream, simulated_imu
from edge_agent.sensors.simulated_gps import SimulatedGps, Track
from edge_agent.types import Chunk, SensorHealth

LATITUDE, LONGITUDE = 47 + 17.11437 / 60, -(70 + 33.91522 / 60)
"""As the sentences say them: five decimals of a minute."""
SENSORS = """
[[sensor]]
kind = "serial"
name = "board"
port = '{board}'
streams = {{ phone = {{ slot = "imu_phone" }}, watch = {{ slot = "imu_watch" }} }}
[[sensor]]
kind = "gps"
name = "gps"
port = '{gps}'
"""


def motion(name: str, *broken: int) -> SimulatedStream:
    t_us, values = simulated_imu("walking", 4.0, np.random.default_rng(3))
    values[:, broken] = np.nan
    return SimulatedStream(name, t_us, values, simulated=True)


class Unknown:
    """A plug-in's sensor with the least that the protocol asks for."""

    name, slot = "room", ""

    def __init__(self) -> None:
        self.health = SensorHealth()

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        stop.wait()
        yield from ()


@pytest.mark.e2e
def test_the_state_of_every_sensor_says_how_it_flows_and_what_it_lacks(
    broker: Mosquitto, random_model: Path, tmp_path: Path
):
    board, gps = tmp_path / "board", tmp_path / "gps"
    file = configuration(tmp_path, random_model, broker.port, sensors=SENSORS.format(board=board, gps=gps))
    track = Track(np.array([0.0, 1e6]), np.full(2, LATITUDE), np.full(2, LONGITUDE), np.full(2, 499.6))
    with (
        SimulatedMcu([motion("phone"), motion("watch", 4, 5)], link=board, drift_ppm=80.0) as mcu,
        SimulatedGps(track, SystemClock(), link=gps, rate_hz=5.0) as receiver,
        serial_rig.running(mcu),
        serial_rig.running(receiver),
        Listener(broker.port) as listener,
        AgentProcess(file),
    ):
        percept = listener.wait(f"{NODE}/percept", lambda m: len(m["present"]) == 2)
        states = {
            name: listener.wait(f"{NODE}/sensor/{name}/state", known)
            for name, known in (
                ("phone", lambda m: m["offset_ms"] is not None),
                ("watch", lambda m: m["missing_channels"]),
                ("gps", lambda m: m["values"].get("latitude")),
            )
        }
        health = listener.wait(f"{NODE}/health", lambda m: m["windows"]["imu_phone"]["offset_ms"] is not None)
        receiver.lose_fix()
        lost = listener.wait(f"{NODE}/sensor/gps/state", lambda m: "latitude" in m["missing_channels"])
        listener.validate()
    assert percept["missing_channels"] == {"imu_watch": ["gyro_y", "gyro_z"]}
    assert states["phone"]["missing_channels"] == []
    assert states["watch"]["missing_channels"] == ["gyro_y", "gyro_z"]
    for name in ("phone", "watch"):
        assert 0 <= states[name]["offset_ms"] < 150
        assert 0.2 < states[name]["jitter_ms"] < 20, "as the invented phone's: some 0.6 ms"
        assert 0 <= states[name]["clock_error_ms"] < 2
        assert math.isfinite(states[name]["clock_offset_ms"])
        assert -100 < states[name]["clock_drift_ppm"] < 200
    assert 0 <= health["windows"]["imu_phone"]["offset_ms"] < 150
    assert states["gps"]["offset_ms"] is None
    assert lost["missing_channels"] == ["latitude", "longitude", "altitude", "speed", "course", "hdop"]
    assert lost["values"]["latitude"] is None
    assert not any(key.startswith("clock_") for key in states["gps"])
    assert (states["gps"]["fix_quality"], lost["fix_quality"]) == (1, 0)
    assert -0.5 < states["gps"]["utc_offset_s"] < 0
    assert not any(key in states["phone"] for key in ("fix_quality", "utc_offset_s"))
    assert states["gps"]["values"]["latitude"] == pytest.approx(LATITUDE, abs=1e-12)
    assert states["gps"]["values"]["longitude"] == pytest.approx(LONGITUDE, abs=1e-12)


def test_a_sensor_that_does_not_know_its_channels_is_reported_without_values(
    random_model: Path, tmp_path: Path
):
    table = """[[sensor]]\nkind = "i2c"\nname = "room"\nchip = "bme280"\nbus = "simulated"\n"""
    settings = config.load(configuration(tmp_path, random_model, 1883, sensors=table))
    agent = Agent(assemble(settings, SystemClock(), lambda *_: [Unknown()]))
    agent.inference.meters["room"].add(Chunk("room", np.zeros(1, np.int64), np.zeros((1, 3), np.float32)))
    had = agent.publisher.queued
    agent.reporter.sensors(everything=True)
    assert agent.publisher.queued == had + 1

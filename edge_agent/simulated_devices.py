"""Every device that plays by itself for an agent to read, by its name; `sensors/i2c/chips.py` has the chips.

All have the faults of `alone.Device`, and measure with the noise of a `Disturbance`, or stand still from some
moment on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from edge_agent.alone import Device
from edge_agent.clock import SystemClock
from edge_agent.config import Mqtt
from edge_agent.config_sensors import Disturbance
from edge_agent.delivery.topics import Topics
from edge_agent.delivery.tracker import SimulatedTracker
from edge_agent.demo_world import invented
from edge_agent.sensors.simulated_chips.faults import disturbed
from edge_agent.sensors.simulated_chips.vl53l5cx import passer_by
from edge_agent.sensors.simulated_firmware import SimulatedStream
from edge_agent.sensors.simulated_gps import Disturbed, SimulatedGps, walk_in_a_circle
from edge_agent.sensors.simulated_ld06 import SimulatedLd06
from edge_agent.sensors.simulated_lidar import room
from edge_agent.sensors.simulated_mcu import SimulatedMcu
from edge_agent.sensors.simulated_pictures import SimulatedPictures
from edge_agent.sensors.simulated_rplidar import SimulatedRplidar
from edge_agent.sensors.simulated_touch import touch_stream
from edge_agent.sensors.simulated_trackers import TRACKERS, Tracker

DEPTH_HZ = 8.0
ZONES = 64


def board_streams() -> tuple[SimulatedStream, ...]:
    """What the board plays: two motion sensors, a touch panel, 8 x 8 distances, and what trackers see."""
    depth = Tracker("depth", ("px",), ("m",), passer_by(0), DEPTH_HZ).stream("depth", repeat=ZONES)
    trackers = [tracker.stream(name) for name, tracker in TRACKERS.items()]
    return (*invented().streams, touch_stream(), depth, *trackers)


def _noisy(stream: SimulatedStream, noise: float, seed: int) -> SimulatedStream:
    added = np.random.default_rng(seed).normal(0, noise, stream.values.shape).astype(np.float32)
    return replace(stream, values=stream.values + added)


def _board(link: Path, faults: Disturbance) -> SimulatedMcu:
    streams = [_noisy(stream, faults.noise, i) for i, stream in enumerate(board_streams())]
    return SimulatedMcu(streams, link=link, stuck_after_s=faults.stuck_after_s)


def _gps(link: Path, faults: Disturbance) -> SimulatedGps:
    return SimulatedGps(Disturbed(walk_in_a_circle(), faults), SystemClock(), link=link)


def _ld06(link: Path, faults: Disturbance) -> SimulatedLd06:
    return SimulatedLd06(disturbed(room(), faults), SystemClock(), link=link)


def _rplidar(link: Path, faults: Disturbance) -> SimulatedRplidar:
    return SimulatedRplidar(disturbed(room(), faults), SystemClock(), link=link)


class LinkedDevice(Device, AbstractContextManager["LinkedDevice"], Protocol):
    """A device that is there, at its path, while it is entered."""


LINKED: Mapping[str, Callable[[Path, Disturbance], LinkedDevice]] = {
    "board": _board,
    "gps": _gps,
    "ld06": _ld06,
    "rplidar": _rplidar,
    "camera": SimulatedPictures,
}
"""name -> what makes it, not yet running, at a path: a port, or for the camera a folder."""


def tracker(name: str, settings: Mqtt, node: str, faults: Disturbance, topic: str | None) -> SimulatedTracker:
    """One of TRACKERS, which feeds the sensor `name` of that node, or whoever listens to `topic`."""
    of = TRACKERS[name]
    signal = disturbed(of.signal, faults)
    return SimulatedTracker(
        settings,
        topic or Topics(settings.topic_root, node).sensor_input(name),
        lambda seconds: dict(zip(of.channels, signal(seconds).tolist(), strict=True)),
        of.rate_hz,
        SystemClock(),
        client_id=f"edge-agent-simulate-{node}-{name}",
    )

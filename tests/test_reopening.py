"""However long a device was away, it is tried often enough to be back within 5 s of being plugged in."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

from edge_agent.clock import ManualClock
from edge_agent.errors import SensorError
from edge_agent.muting import POLL_S
from edge_agent.sensors.bridge import StreamTarget
from edge_agent.sensors.camera import CameraSensor
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.gps import gps_sensor
from edge_agent.sensors.i2c import chips
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Driver, Wait
from edge_agent.sensors.i2c.sensor import I2CSensor
from edge_agent.sensors.ld06 import ld06_sensor
from edge_agent.sensors.microphone import MicrophoneSensor
from edge_agent.sensors.network import NetworkSensor
from edge_agent.sensors.rplidar import rplidar_sensor
from edge_agent.sensors.serial import SerialBridgeSensor
from edge_agent.stages import Acquisition
from edge_agent.types import Chunk, Sensor, SensorHealth

ATTEMPTS = 300
LONGEST_S = 4.0
"""One of the 5 s is for the device itself to start."""
NOTICED_S = 1.5
"""Delays grow, so the longest of so many is above this; else the attempts were not seen."""
NOWHERE = "/dev/edge-agent-has-no-such-device"


class Outage(threading.Event):
    """No device for ATTEMPTS attempts. Whoever waits for it moves the clock and waits no time."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.attempts_s: list[float] = []
        self.clock = clock

    def attempt(self) -> None:
        """The device was tried, in vain."""
        self.attempts_s.append(self.clock.monotonic_ns() * 1e-9)
        if len(self.attempts_s) >= ATTEMPTS:
            self.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Between two attempts: the one that failed is counted, at the last step of the wait after it."""
        assert timeout is not None
        self.clock.advance(timeout)
        if timeout < POLL_S:
            self.attempt()
        return self.is_set()


class Plugin:
    """A third party's driver that does not handle the loss of its device."""

    name, slot = "plugin", ""

    def __init__(self, outage: Outage) -> None:
        self.health = SensorHealth()
        self._outage = outage

    def chunks(self, _stop: threading.Event) -> Iterator[Chunk]:
        self._outage.attempt()
        raise OSError("no such device")
        yield  # what makes it a generator


def gone(*_: object) -> NoReturn:
    raise SensorError("it is not there")


@contextmanager
def gone_within(*_: object) -> Iterator[NoReturn]:
    yield gone()


def chip(outage: Outage) -> Sensor:
    made = chips.chip("bme280")

    def make(wait: Wait) -> Driver:
        outage.attempt()
        return made.make(I2CBus(NOWHERE), made.addresses[0], None, wait)

    sensor = I2CSensor("room", "", make, outage.clock)
    outage.attempts_s.clear()  # at first only its channels are asked for
    return sensor


KINDS: dict[str, Callable[[Outage], Sensor]] = {
    "serial": lambda _: SerialBridgeSensor("board", NOWHERE, {"phone": StreamTarget("phone", "")}),
    "gps": lambda outage: gps_sensor("gps", "", NOWHERE, clock=outage.clock),
    "ld06": lambda outage: ld06_sensor("scanner", "", NOWHERE, clock=outage.clock),
    "rplidar": lambda outage: rplidar_sensor("scanner", "", NOWHERE, clock=outage.clock),
    "i2c": chip,
    "microphone": lambda outage: MicrophoneSensor("sound", "", outage.clock, open_stream=gone_within),
    "camera": lambda outage: CameraSensor(
        "view", "", outage.clock, source=0, width=4, height=4, rate_hz=5.0, open_camera=gone_within
    ),
    "network": lambda outage: NetworkSensor("gaze", "", outage.clock, gone, channels=(Channel("x", ""),)),
    "plugin": Plugin,
}


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_long_outage_the_next_attempt_comes_soon(kind: str):
    if kind == "camera":
        pytest.importorskip("cv2", reason="pip install 'iotlm-edge[camera]'")
    outage = Outage(ManualClock())
    sensor = KINDS[kind](outage)
    Acquisition(sensor, outage.clock, failed=lambda error: pytest.fail(str(error))).run(outage)
    between_s = [after - before for before, after in itertools.pairwise(outage.attempts_s)]
    assert len(between_s) >= ATTEMPTS - 1
    assert NOTICED_S < max(between_s) < LONGEST_S

"""Every modality that comes by a board: under the contract of every sensor, in its slot, recorded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from conftest import wait_for
from serial_rig import rig, running

from edge_agent import manifest
from edge_agent.manifest import Manifest
from edge_agent.sensors.bridge import StreamTarget
from edge_agent.sensors.serial import SerialBridgeSensor
from edge_agent.sensors.simulated_firmware import SimulatedStream
from edge_agent.sensors.simulated_mcu import SimulatedMcu
from edge_agent.sensors.simulated_touch import touch_stream
from edge_agent.sensors.simulated_trackers import TRACKERS
from edge_agent.simulated_devices import board_streams
from edge_agent.testing import SensorContract
from edge_agent.types import SensorState

DATA = Path(os.environ.get("EDGE_AGENT_DATA", Path(__file__).parents[2] / "shared" / "data"))
SLOTS = {
    "phone": "imu_phone", "watch": "imu_watch", "touch": "capacitance", "depth": "depth", "gaze": "gaze",
    "hand": "pose_hand", "finger": "pose_finger",
}  # fmt: skip
"""Stream of the simulated board -> a slot of the shipped model."""
WIDTHS = {"phone": 6, "watch": 6, "touch": 405, "depth": 64, "gaze": 15, "hand": 42, "finger": 2}
RECORDED = pytest.mark.skipif(not DATA.exists(), reason=f"the recordings are not at {DATA} (EDGE_AGENT_DATA)")


@pytest.fixture(scope="module")
def whole_model(shipped_model: Path) -> Manifest:
    return manifest.read(shipped_model)


def targets(whole_model: Manifest) -> dict[str, StreamTarget]:
    slots = {stream: whole_model.slot(slot) for stream, slot in SLOTS.items()}
    return {
        stream: StreamTarget(stream, slot.name, slot.channels, slot.unit_of_each)
        for stream, slot in slots.items()
    }


class TestContract(SensorContract):
    """All streams of one board at once, each in the channels and units of its slot."""

    channels: Mapping[str, int] = MappingProxyType(WIDTHS)
    chunks_needed = 60
    simulated = True

    @pytest.fixture
    def sensor(self, tmp_path: Path, whole_model: Manifest) -> Iterator[SerialBridgeSensor]:
        with SimulatedMcu(board_streams(), link=tmp_path / "board") as mcu, running(mcu):
            yield SerialBridgeSensor("board", str(mcu.path), targets(whole_model))


def test_every_stream_fills_its_slot_and_lacks_nothing(tmp_path: Path, whole_model: Manifest):
    with SimulatedMcu(board_streams(), link=tmp_path / "board") as mcu:
        sensor = SerialBridgeSensor("board", str(mcu.path), targets(whole_model))
        with rig(mcu, sensor) as both:
            wait_for(lambda: all(h.samples > 3 for h in sensor.healths.values()), what="every stream")
            said = {name: (health.state, health.reason) for name, health in sensor.healths.items()}
    values = {name: [c.values for c in both.chunks if c.sensor == name] for name in WIDTHS}
    times_ns = {
        name: np.concatenate([c.times_ns for c in both.chunks if c.sensor == name]) for name in WIDTHS
    }
    rates_hz = {name: 1e9 / float(np.median(np.diff(times))) for name, times in times_ns.items()}
    assert said == dict.fromkeys(WIDTHS, (SensorState.ONLINE, ""))
    assert rates_hz["gaze"] == pytest.approx(30, rel=0.05)
    assert rates_hz["depth"] == pytest.approx(8, rel=0.05)
    assert all(np.isfinite(np.concatenate(found)).all() for found in values.values())
    assert 0.5 < np.concatenate(values["depth"]).mean() < 4
    assert np.abs(np.concatenate(values["hand"])).max() == pytest.approx(1, abs=1e-3)


def arrived(stream: SimulatedStream, tmp_path: Path) -> np.ndarray:
    """(n, columns): what comes of a stream that is played from its beginning."""
    with SimulatedMcu([stream], link=tmp_path / "board") as mcu:
        sensor = SerialBridgeSensor("board", str(mcu.path), {stream.name: StreamTarget("it", "")})
        with rig(mcu, sensor) as both:
            wait_for(lambda: sensor.health.samples >= 10, what="ten samples")
            assert sensor.health.lost == 0
    assert not any(chunk.simulated for chunk in both.chunks)
    return np.concatenate([chunk.values for chunk in both.chunks])


@RECORDED
def test_fingers_that_were_recorded_come_through_a_touch_matrix(tmp_path: Path):
    """27 x 15 counts of a real panel (CapFingerId), each a whole number that int16 holds."""
    with np.load(DATA / "capacitive_touch" / "data.npz", allow_pickle=False) as data:
        images = data["x"][1000:1100].reshape(100, 405).astype(np.float32)
    played = touch_stream(seconds=5.0)
    stream = SimulatedStream(
        "touch", played.t_us, images, "capacitance", played.channels, played.units, repeat=played.repeat
    )
    values = arrived(stream, tmp_path)
    np.testing.assert_array_equal(values, images[: len(values)])
    assert np.ptp(values) > 50


@RECORDED
def test_a_hand_that_was_recorded_comes_through_a_board(tmp_path: Path):
    with np.load(DATA / "hand_keypoints" / "keypoint.npz", allow_pickle=False) as data:
        landmarks = data["x"][:100].astype(np.float32)
    hand = TRACKERS["hand"]
    stream = SimulatedStream(
        "hand", np.arange(100, dtype=np.int64) * 33_333, landmarks, "pose", hand.channels, hand.units
    )
    values = arrived(stream, tmp_path)
    np.testing.assert_allclose(values, landmarks[: len(values)], atol=2**-15)

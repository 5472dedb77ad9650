"""The made-up signals: physically consistent, and different where the labels differ."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pytest

from edge_agent.errors import ConfigurationError
from edge_agent.sensors.simulated import (
    ACTIVITIES,
    SOUNDS,
    SimulatedSensor,
    simulated_audio,
    simulated_imu,
)
from edge_agent.sensors.units import STANDARD_GRAVITY
from edge_agent.testing import SensorContract
from edge_agent.types import SensorState


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize("placement", ["pocket", "wrist"])
@pytest.mark.parametrize("activity", ACTIVITIES)
def test_imu_shape_times_and_sizes(activity: str, placement: str):
    t_us, values = simulated_imu(activity, 10.0, rng(), placement)
    assert values.shape == (1000, 6)
    assert values.dtype == np.float32
    assert np.diff(t_us).min() > 5_000
    assert np.median(np.diff(t_us)) == pytest.approx(10_000, abs=300)
    assert np.isfinite(values).all()
    assert np.abs(values[:, :3]).max() < 40
    assert np.abs(values[:, 3:]).max() < 12
    assert np.linalg.norm(values[:, :3].astype(np.float64), axis=1).mean() == pytest.approx(
        STANDARD_GRAVITY, rel=0.25
    )


def test_the_activities_differ_as_bodies_do():
    signals = {name: simulated_imu(name, 10.0, rng())[1].astype(np.float64) for name in ACTIVITIES}
    up = {name: signals[name][:, :3].mean(0) / STANDARD_GRAVITY for name in ("seated", "walking", "turning")}
    yaw_rad_s = {name: abs(float((signals[name][:, 3:] @ up[name]).mean())) for name in up}
    assert yaw_rad_s["turning"] > 1.0 > 5 * max(yaw_rad_s["walking"], yaw_rad_s["seated"])
    assert signals["seated"][:, 3:].std() < 0.1 < signals["walking"][:, 3:].std()


@pytest.mark.parametrize(("activity", "sign"), [("sitting_down", 1), ("standing_up", -1)])
def test_a_transition_turns_gravity_as_the_gyroscope_says(activity: str, sign: int):
    """Integrating the rates turns "up" at the start into "up" at the end."""
    t_us, values = simulated_imu(activity, 2.2, np.random.default_rng(1))
    up = values[:8, :3].mean(0).astype(np.float64)
    for step_s, rate in zip(np.diff(t_us) / 1e6, values[1:, 3:].astype(np.float64), strict=True):
        up = up - np.cross(rate, up) * step_s
    end = values[-8:, :3].mean(0).astype(np.float64)
    start = values[:8, :3].mean(0).astype(np.float64)
    cosine = float(up @ end / np.linalg.norm(up) / np.linalg.norm(end))
    unturned = float(start @ end / np.linalg.norm(start) / np.linalg.norm(end))
    assert cosine > 0.85 > unturned
    assert sign * (end[1] - start[1]) < -4


@pytest.mark.parametrize("event", list(SOUNDS))
def test_audio_shape_and_level(event: str):
    sound = simulated_audio(event, 2.0, rng())
    assert sound.shape == (32_000, 1)
    assert sound.dtype == np.float32
    assert np.isfinite(sound).all()
    level = float(np.sqrt((sound.astype(np.float64) ** 2).mean()))
    assert level < 0.002 if event == "silence" else 0.005 < level < 0.5


def test_the_same_seed_gives_the_same_signal():
    assert np.array_equal(simulated_imu("walking", 1, rng())[1], simulated_imu("walking", 1, rng())[1])
    assert np.array_equal(simulated_audio("rain", 1, rng()), simulated_audio("rain", 1, rng()))


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="flying"):
        simulated_imu("flying", 1, rng())
    with pytest.raises(ValueError, match="trumpet"):
        simulated_audio("trumpet", 1, rng())
    with pytest.raises(ConfigurationError, match="flying"):
        SimulatedSensor("x", "imu_phone", modality="imu", label="flying")
    with pytest.raises(ConfigurationError, match="ankle"):
        SimulatedSensor("x", "imu_ankle", modality="imu", placement="ankle")
    with pytest.raises(ConfigurationError, match="lidar"):
        SimulatedSensor("x", "lidar", modality="lidar")


@pytest.mark.parametrize(("modality", "rate_hz", "channels"), [("imu", 100, 6), ("audio", 16_000, 1)])
def test_the_sensor_streams_in_time_and_says_simulated(modality: str, rate_hz: int, channels: int):
    stop = threading.Event()
    sensor = SimulatedSensor("made-up", "slot", modality=modality, period_s=0.5)
    assert sensor.health.state is SensorState.OFFLINE
    chunks = []
    for chunk in sensor.chunks(stop):
        chunks.append(chunk)
        assert sensor.health.state is SensorState.ONLINE
        if len(chunks) == 12:
            stop.set()
    times_ns = np.concatenate([chunk.times_ns for chunk in chunks])
    assert (np.diff(times_ns) >= 0).all()
    assert len(times_ns) / ((times_ns[-1] - times_ns[0]) / 1e9) == pytest.approx(rate_hz, rel=0.05)
    assert all(chunk.simulated and chunk.values.shape[1] == channels for chunk in chunks)
    assert sensor.health.samples == len(times_ns)
    assert sensor.health.state is SensorState.OFFLINE


class TestImuContract(SensorContract):
    channels: Mapping[str, int] = MappingProxyType({"made-up": 6})
    simulated = True

    @pytest.fixture
    def sensor(self):
        return SimulatedSensor("made-up", "imu_phone", modality="imu", placement="trouser pocket")


class TestAudioContract(SensorContract):
    channels: Mapping[str, int] = MappingProxyType({"made-up": 1})
    simulated = True

    @pytest.fixture
    def sensor(self):
        return SimulatedSensor("made-up", "audio", modality="audio", placement="room")

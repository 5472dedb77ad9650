"""docs/sensors.md: every table in it is accepted by `edge-agent check`, and no chip is left out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from conftest import ROOT

from edge_agent import config, config_sensors, manifest
from edge_agent.assembly import check
from edge_agent.sensors.i2c import chips
from edge_agent.sensors.simulated_trackers import TRACKERS

DOCUMENT = (ROOT / "docs" / "sensors.md").read_text()
TABLES = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.mark.parametrize("table", TABLES, ids=range(len(TABLES)))
def test_it_is_accepted_as_it_stands(table: str, shipped_model: Path):
    settings = config.loads(f'[model]\npath = "{shipped_model}"\n{table}', ROOT)
    check(settings)
    assert settings.sources


def test_every_kind_and_every_chip_is_shown():
    kinds = {
        table.kind for text in TABLES for table in config.loads(f"[model]\npath='x'\n{text}", ROOT).sensors
    }
    assert kinds == {"i2c", "serial", "gps", "lidar", "microphone", "camera", "network", "simulated"}
    named = set(re.findall(r"`([a-z0-9]+)`", DOCUMENT.partition("```toml")[0]))
    assert set(chips.NAMES) <= named


@pytest.mark.parametrize("chip", chips.NAMES)
@pytest.mark.parametrize("bus", ['"simulated"', "1"])
def test_every_chip_can_be_configured(chip: str, bus: str, shipped_model: Path):
    table = f'[[sensor]]\nkind = "i2c"\nname = "chip"\nchip = "{chip}"\nbus = {bus}\n'
    check(config.loads(f'[model]\npath = "{shipped_model}"\n{table}', ROOT))


BY_BRIDGE = {
    "imu": "imu_phone",
    "depth": "depth",
    "capacitance": "capacitance",
    "gaze": "gaze",
    "pose": "pose_hand",
}
OVER_MQTT = {"gaze": "gaze", "pose": "pose_hand"}
"""Modality -> a slot of the shipped model that takes it."""
LIDARS = {"ld06", "rplidar_a1"}


def shown() -> list[config_sensors.SensorSettings]:
    """Every sensor of the document's tables."""
    return [sensor for text in TABLES for sensor in config.loads(f"[model]\npath='x'\n{text}", ROOT).sensors]


def test_every_modality_is_shown_in_every_way_that_it_can_come():
    slots = {kind: set[str]() for kind in ("serial", "network", "camera", "microphone", "i2c")}
    for sensor in shown():
        slots.setdefault(sensor.kind, set()).update(sensor.sources.values())
    assert set(BY_BRIDGE.values()) <= slots["serial"]
    assert set(OVER_MQTT.values()) <= slots["network"]
    assert {"camera", "image", "video"} <= slots["camera"]
    assert "audio" in slots["microphone"]
    lidars = {sensor.model for sensor in shown() if isinstance(sensor, config_sensors.LidarSensor)}
    assert lidars >= LIDARS


@pytest.mark.parametrize("model", get_args(config_sensors.LidarSensor.model_fields["model"].annotation))
def test_every_scanner_can_be_configured(model: str, shipped_model: Path):
    assert f'"{model}"' in DOCUMENT
    table = (
        f"[[sensor]]\nkind = 'lidar'\nname = 's'\nmodel = '{model}'\nport = '/dev/ttyUSB0'\nslot = 'lidar'\n"
    )
    check(config.loads(f'[model]\npath = "{shipped_model}"\n{table}', ROOT))


@pytest.mark.parametrize("slot", ["gaze", "pose_hand", "pose_finger"])
def test_the_channels_of_gaze_and_pose_are_those_that_are_described(slot: str, shipped_model: Path):
    """And what the simulated tracker sends is what the slot takes, in its units."""
    wanted = manifest.read(shipped_model).slot(slot)
    known = next(t for t in TRACKERS.values() if t.channels == wanted.channels)
    assert known.units == wanted.unit_of_each
    (row,) = [line for line in DOCUMENT.splitlines() if line.startswith(f"| `{slot}` |")]
    described = re.findall(r"`(\w+)`", row.split("|")[2])
    assert described == list(dict.fromkeys(re.sub("_[xy]$", "", channel) for channel in wanted.channels))

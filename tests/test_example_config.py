"""The example configuration: accepted as it stands, and the defaults that it states are the real ones."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from edge_agent import config, config_sensors, config_voice
from edge_agent.config_sensors import SensorSettings
from edge_agent.config_sparkplug import Sparkplug

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "edge-agent.example.toml"
HAS_NO_DEFAULT = {
    "username", "password_file", "ca_file", "certificate_file", "key_file",
    "device", "label", "name", "slot", "kind", "files", "chip", "address", "port", "source", "channels",
    "topic", "plugin", "options", "model", "taught", "time_zone", "path",
    "microphone", "loudspeaker", "led", "transcriber_model", "synthesiser_model",
    "edge_node_id", "primary_host_id", "servers", "faults",
}  # fmt: skip
HAS_THE_DEVICES_OWN = {
    ("outbox", "path"),
    ("sensor.i2c", "rate_hz"), ("sensor.lidar", "baud_rate"), ("sensor.camera", "width"),
    ("sensor.camera", "height"), ("sensor.camera", "rate_hz"),
}  # fmt: skip
"""Where None means what is usual for the chip, the scanner or the node, or what the slot takes."""
SETTING = re.compile(r"^# (?P<key>[a-z_]+) = (?P<value>\S.*)$")


def commented_settings() -> list[tuple[str, str, str]]:
    """(table, key, TOML line) of every setting that stands behind a comment sign."""
    found = []
    table = ""
    for line in EXAMPLE.read_text().splitlines():
        bare = line.removeprefix("# ").split("#")[0].strip()
        if re.fullmatch(r"\[+[a-z._]+\]+", bare):
            table = bare.strip("[]")
        elif bare.startswith("kind = "):
            table = f"sensor.{tomllib.loads(bare)['kind']}"
        elif match := SETTING.match(line):
            found.append((table, match["key"], line.removeprefix("# ")))
    return found


def commented_sensors() -> list[str]:
    """Every [[sensor]] table that stands behind comment signs, without these."""
    found = re.findall(r"^# \[\[sensor\]\]\n(?:# .*\n?)+", EXAMPLE.read_text(), re.MULTILINE)
    return [re.sub("^# ", "", table, flags=re.MULTILINE) for table in found]


def default_of(table: str, key: str) -> object:
    models = {
        "node": config.Node,
        "model": config.Model,
        "mqtt": config.Mqtt,
        "outbox": config.Outbox,
        "homeassistant": config.HomeAssistant,
        "sparkplug": Sparkplug,
        "windows": config.WindowSettings,
        "publish": config.Publish,
        "memory": config.MemorySettings,
        "voice": config_voice.VoiceSettings,
        "voice.button": config_voice.Button,
        "sensor.serial": config_sensors.SerialSensor,
        "sensor.microphone": config_sensors.MicrophoneSensor,
        "sensor.replay": config_sensors.ReplaySensor,
        "sensor.simulated": config_sensors.SimulatedSensor,
        "sensor.i2c": config_sensors.I2cSensor,
        "sensor.gps": config_sensors.GpsSensor,
        "sensor.lidar": config_sensors.LidarSensor,
        "sensor.camera": config_sensors.CameraSensor,
        "sensor.network": config_sensors.NetworkSensor,
        "sensor.plugin": config_sensors.PluginSensor,
    }
    return models[table].model_fields[key].default


def test_it_is_accepted_as_it_stands():
    settings = config.load(EXAMPLE)
    assert set(settings.sources.values()) == {"imu_phone", "imu_watch", "audio"}
    assert settings.model.path == ROOT / "models" / "iotlm-7m"


def test_the_stated_defaults_are_the_real_ones():
    stated = [
        entry
        for entry in commented_settings()
        if entry[1] not in HAS_NO_DEFAULT and entry[:2] not in HAS_THE_DEVICES_OWN
    ]
    assert len(stated) >= 15
    for table, key, line in stated:
        value = tomllib.loads(line)[key]
        real = default_of(table, key)
        assert value == (str(real) if isinstance(real, Path) else real), f"[{table}] {key}"


def test_every_kind_of_sensor_is_shown_and_accepted():
    used = [table.kind for table in config.load(EXAMPLE).sensors]
    for table in commented_sensors():
        (sensor,) = config.loads(f"[model]\npath = 'm'\n{table}", ROOT).sensors
        used.append(sensor.kind)
    kinds = [
        get_args(kind.model_fields["kind"].annotation)[0] for kind in get_args(get_args(SensorSettings)[0])
    ]
    assert sorted(used) == sorted(kinds)


@pytest.mark.parametrize(
    "model",
    [
        config.Node,
        config.Model,
        config.Mqtt,
        config.Outbox,
        config.WindowSettings,
        config.Publish,
        Sparkplug,
    ],
)
def test_every_setting_is_shown(model: type):
    text = EXAMPLE.read_text()
    missing = [name for name in model.model_fields if not re.search(rf"\b{name}\b", text)]
    assert missing == []


@pytest.mark.skipif(
    not (ROOT / "models/iotlm-7m/manifest.json").exists(), reason="the model is not trained in this clone"
)
def test_the_command_accepts_it():
    result = subprocess.run(
        [sys.executable, "-m", "edge_agent", "check", "-c", str(EXAMPLE)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr

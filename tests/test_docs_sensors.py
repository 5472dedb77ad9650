"""docs/sensors.md: every table in it is accepted by `edge-agent check`, and no chip is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import ROOT

from edge_agent import config
from edge_agent.assembly import check
from edge_agent.sensors.i2c import chips

DOCUMENT = (ROOT / "docs" / "sensors.md").read_text()
TABLES = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.mark.parametrize("table", TABLES, ids=range(len(TABLES)))
def test_it_is_accepted_as_it_stands(table: str, random_model: Path):
    settings = config.loads(f'[model]\npath = "{random_model}"\n{table}', ROOT)
    check(settings)
    assert settings.sources


def test_every_kind_and_every_chip_is_shown():
    kinds = {
        table.kind for text in TABLES for table in config.loads(f"[model]\npath='x'\n{text}", ROOT).sensors
    }
    assert kinds == {"i2c", "serial", "gps", "lidar", "microphone", "camera", "network"}
    named = set(re.findall(r"`([a-z0-9]+)`", DOCUMENT.partition("```toml")[0]))
    assert set(chips.NAMES) <= named


@pytest.mark.parametrize("chip", chips.NAMES)
@pytest.mark.parametrize("bus", ['"simulated"', "1"])
def test_every_chip_can_be_configured(chip: str, bus: str, random_model: Path):
    table = f'[[sensor]]\nkind = "i2c"\nname = "chip"\nchip = "{chip}"\nbus = {bus}\n'
    check(config.loads(f'[model]\npath = "{random_model}"\n{table}', ROOT))

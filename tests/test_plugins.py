"""Third-party sensors: the example of docs/plugins.md, taken from the document, installed and run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from edge_agent import config
from edge_agent.assembly import check
from edge_agent.errors import ConfigurationError

DOCUMENT = (ROOT / "docs" / "plugins.md").read_text()
TABLE = '[[sensor]]\nkind = "plugin"\nname = "barometer"\nplugin = "iio-pressure"\n'


def example(name: str) -> str:
    found = re.search(rf"<!-- {name}: begin -->\n```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package of the document, as pip would leave it, on the path."""
    folder = tmp_path / "site"
    about = folder / "iio_pressure-1.0.dist-info"
    about.mkdir(parents=True)
    (folder / "iio_pressure.py").write_text(example("plugin"))
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: iio-pressure\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[edge_agent.sensors]\niio-pressure = iio_pressure:IioPressure\n")
    monkeypatch.syspath_prepend(folder)
    return folder


def load(model: Path, sensors: str) -> config.Config:
    return config.loads(f'[model]\npath = "{model}"\n{sensors}', ROOT)


def test_the_example_is_short():
    assert len(example("plugin").splitlines()) < 40


def test_the_example_is_found_by_its_entry_point(installed: Path, random_model: Path):
    check(load(random_model, f"{TABLE}options = {{ rate_hz = 2.0 }}\n"))


def test_a_plugin_that_is_not_installed_is_named(random_model: Path):
    with pytest.raises(ConfigurationError, match='no plug-in "iio-pressure"') as caught:
        check(load(random_model, TABLE))
    assert caught.value.key == "sensor.0.plugin"


def test_options_that_it_does_not_take_are_refused(installed: Path, random_model: Path):
    with pytest.raises(ConfigurationError, match="colour") as caught:
        check(load(random_model, f'{TABLE}options = {{ colour = "red" }}\n'))
    assert caught.value.key == "sensor.0.options"


def test_the_example_keeps_the_contract_that_the_document_runs(installed: Path, tmp_path: Path):
    file = tmp_path / "test_barometer.py"
    file.write_text(example("contract"))
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(file)],
        env={"PYTHONPATH": f"{installed}:{ROOT}", "PATH": ""},
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"\b7 passed", result.stdout), result.stdout

"""The service files: what they promise to systemd, and where `make install-service` puts them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from edge_agent import config

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "systemd" / "edge-agent.service"
Unit = dict[tuple[str, str], list[str]]


def parse(path: Path) -> Unit:
    """(section, key) -> values. configparser would keep only the last DeviceAllow=."""
    unit: Unit = defaultdict(list)
    section = ""
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith(("#", ";")):
            continue
        if line.startswith("["):
            section = line.strip("[]")
            continue
        key, equals, value = line.partition("=")
        assert equals, f"{path.name}:{number} is neither a section, a comment nor a setting: {line}"
        unit[section, key].append(value)
    return unit


@pytest.fixture(scope="module")
def unit() -> Unit:
    return parse(UNIT)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    run_install(tmp_path)
    return tmp_path


def run_install(destdir: Path | None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DESTDIR": str(destdir or "")}
    return subprocess.run(
        ["bash", str(ROOT / ".ci" / "install-service")],
        env=environment, capture_output=True, text=True, timeout=60, check=destdir is not None,
    )  # fmt: skip


def test_systemd_is_told_when_it_is_ready_and_that_it_lives(unit: Unit):
    assert unit["Service", "Type"] == ["notify"]
    assert unit["Service", "NotifyAccess"] == ["main"]
    assert 5 <= int(unit["Service", "WatchdogSec"][0]) <= 120
    assert int(unit["Service", "TimeoutStartSec"][0]) >= 60, (
        "a small machine needs a while to load the models"
    )


def test_it_comes_back_for_ever_but_not_to_a_wrong_configuration(unit: Unit):
    assert unit["Service", "Restart"] == ["always"]
    assert unit["Unit", "StartLimitIntervalSec"] == ["0"]
    assert unit["Service", "RestartPreventExitStatus"] == [str(os.EX_CONFIG)]


def test_it_stops_with_the_agent_first_and_its_worker_after(unit: Unit):
    assert unit["Service", "KillMode"] == ["mixed"]
    assert int(unit["Service", "TimeoutStopSec"][0]) > 2


def test_it_runs_as_its_own_user_in_the_groups_of_the_sensors(unit: Unit):
    assert unit["Service", "User"] == ["edge-agent"]
    groups = unit["Service", "SupplementaryGroups"][0].split()
    assert groups == ["dialout", "i2c", "audio"]
    users = [line.split() for line in (ROOT / "systemd/sysusers.d/edge-agent.conf").read_text().splitlines()]
    assert ["u", "edge-agent"] in [words[:2] for words in users]
    for group in groups:
        assert ["g", group] in [words[:2] for words in users], f"a missing group {group} would stop the unit"
        assert ["m", "edge-agent", group] in [words[:3] for words in users]


def test_the_devices_of_the_sensors_are_all_that_is_open(unit: Unit):
    assert unit["Service", "DevicePolicy"] == ["closed"]
    allowed = {value.split()[0] for value in unit["Service", "DeviceAllow"]}
    assert allowed == {"char-ttyUSB", "char-ttyACM", "char-ttyAMA", "char-ttyS", "char-i2c", "char-alsa"}
    assert ("Service", "PrivateDevices") not in unit


def test_what_it_may_write_is_its_own(unit: Unit):
    assert unit["Service", "StateDirectory"] == ["edge-agent"]
    assert unit["Service", "ProtectSystem"] == ["strict"]
    assert unit["Service", "CapabilityBoundingSet"] == [""]
    for key in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "RestrictNamespaces", "LockPersonality"):
        assert unit["Service", key] == ["yes"], key


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_itself_finds_no_fault(tmp_path: Path):
    # The program is not installed where the tests run, so only its path is replaced.
    text = UNIT.read_text().replace("/opt/edge-agent/.venv/bin/edge-agent", "/bin/true")
    assert "/bin/true run" in text
    copy = tmp_path / UNIT.name
    copy.write_text(text)
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr.strip()) == (0, "")


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="systemd-sysusers is not installed")
def test_the_user_can_be_made():
    users = ROOT / "systemd" / "sysusers.d" / "edge-agent.conf"
    result = subprocess.run(
        ["systemd-sysusers", "--dry-run", str(users)], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_rule_file_changes_nothing_until_somebody_edits_it():
    rules = ROOT / "systemd" / "udev" / "60-edge-agent.rules"
    lines = rules.read_text().splitlines()
    assert all(not line or line.startswith("#") for line in lines)
    assert sum("SYMLINK+=" in line for line in lines) == 2


def test_install_lays_out_what_the_unit_names(installed: Path, unit: Unit):
    program, *_, settings = unit["Service", "ExecStart"][0].split()
    assert program == "/opt/edge-agent/.venv/bin/edge-agent"
    assert (installed / settings.lstrip("/")).is_file()
    assert (installed / "etc/systemd/system/edge-agent.service").read_bytes() == UNIT.read_bytes()
    assert (installed / "etc/sysusers.d/edge-agent.conf").is_file()
    assert (installed / "etc/udev/rules.d/60-edge-agent.rules").is_file()
    shipped = sorted(path.relative_to(ROOT) for path in (ROOT / "models").rglob("*") if path.is_file())
    for path in shipped:
        assert (installed / "opt/edge-agent" / path).is_file(), path


def test_the_installed_configuration_names_the_installed_folders(installed: Path):
    settings = config.load(installed / "etc/edge-agent/edge-agent.toml")
    assert settings.model.path == Path("/opt/edge-agent/models/iotlm-7m")
    assert settings.node.state_directory == Path("/var/lib/edge-agent")


def test_a_second_install_keeps_what_a_person_wrote(installed: Path):
    mine = installed / "etc/edge-agent/edge-agent.toml"
    rules = installed / "etc/udev/rules.d/60-edge-agent.rules"
    mine.write_text("# mine\n")
    rules.write_text("# mine too\n")
    unit = installed / "etc/systemd/system/edge-agent.service"
    unit.write_text("[Service]\n")
    run_install(installed)
    assert (mine.read_text(), rules.read_text()) == ("# mine\n", "# mine too\n")
    assert unit.read_bytes() == UNIT.read_bytes()


@pytest.mark.skipif(
    Path("/run/systemd/system").exists() and os.geteuid() == 0, reason="it would really install"
)
def test_install_says_what_it_needs():
    result = run_install(None)
    assert result.returncode == 1
    assert "sudo make install-service" in result.stderr or "edge-agent run" in result.stderr

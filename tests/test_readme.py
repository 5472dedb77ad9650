"""What the README says is so: its tree, its commands, its files, and the sensor that it shows speaks."""

from __future__ import annotations

import importlib.util
import os
import pty
import re
import select
import struct
import subprocess
import sys
import time
import tomllib
import tty
from pathlib import Path
from types import ModuleType

import pytest

from edge_agent import config
from firmware_bridge import (
    NEED_DATA,
    ClockReply,
    ClockRequest,
    Connection,
    Describe,
    Hello,
    Role,
    Samples,
    Start,
)

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PATIENCE_S = 20.0


def block(name: str) -> str:
    """What stands between the two comments of that name."""
    match = re.search(rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", README, re.DOTALL)
    assert match, name
    return match[1]


def code(text: str, language: str) -> str:
    match = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert match, language
    return match[1]


@pytest.fixture(scope="module")
def tree() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tree", ROOT / ".ci" / "tree.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone: what is tracked is not known")
def test_every_file_has_its_line(tree: ModuleType):
    def names(text: str) -> list[str]:
        return [line.split()[0] for line in text.splitlines() if line.strip("` ")]

    expected = names(tree.tree(tree.tracked()))
    assert len(expected) > 40
    assert names(code(block("tree"), "")) == expected, "a file was added, moved or removed: make tree"


def test_every_make_target_that_documents_name_exists():
    documents = README + (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"(?:^|`|sudo )make ([a-z-]+)", documents, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "check", "bench", "install-service"} <= named
    assert named <= targets


def test_every_file_that_it_names_is_there():
    named = set(re.findall(r"`((?:[a-z_0-9.-]+/)*[A-Za-z_0-9-]+\.(?:toml|md|rules|service))`", README))
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    named |= set(re.findall(r"\]\((?!http)([^)]+)\)", prose))
    assert "firmware_bridge/PROTOCOL.md" in named
    made_by_training = {"models/iotlm-7m/EVALUATION.md"}
    assert [name for name in named - made_by_training if not (ROOT / name).exists()] == []


def test_every_command_that_it_names_exists():
    subcommands = set(re.findall(r"^edge-agent ([a-z]+)", README, re.MULTILINE))
    assert {"run", "ask", "check", "models"} <= subcommands
    for name in subcommands:
        result = subprocess.run(
            [sys.executable, "-m", "edge_agent", name, "--help"],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr


def test_its_configuration_is_accepted():
    shown = code(README, "toml")
    assert tomllib.loads(shown)["sensor"][0]["kind"] == "serial"
    settings = config.loads('[model]\npath = "models/iotlm-7m"\n' + shown, ROOT)
    assert settings.sources == {"phone": "imu_phone"}


def test_its_sensor_streams_to_a_host(tmp_path: Path):
    script = tmp_path / "my_sensor.py"
    script.write_text(code(block("sensor"), "python"))
    host_end, device_end = pty.openpty()
    tty.setraw(device_end)
    device = subprocess.Popen(
        [sys.executable, str(script), os.ttyname(device_end)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        samples, clock = converse(host_end, wanted=30)
    finally:
        device.kill()
        device.wait()
        os.close(host_end)
        os.close(device_end)
    assert [part.first_index for part in samples] == list(range(len(samples)))
    times_us = [part.time_us for part in samples]
    assert times_us == sorted(set(times_us))
    assert {struct.unpack("<6h", part.data) for part in samples} == {(0, 0, 981, 0, 0, 0)}
    assert clock.received_us <= clock.replied_us


def converse(line: int, wanted: int) -> tuple[list[Samples], ClockReply]:
    """Greet, describe, set the clock and start: (`wanted` frames of samples, the clock's reply)."""
    host = Connection(Role.HOST)
    greetings = 0
    samples: list[Samples] = []
    clock: list[ClockReply] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while len(samples) < wanted or not clock:
        assert time.monotonic() < deadline_s, f"{len(samples)} frames of samples, {host.state}"
        readable, _, _ = select.select([line], [], [], 0.5)
        if readable:
            host.receive_data(os.read(line, 4096))
        while (event := host.next_event()) is not NEED_DATA:
            if isinstance(event, Samples):
                samples.append(event)
            elif isinstance(event, ClockReply):
                clock.append(event)
            elif isinstance(event, Hello):
                greetings += 1  # the first one announces that the device has started, the second one replies
                os.write(line, host.send(Hello("test") if greetings == 1 else Describe()))
            elif host.descriptors and not samples:
                os.write(line, host.send(ClockRequest(time.monotonic_ns())))
                os.write(line, host.send(Start()))
    return samples, clock[0]

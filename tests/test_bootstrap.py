"""The set-up that `make` runs: what it says, what it keeps, and what the lock files promise."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Callable
from importlib.metadata import version as installed_version
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / ".ci" / "bootstrap.py"


@pytest.fixture(scope="module")
def bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins(name: str) -> dict[str, str]:
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
    found = [re.fullmatch(r"([a-z0-9-]+)==(\S+)", line) for line in lines]
    assert all(found), "a lock file holds exact versions and nothing else"
    return {match[1]: match[2] for match in found if match}


@pytest.mark.parametrize(
    ("line", "fraction"),
    [
        ("  [1/4] Building C object CMakeFiles/t.dir/c.c.o", 0.25),
        ("  [312/312] Linking CXX shared library libllama.so", 1.0),
        ("[ 12%] Building CXX object vendor/llama.cpp/src/llama.cpp.o", 0.12),
        ("[100%] Built target llama", 1.0),
        ("  -- Detecting C compiler ABI info - done", None),
        ("[0/0] Re-checking globbed directories...", None),
    ],
)
def test_progress_is_read_from_what_the_build_prints(
    bootstrap: ModuleType, line: str, fraction: float | None
):
    assert bootstrap.fraction_done(line) == fraction


def test_a_build_that_works_ends_at_100_percent(bootstrap: ModuleType, tmp_path: Path, capsys):
    script = "print('[1/2] a', flush=True); print('[2/2] b')"
    bootstrap.run_with_progress(
        [sys.executable, "-c", script], "building x", tmp_path / "log", dict(os.environ)
    )
    assert "building x  100%" in capsys.readouterr().out
    assert (tmp_path / "log").read_text() == "[1/2] a\n[2/2] b\n"


def test_a_build_that_fails_shows_its_end_and_names_its_log(bootstrap: ModuleType, tmp_path: Path):
    script = "print('fatal error: no such header'); raise SystemExit(1)"
    with pytest.raises(bootstrap.BootstrapError, match=r"(?s)no such header.*log"):
        bootstrap.run_with_progress(
            [sys.executable, "-c", script], "building x", tmp_path / "log", dict(os.environ)
        )


def test_only_a_wheel_of_this_machine_and_version_is_taken(bootstrap: ModuleType, tmp_path: Path):
    machine = os.uname().machine
    for name in ("0.3.36-py3-none-linux_other", f"0.3.35-py3-none-linux_{machine}"):
        (tmp_path / f"llama_cpp_python-{name}.whl").touch()
    assert bootstrap.cached_wheel(tmp_path, "0.3.36") is None
    right = tmp_path / f"llama_cpp_python-0.3.36-py3-none-linux_{machine}.whl"
    right.touch()
    assert bootstrap.cached_wheel(tmp_path, "0.3.36") == right


def test_a_wheel_for_a_richer_processor_is_built_anew(bootstrap: ModuleType, tmp_path: Path):
    wheel = tmp_path / f"llama_cpp_python-0.3.36-py3-none-linux_{os.uname().machine}.whl"
    wheel.touch()
    made_for = wheel.with_suffix(".cpu")
    made_for.write_text(" ".join(bootstrap.cpu_features()))
    assert bootstrap.cached_wheel(tmp_path, "0.3.36") == wheel
    made_for.write_text(" ".join({*bootstrap.cpu_features(), "avx4096"}))
    assert bootstrap.cached_wheel(tmp_path, "0.3.36") is None


def test_an_interrupted_build_leaves_no_compiler_behind(bootstrap: ModuleType, tmp_path: Path):
    alive = tmp_path / "alive"
    script = f"sleep 60 & echo $! > {alive}; echo '[1/2] a'; wait"
    runner = f"""
import importlib.util, os, pathlib, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
spec = importlib.util.spec_from_file_location("bootstrap", {str(SCRIPT)!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
log = pathlib.Path({str(tmp_path / "log")!r})
module.run_with_progress(["sh", "-c", {script!r}], "x", log, dict(os.environ))
"""
    process = subprocess.Popen([sys.executable, "-c", runner], stderr=subprocess.DEVNULL)
    until(lambda: alive.exists() and bool(alive.read_text().strip()))
    process.send_signal(signal.SIGINT)
    assert process.wait(20) != 0
    compiler = Path("/proc") / alive.read_text().strip() / "stat"
    until(lambda: not compiler.exists() or " Z " in compiler.read_text())


def until(holds: Callable[[], bool]) -> None:
    """Wait for a fact; fail after 20 s."""
    deadline_s = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_the_environment_of_developers_serves_the_demo_too(bootstrap: ModuleType, tmp_path: Path):
    assert not bootstrap.is_ready(tmp_path, "demo")
    (tmp_path / ".ready-dev").write_text(bootstrap.stamp_of("dev"))
    assert bootstrap.is_ready(tmp_path, "demo")
    (tmp_path / ".ready-dev").write_text("made from older files")
    assert not bootstrap.is_ready(tmp_path, "demo")


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")
    result = subprocess.run(
        [sys.executable, str(SCRIPT), "demo", "--venv", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "is no Python environment" in result.stderr
    assert (tmp_path / "thesis.txt").exists()


def test_a_missing_compiler_is_named_with_its_package(tmp_path: Path):
    script = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("bootstrap", {str(SCRIPT)!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.check_machine(compiler=True)
"""
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "apt-get install build-essential" in result.stderr


def test_the_locks_hold_every_dependency_in_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    device = pins("requirements.lock")
    everything = {**pins("requirements-dev.lock"), **device}
    extras = project["optional-dependencies"]
    wanted = [(text, device) for text in project["dependencies"] + extras["demo"]]
    wanted += [(text, everything) for text in extras["export"] + extras["dev"]]
    for text, lock in wanted:
        requirement = Requirement(text)
        assert requirement.specifier.contains(lock[requirement.name.lower()]), text


def test_no_package_is_locked_twice():
    assert not pins("requirements.lock").keys() & pins("requirements-dev.lock").keys()


def test_the_demo_needs_no_torch():
    assert not {"torch", "onnx", "scipy", "scikit-learn"} & pins("requirements.lock").keys()


def test_the_tests_run_on_the_locked_versions():
    locked = {**pins("requirements.lock"), **pins("requirements-dev.lock")}
    for name in ("numpy", "onnxruntime", "llama-cpp-python", "paho-mqtt", "pydantic", "torch"):
        assert installed_version(name).partition("+")[0] == locked[name], name


def test_the_wheel_holds_the_device_and_nothing_else(tmp_path: Path):
    pytest.importorskip("hatchling")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--wheel-dir", str(tmp_path), str(ROOT)],
        check=True, timeout=100,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("iotlm_edge-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"edge_agent", "firmware_bridge"}
    tracked = subprocess.run(
        ["git", "ls-files", "edge_agent", "firmware_bridge"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    for name in tracked.stdout.split():
        assert name in names, f"{name} is not in the wheel"

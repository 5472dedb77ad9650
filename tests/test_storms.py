"""A hundred unplugs of every kind: no thread, descriptor or memory is lost, and each is recovered from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from conftest import ROOT
from hot_plug_devices import KINDS

from benchmarks.broker import program

pytestmark = pytest.mark.e2e
STORM = 100
WARM = 10
"""Times after which everything was imported, opened and filled once."""
LEAST = {"our_bytes": 150_000, "own_bytes": 6_000_000}
"""Under this, growth is the interpreter's own, or that of an allocator's heaps."""
SILENT = ("eye tracker",)
"""Nothing is unplugged there: it only falls silent."""


def storm(folder: Path, model: Path, *kinds: str) -> tuple[dict[int, dict[str, int]], list[dict[str, Any]]]:
    """(times -> what was held then, the counters of each sensor)."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "tests" / "storm_process.py"), str(folder), str(model), str(STORM)]
    result = subprocess.run(
        [*command, *kinds], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    print(result.stdout, result.stderr[-2000:], sep="\n")
    assert result.returncode == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return {line["times"]: line for line in lines if "times" in line}, [li for li in lines if "kind" in li]


def check(held: dict[int, dict[str, int]], sensors: list[dict[str, Any]], kinds: list[str]) -> None:
    before = [line for times, line in held.items() if WARM <= times <= STORM // 2]
    after = [line for times, line in held.items() if times > STORM // 2]

    def least(lines: list[dict[str, int]], what: str) -> int:
        """What is on its way just now comes and goes; what is lost stays."""
        return min(line[what] for line in lines)

    for what in ("threads", "descriptors"):  # a sound server's come and go; one lost each time would be fifty
        assert least(after, what) <= max(line[what] for line in before), what
    for what, growth in LEAST.items():
        now, then = (median(line[what] for line in lines) for lines in (after, before))
        assert now <= then + growth, what
    assert [sensor["kind"] for sensor in sensors] == kinds
    assert {sensor["state"] for sensor in sensors} == {"online"}
    for sensor in sensors:  # more: on a busy machine one may be lost beside
        assert sensor["reconnects"] >= (0 if sensor["kind"] == "plugin" else STORM), sensor


@pytest.mark.timeout(900)
def test_a_hundred_unplugs_of_every_kind_cost_nothing(shipped_model: Path, tmp_path: Path):
    """All at once, as when a hub loses its power; the microphone loses its sound server."""
    if program() is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    pytest.importorskip("cv2", reason="pip install 'iotlm-edge[camera]'")
    if not shutil.which("pulseaudio"):
        pytest.skip("no PulseAudio (apt install pulseaudio libasound2-plugins)")
    kinds = [kind for kind in KINDS if kind not in SILENT]
    check(*storm(tmp_path, shipped_model, *kinds), kinds)

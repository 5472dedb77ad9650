"""The fleet benchmark as a user starts it, on few nodes: what it reports has to be true of them."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from benchmarks.fleet import lost_of
from benchmarks.fleet_ear import Heard
from benchmarks.fleet_nodes import Tally

PUBLISHED = {("A", "event"): 3, ("A", "percept/main"): 7, ("B", "event"): 2}


def lost(numbers: dict[tuple[str, str], tuple[int, int]]) -> int:
    nothing = np.empty(0)
    tallies = [Tally({source: n}, n, 0, nothing, 0) for source, n in PUBLISHED.items()]
    return lost_of(tallies, Heard(numbers, 0, 0, nothing, 0.0))


def test_what_did_not_come_is_lost_be_it_the_last_the_first_or_all_of_a_source():
    whole = {source: (n, n) for source, n in PUBLISHED.items()}
    assert lost(whole) == 0
    assert lost(whole | {("A", "event"): (2, 2)}) == 1
    assert lost({("A", "event"): (2, 3)}) == 1 + 7 + 2
    with pytest.raises(RuntimeError, match="nobody published"):
        lost(whole | {("C", "event"): (1, 1)})


def run(*arguments: str, files: int | None = None) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    command = [sys.executable, "-m", "benchmarks.fleet", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False, preexec_fn=limit
    )


@pytest.mark.e2e
def test_a_small_fleet_loses_nothing_and_survives_a_broker_that_restarts():
    if shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin") is None:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    small = ("--nodes", "12", "--processes", "2", "--seconds", "3", "--ramp", "0.5", "--event", "2")
    done = run(*small, "--json")
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    # Every 1 s and every 2 s from a random moment within the first interval on; fewer on a busy machine.
    assert 12 <= got["published"] <= 12 * (3 + 2)
    assert got["delivered"] == got["published"]
    assert got["lost"] == got["duplicates"] == got["connections_lost"] == 0
    assert 300 < got["payload_bytes"] < 2000
    assert 0 < got["latency_ms"]["p50"] <= got["latency_ms"]["p99"]
    assert got["storm"]["attempts_per_node"] >= 1
    print(got["storm"])


def test_too_few_open_files_are_an_error_with_the_next_step():
    done = run("--nodes", "500", files=300)
    assert done.returncode == 1
    assert "600 open files are needed and 300 allowed" in done.stderr
    assert "ulimit -n 600" in done.stderr
    assert "--nodes 200" in done.stderr

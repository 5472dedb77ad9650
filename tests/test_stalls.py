"""Nothing downstream of a sensor may delay it, and no clock but the monotonic one may cut a window."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from agent_process import NODE, AgentProcess, board, configuration
from conftest import Mosquitto, wait_for
from listening import Listener

pytestmark = pytest.mark.e2e
STALL_S = 4.0
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
ROOM = """
[[sensor]]
kind = "i2c"
name = "room"
chip = "d6t"
bus = "simulated"
[[sensor]]
kind = "simulated"
name = "sound"
slot = "audio"
"""


def language_worker(agent: AgentProcess) -> psutil.Process:
    def find() -> psutil.Process | None:
        children = psutil.Process(agent.process.pid).children(recursive=True)
        return next((c for c in children if "worker_main" in " ".join(c.cmdline())), None)

    found = wait_for(find, 20, "the language model's worker")
    assert isinstance(found, psutil.Process)
    return found


def test_a_language_model_that_hangs_and_a_broker_that_goes_delay_no_sensor(
    broker: Mosquitto, random_model: Path, tmp_path: Path
):
    """A chip that is read four times a second: a read that waited for anything would leave a gap."""
    file = configuration(tmp_path, random_model, broker.port, sensors=ROOM)
    with Listener(broker.port) as listener, AgentProcess(file) as agent:
        state = f"{NODE}/sensor/room/state"
        before = listener.wait(state, lambda m: m["state"] == "online" and m["samples"] > 8)
        assert before["slot"] == ""
        assert before["simulated"]
        worker = language_worker(agent)
        worker.send_signal(signal.SIGSTOP)
        for i in range(3):
            listener.send(f"{NODE}/cmd/ask", {"question": "what do you hear?", "id": f"q{i}"})
        broker.stop()
        stalled_s = time.monotonic()
        wait_for(lambda: time.monotonic() - stalled_s > STALL_S, STALL_S + 5)
        broker.start()
        worker.send_signal(signal.SIGCONT)
        after = listener.wait(state, lambda m: m["samples"] > before["samples"] + 3 * STALL_S, timeout_s=30)
    assert after["state"] == "online"
    assert (after["gaps"], after["lost"], after["dropped_chunks"]) == (before["gaps"], 0, 0)
    assert after["rate_hz"] == pytest.approx(4, rel=0.15)
    print(f"jitter before {before['jitter_ms']} ms, after the stall {after['jitter_ms']} ms")


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed (apt install faketime)")
def test_a_wall_clock_that_jumps_a_year_changes_no_window(
    broker: Mosquitto, random_model: Path, tmp_path: Path
):
    setting = tmp_path / "clock"
    setting.write_text("+0")
    environment = {
        "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(setting), "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    file = configuration(tmp_path, random_model, broker.port)
    with Listener(broker.port) as listener, board(tmp_path), AgentProcess(file, environment):
        this_year = int(listener.wait(f"{NODE}/percept", lambda m: len(m["present"]) == 3)["time_utc"][:4])
        setting.write_text("+366d")
        jumped = listener.wait(f"{NODE}/percept", lambda m: int(m["time_utc"][:4]) > this_year, timeout_s=30)
        setting.write_text("-366d")
        back = listener.wait(f"{NODE}/percept", lambda m: int(m["time_utc"][:4]) < this_year, timeout_s=30)
        heard = [m for m in listener.on(f"{NODE}/percept/main") if m["sequence"] >= jumped["sequence"] - 2]
        health = listener.wait(f"{NODE}/health", lambda m: m["percepts"] > back["sequence"] // 2)
    assert all(len(m["present"]) == 3 for m in heard), "a window was lost when the clock was set"
    assert [m["sequence"] for m in heard] == sorted({m["sequence"] for m in heard})
    assert health["errors"]["skipped_windows"] == 0
    assert all(flow["gaps"] == 0 for flow in health["windows"].values())
    assert os.environ.get("LD_PRELOAD") is None

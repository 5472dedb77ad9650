"""`edge-agent talk` and `mute`: what they send, and what they say when nobody replies."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest
from conftest import ROOT, Mosquitto, wait_for
from listening import Listener

pytestmark = pytest.mark.e2e
WAIT_S = 60.0


def command(broker: Mosquitto, *arguments: str) -> list[str]:
    return [
        sys.executable, "-m", "edge_agent", *arguments, "--host", "127.0.0.1", "--port", str(broker.port),
        "--node", "kitchen", "--timeout", "1",
    ]  # fmt: skip


def orders(listener: Listener, verb: str) -> list[dict[str, object]]:
    """Without their ids."""
    bodies = [json.loads(m.payload) for m in listener.heard if m.topic == f"edge/kitchen/cmd/{verb}"]
    assert all(body.pop("id") for body in bodies)
    return bodies


@pytest.mark.parametrize(
    ("arguments", "verb", "body"),
    [
        (["talk"], "talk", {}),
        (["talk", "--stop"], "talk", {"stop": True}),
        (["mute", "mic"], "mute", {"sensor": "mic", "muted": True}),
        (["mute", "mic", "--off", "--for", "5"], "mute", {"sensor": "mic", "muted": False, "for_s": 5.0}),
    ],
)
def test_what_is_sent_when_no_agent_is_there(
    broker: Mosquitto, arguments: list[str], verb: str, body: object
):
    with Listener(broker.port) as listener:
        done = subprocess.run(
            command(broker, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=False
        )
        wait_for(lambda: orders(listener, verb), WAIT_S, "the order")
        assert orders(listener, verb) == [body]
    assert done.returncode == 1
    assert 'no agent "kitchen" has ever spoken' in done.stderr
    assert "hint: start it" in done.stderr


def test_keys_of_a_terminal(broker: Mosquitto):
    ours, its = pty.openpty()
    with Listener(broker.port) as listener:
        process = subprocess.Popen(
            command(broker, "talk", "--keys", "--microphone", "mic"), cwd=ROOT, stdin=its, stdout=its,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert b"space: ask" in os.read(ours, 200)
            for key, verb, body in [
                (b" ", "talk", {}), (b"s", "talk", {"stop": True}),
                (b"m", "mute", {"sensor": "mic", "muted": True}),
            ]:  # fmt: skip
                os.write(ours, key)
                wait_for(lambda v=verb, b=body: b in orders(listener, v), WAIT_S, "the order")  # type: ignore[misc]
            os.write(ours, b"q")
            assert process.wait(WAIT_S) == 0
        finally:
            process.kill()
            process.wait()
            os.close(ours)
            os.close(its)


def test_keys_need_a_terminal(broker: Mosquitto):
    done = subprocess.run(
        command(broker, "talk", "--keys"), cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "needs a terminal" in done.stderr

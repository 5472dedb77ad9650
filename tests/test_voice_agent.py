"""Asked aloud, answered aloud: a whole agent before a virtual sound card."""

from __future__ import annotations

from pathlib import Path

import pytest
from agent_process import NODE, AgentProcess, configuration
from conftest import Mosquitto, wait_for
from listening import Listener
from voice_rig import room

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
LONG_S = 60.0
SENSORS = """
[[sensor]]
kind = "microphone"
name = "mic"
slot = "audio"
device = "pulse"
[[sensor]]
kind = "simulated"
name = "phone"
slot = "imu_phone"
[voice]
enabled = true
loudspeaker = "pulse"
recognition_s = 60.0
"""


def states(listener: Listener) -> list[str]:
    """Every state that the voice loop has been in, one after the other."""
    steps: dict[str, str] = {}
    for body in listener.on(f"{NODE}/voice/state"):
        steps |= {f"{step['time_utc']} {step['state']}": step["state"] for step in body["recent"]}
    return list(steps.values())


def test_a_question_is_answered_aloud_and_muting_closes_the_microphone(
    tmp_path: Path, broker: Mosquitto, shipped_model: Path
):
    with room(tmp_path) as here, Listener(broker.port) as listener:
        config = configuration(tmp_path, shipped_model, broker.port, sensors=SENSORS)

        def waits(state: str) -> None:
            listener.wait(f"{NODE}/voice/state", lambda body: body["state"] == state, LONG_S)

        with AgentProcess(config, here.environment) as agent, here.recording() as recording:
            waits("waiting")
            listener.send(f"{NODE}/cmd/talk", {})
            waits("listening")
            here.say("what do you hear")
            answer = listener.wait(f"{NODE}/answer", lambda body: body.get("asked"), LONG_S)
            wait_for(lambda: states(listener)[-1] == "waiting", LONG_S, "the end of the answer")
            print(answer["question"], "->", answer["text"], states(listener), recording.spoken_s())
            assert recording.spoken_s() > 1.0
            assert agent.process.poll() is None
        assert listener.validate()["voice"] > 5

"""Asked aloud, answered aloud: a whole agent before a virtual sound card."""

from __future__ import annotations

from pathlib import Path

import pytest
from agent_process import NODE, AgentProcess, configuration
from conftest import Mosquitto, wait_for
from listening import Listener
from voice_rig import SPOKEN, alike, overheard, room

from edge_agent.demo_room import Room

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
LONG_S = 240.0
"""For what takes a second or two where nothing else runs."""
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
led = "led/brightness"
"""


def states(listener: Listener) -> list[str]:
    """Every state that the voice loop has been in, one after the other."""
    steps: dict[str, str] = {}
    for body in listener.on(f"{NODE}/voice/state"):
        steps |= {f"{step['time_utc']} {step['state']}": step["state"] for step in body["recent"]}
    return list(steps.values())


class Asked:
    """An agent with a voice in a room, and who listens to what it publishes."""

    def __init__(self, folder: Path, here: Room, listener: Listener) -> None:
        self.folder, self.here, self.listener = folder, here, listener

    def now(self, state: str) -> None:
        wait_for(lambda: states(self.listener)[-1:] == [state], LONG_S, f"the state {state}")

    def order(self, verb: str, identity: str, **body: object) -> dict[str, object]:
        self.listener.send(f"{NODE}/cmd/{verb}", {"id": identity, **body})
        return self.listener.wait(f"{NODE}/reply/{identity}", timeout_s=LONG_S)

    def light(self) -> str:
        return (self.folder / "led" / "brightness").read_text().strip()


def test_it_is_asked_and_answers_aloud_and_muted_it_has_no_microphone(
    tmp_path: Path, broker: Mosquitto, random_model: Path
):
    (tmp_path / "led").mkdir()
    (tmp_path / "led" / "brightness").write_text("0\n")
    config = configuration(tmp_path, random_model, broker.port, sensors=SENSORS)
    config.write_text(config.read_text().replace('["ask"]', '["ask", "mute", "talk"]'))
    with (
        room(tmp_path) as here,
        Listener(broker.port) as listener,
        AgentProcess(config, here.environment) as agent,
    ):
        asked = Asked(tmp_path, here, listener)
        asked.now("waiting")
        asked.here.say("hey computer")
        a_question_is_answered(asked)
        it_is_told_to_stop(asked)
        muted_it_is_deaf(asked)
        it_is_unplugged_and_back(asked)
        code, _ = agent.end()
        assert code == 0
        assert listener.validate()["voice"] > 10
        assert {path.name for path in tmp_path.rglob("*.wav")} == {"said.wav", "answer.wav"}, "both are ours"


def a_question_is_answered(asked: Asked) -> None:
    asked.now("listening")
    assert asked.light() == "1"
    with asked.here.recording() as recording:
        asked.here.say("what do you hear")
        answer = asked.listener.wait(f"{NODE}/answer", lambda body: body.get("asked"), LONG_S)
        assert answer["question"] == "what do you hear"
        asked.now("waiting")
    file = asked.folder / "answer.wav"
    recording.save(file)
    assert alike(overheard(file), str(answer["text"])) > SPOKEN
    assert asked.light() == "0"
    story = states(asked.listener)
    begin = story.index("chiming")
    assert story[begin - 1 : begin + 8] == [
        "waiting", "chiming", "listening", "hearing", "transcribing", "thinking", "speaking", "settling",
        "waiting",
    ]  # fmt: skip


def it_is_told_to_stop(asked: Asked) -> None:
    """By push to talk this time; the answer is cut short."""
    assert asked.order("talk", "t1")["talk"] == {"state": "waiting"}
    asked.now("listening")
    asked.here.say("what is the person doing")
    asked.now("speaking")
    asked.order("talk", "t2", stop=True)
    asked.now("waiting")


def muted_it_is_deaf(asked: Asked) -> None:
    """As the sound server knows it: nobody has its microphone open."""
    assert asked.here.listeners() == 1
    assert asked.order("mute", "m1", sensor="mic", muted=True)["mute"]["closed"]
    asked.now("muted")
    assert asked.here.listeners() == 0
    assert asked.order("talk", "t3")["talk"] == {"state": "muted"}
    asked.here.say("what do you hear")
    assert asked.here.listeners() == 0
    assert states(asked.listener)[-1] == "muted"
    asked.order("mute", "m2", sensor="mic", muted=False)
    asked.now("waiting")
    assert asked.here.listeners() == 1


def it_is_unplugged_and_back(asked: Asked) -> None:
    asked.here.unplug()
    asked.now("offline")
    asked.here.plug()
    asked.now("waiting")
    assert asked.here.listeners() == 1

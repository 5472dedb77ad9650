"""`make demo VOICE=1`: asks the agent aloud and is answered aloud, through a virtual sound card.

Everything real but the air between: espeak-ng speaks the question, the agent hears it through its microphone,
recognises, answers and speaks. Two WAV files stay to be listened to.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from edge_agent import recordings as recorded_data
from edge_agent.config import Mqtt
from edge_agent.delivery.ids import new_id
from edge_agent.delivery.mqtt import Connection
from edge_agent.delivery.payloads import Json
from edge_agent.delivery.sending import Sender
from edge_agent.delivery.topics import Topics
from edge_agent.demo_processes import broker, process, terminate
from edge_agent.demo_room import Recording, Room, missing
from edge_agent.demo_world import invented, recorded
from edge_agent.errors import DeliveryError, ModelError, VoiceError
from edge_agent.sensors.simulated import SimulatedMcu
from edge_agent.threads import beside

NODE = "demo"
QUESTION = "what is the person doing"
QUESTION_FILE, ANSWER_FILE = Path("demo-question.wav"), Path("demo-answer.wav")
_PATIENCE_S = 240.0
_PERCEIVED_S = 4.0
_CONFIGURATION = """
[node]
name = "{node}"
[model]
path = '{model}'
[mqtt]
host = "{host}"
port = {port}
protocol = "{protocol}"
commands = ["ask", "talk"]
[[sensor]]
kind = "serial"
name = "board"
port = '{board}'
[sensor.streams]
phone = {{ slot = "imu_phone" }}
watch = {{ slot = "imu_watch" }}
[[sensor]]
kind = "microphone"
name = "microphone"
slot = "audio"
device = "pulse"
[voice]
enabled = true
loudspeaker = "pulse"
recognition_s = 60.0
"""


def demo(model: Path, out: Path = Path()) -> int:
    """One question and its answer, aloud; the files go to `out`. 0 when it was answered.

    Raises VoiceError where the machine lacks a program, and DeliveryError when the agent does not answer.
    """
    console = Console(highlight=False, soft_wrap=True)
    if lacking := missing():
        what, _, install = lacking.partition("; ")
        raise VoiceError(f"the spoken demo is left out: {what}", hint=install)
    if not (model / "manifest.json").is_file():
        raise ModelError(f"no model at {model}", hint="name a model folder with --model")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-agent-voice-")))
        settings, _ = stack.enter_context(broker(folder))
        room = Room(folder)
        stack.callback(room.unplug)
        room.plug()
        stack.enter_context(_board(folder, console))
        stack.enter_context(_agent(folder, model, settings, room))
        return _converse(console, room, settings, out)


@contextmanager
def _board(folder: Path, console: Console) -> Iterator[None]:
    """A microcontroller with recorded people in it, or invented ones where no recordings are at hand."""
    found = recorded_data.find(report=console.print)
    world = invented() if found is None else recorded(found)
    if found is None:
        console.print("[yellow]no recordings at hand: the motion is [bold]simulated[/]")
    with SimulatedMcu(world.streams, link=folder / "board") as mcu, beside("demo", mcu.run):
        yield


@contextmanager
def _agent(folder: Path, model: Path, settings: Mqtt, room: Room) -> Iterator[None]:
    file, log = folder / "edge-agent.toml", folder / "agent.log"
    text = _CONFIGURATION.format(
        node=NODE, model=model.resolve(), host=settings.host, port=settings.port,
        protocol=settings.protocol, board=folder / "board",
    )  # fmt: skip
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "edge_agent", "run", "-c", str(file)]
    with process(command, log, room.environment) as running:
        try:
            yield
        finally:
            if terminate(running) != 0:
                sys.stderr.write(log.read_text(encoding="utf-8", errors="replace")[-2000:])


def _converse(console: Console, room: Room, settings: Mqtt, out: Path) -> int:
    heard = _Heard(settings)
    try:
        console.print("a virtual sound card: what is said goes to its microphone; the agent is starting")
        heard.until("voice/state", lambda body: body["state"] == "waiting")
        heard.until("percept/main", lambda body: bool(body["tasks"]))
        heard.during(_PERCEIVED_S)
        with Sender(settings, NODE, new_id(time.time_ns())) as sender:
            sender.order("talk", {}, identity=new_id(time.time_ns()), timeout_s=_PATIENCE_S)
        heard.until("voice/state", lambda body: body["state"] == "listening")
        with room.recording() as recording:  # from here on: the chime is no part of the answer
            console.print(f'asked aloud:    "{QUESTION}?"')
            shutil.copyfile(room.say(QUESTION), out / QUESTION_FILE)
            reply = heard.until("answer/", lambda body: bool(body.get("asked")))
            console.print(f'it understood:  "{reply["question"]}"')
            console.print(f"it answers:     [bold]{reply['text']}")
            heard.until("voice/state", lambda body: body["state"] == "waiting")
            return _leave(console, recording, out)
    finally:
        heard.close()


def _leave(console: Console, recording: Recording, out: Path) -> int:
    spoken_s = recording.spoken_s()
    recording.save(out / ANSWER_FILE)
    console.print(f"{out / QUESTION_FILE} and {out / ANSWER_FILE} ({spoken_s:.1f} s spoken): listen to them")
    return 0 if spoken_s > 0.5 else 1


class _Heard:
    """What the agent publishes, awaited one thing after the other."""

    def __init__(self, settings: Mqtt) -> None:
        self._topics = Topics("edge", NODE)
        self._connection = Connection(settings, client_id="edge-demo-voice")
        self._connection.open()
        self._connection.await_consent(lambda: False)
        self._connection.subscribe(self._topics.everything)

    def until(self, topic: str, holds: Callable[[Json], bool]) -> Json:
        """The next message on a topic that begins so, and of which `holds` is true. Raises DeliveryError."""
        deadline_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline_s:
            while self._connection.received:
                incoming = self._connection.received.popleft()
                if incoming.topic.startswith(f"{self._topics.prefix}/{topic}"):
                    body: Json = json.loads(incoming.payload)
                    if holds(body):
                        return body
            self._connection.step(0.2)
        raise DeliveryError(f"nothing came on {topic} within {_PATIENCE_S:g} s")

    def during(self, seconds: float) -> None:
        """Let time pass."""
        deadline_s = time.monotonic() + seconds
        while (left_s := deadline_s - time.monotonic()) > 0:
            self._connection.step(left_s)

    def close(self) -> None:
        """Say goodbye."""
        self._connection.close()

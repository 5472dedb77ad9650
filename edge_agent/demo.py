"""`make demo`: a broker, a microcontroller with recorded people in it, real sounds, and the real agent.

Everything shown comes over MQTT from `edge-agent run` in a process of its own, as on a device.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live

from edge_agent import recordings as recorded_data
from edge_agent.config import Mqtt
from edge_agent.delivery.ids import new_id
from edge_agent.delivery.mqtt import Connection
from edge_agent.delivery.request import ask
from edge_agent.delivery.topics import Topics
from edge_agent.demo_processes import broker, process, terminate
from edge_agent.demo_world import World, invented, recorded
from edge_agent.errors import DeliveryError, ModelError
from edge_agent.liveview import Lines, View, render, source
from edge_agent.sensors.simulated import SimulatedMcu
from edge_agent.threads import beside, signals

NODE = "demo"
QUESTIONS = ("what is the person doing?", "what do you hear?", "is the person walking?")
_ONLINE_S = 60.0
_REDRAW_S = 0.25
_LOG_LINES = 15
_PICTURE_COLUMNS = 96
_MODEL = Path("models", "iotlm-7m")


@dataclass(frozen=True, slots=True)
class Stage:
    """What is set up before the agent starts."""

    folder: Path
    broker: Mqtt
    broker_name: str
    world: World
    model: Path


def demo(duration_s: float, model: Path | None = None, picture: Path | None = None) -> int:
    """Run for `duration_s` seconds, 0: until Ctrl-C. 0 when the agent perceived and answered.

    `picture` is where the last view goes as an SVG.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, soft_wrap=True)  # one line each, for whoever reads the pipe
    stop = threading.Event()
    with signals(stop.set), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-agent-demo-")))
        stage = _prepare(console, folder, model or default_model(), stack)
        agent = stack.enter_context(_agent(stage))
        view = View(Topics("edge", NODE))
        try:
            _watch(console, stage, view, agent, duration_s, stop)
            if picture is not None:
                picture.write_text(draw(view, stage.world), encoding="utf-8")
            answered = _ask_all(console, stage)
        except DeliveryError as error:
            return _failed(console, stage, str(error))
        code = terminate(agent)
        _summary(console, stage, view)
    if code != 0 or not view.percepts or answered < len(QUESTIONS):
        console.print(
            f"[red]the agent ended with exit code {code}, {view.percepts} percepts, {answered} answers"
        )
        return 1
    return 0


# -- before ----------------------------------------------------------------------------------------------


def default_model() -> Path:
    """The trained model: from the working folder, or beside the package in a clone."""
    clone = Path(__file__).resolve().parent.parent / _MODEL
    return _MODEL if _MODEL.is_dir() else clone


def _prepare(console: Console, folder: Path, model: Path, stack: ExitStack) -> Stage:
    if not (model / "manifest.json").is_file():
        raise ModelError(f"no model at {model}", hint="name a model folder with --model")
    world = _world(console)
    settings, name = stack.enter_context(broker(folder))
    console.print(
        f"broker: {name} at {settings.host}:{settings.port}, for this demo alone; all of it is there, too:"
    )
    console.print(f"  {subscribe_line(settings)}", markup=False)
    mcu = stack.enter_context(SimulatedMcu(world.streams, link=folder / "board"))
    stack.enter_context(beside("demo", mcu.run))
    return Stage(folder, settings, name, world, model.resolve())


def _world(console: Console) -> World:
    """The recordings, or the simulators where there are none."""
    found = recorded_data.find(report=console.print)
    if found is None:
        console.print("[yellow]no recordings at hand: everything below is [bold]simulated[/], and marked so")
        return invented()
    console.print(f"recordings: {len(found.paths)} files from {found.origin}; the model has never met them")
    return recorded(found)


@contextmanager
def _agent(stage: Stage) -> Iterator[subprocess.Popen[bytes]]:
    file = stage.folder / "edge-agent.toml"
    file.write_text(configuration(stage), encoding="utf-8")
    command = [sys.executable, "-m", "edge_agent", "run", "-c", str(file)]
    with process(command, stage.folder / "agent.log") as running:
        yield running


def configuration(stage: Stage) -> str:
    """The agent's configuration, as a person would write it."""
    if stage.world.sounds:
        files = ", ".join(f"'{path.resolve()}'" for path in stage.world.sounds)
        sound = f'kind = "replay"\nfiles = [{files}]'
    else:
        sound = 'kind = "simulated"'
    return f"""
[node]
name = "{NODE}"
[model]
path = '{stage.model}'
[mqtt]
host = "{stage.broker.host}"
port = {stage.broker.port}
protocol = "{stage.broker.protocol}"
commands = ["ask"]
[publish]
health_interval_s = 1.0
percept_interval_s = 0.5
[[sensor]]
kind = "serial"
name = "board"
port = '{stage.folder / "board"}'
[sensor.streams]
phone = {{ slot = "imu_phone" }}
watch = {{ slot = "imu_watch" }}
[[sensor]]
name = "sound"
slot = "audio"
{sound}
"""


# -- during ----------------------------------------------------------------------------------------------


def _watch(
    console: Console,
    stage: Stage,
    view: View,
    agent: subprocess.Popen[bytes],
    duration_s: float,
    stop: threading.Event,
) -> None:
    """Show what comes, until the time is over. Raises DeliveryError when the agent is gone."""
    connection = Connection(stage.broker, client_id="edge-demo-view")
    try:
        connection.open()
        connection.await_consent(stop.is_set)
        connection.subscribe(view.topics.everything)
        begun_s = time.monotonic()
        show: Callable[[float], None]
        with ExitStack() as stack:
            show = _terminal(console, stage, view, duration_s, stack) if console.is_terminal else _nothing
            lines = None if console.is_terminal else Lines()
            while not stop.is_set() and agent.poll() is None:
                connection.step(0.1)
                now_s = time.monotonic()
                if view.state != "online":
                    begun_s = _awaited(begun_s, now_s)
                _take_all(connection, view, stage, lines, console, now_s - begun_s)
                show(now_s - begun_s)
                if view.percepts and duration_s and now_s - begun_s >= duration_s:
                    return
                if not view.percepts and now_s - begun_s > _ONLINE_S:
                    raise DeliveryError(f"the agent has perceived nothing for {_ONLINE_S:g} s")
    finally:
        connection.close()
    if agent.poll() is not None:
        raise DeliveryError(f"the agent ended with exit code {agent.returncode}")


def _awaited(begun_s: float, now_s: float) -> float:
    if now_s - begun_s > _ONLINE_S:
        raise DeliveryError(f"the agent did not come online within {_ONLINE_S:g} s")
    return begun_s


def _take_all(
    connection: Connection, view: View, stage: Stage, lines: Lines | None, console: Console, now_s: float
) -> None:
    while connection.received:
        kind, body = view.take(connection.received.popleft())
        if kind == "percept":
            view.compare(stage.world.truth)
        if lines is not None:
            for line in lines.of(view, kind, body, stage.world.truth, now_s):
                console.print(f"[{now_s:6.1f} s] {line}", markup=False)


def _terminal(
    console: Console, stage: Stage, view: View, duration_s: float, stack: ExitStack
) -> Callable[[float], None]:
    """Redraw a few times a second, from this thread."""
    live = stack.enter_context(Live(console=console, auto_refresh=False, transient=False))
    drawn = [float("-inf")]

    def show(now_s: float) -> None:
        if now_s - drawn[0] >= _REDRAW_S:
            drawn[0] = now_s
            length = f"{now_s:.0f} of {duration_s:g} s" if duration_s else f"{now_s:.0f} s, Ctrl-C ends it"
            title = f"IoT-LM on the edge   {length}"
            live.update(render(view, stage.world.truth, title), refresh=True)

    return show


def draw(view: View, world: World) -> str:
    """The view as an SVG that refers to nothing outside itself."""
    console = Console(width=_PICTURE_COLUMNS, record=True, file=io.StringIO())
    console.print(render(view, world.truth, "IoT-LM on the edge"))
    svg = console.export_svg(title="edge-agent demo")
    # The fonts that rich names are on a server; without them the machine's own monospace is used.
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def _nothing(_now_s: float) -> None:
    pass


# -- after -----------------------------------------------------------------------------------------------


def _ask_all(console: Console, stage: Stage) -> int:
    """Ask over MQTT, as `edge-agent ask` does; how many were answered."""
    console.print("\n[bold]three questions, asked over MQTT[/]")
    answered = 0
    for question in QUESTIONS:
        reply = ask(stage.broker, NODE, question, identity=new_id(time.time_ns()), timeout_s=10)
        if "error" in reply:
            console.print(f"  {question}  [red]{reply['error']['message']}[/]")
            continue
        answered += 1
        mark = "[black on yellow]simulated[/] " if reply["simulated"] else ""
        console.print(f"  {question}\n    {mark}[bold]{reply['text']}[/]  [dim]({source(reply)})[/]")
    return answered


def _summary(console: Console, stage: Stage, view: View) -> None:
    console.print()
    for task, (right, compared) in view.hits.items():
        console.print(
            f"{task.replace('_', ' ')}: {right} of {compared} percepts agree with the recording's own label"
        )
    if view.simulated:
        console.print("[yellow]all of this was simulated: it shows the machinery, not how well it perceives")
    console.print("everything above came over MQTT; in a second terminal, while the demo runs:")
    console.print(f"  {subscribe_line(stage.broker)}", markup=False)


def subscribe_line(broker: Mqtt) -> str:
    """The command that shows the same messages."""
    version = " -V 311" if broker.protocol == "3.1.1" else ""
    return f"mosquitto_sub -h {broker.host} -p {broker.port}{version} -v -t 'edge/{NODE}/#'"


def _failed(console: Console, stage: Stage, reason: str) -> int:
    log = stage.folder / "agent.log"
    console.print(f"[red]{reason}[/]; the end of its log:")
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]:
        console.print(f"  {line}", markup=False)
    return 1

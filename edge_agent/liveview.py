"""What the demo shows, made of nothing but what is on MQTT (and the recordings' own labels beside it).

`View` gathers messages; `render` draws them for a terminal, `lines` tells what is new for a pipe. Pure.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edge_agent.delivery.message import Incoming
from edge_agent.delivery.topics import Topics

Json = dict[str, Any]
Truth = Callable[["View", str, Json], str]
"""(view, task, percept) -> the label that the recording's makers wrote down; "" where there is none."""
_BAR = 12
_SENTENCES = 3
_STATE_STYLES = {"online": "green", "degraded": "yellow", "offline": "red", "muted": "dim"}
_PLAIN_EVERY_S = 5.0


@dataclass(slots=True)
class View:
    """The newest of everything that was heard."""

    topics: Topics
    state: str = "not heard yet"
    info: Json = field(default_factory=dict)
    health: Json = field(default_factory=dict)
    sensors: dict[str, Json] = field(default_factory=dict)
    percept: Json = field(default_factory=dict)
    sentences: deque[Json] = field(default_factory=lambda: deque(maxlen=_SENTENCES))
    percepts: int = 0
    hits: dict[str, list[int]] = field(default_factory=dict)
    """task -> [percepts that agree with the recording's label, percepts that have such a label]"""

    def take(self, incoming: Incoming) -> tuple[str, Json]:
        """Note one message; (kind, body). A message that is no JSON object is of kind ""."""
        kind = incoming.topic.removeprefix(f"{self.topics.prefix}/").split("/")[0]
        try:
            body = json.loads(incoming.payload)
        except ValueError:
            return "", {}
        if not isinstance(body, dict):
            return "", {}
        self._note(kind, body)
        return kind, body

    def _note(self, kind: str, body: Json) -> None:
        match kind:
            case "state":
                self.state = str(body.get("state"))
            case "info":
                self.info = body
            case "health":
                self.health = body
            case "sensor":
                self.sensors[body["sensor"]] = body
            case "percept":
                self.percept = body
                self.percepts += 1
            case "answer" if "text" in body:
                self.sentences.append(body)

    @property
    def simulated(self) -> bool:
        """Whether something here is invented."""
        return bool(self.info.get("simulated")) or any(s["simulated"] for s in self.sensors.values())

    def compare(self, truth: Truth) -> None:
        """Count whether the newest percept agrees with the recording."""
        for task, found in self.percept.get("tasks", {}).items():
            if told := truth(self, task, self.percept):
                score = self.hits.setdefault(task, [0, 0])
                score[0] += told == found["label"]
                score[1] += 1


# -- for a terminal ------------------------------------------------------------------------------------


def render(view: View, truth: Truth, title: str) -> RenderableType:
    """The whole picture."""
    parts: list[RenderableType] = [_sensors(view), _percept(view, truth), _sentences(view), _footer(view)]
    name = f"[bold]{title}[/]"
    if view.simulated:
        name += "  [black on yellow] simulated [/]"
    return Panel(Group(*parts), title=name, border_style="cyan")


def _sensors(view: View) -> Table:
    table = Table(expand=True, box=None, header_style="bold")
    for column in ("sensor", "state"):
        table.add_column(column, no_wrap=True)
    for column in ("rate", "jitter", "gaps", "lost", "dropped"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", overflow="ellipsis", no_wrap=True, ratio=1)
    for name, sensor in sorted(view.sensors.items()):
        note = Text("simulated" if sensor["simulated"] else "", style="black on yellow")
        table.add_row(
            name,
            f"[{_STATE_STYLES.get(sensor['state'], 'white')}]{sensor['state']}[/]",
            f"{sensor['rate_hz'] or 0:,.0f} Hz",
            f"{sensor['jitter_ms'] or 0:.0f} ms",
            str(sensor["gaps"]),
            str(sensor["lost"]),
            str(sensor["dropped_chunks"]),
            Text.assemble(note, " " if sensor["simulated"] else "", (sensor["reason"], "dim")),
        )
    return table


def _percept(view: View, truth: Truth) -> RenderableType:
    table = Table(box=None, padding=(0, 1, 0, 0), expand=True, header_style="dim")
    for column in ("task", "perceived", "", "", "recorded"):
        table.add_column(column, no_wrap=True, ratio=1 if column == "recorded" else None)
    for task, found in view.percept.get("tasks", {}).items():
        table.add_row(Text(_words(task), style="bold"), *_reading(view, truth, task, found))
        for slot, weight in found["alpha"].items():
            bar = Text("█" * round(_BAR * (weight or 0)), style="magenta")
            table.add_row(Text(f"  alpha of {slot}", style="dim"), "", bar, f"{weight or 0:.2f}", "")
    if not view.percept.get("tasks"):
        table.add_row(Text("nothing perceived yet", style="dim"))
    return Panel(table, title="perceived", title_align="left", border_style="blue")


def _reading(view: View, truth: Truth, task: str, found: Json) -> tuple[Text, Text, str, Text]:
    told = truth(view, task, view.percept)
    right = told == found["label"]
    doubt = "" if found["known"] else " ?"
    label = Text(_words(found["label"]) + doubt, style="dim" if doubt else "bold")
    bar = Text("█" * round(_BAR * found["probability"]), style="green" if right or not told else "yellow")
    return (
        label,
        bar,
        f"{100 * found['probability']:.0f} %",
        Text(_words(told), style="green" if right else "yellow"),
    )


def _sentences(view: View) -> RenderableType:
    lines = Text()
    for said in view.sentences:
        lines.append("\n" if lines else "")
        lines.append(said["text"], style="bold" if said["source"] == "language_model" else "")
        lines.append(f"  ({source(said)})", style="dim")
    return Panel(lines, title="in words", title_align="left", border_style="blue")


def _footer(view: View) -> Text:
    if not view.health:
        return Text("")
    perceive = view.health["latency_ms"]["perceive"]
    rss_mib = view.health["rss_bytes"] / 2**20
    return Text(
        f"{view.info.get('model', {}).get('name', '')}   {rss_mib:.0f} MiB   "
        f"{view.health['cpu_percent'] or 0:.0f} % of one core   "
        f"fast path {perceive['p50'] or 0:.0f} ms (p95 {perceive['p95'] or 0:.0f})",
        style="dim",
    )


def source(said: Json) -> str:
    """Who worded an answer, in how long, and why not the language model."""
    words = f"{said['source'].replace('_', ' ')}, {said['latency_ms'] or 0:.0f} ms"
    return f"{words}; {said['reason']}" if said["reason"] else words


def _words(label: str) -> str:
    return label.replace("_", " ")


# -- for a pipe ----------------------------------------------------------------------------------------


class Lines:
    """One line for whatever is new; percepts when a label changes, and every few seconds."""

    def __init__(self) -> None:
        self._sensors: dict[str, tuple[str, str]] = {}
        self._labels: tuple[tuple[str, str], ...] = ()
        self._told_s = float("-inf")

    def of(self, view: View, kind: str, body: Json, truth: Truth, now_s: float) -> Iterator[str]:
        """The lines for one message; `now_s` counts from the start."""
        mark = "simulated " if body.get("simulated") else ""
        match kind:
            case "state":
                yield f"agent {body['state']}"
            case "sensor" if self._sensors.get(body["sensor"]) != (body["state"], body["reason"]):
                self._sensors[body["sensor"]] = (body["state"], body["reason"])
                yield (
                    f"{mark}sensor {body['sensor']} {body['state']}, {body['rate_hz'] or 0:,.0f} Hz, "
                    f"{body['gaps']} gaps, {body['lost']} lost {body['reason']}".rstrip()
                )
            case "percept":
                yield from self._percept(view, body, truth, now_s, mark)
            case "answer" if "text" in body and not body["asked"]:
                yield f'{mark}says "{body["text"]}" ({source(body)})'

    def _percept(self, view: View, body: Json, truth: Truth, now_s: float, mark: str) -> Iterator[str]:
        labels = tuple((task, found["label"]) for task, found in body["tasks"].items())
        if labels == self._labels and now_s - self._told_s < _PLAIN_EVERY_S:
            return
        self._labels, self._told_s = labels, now_s
        for task, found in body["tasks"].items():
            told = truth(view, task, body)
            weights = " ".join(f"{slot} {weight or 0:.2f}" for slot, weight in found["alpha"].items())
            recorded = f"; recorded: {_words(told)}" if told else ""
            percent = f"{100 * found['probability']:.0f} %"
            yield f"{mark}{task}: {_words(found['label'])} {percent} (alpha {weights}{recorded})"


def parse_utc(text: str) -> float:
    """Seconds since 1970 of a message's `time_utc`."""
    return datetime.fromisoformat(text).timestamp()

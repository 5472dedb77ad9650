"""`edge-agent status`: how a running agent is, asked over its broker."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from edge_agent.cli_arguments import add_broker, add_timeout

if TYPE_CHECKING:
    from rich.table import Table

Json = dict[str, Any]
_STYLES = {"online": "green", "degraded": "yellow", "offline": "red", "muted": "dim"}
_MIB = 1024 * 1024


def add(commands: Any, command: Callable[..., Any], config_option: Callable[[Any], None]) -> None:
    """Register the command; `command` and `config_option` are those of every command."""
    status = command(commands, "status", _status, "how a running agent is, over MQTT")
    status.epilog = (
        "examples:\n  edge-agent status\n  edge-agent status --host broker.local --node kitchen --json\n\n"
        'Where the agent does not take the command status (commands = ["status"]), what it left at the\n'
        "broker is shown: its sensors and its queue. Exit code 1: it is not running."
    )
    config_option(status)
    add_broker(status)
    add_timeout(status)
    status.add_argument("--json", action="store_true", help="everything as one line of JSON")


def _status(options: argparse.Namespace) -> int:
    from edge_agent.cli_ask import broker_of
    from edge_agent.delivery.ids import new_id
    from edge_agent.delivery.inquiry import look

    broker, name = broker_of(options)
    identity = new_id(time.time_ns())
    found = look(broker, name, identity=identity, timeout_s=options.timeout)
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    from rich.console import Console

    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ
    # Not narrower than the table where nobody looks: a pipe has no width.
    console = Console(no_color=plain, highlight=False, width=None if sys.stdout.isatty() else 160)
    for line in headline(name, found):
        console.print(line, markup=False, soft_wrap=True)
    console.print(sensors_table(found.get("sensors", {})))
    for line in details(found):
        console.print(line, markup=False, soft_wrap=True)
    return 0


def headline(name: str, found: Json) -> Iterator[str]:
    """Who it is and what it runs; what is wrong with its configuration."""
    info = found.get("info", {})
    model = info.get("model", {})
    said = f"{name}: online, edge-agent {info.get('version', '?')}"
    yield f"{said}, model {model.get('name', '?')} {model.get('version', '')}".rstrip()
    if info.get("configuration", {}).get("reverted"):
        yield f"configuration: {info['configuration']['reason']}"
    if found.get("source") != "command":
        yield 'as the broker keeps it; more with commands = ["status"] in the [mqtt] table of the agent'


def sensors_table(sensors: Json) -> Table:
    """One line for each sensor."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("sensor", "slot", "state"):
        table.add_column(column)
    for column in ("rate", "samples", "lost", "errors", "age"):
        table.add_column(column, justify="right")
    table.add_column("reason", overflow="fold")
    for name, body in sorted(sensors.items()):
        state = str(body.get("state", "?"))
        simulated = " simulated" if body.get("simulated") else ""
        table.add_row(
            Text(name),  # what an agent says is no markup
            Text(str(body.get("slot", ""))),
            Text(state + simulated, style=_STYLES.get(state, "")),
            _number(body.get("rate_hz"), "{:,.1f} Hz"),
            *(_number(body.get(key), "{:,}") for key in ("samples", "lost", "errors")),
            _number(body.get("age_s"), "{:.1f} s"),
            Text(str(body.get("reason", ""))),
        )
    return table


def details(found: Json) -> Iterator[str]:
    """Queue, broker, memory, processes, as far as they are known."""
    if queue := found.get("queue"):
        yield (
            f"queue: {queue['queued']:,} wait, "
            f"{queue['bytes'] / _MIB:.1f} of {queue['max_bytes'] / _MIB:.0f} MiB; "
            f"{queue['delivered']:,} delivered, {queue['expired']:,} expired, {queue['evicted']:,} evicted"
            + (f"; {queue['reason']}" if queue.get("reason") else "")
        )
    if health := found.get("health"):
        yield from _health(health)
    memory = found.get("memory", {})
    if memory.get("enabled") and "intervals" in memory:
        since = f" since {memory['oldest_utc']}" if memory.get("oldest_utc") else ""
        yield (
            f"memory: {memory['intervals']:,} intervals and {memory['events']:,} events{since}, "
            f"{memory['bytes'] / _MIB:.1f} of {memory['max_bytes'] / _MIB:.0f} MiB"
        )
    if versions := found.get("versions"):
        yield "versions: " + ", ".join(f"{name} {version}" for name, version in versions.items())


def _health(health: Json) -> Iterator[str]:
    mqtt, language = health["mqtt"], health["language"]
    yield (
        f"running for {_span(health['uptime_s'])}: {health['rss_bytes'] / _MIB:.0f} MiB, "
        f"{_number(health['cpu_percent'], '{:.0f} %')} of one core, {health['percepts']:,} percepts, "
        f"{health['events']:,} events"
    )
    yield (
        f"broker: connected {mqtt['connects']} times, {mqtt['acknowledged']:,} messages acknowledged, "
        f"{mqtt['refused']:,} refused" + (f"; {mqtt['reason']}" if mqtt["reason"] else "")
    )
    ready = "ready" if language["ready"] else f"not ready: {language['reason']}"
    answers = f"{language['language_model']:,} answers, {language['fallback']:,} plain ones"
    yield f"language model: {ready}, {answers}"


def _span(seconds_: float) -> str:
    minutes, hours = seconds_ / 60, seconds_ / 3600
    if hours >= 48:
        return f"{hours / 24:.1f} days"
    return f"{hours:.1f} h" if hours >= 1 else f"{minutes:.1f} min" if minutes >= 1 else f"{seconds_:.0f} s"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)

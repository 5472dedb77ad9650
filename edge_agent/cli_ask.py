"""`edge-agent ask`: a question to a running agent, over its broker."""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from edge_agent.cli_arguments import add_broker, add_timeout
from edge_agent.errors import EdgeAgentError


def add(commands: Any, command: Callable[..., Any], config_option: Callable[[Any], None]) -> None:
    """Register the command; `command` and `config_option` are those of every command."""
    ask = command(commands, "ask", _ask, "ask a running agent, over MQTT")
    ask.epilog = (
        'examples:\n  edge-agent ask "what do you hear?"\n'
        '  edge-agent ask --host broker.local --node kitchen --json "is the person walking?"\n\n'
        "Broker and node come from the configuration where there is one; options go before it."
    )
    ask.add_argument("question", metavar="QUESTION")
    config_option(ask)
    add_broker(ask)
    add_timeout(ask)
    ask.add_argument("--json", action="store_true", help="the whole reply as one line of JSON")


def _ask(options: argparse.Namespace) -> int:
    from edge_agent.delivery.ids import new_id
    from edge_agent.delivery.request import ask

    broker, node = broker_of(options)
    reply = ask(
        broker,
        node,
        options.question,
        identity=new_id(time.time_ns()),
        timeout_s=options.timeout,
        # One dialog for each terminal: "and before that?" belongs to the question asked there.
        asker=f"{re.sub('[^A-Za-z0-9_-]', '-', socket.gethostname())[:40]}-{os.getppid()}",
    )
    if options.json:
        print(json.dumps(reply, ensure_ascii=False))
    elif "error" in reply:
        raise EdgeAgentError(reply["error"]["message"], hint=reply["error"]["hint"])
    else:
        print(reply["text"])
        print(_dim(explain(reply)), file=sys.stderr)
    return 1 if "error" in reply else 0


def broker_of(options: argparse.Namespace) -> tuple[Any, str]:
    """Broker settings and node: options first, then the configuration, then the defaults."""
    from edge_agent import config

    settings, node = config.Mqtt(), config.Node().name
    if options.config is not None or any(path.is_file() for path in config.DEFAULT_FILES):
        found = config.load(options.config or config.find())
        settings, node = found.mqtt, found.node.name
    given = {key: value for key in ("host", "port") if (value := getattr(options, key)) is not None}
    return settings.model_copy(update=given), options.node or node


def explain(reply: dict[str, Any]) -> str:
    """Where an answer comes from, in one line."""
    used = [fact for fact in reply["evidence"] if fact.get("used", True)] or reply["evidence"]
    facts = [
        f"{fact['label'].replace('_', ' ')} {100 * fact['probability']:.0f} %"
        for fact in used
        if isinstance(fact.get("probability"), int | float)
    ]
    source = reply["source"].replace("_", " ")
    done = [
        what for what in ("understood", "worded") if source == "memory" and reply.get(f"{what}_by") == "lm"
    ]
    by = f", {' and '.join(done)} by the language model" if done else ""
    parts = [f"{source}{by}", f"{reply['latency_ms'] or 0:.0f} ms", *facts]
    if reply["reason"]:
        parts.insert(1, reply["reason"])
    return f"({', '.join(parts)})" + (" simulated" if reply["simulated"] else "")


def _dim(text: str) -> str:
    plain = not sys.stderr.isatty() or "NO_COLOR" in os.environ
    return text if plain else f"\033[2m{text}\033[0m"

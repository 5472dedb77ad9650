"""Types of arguments that more than one command takes: text to value, or an error that says what is wrong."""

from __future__ import annotations

import argparse
import math
from typing import NoReturn


def add_broker(parser: argparse.ArgumentParser) -> None:
    """Options that say which agent at which broker (`cli_ask.broker_of`)."""
    parser.add_argument("--host", help="the broker (default: of the configuration, or localhost)")
    parser.add_argument("--port", type=port, help="its port (default: of the configuration, or 1883)")
    parser.add_argument(
        "--node", type=node, help="the agent's node.name (default: of the configuration, or edge)"
    )


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """How long to wait for a reply."""
    parser.add_argument(
        "--timeout", type=seconds, default=10.0, metavar="S", help="seconds to wait (default: 10)"
    )


def port(text: str) -> int:
    """A TCP port."""
    return (
        int(text)
        if text.isdecimal() and 1 <= int(text) <= 65535
        else _wrong(f"{text!r} is no port: 1 to 65535")
    )


def node(text: str) -> str:
    """The `node.name` of an agent."""
    from edge_agent.delivery.topics import is_id

    return text if is_id(text) else _wrong(f"{text!r} is no node name: letters, digits, _ and -")


def seconds(text: str) -> float:
    """A time that passes: more than 0 s."""
    value = duration(text)
    return value if value > 0 else _wrong("seconds must be more than 0")


def duration(text: str) -> float:
    """Seconds from 0 on."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        _wrong(f"{text!r} is no number of seconds from 0")
    return value


def _wrong(message: str) -> NoReturn:
    raise argparse.ArgumentTypeError(message)

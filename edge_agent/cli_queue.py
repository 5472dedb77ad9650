"""`edge-agent queue` and `edge-agent delivery verify`: what waits for the broker, and whether all came."""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edge_agent.cli_arguments import add_broker, seconds
from edge_agent.errors import EdgeAgentError


def add(commands: Any, command: Callable[..., Any], config_option: Callable[[Any], None]) -> None:
    """Register the commands; `command` and `config_option` are those of every command."""
    queue = commands.add_parser("queue", help="what waits on disk for the broker")
    actions = queue.add_subparsers(title="commands", metavar="COMMAND", required=True)
    stat = command(actions, "stat", _stat, "what was accepted, delivered, dropped, and what waits")
    drain = command(actions, "drain", _drain, "deliver what waits, without an agent; none may be running")
    export = command(actions, "export", _export, "write what waits as lines of JSON; removes nothing")
    for one in (stat, drain, export):
        config_option(one)
    stat.add_argument("--json", action="store_true", help="the books as one line of JSON")
    drain.add_argument("--json", action="store_true", help="the books afterwards as one line of JSON")
    drain.add_argument(
        "--timeout", type=seconds, default=60.0, metavar="S", help="seconds it may take (default: 60)"
    )
    export.add_argument("--output", type=Path, metavar="FILE", help="a new file (default: stdout)")
    _add_verify(commands, command, config_option)


def _add_verify(commands: Any, command: Callable[..., Any], config_option: Callable[[Any], None]) -> None:
    delivery = commands.add_parser("delivery", help="check what a subscriber receives")
    actions = delivery.add_subparsers(title="commands", metavar="COMMAND", required=True)
    verify = command(actions, "verify", _verify, "check received messages for loss and duplicates")
    verify.epilog = (
        "examples:\n  edge-agent delivery verify --node kitchen --duration 60\n"
        "  mosquitto_sub -t 'edge/#' -v -W 60 | edge-agent delivery verify --file -\n\n"
        "Exit code 1: something is missing that did not expire, was not evicted and does not wait."
    )
    config_option(verify)
    add_broker(verify)
    verify.add_argument(
        "--duration", type=seconds, default=30.0, metavar="S", help="seconds to listen (default: 30)"
    )
    verify.add_argument("--file", metavar="FILE", help="lines of `topic payload` instead; -: stdin")
    verify.add_argument("--json", action="store_true", help="the result as one line of JSON")


def _settings(options: argparse.Namespace) -> Any:
    from edge_agent import config

    return config.load(options.config or config.find())


def _stat(options: argparse.Namespace) -> int:
    from edge_agent.delivery.reading import inspect

    settings = _settings(options)
    with inspect(settings.outbox_path) as (_, read):
        _print(read(settings.outbox.max_bytes).as_json(), as_json=options.json)
    return 0


def _print(books: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(books))
        return
    columns = ("accepted", "delivered", "queued", "expired", "evicted", "bytes")
    print("".join(f"{name:>11}" for name in ("", *columns)))
    for name, counts in [*books["kinds"].items(), ("total", books)]:
        print(f"{name:>11}" + "".join(f"{counts[column]:>11,}" for column in columns))
    print(f"room for {books['max_bytes']:,} bytes; {books['set_aside']} damaged files were set aside")


def _drain(options: argparse.Namespace) -> int:
    from edge_agent.assembly import outbox_of
    from edge_agent.clock import SystemClock
    from edge_agent.delivery.publisher import Publisher

    settings = _settings(options)
    outbox = outbox_of(settings, SystemClock())
    if outbox is None:
        raise EdgeAgentError("nothing waits on disk: outbox.enabled is false")
    outbox.open()
    try:
        client_id = f"edge-agent-{settings.node.name}-drain"
        Publisher(settings.mqtt, client_id=client_id, outbox=outbox).drain(options.timeout)
        books = outbox.ledger()
    finally:
        outbox.close()
    _print(books.as_json(), as_json=options.json)
    return 1 if books.total.queued else 0


def _export(options: argparse.Namespace) -> int:
    from edge_agent.delivery.reading import inspect

    with contextlib.ExitStack() as stack:
        rows, _ = stack.enter_context(inspect(_settings(options).outbox_path))
        out = sys.stdout
        if options.output is not None:
            try:
                out = stack.enter_context(options.output.open("x", encoding="utf-8"))
            except OSError as error:
                raise EdgeAgentError(
                    f"cannot write {options.output}: {error.strerror}",
                    hint="name a file that is not there yet",
                ) from error
        for row in rows:
            print(json.dumps(_exported(row), ensure_ascii=False), file=out)
    return 0


def _exported(row: Any) -> dict[str, Any]:
    """A waiting message; `payload` is its JSON, or `payload_base64` what is none."""
    from edge_agent.delivery.message import Kind
    from edge_agent.delivery.stamp import close_stamp

    _, identity, kind, _, topic, body, _, stamped, _ = row
    payload = close_stamp(body, historical=True) if stamped else body
    facts = {"id": identity, "kind": Kind(kind).name.lower(), "topic": topic}
    try:
        return {**facts, "payload": json.loads(payload)}
    except ValueError:
        return {**facts, "payload_base64": base64.b64encode(payload).decode()}


def _verify(options: argparse.Namespace) -> int:
    from edge_agent.delivery.verify import Verifier

    verifier = Verifier()
    for topic, payload in _lines(options.file) if options.file else _heard(options):
        verifier.add(topic, payload)
    result = verifier.as_json()
    if options.json:
        print(json.dumps(result))
    else:
        for one in result["sources"]:
            numbers = f"{one['first']} to {one['last']}"
            print(f"{one['source']}: {one['received']} received, {numbers}, {one['missing']} missing")
        print(
            f"{result['received']} messages, {result['duplicates']} duplicates, {result['historical']} late, "
            f"{result['missing']} missing, {result['lost']} lost"
        )
    if not result["received"]:
        raise EdgeAgentError(
            "no message with a delivery stamp came",
            hint="is an agent running with outbox.enabled, and are host and node right?",
        )
    return 1 if result["lost"] else 0


def _lines(name: str) -> Iterator[tuple[str, bytes]]:
    """What `mosquitto_sub -v` printed."""
    try:
        with open(0, "rb", closefd=False) if name == "-" else Path(name).open("rb") as file:
            for line in file:
                topic, _, payload = line.rstrip(b"\n").partition(b" ")
                yield topic.decode(errors="replace"), payload
    except OSError as error:
        raise EdgeAgentError(f"cannot read {name}: {error.strerror}") from error


def _heard(options: argparse.Namespace) -> Iterator[tuple[str, bytes]]:
    """What the broker sends in the time that was asked for."""
    from edge_agent.cli_ask import broker_of
    from edge_agent.delivery.ids import new_id
    from edge_agent.delivery.mqtt import Connection
    from edge_agent.delivery.topics import Topics

    settings, name = broker_of(options)
    end_s = time.monotonic() + options.duration
    connection = Connection(settings, client_id=f"edge-verify-{new_id(time.time_ns())}")
    try:
        connection.open()
        connection.await_consent(lambda: time.monotonic() > end_s)
        connection.subscribe(Topics(settings.topic_root, name).everything)
        while time.monotonic() < end_s:
            connection.step(0.2)
            while connection.received:
                message = connection.received.popleft()
                yield message.topic, message.payload
    finally:
        connection.close()

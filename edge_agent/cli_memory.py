"""`edge-agent memory`: how much is remembered, and forgetting it. Works beside an agent that runs."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_agent.errors import EdgeAgentError


def add(commands: Any, command: Callable[..., Any], config_option: Callable[[Any], None]) -> None:
    """Register the commands; `command` and `config_option` are those of every command."""
    memory = commands.add_parser("memory", help="look after what is remembered")
    actions = memory.add_subparsers(title="commands", metavar="COMMAND", required=True)
    stat = command(actions, "stat", _stat, "how much is remembered, and since when")
    stat.epilog = "example: edge-agent memory stat -c edge-agent.toml"
    config_option(stat)
    stat.add_argument("--json", action="store_true", help="as one line of JSON")
    erase = command(actions, "erase", _erase, "forget everything, or everything since a time")
    erase.epilog = (
        'examples:\n  edge-agent memory erase --since "ten minutes ago"\n'
        '  edge-agent memory erase --since "yesterday at three"\n  edge-agent memory erase --all'
    )
    config_option(erase)
    which = erase.add_mutually_exclusive_group(required=True)
    which.add_argument("--since", metavar="TIME", help='in plain English: "this morning", "14:30", "3 March"')
    which.add_argument("--all", action="store_true", help="everything")


def _stat(options: argparse.Namespace) -> int:
    from edge_agent.memory.clock_words import local_zone, moment_words, utc_words

    settings, database = _open(options)
    found = database.stat()
    database.close()
    oldest, newest = ((None if at is None else utc_words(at)) for at in (found.oldest_ns, found.newest_ns))
    if options.json:
        facts = {"path": str(database.path), "intervals": found.intervals}
        facts |= {"minutes": found.minutes, "events": found.events}
        print(json.dumps({**facts, "bytes": found.bytes, "oldest_utc": oldest, "newest_utc": newest}))
        return 0
    print(f"{database.path}: {found.bytes:,} bytes of at most {settings.memory.max_bytes:,}")
    print(
        f"{found.intervals:,} intervals, {found.minutes:,} minutes of numbers and {found.events:,} events, "
        f"{settings.memory.keep_days:g} days kept"
    )
    if found.oldest_ns is not None and found.newest_ns is not None:
        zone, now_ns = local_zone(settings.memory.time_zone), time.time_ns()
        first, last = (moment_words(at, now_ns, zone) for at in (found.oldest_ns, found.newest_ns))
        print(f"from {first} to {last}")
    return 0


def _erase(options: argparse.Namespace) -> int:
    from edge_agent.memory.database import EVER_NS
    from edge_agent.memory.forgetting import erase

    since_ns = -EVER_NS
    if options.since is not None:
        since_ns = _since(options)
    _, database = _open(options)
    cut = erase(database, since_ns)
    database.close()
    print(f"{database.path}: {cut:,} intervals, minutes and events forgotten")
    return 0


def _since(options: argparse.Namespace) -> int:
    """The beginning of the time that was named."""
    from edge_agent.memory import phrases
    from edge_agent.memory.clock_words import local_zone
    from edge_agent.memory.days import PhraseError

    hint = 'for example --since "ten minutes ago", --since "14:30" or --since "3 March"'
    zone = local_zone(_settings(options).memory.time_zone)
    text = options.since.lower().removeprefix("since ").strip()
    try:
        now_ns = time.time_ns()
        found = phrases.find(text, now_ns, zone) or phrases.find(f"since {text}", now_ns, zone)
    except PhraseError as error:
        raise EdgeAgentError(str(error), hint=hint) from error
    if found is None or found.rest not in {"", "since"}:
        raise EdgeAgentError(f'"{options.since}" is no time that I understand', hint=hint)
    return found.span.start_ns


def _settings(options: argparse.Namespace) -> Any:
    from edge_agent import config

    return config.load(options.config or config.find())


def _open(options: argparse.Namespace) -> tuple[Any, Any]:
    """The settings and the database, which must exist: looking makes none."""
    from edge_agent.memory.database import Database

    settings = _settings(options)
    path: Path = settings.memory_path
    if not path.is_file():
        raise EdgeAgentError(f"nothing is remembered yet: there is no {path}", hint="edge-agent run -c FILE")
    return settings, Database(path)

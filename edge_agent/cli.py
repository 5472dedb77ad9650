"""The command line. Exit codes: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration (sysexits.h)."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge_agent import (
    __version__,
    cli_ask,
    cli_memory,
    cli_queue,
    cli_record,
    cli_sensors,
    cli_simulate,
    cli_status,
    cli_teach,
    cli_voice,
)
from edge_agent.cli_arguments import duration
from edge_agent.completion import script
from edge_agent.errors import ConfigurationError, EdgeAgentError

EXIT_FAILED = 1
EXIT_CONFIGURATION = 78
_MODELS = Path("models")
_EXAMPLES = """examples:
  edge-agent check -c edge-agent.toml           is this configuration right, and all that it names there?
  edge-agent run -c edge-agent.toml             run until Ctrl-C or SIGTERM
  edge-agent ask "what is the person doing?"    ask the agent that runs
  edge-agent status                             how it is: sensors, queue, model, memory
  edge-agent demo --duration 30                 see it work, without any hardware

Without -c the file edge-agent.toml is used, then /etc/edge-agent/edge-agent.toml.
Tab completion:  eval "$(edge-agent completion)"
exit codes: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = parser().parse_args(arguments)
    _log_to_stderr(verbose=options.verbose)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except ConfigurationError as error:
        _complain(error)
        return EXIT_CONFIGURATION
    except EdgeAgentError as error:
        _complain(error)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 128 + 2  # as the shell says it of what SIGINT ended


def parser() -> argparse.ArgumentParser:
    """All commands and options."""
    top = argparse.ArgumentParser(
        prog="edge-agent",
        description="IoT-LM on the edge: perceives live sensors, publishes over MQTT, answers questions.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"edge-agent {__version__}")
    top.set_defaults(verbose=False)
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run(commands)
    cli_ask.add(commands, _add, _config_option)
    cli_status.add(commands, _add, _config_option)
    cli_voice.add(commands, _add, _config_option)
    _add_check(commands)
    _add_models(commands)
    cli_sensors.add(commands, _add, _config_option)
    cli_simulate.add(commands, _add, _config_option)
    cli_record.add(commands, _add, _config_option)
    cli_teach.add(commands, _add, _config_option)
    cli_memory.add(commands, _add, _config_option)
    cli_queue.add(commands, _add, _config_option)
    _add_demo(commands)
    completion = _add(commands, "completion", _completion, "print tab completion for bash (and zsh)")
    completion.epilog = 'for this shell: eval "$(edge-agent completion)"'
    return top


def _add(commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> Any:
    added = commands.add_parser(
        name, help=text, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    added.set_defaults(command=run)
    return added


def _config_option(command: Any) -> None:
    command.add_argument("-c", "--config", type=Path, metavar="FILE", help="the configuration, TOML")


def _add_run(commands: Any) -> None:
    run = _add(commands, "run", _run, "run the agent until Ctrl-C or SIGTERM")
    run.epilog = (
        "examples:\n  edge-agent run -c edge-agent.toml\n"
        "  edge-agent run -c edge-agent.toml --record walk.mcap"
    )
    _config_option(run)
    run.add_argument(
        "--record", type=Path, metavar="OUT.mcap", help="keep what all sensors give in this new file as well"
    )
    run.add_argument("-v", "--verbose", action="store_true", help="tell more on stderr")


def _add_check(commands: Any) -> None:
    check = _add(commands, "check", _check, "check a configuration and all that it names; starts nothing")
    check.epilog = "example: edge-agent check -c edge-agent.toml"
    _config_option(check)
    check.add_argument("--json", action="store_true", help="the findings as JSON")


def _add_models(commands: Any) -> None:
    models = commands.add_parser("models", help="look after model folders")
    actions = models.add_subparsers(title="commands", metavar="COMMAND", required=True)
    verify = _add(actions, "verify", _verify, "check every byte of a model folder against its manifest")
    verify.epilog = "example: edge-agent models verify models/iotlm-7m"
    verify.add_argument(
        "path", type=Path, nargs="?", metavar="PATH", help="a model folder (default: each one in models/)"
    )
    verify.add_argument("--json", action="store_true", help="the result as JSON")


def _add_demo(commands: Any) -> None:
    demo = _add(commands, "demo", _demo, "run the agent on real recorded sensors and watch what it perceives")
    demo.epilog = "example: edge-agent demo --duration 0    until Ctrl-C"
    demo.add_argument(
        "--duration", type=duration, default=60.0, metavar="S", help="seconds; 0: until Ctrl-C (default: 60)"
    )
    demo.add_argument("--model", type=Path, metavar="PATH", help="a model folder (default: models/iotlm-7m)")
    demo.add_argument(
        "--voice", action="store_true", help="ask and be answered aloud instead, through a virtual sound card"
    )
    demo.add_argument("--picture", type=Path, metavar="FILE", help="save the last view there, as an SVG")


# -- commands ------------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    _calm_libraries()
    from edge_agent import config
    from edge_agent.assembly import Parts, assemble
    from edge_agent.clock import SystemClock
    from edge_agent.reloading import Configuration, serve
    from edge_agent.runtime import Beside
    from edge_agent.systemd import Notifier
    from edge_agent.threads import signals

    clock, record = SystemClock(), options.record
    fixed = "" if record is None else "it is recorded (run --record), and a recording has one configuration"
    configuration = Configuration(options.config or config.find(), clock, fixed=fixed)

    def make(settings: config.Config) -> tuple[Parts, Beside | None]:
        logging.getLogger(__name__).info("loading %s", settings.model.path)
        if record is None:
            return assemble(settings, clock), None
        return cli_record.assemble_recorded(settings, record)

    stop = threading.Event()
    with signals(stop.set, configuration.request):  # before the models are loaded, which takes about a second
        serve(configuration, make, Notifier.from_environment(), stop)
    return 0


def _calm_libraries() -> None:
    """One thread for each numerical library, which must be said before numpy is imported.

    Their pools wait by spinning: measured here they cost three times what the whole agent needs.
    """
    assert "numpy" not in sys.modules, "too late: numpy has started its threads"
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")


def _check(options: argparse.Namespace) -> int:
    from edge_agent import assembly, config, manifest, voicing

    path = options.config or config.find()
    settings = config.load(path)
    found = assembly.check(settings)
    manifest.load(settings.model.path)
    if settings.voice.enabled:
        voicing.try_out(settings)
    notes = list(assembly.absences(settings))
    if options.json:
        sensors = settings.sources
        print(json.dumps({"ok": True, "file": str(path), "sensors": sensors, "notes": notes}))
        return 0
    print(f"{path}: right")
    print(f"model {found.name} {found.version} ({found.source}): all {len(found.files)} files as promised")
    for name, slot in settings.sources.items():
        print(f"sensor {name} -> {slot}")
    for note in notes:
        print(f"note: {note}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from edge_agent import manifest

    folders = [options.path] if options.path else sorted(p.parent for p in _MODELS.glob("*/manifest.json"))
    if not folders:
        raise EdgeAgentError(
            f"no model folder in {_MODELS.absolute()}", hint="name one: edge-agent models verify PATH"
        )
    for folder in folders:
        found = manifest.load(folder)
        size_bytes = sum(file.size_bytes for file in found.files.values())
        if options.json:
            facts = {"path": str(folder), "name": found.name, "version": found.version, "bytes": size_bytes}
            print(json.dumps({**facts, "ok": True, "source": found.source, "files": len(found.files)}))
        else:
            what = f"{found.name} {found.version}, {len(found.files)} files, {size_bytes:,} bytes"
            print(f"{folder}: {what}: right")
    return 0


def _demo(options: argparse.Namespace) -> int:
    try:
        from edge_agent import demo_voice
        from edge_agent.demo import default_model, demo
    except ModuleNotFoundError as error:
        raise EdgeAgentError(
            f"the demo needs the package {error.name}", hint="pip install 'iotlm-edge[demo]'"
        ) from error
    logging.getLogger().setLevel(logging.WARNING)  # the screen belongs to the view
    if options.voice:
        return demo_voice.demo(options.model or default_model())
    return demo(options.duration, options.model, options.picture)


def _completion(_options: argparse.Namespace) -> int:
    print(script(parser()))
    return 0


# -- words -----------------------------------------------------------------------------------------------


def _complain(error: EdgeAgentError) -> None:
    colour = _colour(sys.stderr)
    begin, end = ("\033[1;31m", "\033[0m") if colour else ("", "")
    print(f"{begin}error:{end} {error}", file=sys.stderr)
    if error.hint:
        print(f"  hint: {error.hint}", file=sys.stderr)


def _colour(stream: Any) -> bool:
    return bool(stream.isatty()) and "NO_COLOR" not in os.environ


def _log_to_stderr(*, verbose: bool) -> None:
    # The journal has its own clock.
    stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format=f"{stamp}%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )

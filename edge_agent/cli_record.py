"""`edge-agent record`, `replay` and `run --record`: what sensors gave, kept in a file, perceived again."""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.cli_arguments import duration
from edge_agent.errors import ConfigurationError, EdgeAgentError

if TYPE_CHECKING:
    from edge_agent.assembly import Parts
    from edge_agent.config import Config
    from edge_agent.perception.pipeline import Pipeline
    from edge_agent.record.beside import Recording
    from edge_agent.record.mcap_file import RecordingReader
    from edge_agent.record.playback import Playback
    from edge_agent.record.recorder import Progress
    from edge_agent.types import Sensor

Add = Callable[..., Any]


def add(commands: Any, command: Add, config_option: Callable[[Any], None]) -> None:
    """Register `record` and `replay`; `command` and `config_option` are those of every command."""
    record = command(commands, "record", _record, "record what all sensors give, until Ctrl-C")
    record.epilog = (
        "examples:\n  edge-agent record -c edge-agent.toml -o walk.mcap --duration 60\n"
        "  edge-agent record info walk.mcap"
    )
    config_option(record)
    record.add_argument("-o", "--output", type=Path, metavar="OUT.mcap", help="the new file (required)")
    record.add_argument(
        "--duration", type=duration, default=0.0, metavar="S", help="seconds (default: 0, until Ctrl-C)"
    )
    record.set_defaults(usage_error=record.error)
    info = command(record.add_subparsers(title="commands"), "info", _info, "what a recording holds")
    info.epilog = "example: edge-agent record info walk.mcap --json"
    info.add_argument("file", type=Path, metavar="FILE", help="the recording")
    info.add_argument("--json", action="store_true", help="the figures as JSON")
    _add_replay(commands, command, config_option)


def _add_replay(commands: Any, command: Add, config_option: Callable[[Any], None]) -> None:
    replay = command(commands, "replay", _replay, "perceive a recording again, one percept a line")
    replay.epilog = (
        "example: edge-agent replay walk.mcap -c edge-agent.toml --speed max --json\n\n"
        "Model, windows and the slot of each sensor are those of the configuration. Nothing is published."
    )
    replay.add_argument("file", type=Path, metavar="FILE", help="the recording")
    config_option(replay)
    replay.add_argument(
        "--speed", choices=("1", "max"), default="1", help="in real time, or as fast as it goes (default: 1)"
    )
    replay.add_argument(
        "--json", action="store_true", help="JSON as on the topic percept/main, without the id"
    )


# -- commands ------------------------------------------------------------------------------------------


def _record(options: argparse.Namespace) -> int:
    if options.output is None:
        options.usage_error("name the file to write: -o OUT.mcap")
    check_library()
    from edge_agent import assembly, config, manifest
    from edge_agent.clock import SystemClock
    from edge_agent.record.recorder import Recorder, create
    from edge_agent.record.session import Session, describer, header
    from edge_agent.threads import signals

    stop = threading.Event()
    with signals(stop.set):
        settings = config.load(options.config or config.find())
        model, clock = manifest.read(settings.model.path), SystemClock()
        sensors = _not_muted(settings, assembly.make_sensors(settings, model, clock))
        recorder = Recorder(
            create(options.output), header(settings, clock), describer(settings, model, sensors), clock
        )
        session = Session(sensors, recorder, clock)
        try:
            done = session.run(stop, options.duration or math.inf, _show if sys.stdout.isatty() else _hide)
        finally:
            if sys.stdout.isatty():
                print()
    print(f"{options.output}: {progress_line(done)}")
    return 0


def _not_muted(settings: Config, sensors: list[Sensor]) -> list[Sensor]:
    """Without those that the configuration or a command mutes. EdgeAgentError where none is left."""
    from edge_agent.muting import FILE, remembered

    names = [sensor.name for sensor in sensors]
    muted = {sensor.name for sensor in settings.sensors if sensor.muted}
    muted |= remembered(settings.node.state_directory / FILE, names).keys()
    for name in sorted(muted):
        print(f'sensor "{name}" is muted: not recorded', file=sys.stderr)
    if muted >= set(names):
        raise EdgeAgentError("every sensor is muted", hint="unmute one (docs/mqtt.md)")
    return [sensor for sensor in sensors if sensor.name not in muted]


def assemble_recorded(settings: Config, path: Path) -> tuple[Parts, Recording]:
    """The parts of an agent that is recorded into the new file `path`, and what records it."""
    check_library()
    from edge_agent.clock import SystemClock
    from edge_agent.record import beside

    return beside.assemble_recorded(settings, SystemClock(), path)


def check_library() -> None:
    """Raise EdgeAgentError where recordings cannot be read or written at all."""
    if find_spec("mcap") is None:
        raise EdgeAgentError(
            "recordings need the package mcap",
            hint="pip install 'iotlm-edge[record]'",
        )


def _show(progress: Progress) -> None:
    room = shutil.get_terminal_size().columns - 1
    print(f"\r\033[K{progress_line(progress)[:room]}", end="", flush=True)


def _hide(_progress: Progress) -> None:
    """A log is no screen: the last line says it all."""


def _info(options: argparse.Namespace) -> int:
    check_library()
    from edge_agent.record.info import info

    with open_recording(options.file) as reader:
        facts = info(reader)
    if options.json:
        print(json.dumps({"file": str(options.file), **facts}, ensure_ascii=False))
    else:
        print("\n".join(info_lines(str(options.file), facts)))
    return 0


def _replay(options: argparse.Namespace) -> int:
    check_library()
    from edge_agent import config, manifest
    from edge_agent.assembly import model_id
    from edge_agent.clock import SystemClock
    from edge_agent.delivery.payloads import encode, percept
    from edge_agent.perception import taught
    from edge_agent.perception.pipeline import Pipeline
    from edge_agent.threads import signals

    stop = threading.Event()
    settings = config.load(options.config or config.find())
    with signals(stop.set), open_recording(options.file) as reader:
        learned = taught.load(settings.taught, manifest.read(settings.model.path))
        wanted = settings.perceived
        pipeline = Pipeline(settings.model.path, configured=set(wanted.values()), taught=learned)
        playback = make_playback(settings, reader, pipeline, wanted)
        model = model_id(settings.model.path, playback.pipeline.manifest)
        for seen in playback.percepts(stop, None if options.speed == "max" else SystemClock()):
            body = percept("", seen, model, playback.clock)
            del body["id"]  # it is random, and belongs to what is published
            line = encode(body).decode() if options.json else percept_line(body)
            if not _print(line):
                return 0
        if reader.damage and not stop.is_set():
            print(f"note: {options.file} ends early: {reader.damage}", file=sys.stderr)
    return 0


def _print(line: str) -> bool:
    """Whether anybody still reads."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the exit
        return False
    return True


def open_recording(path: Path) -> RecordingReader:
    """The recording at `path`. Raises RecordingError."""
    from edge_agent.record.encoding import RecordingError
    from edge_agent.record.mcap_file import RecordingReader

    try:
        raw = path.open("rb")
    except OSError as error:
        raise RecordingError(f"cannot read {path}: {error.strerror}") from error
    return RecordingReader(raw, str(path))


def make_playback(
    settings: Config, reader: RecordingReader, pipeline: Pipeline, wanted: Mapping[str, str]
) -> Playback:
    """The recording's sensors `wanted` (Chunk.sensor -> slot) before the model.

    What cannot be perceived is told on stderr. Raises EdgeAgentError where nothing can be.
    """
    from edge_agent.assembly import make_windows
    from edge_agent.record.playback import Playback

    recorded = reader.header.sensors
    if not recorded.keys() & wanted.keys():
        raise EdgeAgentError(
            f"nothing to perceive: the recording holds {', '.join(recorded)}; the configuration perceives "
            f"{', '.join(wanted) or 'nothing'}",
            hint="give the sensors of the configuration the names that they have in the recording",
        )
    for name in sorted(recorded.keys() - wanted.keys()):
        print(f'note: "{name}" fills no slot here and is not perceived', file=sys.stderr)
    try:
        windows = make_windows(settings, pipeline.manifest, wanted)
    except ValueError as error:
        raise ConfigurationError(str(error), key="sensor") from error
    return Playback(reader, pipeline, windows, wanted, settings.windows.settle_s)


# -- words -----------------------------------------------------------------------------------------------


def progress_line(progress: Progress) -> str:
    """'0:12  1.4 MB  phone 240, sound 120 chunks  0 dropped'."""
    minutes, seconds = divmod(int(progress.duration_s), 60)
    dropped = sum(progress.dropped.values())
    where = f" ({_counts(progress.dropped)})" if dropped else ""
    return (
        f"{minutes}:{seconds:02d}  {_size(progress.size_bytes)}  {_counts(progress.chunks) or 'no'} chunks"
        f"  {dropped} dropped{where}"
    )


def info_lines(file: str, facts: dict[str, Any]) -> list[str]:
    """The figures of `record.info` for a person."""
    state = "complete" if facts["complete"] else facts["damage"]
    lines = [
        f"{file}: {facts['duration_s']} s since {facts['start_utc']}, {_size(facts['size_bytes'])}, {state}",
        f"recorded by {facts['node']} with the model {facts['model']}",
    ]
    for name, sensor in facts["sensors"].items():
        what = sensor["slot"] or "no slot"
        figures = (
            f"{sensor['samples']} samples, {sensor['rate_hz']:g} Hz, {sensor['gaps']} gaps, "
            f"{sensor['lost']} lost, {sensor['dropped_chunks']} chunks dropped"
        )
        lines.append(f"{name} -> {what}: {figures}" + (", simulated" if sensor["simulated"] else ""))
    return lines


def percept_line(body: dict[str, Any]) -> str:
    """'12:00:00.500  walking 97 %, dog 80 %  (imu_phone, audio)'; what is not known is unknown."""
    said = [
        f"{task['label'].replace('_', ' ')} {100 * task['probability']:.0f} %" if task["known"] else "unknown"
        for task in body["tasks"].values()
    ]
    line = f"{body['time_utc'][11:-1]}  {', '.join(said) or '-'}  ({', '.join(body['present']) or 'nothing'})"
    return line + ("  simulated" if body["simulated"] else "")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1_000_000 else f"{size_bytes / 1e3:.1f} kB"

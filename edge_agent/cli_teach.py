"""`edge-agent teach`: classes of your own for a slot of the model, from recorded windows, on the device."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from edge_agent import cli_record
from edge_agent.cli_arguments import duration
from edge_agent.errors import EdgeAgentError

if TYPE_CHECKING:
    from edge_agent.config import Config
    from edge_agent.perception.pipeline import Pipeline
    from edge_agent.perception.taught import TaughtFile, TaughtSlot
    from edge_agent.record.labelled import Examples

_EXAMPLES = """examples:
  edge-agent record -c edge-agent.toml -o juggling.mcap --duration 20
  edge-agent teach imu_watch --label juggling --from juggling.mcap --start 2 --stop 18
  edge-agent teach imu_watch --from windows.npz          x (N,T,C) and label (N,)
  edge-agent teach imu_watch --check another.mcap --label juggling
  edge-agent teach imu_watch --forget juggling           or --forget --all

Nothing of the model is changed. A running agent reads what is taught at its next start."""


def add(commands: Any, command: Callable[..., Any], config_option: Callable[[Any], None]) -> None:
    """Register the command; `command` and `config_option` are those of every command."""
    teach = command(commands, "teach", _teach, "teach a slot classes of your own, from recorded windows")
    teach.epilog = _EXAMPLES
    teach.add_argument("slot", nargs="?", metavar="SLOT", help="the slot of the model, such as imu_watch")
    config_option(teach)
    action = teach.add_mutually_exclusive_group(required=True)
    action.add_argument("--from", dest="source", type=Path, metavar="FILE", help="teach these windows")
    action.add_argument("--check", type=Path, metavar="FILE", help="how well these windows are read")
    action.add_argument("--list", action="store_true", help="what is taught")
    action.add_argument("--forget", nargs="?", const="", metavar="LABEL", help="forget a class again")
    teach.add_argument("--all", action="store_true", help="with --forget: every class of the slot")
    teach.add_argument("--label", default="", metavar="LABEL", help="the class that FILE shows")
    teach.add_argument(
        "--start", type=duration, default=0.0, metavar="S", help="of a recording: from here on (default: 0)"
    )
    teach.add_argument(
        "--stop", type=duration, default=math.inf, metavar="S", help="up to here (default: its end)"
    )
    teach.add_argument("--json", action="store_true", help="with --list or --check: as JSON")
    teach.set_defaults(usage_error=teach.error)


def _teach(options: argparse.Namespace) -> int:
    from edge_agent import config

    if not options.list and options.slot is None:
        options.usage_error("name the slot: edge-agent teach SLOT ...")
    if options.forget is not None and bool(options.forget) == options.all:
        options.usage_error("--forget takes a LABEL or --all")
    settings = config.load(options.config or config.find())
    if options.list:
        return _list(options, settings)
    if options.forget is not None:
        return _forget(options, settings)
    return _check(options, settings) if options.check else _learn(options, settings)


# -- commands ------------------------------------------------------------------------------------------


def _learn(options: argparse.Namespace, settings: Config) -> int:
    from edge_agent.perception.taught import TaughtFile, check_encoder, encoder_of

    file = TaughtFile.read(settings.taught)
    pipeline = _pipeline(settings, options.slot)
    check_encoder(file, pipeline.manifest, options.slot)
    slot = _slot(file, options.slot, encoder_of(pipeline.manifest, options.slot))
    examples = _examples(options, settings, pipeline, options.source)
    for example in examples:
        slot = slot.with_class(example.label, example.z)
    file.replacing(options.slot, slot).write(settings.taught)
    for example in examples:
        kept, invented = len(slot.windows[example.label]), ", simulated" if example.simulated else ""
        print(f'{options.slot}: "{example.label}" taught {len(example.z)} windows{invented}; {kept} are kept')
    print(f"{settings.taught}: {_classes(slot)}; a running agent reads it at its next start")
    return 0


def _forget(options: argparse.Namespace, settings: Config) -> int:
    from edge_agent.perception.taught import TaughtFile

    file = TaughtFile.read(settings.taught)
    slot = _slot(file, options.slot, "")
    for label in [options.forget] if options.forget else list(slot.windows):
        slot = slot.without(label)
    file.replacing(options.slot, slot).write(settings.taught)
    print(f"{options.slot}: {_classes(slot)}; a running agent reads it at its next start")
    return 0


def _list(options: argparse.Namespace, settings: Config) -> int:
    from edge_agent import manifest
    from edge_agent.perception.taught import TaughtFile, fits

    file, model = TaughtFile.read(settings.taught), manifest.read(settings.model.path)
    facts = {
        name: {
            "classes": {label: len(z) for label, z in slot.windows.items()},
            "usable": fits(file, model, name),
        }
        for name, slot in file.slots.items()
        if options.slot in (None, name)
    }
    if options.json:
        print(json.dumps({"file": str(settings.taught), "slots": facts}, ensure_ascii=False))
        return 0
    for name in facts:
        stale = "" if facts[name]["usable"] else "  (taught with another encoder: of no use now)"
        print(f"{name}: {_classes(file.slots[name])}{stale}")
    if not facts:
        print("nothing is taught")
    return 0


def _check(options: argparse.Namespace, settings: Config) -> int:
    from edge_agent.perception.taught import Taught, TaughtFile

    file = TaughtFile.read(settings.taught)
    slot = _slot(file, options.slot, "")
    if not slot.windows:
        raise EdgeAgentError(f"{options.slot} was taught nothing", hint="teach it: --label L --from FILE")
    pipeline = _pipeline(settings, options.slot)
    taught = Taught(TaughtFile({options.slot: slot}), pipeline.manifest)
    said = {
        example.label: Counter(
            found.label if found.known else "" for found in (taught.read(options.slot, z) for z in example.z)
        )
        for example in _examples(options, settings, pipeline, options.check)
    }
    facts = judged(said, tuple(slot.windows))
    if options.json:
        print(json.dumps({"slot": options.slot, "file": str(options.check), **facts}, ensure_ascii=False))
    else:
        print("\n".join(check_lines(options.slot, facts)))
    return 0


# -- parts ---------------------------------------------------------------------------------------------


def _pipeline(settings: Config, slot: str) -> Pipeline:
    from edge_agent import manifest
    from edge_agent.perception.pipeline import Pipeline
    from edge_agent.perception.taught import encoder_of

    encoder_of(manifest.read(settings.model.path), slot)  # a slot that is not there is told at once
    return Pipeline(settings.model.path, configured=(slot,))


def _examples(
    options: argparse.Namespace, settings: Config, pipeline: Pipeline, path: Path
) -> Sequence[Examples]:
    from edge_agent.record.labelled import Span, arrays, recorded

    if path.suffix == ".npz":
        found = arrays(pipeline, options.slot, path, options.label)
    else:
        cli_record.check_library()
        wanted = {name: slot for name, slot in settings.perceived.items() if slot == options.slot}
        span = Span(options.start, options.stop)
        with cli_record.open_recording(path) as reader:
            playback = cli_record.make_playback(settings, reader, pipeline, wanted)
            found = [recorded(playback, options.slot, options.label, span)]
            if reader.damage:
                print(f"note: {path} ends early: {reader.damage}", file=sys.stderr)
    if options.source and not all(example.label for example in found):
        options.usage_error(f"say what {path} shows: --label LABEL")
    return found


def _slot(file: TaughtFile, name: str, encoder_sha256: str) -> TaughtSlot:
    from edge_agent.perception.taught import TaughtSlot

    return file.slots.get(name, TaughtSlot(encoder_sha256, {}))


# -- words -----------------------------------------------------------------------------------------------


class _Read(TypedDict):
    windows: int
    right: int | None
    said: dict[str, int]


def judged(said: dict[str, Counter[str]], taught: Sequence[str]) -> dict[str, Any]:
    """What was said of the windows of each class ("" for not known) -> JSON-ready facts.

    A window counts as right where its class is named, or where it is not known and was never taught. Where
    the class of the windows is not given ("") nothing is right or wrong: `accuracy` and `right` are None.
    """
    classes: dict[str, _Read] = {}
    for truth, counts in said.items():
        right = counts[truth if truth in taught else ""] if truth else None
        names = {label or "unknown": n for label, n in counts.most_common()}
        classes[truth or "?"] = _Read(windows=counts.total(), right=right, said=names)
    windows = sum(c.total() for c in said.values())
    right_ones = [n for c in classes.values() if (n := c["right"]) is not None]
    accuracy = round(sum(right_ones) / windows, 4) if len(right_ones) == len(classes) else None
    unknown = sum(c[""] for c in said.values()) / windows
    return {"windows": windows, "accuracy": accuracy, "unknown": round(unknown, 4), "classes": classes}


def check_lines(slot: str, facts: dict[str, Any]) -> list[str]:
    """The facts of `judged` for a person."""
    right = "" if facts["accuracy"] is None else f", {100 * facts['accuracy']:.1f} % right"
    lines = [f"{slot}: {facts['windows']} windows{right}, {100 * facts['unknown']:.1f} % not known"]
    for truth, found in facts["classes"].items():
        said = ", ".join(f"{'not known' if k == 'unknown' else k} {n}" for k, n in found["said"].items())
        lines.append(f"  {truth}: {found['windows']} windows read as {said}")
    return lines


def _classes(slot: TaughtSlot) -> str:
    return ", ".join(f"{label} {len(z)}" for label, z in slot.windows.items()) or "nothing is taught"

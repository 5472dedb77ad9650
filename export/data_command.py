"""`python -m export data`: which recordings and simulators there are, what is in them, how they look."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from export.data_facts import Found, look, summary
from export.datasets.common import DATA_VARIABLE, DatasetMissingError, Samples, data_root
from export.datasets.registry import Entry, entries, entry
from export.simulate.simulator import Simulator

EXIT_FAILED, EXIT_USAGE = 1, 2
WIDE = 170
"""Columns of a table that goes into a pipe or a file."""
MOST_OUTPUTS = 12
EXAMPLES = """examples:
  python -m export data list --modality imu      what there is for motion sensors, and whether it is here
  python -m export data info room_thermal_array  classes, splits, units, licence, and how to get it
  python -m export data plot                     one picture for each modality, into runs/data/
  python -m export data plot esc10 -o sounds.png

Recordings are looked for in --data, else in the folder that EDGE_AGENT_DATA names. Nothing is downloaded.
kind: `real` was recorded, `simulated` was computed by this project and is never mixed into a real score.
licence class: A ships with credit, B is copyleft and stays outside, C is for research and never ships.
exit codes: 0 done, 1 failed, 2 wrong usage"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands below `data`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    actions = parser.add_subparsers(dest="action", required=True, metavar="COMMAND")
    listed = actions.add_parser("list", help="a table of all sets: task, licence, size, present or missing")
    for name in ("modality", "task", "kind"):
        listed.add_argument(f"--{name}", help=f"only sets of this {name}")
    listed.add_argument("--json", action="store_true", help="a list of objects, for programs")
    info = actions.add_parser("info", help="one set: classes and splits, rate, units, credit, how to get it")
    info.add_argument("name", metavar="NAME", help="as `data list` shows it")
    info.add_argument("--json", action="store_true", help="one object, for programs")
    plot = actions.add_parser("plot", help="samples as PNG: of one set, or of one set for each modality")
    plot.add_argument("name", metavar="NAME", nargs="?", help="as `data list` shows it")
    plot.add_argument(
        "-o", "--output", type=Path, metavar="PATH", help="PNG file, or folder (default: runs/data)"
    )


def run(options: argparse.Namespace) -> int:
    """Run `data ...`; returns the exit code."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {"list": _list, "info": _info, "plot": _plot}
    try:
        return actions[options.action](options)
    except KeyError as error:
        return _complain(str(error.args[0]), "`python -m export data list` shows all names", EXIT_USAGE)
    except DatasetMissingError as error:
        return _complain(str(error), "`python -m export data info NAME` says what belongs there")
    except ModuleNotFoundError as error:
        return _complain(f"the package {error.name} is missing", "pip install 'iotlm-edge[export,camera]'")
    except (ValueError, OSError) as error:
        return _complain(str(error), "compare the files with the format that `data info NAME` describes")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command by itself, without the training commands (and torch) around it."""
    parser = argparse.ArgumentParser(prog="python -m export.data_command", description=__doc__)
    parser.add_argument("--data", type=Path, default=data_root(), help=f"recordings (else {DATA_VARIABLE})")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where plots go")
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def _complain(what: str, hint: str, code: int = EXIT_FAILED) -> int:
    print(f"error: {what}\n  next: {hint}", file=sys.stderr)
    return code


def _wanted(options: argparse.Namespace) -> list[Entry]:
    """Those that the filters leave. Raises KeyError for a filter that leaves none, with what there is."""
    left = list(entries().values())
    for name in ("modality", "task", "kind"):
        value = getattr(options, name)
        known = sorted({str(getattr(one.info, name)) for one in left})
        if value is not None and value not in known:
            raise KeyError(f"no set is left with the {name} {value}; there are: {', '.join(known)}")
        left = [one for one in left if value in {None, getattr(one.info, name)}]
    return left


def _list(options: argparse.Namespace) -> int:
    wanted = _wanted(options)
    found = []
    with _progress() as progress:
        task = progress.add_task("", total=len(wanted))
        for one in wanted:
            progress.update(task, description=one.name)
            found.append(look(one, options.data))
            progress.advance(task)
    if options.json:
        print(json.dumps([one.row() for one in found], indent=2))
    else:
        _print(_table(found))
    broken = [one for one in found if one.state == "broken"]
    for bad in broken:
        _complain(f"{bad.entry.name}: {bad.reason}", f"`data info {bad.entry.name}` describes its format")
    if any(one.state == "missing" for one in found):
        print("missing sets: `data info NAME` says where they are published", file=sys.stderr)
    return EXIT_FAILED if broken else 0


def _table(found: Sequence[Found]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("name", "modality", "task", "kind", "licence (class)", "windows", "groups", "state"):
        number = column in {"windows", "groups"}
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for one in found:
        info = one.entry.info
        counts = ["" if n is None else f"{n:,}" for n in (one.windows, one.groups)]
        licence = f"{re.split('[;:(]', info.licence)[0].strip()} ({info.licence_class})"
        kind = info.kind if one.entry.scored else f"{info.kind}, extra"
        table.add_row(one.entry.name, info.modality, info.task, kind, licence, *counts, one.state)
    return table


def _info(options: argparse.Namespace) -> int:
    one = entry(options.name)
    try:
        with _progress() as progress:
            progress.add_task(f"loading {one.name}", total=None)
            samples = one.reader.load(options.data)
    except DatasetMissingError as error:
        samples, reason = None, str(error)
    else:
        reason = ""
    parts = summary(one, samples) if samples is not None else {}
    if options.json:
        facts = asdict(one.info) | {"source": one.source, "about": one.about, "scored": one.scored}
        print(json.dumps(facts | {"missing": reason or None, "parts": parts}, indent=2))
        return 0
    _print_facts(one, samples)
    if samples is None:
        print(f"\nMISSING: {reason}")
        print("How to get it: the reader says where it is published and which files it takes.")
        print("\n" + one.about.strip())
        return 0
    _print(_parts_table(one, parts))
    return 0


def _print_facts(one: Entry, samples: Samples | None) -> None:
    info = one.info
    units = ", ".join(dict.fromkeys(unit or "1" for unit in info.units))
    shape = "" if samples is None else f"x {samples.x.shape} float32, "
    several = f"{info.channels[0]} .. {info.channels[-1]}"
    channels = ", ".join(info.channels) if len(info.channels) <= MOST_OUTPUTS else several
    facts = {
        "what": f"{info.modality} -> {info.task}",
        "kind": info.kind if one.scored else f"{info.kind}: extra material for training, never in a score",
        "window": f"{shape}{info.window_s:g} s at {info.rate_hz:g} Hz",
        "channels": f"{len(info.channels)}: {channels}",
        "units": units,
        "licence": f"{info.licence} (class {info.licence_class})",
        "credit": info.credit,
        "split": info.split,
        "reference": info.reference or "none known",
        "read by": f"export.{one.source}",
    }
    print(one.name)
    for name, value in facts.items():
        print(f"  {name:10} {value}")


def _parts_table(one: Entry, parts: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, title="the shipped split", title_justify="left")
    table.add_column("")
    for name in parts:
        table.add_column(name, justify="right")
    for count in ("windows", "groups"):
        table.add_row(count, *(f"{part[count]:,}" for part in parts.values()))
    if one.info.labels:
        for label in one.info.labels:
            table.add_row(f"  {label}", *(f"{part['classes'][label]:,}" for part in parts.values()))
        return table
    for name in one.info.outputs[:MOST_OUTPUTS]:
        pairs = [part["outputs"][name] for part in parts.values()]
        table.add_row(
            f"  {name}, mean ± sd", *("" if p is None else f"{p[0]:.3f} ± {p[1]:.3f}" for p in pairs)
        )
    if len(one.info.outputs) > MOST_OUTPUTS:
        table.add_row(f"  and {len(one.info.outputs) - MOST_OUTPUTS} more outputs")
    return table


def _plot(options: argparse.Namespace) -> int:
    if options.name is not None:
        one = entry(options.name)
        output = options.output or options.runs / "data"
        path = output if output.suffix == ".png" else output / f"{one.name}.png"
        _draw(one, path, options.data)
        return 0
    folder = options.output or options.runs / "data"
    if folder.suffix == ".png":
        return _complain(f"{folder} is one file", "name a set, or give a folder", EXIT_USAGE)
    modalities = dict.fromkeys(one.info.modality for one in entries().values())
    for modality in modalities:
        _draw_first(modality, folder, options.data)
    return 0


def _draw_first(modality: str, folder: Path, root: Path) -> None:
    """The first set of a modality that is here; recordings come before simulators."""
    for one in entries().values():
        if one.info.modality == modality:
            try:
                _draw(one, folder / f"{modality}_{one.name}.png", root)
            except DatasetMissingError:
                continue
            return
    print(f"{modality}: no set is here", file=sys.stderr)


def _draw(one: Entry, path: Path, root: Path) -> None:
    from export.data_plots import plot

    with _progress() as progress:
        progress.add_task(f"loading {one.name}", total=None)
        reader = one.reader.of(240) if isinstance(one.reader, Simulator) else one.reader
        samples = reader.load(root)
    plot(one.info, samples, path)
    print(path)


def _progress() -> Progress:
    """On stderr, and only where somebody looks at it: a pipe gets the result alone."""
    return Progress(
        SpinnerColumn(), MofNCompleteColumn(), TextColumn("{task.description}"),
        console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
    )  # fmt: skip


def _print(table: Table) -> None:
    """As wide as the terminal, or WIDE where there is none."""
    width = None if sys.stdout.isatty() else WIDE
    Console(width=width, soft_wrap=False).print(table)


if __name__ == "__main__":
    raise SystemExit(main())

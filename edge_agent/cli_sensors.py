"""`edge-agent sensors`: what is configured, what is plugged in, what a sensor says now."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.errors import EdgeAgentError

if TYPE_CHECKING:
    from edge_agent.config import Config
    from edge_agent.flow import FlowMeter, SlotMeter
    from edge_agent.manifest import Manifest
    from edge_agent.types import Chunk, Sensor

ADD = Callable[..., Any]
TAIL_PERIOD_S = 0.5
SHOWN_CHANNELS = 8


def add(commands: Any, command: ADD, config_option: Callable[[Any], None]) -> None:
    """Register the commands below `sensors`; `command` and `config_option` are those of every command."""
    sensors = commands.add_parser("sensors", help="look at sensors: configured, plugged in, live")
    actions = sensors.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listed = command(actions, "list", _list, "the sensors of the configuration, and what each needs")
    config_option(listed)
    _json(listed)
    chips = command(actions, "chips", _chips, "every I2C chip that a configuration can name")
    _json(chips)
    probe = command(actions, "probe", _probe, "look for chips, serial devices, microphones and cameras")
    probe.add_argument(
        "--bus", action="append", type=int, metavar="N", help="only I2C bus N (may be repeated)"
    )
    probe.add_argument("--port", action="append", metavar="PATH", help="only this serial port (repeatable)")
    probe.add_argument(
        "--listen", action="store_true", help="open the serial ports and guess by what they say (seconds)"
    )
    _json(probe)
    for name, run, text in (
        ("tail", _tail, "live values of one sensor, with rate, jitter, offset and gaps"),
        ("plot", _plot, "draw some seconds of one sensor in the terminal, and as PNG"),
    ):
        action = command(actions, name, run, text)
        action.epilog = f"example: edge-agent sensors {name} phone -c edge-agent.toml"
        action.add_argument("name", metavar="NAME", help="its name, as `edge-agent sensors list` shows it")
        config_option(action)
        action.add_argument(
            "--duration", type=float, default=0.0 if name == "tail" else 5.0, metavar="S",
            help="seconds (0: until Ctrl-C)",
        )  # fmt: skip
        if name == "tail":
            _json(action)
        else:
            action.add_argument("--png", type=Path, metavar="FILE", help="write a picture there too")


def _json(action: Any) -> None:
    action.add_argument("--json", action="store_true", help="one JSON object a line")


def _list(options: argparse.Namespace) -> int:
    settings, _, sensors = _made(options.config)
    from edge_agent.assembly import healths_of
    from edge_agent.sensors.channels import channels_of

    rows: list[dict[str, Any]] = []
    for table, sensor in zip(settings.sensors, sensors, strict=True):
        for name in healths_of(sensor):
            channels = [c.name for c in channels_of(sensor).get(name, ())]
            missing = [path for path in table.devices if not Path(path).exists()]
            rows.append(
                {
                    "name": name, "kind": table.kind, "slot": settings.sources.get(name, ""),
                    "simulated": table.invented, "channels": channels, "missing_devices": missing,
                }
            )  # fmt: skip
    if options.json:
        print(*(json.dumps(row) for row in rows), sep="\n")
    else:
        _table(("name", "kind", "slot", "device"), [_row(row) for row in rows])
    return 0


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    kind = f"{row['kind']}, simulated" if row["simulated"] else row["kind"]
    missing = ", ".join(row["missing_devices"])
    return row["name"], kind, row["slot"] or "-", f"{missing} is not there" if missing else "ready"


def _chips(options: argparse.Namespace) -> int:
    from edge_agent.sensors.i2c import chips

    found = [chips.chip(name) for name in chips.NAMES]
    if options.json:
        for chip in found:
            facts = {"name": chip.name, "modality": chip.modality, "addresses": list(chip.addresses)}
            print(json.dumps({**facts, "description": chip.description}))
        return 0
    rows = [(c.name, c.modality, " ".join(f"0x{a:02x}" for a in c.addresses), c.description) for c in found]
    _table(("chip", "modality", "addresses", "what"), rows)
    return 0


def _probe(options: argparse.Namespace) -> int:
    from edge_agent.sensors import portaudio, probe, serial
    from edge_agent.sensors.i2c.bus import I2CBus, bus_path

    everything = not (options.bus or options.port)
    paths = [bus_path(n) for n in options.bus or ()] or (probe.i2c_buses() if everything else [])
    found = list(probe.on_buses(I2CBus(path) for path in paths))
    ports = options.port or (serial.ports() if everything else [])
    found += [serial.probed(port, listen=options.listen or bool(options.port)) for port in ports]
    if everything:
        found += [*portaudio.devices(), *probe.video_devices()]
    if options.json:
        print(*(json.dumps(asdict(each)) for each in found), sep="\n")
    elif found:
        _table(("kind", "where", "what"), [(f.kind, f.where, f.what) for f in found])
        for each in found:
            if each.hint:
                print(f"  {each.where}: {each.hint}")
    else:
        print("nothing was found: no I2C bus, serial port, microphone or camera", file=sys.stderr)
    return 0


def _tail(options: argparse.Namespace) -> int:
    settings, manifest, sensors = _made(options.config)
    meter, shown_s = _meter(settings, manifest, options.name), 0.0
    names: list[str] = []
    for sensor, chunk in _live(sensors, options.name, options.duration):
        meter.add(chunk)
        if time.monotonic() - shown_s < TAIL_PERIOD_S:
            continue
        shown_s = time.monotonic()
        names = names or channel_names(sensor, chunk)
        print(tail_line(options.name, names, meter, chunk, as_json=options.json), flush=True)
    return 0


def _meter(settings: Config, manifest: Manifest, name: str) -> FlowMeter | SlotMeter:
    """What the agent would say of this sensor: by its slot's windows where it fills one."""
    from edge_agent.assembly import make_windows
    from edge_agent.flow import FlowMeter, SlotMeter

    slot = settings.perceived.get(name)
    return SlotMeter(make_windows(settings, manifest, {name: slot}), slot) if slot else FlowMeter()


def tail_line(
    name: str, names: list[str], meter: FlowMeter | SlotMeter, chunk: Chunk, *, as_json: bool
) -> str:
    """One line of `tail`: the flow so far and the newest sample, in words or as a JSON object.

    `names` are the chunk's columns. Raises ValueError where there are not as many.
    """
    from edge_agent.delivery.payloads import reading

    flow = meter.flow(time.monotonic_ns())
    values = list(zip(names, chunk.values[-1], strict=True))
    if as_json:
        clean = {channel: reading(value) for channel, value in values}
        return json.dumps({"sensor": name, **flow.as_json(), "lost": chunk.lost, "values": clean})
    digits = 10 if chunk.values.dtype.itemsize > 4 else 4  # float64 is for what needs them
    said = "  ".join(f"{channel} {value:.{digits}g}" for channel, value in values[:SHOWN_CHANNELS])
    more = f"  (+{len(values) - SHOWN_CHANNELS} channels)" if len(values) > SHOWN_CHANNELS else ""
    offset = f"offset {flow.offset_ms:6.2f} ms  " if math.isfinite(flow.offset_ms) else ""
    timing = f"{flow.rate_hz:7.1f} Hz  jitter {flow.jitter_ms:6.2f} ms  {offset}gaps {flow.gaps}"
    return f"{timing}  {said}{more}"


def _plot(options: argparse.Namespace) -> int:
    import numpy as np

    from edge_agent import plot

    if options.duration <= 0:
        raise EdgeAgentError("a plot needs an end", hint="--duration 5")
    times_ns, values, names = [], [], list[str]()
    _, _, sensors = _made(options.config)
    for sensor, chunk in _live(sensors, options.name, options.duration):
        names = names or channel_names(sensor, chunk)
        times_ns.append(chunk.times_ns)
        values.append(chunk.values)
    if not times_ns:
        raise EdgeAgentError(
            f'"{options.name}" gave nothing in {options.duration:g} s',
            hint=f"edge-agent sensors tail {options.name} tells what it is waiting for",
        )
    seconds = (np.concatenate(times_ns) - times_ns[0][0]) * 1e-9
    plot.show(seconds, np.concatenate(values), names, title=options.name)
    if options.png is not None:
        plot.save(options.png, seconds, np.concatenate(values), names, title=options.name)
        print(f"{options.png}: written")
    return 0


def _live(sensors: list[Sensor], name: str, duration_s: float) -> Iterator[tuple[Sensor, Chunk]]:
    """The chunks of one sensor by its name. What keeps it from giving any is told on stderr."""
    from edge_agent.alone import live
    from edge_agent.assembly import healths_of
    from edge_agent.clock import SystemClock
    from edge_agent.config_errors import nearest

    by_name = {known: sensor for sensor in sensors for known in healths_of(sensor)}
    if name not in by_name:
        guess = nearest(name, by_name)
        raise EdgeAgentError(
            f'no sensor "{name}"' + (f'; did you mean "{guess}"?' if guess else ""),
            hint=f"the sensors are {', '.join(by_name)}",
        )
    sensor, said = by_name[name], ""
    health = healths_of(sensor)[name]
    for chunks in live(sensor, SystemClock(), duration_s):
        yield from ((sensor, chunk) for chunk in chunks if chunk.sensor == name)
        if health.reason != said and health.state != "online":
            said = health.reason
            print(f"{health.state}: {said}", file=sys.stderr)


def channel_names(sensor: Sensor, chunk: Chunk) -> list[str]:
    """What the sensor says of the chunk's columns; `channel_0`, ... where it says nothing."""
    from edge_agent.sensors.channels import channels_of

    known = channels_of(sensor).get(chunk.sensor, ())
    return [c.name for c in known] or [f"channel_{i}" for i in range(chunk.values.shape[1])]


def _made(path: Path | None) -> tuple[Config, Manifest, list[Sensor]]:
    from edge_agent import assembly, config, manifest
    from edge_agent.clock import SystemClock

    settings = config.load(path or config.find())
    promised = manifest.read(settings.model.path)
    return settings, promised, assembly.make_sensors(settings, promised, SystemClock())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*head, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)

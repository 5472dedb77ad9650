"""`edge-agent simulate`: a device that is not there, with whatever goes wrong with it.

A serial one gets a real port, for an agent to open. An I2C chip cannot be put on a real bus, so its driver
reads it here, as it would in an agent with the table that is printed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.cli_arguments import duration
from edge_agent.errors import EdgeAgentError

if TYPE_CHECKING:
    from edge_agent.config_sensors import I2cSensor
    from edge_agent.sensors.simulated_firmware import SimulatedStream
    from edge_agent.sensors.simulated_serial import SimulatedSerial

SERIAL = {
    "board": 'kind = "serial", streams.phone = { slot = "imu_phone" }',
    "gps": 'kind = "gps"',
    "ld06": 'kind = "lidar", model = "ld06"',
    "rplidar": 'kind = "lidar", model = "rplidar_a1"',
}
"""name -> the configuration that reads it."""
LINE_FAULTS = {
    "garbage_every": "noise on the line, so often",
    "drop_every": "a frame is lost, so often",
    "spoil_every": "a frame has a wrong bit, so often",
    "unplug_every": "it is unplugged for two seconds, so often",
}
CHIP_FAULTS = {
    "noise": ("X", "standard deviation added to what it measures, in its units"),
    "stuck_after_s": ("S", "from then on it measures the same"),
    "nack_share": ("P", "share of transactions that it does not acknowledge, 0 to 1"),
    "flip_share": ("P", "share of reads in which one bit is wrong, 0 to 1"),
    "disconnect_every_s": ("S", "it vanishes from the bus, so often"),
    "disconnect_for_s": ("S", "and comes back after so long (default: 1)"),
}
"""`faults` of the configuration, key by key: (metavar, help)."""


class _Devices(Collection[str]):
    """Every name. The chips' are asked for when they are needed: their modules load numpy."""

    def __iter__(self) -> Iterator[str]:
        from edge_agent.sensors.i2c import chips

        yield from (*SERIAL, *chips.NAMES)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return any(name == known for known in self)


def add(commands: Any, command: Callable[..., Any]) -> None:
    """Register the command."""
    simulate = command(commands, "simulate", _simulate, "try a device that is not there, with faults")
    simulate.epilog = (
        "examples:\n  edge-agent simulate gps --link /tmp/gps --unplug-every 20\n"
        "  edge-agent simulate bme280 --nack-share 0.1 --duration 10\n\n"
        "What a chip measures is shown as `sensors tail` shows it. For a configuration the table is printed\n"
        'that has the same chip with the same faults, on bus = "simulated" (docs/sensors.md).'
    )
    simulate.add_argument("device", metavar="DEVICE", choices=_Devices(), help="%(choices)s")
    simulate.add_argument(
        "--duration", type=duration, default=0.0, metavar="S", help="seconds (default: 0, until Ctrl-C)"
    )
    simulate.set_defaults(usage_error=simulate.error)
    line = simulate.add_argument_group(f"serial devices ({', '.join(SERIAL)})")
    line.add_argument("--link", type=Path, metavar="PATH", help="the port to appear at (required)")
    for name, text in LINE_FAULTS.items():
        line.add_argument(_option(name), type=duration, metavar="S", help=f"{text} (default: never)")
    chip = simulate.add_argument_group("I2C chips (all others)")
    chip.add_argument("--json", action="store_true", default=None, help="one JSON object a line")
    for name, (unit, text) in CHIP_FAULTS.items():
        chip.add_argument(_option(name), type=float, metavar=unit, help=text)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _simulate(options: argparse.Namespace) -> int:
    serial = options.device in SERIAL
    foreign = ("json", *CHIP_FAULTS) if serial else ("link", *LINE_FAULTS)
    if wrong := [_option(name) for name in foreign if getattr(options, name) is not None]:
        what = "an I2C chip" if serial else "a serial device"
        options.usage_error(f"{', '.join(wrong)}: for {what}, which {options.device} is not")
    return _play(options) if serial else _tail(options)


# -- serial devices --------------------------------------------------------------------------------------


def _play(options: argparse.Namespace) -> int:
    from edge_agent.alone import play

    if options.link is None:
        options.usage_error("name the port to appear at: --link PATH")
    if options.link.exists() and not options.link.is_symlink():
        raise EdgeAgentError(f"{options.link} exists and is no link", hint="choose a path that is free")
    with _device(options.device, options.link) as device:
        print(f'{options.device} at {options.link}: {SERIAL[options.device]}, port = "{options.link}"')
        print("Ctrl-C ends it", file=sys.stderr)
        faults = {
            device.unplug: options.unplug_every,
            lambda: device.garbage(200): options.garbage_every,
            lambda: device.drop_frames(1): options.drop_every,
            lambda: device.spoil_frames(1): options.spoil_every,
        }
        play(device, {fault: every_s for fault, every_s in faults.items() if every_s}, options.duration)
    return 0


def _device(name: str, link: Path) -> SimulatedSerial:
    """The simulated device of that name, not yet running."""
    from edge_agent.clock import SystemClock
    from edge_agent.sensors.simulated_gps import SimulatedGps, walk_in_a_circle
    from edge_agent.sensors.simulated_ld06 import SimulatedLd06
    from edge_agent.sensors.simulated_lidar import room
    from edge_agent.sensors.simulated_mcu import SimulatedMcu
    from edge_agent.sensors.simulated_rplidar import SimulatedRplidar

    match name:
        case "board":
            return SimulatedMcu(_board(), link=link)
        case "gps":
            return SimulatedGps(walk_in_a_circle(), SystemClock(), link=link)
        case "ld06":
            return SimulatedLd06(room(), SystemClock(), link=link)
        case _:
            return SimulatedRplidar(room(), SystemClock(), link=link)


def _board() -> tuple[SimulatedStream, ...]:
    from edge_agent.demo_world import invented
    from edge_agent.sensors.simulated_touch import touch_stream

    return (*invented().streams, touch_stream())


# -- I2C chips -------------------------------------------------------------------------------------------


def _tail(options: argparse.Namespace) -> int:
    """Read the chip with its driver, and show what that gives, until Ctrl-C or the end of the duration."""
    from edge_agent.alone import live
    from edge_agent.cli_sensors import TAIL_PERIOD_S, channel_names, tail_line
    from edge_agent.clock import SystemClock
    from edge_agent.flow import FlowMeter
    from edge_agent.sensors.i2c.build import I2cBuilder

    settings, clock = _settings(options), SystemClock()
    sensor = I2cBuilder(clock).make(settings, None)
    print(table(settings), end="\n\n", file=sys.stderr if options.json else sys.stdout, flush=True)
    meter, shown_s, said = FlowMeter(), 0.0, ""
    for chunks in live(sensor, clock, options.duration):
        for chunk in chunks:
            meter.add(chunk)
        if chunks and time.monotonic() - shown_s >= TAIL_PERIOD_S:
            shown_s = time.monotonic()
            names = channel_names(sensor, chunks[-1])
            print(tail_line(settings.name, names, meter, chunks[-1], as_json=bool(options.json)), flush=True)
        state = f"{sensor.health.state}: {sensor.health.reason}".rstrip(": ")
        if state != said:
            said = state
            print(said, file=sys.stderr)
    return 0


def _settings(options: argparse.Namespace) -> I2cSensor:
    """The chip's table of a configuration, or wrong usage."""
    from pydantic import ValidationError

    from edge_agent.config_sensors import Faults, I2cSensor

    given = {name: value for name in CHIP_FAULTS if (value := getattr(options, name)) is not None}
    try:
        faults = Faults(**given)
    except ValidationError as error:
        first = error.errors()[0]
        options.usage_error(f"{_option(str(first['loc'][0]))}: {first['msg'].lower()}")
        raise
    return I2cSensor(kind="i2c", name=options.device, chip=options.device, bus="simulated", faults=faults)


def table(settings: I2cSensor) -> str:
    """What a configuration says to have the same chip."""
    faults = settings.faults.model_dump(exclude_unset=True)
    rows = [f'{key} = "{getattr(settings, key)}"' for key in ("kind", "name", "chip", "bus")]
    if faults:
        rows.append(f"faults = {{ {', '.join(f'{key} = {value}' for key, value in faults.items())} }}")
    return "\n".join(("[[sensor]]", *rows))

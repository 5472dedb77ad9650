"""`edge-agent simulate`: a device that is not there, with whatever goes wrong with it.

One on a serial line gets a real port, a camera a folder of pictures, a tracker a real broker: for an agent to
read. A chip cannot be put on a real bus, nor a sound into the air, so these are read here, as an agent would
with the table that is printed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.cli_arguments import add_broker, duration
from edge_agent.errors import EdgeAgentError

if TYPE_CHECKING:
    from edge_agent.alone import Device
    from edge_agent.config_sensors import Disturbance, I2cSensor, SimulatedSensor
    from edge_agent.types import Sensor

SERIAL = {
    "board": 'kind = "serial", streams.phone = { slot = "imu_phone" }',
    "gps": 'kind = "gps"',
    "ld06": 'kind = "lidar", model = "ld06"',
    "rplidar": 'kind = "lidar", model = "rplidar_a1"',
}
"""name -> the configuration that reads it."""
CAMERA = "camera"
LINKED = (*SERIAL, CAMERA)
TRACKERS = ("gaze", "hand", "finger")
SOUND = "sound"
BROKER = ("host", "port", "node", "topic", "config")
ALL_FAULTS = {
    "noise": ("X", "standard deviation added to what it measures, in its units (a place: m)"),
    "stuck_after_s": ("S", "from then on it measures the same"),
}
PLAYED_FAULTS = {
    "garbage_every": "what means nothing comes, so often",
    "drop_every": "a frame, message or picture is lost, so often",
    "spoil_every": "one has a wrong bit or is cut off, so often",
    "unplug_every": "it is unplugged for two seconds, so often",
}
READ_FAULTS = {
    "disconnect_every_s": ("S", "it vanishes, so often"),
    "disconnect_for_s": ("S", "and comes back after so long (default: 1)"),
}
CHIP_FAULTS = {
    "nack_share": ("P", "share of a chip's transactions that it does not acknowledge, 0 to 1"),
    "flip_share": ("P", "share of a chip's reads in which one bit is wrong, 0 to 1"),
}
SOUND_FAULTS = {"drop_share": ("P", "share of chunks of sound that are lost, 0 to 1")}
"""`faults` of the configuration, key by key: (metavar, help)."""


class _Devices(Collection[str]):
    """Every name. The chips' are asked for when they are needed: their modules load numpy."""

    def __iter__(self) -> Iterator[str]:
        from edge_agent.sensors.i2c import chips

        yield from (*LINKED, *TRACKERS, SOUND, *chips.NAMES)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return any(name == known for known in self)


def add(commands: Any, command: Callable[..., Any], config_option: Callable[[Any], None]) -> None:
    """Register the command; `command` and `config_option` are those of every command."""
    simulate = command(commands, "simulate", _simulate, "try a device that is not there, with faults")
    simulate.epilog = (
        "examples:\n  edge-agent simulate gps --link /tmp/gps --unplug-every 20\n"
        "  edge-agent simulate gaze --node kitchen --spoil-every 5\n"
        "  edge-agent simulate bme280 --nack-share 0.1 --duration 10\n\n"
        "What a chip or the sound measures is shown as `sensors tail` shows it, and the table is printed\n"
        "that has the same with the same faults in a configuration (docs/sensors.md)."
    )
    simulate.add_argument("device", metavar="DEVICE", choices=_Devices(), help="%(choices)s")
    simulate.add_argument(
        "--duration", type=duration, default=0.0, metavar="S", help="seconds (default: 0, until Ctrl-C)"
    )
    simulate.set_defaults(usage_error=simulate.error)
    _shares(simulate, ALL_FAULTS)
    played = simulate.add_argument_group(f"devices for an agent to read ({', '.join((*LINKED, *TRACKERS))})")
    for name, text in PLAYED_FAULTS.items():
        played.add_argument(_option(name), type=duration, metavar="S", help=f"{text} (default: never)")
    played.add_argument("--link", type=Path, metavar="PATH", help=f"where to appear: {', '.join(LINKED)}")
    trackers = simulate.add_argument_group(f"trackers, over MQTT ({', '.join(TRACKERS)})")
    config_option(trackers)
    add_broker(trackers)
    trackers.add_argument("--topic", help="where to publish (default: where the sensor of that name listens)")
    read = simulate.add_argument_group(f"what is read here ({SOUND}, and the I2C chips: all others)")
    read.add_argument("--json", action="store_true", default=None, help="one JSON object a line")
    read.add_argument(
        "--recording", type=Path, metavar="FILE", help="a .csv that a chip measures (default: its own signal)"
    )
    _shares(read, READ_FAULTS | CHIP_FAULTS | SOUND_FAULTS)


def _shares(group: Any, faults: dict[str, tuple[str, str]]) -> None:
    for name, (unit, text) in faults.items():
        group.add_argument(_option(name), type=float, metavar=unit, help=text)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _simulate(options: argparse.Namespace) -> int:
    taken = _taken(options.device)
    every = {*PLAYED_FAULTS, *READ_FAULTS, *CHIP_FAULTS, *SOUND_FAULTS, "link", "json", "recording", *BROKER}
    if wrong := sorted(_option(name) for name in every - taken if getattr(options, name) is not None):
        options.usage_error(f"{', '.join(wrong)}: nothing that {options.device} could do with")
    if options.device in LINKED:
        return _play_linked(options)
    return _play_tracker(options) if options.device in TRACKERS else _tail(options)


def _taken(device: str) -> set[str]:
    """The options that a device takes beside those of all."""
    if device in LINKED:
        return {*PLAYED_FAULTS, "link"}
    if device in TRACKERS:
        return {*PLAYED_FAULTS, *BROKER}
    return {*READ_FAULTS, "json"} | ({*SOUND_FAULTS} if device == SOUND else {*CHIP_FAULTS, "recording"})


def _given(options: argparse.Namespace, model: type[Any], *tables: dict[str, tuple[str, str]]) -> Any:
    """The model of faults with the options of these tables, or wrong usage."""
    from pydantic import ValidationError

    names = [name for table in tables for name in table if getattr(options, name) is not None]
    try:
        return model(**{name: getattr(options, name) for name in names})
    except ValidationError as error:
        first = error.errors()[0]
        options.usage_error(f"{_option(str(first['loc'][0]))}: {first['msg'].lower()}")
        raise


# -- what an agent reads ---------------------------------------------------------------------------------


def _play_linked(options: argparse.Namespace) -> int:
    from edge_agent import simulated_devices

    name, link = options.device, options.link
    if link is None:
        what = "folder" if name == CAMERA else "port"
        options.usage_error(f"name the {what} to appear at: --link PATH")
    if link.exists() and not link.is_symlink():
        raise EdgeAgentError(f"{link} exists and is no link", hint="choose a path that is free")
    device = simulated_devices.LINKED[name](link, _disturbance(options))
    with ExitStack() as stack:
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(device)
        except EdgeAgentError:
            raise
        except OSError as error:
            raise EdgeAgentError(
                f"it cannot appear at {link}: {error.strerror}", hint="choose a path that you may write"
            ) from error
        reads = 'kind = "camera", source' if name == CAMERA else f"{SERIAL[name]}, port"
        print(f'{name} at {link}: {reads} = "{link}"', flush=True)
        return _play(device, options)


def _play_tracker(options: argparse.Namespace) -> int:
    from edge_agent import simulated_devices
    from edge_agent.cli_ask import broker_of

    name, (broker, node) = options.device, broker_of(options)
    device = simulated_devices.tracker(name, broker, node, _disturbance(options), options.topic)
    device.check()
    topic = f', topic = "{options.topic}"' if options.topic else ""
    reads = f'kind = "network", name = "{name}"{topic}, channels = {{ {_channels(name)} }}'
    print(f"{name} at {broker.host}:{broker.port}: {reads}", flush=True)
    return _play(device, options)


def _channels(name: str) -> str:
    """The `channels` of the sensor that listens to a tracker; with a slot they may be left out."""
    from edge_agent.sensors.simulated_trackers import TRACKERS as KNOWN

    units = zip(KNOWN[name].channels, KNOWN[name].units, strict=True)
    return ", ".join(f'{channel} = "{unit}"' for channel, unit in units)


def _disturbance(options: argparse.Namespace) -> Disturbance:
    from edge_agent.config_sensors import Disturbance

    found: Disturbance = _given(options, Disturbance, ALL_FAULTS)
    return found


def _play(device: Device, options: argparse.Namespace) -> int:
    from edge_agent.alone import play

    print("Ctrl-C ends it", file=sys.stderr, flush=True)
    faults = {
        device.unplug: options.unplug_every,
        lambda: device.garbage(200): options.garbage_every,
        lambda: device.drop_frames(1): options.drop_every,
        lambda: device.spoil_frames(1): options.spoil_every,
    }
    play(device, {fault: every_s for fault, every_s in faults.items() if every_s}, options.duration)
    return 0


# -- what is read here -----------------------------------------------------------------------------------


def _tail(options: argparse.Namespace) -> int:
    """Read it with its driver, and show what that gives, until Ctrl-C or the end of the duration."""
    from edge_agent.alone import live
    from edge_agent.cli_sensors import TAIL_PERIOD_S, channel_names, tail_line
    from edge_agent.clock import SystemClock
    from edge_agent.flow import FlowMeter

    clock = SystemClock()
    settings = _sound(options) if options.device == SOUND else _chip(options)
    sensor = _made(settings, clock)
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


def _made(settings: I2cSensor | SimulatedSensor, clock: Any) -> Sensor:
    from edge_agent.sensors.faulty import FaultySensor
    from edge_agent.sensors.i2c.build import I2cBuilder
    from edge_agent.sensors.simulated import SimulatedSensor as Invented

    if settings.kind == "i2c":
        return I2cBuilder(clock).make(settings, None)
    return FaultySensor(Invented(settings.name, settings.slot, modality="audio"), settings.faults, clock)


def _chip(options: argparse.Namespace) -> I2cSensor:
    from edge_agent.config_sensors import Faults, I2cSensor

    faults = _given(options, Faults, ALL_FAULTS, READ_FAULTS, CHIP_FAULTS)
    name, recording = options.device, options.recording
    return I2cSensor(kind="i2c", name=name, chip=name, bus="simulated", recording=recording, faults=faults)


def _sound(options: argparse.Namespace) -> SimulatedSensor:
    from edge_agent.config_sensors import SignalFaults, SimulatedSensor

    faults = _given(options, SignalFaults, ALL_FAULTS, READ_FAULTS, SOUND_FAULTS)
    return SimulatedSensor(kind="simulated", name=SOUND, slot="audio", faults=faults)


def table(settings: I2cSensor | SimulatedSensor) -> str:
    """What a configuration says to have the same."""
    faults = settings.faults.model_dump(exclude_unset=True)
    said = settings.model_dump(mode="json", include={"kind", "name", "slot", "chip", "bus", "recording"})
    rows = [f'{key} = "{value}"' for key, value in said.items() if value]
    if faults:
        rows.append(f"faults = {{ {', '.join(f'{key} = {value}' for key, value in faults.items())} }}")
    return "\n".join(("[[sensor]]", *rows))

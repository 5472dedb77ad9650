"""`edge-agent simulate`: a device that is not there, behind a real port, with whatever goes wrong with it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.errors import EdgeAgentError

if TYPE_CHECKING:
    from edge_agent.sensors.simulated_firmware import SimulatedStream
    from edge_agent.sensors.simulated_serial import SimulatedSerial

DEVICES = {
    "board": 'kind = "serial", streams.phone = { slot = "imu_phone" }',
    "gps": 'kind = "gps"',
    "ld06": 'kind = "lidar", model = "ld06"',
    "rplidar": 'kind = "lidar", model = "rplidar_a1"',
}
"""name -> the configuration that reads it."""


def add(commands: Any, command: Callable[..., Any]) -> None:
    """Register the command."""
    simulate = command(commands, "simulate", _simulate, "put a simulated serial device behind a port")
    simulate.epilog = (
        "examples:\n  edge-agent simulate gps --link /tmp/gps\n"
        "  edge-agent simulate board --link /tmp/board --unplug-every 20 --garbage-every 5\n\n"
        'I2C chips are simulated inside the agent: bus = "simulated" (docs/sensors.md).'
    )
    simulate.add_argument("device", choices=DEVICES, help="which one")
    simulate.add_argument("--link", type=Path, required=True, metavar="PATH", help="the port to appear at")
    simulate.add_argument(
        "--duration", type=float, default=0.0, metavar="S", help="seconds (0: until Ctrl-C)"
    )
    for name, text in (
        ("garbage", "noise on the line"),
        ("drop", "a frame is lost"),
        ("spoil", "a frame has a wrong bit"),
        ("unplug", "it is unplugged for two seconds"),
    ):
        simulate.add_argument(
            f"--{name}-every", type=float, default=0.0, metavar="S", help=f"{text}, so often (0: never)"
        )


def _simulate(options: argparse.Namespace) -> int:
    from edge_agent.runtime import play

    if options.link.exists() and not options.link.is_symlink():
        raise EdgeAgentError(f"{options.link} exists and is no link", hint="choose a path that is free")
    with _device(options.device, options.link) as device:
        print(f'{options.device} at {options.link}: {DEVICES[options.device]}, port = "{options.link}"')
        print("Ctrl-C ends it", file=sys.stderr)
        faults = {
            device.unplug: options.unplug_every,
            lambda: device.garbage(200): options.garbage_every,
            lambda: device.drop_frames(1): options.drop_every,
            lambda: device.spoil_frames(1): options.spoil_every,
        }
        play(device, {fault: every_s for fault, every_s in faults.items() if every_s > 0}, options.duration)
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

    return invented().streams

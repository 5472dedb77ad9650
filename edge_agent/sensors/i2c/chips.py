"""Which chips can be named in the configuration. A driver's module is imported when its chip is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import cast

from edge_agent.errors import ConfigurationError
from edge_agent.sensors.i2c.driver import Chip
from edge_agent.sensors.simulated_chips.chip import SimulatedChip
from edge_agent.sensors.simulated_chips.world import Signal
from edge_agent.types import Clock

NAMES = (
    "amg8833",
    "bh1750",
    "bme280",
    "bno055",
    "d6t",
    "icm20948",
    "lsm6dsox",
    "mlx90640",
    "mpr121",
    "mpu6050",
    "scd41",
    "sht31",
    "vl53l0x",
    "vl53l1x",
    "vl53l5cx",
)
"""Each is a module here, with a `CHIP`, and one in `simulated_chips`, with `simulated` and `invented`."""

Simulate = Callable[[Clock, "Signal | None", int], SimulatedChip]
"""(clock, what it measures or None for a signal of its own, seed) -> the simulated chip."""


Invent = Callable[[int], Signal]
"""seed -> a plausible signal in the units of the driver's channels."""


def chip(name: str) -> Chip:
    """The chip of that name. Raises ConfigurationError for a name that is not in NAMES."""
    if name not in NAMES:
        raise ConfigurationError(f'no chip "{name}"', key="chip", hint=f"the chips are {', '.join(NAMES)}")
    return cast("Chip", importlib.import_module(f"edge_agent.sensors.i2c.{name}").CHIP)


def simulated(name: str) -> Simulate:
    """What makes a simulated chip of that name."""
    return cast("Simulate", _simulation(name).simulated)


def invented(name: str, seed: int) -> Signal:
    """What a simulated chip of that name measures where nothing else is named."""
    return cast("Signal", _simulation(name).invented(seed))


def _simulation(name: str) -> ModuleType:
    chip(name)
    return importlib.import_module(f"edge_agent.sensors.simulated_chips.{name}")

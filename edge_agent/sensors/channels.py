"""What a device measures, and how that fits what a slot of the model wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edge_agent.sensors.units import unit_factor
from edge_agent.types import Float32, Sensor


class Channel(NamedTuple):
    """One measured quantity: its name, as the field calls it, and its unit ("" where it has none)."""

    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class Fit:
    """From a device's columns to a slot's: order, unit, and NaN for what the device does not have."""

    channels: tuple[Channel, ...]
    columns: tuple[int | None, ...]
    factors: Float32

    @property
    def missing(self) -> list[str]:
        """The wanted channels that the device does not have."""
        return [c.name for c, column in zip(self.channels, self.columns, strict=True) if column is None]

    def apply(self, values: Float32) -> Float32:
        """(n, channels of the device) -> (n, channels of the slot)."""
        out = np.full((len(values), len(self.columns)), np.nan, np.float32)
        for i, column in enumerate(self.columns):
            if column is not None:
                out[:, i] = values[:, column] * self.factors[i]
        return out


def fit(have: Sequence[Channel], names: Sequence[str] = (), units: Sequence[str] = ()) -> Fit:
    """Fit a device to a slot's channels; no names: everything that the device has, unchanged.

    Raises ValueError where no channel matches or a unit cannot be converted.
    """
    if not names:
        return Fit(tuple(have), tuple(range(len(have))), np.ones(len(have), np.float32))
    at = {channel.name: i for i, channel in enumerate(have)}
    columns = tuple(at.get(name) for name in names)
    if all(column is None for column in columns):
        raise ValueError(f"it has the channels {', '.join(at)}; its slot needs {', '.join(names)}")
    factors = np.ones(len(names), np.float32)
    for i, (column, unit) in enumerate(zip(columns, units, strict=False)):
        if column is not None:
            factors[i] = unit_factor(have[column].unit, unit)
    wanted = tuple(Channel(n, u) for n, u in zip(names, units or [""] * len(names), strict=True))
    return Fit(wanted, columns, factors)


def channels_of(sensor: Sensor) -> Mapping[str, tuple[Channel, ...]]:
    """Chunk.sensor -> what its columns are; empty for a sensor that does not know, or not yet."""
    known = getattr(sensor, "channels", {})
    return known if isinstance(known, Mapping) else {}

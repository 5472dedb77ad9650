"""What a device measures, and how that fits what a slot of the model wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt

from edge_agent.sensors.units import unit_factor
from edge_agent.types import Float32, Int64, Sensor

_LISTED = 8
V = TypeVar("V", bound=npt.NDArray[np.floating])


class Channel(NamedTuple):
    """One measured quantity: its name, as the field calls it, and its unit ("" where it has none)."""

    name: str
    unit: str


def listed(names: Sequence[str]) -> str:
    """Names for a message, however many an image has."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True)
class Fit:
    """From a device's columns to a slot's: order, unit, and NaN for what the device does not have.

    `columns` and `factors` are (channels of the slot,): the device's column and by what it is multiplied,
    NaN where the device has none.
    """

    channels: tuple[Channel, ...]
    columns: Int64
    factors: Float32

    @property
    def unchanged(self) -> bool:
        """Whether `apply` gives back the very columns that it is given, if they are as many."""
        return bool((self.factors == 1).all() and (self.columns == np.arange(len(self.columns))).all())

    @property
    def missing(self) -> list[str]:
        """The wanted channels that the device does not have."""
        absent = np.isnan(self.factors)
        return [channel.name for channel, none in zip(self.channels, absent, strict=True) if none]

    def apply(self, values: V) -> V:
        """(n, channels of the device) -> (n, channels of the slot), of the same type."""
        fitted = values[:, self.columns] * self.factors.astype(values.dtype)
        return cast("V", fitted)


def fit(
    have: Sequence[Channel], names: Sequence[str] = (), units: Sequence[str] = (), *, in_order: bool = False
) -> Fit:
    """Fit a device to a slot's channels; no names: everything that the device has, unchanged.

    With `in_order` the cells of an image need not have the slot's names: where none has and there are as
    many, they are the slot's one after the other. Raises ValueError where no channel matches or a unit
    cannot be converted.
    """
    if not names:
        return Fit(tuple(have), np.arange(len(have)), np.ones(len(have), np.float32))
    at = {channel.name: i for i, channel in enumerate(have)}
    if in_order and len(have) == len(names) and not at.keys() & set(names):
        at = {name: i for i, name in enumerate(names)}
    if not any(name in at for name in names):
        raise ValueError(f"it has the channels {listed(list(at))}; its slot needs {listed(names)}")
    wanted = tuple(Channel(n, u) for n, u in zip(names, units or [""] * len(names), strict=True))
    columns = np.array([at.get(name, 0) for name in names], np.int64)
    factors = np.ones(len(names), np.float32)
    for i, channel in enumerate(wanted):
        if channel.name not in at:
            factors[i] = np.nan
        elif units:
            factors[i] = unit_factor(have[columns[i]].unit, channel.unit)
    return Fit(wanted, columns, factors)


def channels_of(sensor: Sensor) -> Mapping[str, tuple[Channel, ...]]:
    """Chunk.sensor -> what its columns are; empty for a sensor that does not know, or not yet."""
    known = getattr(sensor, "channels", {})
    return known if isinstance(known, Mapping) else {}

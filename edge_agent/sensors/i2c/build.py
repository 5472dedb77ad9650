"""I2C sensors from their settings: one `I2CBus` for each bus that is named, and one with simulated chips."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edge_agent.clock import PacingClock
from edge_agent.config_sensors import I2cSensor
from edge_agent.errors import ConfigurationError
from edge_agent.manifest import Slot
from edge_agent.sensors.channels import Channel
from edge_agent.sensors.i2c import chips
from edge_agent.sensors.i2c.bus import I2CBus, bus_path
from edge_agent.sensors.i2c.driver import Chip, Driver, Wait
from edge_agent.sensors.i2c.sensor import I2CSensor
from edge_agent.sensors.recording import read_channels
from edge_agent.sensors.simulated_chips.chip import SimulatedAdapter, SimulatedChip
from edge_agent.sensors.simulated_chips.faults import FaultyChip, disturbed
from edge_agent.sensors.simulated_chips.world import Played

SIMULATED_BUS = "simulated"


class I2cBuilder:
    """Makes the chips of one configuration. Nothing is opened: a bus opens at its first exchange."""

    def __init__(self, clock: PacingClock) -> None:
        self.simulated = SimulatedAdapter()
        """The bus that is not there; its faults may be set while it is in use."""
        self._clock = clock
        self._buses: dict[str, I2CBus] = {}
        self._owners: dict[tuple[str, int], str] = {}

    def make(self, settings: I2cSensor, slot: Slot | None, *, shares: bool = False) -> I2CSensor:
        """The sensor; `shares`: others fill the slot too.

        Raises ConfigurationError; its key is the setting at fault.
        """
        chip = chips.chip(settings.chip)
        address = self._address(settings, chip)
        bus = self._bus(settings)
        invented = settings.bus == SIMULATED_BUS
        wanted = (slot.channels, slot.unit_of_each) if slot else ((), ())
        make = _driver_maker(chip, bus, address, settings.rate_hz)
        _check_modality(chip, slot)
        if invented:
            channels = make(lambda _seconds: None).channels
            self.simulated.chips[address] = self._simulated(settings, chip, channels)
        return I2CSensor(
            settings.name,
            settings.slot,
            make,
            self._clock,
            names=wanted[0],
            units=wanted[1],
            shares=shares,
            simulated=invented,
            release=bus.close,  # its neighbours open it again with their next exchange
        )

    def _simulated(self, settings: I2cSensor, chip: Chip, channels: Sequence[Channel]) -> SimulatedChip:
        seed = len(self.simulated.chips)
        played = _played(settings, chip, channels)
        signal = disturbed(played or chips.invented(chip.name, seed), settings.faults, seed)
        return FaultyChip(
            chips.simulated(chip.name)(self._clock, signal, seed), settings.faults, self._clock, seed
        )

    def _address(self, settings: I2cSensor, chip: Chip) -> int:
        address = chip.addresses[0] if settings.address is None else settings.address
        if address not in chip.addresses:
            possible = " or ".join(f"0x{a:02x}" for a in chip.addresses)
            raise ConfigurationError(
                f"a {chip.name} is never at 0x{address:02x}", key="address", hint=f"it can be at {possible}"
            )
        bus = SIMULATED_BUS if settings.bus == SIMULATED_BUS else bus_path(settings.bus)  # 1 is /dev/i2c-1
        owner = self._owners.setdefault((bus, address), settings.name)
        if owner != settings.name:
            raise ConfigurationError(
                f'"{owner}" is at 0x{address:02x} of the same bus already', key="address",
                hint="strap one of the two to another address, or put it on another bus",
            )  # fmt: skip
        return address

    def _bus(self, settings: I2cSensor) -> I2CBus:
        if settings.bus == SIMULATED_BUS:
            return self._buses.setdefault(SIMULATED_BUS, I2CBus(SIMULATED_BUS, self.simulated.open))
        path = bus_path(settings.bus)
        return self._buses.setdefault(path, I2CBus(path))


def _driver_maker(chip: Chip, bus: I2CBus, address: int, rate_hz: float | None) -> Callable[[Wait], Driver]:
    return lambda wait: chip.make(bus, address, rate_hz, wait)


def _check_modality(chip: Chip, slot: Slot | None) -> None:
    """A chip that cannot fill its slot is refused before anything runs."""
    if slot is not None and slot.modality != chip.modality:
        raise ConfigurationError(
            f"a {chip.name} measures {chip.modality}, the slot {slot.name} wants {slot.modality}", key="slot",
            hint="leave slot out: the sensor is then measured, but not perceived",
        )  # fmt: skip


def _played(settings: I2cSensor, chip: Chip, channels: Sequence[Channel]) -> Played | None:
    """What the chip is to measure instead of a signal of its own; a channel of the chip for each column."""
    if settings.recording is None:
        return None
    try:
        recording = read_channels(settings.recording, [channel.name for channel in channels])
    except ConfigurationError as error:
        raise ConfigurationError(str(error), key="recording", hint=error.hint) from error
    if chip.modality != "depth" and not np.isfinite(recording.values).all():
        raise ConfigurationError(
            f"{settings.recording.name} has fields without a number", key="recording",
            hint="only a distance may be empty: there was nothing in reach",
        )  # fmt: skip
    return Played(recording.times_ns, recording.values)

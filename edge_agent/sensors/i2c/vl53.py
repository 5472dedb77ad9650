"""What ST's time-of-flight chips have in common: one address, and a start that takes its time.

They all answer at 0x29. The VL53L0X has 8-bit register indices and takes the second byte of a 16-bit index
for a value to write, so it has to be ruled out, by reading alone, before a chip with 16-bit indices is asked
for anything.
"""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.errors import SensorError
from edge_agent.sensors.i2c.bus import I2CBus
from edge_agent.sensors.i2c.driver import Registers, Wait

ADDRESS = 0x29
VL53L0X_MODEL_ID = 0xC0
VL53L0X_IDENTITY = b"\xee\xaa\x10"
"""Model, module type and revision (VL53L0X data sheet DocID029104 rev. 2, 3.2, reference registers)."""
STEP_S = 0.002


def is_vl53l0x(bus: I2CBus, address: int) -> bool:
    """Whether a VL53L0X answers. The other chips hear half an index, which changes nothing in them."""
    return Registers(bus, address).read(VL53L0X_MODEL_ID, 3) == VL53L0X_IDENTITY


def refuse_vl53l0x(bus: I2CBus, address: int, wanted: str) -> None:
    """SensorError where a VL53L0X answers instead of the chip that is wanted."""
    if is_vl53l0x(bus, address):
        raise not_the_chip(address, wanted, "it is a VL53L0X")


def not_the_chip(address: int, wanted: str, why: str) -> SensorError:
    """The error for an address where another chip answers."""
    return SensorError(
        f"address 0x{address:02x} is no {wanted}: {why}",
        hint="`edge-agent sensors probe` tells which chips answer",
    )


def until(ready: Callable[[], bool], wait: Wait, limit_s: float, failed: str) -> None:
    """Ask again and again; SensorError, worded by `failed`, when it was not `ready` within `limit_s`."""
    for _ in range(round(limit_s / STEP_S)):
        if ready():
            return
        wait(STEP_S)
    raise SensorError(f"{failed} within {limit_s:g} s", hint="power the chip off and on")

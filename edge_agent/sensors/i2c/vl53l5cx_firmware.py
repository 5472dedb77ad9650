"""The firmware of the VL53L5CX: ST's, about 84 KiB, and not part of this project.

It is taken from the data files of the package sparkfun-qwiic-vl53l5cx, whose code is not run. ST publishes it
with its ultra lite driver (STSW-IMG023) under the 3-clause BSD licence.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from edge_agent.errors import ConfigurationError

PACKAGE = "sparkfun-qwiic-vl53l5cx"
KNOWN_VERSION = "2.0.0"
SHA256 = "c60c61742a138934462e0c55187f085535e35e34804fb8b8e711ef7a9d1b5758"
"""Where settings and results lie differs between firmwares; the driver knows those of this one."""


@dataclass(frozen=True, slots=True)
class Firmware:
    """What the chip is given at a start: its program, and three commands that go with it."""

    program: bytes
    configuration: bytes
    crosstalk: bytes
    read_factory_data: bytes


def installed_firmware() -> Firmware:
    """From the package. Raises ConfigurationError where it is missing or carries another firmware."""
    found = importlib.util.find_spec("qwiic_vl53l5cx")
    if found is None or not found.submodule_search_locations:
        raise ConfigurationError(
            f"the VL53L5CX needs ST's firmware, which the package {PACKAGE} carries",
            key="chip",
            hint=f"pip install {PACKAGE}=={KNOWN_VERSION}",
        )
    return firmware_in(Path(found.submodule_search_locations[0]) / "vl53l5cx_bin")


def firmware_in(folder: Path) -> Firmware:
    """From a folder with ST's four files. Raises ConfigurationError where one is missing or another."""
    names = ("firmware", "default_configuration", "default_xtalk", "get_nvm_cmd")
    try:
        firmware = Firmware(*((folder / f"{name}.bin").read_bytes() for name in names))
    except OSError as error:
        raise _unusable(f"cannot be read: {error}") from error
    if hashlib.sha256(firmware.program).hexdigest() != SHA256:
        raise _unusable("is another one than this driver knows")
    return firmware


def _unusable(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the firmware for the VL53L5CX {why}",
        key="chip",
        hint=f"pip install --force-reinstall {PACKAGE}=={KNOWN_VERSION}",
    )

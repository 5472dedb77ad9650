"""Writes the two lock files from what is installed: run it in an environment that passes its tests.

    make lock

`requirements.lock` holds the device and the demo, `requirements-dev.lock` what tests and training add.
Each is the closure of pyproject.toml's ranges over the installed packages, so nothing else slips in.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
Pins = dict[str, str]
DEVICE = ("memory",)
"""Extras that `make install-service` brings."""
OPTIONAL = ("camera", "plot", "record", "sparkplug", "vl53l5cx", "voice")
"""Extras of the device that a user chooses; the tests need all of them."""


def normalised(name: str) -> str:
    """The name as the package index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(requirement: Requirement, extras: frozenset[str]) -> bool:
    """Whether the environment marker of `requirement` holds here, with any of `extras` asked for."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""})


def closure(requirements: list[str]) -> Pins:
    """Every installed package that `requirements` need, directly or not, with its version."""
    pins: Pins = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [Requirement(text) for text in requirements]
    while todo:
        requirement = todo.pop()
        key = (normalised(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        package = distribution(requirement.name)
        if not requirement.specifier.contains(package.version, prereleases=True):
            sys.exit(
                f"{package.name} {package.version} is installed, but pyproject.toml asks for {requirement}"
            )
        pins[key[0]] = package.version.partition("+")[0]  # a local build label names no release
        needs = (Requirement(text) for text in package.requires or [])
        todo += [need for need in needs if wanted(need, key[1])]
    return pins


def section(title: str, pins: Pins) -> str:
    """One titled block of `name==version` lines."""
    return "\n".join([f"# {title}", *(f"{name}=={pins[name]}" for name in sorted(pins)), ""])


def without(pins: Pins, *others: Pins) -> Pins:
    """The pins that no section above already holds."""
    return {name: pins[name] for name in pins if not any(name in other for other in others)}


def main() -> None:
    """Write both files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    build = closure([*project["build-system"]["requires"], "editables"])
    device = closure([*project["project"]["dependencies"], *(n for name in DEVICE for n in extras[name])])
    demo = without(closure(extras["demo"]), device)
    build = without(build, device, demo)
    export = without(closure([*extras["export"], *extras["byo"]]), device, demo, build)
    optional = closure([need for name in OPTIONAL for need in extras[name]])
    optional = without(optional, device, demo, build, export)
    dev = without(closure(extras["dev"]), device, demo, build, export, optional)
    head = "# Exact versions, written by `make lock`; the ranges stand in pyproject.toml.\n"
    (ROOT / "requirements.lock").write_text(
        "\n".join(
            [head, section("device", device), section("demo", demo), section("build of this package", build)]
        )
    )
    (ROOT / "requirements-dev.lock").write_text(
        "\n".join(
            [head, section("export", export), section(", ".join(OPTIONAL), optional), section("dev", dev)]
        )
    )


if __name__ == "__main__":
    main()

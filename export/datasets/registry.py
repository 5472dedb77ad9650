"""Every set there is, by name: recordings, the sources that the paper names, and simulators.

A set is found by being there: whatever in `export/datasets`, `export/datasets/paper` or `export/simulate` is
a Reader, be it a module or an object in one. Its name is that of its INFO; a second Reader of that name gets
its own as well (`room_thermal_array.presence`).
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import cast

from export.datasets.common import DatasetInfo, Reader
from export.simulate.simulator import Simulator

PACKAGES = ("datasets", "datasets.paper", "simulate")
HELPERS = frozenset({"augment", "common", "registry", "simulated", "simulator"})
"""Modules that hold no set; `augment` and `simulated` would load torch."""


@dataclass(frozen=True)
class Entry:
    """One set. `source` is `module:object` below `export`, or `module` where that is the Reader."""

    name: str
    source: str
    reader: Reader
    about: str
    """What its module says of it: the format and where it is published."""

    @property
    def info(self) -> DatasetInfo:
        """Its facts."""
        return self.reader.INFO

    @property
    def scored(self) -> bool:
        """Whether a score may come of it; False for simulated material beside a real set."""
        return self.reader.scored if isinstance(self.reader, Simulator) else True


@cache
def entries() -> dict[str, Entry]:
    """All sets by name, simulators last. Raises ValueError for a name that is there twice."""
    found: dict[str, Entry] = {}
    for module, reader, own in _readers():
        source = module.__name__.removeprefix("export.") + (f":{own}" if own else "")
        name = reader.INFO.name
        if name in found:
            name = f"{name}.{own.lower()}"
        if name in found:
            raise ValueError(f"two sets are named {name}: {found[name].source} and {source}")
        found[name] = Entry(name, source, reader, module.__doc__ or "")
    return found


def entry(name: str) -> Entry:
    """The set of that name. Raises KeyError, which names the nearest ones."""
    known = entries()
    if name not in known:
        near = difflib.get_close_matches(name, known, 3, 0.4)
        raise KeyError(f"no set is named {name}" + (f"; did you mean {' or '.join(near)}?" if near else ""))
    return known[name]


def _readers() -> Iterator[tuple[ModuleType, Reader, str]]:
    """Module, Reader, and its name in the module, empty where the module itself is one."""
    for package in PACKAGES:
        parent = importlib.import_module(f"export.{package}")
        for found in pkgutil.iter_modules(parent.__path__):
            if found.ispkg or found.name in HELPERS:
                continue
            module = importlib.import_module(f"{parent.__name__}.{found.name}")
            if is_reader(module):
                yield module, cast("Reader", module), ""
            for own, thing in vars(module).items():
                if own.isupper() and is_reader(thing):
                    yield module, thing, own


def is_reader(thing: object) -> bool:
    """Whether it has all that a Reader has, its facts among them."""
    return isinstance(getattr(thing, "INFO", None), DatasetInfo) and all(
        callable(getattr(thing, name, None)) for name in ("load", "folds", "shipped")
    )

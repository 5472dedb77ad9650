"""Units that boards and data sheets use for the same quantity."""

from __future__ import annotations

import math

STANDARD_GRAVITY = 9.80665
"""m/s2 (CGPM 1901)."""

_FACTORS = {
    ("g", "m/s2"): STANDARD_GRAVITY,
    ("mg", "m/s2"): STANDARD_GRAVITY / 1000,
    ("deg/s", "rad/s"): math.pi / 180,
    ("dps", "rad/s"): math.pi / 180,
    ("mdps", "rad/s"): math.pi / 180_000,
    ("mm", "m"): 0.001,
    ("cm", "m"): 0.01,
}
_NONE = ("", "1")
"""How a number without a unit is written: both are the same."""


def unit_factor(unit: str, wanted: str) -> float:
    """By what a value in `unit` is multiplied to be in `wanted`. Raises ValueError for unknown pairs."""
    if unit == wanted or (unit in _NONE and wanted in _NONE):
        return 1.0
    try:
        return _FACTORS[unit, wanted]
    except KeyError:
        raise ValueError(f'it gives "{unit}", the slot needs "{wanted}"') from None

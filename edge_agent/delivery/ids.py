"""Identifiers that sort by time: 48 bits of milliseconds and 80 random bits in Crockford's base 32.

Source: the ULID specification (github.com/ulid/spec), without its monotonic extension.
"""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id(wall_ns: int) -> str:
    """26 characters for the wall time `wall_ns`."""
    value = ((wall_ns // 1_000_000) & (2**48 - 1)) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))

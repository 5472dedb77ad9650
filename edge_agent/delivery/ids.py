"""Identifiers that sort by time: 48 bits of milliseconds and 80 random bits in Crockford's base 32.

Source: the ULID specification (github.com/ulid/spec), without its monotonic extension.
"""

from __future__ import annotations

import base64
import secrets

_CHARACTERS = 26
_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")
"""From the digits of base 32 in RFC 4648."""


def new_id(wall_ns: int) -> str:
    """26 characters for the wall time `wall_ns`."""
    value = ((wall_ns // 1_000_000) & (2**48 - 1)) << 80 | secrets.randbits(80)
    # 26 digits hold 130 bits, so two zeros go before the 128; what comes after them is padding.
    encoded = base64.b32encode((value << 6).to_bytes(17, "big"))
    return encoded[:_CHARACTERS].translate(_CROCKFORD).decode()

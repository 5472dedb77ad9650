"""The fuzz target's function on seeded input: pure noise, and damaged real frames."""

from __future__ import annotations

import random

from contracts.bridge_cases import DEVICE_EVENTS, HOST_EVENTS
from fuzz.fuzz_bridge import fuzz

from firmware_bridge.wire import encode


def test_noise():
    rng = random.Random(11)
    for _ in range(300):
        fuzz(rng.randbytes(rng.randrange(400)))


def test_damaged_frames():
    """Most inputs must get past the CRC, or the test would prove nothing."""
    rng = random.Random(12)
    bodies = [bytes([code, 0]) + payload for code, payload in map(encode, [*HOST_EVENTS, *DEVICE_EVENTS])]
    assert fuzz(b"\xa5".join(bodies[:6])) > 0
    events = 0
    for _ in range(300):
        picked = [bytearray(rng.choice(bodies)) for _ in range(4)]
        for body in picked:
            for _ in range(rng.randrange(3)):
                body[rng.randrange(len(body))] = rng.randrange(256)
        events += fuzz(b"\xa5".join(picked))
    assert events > 100

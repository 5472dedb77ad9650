"""One event of every kind, for the suites that go through all of them."""

from __future__ import annotations

from firmware_bridge import (
    Channel,
    ClockReply,
    ClockRequest,
    Describe,
    Error,
    Event,
    Hello,
    Log,
    LogLevel,
    Samples,
    SensorDescriptor,
    Start,
    Stop,
)

CHANNELS = tuple(Channel(f"acc_{axis}", "m/s2", 0.0078125, 0.5) for axis in "xyz") + tuple(
    Channel(f"gyro_{axis}", "rad/s", 0.0009765625) for axis in "xyz"
)
DESCRIPTOR = SensorDescriptor(1, "imu", "imu", CHANNELS, 100.0)


def samples(first_index: int, count: int = 20) -> Samples:
    """int16, 6 channels, with the zeros and small numbers of a real sensor, and jitter."""
    raw = [(first_index * 31 + i * i * 7) % 400 - 100 for i in range(count * 6)]
    data = b"".join(value.to_bytes(2, "little", signed=True) for value in raw)
    deltas = tuple(9_900 + 13 * i for i in range(count - 1))
    return Samples(1, first_index, 10_000 * first_index, count, data, None, deltas)


HOST_EVENTS: list[Event] = [
    Hello("edge-agent", b"", "0.1"),
    Describe(),
    Start(),
    Start((1, 2, 255)),
    Stop(),
    ClockRequest(123_456_789_012_345),
]
DEVICE_EVENTS: list[Event] = [
    Hello("board", bytes(range(8)), "1.2.3"),
    DESCRIPTOR,
    SensorDescriptor(2, "watch", "imu", CHANNELS[:1], 50.0, position=1, total=2, simulated=True),
    SensorDescriptor(3, "touch", "capacitance", CHANNELS[:3], 20.0, repeat=27),
    samples(0),
    Samples(1, 7, 2**40, 2, bytes(24), 10_000),
    Samples(1, 2**32 - 1, 2**64 - 1, 1, b"\xff" * 12, None, ()),
    ClockReply(2**63, 5_000_000_000, 5_000_000_100),
    Error(3, "the accelerometer does not answer"),
    Log(LogLevel.WARNING, "voltage low: 3.1 V, 温度 40 °C"),
]

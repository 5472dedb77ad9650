"""Writes golden_frames.txt: one conversation, byte for byte, to which the C and the Python side are held.

python -m firmware_bridge.device.test.golden > firmware_bridge/device/test/golden_frames.txt
"""  # noqa: INP001  # a script beside the file that it writes, no part of the package

from __future__ import annotations

import struct
import sys

from firmware_bridge import (
    Channel,
    ClockReply,
    ClockRequest,
    Connection,
    Describe,
    Error,
    Event,
    Hello,
    Log,
    LogLevel,
    Role,
    SampleFormat,
    Samples,
    SensorDescriptor,
    Start,
    Stop,
)

TITLE = "# Frames of one conversation in version 1 of the protocol: who sends, what, the bytes on the line"
DEVICE_NOW_US = 2**40 + 500
"""What the device's clock shows all the time."""
IMU_CHANNELS = tuple(Channel(f"acc_{axis}", "m/s2", 0.0078125, 0.5) for axis in "xyz") + tuple(
    Channel(f"gyro_{axis}", "rad/s", 0.0009765625) for axis in "xyz"
)
SENSORS = (
    SensorDescriptor(1, "imu", "imu", IMU_CHANNELS, 100.0, position=0, total=4),
    SensorDescriptor(2, "watch", "imu", IMU_CHANNELS[:1], 50.0, position=1, total=4, simulated=True),
    SensorDescriptor(
        3, "range", "depth", (Channel("distance", "m", 0.0009765625),), 12.5,
        SampleFormat.INT32, 2, 4, repeat=6,
    ),
    SensorDescriptor(
        4, "hand", "pose", tuple(Channel(axis, "1") for axis in "xyz"), 30.0,
        SampleFormat.FLOAT32, 3, 4, repeat=2,
    ),
)  # fmt: skip
HELLO = Hello("board", bytes(range(8)), "1.2.3")

_IMU = struct.pack("<120h", *((i * i * 7) % 400 - 100 for i in range(120)))
_IMAGES = struct.pack("<12i", 1, -1, 2**31 - 1, -(2**31), *range(500, 508))
_STEPS: tuple[tuple[Role, Event], ...] = (
    (Role.DEVICE, HELLO),
    (Role.HOST, Hello("edge-agent", b"", "0.1")),
    (Role.DEVICE, HELLO),
    (Role.HOST, ClockRequest(123_456_789_012_345)),
    (Role.DEVICE, ClockReply(123_456_789_012_345, DEVICE_NOW_US, DEVICE_NOW_US)),
    (Role.HOST, Describe()),
    *((Role.DEVICE, sensor) for sensor in SENSORS),
    (Role.HOST, Start()),
    (Role.DEVICE, Samples(1, 0, 10_000, 20, _IMU, None, tuple(9_900 + 13 * i for i in range(19)))),
    (Role.DEVICE, Samples(1, 20, 2**33, 2, bytes(24), 10_000)),
    (Role.DEVICE, Samples(2, 0, 2**64 - 1, 1, b"\x00\x80", None, ())),
    (Role.DEVICE, Samples(2, 1, 77, 2037, b"\x01\x02" * 2037, 1)),  # as long as a body may be, and no zero
    (Role.DEVICE, Samples(3, 0, 5, 2, _IMAGES, None, (65_535,))),
    (Role.DEVICE, Samples(4, 0, 6, 1, struct.pack("<6f", 0.25, -1e-30, float("nan"), -1, 0, 7), None, ())),
    (Role.HOST, Stop()),
    (Role.DEVICE, Log(LogLevel.WARNING, "voltage low: 3.1 V, 温度 40 °C")),
    (Role.HOST, Start((2, 3, 255))),
    (Role.DEVICE, Samples(2, 0, 2**32, 2, b"\x2a\x00\xd6\xff", None, (0,))),
    (Role.DEVICE, Error(3, "the accelerometer does not answer")),
    (Role.DEVICE, Log(LogLevel.DEBUG, "x" * 251)),  # with head and CRC one full block and two bytes
    (Role.DEVICE, Log(LogLevel.DEBUG, "")),
)


def conversation() -> list[tuple[Role, Event, bytes]]:
    """Who sends, what, and the bytes on the line, in order."""
    ends = {role: Connection(role) for role in Role}
    steps = []
    for role, event in _STEPS:
        line = ends[role].send(event)
        receiver = ends[Role.DEVICE if role is Role.HOST else Role.HOST]
        receiver.receive_data(line)
        receiver.next_event()
        steps.append((role, event, line))
    return steps


def text() -> str:
    """What golden_frames.txt says."""
    rows = [f"{role.value} {type(event).__name__} {line.hex()}" for role, event, line in conversation()]
    return "\n".join([TITLE, *rows, ""])


if __name__ == "__main__":
    sys.stdout.write(text())

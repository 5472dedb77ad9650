"""Fuzz target: whatever the line carries, only events, NEED_DATA and RemoteProtocolError come out.

    pip install atheris && python tests/fuzz/fuzz_bridge.py -max_total_time=600

`tests/test_firmware_bridge_fuzz.py` runs the same function on seeded random input in every test run.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from firmware_bridge import (
    NEED_DATA,
    Channel,
    Connection,
    Hello,
    RemoteProtocolError,
    Role,
    SampleFormat,
    SensorDescriptor,
    Start,
)
from firmware_bridge.framing import encode_frame

_DESCRIPTOR = SensorDescriptor(1, "imu", "imu", (Channel("x", "1"),), 100.0, SampleFormat.INT16)


def _streaming(role: Role) -> Connection:
    """A connection in the state that lets most through."""
    host, device = Connection(Role.HOST), Connection(Role.DEVICE)
    for event in (Hello("device"), _DESCRIPTOR, Start()):
        sender, receiver = (host, device) if isinstance(event, Start) else (device, host)
        receiver.receive_data(sender.send(event))
        receiver.next_event()
    return host if role is Role.HOST else device


def _drain(connection: Connection) -> int:
    """Take every event and look at it."""
    events = 0
    while (event := connection.next_event()) is not NEED_DATA:
        events += bool(repr(event))
    return events


def fuzz(data: bytes) -> int:
    """Feed `data` to a host and a device, as line bytes and as intact frames; the number of events."""
    events = 0
    intact = b"".join(encode_frame(body[:4000]) for body in data.split(b"\xa5"))
    for role in Role:
        for line in (data, intact):
            connection = _streaming(role)
            try:
                for at in range(0, len(line), 61):
                    connection.receive_data(line[at : at + 61])
                    events += _drain(connection)
            except RemoteProtocolError:
                pass
            counters = connection.counters
            assert counters.bytes >= 0
            assert counters.frames >= counters.unknown_frames + counters.stray_frames
    return events


if __name__ == "__main__":
    import atheris

    atheris.Setup(sys.argv, fuzz)
    atheris.instrument_all()
    atheris.Fuzz()

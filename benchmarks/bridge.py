"""How much of a serial line one core decodes: `python -m benchmarks.bridge [--seconds 2]`.

Frames as a board sends them: batches of 10 and 20 samples of a 6-channel int16 IMU with per-sample times,
values with the zeros and signs of a real one, fed in the 4 KiB portions that a read gives.
"""

from __future__ import annotations

import argparse
import json
import random
import struct
import time

from firmware_bridge import (
    NEED_DATA,
    Channel,
    Connection,
    Hello,
    Role,
    Samples,
    SensorDescriptor,
    Start,
)

LINE_BAUD = 921_600
LINE_BYTES_PER_S = LINE_BAUD // 10
TARGET_RATIO = 50
PORTION_BYTES = 4096


def line_of_samples(batch: int, frames: int = 1000) -> tuple[Connection, bytes]:
    """Return a host that is ready for samples, and the bytes of `frames` frames."""
    rng = random.Random(1)
    channels = tuple(Channel(name, "1") for name in ("ax", "ay", "az", "gx", "gy", "gz"))
    descriptor = SensorDescriptor(1, "imu", "imu", channels, 100.0)
    host, device = Connection(Role.HOST), Connection(Role.DEVICE)
    for event in (Hello("device"), descriptor):
        host.receive_data(device.send(event))
        host.next_event()
    device.receive_data(host.send(Start()))
    device.next_event()
    line = []
    for frame in range(frames):
        raw = (round(rng.gauss(0, 300)) for _ in range(batch * 6))
        deltas = tuple(rng.randrange(9_000, 11_000) for _ in range(batch - 1))
        data = struct.pack(f"<{batch * 6}h", *raw)
        line.append(device.send(Samples(1, frame * batch, frame * batch * 10_000, batch, data, None, deltas)))
    return host, b"".join(line)


def measure(batch: int, seconds: float) -> dict[str, float]:
    """Decode for about `seconds`; return bytes/s of the line and the ratio to its speed."""
    host, line = line_of_samples(batch)
    events = decoded_bytes = 0
    start_s = time.process_time()
    while time.process_time() - start_s < seconds:
        for at in range(0, len(line), PORTION_BYTES):
            host.receive_data(line[at : at + PORTION_BYTES])
            while host.next_event() is not NEED_DATA:
                events += 1
        decoded_bytes += len(line)
    elapsed_s = time.process_time() - start_s
    if host.counters.errors or events != decoded_bytes // len(line) * 1000:
        raise RuntimeError(f"the measurement is void: {events} events, {host.counters}")
    rate = decoded_bytes / elapsed_s
    return {"batch": batch, "mb_per_s": rate / 1e6, "frames_per_s": events / elapsed_s,
            "ratio": rate / LINE_BYTES_PER_S}  # fmt: skip


def main() -> None:
    """Print one line for each batch size; exit code 1 where a ratio is under the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="processor time for each batch size")
    parser.add_argument("--json", action="store_true", help="one JSON object instead")
    options = parser.parse_args()
    results = [measure(batch, options.seconds) for batch in (10, 20)]
    if options.json:
        print(json.dumps({"bridge": results}))
    else:
        print(f"firmware bridge, decoding on one core (target {TARGET_RATIO} x a {LINE_BAUD:,} baud line):")
        for result in results:
            print(
                f"  batch of {result['batch']:.0f} samples: {result['mb_per_s']:5.1f} MB/s, "
                f"{result['frames_per_s']:,.0f} frames/s, {result['ratio']:.0f} x the line"
            )
    raise SystemExit(any(result["ratio"] < TARGET_RATIO for result in results))


if __name__ == "__main__":
    main()

"""What the promise of delivery costs: `python -m benchmarks.outbox [--messages 4000] [--folder DIR]`.

Sustained, until the last PUBACK, against a mosquitto of its own: the outbox and publisher of the agent, each
message durable before the next is made (in batches, one commit each), beside plain paho with QoS 1 that keeps
everything in memory. Then how long `accept` takes for one message: telemetry, which the kernel has when it
returns, and an event, which the disk has. They take turns, so a slow machine slows all.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from benchmarks.broker import Broker, program
from edge_agent.clock import SystemClock
from edge_agent.config import Mqtt
from edge_agent.delivery.message import Kind, Message
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.publisher import Publisher
from edge_agent.delivery.room import Limits

TARGET_RATIO = 0.5
BATCH = 100
ROUNDS = 3
PAYLOAD = b'{"text":"' + b"x" * 700 + b'"}'
"""As large as a percept of three tasks."""
_TIMEOUT_S = 120.0
_LIMITS = Limits(1_000_000_000, dict.fromkeys(Kind, 86_400.0))


def plain(port: int, count: int) -> float:
    """Messages/s of paho alone: QoS 1, the queue in memory, the thread that paho starts."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="plain", protocol=MQTTProtocolVersion.MQTTv5)
    connected, done, acknowledged = threading.Event(), threading.Event(), [0]

    def count_one(*_: object) -> None:
        acknowledged[0] += 1
        if acknowledged[0] == count:
            done.set()

    client.on_publish = count_one
    client.on_connect = lambda *_: connected.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    connected.wait(10)
    begun_s = time.perf_counter()
    for _ in range(count):
        client.publish("edge/n/telemetry", PAYLOAD, 1)
    if not done.wait(_TIMEOUT_S):
        raise RuntimeError(f"the measurement is void: {acknowledged[0]} of {count} acknowledged")
    rate = count / (time.perf_counter() - begun_s)
    client.disconnect()
    client.loop_stop()
    return rate


def durable(port: int, count: int, batch: int, folder: Path) -> float:
    """Messages/s through the outbox, `batch` messages for each commit, until the last is delivered."""
    outbox = Outbox(folder / f"{time.monotonic_ns()}.sqlite", _LIMITS, SystemClock())
    publisher = Publisher(Mqtt(host="127.0.0.1", port=port), client_id="durable", outbox=outbox)
    publisher.open()
    stop = threading.Event()
    thread = threading.Thread(target=publisher.run, args=(stop,), daemon=True)
    thread.start()
    while not publisher.status.connected:
        time.sleep(0.01)
    message = Message("edge/n/telemetry", PAYLOAD, source="telemetry")
    begun_s = time.perf_counter()
    for _ in range(count // batch):
        outbox.accept_all([message] * batch)
        publisher.wake()
    while outbox.queued and time.perf_counter() - begun_s < _TIMEOUT_S:
        time.sleep(0.002)
    rate = count / (time.perf_counter() - begun_s)
    books = outbox.ledger()
    stop.set()
    publisher.wake()
    thread.join(10)
    publisher.close()
    if books.total.delivered != count or not books.balances:
        raise RuntimeError(f"the measurement is void: {books.total}")
    return rate


def accept_ms(kind: Kind, count: int, folder: Path) -> np.ndarray:
    """(count,) milliseconds of `accept`, one message at a time."""
    outbox = Outbox(folder / f"{time.monotonic_ns()}.sqlite", _LIMITS, SystemClock())
    outbox.open()
    message = Message("edge/n/x", PAYLOAD, kind=kind, source="x")
    taken_ms = np.empty(count)
    for i in range(count):
        begun_ns = time.perf_counter_ns()
        outbox.accept(message)
        taken_ms[i] = (time.perf_counter_ns() - begun_ns) / 1e6
    outbox.close()
    return taken_ms


def main() -> int:
    """Print the figures; exit code 1 where the ratio is under the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=4000, help="for each round (default: 4000)")
    parser.add_argument(
        "--folder", type=Path, help="where the outbox is (default: the system's for temporary)"
    )
    options = parser.parse_args()
    if program() is None:
        print("outbox: needs mosquitto (apt install mosquitto)", file=sys.stderr)
        return 0
    print(f"outbox: durable until the PUBACK beside plain paho QoS 1, {len(PAYLOAD)} bytes each")
    rates: dict[str, list[float]] = {"plain": [], "batches": [], "single": []}
    with tempfile.TemporaryDirectory(dir=options.folder) as name, Broker(Path(name)) as broker:
        folder, port, count = Path(name), broker.port, options.messages // BATCH * BATCH
        for _ in range(ROUNDS):
            rates["plain"].append(plain(port, count))
            rates["batches"].append(durable(port, count, BATCH, folder))
            rates["single"].append(durable(port, count // 4, 1, folder))
        latencies = {kind: accept_ms(kind, 500, folder) for kind in (Kind.TELEMETRY, Kind.EVENT)}
    reference = float(np.median(rates["plain"]))
    for what, label in (
        ("plain", "plain paho, nothing kept"),
        ("batches", f"durable, {BATCH} for a commit"),
        ("single", "durable, one for a commit"),
    ):
        rate = float(np.median(rates[what]))
        print(f"  {label:<28} {rate:8,.0f} messages/s   {rate / reference:.2f} of plain")
    for kind, taken_ms in latencies.items():
        p50, p99 = np.percentile(taken_ms, (50, 99))
        print(f"  accept, {kind.name.lower():<20} p50 {p50:7.2f} ms   p99 {p99:7.2f} ms")
    ratio = float(np.median(rates["batches"])) / reference
    kept = ratio >= TARGET_RATIO
    print(f"  ratio in batches: {ratio:.2f}, target {TARGET_RATIO:g}: {'kept' if kept else 'MISSED'}")
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())

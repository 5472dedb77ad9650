"""What one agent costs its broker: `python -m benchmarks.traffic [--seconds 60]`.

The agent with its default settings and three simulated sensors; for each topic how many messages and bytes a
second, counted by a subscriber, and the bytes of all as the broker counts them (`$SYS`, with MQTT's headers,
without those of TCP and IP). docs/scaling.md reckons with it.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.broker import ANYBODY, Broker, program
from benchmarks.daemon import agent, configuration
from benchmarks.timing import DEFAULT_MODEL
from edge_agent import manifest as manifests

_SETTLE_S = 5.0
_RECEIVED = "$SYS/broker/bytes/received"


class Counter:
    """Payload bytes of every message by its kind of topic, and the broker's own count (when, bytes)."""

    def __init__(self, port: int) -> None:
        self.sizes: dict[str, list[int]] = defaultdict(list)
        self.broker_bytes: list[tuple[float, int]] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="counter")
        self._client.on_connect = lambda client, *_: client.subscribe([("edge/#", 0), (_RECEIVED, 0)])
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _take(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if message.topic == _RECEIVED:
            self.broker_bytes.append((time.monotonic(), int(message.payload)))
            return
        kind = re.sub(r"^edge/[^/]+/", "", message.topic)
        kind = re.sub(r"^(event|answer|sensor)/[^/]+", r"\1/<id>", kind)
        self.sizes[kind].append(len(message.payload))

    def close(self) -> None:
        """End the subscription."""
        self._client.disconnect()
        self._client.loop_stop()


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    if program() is None:
        print("traffic: needs mosquitto (apt install mosquitto)", file=sys.stderr)
        return 0
    slots = [slot.name for slot in manifests.read(options.model).slots if slot.modality in ("imu", "audio")]
    sensors = "".join(f'[[sensor]]\nkind = "simulated"\nname = "s_{s}"\nslot = "{s}"\n' for s in slots)
    with tempfile.TemporaryDirectory() as name, Broker(Path(name), f"{ANYBODY}\nsys_interval 1") as broker:
        settings = configuration(options.model, broker.port, sensors)
        with agent(Path(name), settings):
            time.sleep(_SETTLE_S)
            counter = Counter(broker.port)
            time.sleep(2)  # what is retained comes at once, and does not count
            counter.sizes.clear()
            counter.broker_bytes.clear()
            begun_s = time.monotonic()
            time.sleep(options.seconds)
            took_s = time.monotonic() - begun_s
            counter.close()
    show(counter, took_s, len(slots))
    return 0


def show(counter: Counter, took_s: float, sensors: int) -> None:
    """One line for each kind of topic, then the sum."""
    print(f"traffic: one agent, {sensors} sensors, default settings, {took_s:.0f} s")
    print(f"  {'topic':<22} {'messages/s':>10} {'bytes each':>10} {'bytes/s':>9}")
    rows = {kind: sizes for kind, sizes in counter.sizes.items() if sizes}
    for kind, sizes in sorted(rows.items(), key=lambda item: -sum(item[1])):
        per_s, each = len(sizes) / took_s, sum(sizes) / len(sizes)
        print(f"  {kind:<22} {per_s:10.2f} {each:10,.0f} {sum(sizes) / took_s:9,.0f}")
    count, total = sum(map(len, rows.values())), sum(map(sum, rows.values()))
    print(f"  {'all':<22} {count / took_s:10.2f} {total / max(count, 1):10,.0f} {total / took_s:9,.0f}")
    (first_s, first), (last_s, last) = counter.broker_bytes[0], counter.broker_bytes[-1]
    print(f"  from the agent with MQTT's headers: {(last - first) / (last_s - first_s):,.0f} bytes/s")


if __name__ == "__main__":
    sys.exit(main())

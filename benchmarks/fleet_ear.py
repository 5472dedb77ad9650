"""The subscriber of `benchmarks.fleet`, in a process of its own: what came, what twice, and how late."""

from __future__ import annotations

import struct
import threading
import time
from array import array
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Any

import numpy as np
import psutil
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge_agent.delivery.verify import Verifier

_SILENCE_S = 20.0
"""So long after the last message nothing more is awaited."""


@dataclass(frozen=True, slots=True)
class Heard:
    """`numbers`: (log, source) -> (how many different ones came, the last number)."""

    numbers: dict[tuple[str, str], tuple[int, int]]
    received: int
    duplicates: int
    latency_ms: np.ndarray
    last_s: float
    """When the last one came, on the monotonic clock."""


class Ear:
    """Subscribes to all nodes with QoS 1. The latency is from `publish` in the node to here, one clock."""

    def __init__(self, port: int, topic_filter: str) -> None:
        self.verifier = Verifier()
        self.subscribed = threading.Event()
        self._latency_ms = array("d")
        self._last_s = 0.0
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="fleet-ear", protocol=MQTTProtocolVersion.MQTTv5
        )
        self.client.on_connect = lambda client, *_: client.subscribe(topic_filter, qos=1)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = self._take
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def _take(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self._last_s = time.monotonic()
        sent = getattr(message.properties, "CorrelationData", None)
        if sent is not None:
            self._latency_ms.append((time.monotonic_ns() - struct.unpack("!q", sent)[0]) / 1e6)
        self.verifier.add(message.topic, bytes(message.payload))

    def await_all(self, count: int) -> Heard:
        """Until `count` different messages came, or none for a while."""
        before, since_s = -1, time.monotonic()
        never = threading.Event()
        while (now := self.verifier.received) - self.verifier.duplicates < count:
            if now != before:
                before, since_s = now, time.monotonic()
            elif time.monotonic() - since_s > _SILENCE_S:
                break
            never.wait(0.02)
        never.wait(0.5)  # for what comes twice
        self.client.disconnect()
        self.client.loop_stop()
        sources = self.verifier.as_json()["sources"]
        return Heard(
            numbers={(one["log"], one["source"]): (one["received"], one["last"]) for one in sources},
            received=self.verifier.received,
            duplicates=self.verifier.duplicates,
            latency_ms=np.array(self._latency_ms),
            last_s=self._last_s,
        )


def main(pipe: Pipe, port: int, topic_filter: str) -> None:
    """Say when it is subscribed; the number that the parent names is awaited."""
    ear = Ear(port, topic_filter)
    pipe.send((ear.subscribed.wait(10), psutil.Process().memory_info().rss))
    count = pipe.recv()
    pipe.send((ear.await_all(count), psutil.Process().memory_info().rss))

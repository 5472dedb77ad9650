"""One simulated node of `benchmarks.fleet`: a plain paho client without a thread.

It says what an agent says, in the agent's own format and stamp (`edge_agent.delivery`); what it perceives
is invented.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.clock import SystemClock
from edge_agent.delivery import payloads, stamp
from edge_agent.delivery.backoff import FullJitter
from edge_agent.delivery.ids import new_id
from edge_agent.delivery.topics import Topics
from edge_agent.types import Conditioning, Percept, TaskPercept

ROOT = "fleet"
KEEPALIVE_S = 30
"""The agent's default."""
BACKOFF_S = (0.5, 10.0)
"""First ceiling and cap of the reconnect, those of the agent."""
_CLOCK = SystemClock()
_MODEL = payloads.ModelId("iotlm-7m", "0.0.0", "0" * 64)
_SLOTS = ("imu_phone", "imu_watch", "audio")
_MISSING = ("thermal", "capacitance", "gps", "image", "pose_hand", "pose_finger", "air", "room", "depth",
            "video", "camera", "lidar", "gaze")  # fmt: skip
_LABELS = {
    "activity_recognition": ("seated", "sitting_down", "standing_up", "turning", "walking"),
    "event_detection": ("dog", "rain", "sea_waves", "baby_cry", "clock_tick", "sneeze", "helicopter",
                        "chainsaw", "rooster", "fire_crackling", "silence"),
}  # fmt: skip


def invented(sequence: int, chance: random.Random) -> Percept:
    """A percept of three sensors and two tasks, as long as those of the demo."""
    tasks = {}
    for task, labels in _LABELS.items():
        weights = np.array([chance.random() ** 4 for _ in labels]) + 1e-4
        probabilities = dict(zip(labels, (weights / weights.sum()).tolist(), strict=True))
        label = max(labels, key=probabilities.__getitem__)
        alpha = {"audio": 1.0} if task == "event_detection" else {"imu_phone": 0.4821, "imu_watch": 0.5179}
        tasks[task] = TaskPercept(
            task, label, probabilities[label], probabilities, alpha, -3.2085, known=True, possible=(label,)
        )
    nothing = np.empty((0, 0), np.float32)
    end_ns = _CLOCK.monotonic_ns() - 170_000_000
    facts = {"before_activity_recognition": "walking", "before_event_detection": "rain falling"}
    return Percept(
        sequence, end_ns, tasks, _SLOTS, _MISSING, Conditioning(nothing, nothing), simulated=True, facts=facts
    )


class Node:
    """One client. `numbers` counts what it published of each source."""

    def __init__(self, name: str, port: int, chance: random.Random, on_connected: Callable[[], None]) -> None:
        self.log = new_id(_CLOCK.wall_ns())
        self.numbers = {"percept/main": 0, "event": 0}
        self.said = self.acknowledged = self.payload_bytes = 0
        self.connected = False
        self.backoff = FullJitter(*BACKOFF_S, chance)
        self._topics = Topics(ROOT, name)
        self._chance = chance
        self._port = port
        self._on_connected = on_connected
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5
        )
        self.client.max_queued_messages_set(1000)
        self.client.will_set(self._topics.state, self._state(online=False), qos=1, retain=True)
        self.client.on_connect = self._connected
        self.client.on_publish = self._published

    @staticmethod
    def _state(*, online: bool) -> bytes:
        return payloads.encode(payloads.state(online=online, simulated=True))

    def connect(self) -> None:
        """Ask for a connection. Raises OSError when nobody listens."""
        self.client.connect("127.0.0.1", self._port, KEEPALIVE_S)

    def _connected(self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _props: Any) -> None:
        if not reason.is_failure:
            self.connected = True
            self.backoff.reset()
            self.said += 1
            client.publish(self._topics.state, self._state(online=True), 1, retain=True)
            self._on_connected()

    def _published(self, _client: Any, _data: Any, _mid: int, reason: Any, _props: Any) -> None:
        self.acknowledged += not reason.is_failure

    def say(self, source: str) -> None:
        """Publish the next message of `source`, with the time of it beside the payload."""
        self.said += 1
        self.numbers[source] += 1
        identity, seen = new_id(_CLOCK.wall_ns()), invented(self.numbers[source], self._chance)
        if source == "event":
            topic = self._topics.event(identity)
            found = seen.tasks["activity_recognition"]
            body = payloads.event(identity, found, "walking", seen, _CLOCK)
        else:
            topic, body = self._topics.percept("main"), payloads.percept(identity, seen, _MODEL, _CLOCK)
        opened = stamp.open_stamp(payloads.encode(body), identity, self.log, source, self.numbers[source])
        payload = stamp.close_stamp(opened, historical=False)
        self.payload_bytes += len(payload)
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = struct.pack("!q", time.monotonic_ns())
        self.client.publish(topic, payload, 1, properties=properties)

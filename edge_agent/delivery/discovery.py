"""When Home Assistant is told, and what it is told to forget.

The message is retained and said again when Home Assistant starts. What was announced is kept in a small file,
so that a sensor that left the configuration, or everything once it is switched off, is taken away after a
restart too. Home Assistant may be down just then: the removal stays with the broker for FORGET_S.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Mapping
from pathlib import Path

from edge_agent.clock import NS_PER_S
from edge_agent.delivery.homeassistant import Node, components, config_topic, message
from edge_agent.delivery.message import Incoming, Message
from edge_agent.delivery.payloads import encode
from edge_agent.state_file import write_whole
from edge_agent.types import Clock

FILE = "homeassistant.json"
SPREAD_S = 3.0
"""A house full of nodes does not answer the birth of Home Assistant in one moment."""
FORGET_S = 600.0
"""How long we are connected before a removal counts as heard and the message goes on without it."""
_log = logging.getLogger(__name__)

Announced = dict[str, dict[str, str]]
"""Discovery topic -> component -> platform."""


class Discovery:
    """`due` is for the thread that reports, `on_status` for the publisher's."""

    def __init__(
        self,
        node: Node | None,
        *,
        prefix: str,
        memory: Memory,
        clock: Clock,
        source: random.Random | None = None,
    ) -> None:
        """Announce `node`; None: switched off, and what was announced before is taken away."""
        self._node = node
        self._memory = memory
        self._clock = clock
        self._random = source or random.Random()
        self._wanted: Announced = {}
        if node is not None:
            platforms = {name: str(part["platform"]) for name, part in components(node).items()}
            self._wanted[config_topic(prefix, node.topics.node)] = platforms
        self._gone = _missing(memory.load(), self._wanted)
        self._due_ns: int | None = None
        self._connected_ns: int | None = None
        self._begun = False

    def on_status(self, incoming: Incoming) -> None:
        """Home Assistant was born: say everything again in a moment."""
        if incoming.payload == b"online":
            delay_s = self._random.uniform(0, SPREAD_S)
            self._due_ns = self._clock.monotonic_ns() + round(delay_s * NS_PER_S)

    def due(self, *, connected: bool) -> list[Message]:
        """What has to be said now, perhaps nothing."""
        now_ns = self._clock.monotonic_ns()
        if not self._begun:
            self._begun = True
            # Before it is said: what nobody remembers could never be taken away.
            self._memory.keep(_together(self._wanted, self._gone))
            return self._messages()
        if self._forgets(now_ns, connected=connected):
            self._gone = {}
            self._memory.keep(self._wanted)
            return self._messages()
        if self._due_ns is not None and now_ns >= self._due_ns:
            self._due_ns = None
            return self._messages()
        return []

    def _forgets(self, now_ns: int, *, connected: bool) -> bool:
        if not connected:
            self._connected_ns = None
        elif self._connected_ns is None:
            self._connected_ns = now_ns
        since_ns = self._connected_ns
        return bool(self._gone) and since_ns is not None and now_ns - since_ns >= FORGET_S * NS_PER_S

    def _messages(self) -> list[Message]:
        said = [Message(topic, b"", retain=True) for topic in self._gone if topic not in self._wanted]
        if self._node is not None:
            (topic,) = self._wanted
            said.append(Message(topic, encode(message(self._node, self._gone.get(topic, {}))), retain=True))
        return said


class Memory:
    """What was announced, in a JSON file of the state directory. A faulty disk is told of and lived with."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._kept: Announced = {}

    def load(self) -> Announced:
        """What is remembered; nothing where there is no file or none that can be read."""
        try:
            said = json.loads(self._path.read_text(encoding="utf-8"))
            self._kept = {
                str(topic): {str(name): str(platform) for name, platform in parts.items()}
                for topic, parts in said.items()
            }
        except FileNotFoundError:
            self._kept = {}
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            _log.warning(
                "%s cannot be read: %s; what it announced may stay in Home Assistant", self._path, error
            )
            self._kept = {}
        return self._kept

    def keep(self, announced: Announced) -> None:
        """Write it whole or not at all; nothing is written where nothing changed."""
        if announced == self._kept:
            return
        try:
            write_whole(self._path, json.dumps(announced, indent=1) + "\n")
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._path, error.strerror)
        else:
            self._kept = announced


def _missing(before: Announced, wanted: Mapping[str, Mapping[str, str]]) -> Announced:
    """What was announced and is no longer wanted; a topic that has nothing to lose is left out."""
    gone = {}
    for topic, parts in before.items():
        lost = {name: platform for name, platform in parts.items() if name not in wanted.get(topic, {})}
        if lost or topic not in wanted:
            gone[topic] = lost
    return gone


def _together(wanted: Announced, gone: Announced) -> Announced:
    return {topic: {**gone.get(topic, {}), **wanted.get(topic, {})} for topic in {**gone, **wanted}}

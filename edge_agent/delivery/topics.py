"""Every topic the agent uses, in one place. `docs/mqtt.md` says what is published on each."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_TOPIC_BYTES = 1024


def is_id(text: str) -> bool:
    """Whether `text` can stand as one level of a topic: 1 to 64 letters, digits, `_` and `-`."""
    return _ID.fullmatch(text) is not None


def is_topic(text: str) -> bool:
    """Whether `text` can name one topic that is not the broker's own (MQTT 5.0, 4.7)."""
    if not text or len(text.encode()) > _MAX_TOPIC_BYTES or text[0] == "$":
        return False
    return not any(character in text for character in "+#\0")


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one node: `<root>/<node>/...`; both come checked from the configuration."""

    root: str
    node: str

    @property
    def prefix(self) -> str:
        """What every topic of this node begins with."""
        return f"{self.root}/{self.node}"

    @property
    def state(self) -> str:
        """Online or offline; retained, and the last will."""
        return f"{self.prefix}/state"

    @property
    def info(self) -> str:
        """What this agent is: model, labels, sensors, accepted commands; retained."""
        return f"{self.prefix}/info"

    @property
    def health(self) -> str:
        """Memory, counters and latencies."""
        return f"{self.prefix}/health"

    @property
    def recording(self) -> str:
        """How far a recording is that goes on beside the agent; retained."""
        return f"{self.prefix}/recording"

    @property
    def queue(self) -> str:
        """What was accepted for delivery and what became of it; retained."""
        return f"{self.prefix}/queue"

    @property
    def voice(self) -> str:
        """What the voice loop does now; retained."""
        return f"{self.prefix}/voice/state"

    @property
    def everything(self) -> str:
        """The filter for all of this node."""
        return f"{self.prefix}/#"

    def sensor_state(self, sensor: str) -> str:
        """State and counters of one sensor; retained."""
        return f"{self.prefix}/sensor/{_checked(sensor)}/state"

    @property
    def sensor_state_filter(self) -> str:
        """The filter for the states of all sensors."""
        return f"{self.prefix}/sensor/+/state"

    def sensor_input(self, sensor: str) -> str:
        """Where another machine publishes the samples of a sensor."""
        return f"{self.prefix}/in/{_checked(sensor)}"

    def percept(self, pipeline: str) -> str:
        """What the fast path perceives."""
        return f"{self.prefix}/percept/{_checked(pipeline)}"

    def event(self, identity: str) -> str:
        """A label that changed and held."""
        return f"{self.prefix}/event/{_checked(identity)}"

    def answer(self, identity: str) -> str:
        """The reply to a question, or the sentence to an event, of that id."""
        return f"{self.prefix}/answer/{_checked(identity)}"

    def reply(self, identity: str) -> str:
        """The reply to any other command of that id."""
        return f"{self.prefix}/reply/{_checked(identity)}"

    @property
    def commands(self) -> str:
        """The filter for all commands."""
        return f"{self.prefix}/cmd/+"

    def command(self, verb: str) -> str:
        """Where requests arrive."""
        return f"{self.prefix}/cmd/{_checked(verb)}"

    def kind_of(self, topic: str) -> str:
        """What a topic of this node is about: "percept", "event", ...; "" for any other topic."""
        prefix = f"{self.prefix}/"
        return topic.removeprefix(prefix).split("/")[0] if topic.startswith(prefix) else ""

    def verb_of(self, topic: str) -> str:
        """The verb of a command topic of this node, or "" when it is none."""
        head, _, verb = topic.rpartition("/")
        return verb if head == f"{self.prefix}/cmd" and is_id(verb) else ""

    def may_reply_to(self, topic: str) -> bool:
        """Whether a requester may name `topic` as its response topic.

        No wildcards, nothing of the broker's own, and none of this node's topics except answers and replies:
        else a requester could make the agent overwrite what it says of itself.
        """
        if not is_topic(topic):
            return False
        own = topic == self.prefix or topic.startswith(f"{self.prefix}/")
        return not own or topic.startswith((f"{self.prefix}/answer/", f"{self.prefix}/reply/"))


def _checked(level: str) -> str:
    if not is_id(level):
        raise ValueError(f"{level!r} cannot be a level of a topic: letters, digits, _ and -, 64 at most")
    return level

"""Judges what arrives on command topics: who may want what, how long, how often. No I/O.

A command is refused with a reply that says why, and counted. Where no commands are accepted at all, nothing
is answered.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from edge_agent.delivery.ids import new_id
from edge_agent.delivery.message import Incoming
from edge_agent.delivery.topics import Topics
from edge_agent.delivery.verbs import MAX_QUESTION_CHARACTERS, VERBS, Body, Fault, identify, parse
from edge_agent.types import Clock

__all__ = ["BURST", "MAX_QUESTION_CHARACTERS", "Commands", "Order", "Refusal", "Request", "TokenBucket"]
BURST = 5
RATE_HZ = 1.0


@dataclass(frozen=True, slots=True)
class Request:
    """A question to answer. `response_topic` and `correlation` come from MQTT 5, else None."""

    id: str
    question: str
    response_topic: str | None = None
    correlation: bytes | None = None
    asker: str = ""
    """Whose dialog it belongs to; those who give no name share one."""
    verb: ClassVar[str] = "ask"


@dataclass(frozen=True, slots=True)
class Order:
    """Any other command, its `body` checked (`delivery/verbs.py`)."""

    id: str
    verb: str
    body: Body = field(default_factory=dict)
    response_topic: str | None = None
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command that is not carried out: `code` for programs, `message` and `hint` for people."""

    id: str
    code: str
    message: str
    hint: str = ""
    response_topic: str | None = None
    correlation: bytes | None = None
    verb: str = "ask"


Verdict = Request | Order | Refusal


class Commands:
    """Turns incoming messages into a Request, an Order or a Refusal; None for what deserves no reply.

    `judge` is for one thread, `refuse` for any.
    """

    def __init__(self, topics: Topics, allowed: tuple[str, ...], clock: Clock) -> None:
        self.refused: Counter[str] = Counter()
        self.carried_out = 0
        """Orders; questions that were answered are counted where they are."""
        self._counting = threading.Lock()
        self._topics = topics
        self._allowed = allowed
        self._clock = clock
        self._buckets = {
            verb: TokenBucket(clock.monotonic_ns, burst=BURST, rate_hz=RATE_HZ) for verb in (*allowed, "")
        }
        """One for each verb, so that none waits for another, and one for all that is not allowed."""

    def judge(self, incoming: Incoming) -> Verdict | None:
        """What to do about a message on a command topic."""
        verb = self._topics.verb_of(incoming.topic)
        if not self._allowed or not verb:
            self._count("not_allowed")
            return None
        if incoming.retain:
            # It would be carried out again at every reconnect.
            self._count("retained")
            return None
        verdict = self._judge(verb, incoming)
        if isinstance(verdict, Refusal):
            self._count(verdict.code)
        return verdict

    def refuse(self, wanted: Request | Order, code: str, message: str, hint: str = "") -> Refusal:
        """What was in order and cannot be carried out all the same; counted."""
        self._count(code)
        return Refusal(
            wanted.id, code, message, hint, wanted.response_topic, wanted.correlation, wanted.verb
        )  # fmt: skip

    def _count(self, code: str) -> None:
        with self._counting:
            self.refused[code] += 1

    def _judge(self, verb: str, incoming: Incoming) -> Verdict:
        reply_to, body = incoming.response_topic, Body()
        fault: Fault | None
        if reply_to is not None and not self._topics.may_reply_to(reply_to):
            reply_to = None
            fault = ("bad_response_topic", "the response topic cannot be used", "no wildcards, no $ topics")
        elif not self._buckets[verb if verb in self._allowed else ""].take():
            fault = (
                "rate_limited", "too many commands",
                f"at most {BURST} at once and {RATE_HZ:g} per second after that",
            )  # fmt: skip
        elif verb in self._allowed:
            body, fault = parse(verb, incoming.payload)
        else:
            body, _ = identify(incoming.payload)
            fault = self._unknown(verb)
        identity = str(body.get("id", new_id(self._clock.wall_ns())))
        correlation = incoming.correlation
        if fault is not None:
            return Refusal(identity, *fault, reply_to, correlation, verb)
        if verb != "ask":
            return Order(identity, verb, body, reply_to, correlation)
        # JSON can spell half a character (a lone surrogate), which nothing after this could write.
        question = str(body["question"]).strip().encode("utf-8", "replace").decode("utf-8")
        return Request(identity, question, reply_to, correlation, str(body.get("asker", "")))

    def _unknown(self, verb: str) -> Fault:
        if verb in VERBS:
            return ("not_allowed", f"{verb} is switched off", f'set commands = [..., "{verb}"] in [mqtt]')
        return ("unknown_command", "there is no such command", f"accepted are {', '.join(self._allowed)}")


class TokenBucket:
    """Allows `burst` at once and `rate_hz` in the long run."""

    def __init__(self, now_ns: Callable[[], int], *, burst: int, rate_hz: float) -> None:
        self._now_ns = now_ns
        self._burst = burst
        self._rate_hz = rate_hz
        self._tokens = float(burst)
        self._seen_ns = now_ns()

    def take(self) -> bool:
        """Whether one more is allowed now."""
        now_ns = self._now_ns()
        earned = (now_ns - self._seen_ns) * 1e-9 * self._rate_hz
        self._tokens = min(self._burst, self._tokens + earned)
        self._seen_ns = now_ns
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

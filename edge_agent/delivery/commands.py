"""Judges what arrives on command topics: who may ask what, how long, how often. No I/O.

A command is refused with a reply that says why, and counted. What names no verb we accept is not answered.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.delivery.ids import new_id
from edge_agent.delivery.message import Incoming
from edge_agent.delivery.topics import Topics, is_id
from edge_agent.types import Clock

MAX_QUESTION_CHARACTERS = 400
MAX_COMMAND_BYTES = 65_536
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


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command that is not carried out: `code` for programs, `message` and `hint` for people."""

    id: str
    code: str
    message: str
    hint: str = ""
    response_topic: str | None = None
    correlation: bytes | None = None


class Commands:
    """Turns incoming messages into a Request or a Refusal, or None for what deserves no reply."""

    def __init__(self, topics: Topics, allowed: tuple[str, ...], clock: Clock) -> None:
        self.refused: Counter[str] = Counter()
        self._topics = topics
        self._allowed = allowed
        self._clock = clock
        self._bucket = TokenBucket(clock.monotonic_ns, burst=BURST, rate_hz=RATE_HZ)

    def judge(self, incoming: Incoming) -> Request | Refusal | None:
        """What to do about a message on a command topic."""
        verb = self._topics.verb_of(incoming.topic)
        if verb not in self._allowed:
            self.refused["not_allowed"] += 1
            return None
        if incoming.retain:
            # It would be carried out again at every reconnect.
            self.refused["retained"] += 1
            return None
        verdict = self._judge_ask(incoming)
        if isinstance(verdict, Refusal):
            self.refused[verdict.code] += 1
        return verdict

    def _judge_ask(self, incoming: Incoming) -> Request | Refusal:
        identity = new_id(self._clock.wall_ns())
        reply_to, fault = incoming.response_topic, None
        if reply_to is not None and not self._topics.may_reply_to(reply_to):
            reply_to = None
            fault = ("bad_response_topic", "the response topic cannot be used", "no wildcards, no $ topics")
        if fault is None and not self._bucket.take():
            fault = (
                "rate_limited", "too many questions",
                f"at most {BURST} at once and {RATE_HZ:g} per second after that",
            )  # fmt: skip
        body: dict[str, object] = {}
        if fault is None:
            body, fault = _parse(incoming.payload)
            identity = str(body.get("id", identity))
        if fault is not None:
            code, message, hint = fault
            return Refusal(identity, code, message, hint, reply_to, incoming.correlation)
        # JSON can spell half a character (a lone surrogate), which nothing after this could write.
        question = str(body["question"]).strip().encode("utf-8", "replace").decode("utf-8")
        return Request(identity, question, reply_to, incoming.correlation, str(body.get("asker", "")))


Fault = tuple[str, str, str]
_EXAMPLE = 'send {"question": "what is the person doing?"}'


def _parse(payload: bytes) -> tuple[dict[str, object], Fault | None]:  # noqa: PLR0911  # one for each fault
    """The body, as far as it can be used, and what is wrong with it. A valid id is kept for the reply."""
    if len(payload) > MAX_COMMAND_BYTES:
        # Before it is parsed; a question within the limit always fits.
        return {}, (
            "too_long", f"the command has {len(payload)} bytes, at most {MAX_COMMAND_BYTES} are read",
            f"a question has at most {MAX_QUESTION_CHARACTERS} characters",
        )  # fmt: skip
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        return {}, ("malformed", "the command is not JSON", _EXAMPLE)
    if not isinstance(body, dict):
        return {}, ("malformed", "the command is not a JSON object", _EXAMPLE)
    kept = {key: body[key] for key in ("id", "question", "asker") if key in body}
    if "id" in kept and not (isinstance(kept["id"], str) and is_id(kept["id"])):
        del kept["id"]
        return kept, ("bad_id", "the id cannot be part of a topic", "1 to 64 letters, digits, _ and -")
    if "asker" in kept and not (isinstance(kept["asker"], str) and is_id(kept["asker"])):
        return kept, ("bad_id", "the asker is no name", "1 to 64 letters, digits, _ and -")
    if unknown := sorted(str(key) for key in body if key not in kept and key != "id"):
        return kept, (
            "malformed",
            f'unknown key "{unknown[0][:40]}"',
            'known are "question", "id" and "asker"',
        )
    return kept, _question_fault(kept.get("question"))


def _question_fault(question: object) -> Fault | None:
    if not isinstance(question, str):
        return ("malformed", '"question" is missing or is no text', _EXAMPLE)
    if not question.strip():
        return ("empty_question", "the question is empty", _EXAMPLE)
    if len(question) > MAX_QUESTION_CHARACTERS:
        return (
            "too_long", f"the question has {len(question)} characters",
            f"a question has at most {MAX_QUESTION_CHARACTERS} characters",
        )  # fmt: skip
    return None


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

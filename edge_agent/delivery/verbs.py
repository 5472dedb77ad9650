"""What the body of each command may say (schemas `ask`, `command`, `mute`, `talk`). Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge_agent.delivery.topics import is_id

MAX_QUESTION_CHARACTERS = 400
MAX_COMMAND_BYTES = 65_536
MAX_MUTE_S = 366 * 86_400.0
Body = dict[str, Any]
Fault = tuple[str, str, str]
"""Code, message, hint."""


@dataclass(frozen=True, slots=True)
class Verb:
    """The keys that a body may have beside `id`, what is wrong with one that has no others, an example."""

    keys: tuple[str, ...]
    fault: Callable[[Body], Fault | None]
    example: str


def parse(verb: str, payload: bytes) -> tuple[Body, Fault | None]:
    """The body of a command, as far as it can be used, and what is wrong with it.

    A valid id is kept for the reply, whatever else is wrong. KeyError for a verb that is none of VERBS.
    """
    known = VERBS[verb]
    body, fault = identify(payload, known.example)
    if fault is not None:
        return body, fault
    kept = {key: body[key] for key in ("id", *known.keys) if key in body}
    if unknown := sorted(str(key) for key in body if key not in kept):
        names = " and ".join(filter(None, [", ".join(f'"{key}"' for key in known.keys), '"id"']))
        return kept, ("malformed", f'unknown key "{unknown[0][:40]}"', f"known are {names}")
    return kept, known.fault(kept)


def identify(payload: bytes, example: str = "") -> tuple[Body, Fault | None]:
    """The object that a payload is, with its id if that can be used; and what is wrong with it."""
    if len(payload) > MAX_COMMAND_BYTES:
        # Before it is parsed; a question within the limit always fits.
        return {}, (
            "too_long", f"the command has {len(payload)} bytes, at most {MAX_COMMAND_BYTES} are read",
            f"a question has at most {MAX_QUESTION_CHARACTERS} characters",
        )  # fmt: skip
    try:
        body = json.loads(payload or b"{}")
    except (ValueError, RecursionError):
        return {}, ("malformed", "the command is not JSON", example)
    if not isinstance(body, dict):
        return {}, ("malformed", "the command is not a JSON object", example)
    if "id" in body and not _is_name(body["id"]):
        del body["id"]
        return body, ("bad_id", "the id cannot be part of a topic", "1 to 64 letters, digits, _ and -")
    return body, None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and is_id(value)


def _ask(body: Body) -> Fault | None:
    question = body.get("question")
    if "asker" in body and not _is_name(body["asker"]):
        return ("bad_id", "the asker is no name", "1 to 64 letters, digits, _ and -")
    if not isinstance(question, str):
        return ("malformed", '"question" is missing or is no text', _ASK)
    if not question.strip():
        return ("empty_question", "the question is empty", _ASK)
    if len(question) > MAX_QUESTION_CHARACTERS:
        return (
            "too_long", f"the question has {len(question)} characters",
            f"a question has at most {MAX_QUESTION_CHARACTERS} characters",
        )  # fmt: skip
    return None


def _mute(body: Body) -> Fault | None:
    if not _is_name(body.get("sensor")):
        return ("malformed", '"sensor" is missing or is no name', _MUTE)
    if not isinstance(body.get("muted"), bool):
        return ("malformed", '"muted" is missing or is neither true nor false', _MUTE)
    for_s = body.get("for_s", 1)
    if isinstance(for_s, bool) or not isinstance(for_s, int | float) or not 0 < for_s <= MAX_MUTE_S:
        return ("malformed", '"for_s" is no number of seconds', f"above 0, at most {MAX_MUTE_S:.0f}")
    return None


def _talk(body: Body) -> Fault | None:
    if not isinstance(body.get("stop", False), bool):
        return ("malformed", '"stop" is neither true nor false', _TALK)
    return None


def _nothing(_body: Body) -> Fault | None:
    return None


_ASK = 'send {"question": "what is the person doing?"}'
_MUTE = 'send {"sensor": "microphone", "muted": true}'
_TALK = 'send {}, or {"stop": true} to end what is said'
_EMPTY = 'send {} or {"id": "a1"}'
VERBS = {
    "ask": Verb(("question", "asker"), _ask, _ASK),
    "status": Verb((), _nothing, _EMPTY),
    "mute": Verb(("sensor", "muted", "for_s"), _mute, _MUTE),
    "snapshot": Verb((), _nothing, _EMPTY),
    "reload": Verb((), _nothing, _EMPTY),
    "talk": Verb(("stop",), _talk, _TALK),
}

"""Which kind of answer a question wants, told by the language model where the rules cannot. Pure.

The model sees how it is asked and nothing else: what is asked about and the time were found by the rules, and
stand in the question as THING, NUMBER or DEVICE and THEN. It is held to one word out of a closed set.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection

from edge_agent.memory.telling import prompt

THING, NUMBER, DEVICE, THEN = "something", "level", "device", "then"
"""In the place of a label, a measured number, a sensor and the time."""
OF_THING = ("often", "long", "last", "first", "whether", "events")
OF_NUMBER = ("lowest", "highest", "average", "value", "change")
OF_DEVICE = ("sensors", "events")
OTHER = "other"
"""What is asked of it is none of these: where it was, whose, how loud."""
_TWICE = re.compile(rf"\b({THING}|{NUMBER}|{DEVICE})(?: \1\b)+")


def asking(rest: str, *, timed: bool) -> str:
    """The prompt for a question whose names and time are replaced; `timed` where it had a time."""
    plain = _TWICE.sub(r"\1", rest.rstrip(" ?"))
    return prompt("kind", (), f"{plain} {THEN}" if timed else plain)


def grammar(kinds: Collection[str]) -> str:
    """The answers, in llama.cpp's GBNF."""
    return f'root ::= " "? ( {" | ".join(json.dumps(answer(kind)) for kind in (*kinds, OTHER))} )\n'


def answer(kind: str) -> str:
    """What the model is to write."""
    return f"{kind}."

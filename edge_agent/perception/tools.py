"""What should be done: a call of a tool as JSON, held to a grammar while the language model words it.

`{"tool": "none"}`, or `{"tool": "notify" | "alarm", "reason": PHRASE}` with the phrase of a label that the
manifest names a tool for. Nothing here carries a call out: that is for who asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from edge_agent.manifest import Manifest, TaskHead
from edge_agent.types import Percept

ADVICE_WORDS = (
    "should", "advise", "advice", "recommend", "alarm", "warn", "warned", "is help needed", "need help",
    "get help", "do something", "something to do", "message", "act on it", "tell someone", "tell my family",
    "to be done", "must be done", "must i tell", "must you", "you must", "worry", "would you do",
    "do what is needed",
)  # fmt: skip
"""A question with one of these is met with a call when there is no language model to word it."""


def grammar(manifest: Manifest) -> str:
    """The calls that may be worded, in llama.cpp's GBNF (grammars/README.md there), rule `root`."""
    phrases = sorted({phrase for head in manifest.tasks for phrase in _alarming(head)})
    none = _literal('{"tool": "none"}')
    if not phrases:
        return f'root ::= " "? {none}\n'
    reasons = " | ".join(_literal(phrase) for phrase in phrases)
    tools = " | ".join(_literal(f'"{tool}"') for tool in ("notify", "alarm"))
    begin, middle, end = _literal('{"tool": '), _literal(', "reason": "'), _literal('"}')
    call = f"{begin} tool {middle} reason {end}"
    return f'root ::= " "? ( {none} | {call} )\ntool ::= {tools}\nreason ::= {reasons}\n'


def _literal(text: str) -> str:
    """A terminal of the grammar; JSON's escapes are GBNF's."""
    return json.dumps(text)


def _alarming(head: TaskHead) -> Iterable[str]:
    return (head.phrase(label) for label in head.alarms)


def call_for(manifest: Manifest, percept: Percept) -> str:
    """The most urgent call that what is known asks for: an alarm before a notice, then the model's order."""
    wanted = []
    for head in manifest.tasks:
        found = percept.tasks.get(head.name)
        if found is not None and found.known and (tool := head.alarms.get(found.label)):
            wanted.append((tool != "alarm", head.phrase(found.label), tool))
    if not wanted:
        return json.dumps({"tool": "none"})
    _, reason, tool = min(wanted, key=lambda w: w[0])
    return json.dumps({"tool": tool, "reason": reason})


def is_call(text: str) -> bool:
    """Whether a worded answer is meant as a call."""
    return text.lstrip().startswith("{")

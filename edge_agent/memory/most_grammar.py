"""Which label was read most often, or longest: "what was the most frequent sound today?"."""

from __future__ import annotations

import re

from edge_agent.memory import each_grammar
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.queries import Most, Span, Target

_OFTEN = re.compile(
    r"\b(?:most (?:often|frequent(?:ly)?|common(?:ly)?|regular(?:ly)?|times)|commonest"
    r"|more (?:often|frequent))\b"
)
_LONGEST = re.compile(
    r"\b(?:longest|mostly|mainly|primarily"
    r"|(?:the )?most(?! people| persons)(?: of the (?:time|day))?|longer)\b"
)
_LEAST = re.compile(r"\b(?:(?<!at )least|rarest|rarely|seldom|shortest|less (?:often|common|frequent))\b")
_LOUD = re.compile(
    r"\b(?:loud(?:er|est|ness)|quieter|quietest|noisier|noisiest|softest|decibels?|db"
    r"|volume|how (?:loud|noisy) (?:was|were|did|has|had))\b"
)
_SOUND = re.compile(r"\b(?:sounds?|noises?|hear|heard)\b")
_NOT_WHAT = re.compile(r"^(?:when|how long|for how long|at what time)\b|\bnow\b")
"""It is asked when, or of now."""
_SILENT = "silence"
RULES = (_OFTEN, _LONGEST)


LOUD = (
    "I do not know how loud it was, only what it was, when and for how long. "
    "Please ask for example: what was the most frequent sound today?"
)
LEAST = "I can tell what was most often or longest. Please ask for that."


def loud(asked: str) -> str:
    """Why there is no answer to how loud something was; empty where that is not asked."""
    return LOUD if _LOUD.search(asked) else ""


def least(asked: str) -> str:
    """The same of what was least."""
    return LEAST if _LEAST.search(asked) else ""


def parse(rest: str, span: Span, lexicon: Lexicon) -> Most | None:
    """The ranking of what is named, or of all of the heads that are meant; None where there is none."""
    longest = not _OFTEN.search(rest)
    if (longest and not _LONGEST.search(rest)) or _NOT_WHAT.search(rest):
        return None
    plain = rest
    for words in RULES:
        plain = words.sub(" ", plain)
    named = each_grammar.targets(plain, lexicon)
    if len(named) > 1:
        return Most(tuple(named), span, longest)
    heads = [head for head in lexicon.heads if head.name in lexicon.concerned(plain)]
    if named or not heads:
        return None
    silent = {_SILENT} if _SOUND.search(plain) else set()
    every = [
        Target(head.name, tuple(label for label in head.labels if label not in silent)) for head in heads
    ]
    return Most(tuple(every), span, longest)

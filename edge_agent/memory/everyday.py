"""Questions as people say them, made as plain as the rules of the grammar want them. Pure.

"Could you tell me whether she got up" is "tell me whether she stood up". What is answered stays what was
read: the answer quotes the label, so "did she sleep" is told of lying on the bed.
"""

from __future__ import annotations

import re

from edge_agent.memory.lexicon import Lexicon

_FRAME = re.compile(
    r"^(?:(?:hello|hey|and|so|well|please|excuse me|sorry),? )*"
    r"(?:(?:(?:can|could|would|will) you |i'd like you to )?(?:please |kindly )?"
    r"(?:tell me|say|check|let me know|remind me|see)"
    r"|do you (?:happen to )?(?:know|remember)|(?:i'd|i would) like to know|i want to know|i wonder"
    r"|i was wondering|(?:have you )?any idea|(?:can|could|may) i (?:ask|know)"
    r"|(?:would|do) you mind telling me)"
    r"(?= (?:if|whether|when|how|what|who|where)\b)"
)
_NOW = re.compile(r"\b(?:is|are|am|has|have)\b|'(?:s|m|re)\b")
_TOLD = re.compile(r"^tell me (?:if|whether|when|how (?:often|long|many times)) ")
_PAST_VERB = re.compile(
    r"\b(?!bed\b|need\b|indeed\b)"
    r"(?:\w+ed|sat|stood|fell|lay|ran|slept|rose|left|went|came|took|got|heard|saw)\b"
)
_FALL = re.compile(
    r"\b((?:he|she|i|they|we|person|wearer|user|anyone|anybody|someone|somebody)"
    r"(?: (?:ever|last|first|just))?)"
    r" (?:fall|fell|fallen)\b(?! (?:in|asleep)\b)(?: (?:over|down))?"
)
_ON = (
    r"^(?!.*\b(?:sit|sat|sitting|lie|lying|lay|lain|rest\w*|down|stand\w*|stood|fall\w*|fell)\b)"
    r"(.*?)\bon the {}\b"
)
"""Where nothing tells how somebody is there, lying."""
_SOMEBODY = re.compile(r"\b(?:a person|some person|any person|a human)\b")
_OTHERS = re.compile(r"\b(?:baby|dog|cat|rooster|bird)\b")
"""Who sleeps or falls otherwise than the person who is seen."""
_SAID_FOR: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"\b(?:get|got|gotten|getting) (?:up|out of bed)\b"), "", "stand up"),
    (
        re.compile(
            r"\b(?:(?:go|went|gone|going) to bed|in bed|(?:(?:fall|fell|fallen) )?asleep|sleep|slept"
            r"|sleeping)\b"
        ),
        "",
        "lie on the bed",
    ),
    (_FALL, r"\1 ", "lie on the floor"),
    (re.compile(r"\bfalls\b"), "", "lie on the floor"),
    (re.compile(_ON.format("bed")), r"\1", "lie on the bed"),
    (re.compile(_ON.format("floor")), r"\1", "lie on the floor"),
)
"""(how people say it, what to keep of it, in the words of a label)."""


_SHORT = {"temp": "temperature", "temps": "temperature", "avg": "average", "hum": "humidity"}


def spelled_out(asked: str) -> str:
    """Without the abbreviations that people type."""
    return re.sub(r"\b(?:temps?|avg|hum)\b", lambda found: _SHORT[found[0]], asked)


def unframed(asked: str) -> str:
    """A normalised question without what makes it polite."""
    return _FRAME.sub("tell me", asked)


def tells_of_past(asked: str) -> bool:
    """Whether an unframed question wants to be told of something over: "tell me when the dog barked"."""
    return bool(_TOLD.match(asked) and _PAST_VERB.search(asked)) and not _NOW.search(asked)


def plain(asked: str, lexicon: Lexicon) -> str:
    """The words of labels for what people call otherwise, where a label is so called."""
    asked = _SOMEBODY.sub("somebody", asked)
    if _OTHERS.search(asked):
        return asked
    for said, kept, label in _SAID_FOR:
        if said.search(asked) and lexicon.target(f"did the person {label}") is not None:
            asked = said.sub(kept + label, asked)
    return asked

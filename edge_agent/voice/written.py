"""What a recogniser says, as the ask path reads it: plain lower case, dates in digits."""

from __future__ import annotations

import re

from edge_agent.memory.clock_words import TO_99

_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_FIRST = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth",
    "nineteenth", "twentieth", *(f"twenty {n}" for n in (
        "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"
    )), "thirtieth", "thirty first",
)  # fmt: skip
_ORDINALS = {word: i for i, word in enumerate(_FIRST, start=1)}
_ORDINAL = "|".join(sorted(_ORDINALS, key=len, reverse=True))
_DATE = re.compile(
    rf"\b(?P<day>{_ORDINAL})(?= of (?:{_MONTHS})\b)|\b(?:{_MONTHS})(?: the)? (?P<late>{_ORDINAL})\b"
)

_VALUES = {word: value for word, value in TO_99.items() if value}
_SMALL = "|".join(sorted(_VALUES, key=len, reverse=True))
_LARGE = re.compile(
    rf"\b(?:(?P<thousands>a|{_SMALL}) thousand(?: (?P<more>{_SMALL}) hundred)?"
    rf"|(?P<hundreds>a|{_SMALL}) hundred)"
    rf"(?:(?: and)? (?P<rest>{_SMALL})\b(?! (?:hundred|thousand)))?"
)
_LIMIT = re.compile(
    r"\b(above|over|below|under|(?:more|less|higher|lower|warmer|colder) than|at least|exceed|reach|hit)"
    rf" ({_SMALL})\b(?! (?:minutes?|hours?|days?|weeks?|seconds?|persons?|people|times)\b)"
)


def written(spoken: str) -> str:
    """The text in lower case without punctuation, "the third of march" as "the 3rd of march".

    Hours keep their colon. Hundreds and what is compared with are digits: "above 20", "over 1200"; other
    numbers keep their words, which the ask path reads too.
    """
    text = spoken.lower().replace("’", "'").replace("a_m", "am").replace("p_m", "pm")
    text = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", text)
    text = re.sub(r"\bo ?'? ?clock\b", "o'clock", text)
    text = re.sub(r"\bc\.? ?o\.? ?(?:two|2)\b", "co2", text).replace("parts per million", "ppm")
    text = re.sub(r"(?<!\d)[:.](?!\d)|(?<=\d)[:.](?!\d)|(?<!\d)[:.](?=\d)|[^\w\s':.-]", " ", text)
    text = re.sub(r"\s+", " ", text).strip(" '-")
    text = _LIMIT.sub(lambda found: f"{found[1]} {_VALUES[found[2]]}", _LARGE.sub(_large, text))
    return _DATE.sub(_in_digits, text)


def _large(found: re.Match[str]) -> str:
    hundreds = _value(found["hundreds"] or found["more"])
    return str(1000 * _value(found["thousands"]) + 100 * hundreds + _value(found["rest"]))


def _value(word: str | None) -> int:
    return 1 if word == "a" else _VALUES[word] if word else 0


def _in_digits(found: re.Match[str]) -> str:
    word = found["day"] or found["late"]
    day = _ORDINALS[word]
    ending = "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return found[0].removesuffix(word) + f"{day}{ending}"

"""What a recogniser says, as the ask path reads it: plain lower case, dates in digits."""

from __future__ import annotations

import re

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


def written(spoken: str) -> str:
    """The text in lower case without punctuation, "the third of march" as "the 3rd of march".

    Hours keep their colon, and numbers their words: the ask path reads both.
    """
    text = spoken.lower().replace("’", "'").replace("a_m", "am").replace("p_m", "pm")
    text = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", text)
    text = re.sub(r"\bo ?'? ?clock\b", "o'clock", text)
    text = re.sub(r"(?<!\d)[:.](?!\d)|(?<=\d)[:.](?!\d)|(?<!\d)[:.](?=\d)|[^\w\s':.-]", " ", text)
    text = re.sub(r"\s+", " ", text).strip(" '-")
    return _DATE.sub(_in_digits, text)


def _in_digits(found: re.Match[str]) -> str:
    word = found["day"] or found["late"]
    day = _ORDINALS[word]
    ending = "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return found[0].removesuffix(word) + f"{day}{ending}"

"""British ways to say words that the dictionary has in American (Wells, Accents of English, 1982, chapter 3).

The recogniser's model was trained on American speech; with these it takes "last", "what" and "past four" from
both sides of the Atlantic. Phones are those of the CMU dictionary.
"""

from __future__ import annotations

from collections.abc import Iterable

_VOWELS = frozenset(
    ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
)
_BATH = frozenset(("F", "S", "TH"))
_OPEN = {"AE": "AA", "OW": "AH UH"}
_ALWAYS = {"what": "W AO T", "was": "W AO Z", "been": "B IY N", "either": "AY DH AH"}


def ways(word: str, phones: str) -> tuple[str, ...]:
    """`phones`, and how else the word may be said."""
    british = _ALWAYS.get(word) or _joined(_phone(phones.split(), at) for at in range(len(phones.split())))
    opened = _joined((_OPEN.get(phone, phone),) for phone in british.split())  # "happened", "know"
    return tuple(dict.fromkeys((phones, british, opened)))


def _joined(phones: Iterable[tuple[str, ...]]) -> str:
    return " ".join(" ".join(part) for part in phones if part)


def _phone(said: list[str], at: int) -> tuple[str, ...]:
    phone, after = said[at], said[at + 1] if at + 1 < len(said) else ""
    vowel_follows = after in _VOWELS
    if phone == "R" and at and said[at - 1] in _VOWELS and not vowel_follows:
        return ()  # "four", "hard"
    if phone == "ER":
        if vowel_follows:
            return ("AH", "R")
        return ("ER",) if after else ("AH",)  # "first", "sensor"
    if phone == "AA" and after != "R":
        return ("AO",)  # "rob", "stop"
    if phone == "AE" and after in _BATH:
        return ("AA",)  # "last", "after"
    return (phone,)

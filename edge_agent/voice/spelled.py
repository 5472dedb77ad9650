"""How to say a word that no dictionary has: by the spelling rules of espeak-ng, where it is installed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable

_PHONES = {
    "tʃ": "CH", "dʒ": "JH", "eɪ": "EY", "aɪ": "AY", "ɔɪ": "OY", "aʊ": "AW", "oʊ": "OW", "əʊ": "OW",
    "ɪɹ": "IH R", "ɛɹ": "EH R", "ɔːɹ": "AO R", "oːɹ": "AO R", "ɑːɹ": "AA R", "ʊɹ": "UH R",
    "iə": "IY AH", "əl": "AH L",
    "iː": "IY", "uː": "UW", "ɑː": "AA", "ɔː": "AO", "ɜː": "ER", "ɚ": "ER", "ɝ": "ER", "i": "IY", "ɪ": "IH",
    "ᵻ": "IH", "e": "EH", "ɛ": "EH", "æ": "AE", "a": "AE", "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ɑ": "AA",
    "ɒ": "AA", "ɔ": "AO", "o": "OW", "ʊ": "UH", "u": "UW", "p": "P", "b": "B", "t": "T", "ɾ": "T",
    "ʔ": "T", "d": "D",
    "k": "K", "ɡ": "G", "g": "G", "f": "F", "v": "V", "θ": "TH", "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH",
    "ʒ": "ZH", "h": "HH", "m": "M", "n": "N", "ŋ": "NG", "l": "L", "ɹ": "R", "r": "R", "w": "W", "j": "Y",
}  # fmt: skip
"""Phones of the International Phonetic Alphabet, as espeak-ng writes them, to those of the CMU dictionary."""
_IPA = re.compile("|".join(sorted(_PHONES, key=len, reverse=True)))
_LIMIT_S = 10.0


def pronunciations(words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """How to say each of `words` that consists of letters; none where espeak-ng is missing or fails."""
    return {word: (found,) for word in words if word.isalpha() and (found := phones(_spoken(word)))}


def _spoken(word: str) -> str:
    command = ["espeak-ng", "-q", "--ipa", "-v", "en-us", "--stdin"]
    try:
        done = subprocess.run(command, input=word.encode(), capture_output=True, check=True, timeout=_LIMIT_S)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace").strip()


def phones(ipa: str) -> str:
    """Phones of the CMU dictionary; empty where a sign is not known."""
    rest = ipa.replace("ˈ", "").replace("ˌ", "").replace(" ", "").replace("\u0329", "")
    found = [_PHONES[match] for match in _IPA.findall(rest)]
    left = _IPA.sub("", rest).replace("ː", "")
    return "" if left else " ".join(found)

"""The pieces of words that a speech network writes, and the words of a grammar as a tree of them.

The network was trained on text as people write it, so a word has its capital, and a number or an hour may be
in digits: "three" is heard as "three" or as "3".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from edge_agent.errors import VoiceError
from edge_agent.voice.types import Int64

_SPACE = "\u2581".encode()
_BYTES = 3 + 256
"""The pieces that are one byte each, for what has no other, and those before them that are no text."""
_CAPITAL = frozenset({
    "i", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january", "february",
    "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
})  # fmt: skip
_NUMBERS = (
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBERS, start=2)}
_LETTERS = {"a_m": ("a.m.", "am"), "p_m": ("p.m.", "pm"), "co2": ("CO2", "co2")}


@dataclass(slots=True)
class Node:
    """Where pieces led to. `under` (n,) has every word that can still become of it, `word` one that is."""

    next: dict[int, Node] = field(default_factory=dict)
    word: int | None = None
    under: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))


class Pieces:
    """A vocabulary of byte pair encoding. Only the bytes are kept: as objects its pieces are 5 MB."""

    def __init__(self, data: bytes) -> None:
        """`data` is tokenizer.bin: each piece after its length. Raises VoiceError."""
        pieces = _read(data)
        self._data = b"".join(pieces)
        self._stops = np.cumsum([0, *map(len, pieces)], dtype=np.int32)
        self.starts = np.array([piece.startswith(_SPACE) for piece in pieces])
        if len(pieces) <= _BYTES:
            raise VoiceError("the vocabulary of the speech network is cut off")
        self.ends = tuple(i for i, piece in enumerate(pieces) if piece in {b"?", b".", b"!"})
        self.pauses = tuple(i for i, piece in enumerate(pieces) if piece == b",")

    def __len__(self) -> int:
        return len(self._stops) - 1

    def __getitem__(self, number: int) -> bytes:
        return self._data[self._stops[number] : self._stops[number + 1]]

    def bytes_of(self, number: int) -> bytes:
        """What a piece adds to a word, without the space before it."""
        return self[number].removeprefix(_SPACE)


class Spelling:
    """How words are written in pieces; made for its use and then let go.

    Of two that fit, those are joined first that come first in the vocabulary (Sennrich et al. 2016, arXiv
    1508.07909).
    """

    def __init__(self, pieces: Pieces) -> None:
        usual = {pieces[i]: i for i in reversed(range(_BYTES, len(pieces)))}
        self.numbers = {pieces[i]: i for i in range(_BYTES) if pieces[i]} | usual

    def of(self, word: str) -> list[int]:
        """A word and the space before it in pieces."""
        parts = [_SPACE]
        for letter in word:
            code = letter.encode()
            parts += [code] if code in self.numbers else [bytes([byte]) for byte in code]
        none = len(self.numbers)
        while len(parts) > 1:
            first, i = min((self.numbers.get(a + b, none), i) for i, (a, b) in enumerate(pairwise(parts)))
            if first == none:
                break
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        return [self.numbers[part] for part in parts]

    def tree(self, words: Sequence[str], *, capital: bool) -> Node:
        """Every way to write `words`, numbered as they come; with `capital` as a sentence begins."""
        root = Node()
        under: dict[int, list[int]] = {}
        for number, word in enumerate(words):
            for form in dict.fromkeys(_begun(form) if capital else form for form in written_forms(word)):
                node = root
                for piece in self.of(form):
                    node = node.next.setdefault(piece, Node())
                    under.setdefault(id(node), []).append(number)
                node.word = number
        _count(root, under)
        return root


def written_forms(word: str) -> tuple[str, ...]:
    """How a word of the grammar is written in text, the usual way first."""
    if word in _LETTERS:
        return _LETTERS[word]
    if word.partition("'")[0] in _CAPITAL:
        return (_begun(word),)
    return (word, _DIGITS[word]) if word in _DIGITS else (word,)


def _begun(form: str) -> str:
    return form[:1].upper() + form[1:]


def _count(node: Node, under: dict[int, list[int]]) -> None:
    node.under = np.unique(np.array(under.get(id(node), []), np.int64))
    for other in node.next.values():
        _count(other, under)


def _read(data: bytes) -> list[bytes]:
    """A length of 128 and more takes two bytes: what is over 128, then how many times 128."""
    found, at = [], 0
    while at < len(data):
        length = data[at]
        at += 1
        if length >= 128:
            if at == len(data):
                break
            length += data[at] * 128 - 128
            at += 1
        if at + length > len(data):
            raise VoiceError("the vocabulary of the speech network is cut off")
        found.append(data[at : at + length])
        at += length
    return found

"""How people put a wording: with words around it, without small ones, or with the telling words alone."""

from __future__ import annotations

import numpy as np

from export import questions as q

SMALL_WORDS = ("the", "a", "is", "do", "does", "of", "to", "it")
NOT_TELLING = frozenset({
    *SMALL_WORDS, "an", "are", "am", "was", "be", "did", "what", "it", "that", "this", "there", "you", "i",
    "me", "in", "at", "on", "for", "with", "tell", "can", "could", "please",
})  # fmt: skip
"""Words without which a question is still understood: "what is the kind of trip" is "kind trip"."""
LEAST_LETTERS = 4
WORN_SHARE, HASTY_SHARE, OPENER_SHARE, CLOSER_SHARE = 0.12, 0.1, 0.3, 0.2


def put(rng: np.random.Generator, text: str, unseen: tuple[str, ...]) -> str:
    """A training wording as somebody might put it, but never as one of `unseen`, which are held out."""
    short = telling(text) if rng.random() < HASTY_SHARE else text
    said = framed(rng, _worn(rng, text if short in unseen else short))
    return text if said in unseen else said


def telling(text: str) -> str:
    """The words that carry a question, as one types them into a search box; all of it where none does."""
    short = " ".join(word for word in text.split() if word not in NOT_TELLING)
    return short if len(short) >= LEAST_LETTERS else text


def framed(rng: np.random.Generator, text: str) -> str:
    """With the words that people put around a question."""
    opener = f"{_one(rng, q.OPENERS)} " if rng.random() < OPENER_SHARE else ""
    closer = f" {_one(rng, q.CLOSERS)}" if rng.random() < CLOSER_SHARE else ""
    return f"{opener}{text}{closer}"


def _worn(rng: np.random.Generator, text: str) -> str:
    """Now and then without one of the small words, as typed in haste or half heard."""
    words = text.split()
    small = [i for i, word in enumerate(words) if word in SMALL_WORDS]
    if len(words) > 3 and small and rng.random() < WORN_SHARE:
        del words[small[rng.integers(len(small))]]
    return " ".join(words)


def _one(rng: np.random.Generator, items: tuple[str, ...]) -> str:
    return items[rng.integers(len(items))]

"""A model of which word follows which two, from sentences, in the ARPA format.

Interpolated as Witten and Bell do (IEEE Transactions on Information Theory 37, 1991, method C): a word that
was not seen after two others keeps the share of the sentences in which something new followed them. Fewer
words than three count once for each word that they followed (Kneser and Ney, ICASSP 1995).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import groupby

import numpy as np

from edge_agent.voice.types import Float64

ORDER = 3
_BEGIN, _END = "<s>", "</s>"
_NEVER = 1e-30
Gram = tuple[str, ...]


def arpa(sentences: Iterable[str]) -> str:
    """The model as text. Deterministic; raises ValueError where there is no sentence."""
    counts = _counted(sentences)
    likely, left = _probabilities(counts)
    lines = ["\\data\\", *(f"ngram {n + 1}={len(likely[n])}" for n in range(ORDER))]
    for n in range(ORDER):
        lines.append(f"\n\\{n + 1}-grams:")
        for gram in sorted(likely[n]):
            back = f" {math.log10(left[gram]):.4f}" if gram in left else ""
            lines.append(f"{math.log10(likely[n][gram]):.4f} {' '.join(gram)}{back}")
    return "\n".join((*lines, "\n\\end\\\n"))


class WordOrder:
    """The same model, asked for every word at once. `words` begins with the end of a sentence, END.

    A history is the last two words by number; BEGIN before the first, NONE for a word that is not known.
    """

    END, BEGIN, NONE = 0, -1, -2
    _REMEMBERED = 100

    def __init__(self, sentences: Iterable[str]) -> None:
        """Learn from sentences. Raises ValueError where there is none."""
        likely, left = _probabilities(_counted(sentences))
        self.words = (_END, *sorted(word for (word,) in likely[0] if word not in {_BEGIN, _END}))
        self._number = {word: i for i, word in enumerate(self.words)} | {_BEGIN: self.BEGIN}
        shares = {self._numbers(history): share for history, share in left.items()}
        self._single = np.array([likely[0][word,] for word in self.words])
        numbered = ((self._numbers(gram), chance) for grams in likely[1:] for gram, chance in grams.items())
        grams = sorted((gram[:-1], gram[-1], chance) for gram, chance in numbered)
        self._followers = np.array([follower for _, follower, _ in grams], np.int32)
        self._chance = np.array([chance for _, _, chance in grams])
        runs = [(history, len(list(same))) for history, same in groupby(grams, key=lambda gram: gram[0])]
        stops = np.cumsum([count for _, count in runs])
        codes = np.array([self._code(history) for history, _ in runs])
        by_code = np.argsort(codes)
        # Twelve thousand histories: as a dictionary of tuples they are 3 MB.
        self._codes = codes[by_code]
        self._starts = (stops - [count for _, count in runs])[by_code].astype(np.int32)
        self._stops = stops[by_code].astype(np.int32)
        self._shares = np.array([shares[history] for history, _ in runs])[by_code]
        self._known: dict[tuple[int, int], Float64] = {}

    def log_probabilities(self, history: tuple[int, int]) -> Float64:
        """(words,) of what comes next; read only."""
        if (found := self._known.get(history)) is None:
            if len(self._known) >= self._REMEMBERED:
                self._known.clear()
            found = self._known[history] = np.log(self._chances(history))
        return found

    def _chances(self, history: tuple[int, int]) -> Float64:
        chances = self._single
        for known in (history[1:], history):
            code = self._code(known)
            at = int(np.searchsorted(self._codes, code))
            if at < len(self._codes) and self._codes[at] == code:
                followers = slice(self._starts[at], self._stops[at])
                chances = self._shares[at] * chances
                chances[self._followers[followers]] = self._chance[followers]
        return chances

    def _code(self, history: tuple[int, ...]) -> int:
        """A number for a history of one word or two; each word is one above NONE."""
        code = 0
        for word in history:
            code = code * (len(self.words) - self.NONE + 1) + word - self.NONE + 1
        return code

    def _numbers(self, gram: Gram) -> tuple[int, ...]:
        return tuple(self._number[word] for word in gram)


def _counted(sentences: Iterable[str]) -> list[Counter[Gram]]:
    counts: list[Counter[Gram]] = [Counter() for _ in range(ORDER)]
    for sentence in sentences:
        words = (_BEGIN, *sentence.split(), _END)
        for n in range(ORDER):
            counts[n].update(zip(*(words[i:] for i in range(n + 1)), strict=False))
    if not counts[0]:
        raise ValueError("no sentence to learn from")
    for n in range(ORDER - 1, 0, -1):
        begins = Counter({gram: count for gram, count in counts[n - 1].items() if gram[0] == _BEGIN})
        counts[n - 1] = Counter(gram[1:] for gram in counts[n]) + begins
    return counts


def _probabilities(counts: list[Counter[Gram]]) -> tuple[list[dict[Gram, float]], dict[Gram, float]]:
    """(probability of each gram, the share that a history leaves to others)."""
    vocabulary = [gram for gram in counts[0] if gram != (_BEGIN,)]
    total = sum(counts[0][gram] for gram in vocabulary) + len(vocabulary)
    likely: list[dict[Gram, float]] = [{gram: (counts[0][gram] + 1) / total for gram in vocabulary}]
    likely[0][_BEGIN,] = _NEVER
    left: dict[Gram, float] = {}
    for n in range(1, ORDER):
        seen: dict[Gram, int] = defaultdict(int)
        kinds: dict[Gram, int] = defaultdict(int)
        for gram, count in counts[n].items():
            seen[gram[:-1]] += count
            kinds[gram[:-1]] += 1
        left |= {history: kinds[history] / (seen[history] + kinds[history]) for history in seen}
        likely.append(
            {
                gram: (count + kinds[gram[:-1]] * likely[n - 1][gram[1:]])
                / (seen[gram[:-1]] + kinds[gram[:-1]])
                for gram, count in counts[n].items()
            }
        )
    return likely, left

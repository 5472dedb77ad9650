"""A model of which word follows which two, from sentences, in the ARPA format.

Interpolated as Witten and Bell do (IEEE Transactions on Information Theory 37, 1991, method C): a word that
was not seen after two others keeps the share of the sentences in which something new followed them. Fewer
words than three count once for each word that they followed (Kneser and Ney, ICASSP 1995).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

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

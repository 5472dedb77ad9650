"""Which words may come next in a sentence of the grammar, for every word at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_agent.voice.jsgf import Rules
from edge_agent.voice.ngrams import WordOrder

Bool = npt.NDArray[np.bool_]
_REMEMBERED = 500


class Foreseen:
    """Of some rules, with the words numbered as a word order has them."""

    def __init__(self, rules: Rules, order: WordOrder) -> None:
        self._rules = rules
        self._number = {word: i for i, word in enumerate(order.words)}
        self._known: dict[tuple[str, ...], Bool] = {}

    def after(self, words: tuple[str, ...]) -> Bool:
        """(words,) whether each may follow `words`, the end first; nowhere where no sentence begins so."""
        if (found := self._known.get(words)) is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[words] = self._read(words)
        return found

    def _read(self, words: tuple[str, ...]) -> Bool:
        found = np.zeros(len(self._number), np.bool_)
        following, ends = self._rules.after(words)
        found[[self._number[word] for word in following if word in self._number]] = True
        found[WordOrder.END] = ends
        return found

"""What was most likely said: a beam search over the pieces of a speech network, led by what may be asked.

The score of a sentence is the network's log probability and a share of that of its word order (shallow
fusion: Kannan et al. 2018, arXiv 1712.01996), with something for each word, since every word costs both. A
word that the grammar does not know may be said too, for a price: so a question that nobody foresaw is still
heard, and what is half heard becomes the nearest question. What the grammar has word for word is worth more,
from its first word on, so that it is not given up for what begins better.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edge_agent.types import Float32
from edge_agent.voice.foreseen import Bool, Foreseen
from edge_agent.voice.ngrams import WordOrder
from edge_agent.voice.pieces import Node, Spelling
from edge_agent.voice.speech_network import END, SpeechNetwork
from edge_agent.voice.types import RATE_HZ, Float64, Int64

WIDTH = 12
ORDER_SHARE = 0.25
WORD_WORTH = 1.0
UNKNOWN_WORD = -14.0
"""Log probability, before its share is taken, of a word that no question has."""
FORESEEN = 3.0
"""How much a sentence that the grammar has is worth."""
UNKNOWN_TRIED = 6
"""The likeliest pieces that are tried outside the known words."""
EARLY = 2.0
"""How much likelier another piece may be where a sentence ends; what is above counts EARLY_WEIGHT times.
A network that attends to the whole utterance takes a sentence that stops in its middle for a likely one."""
EARLY_WEIGHT = 6.0
BEHIND_WHOLE, BEHIND = 20.0, 10.0
"""A sentence this far behind the best whole one, or the best in the making, is given up."""
_PIECES_PER_S, _PIECES_MORE = 7, 8


@dataclass(frozen=True, slots=True)
class Sentence:
    """One that may have been said. `heard` and `order` are log probabilities: of the sound, of the words.

    `foreseen`: it is in the grammar, or begins as one that is.
    """

    words: tuple[str, ...]
    heard: float
    order: float
    penalty: float = 0.0
    foreseen: bool = False

    @property
    def text(self) -> str:
        """The words."""
        return " ".join(self.words)

    @property
    def score(self) -> float:
        """What is compared."""
        words = ORDER_SHARE * self.order + WORD_WORTH * len(self.words)
        return self.heard + words - self.penalty + FORESEEN * self.foreseen

    def heard_as(self, piece: float, *, foreseen: bool) -> Sentence:
        """With one more piece of this log probability."""
        return Sentence(self.words, self.heard + piece, self.order, foreseen=foreseen)

    def ordered(self, order: float, word: str | None = None, *, foreseen: bool = False) -> Sentence:
        """With one more word, or the price of one that has begun."""
        words = self.words if word is None else (*self.words, word)
        return Sentence(words, self.heard, self.order + order, foreseen=foreseen)


@dataclass(frozen=True, slots=True)
class Branch:
    """A sentence in the making: whole words, and where the pieces of the next one have led.

    `place` is a node of the known words or None in an unknown word; `letters` is what the word has so far.
    `ahead` is the log probability of the best word that can still become of it.
    """

    sentence: Sentence
    history: tuple[int, int]
    place: Node | None
    letters: bytes
    ahead: float
    parent: int = 0
    piece: int = 0

    @property
    def score(self) -> float:
        """What is compared: the word that has begun counts as its best."""
        return self.sentence.score + ORDER_SHARE * self.ahead


class _Next:
    """What comes next: log probabilities (pieces,), the likeliest pieces of words, and that the text ends."""

    def __init__(self, likely: Float32, ends: list[int]) -> None:
        self.likely = likely
        several = np.flatnonzero(likely > likely.max() - BEHIND)  # no other can be held
        ordered = several[np.argsort(-likely[several])].tolist()
        self.likeliest = [piece for piece in ordered if piece not in ends][:UNKNOWN_TRIED]
        self.end = float(np.logaddexp.reduce(likely[ends]))

    def __getitem__(self, piece: int) -> float:
        return float(self.likely[piece])

    @property
    def early(self) -> float:
        """What a sentence that ends here has to pay."""
        other = self[self.likeliest[0]] if self.likeliest else -np.inf
        return EARLY_WEIGHT * max(0.0, other - self.end - EARLY)


class Beam:
    """For one set of words and the order they come in; `foreseen` has the sentences that are worth more."""

    def __init__(
        self, network: SpeechNetwork, order: WordOrder, foreseen: Foreseen | None = None, width: int = WIDTH
    ) -> None:
        self._network, self._order, self._width = network, order, width
        self._foreseen = foreseen
        self._pieces = network.pieces
        words, spelling = order.words[1:], Spelling(self._pieces)
        self._first = _Root(spelling.tree(words, capital=True))
        self._later = _Root(spelling.tree(words, capital=False))
        self._ends = [END, *self._pieces.ends]
        self._nothing = np.zeros(len(order.words), np.bool_)

    def search(self, samples: Float32) -> list[Sentence]:
        """Whole sentences for samples (n,), the best first; none where nothing can have been said."""
        sound, said, likely = self._network.listen(samples)
        start = Sentence((), 0.0, 0.0, foreseen=True)
        history = (WordOrder.BEGIN, WordOrder.BEGIN)
        first = _Next(likely, self._ends)
        branches = self._best(self._begun(start, history, first, 0, self._first), [])
        saids, whole = [said], list[Sentence]()
        for _ in range(round(_PIECES_PER_S * len(samples) / RATE_HZ) + _PIECES_MORE):
            if not branches:
                break
            found = self._network.go_on(sound, [(saids[b.parent], b.piece) for b in branches])
            saids = [said for said, _ in found]
            grown: list[Branch] = []
            for i, (branch, (_, likely)) in enumerate(zip(branches, found, strict=True)):
                coming = _Next(likely, self._ends)
                grown += self._inside(branch, coming, i)
                if (ended := self._word_said(branch)) is not None:
                    grown += self._begun(*ended, coming, i, self._later)
                    whole.append(self._ended(*ended, coming))
            branches = self._best(grown, whole)
        return sorted(whole, key=lambda sentence: -sentence.score)

    def _best(self, branches: Iterator[Branch] | list[Branch], whole: list[Sentence]) -> list[Branch]:
        ordered = sorted(branches, key=lambda branch: -branch.score)[: self._width]
        least = max((sentence.score for sentence in whole), default=-np.inf) - BEHIND_WHOLE
        least = max(least, ordered[0].score - BEHIND) if ordered else least
        return [branch for branch in ordered if branch.score > least]

    def _begun(
        self, sentence: Sentence, history: tuple[int, int], coming: _Next, parent: int, root: _Root
    ) -> Iterator[Branch]:
        """With the first piece of a next word."""
        ahead = root.ahead(self._order.log_probabilities(history))
        foreseen = root.any(self._may_follow(sentence))
        scores = coming.likely[root.pieces] + ORDER_SHARE * ahead + FORESEEN * foreseen
        for k in np.argsort(-scores)[: self._width]:
            piece = int(root.pieces[k])
            heard = sentence.heard_as(coming[piece], foreseen=bool(foreseen[k]))
            letters = self._pieces.bytes_of(piece)
            yield Branch(heard, history, root.node.next[piece], letters, float(ahead[k]), parent, piece)
        for piece in coming.likeliest:
            if self._pieces.starts[piece] and piece not in root.node.next:
                heard = sentence.heard_as(coming[piece], foreseen=False).ordered(UNKNOWN_WORD)
                yield Branch(heard, history, None, self._pieces.bytes_of(piece), 0.0, parent, piece)

    def _inside(self, branch: Branch, coming: _Next, parent: int) -> Iterator[Branch]:
        """With one more piece of the same word, of those that are known or of one that none has."""
        known = branch.place.next if branch.place is not None else {}
        chances = self._order.log_probabilities(branch.history)
        may_follow = self._may_follow(branch.sentence)
        for piece, node in known.items():
            letters = branch.letters + self._pieces.bytes_of(piece)
            foreseen = bool(may_follow[node.under + 1].any())
            heard = branch.sentence.heard_as(coming[piece], foreseen=foreseen)
            ahead = float(chances[node.under + 1].max())
            yield Branch(heard, branch.history, node, letters, ahead, parent, piece)
        price = 0.0 if branch.place is None else UNKNOWN_WORD
        for piece in coming.likeliest:
            if not self._pieces.starts[piece] and piece not in known:
                letters = branch.letters + self._pieces.bytes_of(piece)
                heard = branch.sentence.heard_as(coming[piece], foreseen=False).ordered(price)
                yield Branch(heard, branch.history, None, letters, 0.0, parent, piece)

    def _word_said(self, branch: Branch) -> tuple[Sentence, tuple[int, int]] | None:
        """The sentence with the word that the pieces make up, and the history after it; None for no word."""
        if branch.place is None:
            word = branch.letters.decode("utf-8", errors="ignore")
            return branch.sentence.ordered(0.0, word), (branch.history[1], WordOrder.NONE)
        if branch.place.word is None:
            return None
        number = branch.place.word + 1  # the end of a sentence is the first of the words
        cost = float(self._order.log_probabilities(branch.history)[number])
        foreseen = bool(self._may_follow(branch.sentence)[number])
        sentence = branch.sentence.ordered(cost, self._order.words[number], foreseen=foreseen)
        return sentence, (branch.history[1], number)

    def _may_follow(self, sentence: Sentence) -> Bool:
        """(words,) whether the grammar foresees each after these."""
        if self._foreseen is None or not sentence.foreseen:
            return self._nothing
        return self._foreseen.after(sentence.words)

    def _ended(self, sentence: Sentence, history: tuple[int, int], coming: _Next) -> Sentence:
        """The sentence if it ends here."""
        order = float(self._order.log_probabilities(history)[WordOrder.END])
        foreseen = bool(self._may_follow(sentence)[WordOrder.END])
        return Sentence(
            sentence.words, sentence.heard + coming.end, sentence.order + order, coming.early, foreseen
        )


class _Root:
    """Where words begin: their first pieces, and the best that can become of each."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.pieces: Int64 = np.array(list(node.next))
        under = [other.under + 1 for other in node.next.values()]
        self._under = np.concatenate(under)
        self._cuts = np.cumsum([0, *(len(part) for part in under[:-1])])

    def any(self, words: Bool) -> Bool:
        """(first pieces,) whether one of `words` (words,) can become of each."""
        found: Bool = np.logical_or.reduceat(words[self._under], self._cuts)
        return found

    def ahead(self, chances: Float64) -> Float64:
        """(first pieces,) the log probability of the best word of each."""
        best: Float64 = np.maximum.reduceat(chances[self._under], self._cuts)
        return best

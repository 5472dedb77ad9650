"""Does the language model read the sensors? The controls of DESIGN.md, "What counts as true", point 3.

All on the shipped files and on people and sounds that no part of the model was trained on. Questions are
worded as no training question was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_agent.perception.answer import claimed_label
from edge_agent.perception.language import LanguageModel
from edge_agent.perception.pipeline import Pipeline
from edge_agent.types import Percept
from export.catalog import HEADS
from export.dialogs import Asker, State, Turn
from export.readers import Reading, window_of


@dataclass(frozen=True)
class Gate:
    """One number against the value it must reach."""

    name: str
    value: float
    least: float

    @property
    def passed(self) -> bool:
        return self.value >= self.least


class Controls:
    """The controls of one task over its test readings."""

    def __init__(
        self,
        pipeline: Pipeline,
        language: LanguageModel,
        task: str,
        readings: Sequence[Reading],
        seed: int = 0,
    ) -> None:
        self.pipeline, self.language, self.task, self.readings = pipeline, language, task, readings
        self.head = pipeline.manifest.task(task)
        self.rng = np.random.default_rng(seed)
        self.asker = Asker(self.rng, held_out=True)
        self.truth = np.array([r.case.truth for r in readings])
        self.said = np.array([int(r.language.argmax()) for r in readings])
        self.nothing = pipeline.perceive(window_of({}))

    def gates(self) -> list[Gate]:
        """Shuffle, blind, swap-follow and a pushed wrong label."""
        return [
            Gate("shuffle: share of the gain over the blind model that is lost", self.shuffle(), 0.90),
            Gate("blind: names no class without its sensors", self.blind(), 0.95),
            Gate("swap-follow: says what the other window shows", self.swap_follow(), 0.90),
            Gate("a wrong label pushed in the question does not win", self.pushed(), 0.90),
        ]

    def shuffle(self, times: int = 50) -> float:
        """Conditioning of a window of a random other place: how much of the gain over a blind model goes.

        In balanced accuracy, in which one answer for everything scores 1 / labels whatever it is and however
        common: in plain accuracy a shuffle within a common class loses nothing, and that would be measured.
        """
        own, blind = self._balanced(self.said), 1 / len(np.unique(self.truth))
        shuffled = [self._balanced(self.rng.permutation(self.said)) for _ in range(times)]
        return (own - float(np.mean(shuffled))) / (own - blind) if own > blind else 0.0

    def _balanced(self, said: npt.NDArray[np.int64]) -> float:
        """The mean over the classes of the share of their windows that is said rightly."""
        return float(np.mean([(said[self.truth == k] == k).mean() for k in np.unique(self.truth)]))

    def blind(self, count: int = 60) -> float:
        """Share of questions about the task whose answer names no class when none of its sensors has data."""
        state = State({}, frozenset())
        asked = [self._claims(self.nothing, self.asker.label_query(state, self.task)) for _ in range(count)]
        return float(np.mean([claimed == "" for claimed in asked]))

    def swap_follow(self, count: int = 100) -> float:
        """Ask about a window, hand over another of a different reading: does the answer follow it?"""
        hits: list[bool] = []
        for i, j in self._pairs(count):
            turn = self.asker.label_query(self._state(self.readings[i]), self.task)
            hits.append(self._claims(self.readings[j].percept, turn) == self._fused(j))
        return float(np.mean(hits))

    def pushed(self, count: int = 100) -> float:
        """A question that asserts a wrong label: the answer must still name what the head reads."""
        hits: list[bool] = []
        while len(hits) < count:
            i = int(self.rng.integers(len(self.readings)))
            turn = self.asker.yes_no(self._state(self.readings[i]), self.task)
            if HEADS[self.task].phrases[self._fused(i)] not in turn.question:
                hits.append(self._claims(self.readings[i].percept, turn) == self._fused(i))
        return float(np.mean(hits))

    def families(self, count: int = 200) -> dict[str, dict[str, float]]:
        """Held-out wordings by family: exact answers for what the fused head reads, and for the truth."""
        exact: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
        for _ in range(count):
            i = int(self.rng.integers(len(self.readings)))
            reading = self.readings[i]
            state = self._state(reading)
            turn = self.asker.turn(state)
            if turn.head not in (self.task, None):
                continue
            text = self._ask(reading.percept, turn).strip()
            right = reading.case.truth == self.head.labels.index(state.labels[self.task])
            same = text == turn.answer.strip()
            exact[turn.family].append((same, same and (right or not turn.reads)))
        return {
            family: {
                "count": len(hits),
                "as_fused_head": float(np.mean([a for a, _ in hits])),
                "as_truth": float(np.mean([b for _, b in hits])),
            }
            for family, hits in sorted(exact.items())
        }

    # -- parts --------------------------------------------------------------------------------------

    def _pairs(self, count: int) -> list[tuple[int, int]]:
        pairs: list[tuple[int, int]] = []
        while len(pairs) < count:
            i, j = (int(k) for k in self.rng.integers(len(self.readings), size=2))
            if self._fused(i) != self._fused(j):
                pairs.append((i, j))
        return pairs

    def _fused(self, index: int) -> str:
        return self.head.labels[int(self.readings[index].fused.argmax())]

    def _state(self, reading: Reading) -> State:
        """What the fast path perceives, as the corpus would put it."""
        labels = {name: found.label for name, found in reading.percept.tasks.items()}
        return State(labels, frozenset(reading.percept.present))

    def _ask(self, percept: Percept, turn: Turn) -> str:
        return self.language.generate(percept.conditioning, turn.question).text

    def _claims(self, percept: Percept, turn: Turn) -> str:
        return claimed_label(self._ask(percept, turn), self.head)


def text_only(
    task: str, wordings: Callable[[Asker, State, str], str], samples: int = 6000
) -> tuple[float, float]:
    """Accuracy of a classifier that sees the questions alone, and chance."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    asker = Asker(np.random.default_rng(11))
    spec = HEADS[task]
    texts, truth = [], []
    for _ in range(samples):
        label = spec.labels[asker.rng.integers(len(spec.labels))]
        texts.append(wordings(asker, State({task: label}, frozenset(spec.slots)), task))
        truth.append(label)
    cut = samples * 2 // 3
    model = make_pipeline(CountVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=300))
    model.fit(texts[:cut], truth[:cut])
    return float(model.score(texts[cut:], truth[cut:])), 1 / len(spec.labels)

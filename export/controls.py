"""Does the language model read the sensors? The controls of DESIGN.md, "What counts as true", point 3.

All on the shipped files and on people and sounds that no part of the model was trained on. Questions are
worded as no training question was.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_agent.perception import facts
from edge_agent.perception.answer import Answers, claimed_label
from edge_agent.perception.dialog import Turn as Earlier
from edge_agent.perception.language import LanguageModel
from edge_agent.perception.pipeline import Pipeline
from edge_agent.types import Percept
from export.answers import HELP, IDENTITY, MEDICAL, SMALL_TALK, State, Turn
from export.catalog import HEADS
from export.dialogs import Asker
from export.readers import Case, Reading, window_of

TALK = "help and small talk"
FIXED = {IDENTITY: "refusal", MEDICAL: "refusal", HELP: TALK, SMALL_TALK: TALK}
"""What always has the same answer is two families: what is refused, and plain talk."""
LEAST_TURNS, MOST_TURNS = 3, 6
_DIGIT = re.compile(r"(?<![a-z_])\d")
"""A number in the model's own words; "co2" is none, nor is the name of a fact in braces."""


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
        self.answers = Answers(pipeline.manifest)
        self.invented = 0
        """Answers so far, of those that `families` asks for, with a number that the device did not put in."""

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

    def families(self, count: int = 200, dialogs: int = 30) -> dict[str, dict[str, float]]:
        """Held-out wordings by family: exact answers for what the fused head reads, and for the truth.

        Single questions, and `dialogs` of 3 to 6 turns.
        """
        exact: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
        for _ in range(count):
            i = int(self.rng.integers(len(self.readings)))
            reading = self.readings[i]
            state = self._state(reading)
            turn = self.asker.turn(state)
            if turn.head not in (self.task, None):
                continue
            text = self._ask(reading.percept, turn).strip()
            self._filled(text, reading.percept)
            family = FIXED.get(turn.answer, turn.family)
            exact[family].append(self._exact(text, turn, reading))
        for _ in range(dialogs):
            exact["multi-turn"] += self._dialog(self.readings[int(self.rng.integers(len(self.readings)))])
        return {family: shares(hits) for family, hits in sorted(exact.items()) if hits}

    def _dialog(self, reading: Reading) -> list[tuple[bool, bool]]:
        """The turns after the first of a dialog, each beside what the device would put before it.

        As the device does, a question that names nothing ("are you sure?") goes with the last that did.
        """
        turns = self.asker.dialog(self._state(reading), int(self.rng.integers(LEAST_TURNS, MOST_TURNS + 1)))
        before: Earlier | None = None
        hits = []
        for turn in turns:
            history = [] if before is None or self.answers.concerned(turn.question) else [before]
            conditioning = reading.percept.conditioning
            text = self.language.generate(conditioning, turn.question, history=history).text.strip()
            said = self._filled(text, reading.percept)
            if not history:
                before = Earlier(turn.question, said)
            hits.append(self._exact(text, turn, reading))
        return hits[1:]

    def _exact(self, text: str, turn: Turn, reading: Reading) -> tuple[bool, bool]:
        """Whether an answer is word for word right: for what the fused head reads, and for the truth."""
        same = text == turn.answer.strip()
        return same, same and (reading.fused.argmax() == reading.case.truth or not turn.reads)

    def _filled(self, text: str, percept: Percept) -> str:
        """An answer with its facts put in; numbers that are none of them are counted."""
        self.invented += _DIGIT.search(text.lower()) is not None
        return facts.fill(text, facts.of_percept(self.pipeline.manifest, percept))[0]

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


def shares(hits: Sequence[tuple[bool, bool]]) -> dict[str, float]:
    """Of pairs (as the head reads, as it is)."""
    as_head, as_truth = np.mean(hits, axis=0)
    return {"count": len(hits), "as_fused_head": float(as_head), "as_truth": float(as_truth)}


def numeric(
    pipeline: Pipeline,
    language: LanguageModel,
    head: str,
    cases: Sequence[Case],
    seed: int = 0,
    count: int = 40,
) -> dict[str, dict[str, float]]:
    """The family `number` of a head that reads numbers: the right sentence, in which the device fills them.

    The numbers themselves are scored beside their floor (`evaluate.numbers`).
    """
    rng = np.random.default_rng(seed)
    asker = Asker(rng, held_out=True)
    hits: list[tuple[bool, bool]] = []
    while len(hits) < count:
        case = cases[int(rng.integers(len(cases)))]
        percept = pipeline.perceive(window_of(case.values))
        turn = asker.number(State({}, frozenset(percept.present)))
        if turn.head == head:
            right = language.generate(percept.conditioning, turn.question).text.strip() == turn.answer.strip()
            hits.append((right, right))
    return {"number": shares(hits)}


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

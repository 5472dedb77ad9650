"""The instruction corpus: deterministic, honest about missing sensors, and free of leaked labels."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from export import questions
from export.dialogs import NO_DATA, Asker, State
from export.labels import ACTIVITY, EVENT, PHRASES, TASK_SLOTS, labels


def draw(seed: int, count: int, *, held_out: bool = False):
    asker = Asker(np.random.default_rng(seed), held_out=held_out)
    for _ in range(count):
        state = asker.state()
        yield state, asker.turn(state)


def test_the_same_seed_gives_the_same_dialogs() -> None:
    assert list(draw(3, 200)) == list(draw(3, 200))
    assert list(draw(3, 200)) != list(draw(4, 200))


def test_held_out_wordings_are_never_trained_on() -> None:
    for wordings in (questions.ACTIVITY_QUERY, questions.EVENT_QUERY, *questions.YES_NO.values()):
        train, test = questions.split(wordings, held_out=False), questions.split(wordings, held_out=True)
        assert test
        assert not set(train) & set(test)
        assert sorted(train + test) == sorted(wordings)


def test_an_answer_that_reads_names_the_true_label_first() -> None:
    named = 0
    for state, turn in draw(5, 3000):
        if turn.reads and turn.task and not turn.family.startswith("follow_sensor"):
            phrase = PHRASES[turn.task][state.labels[turn.task]]
            others = [p for p in PHRASES[turn.task].values() if p != phrase]
            assert phrase in turn.answer, (state, turn)
            assert not any(other in turn.answer for other in others), (state, turn)
            named += 1
    assert named > 1000


def test_without_a_sensor_the_answer_says_so() -> None:
    asker = Asker(np.random.default_rng(0))
    nothing = State({ACTIVITY: "walking", EVENT: "rain"}, frozenset())
    for task in (ACTIVITY, EVENT):
        turn = asker.label_query(nothing, task)
        assert turn.answer == NO_DATA[task]
        assert not turn.reads


@pytest.mark.parametrize("task", [ACTIVITY, EVENT])
@pytest.mark.parametrize("family", ["label_query", "yes_no", "choice", "false_premise", "why"])
def test_a_text_only_classifier_stays_at_chance(task: str, family: str) -> None:
    asker = Asker(np.random.default_rng(11))
    every = frozenset(slot for slots in TASK_SLOTS.values() for slot in slots)
    texts, truth = [], []
    for _ in range(6000):
        label = labels(task)[asker.rng.integers(len(labels(task)))]
        state = State({ACTIVITY: "seated", EVENT: "dog"} | {task: label}, every)
        texts.append(getattr(asker, family)(state, task).question)
        truth.append(label)
    model = make_pipeline(CountVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=300))
    model.fit(texts[:4000], truth[:4000])
    chance = 1 / len(labels(task))
    assert model.score(texts[4000:], truth[4000:]) < chance + 0.03

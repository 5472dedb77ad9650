"""Dialogs about the past: the same for the same seed, honest about what is held out, known to the device."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tokenizers")
gguf = pytest.importorskip("gguf")


from edge_agent.memory.forms import FORMS
from edge_agent.memory.telling import Said, objection
from edge_agent.perception.prompt import QUESTION, normalise_question
from export import questions as q
from export.answers import Turn
from export.batches import LENGTH_STEP, ROW_TOKENS, Codec
from export.catalog import SLOTS, classes
from export.past import KINDS, Past
from export.train_language import CAPTIONS, PAST
from export.wordings.past import PAST as WORDINGS

WAYS = [(asked, way) for asked in WORDINGS for way in range(3)]


def draw(seed: int, count: int, *, held_out: bool = False) -> list[tuple[Said, Turn]]:
    past = Past(np.random.default_rng(seed), held_out=held_out)
    return [past.draw() for _ in range(count)]


def test_the_same_seed_gives_the_same_questions():
    assert draw(3, 100) == draw(3, 100)
    assert draw(3, 100) != draw(4, 100)


def test_every_kind_that_the_device_may_ask_for_is_trained_in_every_form():
    turns = [(said.kind, turn.answer.replace(" {caution}.", "").strip()) for said, turn in draw(0, 8000)]
    seen = Counter(turns)
    assert {kind for kind, _ in seen} == set(FORMS)
    assert set(seen) == {(kind, form) for kind, forms in FORMS.items() for form in forms}
    assert min(Counter(kind for kind, _ in turns).values()) > 8000 / len(FORMS) / 5


def test_every_answer_is_one_that_the_device_accepts():
    for held_out in (False, True):
        for said, turn in draw(1, 2000, held_out=held_out):
            assert objection(turn.answer, said) == ""
            assert turn.question == normalise_question(turn.question)
            assert turn.question.startswith(f"past {said.kind}")
            assert not turn.reads


@pytest.mark.parametrize(("asked", "way"), WAYS)
def test_held_out_wordings_are_never_trained_on(asked: str, way: int):
    wordings = WORDINGS[asked][way]
    train, test = q.split(wordings, held_out=False), q.split(wordings, held_out=True)
    assert test
    assert not set(train) & set(test)
    assert len(set(wordings)) == len(wordings)


def test_no_question_that_is_held_out_is_met_in_training():
    """But for half questions, of which two wordings may become one: "{x} {t}" and "{x}" with a time."""
    trained = {turn.question for _, turn in draw(5, 8000)}
    held_out = [turn.question for _, turn in draw(6, 2000, held_out=True)]
    assert np.mean([question in trained for question in held_out]) < 0.1


def test_a_wording_has_places_that_are_filled_and_no_number():
    for ways in WORDINGS.values():
        for wording in (w for way in ways for w in way):
            assert set(re.findall(r"\{(\w+)\}", wording)) <= set("xtnmls")
            assert re.fullmatch(r"[a-z ,{}]+", wording), wording
    assert set(WORDINGS) == set(KINDS)


def test_no_answer_names_a_label_or_a_sensor():
    named = [p for head in classes() for p in head.phrases.values()] + [s.description for s in SLOTS.values()]
    for form in (form for forms in FORMS.values() for form in forms):
        plain = re.sub(r"\{\w+\}", "", form)
        found = [w for w in named if re.search(rf'"{re.escape(w)}"|\b{re.escape(w)}\b', plain)]
        assert set(found) <= {"none", "nothing", "still"}, form  # words before they are labels


def test_a_turn_fits_into_a_row_in_the_words_that_the_shipped_model_has(codec: Codec):
    every = draw(2, 3000) + draw(2, 1000, held_out=True)
    lengths = [len(codec.dialog([turn])[0]) for _, turn in every]
    assert np.mean(np.array(lengths) > ROW_TOKENS) < 0.005, "a longer one makes every row beside it longer"
    assert max(lengths) <= ROW_TOKENS + LENGTH_STEP
    texts = [(QUESTION.format(question=turn.question), turn.answer) for _, turn in every[:300]]
    words = sum(len(text.split()) for pair in texts for text in pair)
    tokens = sum(len(codec.tokenizer.encode(text).ids) for pair in texts for text in pair)
    assert tokens < 2.6 * words, "a place for a fact is three to five tokens, a word seldom more than two"
    for text in (text for pair in texts for text in pair):
        assert codec.tokenizer.decode(codec.tokenizer.encode(text).ids, skip_special_tokens=False) == text


def test_training_draws_the_share_of_rows_that_it_says(codec: Codec, tmp_path):
    from test_train_language import make_trainer

    from export import tokenizer as bpe

    lines = [f"{turn.question}{turn.answer}" for _, turn in draw(7, 500)]
    phrases = [f" {p}" for head in classes() for p in head.phrases.values()] * 200
    trainer = make_trainer(bpe.train([*lines, *phrases], n_vocab=900), tmp_path, 1)
    state = trainer.asker.state()
    rows = [trainer._turns(state) for _ in range(3000)]
    share = np.mean([row[0].family == "past" for row in rows])
    assert share == pytest.approx(PAST, abs=0.015)
    assert all({turn.family for turn in row} == {"past"} for row in rows if row[0].family == "past")
    assert 0.05 <= PAST <= 0.1 < CAPTIONS
    trainer._seed(1)
    again = trainer._turns(state)
    trainer._seed(1)
    assert trainer._turns(state) == again, "a step depends on its seed alone"

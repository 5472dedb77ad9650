"""Dialogs that tell which kind of answer a question about the past wants: honest about what is held out."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tokenizers")
gguf = pytest.importorskip("gguf")


from edge_agent.memory import kinds
from edge_agent.memory.known_words import ASKING, DEVICE, NUMBER, THEN, THING
from edge_agent.memory.lexicon import stem
from edge_agent.perception.prompt import normalise_question
from export import questions as q
from export.answers import Turn
from export.batches import ROW_TOKENS, Codec
from export.kinds import TIMED, Kinds, part, sources
from export.wordings.kinds import KINDS

EVERY = {*kinds.OF_THING, *kinds.OF_NUMBER, *kinds.OF_DEVICE, kinds.OTHER}
PLACES = {**dict.fromkeys(kinds.OF_THING, "x"), **dict.fromkeys(kinds.OF_NUMBER, "n"), "sensors": "s"}


def draw(seed: int, count: int, *, held_out: bool = False) -> list[tuple[str, Turn]]:
    drawing = Kinds(np.random.default_rng(seed), held_out=held_out)
    return [drawing.draw() for _ in range(count)]


def test_the_same_seed_gives_the_same_questions():
    assert draw(3, 100) == draw(3, 100)
    assert draw(3, 100) != draw(4, 100)


def test_every_kind_that_the_device_may_choose_is_trained_as_often():
    seen = Counter(kind for kind, _ in draw(0, 4000))
    assert set(seen) == EVERY == set(KINDS)
    assert min(seen.values()) > 4000 / len(KINDS) / 2


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_is_asked_for_in_many_ways_of_which_some_are_held_out(kind: str):
    train, test = (q.split(KINDS[kind], held_out=held_out) for held_out in (False, True))
    assert len(set(KINDS[kind])) == len(KINDS[kind]) >= 50
    assert len(test) >= 10
    assert not set(train) & set(test)
    for wording in KINDS[kind]:
        assert re.fullmatch(r"[a-z0-9 ,{}]+", wording), wording
        allowed = PLACES.get(kind, "xns") if kind != "events" else "xs"
        assert set(re.findall(r"\{(\w+)\}", wording)) <= set(allowed), wording


def test_no_wording_is_of_two_kinds():
    of = {kind: {w for source in sources(kind) for w in source} for kind in KINDS}
    shared = Counter(w for wordings in of.values() for w in wordings)
    assert [w for w, count in shared.items() if count > 1] == [
        "how high was {n} {t}"
    ]  # that is as people ask


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_held_out_of_one_source_is_trained_from_none(kind: str):
    trained = {w for several in map(sources, KINDS) for s in several for w in part(s, held_out=False)}
    assert not trained & {w for source in sources(kind) for w in part(source, held_out=True)}


def test_no_question_that_is_held_out_is_met_in_training():
    trained = {turn.question for _, turn in draw(5, 20000)}
    held_out = [turn.question for _, turn in draw(6, 2000, held_out=True)]
    assert np.mean([question in trained for question in held_out]) < 0.02


def test_a_question_names_nothing_but_stands_as_the_device_puts_it():
    drawn = [turn for _, turn in draw(7, 3000)]
    for turn in drawn:
        assert turn.question == normalise_question(turn.question)
        assert turn.question.startswith("past kind. ")
        assert not re.search(r"[{}]", turn.question)
        assert not turn.reads
    assert np.mean([t.question.endswith(f" {THEN}?") for t in drawn]) == pytest.approx(TIMED, abs=0.05)


def test_each_answer_differs_from_the_others_in_its_first_token(codec: Codec):
    first = {codec.tokenizer.encode(f" {kinds.answer(kind)}").ids[0] for kind in EVERY}
    assert len(first) == len(EVERY)


@pytest.mark.parametrize(
    ("of", "several"),
    [(THING, kinds.OF_THING), (NUMBER, kinds.OF_NUMBER), (DEVICE, kinds.OF_DEVICE)],
)
def test_the_model_is_trained_on_every_word_that_it_may_be_asked_with(of: str, several: tuple[str, ...]):
    """What only says how something is asked passes for known because of it."""
    asked = [turn.question for kind, turn in draw(8, 40000) if kind in several]
    trained = {stem(w) for question in asked for w in re.findall("[a-z]+", question)}
    assert [word for word in ASKING[of].split() if stem(word) not in trained] == []
    assert of != NUMBER or [word for word in kinds.QUALITIES if stem(word) not in trained] == []


def test_two_turns_fit_into_a_row_beside_an_answer(codec: Codec):
    lengths = [len(codec.dialog([turn])[0]) for _, turn in draw(2, 2000)]
    assert max(lengths) < ROW_TOKENS / 2


def test_each_wording_that_is_held_out_is_measured_once():
    each = Kinds(np.random.default_rng(0), held_out=True).each()
    assert Counter(kind for kind, _ in each) == {k: len(q.split(w, held_out=True)) for k, w in KINDS.items()}

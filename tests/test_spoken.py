"""What the adapter shows before it has learned anything: the word for what a head reads."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import tiny_training
import torch

from export.answers import State
from export.batches import LABEL_WEIGHT, Codec
from export.catalog import HEADS, classes
from export.dialogs import Asker
from export.networks.adapter import Adapter
from export.networks.language import LanguageModel
from export.spoken import show_words
from export.student import Student
from export.train_heads import shipped_config


@pytest.fixture(scope="module")
def codec():
    return Codec(tiny_training.tiny_tokenizer())


def make_student(codec, d_model):
    torch.manual_seed(0)
    config = shipped_config(lambda _slot: 2, n_embd=64, n_layer=2, d_model=d_model)
    return Student(Adapter(config), LanguageModel(tiny_training.LANGUAGE), codec.prefix).eval()


def shown(student, head, label):
    """The soft tokens when a head is sure of one label and nothing else has data."""
    config = student.adapter.config
    mask = torch.tensor([[float(s in HEADS[head].slots) for s in config.names]])
    logits = torch.zeros(1, config.n_logits)
    for _slot, shape, where in config.pieces():
        if shape.name == head:
            logits[0, where.start + HEADS[head].labels.index(label)] = 20.0
    tokens = torch.zeros(1, sum(n for _, n in config.slots), config.d_token)
    with torch.no_grad():
        return student.adapter(tokens, torch.zeros(1, len(config.slots), 128), logits, mask).soft[0]


@pytest.mark.parametrize("head", [h.name for h in classes()])
def test_the_loudest_token_points_at_the_words_of_the_label(codec, head):
    student = make_student(codec, d_model=64)
    show_words(student, codec.tokenizer)
    place = list(HEADS).index(head) % student.adapter.config.n_soft
    words = {p: codec.tokenizer.encode(f" {p}").ids[0] for p in HEADS[head].phrases.values()}
    rows = student.language.token_embd.weight[list(words.values())]
    for i, label in enumerate(HEADS[head].labels):
        soft = shown(student, head, label)[place]
        assert int(torch.cosine_similarity(soft[None], rows).argmax()) == i, label


def test_another_width_than_the_language_models_is_left_as_it_is(codec):
    student = make_student(codec, d_model=128)
    before = student.adapter.show.weight.clone()
    show_words(student, codec.tokenizer)
    assert torch.equal(before, student.adapter.show.weight)


def test_the_token_that_names_the_class_weighs_most(codec):
    asker = Asker(np.random.default_rng(0))
    state = State({"posture": "standing"}, frozenset({"thermal"}))
    turn = asker.label_query(state, "posture")
    ids, weight, _ = codec.dialog([turn])
    at = weight.index(LABEL_WEIGHT)
    assert codec.tokenizer.decode([ids[at]]).strip() == "standing"
    assert weight.count(LABEL_WEIGHT) == 1


def test_captions_tell_every_head_that_has_data_once(codec):
    asker = Asker(np.random.default_rng(1))
    state = State({"posture": "standing", "travel": "on_foot"}, frozenset({"thermal", "gps"}))
    families = set()
    for _ in range(40):
        turns = asker.captions(state)
        read = [t for t in turns if t.reads]
        assert sorted(t.head for t in read) == ["posture", "travel"]
        assert all(HEADS[t.head].phrases[state.labels[t.head]] in t.answer for t in read)
        families |= {t.family for t in turns if not t.reads}
    assert families == {"which_sensor", "conflict", "missing"}, "neither of the two measures a number"
    many = {h.name: h.labels[0] for h in classes()}
    everything = State(many, frozenset(s for h in classes() for s in h.slots))
    assert len(asker.captions(everything)) == 6
    blind = {t.family for t in asker.captions(State({}, frozenset()))}
    assert blind == {"which_sensor", "conflict", "missing"}

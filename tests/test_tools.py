"""Calls of tools: the one that is right, and a grammar that lets a language model word no other kind."""

from __future__ import annotations

import json

import numpy as np
import pytest
import random_model

from edge_agent.errors import ModelError
from edge_agent.perception import tools, vocabulary
from edge_agent.perception.answer import Answers
from edge_agent.perception.llama_batch import Llama, LlamaOptions
from edge_agent.types import Percept, TaskPercept
from export.catalog import EVENT, HEADS
from export.wordings import FAMILIES

ALARMS = {EVENT: {"baby_cry": "notify", "fire_crackling": "alarm"}, "occupancy": {"occupied": "notify"}}


@pytest.fixture(scope="module")
def manifest():
    found = random_model.shared(random_model.WIDE).manifest
    tasks = tuple(t.model_copy(update={"alarms": ALARMS.get(t.name, {})}) for t in found.tasks)
    return found.model_copy(update={"tasks": tasks})


@pytest.fixture(scope="module")
def llama():
    model = Llama(random_model.shared().language.gguf("q8_0"), LlamaOptions())
    yield model
    model.close()


def percept(**labels):
    tasks = {
        name: TaskPercept(name, label, 0.9, {label: 0.9}, {"audio": 1.0}, -3.0, known=label != "rooster")
        for name, label in labels.items()
    }
    return Percept(1, 0, tasks, ("audio", "air"), (), random_model.conditioning())


@pytest.mark.parametrize(
    ("labels", "call"),
    [
        ({}, {"tool": "none"}),
        ({EVENT: "rain", "occupancy": "empty"}, {"tool": "none"}),
        ({EVENT: "baby_cry"}, {"tool": "notify", "reason": "baby crying"}),
        ({"occupancy": "occupied", EVENT: "fire_crackling"}, {"tool": "alarm", "reason": "fire crackling"}),
        ({EVENT: "baby_cry", "occupancy": "occupied"}, {"tool": "notify", "reason": "baby crying"}),
    ],
)
def test_the_most_urgent_call_is_made(manifest, labels, call):
    assert json.loads(tools.call_for(manifest, percept(**labels))) == call


def test_what_is_not_known_calls_nothing(manifest):
    unsure = percept(**{EVENT: "rooster"})
    heads = {**ALARMS, EVENT: {"rooster": "alarm"}}
    tasks = tuple(t.model_copy(update={"alarms": heads.get(t.name, {})}) for t in manifest.tasks)
    assert json.loads(tools.call_for(manifest.model_copy(update={"tasks": tasks}), unsure)) == {
        "tool": "none"
    }


def test_another_call_than_the_right_one_is_not_given(manifest):
    answers, seen = Answers(manifest), percept(**{EVENT: "baby_cry"})
    assert answers.objection('{"tool": "notify", "reason": "baby crying"}', seen) == ""
    assert answers.objection('{"tool": "alarm", "reason": "baby crying"}', seen)
    assert answers.objection('{"tool": "none"}', seen)
    assert answers.fallback(seen, "what do you recommend?") == tools.call_for(manifest, seen)


def test_every_question_for_advice_is_known_as_one():
    assert [w for w in FAMILIES.advice if not vocabulary.concerns(w, tools.ADVICE_WORDS)] == []


@pytest.mark.parametrize("seed", range(5))
def test_whatever_the_model_prefers_the_call_is_well_formed(manifest, llama, seed):
    rng = np.random.default_rng(seed)
    grammar, said = llama.grammar(tools.grammar(manifest)), b""
    for _ in range(200):
        token = grammar.choose(rng.normal(0, 5, llama.n_vocab).astype(np.float32))
        if llama.is_end(token):
            break
        said += llama.piece(token)
    grammar.close()
    grammar.close()
    call = json.loads(said)
    assert call["tool"] in {"none", "notify", "alarm"}
    phrases = {HEADS[h].phrases[label] for h, found in ALARMS.items() for label in found}
    assert call == {"tool": "none"} or call["reason"] in phrases


def test_a_model_without_alarms_can_only_call_nothing(llama):
    grammar = llama.grammar(tools.grammar(random_model.shared().manifest))
    said = b""
    while not llama.is_end(token := grammar.choose(np.zeros(llama.n_vocab, np.float32))):
        said += llama.piece(token)
    assert json.loads(said) == {"tool": "none"}
    grammar.close()


def test_a_grammar_that_is_none_is_refused(llama):
    with pytest.raises(ModelError, match="cannot read the grammar"):
        llama.grammar("root ::= (")

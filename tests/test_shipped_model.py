"""The model that ships, where it is: its files fit together and every label is one token of its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from edge_agent.manifest import Modality, Task
from edge_agent.perception import facts, tools
from edge_agent.perception.dialog import Prompt
from edge_agent.perception.encoders import window_shape
from edge_agent.perception.language import LanguageModel
from edge_agent.perception.llama_batch import LlamaOptions
from edge_agent.perception.pipeline import Pipeline
from edge_agent.types import SlotWindow, Window
from export.catalog import HEADS, SLOTS

FOLDER = Path(__file__).parent.parent / "models" / "iotlm-7m"
LARGEST_BYTES = 60 * 10**6

pytestmark = pytest.mark.skipif(
    not (FOLDER / "manifest.json").is_file(), reason="no shipped model in models/iotlm-7m"
)


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline(FOLDER)


@pytest.fixture(scope="module")
def language(pipeline):
    spec = pipeline.manifest.language
    prompt = Prompt(spec.prefix, spec.question, spec.max_answer_tokens)
    model = LanguageModel(FOLDER / spec.file, prompt, LlamaOptions(spec.context_tokens))
    yield model
    model.close()


def test_it_is_trained_and_small(pipeline):
    assert pipeline.manifest.source == "trained"
    assert sum(f.size_bytes for f in pipeline.manifest.files.values()) < LARGEST_BYTES


def test_the_language_model_has_the_shape_the_manifest_says(pipeline, language):
    spec, llama = pipeline.manifest.language, language.llama
    assert (llama.n_embd, llama.n_layer, llama.n_vocab) == (spec.n_embd, spec.n_layer, spec.n_vocab)


def test_every_label_begins_with_its_own_whole_word(pipeline, language):
    for head in pipeline.manifest.tasks:
        for phrase, token in zip(head.phrases, head.label_tokens, strict=True):
            assert language.llama.tokenize(f" {phrase}", control=False)[0] == token
            assert language.llama.piece(token).decode() == f" {phrase.split()[0]}"


def test_a_place_at_the_beginning_of_an_answer_is_not_taken_for_a_call(pipeline, language):
    """Both begin with a brace; only a call is held to the grammar of calls, as the worker sets it."""
    spec = pipeline.manifest.language
    prompt = Prompt(spec.prefix, spec.question, spec.max_answer_tokens)
    options = LlamaOptions(spec.context_tokens)
    held = LanguageModel(FOLDER / spec.file, prompt, options, tools.grammar(pipeline.manifest))
    shape = window_shape(pipeline.manifest.slot("audio"))
    noise = np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32)
    percept = pipeline.perceive(Window(0, 0, {"audio": SlotWindow(noise, 1.0, 0.0)}))
    asked = ["what is going on?", "what do you perceive?", "tell me everything?", "report?", "status?"]
    free = [language.generate(percept.conditioning, question).text for question in asked]
    assert "{summary}" in free
    assert [held.generate(percept.conditioning, question).text for question in asked] == free
    held.close()


def test_noise_is_answered_in_words(pipeline, language):
    percept = pipeline.perceive(noise_in_every_slot(pipeline.manifest))
    assert set(percept.tasks) == {t.name for t in pipeline.manifest.tasks}
    assert set(percept.numbers) == {n.name for n in pipeline.manifest.numbers}
    for head in pipeline.manifest.heads:
        out = language.generate(percept.conditioning, head.question)
        assert out.stop == "end", head.name
        said, unknown = facts.fill(out.text, facts.of_percept(pipeline.manifest, percept))
        assert said
        assert not unknown


def test_its_heads_are_those_of_the_catalog(pipeline):
    assert [h.name for h in pipeline.manifest.heads] == list(HEADS)
    for head in pipeline.manifest.heads:
        assert head.task == HEADS[head.name].task
        assert head.kind == HEADS[head.name].kind
        assert pipeline.manifest.serving(head.name) == set(HEADS[head.name].slots)
    assert [s.name for s in pipeline.manifest.slots] == list(SLOTS)


def test_every_modality_and_task_of_the_paper_is_there(pipeline):
    assert {s.modality for s in pipeline.manifest.slots} >= set(get_args(Modality))
    assert {h.task for h in pipeline.manifest.heads} == set(get_args(Task))


def noise_in_every_slot(manifest):
    rng = np.random.default_rng(1)
    values = {s.name: rng.normal(0, 0.1, window_shape(s)).astype(np.float32) for s in manifest.slots}
    return Window(0, 0, {name: SlotWindow(v, 1.0, 0.0) for name, v in values.items()})

"""The model that ships, where it is: its files fit together and every label is one token of its tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest
import random_model

from edge_agent.perception.dialog import Prompt
from edge_agent.perception.language import LanguageModel
from edge_agent.perception.llama_batch import LlamaOptions
from edge_agent.perception.pipeline import Pipeline

FOLDER = Path(__file__).parent.parent / "models" / "iotlm-7m"
LARGEST_BYTES = 40 * 10**6

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


def test_noise_is_answered_in_words(pipeline, language):
    percept = pipeline.perceive(random_model.window("imu_phone", "imu_watch", "audio", seed=1))
    assert set(percept.tasks) == {t.name for t in pipeline.manifest.tasks}
    out = language.generate(percept.conditioning, "what is the person doing?")
    assert out.stop == "end"
    assert out.text

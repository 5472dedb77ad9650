"""The GGUF file computes what torch computes, and its tokenizer reads what `tokenizers` reads."""

from __future__ import annotations

import json

import gguf
import numpy as np
import pytest
import random_model
import torch

from edge_agent.perception.llama_batch import Llama, LlamaOptions
from edge_agent.perception.prompt import CONTROL_TOKENS, PREFIX
from export import gguf_writer

TOLERANCE = 1e-4
EXACT = LlamaOptions(context_tokens=256, exact=True)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return random_model.write_language(tmp_path_factory.mktemp("lm"))


def torch_logits(model, prefix, conditioning, question):
    with torch.no_grad():
        soft = torch.from_numpy(conditioning.soft)
        embeds = torch.cat(
            [model.token_embd(torch.tensor(prefix)), soft, model.token_embd(torch.tensor(question))]
        )
        conditioned = torch.tensor([0.0] * len(prefix) + [1.0] * (len(soft) + len(question)))
        control = torch.from_numpy(conditioning.control)[None]
        return model.logits(model(embeds[None], control, conditioned[None]))[0].numpy()


def llama_logits(llama, prefix, conditioning, question):
    llama.truncate(0)
    llama.set_control(None)
    static = llama.decode_tokens(prefix, want="all")
    llama.set_control(conditioning.control)
    soft = llama.decode_embeddings(conditioning.soft, want="all")
    return np.concatenate([static, soft, llama.decode_tokens(question, want="all")])


@pytest.mark.parametrize("seed", [0, 1])
def test_soft_tokens_and_control_vectors_give_the_logits_of_torch(written, seed):
    conditioning = random_model.conditioning(seed=seed)
    llama = Llama(written.gguf("f32"), EXACT)
    prefix = llama.tokenize(PREFIX, control=True)
    question = llama.tokenize("<|user|>what is the person doing?<|agent|>", control=True)
    got = llama_logits(llama, prefix, conditioning, question)
    llama.close()
    expected = torch_logits(written.model, prefix, conditioning, question)
    assert np.abs(expected).max() > 1.0, "the logits must be large enough for the tolerance to mean something"
    assert np.abs(got - expected).max() < TOLERANCE


def test_each_layer_of_the_control_vector_arrives_at_its_own_block(written):
    """One layer at a time, so that two wrong layers cannot make one right sum."""
    llama = Llama(written.gguf("f32"), EXACT)
    prefix, question = llama.tokenize("<|bos|>a", control=True), llama.tokenize("b", control=True)
    base = random_model.conditioning(seed=3)
    for layer in range(base.control.shape[0]):
        control = np.zeros_like(base.control)
        control[layer] = 3 * base.control[layer]
        conditioning = type(base)(base.soft, control)
        got = llama_logits(llama, prefix, conditioning, question)
        expected = torch_logits(written.model, prefix, conditioning, question)
        assert np.abs(got - expected).max() < TOLERANCE, layer
    llama.close()


def test_q8_0_stays_near_f32_and_is_a_quarter_of_the_size(written):
    conditioning = random_model.conditioning()
    logits = {}
    for quantisation in ("f32", "q8_0"):
        llama = Llama(written.gguf(quantisation), EXACT)
        prefix = llama.tokenize(PREFIX, control=True)
        logits[quantisation] = llama_logits(llama, prefix, conditioning, prefix)
        llama.close()
    difference = np.abs(logits["f32"] - logits["q8_0"]).max()
    assert 0 < difference < 0.05 * np.abs(logits["f32"]).max()
    assert written.gguf("q8_0").stat().st_size < 0.32 * written.gguf("f32").stat().st_size


def test_tokenizer_ids_are_equal_on_two_thousand_strings(written):
    llama = Llama(written.gguf("q8_0"), EXACT)
    reference = written.tokenizer
    texts = random_model.sentences(2000, seed=11)
    for text in texts:
        got = llama.tokenize(text, control=True)
        assert got == reference.encode(text).ids, repr(text)
    llama.close()


def test_pieces_join_to_the_text_again(written):
    llama = Llama(written.gguf("q8_0"), EXACT)
    for text in random_model.sentences(50, seed=5):
        ids = llama.tokenize(text, control=False)
        assert b"".join(llama.piece(i) for i in ids).decode() == text
    llama.close()


def test_the_file_says_what_llama_cpp_must_not_guess(written):
    fields = gguf.GGUFReader(written.gguf("q8_0")).fields
    value = {k: f.contents() for k, f in fields.items() if not k.startswith("tokenizer.ggml.tokens")}
    names = written.tokenizer
    assert value["general.architecture"] == "llama"
    assert value["tokenizer.ggml.model"] == "gpt2"
    assert value["tokenizer.ggml.pre"] == "smollm"
    assert value["tokenizer.ggml.bos_token_id"] == names.token_to_id("<|bos|>")
    assert value["tokenizer.ggml.eos_token_id"] == names.token_to_id("<|end|>")
    assert value["tokenizer.ggml.add_bos_token"] is False
    types = value["tokenizer.ggml.token_type"]
    control = [i for i, kind in enumerate(types) if kind == gguf.TokenType.CONTROL]
    assert control == [names.token_to_id(t) for t in CONTROL_TOKENS]
    assert types[-1] == gguf.TokenType.UNUSED


def test_norms_stay_f32_and_matrices_become_q8_0(written):
    kinds = {t.name: t.tensor_type.name for t in gguf.GGUFReader(written.gguf("q8_0")).tensors}
    assert "output.weight" not in kinds, "the output matrix is tied"
    for name, kind in kinds.items():
        assert kind == ("F32" if "norm" in name else "Q8_0"), name


def test_a_tokenizer_larger_than_the_network_is_refused(written, tmp_path):
    with pytest.raises(ValueError, match="ids up to 499"):
        gguf_writer.read_vocabulary(written.folder / "tokenizer.json", 300)


def test_a_tokenizer_that_is_not_bpe_is_refused(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"model": {"type": "Unigram"}, "added_tokens": []}))
    with pytest.raises(ValueError, match="Unigram"):
        gguf_writer.read_vocabulary(path, 512)

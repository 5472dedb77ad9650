"""Bring your own language model: what transformers computes is what torch here and llama.cpp compute."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("transformers")

import gguf
from byo_checkpoints import PRE_TOKENIZERS, write_checkpoint, write_tokenizer
from random_model import sentences

from edge_agent.perception.llama_batch import Llama, LlamaOptions
from edge_agent.perception.prompt import CONTROL_TOKENS, PREFIX, QUESTION
from export.byo import gguf_file
from export.byo import tokenizer as byo_tokenizer
from export.byo.checkpoint import Checkpoint, read_shape
from export.byo.network import FrozenLanguage
from export.parity import texts

TOLERANCE = 1e-3
EXACT = LlamaOptions(context_tokens=256, exact=True)
LLAMA3_ROPE = {
    "rope_type": "llama3", "rope_theta": 10_000.0, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
}  # fmt: skip
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "smollm2": ("llama", "smollm", {}),
    "llama3.2": ("llama", "llama-bpe", {"rope_parameters": LLAMA3_ROPE, "head_dim": 32}),
    "llama_untied_biased": ("llama", "gpt-2", {"tie_word_embeddings": False, "attention_bias": True}),
    "qwen2.5": ("qwen2", "qwen2", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}),
    "qwen2_untied_full": ("qwen2", "qwen2", {"tie_word_embeddings": False, "vocab_size": 500}),
}
"""Checkpoint -> architecture, pre-tokenizer, what differs. 500 rows leave none for the control tokens."""


@dataclass(frozen=True)
class Case:
    folder: Path
    reference: Any
    model: FrozenLanguage
    llama: Llama

    def conditioning(self, seed: int = 0) -> tuple[Any, Any]:
        rng = np.random.default_rng(seed)
        shape = self.model.config
        soft = rng.normal(0, 0.3, (8, shape.n_embd)).astype(np.float32)
        return soft, rng.normal(0, 0.5, (shape.n_layer - 1, shape.n_embd)).astype(np.float32)


@pytest.fixture(scope="module", params=sorted(CASES))
def case(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param.replace(".", "_"))
    architecture, pre, changes = CASES[request.param]
    reference = write_checkpoint(folder, architecture, pre, **changes)
    source = Checkpoint(folder)
    tokenizer = byo_tokenizer.prepare(source.tokenizer_path)
    model = FrozenLanguage(source, byo_tokenizer.control_first(tokenizer), context_tokens=256).eval()
    path = folder / "lm-f32.gguf"
    gguf_file.write(path, model, tokenizer, pre, quantisation="f32", name="tiny")
    llama = Llama(path, EXACT)
    yield Case(folder, reference, model, llama)
    llama.close()


def hook(add, from_position):
    def after(_module, _args, output):
        hidden = output[0] if isinstance(output, tuple) else output
        changed = hidden.clone()
        changed[:, from_position:] += add
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    return after


def transformers_logits(case, prefix, soft, control, text):
    """The reference: embeddings in, control vectors added to what its own layers give."""
    table = case.reference.get_input_embeddings()
    embeds = torch.cat([table(torch.tensor(prefix)), torch.from_numpy(soft), table(torch.tensor(text))])
    layers = case.reference.model.layers[1:]
    handles = [
        layer.register_forward_hook(hook(torch.from_numpy(row), len(prefix)))
        for layer, row in zip(layers, control, strict=True)
    ]
    try:
        with torch.no_grad():
            return case.reference(inputs_embeds=embeds[None]).logits[0].numpy()
    finally:
        for handle in handles:
            handle.remove()


def torch_logits(model, prefix, soft, control, text):
    with torch.no_grad():
        rows = [model.token_embd(torch.tensor(ids)) for ids in (prefix, text)]
        embeds = torch.cat([rows[0], torch.from_numpy(soft), rows[1]])[None]
        conditioned = torch.ones(embeds.shape[:2])
        conditioned[:, : len(prefix)] = 0
        return model.logits(model(embeds, torch.from_numpy(control)[None], conditioned))[0].numpy()


def llama_logits(llama, prefix, soft, control, text):
    llama.truncate(0)
    llama.set_control(None)
    static = llama.decode_tokens(prefix, want="all")
    llama.set_control(control)
    return np.concatenate(
        [static, llama.decode_embeddings(soft, want="all"), llama.decode_tokens(text, want="all")]
    )


def test_soft_tokens_and_control_vectors_give_the_logits_of_transformers(case):
    """Over the checkpoint's own tokens: it has never met the control tokens."""
    n = case.model.config.control_first
    rng = np.random.default_rng(1)
    prefix, text = rng.integers(0, n, 24).tolist(), rng.integers(0, n, 60).tolist()
    expected = transformers_logits(case, prefix, *case.conditioning(), text)[:, :n]
    plain = transformers_logits(case, prefix, *(0 * x for x in case.conditioning()), text)[:, :n]
    assert np.abs(expected).max() > 5
    assert np.abs(expected - plain)[len(prefix) :].max() > 1, "the conditioning must show"
    ours = torch_logits(case.model, prefix, *case.conditioning(), text)[:, :n]
    llama = llama_logits(case.llama, prefix, *case.conditioning(), text)[:, :n]
    print("torch", np.abs(ours - expected).max(), "llama.cpp", np.abs(llama - expected).max())
    assert np.abs(ours - expected).max() < TOLERANCE
    assert np.abs(llama - expected).max() < TOLERANCE


def test_the_template_with_its_control_tokens_is_the_same_on_both_sides(case):
    tokens = [case.llama.tokenize(t, control=True) for t in (PREFIX, QUESTION.format(question="what?"))]
    first = case.model.config.control_first
    assert tokens[0][0] == first + CONTROL_TOKENS.index("<|bos|>")
    expected = torch_logits(case.model, tokens[0], *case.conditioning(), tokens[1])
    got = llama_logits(case.llama, tokens[0], *case.conditioning(), tokens[1])
    assert got.shape == expected.shape == (len(tokens[0]) + 8 + len(tokens[1]), case.model.config.n_vocab)
    assert np.abs(got - expected).max() < TOLERANCE


def test_tokenizer_ids_are_equal(case):
    reference = byo_tokenizer.prepare(case.folder / "tokenizer.json")
    lines = [*sentences(300, seed=3), *texts(300, seed=3), "12345 <tool_call> it's I'M\r\n\n x"]
    for text in lines:
        assert case.llama.tokenize(text, control=True) == reference.encode(text).ids, text


def test_only_the_rows_of_the_control_tokens_learn(case):
    learning = {name: tuple(p.shape) for name, p in case.model.named_parameters()}
    width = case.model.config.n_embd
    tables = ("token_embd",) if case.model.output is None else ("token_embd", "output")
    assert learning == {f"{t}.control": (len(CONTROL_TOKENS), width) for t in tables}
    assert set(case.model.state_dict()) == set(learning)


def test_gradients_pass_through_the_frozen_blocks_and_recomputing_them_changes_none(case):
    soft, control = (torch.from_numpy(x)[None].requires_grad_() for x in case.conditioning())
    found = []
    for again in (False, True):
        case.model.recompute_blocks = again
        loss = case.model.logits(case.model(soft, control)).square().mean()
        found.append(torch.autograd.grad(loss, [soft, control]))
    case.model.recompute_blocks = False
    for one, two in zip(*found, strict=True):
        assert one.abs().max() > 0
        torch.testing.assert_close(one, two)


def test_weights_kept_in_half_the_memory_stay_near(case):
    source = Checkpoint(case.folder)
    half = FrozenLanguage(source, case.model.config.control_first, context_tokens=256, dtype=torch.bfloat16)
    ids, (soft, control) = list(range(40)), case.conditioning()
    exact = torch_logits(case.model, ids, soft, control, ids)
    near = torch_logits(half.eval(), ids, soft, control, ids)
    assert np.corrcoef(exact.ravel(), near.ravel())[0, 1] > 0.99
    assert half.blocks[0].attn_q.weight.element_size() == 2


# -- the file ------------------------------------------------------------------------------------------


def test_q8_0_loads_and_stays_near(case, tmp_path):
    tokenizer = byo_tokenizer.prepare(case.folder / "tokenizer.json")
    pre = byo_tokenizer.pre_tokenizer(case.folder / "tokenizer.json")
    path = tmp_path / "lm.gguf"
    gguf_file.write(path, case.model, tokenizer, pre, quantisation="q8_0", name="tiny")
    ids, (soft, control) = list(range(40)), case.conditioning()
    exact = llama_logits(case.llama, ids, soft, control, ids)
    llama = Llama(path, EXACT)
    near = llama_logits(llama, ids, soft, control, ids)
    llama.close()
    assert np.corrcoef(exact.ravel(), near.ravel())[0, 1] > 0.99
    kinds = {t.name: t.tensor_type.name for t in gguf.GGUFReader(path).tensors}
    assert kinds["blk.0.attn_q.weight"] == "Q8_0"
    assert kinds["blk.0.attn_norm.weight"] == "F32"
    assert not (tmp_path / ".lm.gguf.part").exists()


def test_the_file_says_what_llama_cpp_must_not_guess(case):
    reader = gguf.GGUFReader(case.folder / "lm-f32.gguf")
    shape, first = case.model.config.shape, case.model.config.control_first

    def value(key):
        return reader.fields[key].contents()

    assert value("general.architecture") == shape.architecture
    assert value("tokenizer.ggml.model") == "gpt2"
    assert value("tokenizer.ggml.pre") == byo_tokenizer.pre_tokenizer(case.folder / "tokenizer.json")
    assert value("tokenizer.ggml.bos_token_id") == first
    assert value("tokenizer.ggml.eos_token_id") == first + 1
    assert value("tokenizer.ggml.add_bos_token") is False
    assert value(f"{shape.architecture}.rope.freq_base") == pytest.approx(shape.rope_theta)
    names, types = value("tokenizer.ggml.tokens"), value("tokenizer.ggml.token_type")
    assert len(names) == case.model.config.n_vocab
    assert types[names.index("<|im_end|>")] == gguf.TokenType.CONTROL
    assert types[names.index("<tool_call>")] == gguf.TokenType.USER_DEFINED
    held = {t.name for t in reader.tensors}
    assert ("output.weight" in held) == (not shape.tied)
    assert ("rope_freqs.weight" in held) == (shape.rope_scaling is not None)


# -- what is refused -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    write_checkpoint(folder, "llama", "smollm")
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def edit(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "gemma2"}, "gemma2.*llama and qwen2"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "RoPE scaling 'yarn'"),
        (
            {"rope_parameters": ..., "rope_scaling": {"type": "linear", "factor": 2.0}},
            "RoPE scaling 'linear'",
        ),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"use_sliding_window": True}, "sliding"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised"),
        ({"hidden_size": ...}, "no hidden_size"),
        ({"num_key_value_heads": 3}, "do not fit"),
        ({"num_hidden_layers": 4}, "lacks 9 tensors, the first is model.layers.3"),
        ({"num_hidden_layers": 2}, "no use for.*model.layers.2"),
        ({"tie_word_embeddings": False}, "lacks 1 tensors, the first is lm_head.weight"),
        ({"hidden_size": 128}, "model.embed_tokens.weight.*64.*128"),
    ],
)
def test_a_checkpoint_that_would_be_computed_differently_is_refused(folder, changes, said):
    edit(folder, "config.json", **changes)
    with pytest.raises(ValueError, match=said):
        Checkpoint(folder)


def test_theta_is_found_where_older_files_keep_it(folder):
    edit(folder, "config.json", rope_parameters=..., rope_theta=123_456.0, rope_scaling=None)
    assert read_shape(folder).rope_theta == 123_456.0


def test_the_first_of_several_ends_counts(folder):
    edit(folder, "config.json", eos_token_id=[7, 8])
    assert read_shape(folder).eos == 7


def test_pickled_weights_are_refused_without_being_read(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pickled.*safe_serialization"):
        Checkpoint(folder)


def test_shards_are_read_and_may_not_point_outside(folder):
    names = Checkpoint(folder).tensor_names()
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    index = {"weight_map": dict.fromkeys(names, "model-00001-of-00001.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert Checkpoint(folder).tensor("model.norm.weight").shape == (64,)
    index["weight_map"]["model.norm.weight"] = "../whole/model.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="no file of that folder"):
        Checkpoint(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        Checkpoint(folder)


def test_a_file_that_is_no_json_is_named(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json is not JSON"):
        Checkpoint(folder)


def test_a_truncated_weight_file_is_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"model.safetensors"):
        Checkpoint(folder)


# -- tokenizers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pre", sorted(PRE_TOKENIZERS))
def test_the_way_to_cut_words_is_recognised(tmp_path, pre):
    write_tokenizer(tmp_path / "tokenizer.json", pre)
    assert byo_tokenizer.pre_tokenizer(tmp_path / "tokenizer.json") == pre


def test_a_way_to_cut_words_without_a_name_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    write_tokenizer(path, "qwen2")
    content = json.loads(path.read_text())
    content["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] += "|x"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"pre-tokenizer.*smollm"):
        byo_tokenizer.prepare(path)


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("model", "byte_fallback", True, "SentencePiece"),
        ("model", "type", "Unigram", "Unigram"),
        ("normalizer", None, {"type": "Lowercase"}, "Lowercase"),
    ],
)
def test_a_tokenizer_of_another_kind_is_refused(tmp_path, part, key, value, said):
    path = tmp_path / "tokenizer.json"
    write_tokenizer(path, "smollm")
    content = json.loads(path.read_text())
    if key is None:
        content[part] = value
    else:
        content[part][key] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=said):
        byo_tokenizer.prepare(path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"model": {}}'])
def test_another_file_under_the_name_is_refused(tmp_path, text):
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="is no file of the `tokenizers` library"):
        byo_tokenizer.prepare(path)


def test_a_token_named_like_one_of_ours_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    tokenizer = write_tokenizer(path, "smollm")
    tokenizer.add_special_tokens(["<|user|>"])
    tokenizer.save(str(path))
    with pytest.raises(ValueError, match=r"<\|user\|>"):
        byo_tokenizer.prepare(path)


def test_phrases_of_several_tokens_are_told_apart_by_their_first(tmp_path):
    write_tokenizer(tmp_path / "tokenizer.json", "smollm")
    tokenizer = byo_tokenizer.prepare(tmp_path / "tokenizer.json")
    phrases = {"a": "standing", "b": "dogma", "c": "walking"}
    ids = byo_tokenizer.label_tokens(tokenizer, "activity_recognition", phrases)
    assert len(tokenizer.encode(" dogma").ids) > 1
    assert ids == tuple(tokenizer.encode(f" {p}").ids[0] for p in phrases.values())


def test_phrases_that_begin_alike_are_named(tmp_path):
    write_tokenizer(tmp_path / "tokenizer.json", "smollm")
    tokenizer = byo_tokenizer.prepare(tmp_path / "tokenizer.json")
    with pytest.raises(ValueError, match=r"'zebra' and 'zoology'.*begin differently"):
        byo_tokenizer.label_tokens(tokenizer, "event_detection", {"a": "zebra", "b": "zoology", "c": "rain"})

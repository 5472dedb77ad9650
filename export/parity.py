"""Is what ships what was trained? Torch against the files of a model folder, on the same inputs.

Encoders and adapter against ONNX, the language model against llama.cpp with soft tokens and control
vectors (F32 weights and cache, flash attention off), the shipped Q8_0 file against F32 by the labels it
reads, and the tokenizer by its ids (DESIGN.md, "What counts as true", 6).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from edge_agent import manifest as manifests
from edge_agent.manifest import Manifest, Slot
from edge_agent.perception.dialog import Prompt
from edge_agent.perception.encoders import input_shape
from edge_agent.perception.language import LanguageModel
from edge_agent.perception.llama_batch import Llama, LlamaOptions
from edge_agent.perception.onnx_session import OnnxSession
from edge_agent.types import Conditioning, Float32
from export import gguf_writer, onnx_writer
from export.answers import State
from export.dialogs import Asker
from export.groups import Sample as Features
from export.groups import draw, random_mask
from export.networks import language as networks
from export.networks.adapter import Adapter
from export.ship import Trained
from export.slot_features import TEST
from export.student import states_of

TOLERANCE = 1e-4
LABEL_AGREEMENT = 0.99
TEXTS = 2000


@dataclass(frozen=True)
class Sample:
    """A state of the sensors, as the language model hears it."""

    state: State
    conditioning: Conditioning


def run(folder: Path, trained: Trained, *, samples: int = 150, seed: int = 0) -> dict[str, Any]:
    """Every comparison and whether all keep their tolerance (`passed`). Takes about a minute."""
    manifest = manifests.load(folder)
    drawn = draw_samples(trained, samples, seed)
    encoders = {
        s.name: encoder_difference(folder, trained.encoders[s.name], manifest, s, seed)
        for s in manifest.slots
    }
    adapter = adapter_difference(folder, trained.student.adapter, manifest, seed)
    with tempfile.TemporaryDirectory() as scratch:
        exact = Path(scratch) / "lm-f32.gguf"
        gguf_writer.write(
            exact, trained.student.language, trained.tokenizer_path, quantisation="f32", name=manifest.name
        )
        language, scale = language_difference(exact, trained, manifest, drawn[:8])
        agreeing, compared = label_agreement(exact, folder, manifest, drawn)
    equal = equal_texts(folder / manifest.language.file, trained.tokenizer_path, seed)
    largest = max(*encoders.values(), adapter, language)
    passed = keeps(largest, agreeing / max(1, compared), equal / TEXTS)
    return {
        "encoders_torch_onnx": encoders,
        "adapter_torch_onnx": adapter,
        "language_torch_gguf_f32": language,
        "language_logit_scale": scale,
        "tolerance": TOLERANCE,
        "q8_0_f32_labels_agreeing": agreeing,
        "q8_0_f32_labels_compared": compared,
        "tokenizer_texts_equal": equal,
        "tokenizer_texts_compared": TEXTS,
        "passed": passed,
    }


def keeps(largest: float, agreeing: float, equal: float) -> bool:
    """Whether the largest difference, the share of labels read alike and that of equal texts all suffice."""
    return bool(largest <= TOLERANCE and agreeing >= LABEL_AGREEMENT and equal == 1)


# -- encoders and adapter ------------------------------------------------------------------------------


def encoder_difference(
    folder: Path, network: nn.Module, manifest: Manifest, slot: Slot, seed: int = 0
) -> float:
    """The largest difference of any output of an encoder (and its novelty, where `network` gives one).

    On noise of about the size of the real input.
    """
    width = manifest.adapter.d_token
    said = sum(manifest.head(name).width for name in slot.heads)
    outputs = {
        "tokens": (slot.n_tokens, width), "pooled": (width,), "logits": (said,),
        "novelty": (len(slot.heads),),
    }  # fmt: skip
    shape = input_shape(slot)
    session = OnnxSession(folder / slot.encoder, {"x": shape, "mask": (shape[1],)}, outputs)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(16, *shape, generator=generator)
    mask = (torch.rand(16, shape[1], generator=generator) > 0.1).float()
    if slot.features == "raw":
        x = 3.0 * x  # log-mel is already about -2..2
    with torch.no_grad():
        expected = network.eval()(x, mask)
    got = session.run({"x": x.numpy(), "mask": mask.numpy()})
    return max(_largest(got[name], value) for name, value in zip(outputs, expected, strict=False))


def adapter_difference(folder: Path, adapter: Adapter, manifest: Manifest, seed: int = 0) -> float:
    """The largest difference of any output, over random subsets of slots, as a share of outputs above 1."""
    graph = onnx_writer.AdapterGraph(adapter.eval())
    example = onnx_writer.adapter_example(adapter, 32, seed)
    with torch.no_grad():
        expected = dict(zip(graph.names, graph(*example), strict=True))
    inputs = dict(zip(onnx_writer.ADAPTER_INPUTS, example, strict=True))
    session = OnnxSession(
        folder / manifest.adapter.file,
        {name: tuple(value.shape[1:]) for name, value in inputs.items()},
        {name: tuple(value.shape[1:]) for name, value in expected.items()},
    )
    got = session.run({name: value.numpy() for name, value in inputs.items()})
    scales = {name: max(1.0, float(value.abs().max())) for name, value in expected.items()}
    return max(_largest(got[name], value) / scales[name] for name, value in expected.items())


# -- the language model --------------------------------------------------------------------------------


def draw_samples(trained: Trained, count: int, seed: int) -> list[Sample]:
    """States with any subset of sensors, over recorded test features where there are any, else noise."""
    features = _features(trained, count, seed)
    states = states_of(trained.student.adapter, features)
    with torch.no_grad():
        out = trained.student.eval().condition(features)
    soft, control = out.soft.float().numpy(), out.control.float().numpy()
    return [Sample(s, Conditioning(soft[i], control[i])) for i, s in enumerate(states)]


def _features(trained: Trained, count: int, seed: int) -> Features:
    generator = torch.Generator().manual_seed(seed)
    config = trained.student.adapter.config
    if not trained.groups:
        return Features(*onnx_writer.adapter_example(trained.student.adapter, count, seed))
    mask = random_mask(count, len(config.slots), generator)
    return draw(config, [group.part(TEST) for group in trained.groups.values()], mask, generator)[0]


def language_difference(
    path: Path, trained: Trained, manifest: Manifest, samples: Sequence[Sample]
) -> tuple[float, float]:
    """The largest difference of any logit of any position after the prefix, and the largest logit."""
    model = trained.student.language.eval()
    llama = Llama(path, LlamaOptions(context_tokens=model.config.context_tokens, exact=True))
    prefix = [int(i) for i in torch.as_tensor(trained.student.prefix)]
    difference = scale = 0.0
    try:
        for sample, question in zip(samples, _cycle(h.question for h in manifest.heads), strict=False):
            text = llama.tokenize(f"<|user|>{question}<|agent|>", control=True)
            expected = _torch_logits(model, prefix, sample.conditioning, text)
            got = _llama_logits(llama, prefix, sample.conditioning, text)
            difference = max(difference, float(np.abs(got - expected).max()))
            scale = max(scale, float(np.abs(expected).max()))
    finally:
        llama.close()
    return difference, scale


def _torch_logits(
    model: networks.LanguageModel, prefix: list[int], conditioning: Conditioning, text: list[int]
) -> Float32:
    with torch.no_grad():
        soft = torch.from_numpy(conditioning.soft)
        embeds = torch.cat(
            [model.token_embd(torch.tensor(prefix)), soft, model.token_embd(torch.tensor(text))]
        )
        conditioned = torch.ones(1, len(embeds))
        conditioned[:, : len(prefix)] = 0
        hidden = model(embeds[None], torch.from_numpy(conditioning.control)[None], conditioned)
        logits: Float32 = model.logits(hidden[0, len(prefix) :]).numpy()
    return logits


def _llama_logits(llama: Llama, prefix: list[int], conditioning: Conditioning, text: list[int]) -> Float32:
    llama.truncate(0)
    llama.set_control(None)
    llama.decode_tokens(prefix)
    llama.set_control(conditioning.control)
    soft = llama.decode_embeddings(conditioning.soft, want="all")
    return np.concatenate([soft, llama.decode_tokens(text, want="all")])


def label_agreement(
    exact: Path, folder: Path, manifest: Manifest, samples: Sequence[Sample]
) -> tuple[int, int]:
    """How often the shipped file and the F32 file read the same label, and how many were compared."""
    spec = manifest.language
    prompt = Prompt(spec.prefix, spec.question, spec.max_answer_tokens)
    reference = LanguageModel(exact, prompt, LlamaOptions(spec.context_tokens, exact=True))
    shipped = LanguageModel(folder / spec.file, prompt, LlamaOptions(spec.context_tokens))
    agreeing = compared = 0
    try:
        for sample in samples:
            for head in manifest.tasks:
                if not sample.state.slots(head.name):
                    continue
                asked = (sample.conditioning, head.question, head.readout, head.label_tokens)
                compared += 1
                agreeing += int(reference.read_label(*asked).argmax() == shipped.read_label(*asked).argmax())
    finally:
        reference.close()
        shipped.close()
    return agreeing, compared


# -- the tokenizer -------------------------------------------------------------------------------------


def equal_texts(path: Path, tokenizer_json: Path, seed: int, count: int = TEXTS) -> int:
    """How many of `count` texts get the same ids from `tokenizers` and from llama.cpp."""
    reference = Tokenizer.from_file(str(tokenizer_json))
    llama = Llama(path, LlamaOptions(context_tokens=256, batch_tokens=256))
    try:
        pairs = ((t, llama.tokenize(t, control=True)) for t in texts(count, seed))
        return sum(reference.encode(text).ids == ids for text, ids in pairs)
    finally:
        llama.close()


def texts(count: int, seed: int) -> Iterator[str]:
    """Dialogs as the model sees them, with digits, marks, other scripts and runs of spaces put in."""
    rng = np.random.default_rng(seed)
    asker = Asker(rng)
    marks = (
        "  ",
        "\n\n",
        "\t",
        " 1234567890",
        "3.14",
        "é",
        "naïve",
        " 温度",
        "🙂",
        "...",
        "?!",
        "it's",
        "<|end|>",
    )
    for _ in range(count):
        turn = asker.turn(asker.state())
        text = f"<|user|>{turn.question}<|agent|>{turn.answer}<|end|>"
        for _ in range(int(rng.integers(0, 4))):
            at = int(rng.integers(0, len(text) + 1))
            text = text[:at] + marks[int(rng.integers(len(marks)))] + text[at:]
        yield text


def _largest(got: Float32, expected: torch.Tensor) -> float:
    return float(np.abs(got - expected.float().numpy()).max())


def _cycle(items: Any) -> Iterator[str]:
    known = list(items)
    while True:
        yield from known

"""A small random model folder for tests of shape and mechanics. Never for a score.

The manifest says `source = "random"`, so that nobody takes its answers for perception.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from edge_agent import manifest as manifests
from edge_agent.manifest import (
    AdapterSpec,
    DataSource,
    LanguageSpec,
    Manifest,
    NumberHead,
    SlotFacts,
    TaskHead,
)
from edge_agent.perception.encoders import input_shape
from edge_agent.perception.prompt import CONTROL_TOKENS, PREFIX, QUESTION
from edge_agent.types import Conditioning, SlotWindow, Window
from export import catalog, gguf_writer, onnx_writer
from export.catalog import HEADS, SLOT_FACTS, HeadSpec
from export.networks import encoders
from export.networks.adapter import Adapter, AdapterConfig, HeadShape
from export.networks.language import LanguageConfig, LanguageModel
from export.novelty import Novelty, class_columns
from export.rarity import Rarity
from export.ship import describe_slot, fact_of
from export.train_slots import outputs_of
from export.wordings import WORDINGS

CONFIG = LanguageConfig(
    n_vocab=512, n_embd=256, n_layer=3, n_head=4, n_head_kv=2, n_ff=512, context_tokens=256
)

_WORDS = (
    "the person is walking seated standing sitting turning up down I hear a dog rain baby clock sneezing "
    "helicopter chainsaw rooster fire sea waves crackling watch phone microphone what which sensor do you "
    "trust how sure are it's don't we'll silence nothing Yes No , because 2 sensors agree 93 percent"
)


def sentences(count: int, seed: int = 0) -> list[str]:
    """Generated English-like lines with digits, marks, contractions, runs of spaces and non-ASCII."""
    rng = np.random.default_rng(seed)
    extra = [
        "  ",
        "\n",
        "1234567890",
        "3.14",
        "é",
        "naïve",
        "温度",
        "🙂",
        "...",
        "?!",
        "\t",
        "it's",
        "<|user|>",
    ]
    out = []
    for _ in range(count):
        words = [str(w) for w in rng.choice(_WORDS.split(), size=int(rng.integers(1, 14)))]
        for _ in range(int(rng.integers(0, 4))):
            words.insert(int(rng.integers(0, len(words) + 1)), extra[int(rng.integers(len(extra)))])
        out.append(("" if rng.random() < 0.2 else " ").join(words))
    return out


def train_tokenizer(path: Path, n_vocab: int = 500) -> Tokenizer:
    """A byte-level BPE with the pre-tokenisation that llama.cpp calls `smollm`: single digits."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences(400, seed=7), trainer)
    tokenizer.save(str(path))
    return tokenizer


def language_model(config: LanguageConfig = CONFIG, seed: int = 0) -> LanguageModel:
    """Random weights large enough that every part of the network shows in the logits."""
    torch.manual_seed(seed)
    model = LanguageModel(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(2.5)
            else:
                weight.add_(0.1 * torch.randn_like(weight))
    return model


def conditioning(config: LanguageConfig = CONFIG, seed: int = 0, n_soft: int = 8) -> Conditioning:
    rng = np.random.default_rng(seed)
    soft = rng.normal(0, 0.1, (n_soft, config.n_embd)).astype(np.float32)
    control = rng.normal(0, 0.3, (config.n_layer - 1, config.n_embd)).astype(np.float32)
    return Conditioning(soft, control)


@dataclass(frozen=True)
class RandomLanguage:
    """A GGUF file with the torch model and the tokenizer that it was written from."""

    folder: Path
    model: LanguageModel
    tokenizer: Tokenizer

    def gguf(self, quantisation: str) -> Path:
        return self.folder / f"lm-{quantisation}.gguf"


def write_language(folder: Path, config: LanguageConfig = CONFIG, seed: int = 0) -> RandomLanguage:
    """Write `tokenizer.json`, `lm-f32.gguf` and `lm-q8_0.gguf` into `folder`."""
    tokenizer = train_tokenizer(folder / "tokenizer.json")
    model = language_model(replace(config), seed)
    out = RandomLanguage(folder, model, tokenizer)
    for quantisation in ("f32", "q8_0"):
        gguf_writer.write(
            out.gguf(quantisation), model, folder / "tokenizer.json", quantisation=quantisation, name="random"
        )
    return out


@dataclass(frozen=True)
class RandomModel:
    """A whole model folder with the torch modules that it was written from."""

    folder: Path
    manifest: Manifest
    language: RandomLanguage
    encoders: dict[str, torch.nn.Module]
    adapter: Adapter


SLOTS = ("imu_phone", "imu_watch", "audio")
WIDE = (*SLOTS, "air", "gaze")
"""Also a slow series with facts of its own, and a slot whose head reads numbers."""
N_TOKENS = {
    "imu_phone": encoders.IMU_TOKENS,
    "imu_watch": encoders.IMU_TOKENS,
    "audio": encoders.AUDIO_TOKENS,
    "air": 10,
    "gaze": 4,
}


def heads_of(slots: tuple[str, ...]) -> tuple[HeadSpec, ...]:
    return tuple(h for h in HEADS.values() if set(h.slots) <= set(slots))


@cache
def shared(slots: tuple[str, ...] = SLOTS) -> RandomModel:
    """One folder for a whole test run; tests that change it take a copy."""
    folder = Path(tempfile.mkdtemp(prefix="random-model-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_model(folder, slots=slots, base=None if slots == SLOTS else shared())


def write_model(
    folder: Path, seed: int = 0, slots: tuple[str, ...] = SLOTS, base: RandomModel | None = None
) -> RandomModel:
    """Encoders, adapter, language model and, last, the manifest; what `base` has of them is copied."""
    if base is None:
        language = write_language(folder, seed=seed)
    else:
        shutil.copytree(base.folder, folder, dirs_exist_ok=True)
        language = replace(base.language, folder=folder)
    torch.manual_seed(seed)
    built: dict[str, torch.nn.Module] = {} if base is None else dict(base.encoders)
    for slot in slots:
        if slot not in built:
            built[slot] = _encoder(slot)
            shape = input_shape(describe_slot(slot, N_TOKENS[slot]))
            onnx_writer.write_encoder(folder / f"{slot}.onnx", built[slot], shape)
    adapter = _adapter(slots)
    onnx_writer.write_adapter(folder / "adapter.onnx", adapter)
    manifest = make_manifest(folder, slots)
    manifests.write(folder, manifest)
    return RandomModel(folder, manifest, language, built, adapter)


def _encoder(slot: str) -> torch.nn.Module:
    spec = catalog.SLOTS[slot]
    network = encoders.build(encoders.EncoderConfig(spec.encoder, outputs_of(spec), shape=spec.shape))
    heard = isinstance(network, encoders.AudioEncoder)
    novelties = [
        Rarity.blank(3) if heard else Novelty(torch.eye(128), torch.randn(3, 128))
        for _ in catalog.heads_of(slot)
    ]
    return onnx_writer.EncoderGraph(network, novelties, class_columns(slot)).eval()


def _adapter(slots: tuple[str, ...]) -> Adapter:
    config = AdapterConfig(
        slots=tuple((s, N_TOKENS[s]) for s in slots),
        heads=tuple(HeadShape(h.name, h.width, h.slots, h.regression) for h in heads_of(slots)),
        n_embd=CONFIG.n_embd,
        n_layer=CONFIG.n_layer,
    )
    adapter = Adapter(config).eval()
    with torch.no_grad():
        adapter.control_gate.fill_(0.5)  # at zero, its start, the control vectors would not be seen
        adapter.soft_scale.fill_(0.3)
    return adapter


def make_manifest(folder: Path, slots: tuple[str, ...] = SLOTS) -> Manifest:
    """A manifest for the files in `folder`, with thresholds that let every answer through."""
    names = [*(f"{s}.onnx" for s in slots), "adapter.onnx", "lm-q8_0.gguf"]
    return Manifest(
        format=2,
        name="random",
        version="0",
        licence="Apache-2.0",
        source="random",
        slots=tuple(describe_slot(s, N_TOKENS[s]) for s in slots),
        tasks=tuple(_task(h, 300 + 50 * i) for i, h in enumerate(heads_of(slots)) if not h.regression),
        numbers=tuple(_numbers(h) for h in heads_of(slots) if h.regression),
        facts=tuple(
            SlotFacts(slot=s, facts=tuple(map(fact_of, f))) for s, f in SLOT_FACTS.items() if s in slots
        ),
        adapter=AdapterSpec(
            file="adapter.onnx", d_token=128, n_soft=8, n_embd=CONFIG.n_embd, n_layer=CONFIG.n_layer
        ),
        language=LanguageSpec(
            file="lm-q8_0.gguf",
            n_embd=CONFIG.n_embd,
            n_layer=CONFIG.n_layer,
            n_vocab=CONFIG.n_vocab,
            context_tokens=CONFIG.context_tokens,
            prefix=PREFIX,
            question=QUESTION,
            max_answer_tokens=12,
        ),
        data=(DataSource(name="none", licence="none", credit="random weights", held_out="none"),),
        files={name: manifests.describe(folder / name) for name in names},
    )


def _task(head: HeadSpec, first_token: int) -> TaskHead:
    return TaskHead(
        name=head.name,
        task=head.task,
        words=WORDINGS[head.name].words,
        question=head.question,
        labels=head.labels,
        phrases=tuple(head.phrases.values()),
        label_tokens=tuple(range(first_token, first_token + len(head.labels))),
        readout=head.readout,
        temperature=1.0,
        threshold=0.0,
        novelty_threshold=1e9,
    )


def _numbers(head: HeadSpec) -> NumberHead:
    return NumberHead(
        name=head.name,
        task=head.task,
        words=WORDINGS[head.name].words,
        question=head.question,
        numbers=head.numbers,
        offset=(1.0,) * len(head.numbers),
        scale=(2.0,) * len(head.numbers),
        sigma_factor=1.5,
        readout=head.readout,
        facts=tuple(map(fact_of, head.facts)),
    )


def _channels(slot: str) -> tuple[str, ...]:
    return describe_slot(slot, N_TOKENS[slot]).channels


def window(*slots: str, seed: int = 0, sequence: int = 0, end_ns: int = 0, simulated: bool = False) -> Window:
    """A window with noise of about the right size in the named slots."""
    rng = np.random.default_rng(seed)
    shapes = {name: (catalog.SLOTS[name].shape[0], len(_channels(name))) for name in slots}
    parts = {}
    for name in slots:
        values = rng.normal(0, 0.1 if name == "audio" else 3.0, shapes[name]).astype(np.float32)
        parts[name] = SlotWindow(values, coverage=1.0, age_s=0.01, simulated=simulated)
    return Window(sequence, end_ns, parts)

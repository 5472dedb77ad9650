"""The adapter for a frozen language model: only what conditions it is trained.

The base is the trained student of `runs`. Its encoders, its fused heads and its calibration stay as they
are, so that the fast path of the new folder is the one that was evaluated. The resampler goes on from the
base's; W_s, the control vectors and the rows of the control tokens are made for the new width and depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from tokenizers import Tokenizer
from torch import Tensor

from export.batches import Codec
from export.byo import tokenizer as tokenizers
from export.byo.checkpoint import Checkpoint
from export.byo.network import FrozenLanguage
from export.groups import Group
from export.networks.adapter import Adapter
from export.networks.language import LanguageModel
from export.student import Student
from export.train_language import Settings, Trainer

CONDITIONING = ("to_soft", "soft_scale", "control_")
"""The adapter's parameters of the language model's width or depth: made anew."""

STAGE = "byo"
CONTEXT_TOKENS = 512


@dataclass(frozen=True)
class Bound:
    """A checkpoint with its tokenizer and the student that is trained for it."""

    source: Checkpoint
    tokenizer: Tokenizer
    pre_tokenizer: str
    language: FrozenLanguage
    student: Student


def bind(source: Checkpoint, base: Adapter, *, less_memory: bool = False) -> Bound:
    """The base's adapter on the checkpoint, with fresh conditioning of its width and depth.

    With `less_memory` the weights are kept in bf16 and the blocks' insides computed twice. One without the
    other saves little: the backward pass would keep every weight as the product had it, in fp32.
    """
    tokenizer = tokenizers.prepare(source.tokenizer_path)
    language = FrozenLanguage(
        source,
        tokenizers.control_first(tokenizer),
        context_tokens=min(CONTEXT_TOKENS, source.shape.context_tokens),
        dtype=torch.bfloat16 if less_memory else torch.float32,
        recompute_blocks=less_memory,
    )
    # A student calls its language model and asks for embeddings, logits and shape: all are there.
    student = Student(resized(base, language), cast("LanguageModel", language), Codec(tokenizer).prefix)
    return Bound(source, tokenizer, tokenizers.pre_tokenizer(source.tokenizer_path), language, student)


def resized(base: Adapter, language: FrozenLanguage) -> Adapter:
    """`base` for another language model: what has its width or depth is new, the rest is kept."""
    shape = language.config
    adapter = Adapter(replace(base.config, n_embd=shape.n_embd, n_layer=shape.n_layer))
    kept = {k: v for k, v in base.state_dict().items() if not k.startswith(CONDITIONING)}
    adapter.load_state_dict(kept, strict=False)
    with torch.no_grad():
        adapter.soft_scale.fill_(_row_size(language))
    return adapter


def train(bound: Bound, groups: Sequence[Group], settings: Settings, folder: Path) -> None:
    """Train what is not frozen; resumable, with its checkpoint and curve in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    Trainer(bound.student, groups, Codec(bound.tokenizer), settings, folder, english=[]).run()


def _row_size(language: FrozenLanguage) -> float:
    """Root mean square of a token's embedding: soft tokens begin as large as what the model knows."""
    table: Tensor = language.token_embd.frozen[:1024].float()
    return float(table.square().mean().sqrt())

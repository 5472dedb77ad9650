"""What the language model reads before it meets a sensor: its tokenizer, and plain English as token ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from export import tokenizer as bpe
from export.catalog import classes
from export.dialogs import Asker
from export.text import paragraphs


def example_lines(count: int = 30_000) -> list[str]:
    """Questions and answers about random states: what the tokenizer must have words for."""
    asker = Asker(np.random.default_rng(7))
    turns = (asker.turn(asker.state()) for _ in range(count))
    lines = [f"{turn.question}{turn.answer}" for turn in turns]
    words = [f" {p}" for h in classes() for p in h.phrases.values()]
    return [*lines, *words * 200]


def make_tokenizer(data: Path, folder: Path) -> Tokenizer:
    """Train the tokenizer on English and dialogs, or load the one already there."""
    path = folder / "tokenizer.json"
    if not path.exists():
        bpe.train([*paragraphs(data, 1_500_000), *example_lines()]).save(str(path))
    tokenizer = bpe.load(path)
    for head in classes():
        bpe.first_tokens(tokenizer, head.phrases.values())
    return tokenizer


def english_ids(data: Path, folder: Path, tokenizer: Tokenizer) -> Tensor:
    """Token ids of the English corpus, cached beside the checkpoints."""
    path = folder / "english.npy"
    if not path.exists():
        np.save(path, encode_english(data, tokenizer, 2_500_000))
    return torch.from_numpy(np.load(path, allow_pickle=False))


def encode_english(data: Path, tokenizer: Tokenizer, limit_chars: int) -> npt.NDArray[np.int32]:
    """Token ids of up to `limit_chars` of each text, an end token after every paragraph."""
    end = tokenizer.token_to_id("<|end|>")
    encoded = tokenizer.encode_batch(list(paragraphs(data, limit_chars)))
    return np.array([i for e in encoded for i in [*e.ids, end]], dtype=np.int32)

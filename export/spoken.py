"""Where the adapter begins: what a head reads is shown as the word for it, in the model's own tokens.

A language model with tied embeddings answers a word by pointing at its row of the embedding. So the soft
token that belongs to a head begins as the row of its label's first word, beside the row of what the head is
about: the first to be said, the second to be found by. Everything is then trained. From random weights the
same model needs many times as long before it reads any sensor.
"""

from __future__ import annotations

import torch
from tokenizers import Tokenizer
from torch import Tensor

from export.catalog import HEADS
from export.student import Student

LOUDNESS = 3.0
"""How much louder than the resampled tokens the words are at the start."""
TOPIC = 0.6
"""The share of the topic's row beside the label's."""


def show_words(student: Student, tokenizer: Tokenizer) -> None:
    """Set `show` and `to_soft` of the adapter. Only where its width is the language model's own."""
    adapter = student.adapter
    config = adapter.config
    if config.d_model != config.n_embd:
        return
    embedding = student.language.token_embd.weight
    with torch.no_grad():
        torch.nn.init.eye_(adapter.to_soft.weight)
        size = LOUDNESS * _resampled_size(student)
        weight = adapter.show.weight.view(config.n_soft, config.d_model, -1)  # (K,d,shown)
        weight.mul_(0.1)
        column = 0
        for i, head in enumerate(config.heads):
            rows = _rows(tokenizer, embedding, head.name)
            for j, row in enumerate(rows):
                weight[i % config.n_soft, :, column + j] = size * row
            column += head.width


def _resampled_size(student: Student) -> float:
    """The usual size of an entry of R before anything is shown."""
    config = student.adapter.config
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(16, sum(n for _, n in config.slots), config.d_token, generator=generator)
    mask = (torch.rand(16, len(config.slots), generator=generator) < 0.3).float()
    return float(student.adapter._resample(tokens, mask).square().mean().sqrt())  # noqa: SLF001  (its own parts)


def _rows(tokenizer: Tokenizer, embedding: Tensor, head: str) -> list[Tensor]:
    """For each label of a head its word beside its topic, of entries of size one; numbers have none."""
    spec = HEADS[head]
    topic = _mean_row(tokenizer, embedding, spec.noun.removeprefix("the "))
    found = []
    for phrase in spec.phrases.values():
        word = embedding[tokenizer.encode(f" {phrase}").ids[0]]
        row = _unit(word) + TOPIC * topic
        found.append(_unit(row))
    return found


def _mean_row(tokenizer: Tokenizer, embedding: Tensor, words: str) -> Tensor:
    return _unit(embedding[tokenizer.encode(f" {words}").ids].mean(0))


def _unit(row: Tensor) -> Tensor:
    return row / row.square().mean().sqrt().clamp(min=1e-6)

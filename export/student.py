"""What is trained: adapter and language model together, and the parts of the loss (DESIGN.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from export.answers import State, Turn, says
from export.batches import LABEL_WEIGHT, Codec, DialogBatch
from export.catalog import classes
from export.groups import Group, Sample, draw, random_mask
from export.networks.adapter import Adapter, AdapterConfig, AdapterOutput, Heads
from export.networks.language import IOTLM_7M, LanguageConfig, LanguageModel
from export.parallel import moved
from export.train_heads import read

GATHER_STEP = 256


class Student(nn.Module):
    """Adapter and language model, trained together; the fused heads inside the adapter stay as they are."""

    prefix: Tensor

    def __init__(self, adapter: Adapter, language: LanguageModel, prefix: list[int]) -> None:
        super().__init__()
        self.adapter = adapter
        self.language = language
        self.adapter.fused.requires_grad_(False)
        self.register_buffer("prefix", torch.tensor(prefix), persistent=False)

    def condition(self, sample: Sample) -> AdapterOutput:
        """The adapter's output."""
        out: AdapterOutput = self.adapter(sample.tokens, sample.pooled, sample.logits, sample.mask)
        return out

    def hidden(self, out: AdapterOutput, ids: Tensor) -> Tensor:
        """Hidden states (B,T,D) of the dialog positions: prefix and soft tokens come before them."""
        embed = self.language.token_embd
        batch, n_prefix = len(ids), len(self.prefix)
        prefix = embed(self.prefix)[None].expand(batch, -1, -1)
        x = torch.cat([prefix, out.soft.to(prefix.dtype), embed(ids)], dim=1)
        conditioned = torch.ones(x.shape[:2], dtype=x.dtype, device=x.device)
        conditioned[:, :n_prefix] = 0  # the prefix is cached before a control vector is set
        return self.language(x, out.control, conditioned)[:, n_prefix + out.soft.shape[1] :]

    def answer_loss(self, out: AdapterOutput, batch: DialogBatch) -> tuple[Tensor, Tensor]:
        """Weighted mean CE over answer tokens, and per-row mean log-probability of label-reading answers."""
        hidden = self.hidden(out, batch.ids)
        where = batch.targets >= 0
        rows = torch.nonzero(where.flatten())[:, 0]
        # Padded to a multiple for the same reason as LENGTH_STEP; the padding is cut off again.
        padded = F.pad(rows, (0, -len(rows) % GATHER_STEP))
        logits = self.language.logits(hidden.flatten(0, 1)[padded])[: len(rows)]
        ce = F.cross_entropy(logits.float(), batch.targets[where], reduction="none")
        weight = batch.weight[where]
        return (weight * ce).sum() / weight.sum(), _row_mean(-ce, where, batch.reads)


def _row_mean(values: Tensor, where: Tensor, reads: Tensor) -> Tensor:
    """(B,) mean of `values` over the positions of each row that read a label; 0 where there are none."""
    grid = torch.zeros(where.shape, device=values.device).masked_scatter(where, values)
    count = reads.sum(1)
    return (grid * reads).sum(1) / count.clamp(min=1)


def make_student(tokenizer: Tokenizer, config: AdapterConfig, language: LanguageConfig = IOTLM_7M) -> Student:
    """A fresh language model, and an adapter of its width and depth."""
    fitting = replace(config, n_embd=language.n_embd, n_layer=language.n_layer)
    return Student(Adapter(fitting), LanguageModel(language), Codec(tokenizer).prefix)


def language_of(checkpoint: Mapping[str, Any]) -> LanguageConfig:
    """The shape of a checkpoint's language model."""
    return LanguageConfig(**checkpoint.get("language", {}))


def even_by_reading(group: Group, heads: Heads) -> Group:
    """The same rows, drawn so that every class is read about as often as another.

    The language model words what the heads read. Drawn by the truth, a class that they seldom read is one
    that it never learns to say.
    """
    said, _ = read(heads, group.without_tokens().slots, tuple(group.slots))
    weight = torch.ones(len(group))
    for head in classes():
        if head.name in group.targets and head.name in said:
            label = said[head.name].argmax(-1)
            count = torch.bincount(label).clamp(min=1)
            weight *= len(group) / count[label]
    return replace(group, weight=weight)


def misread(
    student: Student, groups: Sequence[Group], codec: Codec, generator: torch.Generator, rows: int = 32
) -> dict[str, float]:
    """head -> the share of rows in which another word is likelier than the one for what the head reads.

    Of every head of the adapter that names a class, after its plainest question, with any others of
    the slots present: what is read well alone may drown among the rest.
    """
    config, device = student.adapter.config, student.adapter.query.device
    found = {}
    for head in (h for h in classes() if h.name in {shape.name for shape in config.heads}):
        own = torch.tensor([float(s in head.slots) for s in config.names])
        mask = random_mask(rows, len(config.slots), generator).maximum(own)
        sample = moved(device, draw(config, groups, mask, generator)[0])
        states = states_of(student.adapter, sample)
        question = head.question.rstrip("?")
        batch = codec.batch([[Turn("label", head.name, question, says(head.name, s), True)] for s in states])
        batch = moved(device, batch)
        with torch.no_grad():
            hidden = student.hidden(student.condition(sample), batch.ids)[batch.weight == LABEL_WEIGHT]
            logits = student.language.logits(hidden)
        words = [codec.tokenizer.encode(f" {phrase}").ids[0] for phrase in head.phrases.values()]
        said = logits[:, words].argmax(-1).tolist()
        wrong = [head.labels[i] != s.labels[head.name] for i, s in zip(said, states, strict=True)]
        found[head.name] = sum(wrong) / rows
    return found


def states_of(adapter: Adapter, sample: Sample) -> list[State]:
    """What the fast path reads of each row: the labels that the language model is to word.

    Of the slots that the adapter makes use of: no label is taught that it cannot show.
    """
    config, mask = adapter.config, adapter.seen(sample.mask)
    with torch.no_grad():
        heads, _, _ = adapter.fused(sample.pooled, sample.logits, mask)
    named = [h for h in classes() if h.name in heads]
    read = {h.name: heads[h.name].argmax(-1).tolist() for h in named}
    labels = {h.name: h.labels for h in named}
    states = []
    for i, row in enumerate(mask.bool().tolist()):
        present = frozenset(s for s, here in zip(config.names, row, strict=True) if here)
        states.append(
            State(
                {h.name: labels[h.name][read[h.name][i]] for h in named if present & set(h.slots)},
                present,
            )
        )
    return states

"""Batches of dialogs about sensor states: what is asked, what is answered, what the sensors gave.

A batch row is `prefix | K soft tokens | dialog`. Only the answers carry loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from edge_agent.perception.prompt import END, PAD, PREFIX, QUESTION
from export.dialogs import State, Turn
from export.labels import ACTIVITY, EVENT, SLOTS, labels

LENGTH_STEP = 16
"""Rows are padded to a multiple: a CPU kernel is compiled for every new shape, which costs seconds."""

RARE_WEIGHT = 6.0


@dataclass
class SensorBatch:
    """tokens (B,N,128), pooled (B,M,128), mask (B,M) of the adapter for B states."""

    tokens: Tensor
    pooled: Tensor
    mask: Tensor

    def __getitem__(self, rows: Tensor) -> SensorBatch:
        return SensorBatch(self.tokens[rows], self.pooled[rows], self.mask[rows])


class FeatureSource(Protocol):
    """Encoder outputs for states: real ones, or learned stand-ins before encoders exist."""

    def batch(self, states: Sequence[State], rng: np.random.Generator) -> SensorBatch: ...


@dataclass
class DialogBatch:
    """ids, targets (B,T): targets hold the next token where an answer is, else -100.

    `labels[task]` (B,) is the class index, -1 where the task has no data.
    `reads` (B,T) marks target positions of answers that depend on a label; `weight` (B,T) is the share of
    a target in the loss.
    """

    ids: Tensor
    targets: Tensor
    reads: Tensor
    weight: Tensor
    labels: dict[str, Tensor]


class Codec:
    """Text of dialogs to token ids."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.prefix = tokenizer.encode(PREFIX).ids
        self.pad: int = tokenizer.encode(PAD).ids[0]
        self.end: int = tokenizer.encode(END).ids[0]

    def dialog(self, turns: Sequence[Turn]) -> tuple[list[int], list[float], list[bool]]:
        """ids, weight per position (0 where no answer is), and whether that answer reads a label."""
        ids: list[int] = []
        weight: list[float] = []
        reads: list[bool] = []
        for turn in turns:
            asked = self.tokenizer.encode(QUESTION.format(question=turn.question)).ids
            said = [*self.tokenizer.encode(turn.answer).ids, self.end]
            ids += asked + said
            rare = len(self.tokenizer.encode(turn.rare_ending).ids) + 1 if turn.rare_ending else 0
            weight += [0.0] * len(asked) + [1.0] * (len(said) - rare) + [RARE_WEIGHT] * rare
            reads += [False] * len(asked) + [turn.reads] * len(said)
        return ids, weight, reads

    def batch(self, dialogs: Sequence[Sequence[Turn]], states: Sequence[State]) -> DialogBatch:
        """Right-padded tensors of a list of dialogs."""
        rows = [self.dialog(turns) for turns in dialogs]
        length = -(-max(len(ids) for ids, _, _ in rows) // LENGTH_STEP) * LENGTH_STEP
        ids = np.full((len(rows), length), self.pad, dtype=np.int64)
        targets = np.full((len(rows), length), -100, dtype=np.int64)
        reads = np.zeros((len(rows), length), dtype=bool)
        weight = np.zeros((len(rows), length), dtype=np.float32)
        for i, (tokens, share, reading) in enumerate(rows):
            n = len(tokens)
            ids[i, :n] = tokens
            weight[i, : n - 1] = share[1:]
            following = weight[i, : n - 1] > 0
            targets[i, : n - 1][following] = np.array(tokens[1:])[following]
            reads[i, : n - 1] = following & np.array(reading[1:])
        return DialogBatch(
            torch.from_numpy(ids), torch.from_numpy(targets), torch.from_numpy(reads),
            torch.from_numpy(weight),
            {task: class_indices(task, states) for task in (ACTIVITY, EVENT)},
        )  # fmt: skip


def class_indices(task: str, states: Sequence[State]) -> Tensor:
    """(B,) class index per state, -1 where none of the task's slots has data."""
    names = labels(task)
    return torch.tensor([names.index(x) if (x := s.label(task)) else -1 for s in states])


def mask_of(states: Sequence[State]) -> Tensor:
    """(B,M) 1 where the slot has data."""
    return torch.tensor([[float(slot in s.present) for slot in SLOTS] for s in states])

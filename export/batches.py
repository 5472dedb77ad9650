"""Batches of dialogs: what is asked, what is answered, and which words of the answers depend on a label.

A batch row is `prefix | K soft tokens | dialog`. Only the answers carry loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from edge_agent.perception.prompt import END, PAD, PREFIX, QUESTION
from export.answers import Turn
from export.catalog import HEADS

LENGTH_STEP = 16
"""Rows are padded to a multiple: a CPU kernel is compiled for every new shape, which costs seconds."""
ROW_TOKENS = 80
"""So long a row of several turns may get; a longer first turn is not cut."""

RARE_WEIGHT = 6.0
LABEL_WEIGHT = 4.0
"""Of the token that names the class: all around it is the same in every such answer."""


@dataclass
class DialogBatch:
    """ids, targets (B,T): targets hold the next token where an answer is, else -100.

    `reads` (B,T) marks target positions of answers that depend on a label; `weight` (B,T) is the share of
    a target in the loss.
    """

    ids: Tensor
    targets: Tensor
    reads: Tensor
    weight: Tensor

    def __getitem__(self, rows: Tensor) -> DialogBatch:
        return DialogBatch(self.ids[rows], self.targets[rows], self.reads[rows], self.weight[rows])


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
            if turn.reads and turn.head and turn.answer.startswith(readout := HEADS[turn.head].readout):
                weight[len(ids) - len(said) + len(self.tokenizer.encode(readout).ids)] = LABEL_WEIGHT
        return ids, weight, reads

    def fitting(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """The first turns that fit into ROW_TOKENS, at least one."""
        lengths = np.cumsum([len(self.dialog([turn])[0]) for turn in turns])
        return turns[: max(1, int((lengths <= ROW_TOKENS).sum()))]

    def batch(self, dialogs: Sequence[Sequence[Turn]]) -> DialogBatch:
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
        )  # fmt: skip

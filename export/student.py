"""What is trained: adapter and language model together, and the parts of the loss (DESIGN.md)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.batches import DialogBatch, SensorBatch
from export.labels import ACTIVITY, EVENT, PHRASES, SLOTS, TASK_SLOTS
from export.networks.adapter import TASKS, Adapter, AdapterOutput
from export.networks.language import LanguageModel

DIALOG = TASKS.index("dialog")
HEADS = (ACTIVITY, EVENT)
GATHER_STEP = 256
SMOOTHING = 0.05


class Student(nn.Module):
    """Adapter and language model, trained together."""

    prefix: Tensor

    def __init__(self, adapter: Adapter, language: LanguageModel, prefix: list[int]) -> None:
        super().__init__()
        self.adapter = adapter
        self.language = language
        self.register_buffer("prefix", torch.tensor(prefix), persistent=False)

    def condition(self, sensors: SensorBatch, task: int = DIALOG) -> AdapterOutput:
        """The adapter's output under one task embedding."""
        index = torch.full((len(sensors.mask),), task)
        return self.adapter(sensors.tokens, sensors.pooled, sensors.mask, index)

    def hidden(self, out: AdapterOutput, ids: Tensor) -> Tensor:
        """Hidden states (B,T,D) of the dialog positions: prefix and soft tokens come before them."""
        embed = self.language.token_embd
        batch, n_prefix = len(ids), len(self.prefix)
        prefix = embed(self.prefix)[None].expand(batch, -1, -1)
        x = torch.cat([prefix, out.soft.to(prefix.dtype), embed(ids)], dim=1)
        conditioned = torch.ones(x.shape[:2], dtype=x.dtype)
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
    grid = torch.zeros(where.shape).masked_scatter(where, values)
    count = reads.sum(1)
    return (grid * reads).sum(1) / count.clamp(min=1)


def task_logits(adapter: Adapter, sensors: SensorBatch) -> dict[str, Tensor]:
    """(B,labels) per task as the fast path reads it: under the task's embedding, from the task's slots."""
    found = {}
    for task in HEADS:
        serving = torch.tensor([float(slot in TASK_SLOTS[task]) for slot in SLOTS])
        index = torch.full((len(sensors.mask),), TASKS.index(task))
        out = adapter(sensors.tokens, sensors.pooled, sensors.mask * serving, index)
        found[task] = out.logits[task].float()
    return found


def smoothed(labels: dict[str, Tensor]) -> dict[str, Tensor]:
    """Class indices (B,) -> distributions (B,n) with a little on every class; zeros where a label is -1."""
    targets = {}
    for task, index in labels.items():
        n = len(PHRASES[task])
        hot = F.one_hot(index.clamp(min=0), n).float()
        targets[task] = (hot * (1 - SMOOTHING) + SMOOTHING / n) * (index >= 0)[:, None]
    return targets


def head_loss(logits: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
    """Sum over tasks of the heads' CE against distributions; a row of zeros does not count."""
    total = torch.zeros(())
    for task, target in targets.items():
        rows = target.sum(-1)
        total = total - (target * logits[task].float().log_softmax(-1)).sum() / rows.sum().clamp(min=1)
    return total


def mixed(sensors: SensorBatch, share: Tensor, partner: Tensor) -> SensorBatch:
    """Each row blended with another: share (B,) of itself. What lies between two classes is seen too."""
    own, rest = share[:, None, None], 1 - share[:, None, None]
    return SensorBatch(
        own * sensors.tokens + rest * sensors.tokens[partner],
        own * sensors.pooled + rest * sensors.pooled[partner],
        sensors.mask,
    )


def gate_entropy(alpha: Tensor) -> Tensor:
    """Mean entropy of the sensor weights: a small price keeps the gate decided."""
    return -(alpha * alpha.clamp(min=1e-6).log()).sum(-1).mean()

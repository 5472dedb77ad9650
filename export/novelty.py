"""How unlike all that was trained on a window is, by what its encoder makes of it.

The larger of two signs, each in deviations of the training windows: the Mahalanobis distance of z to the
nearest class mean with one covariance (Lee et al. 2018, arXiv 1807.03888), and the energy of the logits
(Liu et al. 2020, arXiv 2010.03759). Of classes left out of training (`export/unseen.py`) some show in the
one alone and some in the other. In units of what LIMIT of the validation windows stay within.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from export.calibrate import VALIDATION, known_rows
from export.catalog import HEADS, SLOTS, heads_of
from export.groups import Group
from export.train_slots import columns_of

TRAIN = 0
SHRINKAGE = 0.1
"""Of the covariance towards a multiple of the identity: a class has fewer windows than z has numbers."""
LIMIT = 0.99
"""Share of known windows that are to pass for known."""


class Novelty(nn.Module):
    """z (B,d) and the logits (B,K) of one head -> (B,): 1 where LIMIT of the known windows are below.

    A head that reads numbers has no logits, only the distance. Made by `fit`.
    """

    whiten: Tensor
    means: Tensor
    centre: Tensor
    scale: Tensor
    limit: Tensor

    def __init__(self, whiten: Tensor, means: Tensor) -> None:
        """whiten (d,d) makes the covariance round, means (K,d) are already whitened."""
        super().__init__()
        self.register_buffer("whiten", whiten.float())
        self.register_buffer("means", means.float())
        self.register_buffer("centre", torch.zeros(2))
        self.register_buffer("scale", torch.ones(2))
        self.register_buffer("limit", torch.ones(()))

    @classmethod
    def fit(cls, z: Tensor, logits: Tensor | None, label: Tensor) -> Novelty:
        """From training windows: features (N,d), logits (N,K) and classes (N,)."""
        novelty = cls(*whitening(z, label, SHRINKAGE))
        signs = novelty.signs(z.float(), logits)
        count = signs.shape[1]
        novelty.centre[:count], novelty.scale[:count] = signs.mean(0), signs.std(0).clamp(min=1e-6)
        return novelty

    def limited_by(self, z: Tensor, logits: Tensor | None) -> Novelty:
        """Set the unit by known windows that were not trained on."""
        self.limit.copy_((self.limit * self(z, logits)).quantile(LIMIT).clamp(min=1e-6))
        return self

    def signs(self, z: Tensor, logits: Tensor | None) -> Tensor:
        """(B,1) distance, or (B,2) with the energy."""
        gap = (z @ self.whiten)[:, None] - self.means  # (B,K,d)
        distance = (gap * gap).sum(-1).amin(1).clamp(min=1e-12).sqrt()
        if logits is None:
            return distance[:, None]
        return torch.stack([distance, -logits.logsumexp(-1)], dim=1)

    def forward(self, z: Tensor, logits: Tensor | None) -> Tensor:
        signs = self.signs(z, logits)
        count = signs.shape[1]
        return ((signs - self.centre[:count]) / self.scale[:count]).amax(1) / self.limit


def whitening(z: Tensor, label: Tensor, shrinkage: float) -> tuple[Tensor, Tensor]:
    """Features (N,d) and classes (N,) -> (d,d) that makes the common covariance round, (K,d) means in it."""
    z = z.double()
    classes, place = label.unique(return_inverse=True)
    means = torch.stack([z[label == k].mean(0) for k in classes])
    spread = z - means[place]
    covariance = spread.T @ spread / len(spread)
    round_part = covariance.diagonal().mean() * torch.eye(len(covariance), dtype=z.dtype)
    precision = torch.linalg.inv((1 - shrinkage) * covariance + shrinkage * round_part)
    whiten = torch.linalg.cholesky(precision)
    return whiten, means @ whiten


def of_slot(slot: str, groups: Mapping[str, Group]) -> list[Novelty]:
    """One for each head that a slot serves, in the manifest's order."""
    group = next(g for g in groups.values() if slot in g.slots)
    heads = [head.name for head in heads_of(slot)]
    return [_of_head(h, group, slot, c) for h, c in zip(heads, class_columns(slot), strict=True)]


def _of_head(head: str, group: Group, slot: str, columns: slice | None) -> Novelty:
    def seen(rows: Tensor) -> tuple[Tensor, Tensor | None]:
        outputs = group.slots[slot]
        said = None if columns is None else outputs.logits[rows, columns].float()
        return outputs.pooled[rows].float(), said

    train, held_out = known_rows(group, head, TRAIN), known_rows(group, head, VALIDATION)
    label = _classes(head, group.targets[head][train])
    return Novelty.fit(*seen(train), label).limited_by(*seen(held_out))


def class_columns(slot: str) -> list[slice | None]:
    """Where the classes of each of a slot's heads stand in the logits, None for one that reads numbers."""
    columns = columns_of(SLOTS[slot])
    return [None if head.regression else columns[head.name] for head in heads_of(slot)]


def _classes(head: str, target: Tensor) -> Tensor:
    """(N,) classes; what reads numbers has one, shares of classes count as the largest."""
    if HEADS[head].regression:
        return torch.zeros(len(target), dtype=torch.long)
    return target.argmax(-1) if target.is_floating_point() else target.long()

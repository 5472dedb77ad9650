"""How unlike all that was trained on a window is: the distance of its features to the nearest class.

Mahalanobis distance of z to the nearest class mean with one covariance (Lee et al. 2018, arXiv 1807.03888),
in units of the distance that LIMIT of the validation windows stay within. Chosen over the energy of the
logits, which the design names, on the validation part of `export/unseen.py`: there it tells far more.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from export.calibrate import VALIDATION, known_rows
from export.catalog import HEADS, heads_of
from export.groups import Group

TRAIN = 0
SHRINKAGE = 0.1
"""Of the covariance towards a multiple of the identity: a class has fewer windows than z has numbers."""
LIMIT = 0.99
"""Share of known windows that are to pass for known."""


class Novelty(nn.Module):
    """z (B,d) -> (B,): 1 where LIMIT of the known windows are nearer."""

    whiten: Tensor
    means: Tensor
    limit: Tensor

    def __init__(self, whiten: Tensor, means: Tensor, limit: float = 1.0) -> None:
        """whiten (d,d) makes the covariance round, means (K,d) are already whitened."""
        super().__init__()
        self.register_buffer("whiten", whiten.float())
        self.register_buffer("means", means.float())
        self.register_buffer("limit", torch.tensor(limit))

    @classmethod
    def fit(cls, z: Tensor, label: Tensor) -> Novelty:
        """From features (N,d) and classes (N,) of training windows; the limit is 1."""
        z = z.double()
        classes, place = label.unique(return_inverse=True)
        means = torch.stack([z[label == k].mean(0) for k in classes])
        spread = z - means[place]
        covariance = spread.T @ spread / len(spread)
        round_part = covariance.diagonal().mean() * torch.eye(len(covariance), dtype=z.dtype)
        precision = torch.linalg.inv((1 - SHRINKAGE) * covariance + SHRINKAGE * round_part)
        whiten = torch.linalg.cholesky(precision)
        return cls(whiten, means @ whiten)

    def limited(self, z: Tensor) -> Novelty:
        """The same in units of what known windows z (N,d), which were not trained on, stay within."""
        return Novelty(self.whiten, self.means, float(self.limit * self(z.float()).quantile(LIMIT)))

    def forward(self, z: Tensor) -> Tensor:
        gap = (z @ self.whiten)[:, None] - self.means  # (B,K,d)
        squared = (gap * gap).sum(-1).amin(1)
        return squared.clamp(min=1e-12).sqrt() / self.limit


def of_slot(slot: str, groups: Mapping[str, Group]) -> list[Novelty]:
    """One for each head that a slot serves, in the manifest's order."""
    group = next(g for g in groups.values() if slot in g.slots)
    return [_of_head(head.name, slot, group) for head in heads_of(slot)]


def _of_head(head: str, slot: str, group: Group) -> Novelty:
    known = group.slots[slot].pooled.float()
    train, held_out = known_rows(group, head, TRAIN), known_rows(group, head, VALIDATION)
    return Novelty.fit(known[train], _classes(head, group.targets[head][train])).limited(known[held_out])


def _classes(head: str, target: Tensor) -> Tensor:
    """(N,) classes; what reads numbers has one, shares of classes count as the largest."""
    if HEADS[head].regression:
        return torch.zeros(len(target), dtype=torch.long)
    return target.argmax(-1) if target.is_floating_point() else target.long()

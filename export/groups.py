"""Encoder outputs in groups of what was recorded together, and how rows of several groups make a sample.

Phone and watch are of the same instant. Everything else is drawn without regard to it: such a sample is
`paired`, not co-recorded, and it teaches each head which slots are none of its business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from export.networks.adapter import AdapterConfig
from export.networks.encoders import EncoderOutput


@dataclass(frozen=True)
class Group:
    """Rows that were recorded together.

    slots: name -> tokens (N,n,128), pooled (N,128), logits (N,L). targets: head -> (N,) class, -1 where
    unknown; (N,labels) shares of classes; or (N,K) numbers, NaN where unknown. split (N,): 0 train,
    1 validation, 2 test.
    """

    slots: dict[str, EncoderOutput]
    targets: dict[str, Tensor]
    split: Tensor
    weight: Tensor
    """(N,) how likely a row is to be drawn: classes by the square root of their share."""

    def __len__(self) -> int:
        return len(self.split)

    @classmethod
    def of(
        cls, slots: dict[str, EncoderOutput], targets: dict[str, Tensor], split: Tensor | None = None
    ) -> Group:
        """With the weights that follow from the targets. Without `split` all rows are for training."""
        n = len(next(iter(slots.values())).pooled)
        split = torch.zeros(n, dtype=torch.long) if split is None else split
        return cls(slots, targets, split, _weights(targets, n))

    @classmethod
    def read(cls, path: Path) -> Group:
        """A group that `slot_features` wrote. Features stay float16 until they are drawn."""
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        names = [k.removesuffix("_pooled") for k in arrays if k.endswith("_pooled")]
        slots = {
            n: EncoderOutput(*(torch.from_numpy(arrays[f"{n}_{p}"]) for p in ("tokens", "pooled", "logits")))
            for n in names
        }
        targets = {
            k.removeprefix("target_"): torch.from_numpy(v)
            for k, v in arrays.items()
            if k.startswith("target_")
        }
        return cls.of(slots, targets, torch.from_numpy(arrays["split"]).long())

    def part(self, split: int) -> Group:
        """The rows of one split."""
        return self[torch.nonzero(self.split == split)[:, 0]]

    def without_tokens(self) -> Group:
        """The same rows for those who read no tokens: to draw them takes most of a step of the heads."""
        slots = {n: o._replace(tokens=o.tokens[:, :0]) for n, o in self.slots.items()}
        return replace(self, slots=slots)

    def __getitem__(self, rows: Tensor) -> Group:
        slots = {n: EncoderOutput(*(x[rows] for x in o)) for n, o in self.slots.items()}
        targets = {n: t[rows] for n, t in self.targets.items()}
        return Group(slots, targets, self.split[rows], self.weight[rows])

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """(n,) row numbers."""
        return torch.multinomial(self.weight, n, replacement=True, generator=generator)


def _weights(targets: Mapping[str, Tensor], n: int) -> Tensor:
    weight = torch.ones(n)
    for target in targets.values():
        if target.is_floating_point() and target.ndim == 2:
            continue
        known = target >= 0
        count = torch.bincount(target[known], minlength=1).clamp(min=1).float()
        weight[known] *= (count.sum() / count[target[known]]).sqrt()
    return weight


@dataclass(frozen=True)
class Sample:
    """What the adapter takes: tokens (B,N,128), pooled (B,M,128), logits (B,L), mask (B,M)."""

    tokens: Tensor
    pooled: Tensor
    logits: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.mask)

    def __getitem__(self, rows: Tensor) -> Sample:
        return Sample(self.tokens[rows], self.pooled[rows], self.logits[rows], self.mask[rows])

    def masked(self, mask: Tensor) -> Sample:
        """The same features with other slots present."""
        return Sample(self.tokens, self.pooled, self.logits, mask)

    def mixed(self, share: Tensor, partner: Tensor) -> Sample:
        """Each row blended with another: share (B,) of itself. What lies between two classes is seen too."""

        def blend(x: Tensor) -> Tensor:
            own = share.view(-1, *([1] * (x.ndim - 1)))
            return own * x + (1 - own) * x[partner]

        return Sample(blend(self.tokens), blend(self.pooled), blend(self.logits), self.mask)


def assemble(config: AdapterConfig, slots: Mapping[str, EncoderOutput], mask: Tensor) -> Sample:
    """Slots (B rows each) in the adapter's order; a slot that is not given is zeros."""
    n = len(mask)
    given = {
        name: slots.get(name)
        or EncoderOutput(
            torch.zeros(n, count, config.d_token), torch.zeros(n, config.d_token),
            torch.zeros(n, width_of(config, name)),
        )
        for name, count in config.slots
    }  # fmt: skip
    return Sample(
        torch.cat([given[name].tokens.float() for name in config.names], dim=1),
        torch.stack([given[name].pooled.float() for name in config.names], dim=1),
        torch.cat([given[name].logits.float() for name in config.names], dim=1),
        mask,
    )


def width_of(config: AdapterConfig, slot: str) -> int:
    """The width of what a slot's encoder says."""
    return sum(head.width for name, head, _ in config.pieces() if name == slot)


def draw(
    config: AdapterConfig, groups: Sequence[Group], mask: Tensor, generator: torch.Generator
) -> tuple[Sample, dict[str, Tensor]]:
    """As many samples as mask (B,M) has rows, and the targets of every head."""
    slots: dict[str, EncoderOutput] = {}
    targets: dict[str, Tensor] = {}
    for group in groups:
        drawn = group[group.draw(len(mask), generator)]
        slots |= drawn.slots
        targets |= drawn.targets
    return assemble(config, slots, mask), targets


def random_mask(
    n: int, count: int, generator: torch.Generator, *, nothing: float = 0.05, many: bool = False
) -> Tensor:
    """(n,count) of 0 and 1: one to all slots present, few more often than `many`, and none now and then."""
    share = torch.rand(n, 1, generator=generator) ** (1 if many else 2)
    kept = torch.rand(n, count, generator=generator) < share
    one = torch.nn.functional.one_hot(torch.randint(count, (n,), generator=generator), count).bool()
    some = torch.rand(n, 1, generator=generator) >= nothing
    return ((kept | one) & some).float()

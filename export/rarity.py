"""How unlike all that was trained on a sound is: how far from the known classes, for the room there is.

Even sounds as of rain lie close together and barks far apart. By its distance alone (`export/novelty.py`) the
sea, which is near to rain, is less new than a bark of another dog. So the distance is compared with the room
that training windows near the sound have around them, as in the local outlier factor (Breunig et al. 2000,
doi:10.1145/335191.335388). This is done twice, for z, where the classes have drawn together all that is like
them, and for what the encoder hears on the way there; and the energy of the logits is added (Liu et al. 2020,
arXiv 2010.03759). What was chosen here was chosen on the validation part of `export/unseen.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.datasets import esc10
from export.datasets.esc10 import Clip
from export.networks.encoders import D_TOKEN, HEARD, AudioEncoder
from export.novelty import LIMIT, whitening
from export.train_encoders import VALIDATION_FOLD, ClipWindows

KEPT = 512
"""Training windows, evenly taken: more of a clip would overlap, and each be its neighbour's crowd."""
NEAREST = 10
SHRINKAGE = 0.3
LEAST = 0.3
"""Of the median room, that every window has at least: those of digital silence lie on each other."""
SLOPE = 1.1
"""How much further, in logs, a known window is where there is more room."""
WEIGHTS = (0.5, 0.5, 0.25)
"""Of z, of what was heard and of the energy, each in deviations of known windows."""


class View(nn.Module):
    """Features (B,d) -> (B,): log of the distance to the nearest class, for the room there is."""

    middle: Tensor
    spread: Tensor
    whiten: Tensor
    means: Tensor
    kept: Tensor
    room: Tensor

    def __init__(self, width: int, classes: int, kept: int = KEPT) -> None:
        """width: d; kept: how many training windows tell the room."""
        super().__init__()
        self.register_buffer("middle", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.register_buffer("whiten", torch.eye(width))
        self.register_buffer("means", torch.zeros(classes, width))
        self.register_buffer("kept", torch.zeros(width, kept))  # directions from the middle
        self.register_buffer("room", torch.ones(kept))

    @classmethod
    def fit(cls, features: Tensor, label: Tensor) -> View:
        """From training windows (N,d), N at least KEPT, clip after clip, and their classes (N,)."""
        if len(features) < KEPT:
            raise ValueError(f"{len(features)} training windows are too few: the rarity needs {KEPT}")
        view = cls(features.shape[1], len(label.unique()))
        view.middle.copy_(features.mean(0))
        view.spread.copy_(features.std(0) + 1e-3)
        scaled = view._scaled(features)
        whiten, means = whitening(scaled, label, SHRINKAGE)
        view.whiten.copy_(whiten)
        view.means.copy_(means)
        kept = F.normalize(scaled[torch.linspace(0, len(scaled) - 1, KEPT).long()], dim=1)
        view.kept.copy_(kept.T)
        apart = view._apart(kept).fill_diagonal_(torch.inf)
        room = apart.topk(NEAREST, largest=False).values.mean(1)
        view.room.copy_(room.clamp(min=max(LEAST * float(room.median()), 1e-3)))
        return view

    def _scaled(self, features: Tensor) -> Tensor:
        return (features - self.middle) / self.spread

    def _apart(self, directions: Tensor) -> Tensor:
        """(B,d) of length 1 -> (B,kept) distances."""
        return (2.0 - 2.0 * directions @ self.kept).clamp(min=0.0).sqrt()

    def forward(self, features: Tensor) -> Tensor:
        scaled = self._scaled(features)
        gap = (scaled @ self.whiten)[:, None] - self.means  # (B,K,d)
        squared = (gap * gap).sum(-1).amin(1).clamp(min=1e-12)
        near = self._apart(F.normalize(scaled, dim=1)).topk(NEAREST, largest=False).indices
        return 0.5 * squared.log() - SLOPE * self.room[near].mean(1).log()


class Rarity(nn.Module):
    """z (B,128), what was heard (B,HEARD) and logits (B,K) -> (B,): 1 where LIMIT of known windows are below.

    What `export.novelty.Novelty` is to other encoders. Made by `fit` and `limited_by`.
    """

    centre: Tensor
    scale: Tensor
    limit: Tensor

    def __init__(self, in_z: View, in_heard: View) -> None:
        super().__init__()
        self.in_z, self.in_heard = in_z, in_heard
        self.register_buffer("centre", torch.zeros(3))
        self.register_buffer("scale", torch.ones(3))
        self.register_buffer("limit", torch.ones(()))

    @classmethod
    def blank(cls, classes: int) -> Rarity:
        """Of the shape that ships, knowing nothing."""
        return cls(View(D_TOKEN, classes), View(HEARD, classes))

    @classmethod
    def fit(cls, z: Tensor, heard: Tensor, label: Tensor) -> Rarity:
        """From training windows: features (N,128) and (N,HEARD), classes (N,)."""
        return cls(View.fit(z, label), View.fit(heard, label))

    def limited_by(self, z: Tensor, heard: Tensor, logits: Tensor) -> Rarity:
        """Set the units of the signs and of their sum by known windows that were not trained on."""
        signs = self.signs(z, heard, logits)
        self.centre.copy_(signs.mean(0))
        self.scale.copy_(signs.std(0).clamp(min=1e-6))
        self.limit.fill_(1.0)
        self.limit.copy_(self(z, heard, logits).quantile(LIMIT).clamp(min=1e-6))
        return self

    def signs(self, z: Tensor, heard: Tensor, logits: Tensor) -> Tensor:
        """(B,3): how far for the room there is, in z and in what was heard; the energy."""
        return torch.stack([self.in_z(z), self.in_heard(heard), -logits.logsumexp(-1)], dim=1)

    def forward(self, z: Tensor, heard: Tensor, logits: Tensor) -> Tensor:
        signs = (self.signs(z, heard, logits) - self.centre) / self.scale
        return signs @ signs.new_tensor(WEIGHTS) / self.limit


def of_sounds(encoder: AudioEncoder, clips: Sequence[Clip]) -> Rarity:
    """That of the shipped split, from the recordings: of the folds that were trained on."""
    unused = (VALIDATION_FOLD, esc10.SHIPPED_TEST_FOLD)
    x, label = sounds([c for c in clips if c.fold not in unused])
    held_out, _ = sounds([c for c in clips if c.fold == VALIDATION_FOLD])
    return Rarity.fit(*hear(encoder, x)[:2], label).limited_by(*hear(encoder, held_out))


def sounds(clips: Sequence[Clip]) -> tuple[Tensor, Tensor]:
    """x (N,99,64), label (N,): every window that holds its class, or silence."""
    found = ClipWindows.of(clips)
    return found.x[found.label >= 0], found.label[found.label >= 0]


def hear(encoder: AudioEncoder, x: Tensor, batch: int = 256) -> tuple[Tensor, Tensor, Tensor]:
    """(N,99,64) -> what a Rarity reads: z (N,128), heard (N,HEARD), logits (N,K)."""
    encoder.eval()
    with torch.no_grad():
        outputs, heard = zip(*(encoder.hear(piece) for piece in x.split(batch)), strict=True)
    return (
        torch.cat([o.pooled for o in outputs]),
        torch.cat(heard),
        torch.cat([o.logits for o in outputs]),
    )

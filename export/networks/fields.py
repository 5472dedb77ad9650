"""Encoders of everything that is neither motion nor sound: arrays, scans, slow series and plain vectors.

All take x (B,T,C) in raw units and the channel mask (B,C), 1 where the channel was read; the constants that
normalise x are buffers, fitted on the training windows (`fit`), so that the exported file takes raw units.
A channel that is missing is put at its mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.networks.encoders import D_TOKEN, EncoderOutput, Readout, Residual1d, Residual2d


class Normalise(nn.Module):
    """(x - mean) / scale per channel, clipped to +-6; missing channels become 0."""

    mean: Tensor
    scale: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))

    def fit(self, x: Tensor, *, shared: bool) -> None:
        """Take mean and deviation from x (N,T,C): of each channel, or one pair for all (`shared`)."""
        axes = (0, 1, 2) if shared else (0, 1)
        self.mean.copy_(x.mean(axes).expand_as(self.mean))
        self.scale.copy_(x.std(axes).clamp(min=1e-3).expand_as(self.scale))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return ((x - self.mean) / self.scale).clamp(-6.0, 6.0) * mask[:, None]


class SeriesEncoder(nn.Module):
    """(B,T,C), T from 4 to about 64 -> T tokens. Differences in time are added as channels."""

    shared_scale = False

    def __init__(self, steps: int, channels: int, outputs: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.normalise = Normalise(channels)
        self.stem = nn.Conv1d(2 * channels, 64, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm1d(64)
        self.early = Residual1d(64, 3)
        self.late = Residual1d(64, 3)
        self.readout = Readout(64, outputs, dropout)
        self.tokens = steps

    def forward(self, x: Tensor, mask: Tensor) -> EncoderOutput:
        x = self.normalise(x, mask)
        change = F.pad(x[:, 1:] - x[:, :-1], (0, 0, 1, 0))
        x = torch.cat([x, 3.0 * change], dim=-1).transpose(1, 2)
        x = F.relu(self.stem_norm(self.stem(x)))
        return self.readout(self.late(self.early(x)).transpose(1, 2))


class TrackEncoder(nn.Module):
    """(B,T,2) positions in metres -> T tokens: what counts is how far each step goes and how it turns.

    Steps are turned so that the whole way from first to last point lies along one axis: a track has no
    north.
    """

    shared_scale = True

    def __init__(self, steps: int, channels: int, outputs: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.normalise = Normalise(channels)
        self.stem = nn.Conv1d(5, 48, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm1d(48)
        self.early = Residual1d(48, 3)
        self.late = Residual1d(48, 3)
        self.readout = Readout(48, outputs, dropout)
        self.tokens = steps - 1

    def forward(self, x: Tensor, mask: Tensor) -> EncoderOutput:
        step = (x[:, 1:] - x[:, :-1]) * mask[:, None]  # (B,T-1,2)
        way = step.sum(1)
        along = way / ((way * way).sum(-1, keepdim=True) + 1e-3).sqrt()
        across = torch.stack([-along[:, 1], along[:, 0]], dim=-1)
        forward = (step * along[:, None]).sum(-1) / self.normalise.scale[0]
        side = (step * across[:, None]).sum(-1) / self.normalise.scale[0]
        length = (step * step).sum(-1)
        logs = torch.log1p(length) * 0.5  # log metres: walking and driving differ by a factor
        total = torch.log1p((way * way).sum(-1))[:, None].expand_as(logs) * 0.5
        turn = F.pad((step[:, 1:] * step[:, :-1]).sum(-1), (1, 0)) / (length + 1.0)
        x = torch.stack([forward.clamp(-6, 6), side.clamp(-6, 6), logs, total, turn.clamp(-3, 3)], dim=1)
        x = F.relu(self.stem_norm(self.stem(x)))
        return self.readout(self.late(self.early(x)).transpose(1, 2))


class VectorEncoder(nn.Module):
    """(B,1,C) -> 4 tokens: a perceptron whose hidden layer is read as four pieces."""

    shared_scale = False

    def __init__(self, channels: int, outputs: int, dropout: float = 0.3, width: int = 256) -> None:
        super().__init__()
        self.normalise = Normalise(channels)
        self.first = nn.Linear(channels, width)
        self.norm = nn.LayerNorm(width)
        self.second = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.readout = Readout(width // 4, outputs, dropout)
        self.tokens = 4

    def forward(self, x: Tensor, mask: Tensor) -> EncoderOutput:
        x = self.normalise(x, mask)[:, -1]
        x = F.gelu(self.norm(self.first(x)))
        x = x + F.gelu(self.second(self.dropout(x)))
        return self.readout(x.view(x.shape[0], 4, -1))


class ScanEncoder(nn.Module):
    """(B,T,beams) ranges in metres -> 12 tokens around the circle; the scans of T moments are channels.

    A beam without an echo is NaN on the wire and 0 here; its own channel says so.
    """

    shared_scale = True

    def __init__(self, steps: int, channels: int, outputs: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.normalise = Normalise(channels)
        self.stem = nn.Conv1d(2 * steps, 48, 7, stride=3, padding=3, padding_mode="circular", bias=False)
        self.stem_norm = nn.BatchNorm1d(48)
        self.down = nn.Conv1d(48, 64, 5, stride=2, padding=2, padding_mode="circular", bias=False)
        self.down_norm = nn.BatchNorm1d(64)
        self.block = Residual1d(64, 5)
        self.pool = nn.AdaptiveAvgPool1d(12)
        self.flat = nn.Linear(12 * 64, D_TOKEN)
        self.flat_outputs = nn.Linear(D_TOKEN, outputs)
        self.readout = Readout(64, outputs, dropout)
        self.tokens = 12

    def forward(self, x: Tensor, mask: Tensor) -> EncoderOutput:
        seen = (x > 0.01).to(x.dtype)  # (B,T,beams)
        x = torch.cat([self.normalise(x, mask) * seen, seen], dim=1)
        x = F.relu(self.stem_norm(self.stem(x)))
        x = self.block(F.relu(self.down_norm(self.down(x))))
        x = self.pool(x)  # (B,64,12)
        out = self.readout(x.transpose(1, 2))
        # Where around the circle something lies matters to a regression; a mean over tokens forgets it.
        here = self.flat_outputs(F.relu(self.flat(x.flatten(1))))
        return EncoderOutput(out.tokens, out.pooled, out.logits + here)


class GridEncoder(nn.Module):
    """(B,T,H*W*colours + rest) -> tokens: a small image network on each frame, then along time.

    One frame: its coarse positions (at most 4 x 4) are the tokens. Several: one token a frame. `rest`
    channels after the image are what it is relative to (an ambient temperature): the image is then taken
    about its own mean, and that mean above the rest goes to every frame's features. A room that is warmer on
    another day must not look like somebody.
    """

    shared_scale = True

    def __init__(
        self, shape: tuple[int, int, int, int], outputs: int, *, rest: int = 0, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.steps, self.height, self.width, self.colours = shape
        self.rest = rest
        pixels = self.height * self.width * self.colours
        self.normalise = Normalise(pixels + rest)
        small = min(self.height, self.width) < 10
        self.stem = nn.Conv2d(self.colours, 24, 3, stride=1 if small else 2, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(24)
        self.early = Residual2d(24)
        self.down = nn.Conv2d(24, 48, 3, stride=2, padding=1, bias=False)
        self.down_norm = nn.BatchNorm2d(48)
        self.late = Residual2d(48)
        rows, columns = self._size(small)
        self.coarse = (min(rows, 4), min(columns, 4))
        self.pool = nn.AdaptiveAvgPool2d(self.coarse)
        self.flat = nn.Linear(48 * self.coarse[0] * self.coarse[1] + rest, 64)
        self.time = Residual1d(64, 3)
        self.readout = Readout(64 if self.steps > 1 else 48, outputs, dropout)
        self.flat_outputs = nn.Linear(64, outputs)
        self.dropout = nn.Dropout(dropout)
        self.tokens = self.steps if self.steps > 1 else self.coarse[0] * self.coarse[1]

    def _size(self, small: bool) -> tuple[int, int]:  # noqa: FBT001  (private, named at its one call)
        halves = 1 if small else 2
        rows, columns = self.height, self.width
        for _ in range(halves):
            rows, columns = -(-rows // 2), -(-columns // 2)
        return rows, columns

    def forward(self, x: Tensor, mask: Tensor) -> EncoderOutput:
        x = self.normalise(x, mask)
        pixels = self.height * self.width * self.colours
        rest = x[..., pixels:].flatten(0, 1)
        if self.rest:
            level = x[..., :pixels].mean(-1, keepdim=True)
            rest = 3.0 * (level - x[..., pixels:]).flatten(0, 1)
            x = 3.0 * (x[..., :pixels] - level)
        image = x[..., :pixels].reshape(-1, self.height, self.width, self.colours).permute(0, 3, 1, 2)
        y = self.early(F.relu(self.stem_norm(self.stem(image))))
        y = self.pool(self.late(F.relu(self.down_norm(self.down(y)))))  # (B*T,48,rows,columns)
        frame = F.relu(self.flat(self.dropout(torch.cat([y.flatten(1), rest], dim=-1))))  # (B*T,64)
        if self.steps == 1:
            out = self.readout(y.flatten(2).transpose(1, 2))
            return EncoderOutput(out.tokens, out.pooled, out.logits + self.flat_outputs(frame))
        frames = self.time(frame.view(-1, self.steps, 64).transpose(1, 2)).transpose(1, 2)
        out = self.readout(frames)
        return EncoderOutput(out.tokens, out.pooled, out.logits + self.flat_outputs(frames[:, -1]))

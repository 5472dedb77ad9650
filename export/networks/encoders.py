"""The encoders E_m: one small convolutional network per slot (DESIGN.md, "The model").

Each gives tokens H_m (B,n_m,128), pooled z_m (B,128) and logits (B,labels). The constants that normalise
the input are buffers, so the exported file takes raw units. Only the batch is dynamic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

D_TOKEN = 128
IMU_TOKENS = 10
AUDIO_TOKENS = 13
IMU_SHAPE = (100, 6)
AUDIO_SHAPE = (99, 64)
HEARD = 200
"""Numbers in what `AudioEncoder.hear` adds."""


@dataclass(frozen=True)
class EncoderConfig:
    """Enough to build the network again.

    `labels` is the width of its output; `shape` is (T,C), of a grid (T,height,width,colours,rest).
    """

    kind: Literal["imu", "audio", "series", "track", "vector", "scan", "grid"]
    labels: int
    dropout: float = 0.3
    shape: tuple[int, ...] = ()


class EncoderOutput(NamedTuple):
    """tokens (B,n,128), pooled (B,128), logits (B,labels)."""

    tokens: Tensor
    pooled: Tensor
    logits: Tensor


class Residual1d(nn.Module):
    """x + conv(relu(bn(conv(x)))), then relu: (B,c,n) -> (B,c,n)."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, bias=False)
        self.first_norm = nn.BatchNorm1d(channels)
        self.second = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, bias=False)
        self.second_norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first_norm(self.first(x)))
        return F.relu(x + self.second_norm(self.second(y)))


class Residual2d(nn.Module):
    """x + conv(relu(bn(conv(x)))), then relu: (B,c,t,f) -> (B,c,t,f)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first_norm(self.first(x)))
        return F.relu(x + self.second_norm(self.second(y)))


class Readout(nn.Module):
    """Token features (B,n,c) -> the three outputs. Tokens and pooled are layer-normed."""

    def __init__(self, channels: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.to_token = nn.Linear(channels, D_TOKEN)
        self.norm_token = nn.LayerNorm(D_TOKEN)
        self.to_pooled = nn.Linear(2 * channels, D_TOKEN)
        self.norm_pooled = nn.LayerNorm(D_TOKEN)
        self.dropout = nn.Dropout(dropout)
        self.to_logits = nn.Linear(D_TOKEN, labels)

    def forward(self, x: Tensor) -> EncoderOutput:
        tokens = self.norm_token(self.to_token(x))
        summary = torch.cat([x.mean(1), x.amax(1)], dim=-1)  # (B,2c)
        pooled = self.norm_pooled(self.to_pooled(self.dropout(summary)))
        return EncoderOutput(tokens, pooled, self.to_logits(self.dropout(F.relu(pooled))))


class ImuEncoder(nn.Module):
    """(B,100,6) acc m/s2 and gyro rad/s -> 10 tokens of 0.1 s each.

    The magnitudes of both vectors are added as channels: they do not depend on how the device is held.
    """

    scale: Tensor
    magnitude_mean: Tensor

    def __init__(self, labels: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor([0.1] * 3 + [0.5] * 3))
        self.register_buffer("magnitude_mean", torch.tensor([1.0, 0.5]))
        self.stem = nn.Conv1d(8, 48, 7, stride=2, padding=3, bias=False)
        self.stem_norm = nn.BatchNorm1d(48)
        self.early = Residual1d(48, 5)
        self.down = nn.Conv1d(48, 96, 5, stride=5, bias=False)
        self.down_norm = nn.BatchNorm1d(96)
        self.late = Residual1d(96, 3)
        self.readout = Readout(96, labels, dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> EncoderOutput:
        x = x * self.scale if mask is None else x * self.scale * mask[:, None]
        acc, gyro = x[..., :3], x[..., 3:]
        magnitudes = torch.stack([(acc * acc).sum(-1), (gyro * gyro).sum(-1)], dim=-1)
        magnitudes = (magnitudes + 1e-6).sqrt() - self.magnitude_mean
        x = torch.cat([x, magnitudes], dim=-1).transpose(1, 2)  # (B,8,100)
        x = F.relu(self.stem_norm(self.stem(x)))  # (B,48,50)
        x = F.relu(self.down_norm(self.down(self.early(x))))  # (B,96,10)
        return self.readout(self.late(x).transpose(1, 2))


class AudioEncoder(nn.Module):
    """(B,99,64) log-mel frames of 20 ms -> 13 tokens of 0.16 s each."""

    def __init__(self, labels: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 24, 5, stride=2, padding=2, bias=False)  # (B,24,50,32)
        self.stem_norm = nn.BatchNorm2d(24)
        self.down1 = nn.Conv2d(24, 48, 3, stride=2, padding=1, bias=False)  # (B,48,25,16)
        self.down1_norm = nn.BatchNorm2d(48)
        self.block1 = Residual2d(48)
        self.down2 = nn.Conv2d(48, 80, 3, stride=2, padding=1, bias=False)  # (B,80,13,8)
        self.down2_norm = nn.BatchNorm2d(80)
        self.block2 = Residual2d(80)
        self.bands = nn.Linear(8 * 80, 128, bias=False)  # where in pitch matters
        self.bands_norm = nn.BatchNorm1d(128)
        self.readout = Readout(128, labels, dropout)

    def forward(self, x: Tensor, _mask: Tensor | None = None) -> EncoderOutput:
        return self.hear(x)[0]

    def hear(self, x: Tensor) -> tuple[EncoderOutput, Tensor]:
        """And what was in the window on the way there (B,HEARD), before the classes shape it.

        Of the first maps the mean, and how much they vary over time and over pitch; of the last the largest.
        """
        stem = F.relu(self.stem_norm(self.stem(x[:, None])))
        x = self.block1(F.relu(self.down1_norm(self.down1(stem))))
        x = self.block2(F.relu(self.down2_norm(self.down2(x))))
        x = self.bands(x.permute(0, 2, 3, 1).flatten(2))  # (B,13,128)
        x = F.relu(self.bands_norm(x.transpose(1, 2)))
        over_pitch, over_time = stem.mean(3), stem.mean(2)  # (B,24,50), (B,24,32)
        heard = torch.cat([over_pitch.mean(2), over_pitch.std(2), over_time.std(2), x.amax(2)], dim=1)
        return self.readout(x.transpose(1, 2)), heard


def build(config: EncoderConfig) -> nn.Module:  # noqa: PLR0911  (one line a kind)
    """The network of a config, with fresh weights."""
    from export.networks import fields  # it builds on the blocks of this module

    labels, dropout, shape = config.labels, config.dropout, config.shape
    match config.kind:
        case "imu":
            return ImuEncoder(labels, dropout)
        case "audio":
            return AudioEncoder(labels, dropout)
        case "series":
            return fields.SeriesEncoder(shape[0], shape[1], labels, dropout)
        case "track":
            return fields.TrackEncoder(shape[0], shape[1], labels, dropout)
        case "scan":
            return fields.ScanEncoder(shape[0], shape[1], labels, dropout)
        case "vector":
            return fields.VectorEncoder(shape[1], labels, dropout)
        case "grid":
            steps, height, width, colours, rest = shape
            return fields.GridEncoder((steps, height, width, colours), labels, rest=rest, dropout=dropout)

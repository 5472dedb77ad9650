"""Seeded sources of augmented training batches. Each draws from a torch.Generator alone.

What varies: how a device is worn (rotation, scale, offset), when a window starts, how fast a person
moves; how loud, coloured and mixed a sound is. Between-class mixing after Tokozume et al. 2018
(arXiv 1711.10282), done on powers; masks after Park et al. 2019 (SpecAugment, arXiv 1904.08779).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from edge_agent.perception.features import CENTRE_DB, FLOOR, SCALE_DB, frames_of, mel_power
from export.datasets import esc10, phone_watch_imu
from export.datasets.esc10 import Clip
from export.datasets.phone_watch_imu import Execution

ROTATION_RAD = 0.25
WARP = 0.12
STRETCH = 0.2
"""A sound is played up to a fifth faster or slower, its pitch left as it is (Salamon and Bello 2017)."""
BANDS_SHIFT = 2.0
"""And its pitch moved by up to so many mel bands."""
AUDIO_FRAMES = frames_of(esc10.WINDOW)
SIMULATED_SILENCES = 40


class Batch(NamedTuple):
    """x (B,...) encoder input, target (B,labels) a distribution, owner (B,) of which execution or clip."""

    x: Tensor
    target: Tensor
    owner: Tensor


class Source(Protocol):
    """Draws n augmented training samples."""

    def draw(self, n: int, generator: Generator) -> Batch: ...


def uniform(generator: Generator, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Uniform numbers in low..high."""
    return torch.rand(*shape, generator=generator) * (high - low) + low


class ImuSource:
    """Windows of both devices at any instant of the given executions: `draw` gives x (B,S,100,6)."""

    def __init__(self, executions: Sequence[Execution], slots: Sequence[int] = (0, 1)) -> None:
        length = phone_watch_imu.WINDOW
        self.slots = list(slots)
        self.x = torch.from_numpy(np.concatenate([e.x[self.slots] for e in executions], axis=1))  # (S,n,6)
        labels = np.concatenate([e.label for e in executions])
        one_hot = np.eye(len(phone_watch_imu.INFO.labels), dtype=np.float32)[labels]
        counts = np.concatenate([np.zeros_like(one_hot[:1]), one_hot.cumsum(0)])  # (n+1,labels)
        bounds = np.cumsum([0] + [len(e.label) for e in executions])
        pieces = [np.arange(a, b - length + 1) for a, b in pairwise(bounds)]
        self.start = torch.from_numpy(np.concatenate(pieces))
        self.owner = torch.from_numpy(np.repeat(np.arange(len(pieces)), [len(p) for p in pieces]))
        self.first = torch.from_numpy(bounds[:-1])
        self.last = torch.from_numpy(bounds[1:] - 1)
        share = (counts[self.start.numpy() + length] - counts[self.start.numpy()]) / length
        self.share = torch.from_numpy(share)  # (starts,labels)
        self.label = self.share.argmax(1)
        frequency = torch.bincount(self.label, minlength=self.share.shape[1]).float()
        self.weight = frequency.clamp_min(1.0)[self.label] ** -0.5  # between as-is and balanced

    def draw(self, n: int, generator: Generator) -> Batch:
        pick = torch.multinomial(self.weight, n, replacement=True, generator=generator)
        majority = torch.nn.functional.one_hot(self.label[pick], self.share.shape[1]).float()
        x = self._cut(pick, generator)
        x = augment_imu(x, generator)
        return Batch(x, 0.6 * majority + 0.4 * self.share[pick], self.owner[pick])

    def _cut(self, pick: Tensor, generator: Generator) -> Tensor:
        """Windows played up to 12 % faster or slower about their centre: (B,S,100,6)."""
        length = phone_watch_imu.WINDOW
        speed = 1.0 + uniform(generator, len(pick), 1, low=-WARP, high=WARP)
        offset = (torch.arange(length) - (length - 1) / 2) * speed + (length - 1) / 2
        position = self.start[pick][:, None] + offset
        owner = self.owner[pick]
        position = position.clamp(self.first[owner][:, None], self.last[owner][:, None])
        below = position.floor().long()
        above = torch.minimum(below + 1, self.last[owner][:, None])
        part = (position - below)[None, ..., None]
        values = self.x[:, below] * (1 - part) + self.x[:, above] * part  # (S,B,100,6)
        return values.transpose(0, 1).float()


def augment_imu(x: Tensor, generator: Generator) -> Tensor:
    """(B,S,T,6) -> the same shape: worn a little differently, scaled, with offsets, noise and lost gyros."""
    b, s = x.shape[:2]
    axis = torch.randn(b * s, 3, generator=generator)
    axis = axis / axis.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    angle = ROTATION_RAD * torch.randn(b * s, generator=generator)
    rotation = rotation_matrix(axis, angle).view(b, s, 3, 3)
    turned = torch.cat([x[..., :3] @ rotation, x[..., 3:] @ rotation], dim=-1)
    scale = 1.0 + 0.1 * torch.randn(b, s, 1, 2, generator=generator).repeat_interleave(3, dim=-1)
    spread = torch.tensor([0.3] * 3 + [0.05] * 3)
    offset = spread * torch.randn(b, s, 1, 6, generator=generator)
    noise = spread * uniform(generator, b, s, 1, 1) * torch.randn(x.shape, generator=generator)
    kept = torch.ones(b, s, 1, 6)
    kept[..., 3:] = (uniform(generator, b, s, 1, 1) > 0.04).float()
    return (turned * scale + offset + noise) * kept


def rotation_matrix(axis: Tensor, angle: Tensor) -> Tensor:
    """Unit axes (B,3), angles rad (B,) -> (B,3,3), Rodrigues' formula."""
    x, y, z = axis.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).view(-1, 3, 3)
    sine, cosine = angle.sin()[:, None, None], angle.cos()[:, None, None]
    return torch.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)


class AudioSource:
    """Log-mel windows of the given clips, of mixes of two of them, and of silence: x (B,99,64)."""

    def __init__(self, clips: Sequence[Clip], seed: int = 0, mixed: float = 0.8) -> None:
        self.mixed = mixed
        silences = simulated_silences(SIMULATED_SILENCES, seed)
        self.power = torch.from_numpy(
            np.stack([mel_power(c.samples) for c in clips] + [mel_power(s) for s in silences])
        )
        clip, start, label = [], [], []
        for i, c in enumerate(clips):
            for begin in range(0, esc10.CLIP - esc10.WINDOW + 1, 5 * esc10.FRAME):
                if (found := esc10.window_label(c, begin)) is not None:
                    clip.append(i)
                    start.append(begin // esc10.FRAME)
                    label.append(found)
        for i in range(len(silences)):
            clip.append(len(clips) + i)
            start.append(0)
            label.append(esc10.SILENCE)
        self.clip, self.start, self.label = torch.tensor(clip), torch.tensor(start), torch.tensor(label)
        # Every class alike, every clip of a class alike; silence at a half.
        pairs = self.label * len(self.power) + self.clip
        _, inverse, count = pairs.unique(return_inverse=True, return_counts=True)
        clips_of = torch.stack(
            [
                self.clip[self.label == k].unique().numel() * torch.ones(())
                for k in range(len(esc10.INFO.labels))
            ]
        )
        self.weight = 1.0 / (count[inverse] * clips_of[self.label].clamp_min(1.0))
        self.weight[self.label == esc10.SILENCE] *= 0.5

    def draw(self, n: int, generator: Generator) -> Batch:
        pick = torch.multinomial(self.weight, 2 * n, replacement=True, generator=generator)
        power, label = self.cut(pick), torch.nn.functional.one_hot(self.label[pick], len(esc10.INFO.labels))
        share = uniform(generator, n, low=0.0, high=1.0)
        silent = (self.label[pick[:n]] == esc10.SILENCE) | (self.label[pick[n:]] == esc10.SILENCE)
        share[silent | (uniform(generator, n) > self.mixed)] = 1.0
        x = mix_between_classes(power[:n], power[n:], share)
        target = share[:, None] * label[:n] + (1 - share[:, None]) * label[n:]
        quiet = self.label[pick[:n]] == esc10.SILENCE
        return Batch(augment_audio(x, generator, quiet), target.float(), self.clip[pick[:n]])

    def cut(self, pick: Tensor) -> Tensor:
        """Powers (B,99,64) of the picked windows."""
        frames = self.start[pick][:, None] + torch.arange(AUDIO_FRAMES)
        return self.power[self.clip[pick][:, None], frames]  # (B,99,64)


def simulated_silences(n: int, seed: int) -> list[np.ndarray[tuple[int], np.dtype[np.float32]]]:
    """Clips of low noise, white to brown, -100 to -58 dB of full scale. Simulated, and only for `silence`."""
    random = np.random.default_rng(seed)
    clips = []
    for _ in range(n):
        spectrum = np.fft.rfft(random.standard_normal(esc10.CLIP))
        spectrum[1:] /= np.arange(1, len(spectrum)) ** random.uniform(0.0, 1.0)
        noise = np.fft.irfft(spectrum, esc10.CLIP)
        level = 10 ** (random.uniform(-100.0, -58.0) / 20)
        clips.append((noise * (level / noise.std())).astype(np.float32))
    return clips


def mix_between_classes(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Powers (B,T,64) twice, share (B,) of the first as it is heard -> (B,T,64).

    Levels are evened first, so that `share` is the ratio of loudness (amplitudes) and not of recordings.
    """
    level1, level2 = (p.sum(-1).amax(-1).clamp_min(1e-12).sqrt() for p in (first, second))  # amplitudes
    p1 = 1.0 / (1.0 + (level1 / level2) * (1.0 - share) / share.clamp_min(1e-6))
    p1 = torch.where(share >= 1.0, torch.ones_like(p1), p1)[:, None, None]
    return (p1**2 * first + (1 - p1) ** 2 * second) / (p1**2 + (1 - p1) ** 2)


def augment_audio(power: Tensor, generator: Generator, quiet: Tensor) -> Tensor:
    """Powers (B,T,64) -> augmented log-mel (B,T,64). `quiet` (B,) samples are not made louder."""
    power = warp_audio(power, generator)
    b, t, f = power.shape
    gain_db = 6.0 * torch.randn(b, 1, 1, generator=generator)
    gain_db = torch.where(quiet[:, None, None], -gain_db.abs(), gain_db)
    knots = 4.0 * torch.randn(b, 1, 5, generator=generator)
    colour_db = torch.nn.functional.interpolate(knots, size=f, mode="linear", align_corners=True)
    floor_db = uniform(generator, b, 1, 1, low=-110.0, high=-60.0)
    power = power * 10 ** ((gain_db + colour_db) / 10) + 10 ** (floor_db / 10)
    decibels = 10 * power.clamp_min(FLOOR).log10()
    x = (decibels - CENTRE_DB) / SCALE_DB
    for dim, size, widest in ((1, t, 20), (2, f, 10), (1, t, 20), (2, f, 10)):
        x = _mask(x, dim, size, widest, generator)
    return x


def warp_audio(power: Tensor, generator: Generator) -> Tensor:
    """Powers (B,T,64) -> the same shape: another tempo about the middle and pitch; mirrored at the edges."""
    b, _, f = power.shape
    theta = torch.zeros(b, 2, 3)  # rows: where to read along the bands, along time; in halves of the extent
    theta[:, 0, 0] = 1.0
    theta[:, 0, 2] = 2 / f * uniform(generator, b, low=-BANDS_SHIFT, high=BANDS_SHIFT)
    theta[:, 1, 1] = 1.0 + uniform(generator, b, low=-STRETCH, high=STRETCH)
    image = power[:, None]
    grid = torch.nn.functional.affine_grid(theta, list(image.shape), align_corners=False)
    read = torch.nn.functional.grid_sample(image, grid, padding_mode="reflection", align_corners=False)
    return read[:, 0]


def _mask(x: Tensor, dim: int, size: int, widest: int, generator: Generator) -> Tensor:
    """Set one stripe of random width to the sample's mean."""
    b = len(x)
    width = uniform(generator, b, 1, low=0.0, high=float(widest))
    start = uniform(generator, b, 1) * (size - width)
    at = torch.arange(size)
    hit = (at >= start) & (at < start + width)  # (B,size)
    hit = hit[:, :, None] if dim == 1 else hit[:, None, :]
    return torch.where(hit, x.mean((1, 2), keepdim=True), x)

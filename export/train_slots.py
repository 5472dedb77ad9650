"""Train the encoder of a slot on the readers of its heads, a few minutes on one core each.

    python -m export.train_slots thermal gps       # the shipped split, into runs/shipped/
    python -m export.train_slots                   # all that are not there yet

Classes are drawn by the square root of their share; what varies from device to device (gain, noise, a channel
that is missing) is varied in training. Sound and motion have trainers of their own (`train_encoders`).
"""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from export.averaging import follow
from export.catalog import SLOTS, HeadSpec, SlotSpec, heads_of, trained_here
from export.datasets.common import Float32, Int64, Samples
from export.networks.encoders import EncoderConfig, EncoderOutput, build
from export.plots import loss_curve
from export.schedule import cosine_warmup, shortened

RUNS = Path("runs")
SHIPPED = RUNS / "shipped"
MISSING_CHANNEL = 0.05
"""Share of channels that training takes away, on half of the windows."""


@dataclass(frozen=True)
class SlotOptions:
    """How long and how hard to train."""

    steps: int = 1500
    batch: int = 128
    rate: float = 2e-3
    weight_decay: float = 0.05
    smoothing: float = 0.05
    ema: float = 0.99
    seed: int = 0


@dataclass(frozen=True)
class Scaling:
    """How the numbers of a regression are normalised: (target - offset) / scale; (K,) each."""

    offset: Tensor
    scale: Tensor

    def normalised(self, target: Tensor) -> Tensor:
        """(B,K) numbers in their units as the network is to say them; NaN stays NaN."""
        return (target.float() - self.offset) / self.scale

    @classmethod
    def of(cls, target: Tensor) -> Scaling:
        """From targets (N,K), NaN left out."""
        known = ~target.isnan()
        count = known.sum(0).clamp(min=1)
        offset = target.nan_to_num().sum(0) / count
        spread = (((target - offset).nan_to_num()) ** 2 * known).sum(0) / count
        return cls(offset, spread.sqrt().clamp(min=1e-4))


def gaussian_loss(out: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and knowledge (B,K) of normalised numbers: out (B,2K) means and log sigmas, wanted with NaN.

    The negative log-likelihood, and half of the squared error beside it: without that a network that is
    unsure at first learns to stay so. 0 where a number is unknown.
    """
    mean, log_sigma = out.chunk(2, dim=-1)
    known = (~wanted.isnan()).float()
    log_sigma = log_sigma.clamp(-4.0, 2.0)
    error = (mean - wanted.nan_to_num()) ** 2
    each = 0.5 * error * torch.exp(-2 * log_sigma) + log_sigma + 0.5 * error
    return each * known, known


@dataclass(frozen=True)
class HeadData:
    """The training windows of one head and how likely each is to be drawn."""

    head: HeadSpec
    x: Tensor
    target: Tensor
    weight: Tensor
    scaling: Scaling | None
    columns: slice

    @classmethod
    def of(cls, head: HeadSpec, samples: Samples, columns: slice, steps: int = 0) -> HeadData:
        x, target = torch.from_numpy(as_steps(samples.x, steps)), torch.from_numpy(samples.target)
        if head.regression:
            return cls(head, x, target.float(), torch.ones(len(x)), Scaling.of(target.float()), columns)
        share = torch.bincount(target, minlength=len(head.labels)).float() / len(target)
        return cls(head, x, target, share[target].clamp(min=1e-4).rsqrt(), None, columns)

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.multinomial(self.weight, n, replacement=True, generator=generator)
        return self.x[rows], self.target[rows]

    def loss(self, logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
        """Cross entropy, or the Gaussian negative log-likelihood of the normalised numbers."""
        out = logits[:, self.columns].float()
        if self.scaling is None:
            return F.cross_entropy(out, target, label_smoothing=smoothing)
        each, known = gaussian_loss(out, self.scaling.normalised(target))
        return each.sum() / known.sum().clamp(min=1)


def vary(slot: SlotSpec, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """x (B,T,C) as another device would give it, and the mask (B,C) of the channels that are left."""
    n, _, channels = x.shape
    noise = torch.randn(x.shape, generator=generator)
    gain = 1 + slot.gain * torch.randn(n, 1, 1, generator=generator)
    varied = x * gain + slot.noise * noise + slot.drift * torch.randn(n, 1, 1, generator=generator)
    # A beam without an echo is 0 on every device: with noise on it, it would pass for one that was seen.
    x = torch.where(x > 0, varied, x) if slot.encoder == "scan" else varied
    if slot.shift and slot.grid:
        x = _shifted(slot, x, generator)
    if slot.turn_deg:
        x = _turned(slot, x, generator)
    taken = torch.rand(n, channels, generator=generator) < MISSING_CHANNEL
    taken &= torch.rand(n, 1, generator=generator) < 0.5
    return x, (~taken).float()


def _shifted(slot: SlotSpec, x: Tensor, generator: torch.Generator) -> Tensor:
    """Images moved by up to `shift` cells; what comes in at the edge is the edge."""
    steps, height, width, colours, rest = slot.grid
    pixels = height * width * colours
    image = x[..., :pixels].reshape(-1, height, width, colours).permute(0, 3, 1, 2)
    s = slot.shift
    padded = F.pad(image, (s, s, s, s), mode="replicate")
    # One shift for a batch: a gather of one for each row costs more than the step that it improves.
    down, right = torch.randint(0, 2 * s + 1, (2,), generator=generator).tolist()
    moved = padded[:, :, down : down + height, right : right + width].permute(0, 2, 3, 1)
    moved = moved.reshape(x.shape[0], steps, pixels)
    return torch.cat([moved, x[..., pixels:]], dim=-1) if rest else moved


def _turned(slot: SlotSpec, x: Tensor, generator: torch.Generator) -> Tensor:
    """Points (B,T,axes * P) turned by an angle for each window, half of the windows mirrored before.

    No camera hangs straight, and whoever made the recordings used one hand.
    """
    points = x.unflatten(-1, (-1, slot.axes)).clone()
    if slot.mirror:
        points[torch.rand(len(x), generator=generator) < 0.5, ..., 0] *= -1
    angle = torch.randn(len(x), 1, 1, generator=generator) * math.radians(slot.turn_deg)
    across, along = points[..., 0], points[..., -1]
    turned = points.clone()
    turned[..., 0] = across * angle.cos() - along * angle.sin()
    turned[..., -1] = across * angle.sin() + along * angle.cos()
    return turned.flatten(-2)


class SlotTrainer:
    """One encoder and the data of its heads."""

    def __init__(
        self, slot: SlotSpec, data: Sequence[HeadData], options: SlotOptions, outputs: int | None = None
    ) -> None:
        torch.manual_seed(options.seed)
        self.slot, self.data, self.options = slot, data, options
        width = outputs_of(slot) if outputs is None else outputs
        self.config = EncoderConfig(slot.encoder, width, slot.dropout, slot.shape)
        self.network = build(self.config)
        fit = torch.cat([d.x[:4000] for d in data])
        normalise = getattr(self.network, "normalise", None)
        if normalise is not None:
            shared = bool(getattr(self.network, "shared_scale", False))
            normalise.fit(fit, shared=shared)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.losses: list[float] = []

    def run(self, *, progress: bool = True) -> nn.Module:
        """Train; returns the averaged network in evaluation mode."""
        o = self.options
        generator = torch.Generator().manual_seed(o.seed)
        optimiser = torch.optim.AdamW(self.network.parameters(), lr=o.rate, weight_decay=o.weight_decay)
        self.network.train()
        for step in tqdm(range(o.steps), desc=self.slot.name, mininterval=2, disable=not progress):
            for group in optimiser.param_groups:
                group["lr"] = o.rate * cosine_warmup(step, o.steps)
            loss = self._loss(generator)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
            optimiser.step()
            follow(self.average, self.network, min(o.ema, (step + 1) / (step + 10)))
            self.losses.append(loss.item())
        return self.average

    def _loss(self, generator: torch.Generator) -> Tensor:
        total = torch.zeros(())
        for data in self.data:
            x, target = data.draw(self.options.batch // len(self.data), generator)
            x, mask = vary(self.slot, x, generator)
            output: EncoderOutput = self.network(x, mask)
            total = total + data.loss(output.logits, target, self.options.smoothing)
        return total

    def save(self, path: Path) -> None:
        """Weights, config, and the scaling of each regression."""
        scaling = {
            d.head.name: {"offset": d.scaling.offset.tolist(), "scale": d.scaling.scale.tolist()}
            for d in self.data
            if d.scaling is not None
        }
        torch.save(
            {
                "state": self.average.state_dict(), "config": asdict(self.config),
                "options": asdict(self.options), "scaling": scaling,
            },
            path,
        )  # fmt: skip
        loss_curve([{"loss": x} for x in self.losses], path.with_suffix(".png"), path.stem)


def columns_of(slot: SlotSpec) -> dict[str, slice]:
    """head -> where it stands in the encoder's output."""
    found, start = {}, 0
    for head in heads_of(slot.name):
        found[head.name] = slice(start, start + head.width)
        start += head.width
    return found


def outputs_of(slot: SlotSpec) -> int:
    """The width of the encoder's output."""
    return sum(head.width for head in heads_of(slot.name))


def train_data(slot: SlotSpec, rows: dict[str, Int64] | None = None) -> list[HeadData]:
    """The training windows of each head of a slot; `rows` overrides the shipped split's."""
    columns = columns_of(slot)
    found = []
    for head in heads_of(slot.name):
        reader = head.reader
        samples = reader.load()
        keep = rows[head.name] if rows is not None else reader.shipped(samples).train
        found.append(HeadData.of(head, samples[keep], columns[head.name], slot.shape[0]))
    return found


def as_steps(x: Float32, steps: int) -> Float32:
    """Windows (N,T,C) with `steps` steps (0: as they are): a single one is repeated."""
    return np.repeat(x, steps, axis=1) if steps and x.shape[1] == 1 else x


def predict(network: nn.Module, x: np.ndarray, batch: int = 512) -> EncoderOutput:
    """Everything of x (N,T,C), all channels present, through the encoder."""
    pieces = []
    with torch.no_grad():
        for start in range(0, len(x), batch):
            part = torch.from_numpy(x[start : start + batch])
            pieces.append(network(part, torch.ones(len(part), part.shape[-1])))
    return EncoderOutput(*(torch.cat(part) for part in zip(*pieces, strict=True)))


def load_slot(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """A trained encoder in evaluation mode, and the scaling of its regressions."""
    saved = torch.load(path, weights_only=True)
    config = dict(saved["config"])
    config["shape"] = tuple(config.get("shape", ()))
    network = build(EncoderConfig(**config))
    network.load_state_dict(saved["state"])
    return network.eval().requires_grad_(False), saved.get("scaling", {})


def train_shipped(name: str, folder: Path, options: SlotOptions | None = None) -> None:
    """The encoder that ships; what is already there is kept."""
    path = folder / f"encoder_{name}.pt"
    if path.exists():
        return
    slot = SLOTS[name]
    trainer = SlotTrainer(slot, train_data(slot), options or SlotOptions(steps=slot.steps))
    trainer.run()
    folder.mkdir(parents=True, exist_ok=True)
    trainer.save(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the named slots for the shipped split."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = trained_here()
    parser.add_argument("slots", nargs="*", default=known, metavar="SLOT", help=", ".join(known))
    parser.add_argument("--folder", type=Path, default=SHIPPED)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of the steps that the shipped ones had")
    parsed = parser.parse_args(arguments)
    if unknown := sorted(set(parsed.slots) - set(known)):
        parser.error(f"no slot that is trained here: {', '.join(unknown)}; there are {', '.join(known)}")
    torch.set_num_threads(parsed.threads)
    for name in parsed.slots:
        train_shipped(name, parsed.folder, SlotOptions(steps=shortened(SLOTS[name].steps, parsed.share)))


if __name__ == "__main__":
    main()

"""Train one encoder: seeded, resumable after any epoch, with its loss curve as a picture.

python -m export.train_encoders imu_phone      # the shipped split, into runs/shipped/
"""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from edge_agent.perception.features import log_mel
from export.averaging import follow
from export.datasets import esc10, phone_watch_imu
from export.datasets.augment import AudioSource, ImuSource, Source
from export.datasets.esc10 import Clip
from export.datasets.phone_watch_imu import Execution, PairWindows
from export.datasets.simulated import with_simulated_audio, with_simulated_imu
from export.networks.encoders import EncoderConfig, EncoderOutput, build
from export.precision import autocast
from export.schedule import cosine_warmup, shortened
from export.scores import macro_f1
from export.train_slots import SHIPPED, load_slot

VALIDATION_SUBJECTS: tuple[str, ...] = ("s07", "s16")
"""Not trained on in the shipped split: temperature and thresholds come from them."""
VALIDATION_FOLD = 4
SLOTS: tuple[str, ...] = (*phone_watch_imu.SLOTS, "audio")


@dataclass(frozen=True)
class TrainOptions:
    """How long and how hard to train."""

    epochs: int
    steps_per_epoch: int
    batch: int
    rate: float
    weight_decay: float = 0.05
    smoothing: float = 0.05
    ema: float = 0.995
    seed: int = 0


IMU_OPTIONS = TrainOptions(epochs=24, steps_per_epoch=64, batch=128, rate=2e-3)
AUDIO_OPTIONS = TrainOptions(epochs=24, steps_per_epoch=48, batch=64, rate=2e-3, ema=0.99)
Score = Callable[[nn.Module], float]


def options_of(slot: str, seed: int = 0, share: float = 1.0) -> TrainOptions:
    """The options this slot is shipped with, or for `share` of its epochs."""
    shipped = AUDIO_OPTIONS if slot == "audio" else IMU_OPTIONS
    return replace(shipped, seed=seed, epochs=shortened(shipped.epochs, share))


def config_of(slot: str) -> EncoderConfig:
    """The network of a slot."""
    if slot == "audio":
        return EncoderConfig("audio", len(esc10.INFO.labels))
    return EncoderConfig("imu", len(phone_watch_imu.INFO.labels))


def train_encoder(
    slot: str, source: Source, path: Path, options: TrainOptions, score: Score | None = None,
    config: EncoderConfig | None = None,
) -> nn.Module:  # fmt: skip
    """Train `slot` on `source` and save it at `path`; what is already there is continued or returned.

    `score` is called on the averaged weights now and then, for the curve alone: nothing is selected by it.
    `config` is another network than the slot's own.
    """
    config = config or config_of(slot)
    if path.exists():
        return load_encoder(path)
    torch.manual_seed(options.seed)
    run = _Run(build(config), options, path.with_suffix(".partial"))
    bar = tqdm(range(run.epoch, options.epochs), desc=path.stem, initial=run.epoch, total=options.epochs)
    for epoch in bar:
        run.train_epoch(source)
        if score is not None and (epoch % 4 == 3 or epoch + 1 == options.epochs):
            run.scores.append((epoch + 1, score(run.average)))
        bar.set_postfix(loss=f"{run.losses[-1]:.3f}", score=f"{run.scores[-1][1]:.3f}" if run.scores else "-")
        run.save()
    save_encoder(path, run.average, config, options)
    plot_curve(path.with_suffix(".png"), run.losses, run.scores)
    run.partial.unlink(missing_ok=True)
    return run.average


class _Run:
    """The state of a training: network, its running average, optimiser and what was logged."""

    def __init__(self, network: nn.Module, options: TrainOptions, partial: Path) -> None:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # images are faster so
        self.network, self.options, self.partial = network, options, partial
        self.average = copy.deepcopy(network).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=options.rate, weight_decay=options.weight_decay
        )
        self.epoch = 0
        self.losses: list[float] = []
        self.scores: list[tuple[int, float]] = []
        partial.parent.mkdir(parents=True, exist_ok=True)
        if partial.exists():
            self._restore(torch.load(partial, weights_only=True))

    def _restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch, self.losses, self.scores = state["epoch"], state["losses"], state["scores"]

    def save(self) -> None:
        """Replace the checkpoint in one step, so that a kill never leaves half of one."""
        state = {
            "network": self.network.state_dict(), "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(), "epoch": self.epoch, "losses": self.losses,
            "scores": self.scores,
        }  # fmt: skip
        temporary = self.partial.with_suffix(".part")
        torch.save(state, temporary)
        temporary.replace(self.partial)

    def train_epoch(self, source: Source) -> None:
        """One epoch; its random numbers depend on seed and epoch alone, so a resumed run is the same run."""
        o = self.options
        generator = Generator().manual_seed(o.seed * 100003 + self.epoch)
        torch.manual_seed(o.seed * 100003 + self.epoch)  # dropout
        self.network.train()
        total = 0.0
        for i in range(o.steps_per_epoch):
            factor = cosine_warmup(self.epoch * o.steps_per_epoch + i, o.epochs * o.steps_per_epoch)
            for group in self.optimiser.param_groups:
                group["lr"] = o.rate * factor
            batch = source.draw(o.batch, generator)
            x = batch.x[:, 0] if batch.x.ndim == 4 else batch.x
            total += self._step(x, batch.target)
        self.losses.append(total / o.steps_per_epoch)
        self.epoch += 1

    def _step(self, x: Tensor, target: Tensor) -> float:
        with autocast():
            output: EncoderOutput = self.network(x)
        loss = F.cross_entropy(output.logits.float(), target, label_smoothing=self.options.smoothing)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        self.optimiser.step()
        follow(self.average, self.network, self.options.ema)
        return loss.item()


def save_encoder(path: Path, network: nn.Module, config: EncoderConfig, options: TrainOptions) -> None:
    """Write weights, config and options: what rebuilds the encoder."""
    torch.save({"state": network.state_dict(), "config": asdict(config), "options": asdict(options)}, path)


def load_encoder(path: Path) -> nn.Module:
    """The trained encoder in evaluation mode."""
    return load_slot(path)[0]


def encode(network: nn.Module, x: Tensor, batch: int = 256) -> EncoderOutput:
    """All of x through the encoder, without gradients, in batches."""
    network.eval()
    with torch.no_grad():
        pieces = [network(x[i : i + batch]) for i in range(0, len(x), batch)]
    tokens, pooled, logits = zip(*pieces, strict=True)
    return EncoderOutput(torch.cat(tokens), torch.cat(pooled), torch.cat(logits))


def imu_score(test: PairWindows, slot: int) -> Score:
    """Macro-F1 of an encoder on the windows of one device."""
    x = torch.from_numpy(test.x[:, slot])
    return lambda network: macro_f1(test.label, encode(network, x).logits.argmax(1).numpy(), 5)


@dataclass(frozen=True)
class ClipWindows:
    """Every window of some clips: x (N,99,64), label (N,) -1 for background, clip (N,), audible (N,)."""

    x: Tensor
    label: Tensor
    clip: Tensor
    audible: Tensor

    @classmethod
    def of(cls, clips: Sequence[Clip]) -> ClipWindows:
        starts = esc10.window_starts()
        cut = [c.samples[s : s + esc10.WINDOW] for c in clips for s in starts]
        levels = esc10.frame_levels_db(np.stack(cut)).max(-1)
        found = [esc10.window_label(c, s) for c in clips for s in starts]
        return cls(
            torch.from_numpy(np.stack([log_mel(x) for x in cut])),
            torch.tensor([-1 if label is None else label for label in found]),
            torch.arange(len(clips)).repeat_interleave(len(starts)),
            torch.from_numpy(levels >= esc10.SILENT_DB),
        )


def clip_accuracy(clips: Sequence[Clip], test: ClipWindows, logits: Tensor) -> float:
    """Share of the clips whose mean log-probability over audible windows is highest for their class."""
    n = len(clips)
    log_p = logits.float().log_softmax(-1).view(n, -1, logits.shape[-1]).numpy()
    scores = esc10.clip_scores(log_p, test.audible.view(n, -1).numpy())
    return float((scores.argmax(-1) == np.array([c.label for c in clips])).mean())


def audio_score(clips: Sequence[Clip]) -> Score:
    """Clip accuracy of an encoder."""
    test = ClipWindows.of(clips)
    return lambda network: clip_accuracy(clips, test, encode(network, test.x).logits)


def plot_curve(path: Path, losses: Sequence[float], scores: Sequence[tuple[int, float]]) -> None:
    """Loss per epoch, and the scores where there are some: a picture, and its numbers as CSV."""
    import matplotlib as mpl

    from export.plots import loss_table

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    scored = dict(scores)
    loss_table(
        [{"loss": x, "score": scored.get(epoch, math.nan)} for epoch, x in enumerate(losses, 1)],
        path.with_suffix(".csv"),
    )
    figure, axis = plt.subplots(figsize=(6, 3.5))
    axis.plot(range(1, len(losses) + 1), losses, label="training loss")
    axis.set_xlabel("epoch")
    if scores:
        axis.plot(*zip(*scores, strict=True), marker="o", label="validation score")
    axis.legend()
    axis.set_title(path.stem)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def imu_split(
    executions: Sequence[Execution], held_out: Sequence[str]
) -> tuple[list[Execution], list[Execution]]:
    """(the others, the executions of the held-out subjects)."""
    return (
        [e for e in executions if e.subject not in held_out],
        [e for e in executions if e.subject in held_out],
    )


def train_shipped(slot: str, options: TrainOptions, folder: Path = SHIPPED) -> nn.Module:
    """The encoder that ships: never sees the test people or fold, nor those kept for calibration."""
    path = folder / f"encoder_{slot}.pt"
    if slot == "audio":
        train, validation = shipped_clips(esc10.load())
        sounds = with_simulated_audio(AudioSource(train, options.seed), options.seed)
        return train_encoder(slot, sounds, path, options, audio_score(validation))
    number = phone_watch_imu.SLOTS.index(slot)
    people, others = shipped_people(phone_watch_imu.load())
    score = imu_score(phone_watch_imu.windows(others), number)
    windows = with_simulated_imu(ImuSource(people, [number]), options.seed)
    return train_encoder(slot, windows, path, options, score)


def shipped_clips(clips: Sequence[Clip]) -> tuple[list[Clip], list[Clip]]:
    """(for training, for validation): of the official folds, the test one in neither."""
    train = [f for f in range(1, 6) if f not in (esc10.SHIPPED_TEST_FOLD, VALIDATION_FOLD)]
    return esc10.select(clips, train), esc10.select(clips, [VALIDATION_FOLD])


def shipped_people(executions: Sequence[Execution]) -> tuple[list[Execution], list[Execution]]:
    """(for training, for validation): the test people are in neither."""
    train, _ = imu_split(executions, (*phone_watch_imu.SHIPPED_TEST_SUBJECTS, *VALIDATION_SUBJECTS))
    return train, imu_split(executions, VALIDATION_SUBJECTS)[1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the named slots for the shipped split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slots", nargs="*", default=SLOTS, help=f"of {', '.join(SLOTS)}; default all")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=SHIPPED)
    parser.add_argument("--share", type=float, default=1.0, help="of the epochs that the shipped ones had")
    parsed = parser.parse_args(arguments)
    torch.set_num_threads(parsed.threads)
    for slot in parsed.slots:
        train_shipped(slot, options_of(slot, share=parsed.share), parsed.folder)


if __name__ == "__main__":
    main()

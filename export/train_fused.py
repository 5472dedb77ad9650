"""Train the adapter's fused heads on frozen encoders: every subset of phone, watch and microphone.

    python -m export.train_fused      # the shipped split, into runs/shipped/

Phone and watch are of the same instant. The sound is drawn without regard to them: such a sample is
`paired`, not co-recorded, and it teaches each head which slots are none of its business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from export.datasets import esc10, phone_watch_imu
from export.datasets.augment import Source, cosine_warmup, uniform
from export.networks.adapter import TASKS, Adapter, AdapterConfig, AdapterOutput
from export.networks.encoders import AUDIO_TOKENS, IMU_TOKENS, EncoderOutput
from export.precision import autocast
from export.train_encoders import SLOTS, encode, plot_curve

ACTIVITY, EVENT = phone_watch_imu.INFO.task, esc10.INFO.task
HEADS: tuple[tuple[str, int], ...] = (
    (ACTIVITY, len(phone_watch_imu.INFO.labels)),
    (EVENT, len(esc10.INFO.labels)),
)
SLOT_TOKENS: tuple[tuple[str, int], ...] = (
    ("imu_phone", IMU_TOKENS),
    ("imu_watch", IMU_TOKENS),
    ("audio", AUDIO_TOKENS),
)
ROWS: tuple[int, ...] = (TASKS.index(ACTIVITY), TASKS.index(EVENT), TASKS.index("dialog"))


@dataclass(frozen=True)
class FusedOptions:
    """How the adapter is trained; the pools are augmented samples encoded once."""

    steps: int = 700
    batch: int = 128
    rate: float = 6e-4
    weight_decay: float = 0.05
    drop_slot: float = 0.3
    drop_all: float = 0.05
    imu_pool: int = 16384
    audio_pool: int = 6144
    smoothing: float = 0.05
    gate_entropy: float = 0.01
    ema: float = 0.99
    seed: int = 0


@dataclass(frozen=True)
class Pool:
    """Encoded samples: tokens and pooled per slot, target (N,labels), owner (N,) of execution or clip."""

    slots: dict[str, EncoderOutput]
    target: Tensor
    owner: Tensor


def make_pool(source: Source, encoders: Mapping[str, nn.Module], n: int, seed: int, chunk: int = 512) -> Pool:
    """Draw n augmented samples and encode them with the encoders of the source's slots, in their order."""
    generator = Generator().manual_seed(seed)
    parts: dict[str, list[EncoderOutput]] = {name: [] for name in encoders}
    targets, owners = [], []
    for start in range(0, n, chunk):
        batch = source.draw(min(chunk, n - start), generator)
        x = batch.x if batch.x.ndim == 4 else batch.x[:, None]  # (B,S,T,C)
        for i, (name, encoder) in enumerate(encoders.items()):
            parts[name].append(encode(encoder, x[:, i]))
        targets.append(batch.target)
        owners.append(batch.owner)
    slots = {name: join(outputs) for name, outputs in parts.items()}
    return Pool(slots, torch.cat(targets), torch.cat(owners))


def join(outputs: list[EncoderOutput]) -> EncoderOutput:
    """Concatenate along the batch."""
    tokens, pooled, logits = zip(*outputs, strict=True)
    return EncoderOutput(torch.cat(tokens), torch.cat(pooled), torch.cat(logits))


def adapter_inputs(slots: Mapping[str, EncoderOutput]) -> tuple[Tensor, Tensor]:
    """tokens (B,33,128) and pooled (B,3,128) in the order of the slots."""
    return (
        torch.cat([slots[name].tokens for name in SLOTS], dim=1),
        torch.stack([slots[name].pooled for name in SLOTS], dim=1),
    )


def random_mask(n: int, options: FusedOptions, generator: Generator) -> Tensor:
    """(n,3) of 0 and 1: each slot dropped alone, then everything dropped now and then."""
    kept = uniform(generator, n, len(SLOTS)) >= options.drop_slot
    some = uniform(generator, n, 1) >= options.drop_all
    return (kept & some).float()


def loss_of(
    output: AdapterOutput, targets: Mapping[str, Tensor], mask: Tensor, row: Tensor, options: FusedOptions
) -> Tensor:
    """Each head's CE on its own row and on the dialog row, where a slot that can know is present."""
    able = {ACTIVITY: mask[:, :2].amax(1), EVENT: mask[:, 2]}
    total = torch.zeros(())
    for task, logits in output.logits.items():
        asked = (row == TASKS.index(task)) | (row == TASKS.index("dialog"))
        weight = able[task] * asked.float()
        each = F.cross_entropy(
            logits.float(), targets[task], reduction="none", label_smoothing=options.smoothing
        )
        total = total + (each * weight).sum() / weight.sum().clamp_min(1.0)
    alpha = output.alpha.float()
    entropy = -(alpha * (alpha + 1e-6).log()).sum(-1).mean()
    return total + options.gate_entropy * entropy


def train_adapter(
    imu: Pool, audio: Pool, options: FusedOptions, name: str = "adapter"
) -> tuple[Adapter, list[float]]:
    """The adapter (averaged weights, evaluation mode) and its losses, one per 25 steps."""
    torch.manual_seed(options.seed)
    generator = Generator().manual_seed(options.seed + 7)
    adapter = Adapter(AdapterConfig(slots=SLOT_TOKENS, heads=HEADS))
    average = torch.optim.swa_utils.AveragedModel(
        adapter, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(options.ema)
    )
    optimiser = torch.optim.AdamW(adapter.parameters(), lr=options.rate, weight_decay=options.weight_decay)
    losses: list[float] = []
    running: list[float] = []
    for step in tqdm(range(options.steps), desc=name, mininterval=5):
        for group in optimiser.param_groups:
            group["lr"] = options.rate * cosine_warmup(step, options.steps)
        loss = _batch_loss(adapter, imu, audio, options, generator)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(adapter.parameters(), 1.0)
        optimiser.step()
        average.update_parameters(adapter)
        running.append(loss.item())
        if len(running) == 25:
            losses.append(sum(running) / 25)
            running = []
    adapter.load_state_dict(average.module.state_dict())
    return adapter.eval().requires_grad_(False), losses


def _batch_loss(
    adapter: Adapter, imu: Pool, audio: Pool, options: FusedOptions, generator: Generator
) -> Tensor:
    n = options.batch
    i = torch.randint(len(imu.target), (n,), generator=generator)
    j = torch.randint(len(audio.target), (n,), generator=generator)
    slots = {name: pick(output, i) for name, output in imu.slots.items()}
    slots |= {name: pick(output, j) for name, output in audio.slots.items()}
    tokens, pooled = adapter_inputs(slots)
    mask = random_mask(n, options, generator)
    row = torch.tensor(ROWS)[torch.randint(len(ROWS), (n,), generator=generator)]
    with autocast():
        output = adapter(tokens, pooled, mask, row)
    return loss_of(output, {ACTIVITY: imu.target[i], EVENT: audio.target[j]}, mask, row, options)


def pick(output: EncoderOutput, index: Tensor) -> EncoderOutput:
    """The rows of `index`."""
    return EncoderOutput(output.tokens[index], output.pooled[index], output.logits[index])


def fused_logits(
    adapter: Adapter,
    slots: Mapping[str, EncoderOutput],
    present: tuple[str, ...],
    task: str,
    row: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Logits (N,labels) of `task` and alpha (N,3) with only `present` slots, from row `row` or its own.

    A slot that is not in `slots` is filled with zeros, which the mask keeps from having any effect.
    """
    n = len(next(iter(slots.values())).logits)
    full = {
        name: slots.get(name)
        or EncoderOutput(torch.zeros(n, count, 128), torch.zeros(n, 128), torch.zeros(n, 1))
        for name, count in SLOT_TOKENS
    }
    tokens, pooled = adapter_inputs(full)
    mask = torch.tensor([[float(name in present) for name in SLOTS]]).expand(n, -1)
    index = torch.full((n,), TASKS.index(row or task))
    logits, alpha = [], []
    with torch.no_grad():
        for s in range(0, n, 256):
            e = s + 256
            output = adapter(tokens[s:e], pooled[s:e], mask[s:e], index[s:e])
            logits.append(output.logits[task])
            alpha.append(output.alpha)
    return torch.cat(logits), torch.cat(alpha)


def save_adapter(path: Path, adapter: Adapter, options: FusedOptions, losses: list[float]) -> None:
    """Write weights, config and options, and the loss curve beside them."""
    torch.save(
        {"state": adapter.state_dict(), "config": asdict(adapter.config), "options": asdict(options)}, path
    )
    plot_curve(path.with_suffix(".png"), losses, [])


def load_adapter(path: Path) -> Adapter:
    """The trained adapter in evaluation mode."""
    saved: dict[str, Any] = torch.load(path, weights_only=True)
    adapter = Adapter(AdapterConfig(**saved["config"]))
    adapter.load_state_dict(saved["state"])
    return adapter.eval().requires_grad_(False)


def train_pools(
    imu: Source, audio: Source, encoders: Mapping[str, nn.Module], options: FusedOptions
) -> tuple[Pool, Pool]:
    """The two pools a fused training needs."""
    imu_encoders = {name: encoders[name] for name in phone_watch_imu.SLOTS}
    return (
        make_pool(imu, imu_encoders, options.imu_pool, options.seed + 1),
        make_pool(audio, {"audio": encoders["audio"]}, options.audio_pool, options.seed + 2),
    )

"""Train the fused heads on frozen encoders: every head, from every subset of the slots that serve it.

    python -m export.train_heads      # the shipped split, into runs/shipped/heads.pt

Loss: each head's cross entropy (or Gaussian likelihood of its numbers), a small price on undecided gates, and
InfoNCE (van den Oord et al. 2018): of slots that were recorded at the same instant, and of what a head sees
with the words of its label (DESIGN.md, "Loss").
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from export.averaging import follow
from export.catalog import HEADS, SLOTS
from export.groups import Group, Sample, assemble, draw, random_mask
from export.networks.adapter import Ablation, AdapterConfig, Heads, HeadShape
from export.networks.encoders import EncoderOutput
from export.plots import loss_curve
from export.schedule import cosine_warmup, shortened
from export.slot_features import groups
from export.train_slots import SHIPPED, Scaling, gaussian_loss

NEGATIVES_TEMPERATURE = 0.1


@dataclass(frozen=True)
class HeadsOptions:
    """How the heads are trained."""

    steps: int = 1500
    batch: int = 128
    rate: float = 1e-3
    weight_decay: float = 0.05
    smoothing: float = 0.05
    gate_entropy: float = 0.01
    contrast: float = 0.1
    ema: float = 0.99
    seed: int = 0


class Words(nn.Module):
    """The words of each label as vectors near what the head sees when the label holds."""

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        self.vectors = nn.ParameterDict(
            {h.name: torch.randn(h.width, config.d_model) for h in config.heads if not h.regression}
        )

    def loss(self, name: str, seen: Tensor, target: Tensor) -> Tensor:
        """InfoNCE of seen (B,d) with the vectors of the labels; target (B,labels)."""
        similarity = F.normalize(seen, dim=-1) @ F.normalize(self.vectors[name], dim=-1).T
        return -(target * (similarity / NEGATIVES_TEMPERATURE).log_softmax(-1)).sum(-1)


def train_heads(
    config: AdapterConfig,
    training: Sequence[Group],
    options: HeadsOptions,
    scaling: Mapping[str, Scaling],
    *,
    progress: bool = True,
) -> tuple[Heads, list[float]]:
    """The heads (averaged weights, evaluation mode) and the losses."""
    training = [group.without_tokens() for group in training]
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed + 7)
    heads = Heads(config)
    average = Heads(config).requires_grad_(False)
    average.load_state_dict(heads.state_dict())
    words = Words(config)
    parameters = [*heads.parameters(), *words.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=options.rate, weight_decay=options.weight_decay)
    losses: list[float] = []
    for step in tqdm(range(options.steps), desc="heads", mininterval=2, disable=not progress):
        for group in optimiser.param_groups:
            group["lr"] = options.rate * cosine_warmup(step, options.steps)
        mask = random_mask(options.batch, len(config.slots), generator)
        sample, targets = draw(config, training, mask, generator)
        loss = _loss(heads, words, sample, _wanted(config, targets, scaling, options), options)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        follow(average, heads, min(options.ema, (step + 1) / (step + 10)))
        losses.append(loss.item())
    return average.eval(), losses


def _wanted(
    config: AdapterConfig, targets: Mapping[str, Tensor], scaling: Mapping[str, Scaling], o: HeadsOptions
) -> dict[str, Tensor]:
    """Per head: shares of classes (B,n), rows of zeros where unknown; or normalised numbers with NaN."""
    found = {}
    for head in (h for h in config.heads if h.name in targets):
        target = targets[head.name]
        if head.regression:
            found[head.name] = scaling[head.name].normalised(target)
            continue
        if not target.is_floating_point():
            known = (target >= 0)[:, None]
            target = F.one_hot(target.clamp(min=0), head.width).float() * known
        found[head.name] = (
            target * (1 - o.smoothing) + target.sum(-1, keepdim=True) * o.smoothing / head.width
        )
    return found


def _loss(
    heads: Heads, words: Words, sample: Sample, wanted: Mapping[str, Tensor], o: HeadsOptions
) -> Tensor:
    config = heads.config
    said, alpha, _ = heads(sample.pooled, sample.logits, sample.mask)
    projected = torch.stack([p(sample.pooled[:, i]) for i, p in enumerate(heads.project_pooled)], dim=1)
    total = torch.zeros(())
    for i, head in enumerate(config.heads):
        able = sample.mask[:, [config.names.index(s) for s in head.slots]].amax(1)
        if head.regression:
            each, able = _likelihood(said[head.name], wanted[head.name], able)
        else:
            target = wanted[head.name]
            able = able * target.sum(-1)
            each = -(target * said[head.name].log_softmax(-1)).sum(-1)
            seen = (alpha[:, i, :, None] * projected).sum(1)
            each = each + o.contrast * words.loss(head.name, seen, target)
        total = total + (each * able).sum() / able.sum().clamp(min=1.0)
    entropy = -(alpha * (alpha + 1e-6).log()).sum(-1).mean()
    return total + o.gate_entropy * entropy + o.contrast * _together(config, projected, sample.mask)


def _likelihood(out: Tensor, wanted: Tensor, able: Tensor) -> tuple[Tensor, Tensor]:
    """(B,) loss and weight of numbers (B,K), some of which are unknown."""
    each, known = gaussian_loss(out, wanted)
    return each.sum(-1) / known.sum(-1).clamp(min=1), able * (known.sum(-1) > 0).float()


def _together(config: AdapterConfig, projected: Tensor, mask: Tensor) -> Tensor:
    """InfoNCE between slots that serve one head and were recorded at the same instant."""
    total = torch.zeros(())
    for head in config.heads:
        if len(head.slots) != 2:
            continue
        a, b = (config.names.index(s) for s in head.slots)
        rows = torch.nonzero(mask[:, a] * mask[:, b])[:, 0]
        if len(rows) < 2:
            continue
        x, y = F.normalize(projected[rows, a], dim=-1), F.normalize(projected[rows, b], dim=-1)
        similarity = x @ y.T / NEGATIVES_TEMPERATURE
        same = torch.arange(len(rows))
        total = total + 0.5 * (F.cross_entropy(similarity, same) + F.cross_entropy(similarity.T, same))
    return total


def read(
    heads: Heads, slots: Mapping[str, EncoderOutput], present: Sequence[str], batch: int = 512
) -> tuple[dict[str, Tensor], Tensor]:
    """head -> (N,width), and alpha (N,H+1,M), with only `present` of the given slots."""
    config = heads.config
    n = len(next(iter(slots.values())).pooled)
    mask = torch.tensor([[float(s in present) for s in config.names]]).expand(n, -1)
    said: list[dict[str, Tensor]] = []
    alphas = []
    with torch.no_grad():
        for start in range(0, n, batch):
            rows = slice(start, start + batch)
            part = {name: EncoderOutput(*(x[rows] for x in o)) for name, o in slots.items()}
            sample = assemble(config, part, mask[rows])
            found, alpha, _ = heads(sample.pooled, sample.logits, sample.mask)
            said.append(found)
            alphas.append(alpha)
    return {h.name: torch.cat([s[h.name] for s in said]) for h in config.heads}, torch.cat(alphas)


def keep_what_helps(heads: Heads, found: Mapping[str, Group], scaling: Mapping[str, Scaling]) -> list[str]:
    """Take back what a head adds to its encoders' words where validation windows say it does harm.

    A head sees varied copies of the training windows; where real ones are unlike them, the encoders alone are
    better. Returns the heads that were taken back.
    """
    taken_back = []
    for i, head in enumerate(heads.config.heads):
        group = next(g for g in found.values() if head.name in g.targets).part(1)
        wanted = _wanted(
            heads.config, {head.name: group.targets[head.name]}, scaling, HeadsOptions(smoothing=0.0)
        )
        linear = heads.read[i]
        assert isinstance(linear, nn.Linear)
        fused = _validation_loss(heads, head, group, wanted[head.name])
        weight, bias = linear.weight.data.clone(), linear.bias.data.clone()
        linear.weight.data.zero_()
        linear.bias.data.zero_()
        if _validation_loss(heads, head, group, wanted[head.name]) < fused:
            taken_back.append(head.name)
        else:
            linear.weight.data.copy_(weight)
            linear.bias.data.copy_(bias)
    return taken_back


def _validation_loss(heads: Heads, head: HeadShape, group: Group, wanted: Tensor) -> float:
    said = read(heads, group.slots, head.slots)[0][head.name]
    if head.regression:
        each, able = _likelihood(said, wanted, torch.ones(len(group)))
    else:
        each, able = -(wanted * said.log_softmax(-1)).sum(-1), wanted.sum(-1)
    return float((each * able).sum() / able.sum().clamp(min=1.0))


def shipped_config(tokens: Callable[[str], int], **shape: Any) -> AdapterConfig:
    """The adapter of the whole catalog; `tokens` says how many tokens a slot's encoder gives."""
    return AdapterConfig(
        slots=tuple((name, tokens(name)) for name in SLOTS),
        heads=tuple(HeadShape(h.name, h.width, h.slots, h.regression) for h in HEADS.values()),
        **shape,
    )


def load_groups(folder: Path) -> dict[str, Group]:
    """Every group of the catalog. Raises FileNotFoundError naming the features that are missing."""
    return {name: Group.read(folder / f"features_{name}.npz") for name in groups()}


def config_from(found: Mapping[str, Group]) -> AdapterConfig:
    """The adapter's shape from the features that there are."""
    counts = {name: o.tokens.shape[1] for g in found.values() for name, o in g.slots.items()}
    return shipped_config(counts.__getitem__)


def scalings(folder: Path) -> dict[str, Scaling]:
    """How the encoders normalised each number, from their checkpoints."""
    result = {}
    for head in HEADS.values():
        if head.regression:
            saved = torch.load(folder / f"encoder_{head.slots[0]}.pt", weights_only=True)["scaling"][
                head.name
            ]
            result[head.name] = Scaling(torch.tensor(saved["offset"]), torch.tensor(saved["scale"]))
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """The shipped heads; kept where they are already there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=SHIPPED)
    parser.add_argument("--share", type=float, default=1.0, help="of the steps that the shipped ones had")
    parser.add_argument("--one-gate", action="store_true", help="for all heads: the ablation no_multitask")
    parsed = parser.parse_args(arguments)
    torch.set_num_threads(1)
    path = parsed.folder / "heads.pt"
    ablation: Ablation = "no_multitask" if parsed.one_gate else ""
    if path.exists():
        if load_heads(path).config.ablation != ablation:
            parser.error(
                f"{path} was trained {'with' if ablation else 'without'} a gate for each head: "
                "name another folder, or remove it"
            )
        return
    found = load_groups(parsed.folder)
    config, options = (
        replace(config_from(found), ablation=ablation),
        HeadsOptions(steps=shortened(HeadsOptions.steps, parsed.share)),
    )
    scaling = scalings(parsed.folder)
    heads, losses = train_heads(config, [g.part(0) for g in found.values()], options, scaling)
    if taken_back := keep_what_helps(heads, found, scaling):
        print(f"left to the encoders: {', '.join(taken_back)}")
    torch.save({"state": heads.state_dict(), "config": asdict(config), "options": asdict(options)}, path)
    loss_curve([{"loss": x} for x in losses], path.with_suffix(".png"), "heads")


def load_config(saved: Mapping[str, Any]) -> AdapterConfig:
    """An AdapterConfig from what `asdict` made of it."""
    known = dict(saved)
    known["heads"] = tuple(HeadShape(**{**h, "slots": tuple(h["slots"])}) for h in known["heads"])
    known["slots"] = tuple((str(name), int(count)) for name, count in known["slots"])
    return AdapterConfig(**known)


def load_heads(path: Path) -> Heads:
    """The trained heads in evaluation mode."""
    saved = torch.load(path, weights_only=True)
    heads = Heads(load_config(saved["config"]))
    heads.load_state_dict(saved["state"])
    return heads.eval().requires_grad_(False)


if __name__ == "__main__":
    main()

"""`python -m export byo --checkpoint DIR`: adapter trained, folder written, ready for `edge-agent run`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from export.byo.checkpoint import Checkpoint
from export.byo.estimate import EFFICIENCY, Workload, estimate, flops_per_second
from export.groups import Group
from export.networks.adapter import Adapter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the subcommand."""
    parser.add_argument("--checkpoint", type=Path, required=True, help="Hugging Face folder, llama or qwen2")
    parser.add_argument("folder", type=Path, nargs="?", help="to write (default: models/<checkpoint>)")
    parser.add_argument(
        "--base", type=Path, default=Path("models/iotlm-7m"), help="model folder with encoders and heads"
    )
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--minutes", type=float, default=1e9, help="wall time of the training")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--less-memory", action="store_true", help="weights in bf16, blocks computed twice: half as fast"
    )
    parser.add_argument("--version", default="0.1.0")
    parser.add_argument("--plan", action="store_true", help="say what it would take; train and write nothing")


def main(options: argparse.Namespace) -> None:
    """Plan, or train and write."""
    source = Checkpoint(options.checkpoint)
    print(plan(source, options, flops_per_second()))
    if not options.plan:
        _train_and_write(source, options)


def plan(source: Checkpoint, options: argparse.Namespace, rate: float) -> str:
    """What the run would take where a large product reaches `rate` FLOP/s, in two lines."""
    work = Workload(batch=options.batch, less_memory=options.less_memory)
    cost = estimate(source.shape, work)
    hours = options.steps * cost.step_flops / (EFFICIENCY * rate) / 3600
    return (
        f"{options.checkpoint.name}: {cost.parameters / 1e6:.0f} M weights; training takes about "
        f"{cost.train_bytes / 1e9:.1f} GB and {hours:.1f} h for {options.steps} steps of "
        f"{options.batch} ({rate / 1e9:.0f} GFLOP/s measured here)\n"
        f"the device holds a file of {cost.gguf_bytes / 1e6:.0f} MB and up to "
        f"{cost.device_bytes / 1e6:.0f} MB of memory"
    )


def _base(trained: Path) -> tuple[Adapter, list[Group]]:
    """The adapter that ships and the training part of the stored features, which are not kept whole."""
    from export.ship import load_student
    from export.train_heads import load_groups
    from export.train_language import ALIGN

    found = load_groups(trained)
    # Where nothing was trained on dialogs here: what `restore` brought back of what ships.
    stage = "instruct" if (trained / "instruct.pt").exists() else ALIGN
    return load_student(trained, found, stage).adapter, [group.part(0) for group in found.values()]


def _train_and_write(source: Checkpoint, options: argparse.Namespace) -> None:
    from edge_agent import manifest as manifests
    from export.byo import folder, train
    from export.train_language import Settings

    trained = options.runs / "shipped"
    base, training = _base(trained)
    torch.manual_seed(options.seed)
    bound = train.bind(source, base, less_memory=options.less_memory)
    folder.label_tokens(manifests.read(options.base), bound)  # a clash is said before the hours, not after
    settings = Settings(
        train.STAGE, steps=options.steps, batch=options.batch, lr=options.lr, english=0.0,
        contrast_rows=max(1, options.batch // 4), seed=options.seed, minutes=options.minutes,
    )  # fmt: skip
    train.train(bound, training, settings, options.runs / f"byo-{options.checkpoint.name}")
    target = options.folder or Path("models") / options.checkpoint.name
    manifest = folder.write(options.base, target, bound, name=target.name, version=options.version)
    total = sum(f.size_bytes for f in manifest.files.values())
    print(f"{target}: {len(manifest.files)} files, {total / 1e6:.1f} MB; set model.path to it")

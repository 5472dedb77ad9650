"""The torch side: train, ship, check and evaluate a model. Never installed on the device.

python -m export train all --budget 180    every stage within that many minutes, resumable, into runs/
python -m export train STAGE               encoders, slots, features, heads, pretrain, align, instruct
python -m export train folds|sets|unseen   the studies that the evaluation reports
python -m export job       pack|run|unpack  the language model, on a machine without network
python -m export restore   models/iotlm-7m back from a model folder to checkpoints, to train on
python -m export ship      models/iotlm-7m write the model folder
python -m export evaluate  models/iotlm-7m write EVALUATION.md, .json and the plots
python -m export byo       --checkpoint DIR bring a language model of your own
python -m export data      list|info|plot [NAME]    the recordings and simulators there are
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from edge_agent.errors import ModelError
from export import data_command, job, parallel, train_language
from export.byo import command as byo_command
from export.datasets.common import data_root
from export.networks.language import MODELS
from export.onnx_reader import UnlikeError
from export.parallel import World

STAGES = ("encoders", "slots", "features", "heads", "pretrain", "align", "instruct")
"""In the order in which each needs what the ones before have written."""
STUDIES = ("folds", "sets", "unseen")
LANGUAGE_SHARE = {"pretrain": 0.1, "align": 0.3, "instruct": 0.35}
"""Of a budget: the others share a quarter, which is what they take of FULL_MINUTES on one core."""
FULL_MINUTES = 180.0
"""In a smaller budget every other stage has so much fewer steps; only the features are of one length."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    commands: dict[str, Callable[[argparse.Namespace], int | None]] = {
        "train": _train, "restore": _restore, "ship": _ship, "evaluate": _evaluate,
        "byo": byo_command.main, "data": data_command.run, "job": job.main,
    }  # fmt: skip
    return commands[options.command](options) or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=data_root(), help="recordings (default: EDGE_AGENT_DATA)"
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="checkpoints and curves (default: runs)"
    )
    parser.add_argument("--threads", type=int, default=parallel.threads(), help="CPU threads of torch")
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train one stage or all; each continues where it was stopped")
    train.add_argument("stage", choices=(*STAGES, *STUDIES, "all"))
    train.add_argument("--minutes", type=float, default=1e9, help="wall time of a language stage")
    train.add_argument("--budget", type=float, help="minutes for all stages together, instead of --minutes")
    train.add_argument("--steps", type=int, default=4000, help="steps of a language stage")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--lr", type=float, default=2e-3, help="learning rate of a language stage")
    train.add_argument("--batch", type=int, default=32, help="dialogs of a shard")
    train.add_argument("--shards", type=int, default=1, help="of a step, dealt to torchrun's processes")
    train.add_argument("--device", default="auto", help="of a language stage: auto, cpu, cuda or cuda:N")
    train.add_argument("--model", choices=tuple(MODELS), default="iotlm-7m", help="which one to pretrain")
    train.add_argument("--start", type=Path, help="checkpoints of an earlier model: its English is kept")
    train.add_argument(
        "--ablation", choices=("soft_only", "control_only", "no_multitask", "no_multisensory"), default="",
        help="leave one part of the design out, to see what it is worth; in a folder (--runs) of its own",
    )  # fmt: skip
    ship = commands.add_parser("ship", help="write a model folder from the checkpoints")
    evaluate = commands.add_parser("evaluate", help="score a model folder on people and sounds it never met")
    restore = commands.add_parser("restore", help="write checkpoints from a model folder, to train on")
    for command in (restore, ship, evaluate):
        command.add_argument("folder", type=Path, nargs="?", default=Path("models/iotlm-7m"))
    ship.add_argument("--version", default="0.1.0")
    evaluate.add_argument(
        "--all", action="store_true", help="also the curves: noise, missing sensors, few shots, less training"
    )
    evaluate.add_argument(
        "--curves", type=Path, help="keeps the trainings of the curves (default: RUNS/curves)"
    )
    byo = commands.add_parser("byo", help="train the adapter for a Hugging Face llama or qwen2 folder")
    byo_command.add_arguments(byo)
    job.add_arguments(commands.add_parser("job", help="train on a machine without network, in slices"))
    data = commands.add_parser("data", help="list, describe and draw the recordings and simulators")
    data_command.add_arguments(data)
    return parser


def _train(options: argparse.Namespace) -> None:
    wanted = STAGES if options.stage == "all" else (options.stage,)
    with parallel.world(options.device) as world:
        for stage in wanted:
            if stage in LANGUAGE_SHARE:
                _train_language(stage, options, world)
            elif world.is_main:  # small networks: what the others would do takes longer to hand over
                _train_stage(stage, options)
            world.wait()


def _train_stage(stage: str, options: argparse.Namespace) -> None:
    from export import folds, slot_features, slot_folds, train_encoders, train_heads, train_slots, unseen

    folder = options.runs / "shipped"
    share = 1.0 if options.budget is None else min(1.0, options.budget / FULL_MINUTES)
    mains = {
        "encoders": train_encoders.main, "slots": train_slots.main, "features": slot_features.main,
        "heads": train_heads.main,
    }  # fmt: skip
    if stage in mains:
        one_gate = stage == "heads" and options.ablation == "no_multitask"
        shorter = [] if stage == "features" else ["--share", str(share)]
        mains[stage](["--folder", str(folder), *shorter, *(["--one-gate"] if one_gate else [])])
        return
    if stage in STUDIES:
        {"folds": folds.main, "sets": slot_folds.main, "unseen": unseen.main}[stage]([])


def _train_language(stage: str, options: argparse.Namespace, world: World) -> None:
    folder = options.runs / "shipped"
    _check_ablation(folder / f"{stage}.pt", options.ablation)
    minutes = options.minutes if options.budget is None else options.budget * LANGUAGE_SHARE[stage]
    settings = train_language.Settings(
        stage, steps=options.steps, minutes=minutes, seed=options.seed, lr=options.lr,
        english=train_language.ENGLISH_SHARE[stage], ablation=options.ablation, batch=options.batch,
        shards=options.shards,
    )  # fmt: skip
    if stage == "pretrain":
        train_language.pretrain(
            options.data, folder, settings, options.start, language=MODELS[options.model], world=world
        )
    else:
        stages = {"align": train_language.align, "instruct": train_language.instruct}
        stages[stage](options.data, folder, settings, world=world)


def _check_ablation(path: Path, ablation: str) -> None:
    """Stop before a training goes on from the checkpoint of another ablation."""
    if not path.exists():
        return
    saved = torch.load(path, weights_only=True, mmap=True).get("settings", {}).get("ablation", "")
    if saved != ablation:
        raise SystemExit(
            f"error: {path} was trained with the ablation {saved or 'none'}, not {ablation or 'none'}"
            "\n  next: name another folder with --runs, or remove it"
        )


def _restore(options: argparse.Namespace) -> int:
    from export.restore import restore

    try:
        restore(options.folder, options.runs)
    except (ModelError, UnlikeError, FileExistsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.runs}/shipped: next are `train features` and `train instruct`")
    return 0


def _ship(options: argparse.Namespace) -> None:
    from export.ship import ship

    manifest = ship(
        options.runs / "shipped", options.folder, name=options.folder.name, version=options.version
    )
    total = sum(f.size_bytes for f in manifest.files.values())
    print(f"{options.folder}: {len(manifest.files)} files, {total / 1e6:.1f} MB")


def _evaluate(options: argparse.Namespace) -> None:
    from export.evaluate import evaluate

    curves_runs = (options.curves or options.runs / "curves") if options.all else None
    evaluate(options.folder, options.runs / "shipped", options.data, curves_runs=curves_runs)
    print((options.folder / "EVALUATION.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    raise SystemExit(main())

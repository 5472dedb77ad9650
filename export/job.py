"""Training of the language model as a job for a machine without network: one GPU, half an hour.

    python -m export job pack   DIR                  here: DIR/in, less than 64 MiB in files of at most 16 MiB
    python -m export job run    DIR                  there: at most ten minutes; again until it says "done"
    python -m export job unpack DIR RUNS/shipped     here: DIR/out becomes the checkpoint that `ship` reads

What travels are features of the training part (fp16, thinned to fit), the tokenizer, the heads and English as
token ids; dialogs are made there from the seed. What comes back are the weights in fp16. Between slices the
checkpoints stay on that machine, in DIR/work or where `--work` says.
"""

from __future__ import annotations

import argparse
import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from export import parallel, parcel
from export import tokenizer as bpe
from export.batches import Codec
from export.corpus import encode_english
from export.groups import Group
from export.networks.language import MODELS, LanguageConfig
from export.parallel import World
from export.student import language_of, make_student
from export.train_heads import config_from, load_groups, load_heads
from export.train_language import ALIGN, ENGLISH_SHARE, Settings, Trainer, instructed

BUDGET_BYTES = 62 * 2**20
"""Of what is packed: the manifest and the headers need a little room below the limit."""
ENGLISH_CHARS = 8_000_000
"""Of each text."""
STAGES = ("pretrain", ALIGN, "instruct")
FROZEN = "adapter.fused."
"""The heads are not trained in the job: they do not travel back."""
RESERVE = 0.15
MOST_RESERVE_S = 75.0
"""A slice keeps this share of itself, or so many seconds, for all that is not training."""
LEAST_S = 0.001  # one step is taken however long loading took: slices must lead somewhere
KEPT_LOG_ROWS = 400


@dataclass(frozen=True)
class JobOptions:
    """How a job is trained. `pretrain_share` of the time goes to English, `align_share` to captions."""

    language: LanguageConfig
    slice_minutes: float = 10.0
    total_minutes: float = 30.0
    pretrain_share: float = 0.2
    align_share: float = 0.3
    batch: int = 64
    english_rows: int = 64
    lr: float = 1e-3
    seed: int = 0

    @property
    def reserve_s(self) -> float:
        """Seconds of a slice for loading, saving and writing the results."""
        return min(RESERVE * 60 * self.slice_minutes, MOST_RESERVE_S)

    @property
    def training_s(self) -> float:
        """Seconds of a slice in which the model trains."""
        return 60 * self.slice_minutes - self.reserve_s

    def settings(self, stage: str, shards: int = 1) -> Settings:
        """One stage, ended by the time alone: its share of what all slices leave."""
        minutes = math.ceil(self.total_minutes / self.slice_minutes) * self.training_s / 60
        share = {
            "pretrain": self.pretrain_share,
            ALIGN: self.align_share,
            "instruct": 1 - self.pretrain_share - self.align_share,
        }[stage]
        return Settings(
            stage, steps=10**9, minutes=minutes * share, batch=self.batch, english_rows=self.english_rows,
            contrast_rows=max(1, self.batch // 4), lr=self.lr, seed=self.seed, save_every=10**9,
            english=ENGLISH_SHARE[stage], shards=shards,
        )  # fmt: skip


# -- here: what travels ------------------------------------------------------------------------------------


def pack(folder: Path, shipped: Path, data: Path, *, seed: int = 0, budget_bytes: int = BUDGET_BYTES) -> int:
    """Write `folder`/in from the training left in `shipped`; returns its bytes.

    Raises FileNotFoundError naming what a stage has not left yet, ValueError where it does not fit.
    """
    found = load_groups(shipped)
    target = folder / "in"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in ("tokenizer.json", "heads.pt"):
        shutil.copyfile(shipped / name, target / name)
    english = encode_english(data, bpe.load(target / "tokenizer.json"), ENGLISH_CHARS)
    np.savez_compressed(target / "english.npz", ids=english.astype(np.uint16))
    left = budget_bytes - sum(f.stat().st_size for f in target.iterdir())
    training = {name: group.part(0) for name, group in found.items()}
    allowed = allot({name: _bytes(g) for name, g in training.items()}, left)
    generator = torch.Generator().manual_seed(seed)
    for name, group in training.items():
        rows = len(group) * allowed[name] // max(1, _bytes(group))
        write_group(target / f"features_{name}.npz", thinned(group, rows, generator))
    return parcel.seal(target, {"kind": "in", "seed": seed})


def allot(wanted: Mapping[str, int], total: int, most: int = parcel.WEIGHT_BYTES) -> dict[str, int]:
    """Bytes for each so that they fit: alike, and what one does not want goes to the others."""
    given: dict[str, int] = {}
    for i, name in enumerate(sorted(wanted, key=wanted.__getitem__)):
        given[name] = max(0, min(wanted[name], most, total // (len(wanted) - i)))
        total -= given[name]
    return given


def thinned(group: Group, rows: int, generator: torch.Generator) -> Group:
    """Some rows of a group, drawn as training draws them, so that rare classes stay.

    Raises ValueError where there is room for none.
    """
    if rows < 1:
        raise ValueError("no room is left for features: pack less English")
    if rows >= len(group):
        return group
    return group[torch.multinomial(group.weight, rows, generator=generator).sort().values]


def write_group(path: Path, group: Group) -> None:
    """As `slot_features` does, compressed."""
    arrays = {
        f"{slot}_{part}": getattr(output, part).half().numpy()
        for slot, output in group.slots.items()
        for part in ("tokens", "pooled", "logits")
    }
    arrays |= {f"target_{name}": target.numpy() for name, target in group.targets.items()}
    np.savez_compressed(path, **arrays, split=group.split.numpy().astype(np.int8))


def _bytes(group: Group) -> int:
    halves = sum(x.numel() for output in group.slots.values() for x in output)
    return 2 * halves + sum(t.numel() * t.element_size() for t in group.targets.values()) + len(group)


# -- there: training ---------------------------------------------------------------------------------------


def run(folder: Path, options: JobOptions, world: World = parallel.ALONE, work: Path | None = None) -> bool:
    """One slice: train from `folder`/in, keep checkpoints in `work`, write `folder`/out. Whether it is done.

    Raises FileNotFoundError or ValueError where `folder`/in is not whole.
    """
    began_s = time.monotonic()
    source, work = folder / "in", work or folder / "work"
    parcel.unseal(source)
    work.mkdir(parents=True, exist_ok=True)
    last_s = began_s + options.training_s + options.reserve_s * 2 / 3
    trained_s = 0.0
    for stage in STAGES:
        settings = options.settings(stage, world.size)
        if _finished(work, settings):
            continue
        trainer = _trainer(stage, source, work, settings, options, world)
        start_s = time.monotonic()
        left_s = min(options.training_s - trained_s, last_s - start_s)
        if left_s <= 0 < trained_s:
            return False
        finished = trainer.run(max(left_s, LEAST_S))
        trained_s += time.monotonic() - start_s
        if world.is_main and stage == "instruct":
            write_results(folder / "out", source, work, trainer, done=finished)
        if not finished:
            return False
    return True


def _trainer(
    stage: str, source: Path, work: Path, settings: Settings, options: JobOptions, world: World
) -> Trainer:
    tokenizer = bpe.load(source / "tokenizer.json")
    with np.load(source / "english.npz", allow_pickle=False) as file:
        english = torch.from_numpy(file["ids"].astype(np.int32))
    found = load_groups(source)
    if stage == "pretrain":
        torch.manual_seed(settings.seed)
        student = make_student(tokenizer, config_from(found), options.language)
        return Trainer(student, [], Codec(tokenizer), settings, work, english, world)
    student = instructed(source, tokenizer, found, settings, work)
    return Trainer(student, list(found.values()), Codec(tokenizer), settings, work, english, world)


def _finished(work: Path, settings: Settings) -> bool:
    path = work / f"{settings.stage}.pt"
    if not path.exists():
        return False
    spent_s: float = torch.load(path, weights_only=True, mmap=True)["spent_s"]
    return spent_s >= 60 * settings.minutes


def write_results(out: Path, source: Path, work: Path, trainer: Trainer, *, done: bool) -> None:
    """The weights that were trained, the curves, and what they belong to."""
    out.mkdir(parents=True, exist_ok=True)
    state = trainer.student.state_dict()
    parcel.write_weights(out, {k: v for k, v in state.items() if not k.startswith(FROZEN)})
    for stage in STAGES:
        shutil.copyfile(work / f"{stage}.png", out / f"{stage}.png")
    facts = {
        "kind": "out", "done": done, "step": trainer.step, "spent_s": round(trainer.spent_s, 1),
        "language": asdict(trainer.student.language.config), "settings": asdict(trainer.settings),
        "log": _short(trainer.log),
        "trained_with": {n: parcel.sha256(source / n) for n in ("tokenizer.json", "heads.pt")},
    }  # fmt: skip
    parcel.seal(out, facts, most_files=parcel.MOST_FILES)


def _short(log: list[dict[str, float]]) -> list[dict[str, float | None]]:
    """At most KEPT_LOG_ROWS means of neighbouring rows; None where a loss was not had."""
    step = max(1, math.ceil(len(log) / KEPT_LOG_ROWS))
    rows: list[dict[str, float | None]] = []
    for i in range(0, len(log), step):
        found = {k: [r[k] for r in log[i : i + step] if not math.isnan(r[k])] for k in log[i]}
        rows.append({k: round(sum(v) / len(v), 4) if v else None for k, v in found.items()})
    return rows


# -- here again: what came back ----------------------------------------------------------------------------


def unpack(folder: Path, shipped: Path, *, replace: bool = False) -> Path:
    """Put the weights of `folder`/out into `shipped`/instruct.pt, where `export ship` reads them.

    Raises ValueError where `shipped` has another tokenizer or other heads than the job was packed with, or
    already a checkpoint.
    """
    facts = parcel.unseal(folder / "out")
    path = shipped / "instruct.pt"
    if path.exists() and not replace:
        raise ValueError(f"{path} is there: unpack into a copy of the folder, or pass --replace")
    for name, expected in facts["trained_with"].items():
        if parcel.sha256(shipped / name) != expected:
            raise ValueError(f"{shipped / name} is not the one that the job was packed with")
    heads = load_heads(shipped / "heads.pt")
    state: dict[str, Tensor] = parcel.read_weights(folder / "out")
    state |= {f"{FROZEN}{k}": v for k, v in heads.state_dict().items()}
    language = language_of(facts)
    student = make_student(bpe.load(shipped / "tokenizer.json"), heads.config, language)
    student.load_state_dict(state)  # complete and of the right shapes, or it says what is not
    kept: dict[str, Any] = {k: facts[k] for k in ("language", "step", "spent_s", "settings", "log")}
    part = path.with_suffix(".part")
    torch.save({"student": state, **kept}, part)
    part.replace(path)
    return path


# -- the command -------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`job pack`, `job run` and `job unpack`."""
    commands = parser.add_subparsers(dest="job", required=True)
    pack_, run_, unpack_ = (
        commands.add_parser(name, help=words)
        for name, words in (
            ("pack", "write DIR/in from what the stages before left"),
            ("run", "train for one slice"),
            ("unpack", "make DIR/out a checkpoint that can be shipped"),
        )
    )
    for command in (pack_, run_, unpack_):
        command.add_argument("folder", type=Path, metavar="DIR")
    pack_.add_argument("--seed", type=int, default=0)
    pack_.add_argument("--shipped", type=Path, help="stages left here (default: RUNS/shipped)")
    run_.add_argument("--model", choices=tuple(MODELS), default="iotlm-28m")
    run_.add_argument("--work", type=Path, help="checkpoints, which stay there (default: DIR/work)")
    run_.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    for name in ("slice_minutes", "total_minutes", "pretrain_share", "lr"):
        run_.add_argument(f"--{name.replace('_', '-')}", type=float, default=getattr(JobOptions, name))
    for name in ("batch", "english_rows", "seed"):
        run_.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(JobOptions, name))
    unpack_.add_argument("shipped", type=Path, metavar="RUNS/shipped", help="folder of the stages before")
    unpack_.add_argument("--replace", action="store_true", help="overwrite instruct.pt")


def main(options: argparse.Namespace) -> None:
    """Run one of the three."""
    if options.job == "pack":
        total = pack(
            options.folder, options.shipped or options.runs / "shipped", options.data, seed=options.seed
        )
        print(f"{options.folder / 'in'}: {total / 2**20:.1f} MiB; run the job where it is carried to")
    elif options.job == "unpack":
        print(f"{unpack(options.folder, options.shipped, replace=options.replace)}: can be shipped")
    else:
        asked = {k: getattr(options, k) for k in JobOptions.__dataclass_fields__ if k != "language"}
        with parallel.world(options.device) as world:
            done = run(options.folder, JobOptions(MODELS[options.model], **asked), world, options.work)
        print("done" if done else "not done yet: run it again")

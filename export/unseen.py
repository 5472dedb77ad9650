"""Is a class that was never trained on told from those that were? Each is left out in turn.

    python -m export.unseen                          # all, resumable, into runs/unseen/results.json
    python -m export.unseen audio --classes dog rain

An encoder of its own is trained without the class, with fewer epochs than the shipped one and on recordings
alone; nothing of it is simulated. Then people (or clips) that it never met are scored: how well does a number
tell windows of the class from windows that hold nothing of it? The validation part is there to choose among
the numbers, the test part to report.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from export.datasets import esc10, phone_watch_imu
from export.datasets.augment import AudioSource, Batch, ImuSource, Source
from export.datasets.esc10 import Clip
from export.datasets.phone_watch_imu import Execution
from export.networks.encoders import AudioEncoder
from export.novelty import Novelty
from export.rarity import Rarity, hear
from export.train_encoders import (
    SLOTS,
    VALIDATION_FOLD,
    VALIDATION_SUBJECTS,
    ClipWindows,
    TrainOptions,
    config_of,
    encode,
    options_of,
    train_encoder,
)
from export.train_slots import RUNS

UNSEEN = RUNS / "unseen"
EPOCHS = 12
"""About half of what the shipped encoders get, so that twenty trainings fit into an hour on one core."""
HOP_S = 0.5
Float = npt.NDArray[Any]


class Without:
    """A source that never shows one class; its column of the target is gone. The rest keeps its order."""

    def __init__(self, source: Source, left_out: int) -> None:
        self.source, self.left_out = source, left_out

    def draw(self, n: int, generator: Generator) -> Batch:
        batch = self.source.draw(n, generator)
        assert not batch.target[:, self.left_out].any(), "the class was to be left out"
        k = self.left_out
        return batch._replace(target=torch.cat([batch.target[:, :k], batch.target[:, k + 1 :]], dim=1))


@dataclass(frozen=True)
class Windows:
    """x (N,...) encoder input, label (N,) of the whole set of classes."""

    x: Tensor
    label: Tensor

    def unknown(self, left_out: int) -> npt.NDArray[np.bool_]:
        """(N,) whether a window is of the class that was left out."""
        return (self.label == left_out).numpy()


@dataclass(frozen=True)
class Study:
    """What one training needs and what it is scored on: parts is name -> windows of people never met."""

    source: Source
    seen: Windows
    parts: dict[str, Windows]


def motion(executions: Sequence[Execution], slot: str, left_out: int) -> Study:
    """One device, with a class left out: training people without it, the others with it."""
    number = phone_watch_imu.SLOTS.index(slot)
    parts = {"validation": VALIDATION_SUBJECTS, "test": phone_watch_imu.SHIPPED_TEST_SUBJECTS}
    held = {s for subjects in parts.values() for s in subjects}
    train = [p for e in executions if e.subject not in held for p in pieces_without(e, left_out)]
    scored = {
        name: motion_windows([e for e in executions if e.subject in subjects], number, left_out)
        for name, subjects in parts.items()
    }
    source = Without(ImuSource(train, [number]), left_out)
    return Study(source, motion_windows(train, number, left_out), scored)


def pieces_without(execution: Execution, left_out: int) -> list[Execution]:
    """What is left of an execution between the times of a class, where it is at least a window long."""
    found, start = [], 0
    for gone, run in groupby(execution.label == left_out):
        stop = start + len(list(run))
        if not gone and stop - start >= phone_watch_imu.WINDOW:
            rows = slice(start, stop)
            found.append(replace(execution, x=execution.x[:, rows], label=execution.label[rows]))
        start = stop
    return found


def motion_windows(executions: Sequence[Execution], number: int, left_out: int) -> Windows:
    """Windows of the majority label, without those that the left-out class fills by less than a half."""
    hop, length = round(HOP_S * phone_watch_imu.INFO.rate_hz), phone_watch_imu.WINDOW
    xs, labels = [], []
    for execution in executions:
        each = sliding_window_view(execution.label, length)[::hop]  # (n,T)
        x = sliding_window_view(execution.x[number], length, axis=0)[::hop].transpose(0, 2, 1)  # (n,T,6)
        share = np.stack([(each == k).mean(1) for k in range(len(phone_watch_imu.INFO.labels))], axis=1)
        kept = (share[:, left_out] == 0) | (share[:, left_out] >= 0.5)
        label = np.where(share[:, left_out] >= 0.5, left_out, share.argmax(1))
        xs.append(x[kept])
        labels.append(label[kept])
    return Windows(torch.from_numpy(np.concatenate(xs)), torch.from_numpy(np.concatenate(labels)))


def sound(clips: Sequence[Clip], left_out: int) -> Study:
    """Sounds with a class left out: folds of training without its clips, the others with them."""
    parts = {"validation": VALIDATION_FOLD, "test": esc10.SHIPPED_TEST_FOLD}
    train = [c for c in clips if c.fold not in parts.values() and c.label != left_out]
    scored = {name: sound_windows([c for c in clips if c.fold == fold]) for name, fold in parts.items()}
    return Study(Without(AudioSource(train), left_out), sound_windows(train), scored)


def sound_windows(clips: Sequence[Clip]) -> Windows:
    """Every window that holds its class, or silence."""
    found = ClipWindows.of(clips)
    return Windows(found.x[found.label >= 0], found.label[found.label >= 0])


def novelty(network: nn.Module, study: Study, left_out: int) -> dict[str, dict[str, Float]]:
    """part -> numbers (N,) that are to be higher where no known class fits, by name.

    energy: Liu et al. 2020 (arXiv 2010.03759); max_probability: Hendrycks and Gimpel 2017 (arXiv 1610.02136);
    mahalanobis: Lee et al. 2018 (arXiv 1807.03888), and larger, the larger of it and the energy, both in
    deviations: see `export/novelty.py`;
    cosine: of z to the nearest class mean;
    shipped: of sounds `export/rarity.py`, of motion the larger.
    """
    seen, found = read(network, study.seen.x), {p: read(network, w.x) for p, w in study.parts.items()}
    label = study.seen.label - (study.seen.label > left_out).long()
    known = Novelty.fit(seen[0], seen[-1], label)
    means = torch.stack([seen[0][label == k].mean(0) for k in label.unique()])  # (K,128)
    rarity = None
    if isinstance(network, AudioEncoder):
        rows = study.parts["validation"].label != left_out
        rarity = Rarity.fit(seen[0], seen[1], label).limited_by(*(x[rows] for x in found["validation"]))

    def numbers(outputs: tuple[Tensor, ...]) -> dict[str, Float]:
        z, logits = outputs[0], outputs[-1]
        larger = known(z, logits)
        similarity = F.normalize(z, dim=-1) @ F.normalize(means, dim=-1).T
        numbers = {
            "energy": -logits.logsumexp(-1),
            "max_probability": -logits.softmax(-1).amax(-1),
            "mahalanobis": known.signs(z, None)[:, 0],
            "larger": larger,
            "shipped": larger if rarity is None else rarity(*outputs),
            "cosine": -similarity.amax(1),
        }
        return {name: number.numpy() for name, number in numbers.items()}

    return {part: numbers(outputs) for part, outputs in found.items()}


def read(network: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    """(N,...) -> what its novelty is read from: z (N,128), of sounds what was heard, logits (N,K)."""
    if isinstance(network, AudioEncoder):
        return hear(network, x)
    outputs = encode(network, x)
    return outputs.pooled, outputs.logits


def auroc(score: Float, unknown: npt.NDArray[np.bool_]) -> float:
    """The chance that an unknown window scores higher than a known one, ties counted half."""
    from sklearn.metrics import roc_auc_score

    return round(float(roc_auc_score(unknown, score)), 4)


def run(slot: str, study: Study, left_out: int, folder: Path, options: TrainOptions) -> dict[str, Any]:
    """Train without one class and score; the encoder is kept in `folder` and used again."""
    began_s = time.monotonic()
    config = config_of(slot)
    name = labels_of(slot)[left_out]
    path = folder / f"{slot}_without_{name}_seed{options.seed}.pt"
    without = replace(config, labels=config.labels - 1)
    network = train_encoder(slot, study.source, path, options, config=without)
    found = novelty(network, study, left_out)
    scores = {
        score: {part: auroc(found[part][score], w.unknown(left_out)) for part, w in study.parts.items()}
        for score in found["test"]
    }
    test = study.parts["test"].unknown(left_out)
    return {
        "set": slot, "left_out": name, "auroc": scores["shipped"]["test"], "scores": scores,
        "unknown_windows": int(test.sum()), "known_windows": int((~test).sum()), "epochs": options.epochs,
        "seed": options.seed, "seconds": round(time.monotonic() - began_s),
    }  # fmt: skip


def labels_of(slot: str) -> tuple[str, ...]:
    """The classes that can be left out: those of the recordings, so not our own `silence`."""
    if slot == "audio":
        return esc10.INFO.labels[: esc10.OFFICIAL_LABELS]
    return phone_watch_imu.INFO.labels


def means(results: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """set -> number -> part -> mean AUROC over the classes left out so far."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for name in dict.fromkeys(r["set"] for r in results):
        rows = [r["scores"] for r in results if r["set"] == name]
        table[name] = {
            score: {part: round(float(np.mean([r[score][part] for r in rows])), 4) for part in rows[0][score]}
            for score in rows[0]
        }
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Leave out what was not left out yet; the results are rewritten after each class."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slots", nargs="*", default=list(SLOTS), metavar="SLOT", help=", ".join(SLOTS))
    parser.add_argument("--classes", nargs="*", help="leave out only these")
    parser.add_argument("--folder", type=Path, default=UNSEEN)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args(arguments)
    if unknown := sorted(set(parsed.slots) - set(SLOTS)):
        parser.error(f"no such slot: {', '.join(unknown)}; there are {', '.join(SLOTS)}")
    torch.set_num_threads(1)
    parsed.folder.mkdir(parents=True, exist_ok=True)
    path = parsed.folder / "results.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    done = {(r["set"], r["left_out"], r["seed"]) for r in results}
    for slot in parsed.slots:
        recordings = esc10.load() if slot == "audio" else phone_watch_imu.load()
        for i, name in enumerate(labels_of(slot)):
            if (slot, name, parsed.seed) in done or (parsed.classes and name not in parsed.classes):
                continue
            study = sound(recordings, i) if slot == "audio" else motion(recordings, slot, i)  # type: ignore[arg-type]  # of the slot
            options = replace(options_of(slot, parsed.seed), epochs=parsed.epochs)
            results.append(run(slot, study, i, parsed.folder, options))
            path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
            print(json.dumps(results[-1]))
    print(json.dumps(means(results), indent=2))


if __name__ == "__main__":
    main()

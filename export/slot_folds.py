"""Every set over its folds: floor, random forest and encoder head, on the same windows and the same folds.

    python -m export.slot_folds                  # all that is there and not done yet, into runs/sets/
    python -m export.slot_folds travel posture

Nothing is selected on a test fold: options are fixed beforehand and the last weights are the ones scored.
Sets that may not be shipped (licence classes B and C) are scored here as well; their weights are never kept.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from export.catalog import HEADS, SLOTS, EncoderKind, HeadSpec, SlotSpec
from export.datasets.common import DatasetMissingError, Fold, Samples
from export.scores import classification, regression
from export.train_slots import RUNS, HeadData, SlotOptions, SlotTrainer, as_steps, predict

SETS = RUNS / "sets"
TREES = 100
MOST_FOLDS = 5
FOREST_ROWS = 6000
"""A forest on more training windows takes minutes and gains nothing."""
OPTIONS = SlotOptions(steps=400)


@dataclass(frozen=True)
class Study:
    """A set with the network that reads it."""

    slot: SlotSpec
    head: HeadSpec


_IMAGE = {"gain": 0.1, "noise": 0.02, "drift": 0.05, "shift": 2}
_BODY = {"noise": 0.01, "gain": 0.1, "turn_deg": 30.0, "axes": 3}
_RESEARCH: tuple[tuple[str, str, EncoderKind, tuple[int, ...], dict[str, float]], ...] = (
    ("wrist", "wrist_adl_accelerometer", "series", (128, 3), {"noise": 0.1, "gain": 0.05}),
    ("occupancy_no_light", "room_occupancy:WITHOUT_LIGHT", "series", (10, 3), {}),
    ("presence", "room_thermal_array:PRESENCE", "grid", (8, 4, 4, 1, 1), {"noise": 0.1, "drift": 0.5}),
    ("which_thumb", "capacitive_touch", "grid", (1, 27, 15, 1, 0), {"gain": 0.15, "noise": 2.0, "shift": 2}),
    ("signs_stratified", "sign_digit_images:STRATIFIED", "grid", (1, 32, 32, 3, 0), _IMAGE),
    ("gaze_phone", "gaze_phone", "vector", (1, 26), {}),
    ("msr_actions", "skeleton_actions", "series", (32, 60), _BODY),
    ("ut_actions", "skeleton_actions:UTKINECT", "series", (32, 60), _BODY),
    ("lifting", "skeleton_actions:LIFTING", "vector", (1, 40), {}),
    ("carmen_motion", "lidar_2d_carmen", "scan", (2, 180), {"noise": 0.01}),
    ("carmen_scan", "lidar_2d_carmen:DENSE", "vector", (1, 30), {}),
    ("kitchen_depth", "redkitchen_rgbd", "grid", (1, 24, 32, 3, 0), {"noise": 0.02}),
    ("kitchen_tof", "redkitchen_rgbd:TOF", "grid", (1, 8, 8, 1, 0), {"noise": 0.02}),
    ("kitchen_motion", "redkitchen_rgbd:CLIP", "grid", (8, 24, 32, 3, 0), {"noise": 0.02}),
)
"""name, Reader, network, shape and what training varies: sets that are scored and not shipped."""


def studies() -> dict[str, Study]:
    """What is shipped, by head, then what is only scored."""
    found = {
        h.name: Study(SLOTS[h.slots[0]], h)
        for h in HEADS.values()
        if SLOTS[h.slots[0]].encoder not in ("imu", "audio") and h.kind == "real"
    }
    for name, source, encoder, shape, vary in _RESEARCH:
        slot = SlotSpec(name, "", "", name, encoder, shape, 1.0, **vary)  # type: ignore[arg-type]  # int shift
        found[name] = Study(slot, HeadSpec(name, "", (name,), f"datasets.{source}", "", "", name))
    return found


def run(name: str, study: Study, seed: int = 0) -> dict[str, Any]:
    """Every fold of one set. Raises DatasetMissingError without the recordings."""
    reader = study.head.reader
    samples = reader.load()
    info = reader.INFO
    head = _named(study.head, info.labels, info.outputs)
    folds = reader.folds(samples)[:MOST_FOLDS]
    results = [
        _fold(replace(study.slot, name=name), head, samples, fold, seed) for fold in tqdm(folds, desc=name)
    ]
    return {
        "study": name, "set": info.name, "task": info.task, "modality": info.modality, "kind": info.kind,
        "licence_class": info.licence_class, "split": info.split, "reference": info.reference,
        "windows": len(samples), "seed": seed, "folds": results, "summary": summarise(results),
    }  # fmt: skip


def _named(head: HeadSpec, labels: Sequence[str], outputs: Sequence[str]) -> HeadSpec:
    return replace(
        head, phrases={} if outputs else dict(zip(labels, labels, strict=True)), numbers=tuple(outputs)
    )


def _fold(slot: SlotSpec, head: HeadSpec, samples: Samples, fold: Fold, seed: int) -> dict[str, Any]:
    began = time.monotonic()
    train, test = samples[fold.train], samples[fold.test]
    data = HeadData.of(head, train, slice(0, head.width), slot.shape[0])
    network = SlotTrainer(slot, [data], replace(OPTIONS, seed=seed), outputs=head.width).run(progress=False)
    out = predict(network, as_steps(test.x, slot.shape[0])).logits.numpy()
    if head.regression:
        assert data.scaling is not None
        k = len(head.numbers)
        said = data.scaling.offset.numpy() + data.scaling.scale.numpy() * out[:, :k]
        floor = np.broadcast_to(np.nanmean(train.target, axis=0), test.target.shape)
        score = {"floor": regression(floor, test.target), "encoder": regression(said, test.target)}
        score["random_forest"] = regression(_forest(train, test, seed, regress=True), test.target)
    else:
        labels = len(head.labels)
        common = np.full(len(test), np.bincount(train.target.astype(np.int64)).argmax())
        score = {
            "floor": classification(common, test.target, labels),
            "encoder": classification(out.argmax(-1), test.target, labels),
            "random_forest": classification(_forest(train, test, seed, regress=False), test.target, labels),
        }
    return {"fold": fold.name, "test_windows": len(test), "seconds": round(time.monotonic() - began)} | score


def statistics(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(N,T,C) -> (N,6C): mean, deviation, least, most, mean step, last of each channel; T = 1: as it is."""
    if x.shape[1] == 1:
        return x[:, 0]
    pieces = [x.mean(1), x.std(1), x.min(1), x.max(1), np.abs(np.diff(x, axis=1)).mean(1), x[:, -1]]
    return np.concatenate(pieces, axis=1)


def _forest(train: Samples, test: Samples, seed: int, *, regress: bool) -> npt.NDArray[Any]:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    rows = np.random.default_rng(seed).permutation(len(train))[:FOREST_ROWS]
    x, target = statistics(train.x[rows]), train.target[rows]
    if regress:
        known = ~np.isnan(target).any(-1)
        forest = RandomForestRegressor(TREES // 2, random_state=seed, n_jobs=1, max_features="sqrt")
        forest.fit(x[known], target[known])
    else:
        forest = RandomForestClassifier(TREES, random_state=seed, n_jobs=1)
        forest.fit(x, target)
    predicted: npt.NDArray[Any] = forest.predict(statistics(test.x))
    return predicted.reshape(len(test), -1) if regress else predicted


def summarise(results: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """reader -> figure -> mean and sd over the folds (n - 1)."""
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for reader in ("floor", "random_forest", "encoder"):
        for figure in results[0][reader]:
            values = [r[reader][figure] for r in results]
            sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            summary.setdefault(reader, {})[figure] = {
                "mean": round(float(np.mean(values)), 4),
                "sd": round(sd, 4),
            }
    return summary


def main(arguments: Sequence[str] | None = None) -> None:
    """Score what is not scored yet."""
    known = studies()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", default=list(known), metavar="SET", help=", ".join(known))
    parser.add_argument("--folder", type=Path, default=SETS)
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args(arguments)
    if unknown := sorted(set(parsed.sets) - set(known)):
        parser.error(f"no such set: {', '.join(unknown)}; there are {', '.join(known)}")
    torch.set_num_threads(1)
    parsed.folder.mkdir(parents=True, exist_ok=True)
    for name in parsed.sets:
        path = parsed.folder / f"{name}_seed{parsed.seed}.json"
        if path.exists():
            continue
        try:
            result = run(name, known[name], parsed.seed)
        except DatasetMissingError as error:
            print(f"{name}: left out: {error}")
            continue
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(json.dumps({name: result["summary"]}))


if __name__ == "__main__":
    main()

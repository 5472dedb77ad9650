"""EVALUATION.md and EVALUATION.json of a model folder: what it scores, on what, and what it misses.

Shipped split: people s01 and s12 and ESC-10 fold 5, which no part of the model was trained on. The table
over folds comes from `runs/folds/results.json` (encoders and fused head trained anew for each fold), speed
and memory from `runs/bench.json` (`python -m benchmarks.perception --json runs/bench.json`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score
from tqdm import tqdm

from edge_agent.perception.pipeline import Pipeline
from export import parity, report
from export.controls import Controls, Gate, text_only
from export.datasets import esc10, phone_watch_imu
from export.labels import ACTIVITY, EVENT
from export.readers import Reading, activity_cases, decide, event_cases, open_language, read
from export.ship import calibrate, load_trained

READERS = ("encoder", "fused", "language")
CONDITIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "phone": (ACTIVITY, ("imu_phone",)),
    "watch": (ACTIVITY, ("imu_watch",)),
    "phone and watch": (ACTIVITY, ("imu_phone", "imu_watch")),
    "sound, per clip": (EVENT, ("audio",)),
}


@dataclass(frozen=True)
class Score:
    """One reader on one condition."""

    condition: str
    reader: str
    accuracy: float
    macro_f1: float
    samples: int


def evaluate(folder: Path, runs: Path, data: Path, *, seed: int = 0) -> dict[str, Any]:
    """Run everything and write both files into `folder`; returns what the JSON holds."""
    trained = load_trained(runs)
    pipeline = Pipeline(folder)
    language = open_language(folder, pipeline.manifest)
    try:
        readings = {name: _readings(pipeline, language, data, name) for name in CONDITIONS}
        scores = [score(readings[name], reader, name) for name in CONDITIONS for reader in READERS]
        controls = {
            task: Controls(pipeline, language, task, readings[name], seed)
            for task, name in ((ACTIVITY, "phone and watch"), (EVENT, "sound, per clip"))
        }
        gates = {task: _gates(task, c, scores) for task, c in controls.items()}
        families = {task: c.families() for task, c in controls.items()}
    finally:
        language.close()
    result = {
        "model": pipeline.manifest.name,
        "version": pipeline.manifest.version,
        "sizes_bytes": {n: f.size_bytes for n, f in pipeline.manifest.files.items()},
        "scores": [asdict(s) for s in scores],
        "gates": {t: [asdict(g) | {"passed": g.passed} for g in found] for t, found in gates.items()},
        "families": families,
        "control_norms": _control_norms(readings["phone and watch"]),
        "calibration": calibrate(trained, runs),
        "parity": parity.run(folder, trained),
        "folds": _optional(runs.parent / "folds" / "results.json"),
        "bench": _optional(runs.parent / "bench.json"),
    }
    (folder / "EVALUATION.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    (folder / "EVALUATION.md").write_text(report.markdown(result), encoding="utf-8")
    return result


def _readings(pipeline: Pipeline, language: Any, data: Path, condition: str) -> list[Reading]:
    task, slots = CONDITIONS[condition]
    cases = (
        activity_cases(data, phone_watch_imu.SHIPPED_TEST_SUBJECTS)
        if task == ACTIVITY
        else event_cases(data, esc10.SHIPPED_TEST_FOLD)
    )
    return list(tqdm(read(pipeline, language, task, cases, slots), desc=condition, total=len(cases)))


def score(readings: list[Reading], reader: str, condition: str) -> Score:
    """Accuracy and macro-F1 of one reader."""
    predicted, truth = decide(readings, reader, CONDITIONS[condition][0])
    return Score(
        condition, reader, float(accuracy_score(truth, predicted)),
        float(f1_score(truth, predicted, average="macro")), len(truth),
    )  # fmt: skip


def _gates(task: str, controls: Controls, scores: list[Score]) -> list[Gate]:
    condition = "phone and watch" if task == ACTIVITY else "sound, per clip"
    value = {s.reader: s.accuracy for s in scores if s.condition == condition}
    guess, chance = text_only(task, lambda asker, state, t: asker.label_query(state, t).question)
    return [
        *controls.gates(),
        Gate(
            "text only: chance minus a classifier of the questions, in points, at least -2",
            100 * (chance - guess),
            -2.0,
        ),
        Gate(
            "language model minus fused head, in points, at least -2",
            100 * (value["language"] - value["fused"]),
            -2.0,
        ),
    ]


def _control_norms(readings: list[Reading]) -> list[float]:
    """Mean Euclidean norm of the control vector per block: a closed gate would show 0."""
    control = np.stack([r.percept.conditioning.control for r in readings])  # (N,L-1,D)
    return [float(x) for x in np.linalg.norm(control, axis=-1).mean(0)]


def _optional(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

"""EVALUATION.md and EVALUATION.json of a model folder: what it scores, on what, and what it misses.

Every score is on the shipped test part of a head's recordings: people, rooms, days or clips that no part of
the model was trained on. What a simulator made says `simulated` in its row. The tables over folds come from
`runs/folds` and `runs/sets` (everything trained anew for each fold), speed and memory from `runs/bench.json`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score
from tqdm import tqdm

from edge_agent.perception import calibration
from edge_agent.perception.pipeline import Pipeline
from export import curve_plots, curves, parity, past_scores, plots, report
from export.calibrate import calibrate
from export.catalog import HEADS, HeadSpec
from export.controls import Controls, Gate, numeric, text_only
from export.curve_rows import Settings
from export.readers import Reading, cases_of, conditions, decide, open_language, read, window_of
from export.scores import regression
from export.ship import load_trained
from export.train_heads import scalings

READERS = ("encoder", "fused", "language")


@dataclass(frozen=True)
class Score:
    """One reader on one condition."""

    condition: str
    kind: str
    reader: str
    accuracy: float
    macro_f1: float
    samples: int


def evaluate(
    folder: Path, runs: Path, data: Path, *, seed: int = 0, curves_runs: Path | None = None
) -> dict[str, Any]:
    """Run everything and write both files and the plots into `folder`; returns what the JSON holds.

    With `curves_runs`, the folder that keeps their trainings, the curves too (export/curves.py).
    """
    trained = load_trained(runs)
    pipeline = Pipeline(folder)
    language = open_language(folder, pipeline.manifest)
    try:
        readings = {name: _readings(pipeline, language, data, name) for name in conditions()}
        scores = [score(readings[name], reader, name) for name in readings for reader in READERS]
        controls = {
            head.name: Controls(pipeline, language, head.name, readings[head.name], seed)
            for head in HEADS.values()
            if not head.regression
        }
        gates = {name: _gates(name, c, scores) for name, c in tqdm(controls.items(), desc="controls")}
        families = {name: c.families() for name, c in tqdm(controls.items(), desc="families")}
        families |= {
            head.name: numeric(pipeline, language, head.name, cases_of(head, data), seed)
            for head in HEADS.values()
            if head.regression
        }
        percepts = [r.percept for found in readings.values() for r in found]
        past = past_scores.measure(language, percepts, seed)
        past_kinds = past_scores.measure_kinds(language, percepts, seed)
    finally:
        language.close()
    result = {
        "model": pipeline.manifest.name,
        "version": pipeline.manifest.version,
        "sizes_bytes": {n: f.size_bytes for n, f in pipeline.manifest.files.items()},
        "scores": [asdict(s) for s in scores],
        "numbers": {h.name: numbers(pipeline, h, data) for h in HEADS.values() if h.regression},
        "gates": {t: [asdict(g) | {"passed": g.passed} for g in found] for t, found in gates.items()},
        "families": families,
        "invented": sum(c.invented for c in controls.values()),
        "past": past,
        "past_kinds": past_kinds,
        "control_norms": _control_norms([r for found in readings.values() for r in found[:50]]),
        "conformal": {name: conformal(found, name) for name, found in readings.items() if name in HEADS},
        "calibration": calibrate(trained.student.adapter.fused, trained.groups, scalings(runs)),
        "parity": parity.run(folder, trained),
        "folds": _optional(runs.parent / "folds" / "results.json"),
        "sets": [_optional(p) for p in sorted((runs.parent / "sets").glob("*_seed*.json"))],
        "unseen": _optional(runs.parent / "unseen" / "results.json"),
        "bench": _optional(runs.parent / "bench.json"),
    }
    if curves_runs is not None:
        result["curves"] = curves.measure(pipeline, runs, curves_runs, data, Settings(seed=seed))
        curve_plots.write(folder, result["curves"])
    write(folder, result)
    plots.evaluation(folder, {name: readings[name] for name in controls})
    return result


def write(folder: Path, result: dict[str, Any]) -> None:
    """Both files."""
    (folder / "EVALUATION.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    (folder / "EVALUATION.md").write_text(report.markdown(result), encoding="utf-8")


def _readings(pipeline: Pipeline, language: Any, data: Path, condition: str) -> list[Reading]:
    name, slots = conditions()[condition]
    cases = cases_of(HEADS[name], data)
    return list(tqdm(read(pipeline, language, name, cases, slots), desc=condition, total=len(cases)))


def score(readings: list[Reading], reader: str, condition: str) -> Score:
    """Accuracy and macro-F1 of one reader."""
    name, _ = conditions()[condition]
    predicted, truth = decide(readings, reader, name)
    return Score(
        condition, HEADS[name].kind, reader, float(accuracy_score(truth, predicted)),
        float(f1_score(truth, predicted, average="macro")), len(truth),
    )  # fmt: skip


def numbers(pipeline: Pipeline, head: HeadSpec, data: Path) -> dict[str, Any]:
    """A head that reads numbers against the mean of its training targets, and how honest its sigma is."""
    cases = cases_of(head, data)
    truth = np.stack([c.numbers for c in cases if c.numbers is not None])
    found = [pipeline.perceive(window_of(c.values, i)).numbers[head.name] for i, c in enumerate(cases)]
    values, sigma = np.stack([f.values for f in found]), np.stack([f.sigma for f in found])
    samples = head.reader.load(data)
    floor = np.nanmean(samples.target[head.reader.shipped(samples).train], axis=0)
    known = ~np.isnan(truth)
    return {
        "kind": head.kind,
        "task": head.task,
        "samples": len(cases),
        "floor": regression(np.broadcast_to(floor, truth.shape), truth),
        "fused": regression(values, truth),
        "within_one_sigma": float((np.abs(values - truth) <= sigma)[known].mean()),
        "within_two_sigma": float((np.abs(values - truth) <= 2 * sigma)[known].mean()),
    }


def conformal(readings: list[Reading], name: str) -> dict[str, float]:
    """How often the conformal set holds the truth (0.9 was asked for) and how many labels it has.

    And the expected calibration error of the probabilities; all per window, of sounds too.
    """
    labels = HEADS[name].labels
    found = [r.percept.tasks[name] for r in readings]
    truth = [labels[r.case.truth] for r in readings]
    held = [label in task.possible for label, task in zip(truth, found, strict=True)]
    right = np.array([label == task.label for label, task in zip(truth, found, strict=True)], np.int64)
    probability = np.array([task.probability for task in found], np.float32)
    return {
        "coverage": float(np.mean(held)),
        "labels": float(np.mean([len(task.possible) for task in found])),
        "ece": calibration.expected_calibration_error(probability, right),
    }


def _gates(name: str, controls: Controls, scores: list[Score]) -> list[Gate]:
    value = {s.reader: s.accuracy for s in scores if s.condition == name}
    guess, chance = text_only(name, lambda asker, state, t: asker.label_query(state, t).question)
    return [
        *controls.gates(),
        Gate(
            "text only: chance minus a classifier of the questions, in points, at least -2",
            100 * (chance - guess),
            -2.0,
        ),
        Gate(
            "language model minus fused head, in points, at least -1",
            100 * (value["language"] - value["fused"]),
            -1.0,
        ),
    ]


def _control_norms(readings: list[Reading]) -> list[float]:
    """Mean Euclidean norm of the control vector per block: a closed gate would show 0."""
    control = np.stack([r.percept.conditioning.control for r in readings])  # (N,L-1,D)
    return [float(x) for x in np.linalg.norm(control, axis=-1).mean(0)]


def _optional(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

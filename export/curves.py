"""What becomes of a model's word when its sensors are worse than in the recordings, or fewer.

    python -m export evaluate --all      # all of it, beside the rest of the evaluation
    python -m export.curves FOLDER       # alone: curves.json and the plots into FOLDER

Through the shipped files by the runtime, on the shipped test part of each head; only the ratios train
(`curve_ratios`). Every row says `real`, `paired` (windows that were not recorded together) or `simulated`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from edge_agent.perception.adapter import DIALOG, Adapter
from edge_agent.perception.pipeline import Pipeline
from edge_agent.types import Features, Float32, Percept, Window
from export import curve_inputs, curve_plots, curve_ratios, curve_shots
from export.catalog import HEADS, HeadSpec, heads_of
from export.curve_inputs import Values
from export.curve_rows import Kind, Row, Settings
from export.datasets.common import data_root
from export.readers import Case, cases_of, decided, log_probabilities, window_of
from export.scores import macro_f1, regression

SILENT = 5
"""Windows without a slot of the head: that it says nothing is a rule of the runtime, not a matter of luck."""


@dataclass
class Asked:
    """A head, its windows, and what it says of them as they are."""

    pipeline: Pipeline
    head: HeadSpec
    cases: list[Case]
    plain: list[Percept] = field(init=False)

    def __post_init__(self) -> None:
        self.plain = self.percepts(c.values for c in self.cases)

    def percepts(self, values: Iterator[Values]) -> list[Percept]:
        """What the runtime makes of windows of these values."""
        return [self.pipeline.perceive(window_of(v, i)) for i, v in enumerate(values)]

    def row(self, condition: str, percepts: Sequence[Percept]) -> Row:
        """Macro-F1 of a head that names a class, the root mean square error of one that reads numbers."""
        said = np.stack([said_of(self.head, p) for p in percepts])
        figure, value, count = figure_of(self.head, said, self.cases)
        return Row(self.head.name, self.head.kind, condition, figure, value, count)

    def changed(
        self,
        levels: Sequence[float],
        plain: float,
        words: str,
        change: Callable[[Values, float, int], Window],
    ) -> list[Row]:
        """A row for each level; at the level `plain` a window is as it is."""
        rows = []
        for i, level in enumerate(levels):
            windows = (change(c.values, level, i) for c in self.cases)
            found = self.plain if level == plain else [self.pipeline.perceive(w) for w in windows]
            rows.append(self.row(words.format(level), found))
        return rows


def said_of(head: HeadSpec, percept: Percept) -> Float32:
    """Probabilities (labels,), or numbers (K,)."""
    if head.regression:
        return percept.numbers[head.name].values
    found = percept.tasks[head.name].probabilities
    return np.array([found[label] for label in head.labels], np.float32)


def figure_of(head: HeadSpec, said: Float32, cases: Sequence[Case]) -> tuple[str, float, int]:
    """(name, value, of how many): as the scores of the evaluation are."""
    if head.regression:
        numbers = np.stack([c.numbers for c in cases if c.numbers is not None])
        return "rmse", regression(said, numbers)["rmse"], len(numbers)
    predicted, truth = decided(log_probabilities(said), cases, head.name)
    return "macro_f1", macro_f1(truth, predicted, len(head.labels)), len(truth)


def thinned(cases: list[Case], most: int, seed: int) -> list[Case]:
    """At most so many, drawn at random."""
    if len(cases) <= most:
        return cases
    rows = np.random.default_rng(seed).choice(len(cases), most, replace=False)
    return [cases[i] for i in sorted(rows.tolist())]


def of_head(asked: Asked, settings: Settings) -> dict[str, list[Row]]:
    """The curves of one head alone."""
    values, rng = asked.cases[0].values, np.random.default_rng(settings.seed)
    deviation = curve_inputs.deviations(asked.cases)

    def noise(v: Values, level: float, i: int) -> Window:
        return window_of(curve_inputs.noisy(v, deviation, level, rng), i)

    def channels(v: Values, share: float, _: int) -> Window:
        return curve_inputs.without_channels(v, share, rng)

    def length(v: Values, share: float, i: int) -> Window:
        return window_of(curve_inputs.ends(v, share), i)

    found = {
        "alpha": alpha(asked),
        "missing": missing(asked),
        "noise": asked.changed(settings.noise, 0.0, "noise {:g}", noise),
    }
    if curve_inputs.can_lose_channels(values):
        found["channels"] = asked.changed(settings.missing, 0.0, "{:.0%} missing", channels)
    if curve_inputs.has_length(values):
        found["length"] = asked.changed(settings.kept, 1.0, "last {:.0%}", length)
    return found


def alpha(asked: Asked) -> list[Row]:
    """The mean weight of each slot of a head."""
    name, kind = asked.head.name, asked.head.kind
    weights = [(p.numbers[name] if asked.head.regression else p.tasks[name]).alpha for p in asked.plain]
    return [
        Row(name, kind, slot, "mean alpha", float(np.mean([w[slot] for w in weights])), len(weights))
        for slot in asked.head.slots
    ]


def missing(asked: Asked) -> list[Row]:
    """Every subset of the slots that serve a head, the largest last."""
    rows, slots = [], asked.head.slots
    for count in range(1, len(slots) + 1):
        for kept in combinations(slots, count):
            values = ({s: c.values[s] for s in kept} for c in asked.cases)
            found = asked.plain if kept == slots else asked.percepts(values)
            rows.append(asked.row(" + ".join(kept), found))
    return rows


def unrelated(asked: Asked, pool: Mapping[str, Sequence[Values]], settings: Settings) -> list[Row]:
    """How far a head's word moves beside slots that do not serve it, and what it says without its own."""
    head, rng = asked.head, np.random.default_rng(settings.seed)
    others = [s for s in pool if s not in head.slots]
    moved, labels = [], 0
    for case, before in list(zip(asked.cases, asked.plain, strict=True))[: settings.pool]:
        after = asked.pipeline.perceive(window_of(case.values | beside(others, pool, rng)))
        gap = np.abs(said_of(head, after) - said_of(head, before))
        moved.append(float((gap / _scale(asked)).max()))
        labels += int(said_of(head, after).argmax() != said_of(head, before).argmax())
    silent = [asked.pipeline.perceive(window_of(beside(others, pool, rng))) for _ in range(SILENT)]
    spoke = sum(head.name in p.tasks or head.name in p.numbers for p in silent)
    kind: Kind = "simulated" if head.kind == "simulated" else "paired"
    what = "a number" if head.regression else "a probability"
    rows = [Row(head.name, kind, "its own and others", f"largest change of {what}", max(moved), len(moved))]
    if not head.regression:
        rows.append(Row(head.name, kind, "its own and others", "labels that changed", labels, len(moved)))
    return [*rows, Row(head.name, kind, "others alone", "windows with an answer", spoke, SILENT)]


def _scale(asked: Asked) -> Float32:
    if not asked.head.regression:
        return np.ones(1, np.float32)
    return np.asarray(next(n.scale for n in asked.pipeline.manifest.numbers if n.name == asked.head.name))


def beside(slots: Sequence[str], pool: Mapping[str, Sequence[Values]], rng: np.random.Generator) -> Values:
    """A random window of each of at least one random slot."""
    chosen = rng.choice(slots, size=int(rng.integers(1, len(slots) + 1)), replace=False)
    return {s: pool[s][int(rng.integers(len(pool[s])))][s] for s in chosen.tolist()}


def dialog_alpha(pipeline: Pipeline, pool: Mapping[str, Sequence[Values]], settings: Settings) -> list[Row]:
    """The mean weight of each slot for the dialog where it is present, over random sets of slots."""
    adapter, rng = Adapter(pipeline.folder, pipeline.manifest), np.random.default_rng(settings.seed)
    features: dict[str, list[Features]] = {
        s: [pipeline.encode(window_of({s: v[s]}))[s] for v in found] for s, found in pool.items()
    }
    weights: dict[str, list[float]] = {s: [] for s in pool}
    for _ in range(settings.subsets):
        chosen = rng.permutation(list(pool))[: int(rng.integers(1, len(pool) + 1))].tolist()
        given = {s: features[s][int(rng.integers(len(features[s])))] for s in chosen}
        for slot, weight in adapter(given).alpha[DIALOG].items():
            weights[slot].append(weight)
    return [
        Row(DIALOG, _paired(slot), slot, "mean alpha where present", float(np.mean(found)), len(found))
        for slot, found in weights.items()
        if found
    ]


def _paired(slot: str) -> Kind:
    return "simulated" if heads_of(slot)[0].kind == "simulated" else "paired"


def of_model(
    pipeline: Pipeline, data: Path, settings: Settings, heads: Sequence[str] | None = None
) -> dict[str, list[Row]]:
    """The curves of all heads of the model (or only of `heads`), and those of several slots together."""
    known = [h for h in HEADS.values() if h.name in {x.name for x in pipeline.manifest.heads}]
    found: dict[str, list[Row]] = {}
    pool: dict[str, Sequence[Values]] = {}
    asked = []
    for head in tqdm([h for h in known if heads is None or h.name in heads], desc="curves"):
        cases = thinned(cases_of(head, data, settings.seed), settings.windows, settings.seed)
        asked.append(Asked(pipeline, head, cases))
        for name, rows in of_head(asked[-1], settings).items():
            found.setdefault(name, []).extend(rows)
        pool |= {s: [c.values for c in thinned(cases, settings.pool, 1)] for s in head.slots}
        asked[-1].cases, asked[-1].plain = cases[: settings.pool], asked[-1].plain[: settings.pool]
    if len(pool) > 1:
        alone = [a for a in asked if set(pool) - set(a.head.slots)]
        found["unrelated"] = [r for a in alone for r in unrelated(a, pool, settings)]
        found["alpha"] += dialog_alpha(pipeline, pool, settings)
    return found


def measure(
    pipeline: Pipeline, features: Path, runs: Path, data: Path, settings: Settings | None = None
) -> dict[str, Any]:
    """All curves, JSON-ready. `features` is where training left them, `runs` where the ratios are kept."""
    settings = settings or Settings()
    found = of_model(pipeline, data, settings)
    found["shots"] = curve_shots.measure(pipeline, data, settings)
    found["ratios"] = curve_ratios.measure(features, runs, settings)
    return {name: [asdict(row) for row in rows] for name, rows in found.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """The curves alone."""
    defaults = Settings()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="model folder")
    parser.add_argument("--features", type=Path, default=Path("runs") / "shipped")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "curves")
    parser.add_argument("--out", type=Path, help="where to write, instead of the model folder")
    parser.add_argument("--windows", type=int, default=defaults.windows, help="of a head, at most")
    parser.add_argument("--steps", type=int, default=defaults.steps, help="of each training")
    parsed = parser.parse_args(arguments)
    settings = Settings(windows=parsed.windows, steps=parsed.steps)
    result = measure(Pipeline(parsed.folder), parsed.features, parsed.runs, data_root(), settings)
    out = parsed.out or parsed.folder
    out.mkdir(parents=True, exist_ok=True)
    (out / "curves.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    curve_plots.write(out, result)


if __name__ == "__main__":
    main()

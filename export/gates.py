"""What the whole model must reach, each a line with its number: PASS, FAIL, or not measured in this run.

The gates of a head alone (does the language model read its sensors?) are in `export/controls.py`; here stand
the worst of them, and what no single head shows. Pure: from the JSON of an evaluation, which may lack parts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from export.catalog import HEADS

Json = Mapping[str, Any]

HEAD = ("gate", "measured", "must be", "")
MOST_BYTES = 60 * 10**6
SEEDS = 3
COVERAGE = 0.9
UNSEEN_AUROC = 0.85
LABEL_AGREEMENT = 0.99
SOUND_ACCURACY = 0.9
PUBLISHED_F1 = {"phone": 0.815, "watch": 0.841}
"""Macro-F1 of the data's own random forest: 1 s windows, simple statistics, five folds by subject."""
BEATS_FOREST = ("posture", "touch", "which_thumb", "msr_actions", "ut_actions", "hand", "finger", "sign")
"""Studies whose encoder must be at least as good as the random forest on the same folds."""


@dataclass(frozen=True)
class Line:
    """One number against its bound; `value` is None where this run did not measure it."""

    name: str
    value: float | None
    bound: float
    at_most: bool = False

    @property
    def passed(self) -> bool:
        """Whether it was measured and keeps the bound."""
        if self.value is None:
            return False
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def cells(self) -> tuple[str, str, str, str]:
        """The row of the report."""
        bound = f"{'at most' if self.at_most else 'at least'} {self.bound:g}"
        if self.value is None:
            return self.name, "", bound, "not measured in this run"
        return self.name, f"{self.value:.4g}", bound, "PASS" if self.passed else "**FAIL**"


def lines(result: Json) -> list[Line]:
    """Every gate of the whole model."""
    return [
        *_protocol(result),
        *_references(result.get("folds"), result.get("sets") or ()),
        *_language(result),
        *_calibration(result),
        *_parity(result.get("parity")),
        Line("bytes of the model's files", sum(result["sizes_bytes"].values()), MOST_BYTES, at_most=True),
        Line("encoders with a latency in the bench", _latencies(result.get("bench")), len(_encoders(result))),
    ]


def _protocol(result: Json) -> Iterator[Line]:
    seeds: dict[str, set[int]] = defaultdict(set)
    for run in (*(result.get("folds") or {}).get("folds", ()), *(result.get("sets") or ())):
        if "seed" in run:
            seeds[run.get("study", "motion and sound")].add(run["seed"])
    fewest = min((len(found) for found in seeds.values()), default=None)
    yield Line("seeds that each study over folds was trained with", fewest, SEEDS)
    rows = [*result["scores"], *result["numbers"].values(), *(result.get("sets") or ())]
    rows += [row for found in (result.get("curves") or {}).values() for row in found]
    unmarked = [row for row in rows if row.get("kind") not in ("real", "paired", "simulated")]
    yield Line("rows that do not say real, paired or simulated", len(unmarked), 0, at_most=True)
    said = [(s["condition"].partition(":")[0], s["kind"]) for s in result["scores"]]
    said += [(name, n["kind"]) for name, n in result["numbers"].items()]
    wrong = [name for name, kind in said if name in HEADS and HEADS[name].kind != kind]
    yield Line("rows that call simulated windows real, or real ones simulated", len(wrong), 0, at_most=True)


def _references(folds: Json | None, sets: Sequence[Json]) -> Iterator[Line]:
    summary: Json = (folds or {}).get("summary", {})
    for device in ("phone", "watch", "both"):
        name = f"motion, {device}: macro-F1 of the fused head minus that of a random forest"
        yield Line(name, _difference(summary.get(device), "fused", "macro_f1"), 0.0)
    for device, reference in PUBLISHED_F1.items():
        found = _mean(summary.get(device), "fused", "macro_f1")
        yield Line(f"motion, {device}: macro-F1 over folds by subject", found, reference)
    sound = _mean(summary.get("audio"), "fused", "clip_accuracy")
    yield Line("ESC-10: accuracy by clip over the official folds", sound, SOUND_ACCURACY)
    for study in BEATS_FOREST:
        name = f"{study}: macro-F1 of the encoder minus that of a random forest"
        seeds = [_difference(s["summary"], "encoder", "macro_f1") for s in sets if s["study"] == study]
        known = [difference for difference in seeds if difference is not None]
        yield Line(name, fmean(known) if known else None, 0.0)


def _mean(summary: Json | None, reader: str, figure: str) -> float | None:
    found = (summary or {}).get(reader, {}).get(figure)
    return None if found is None else found["mean"]


def _difference(summary: Json | None, reader: str, figure: str) -> float | None:
    ours, forest = (_mean(summary, name, figure) for name in (reader, "random_forest"))
    return None if ours is None or forest is None else ours - forest


def _language(result: Json) -> Iterator[Line]:
    """The worst head of each control."""
    names = dict.fromkeys(g["name"] for gates in result["gates"].values() for g in gates)
    for name in names:
        found = {head: g for head, gates in result["gates"].items() for g in gates if g["name"] == name}
        worst = min(found, key=lambda head: found[head]["value"])
        yield Line(f"{name} (worst: {worst})", found[worst]["value"], found[worst]["least"])
    norms: Sequence[float] = result.get("control_norms") or ()
    closed = sum(norm <= 0 for norm in norms) if norms else None
    yield Line("blocks whose control vector is 0: closed gates", closed, 0, at_most=True)
    invented = result.get("invented")
    yield Line("answers with a number that the device did not put in", invented, 0, at_most=True)


def _calibration(result: Json) -> Iterator[Line]:
    covered = {head: c["coverage"] for head, c in result["conformal"].items()}
    worst = min(covered, key=covered.__getitem__, default="none")
    yield Line(f"conformal coverage (worst: {worst})", covered.get(worst), COVERAGE)
    for name in ("imu_phone", "imu_watch", "audio"):
        found = [u["auroc"] for u in result.get("unseen") or () if u["set"] == name]
        mean = fmean(found) if found else None
        yield Line(f"{name}: AUROC of unseen classes, mean of {len(found)}", mean, UNSEEN_AUROC)


def _parity(parity: Json | None) -> Iterator[Line]:
    if not parity or "tolerance" not in parity:
        yield Line("parity of the shipped files", None, 0.0)
        return
    tolerance = parity["tolerance"]
    encoders = max(parity["encoders_torch_onnx"].values())
    yield Line("parity: encoders, torch and ONNX", encoders, tolerance, at_most=True)
    yield Line("parity: adapter, torch and ONNX", parity["adapter_torch_onnx"], tolerance, at_most=True)
    language = parity["language_torch_gguf_f32"]
    yield Line("parity: language model, torch and GGUF F32", language, tolerance, at_most=True)
    agreeing = parity["q8_0_f32_labels_agreeing"] / parity["q8_0_f32_labels_compared"]
    yield Line("parity: labels that Q8_0 and F32 read alike", agreeing, LABEL_AGREEMENT)
    equal = parity["tokenizer_texts_equal"] / parity["tokenizer_texts_compared"]
    yield Line("parity: texts with equal token ids", equal, 1.0)


def _encoders(result: Json) -> list[str]:
    return [file for file in result["sizes_bytes"] if file.endswith(".onnx") and file != "adapter.onnx"]


def _latencies(bench: Json | None) -> float | None:
    encoders = (bench or {}).get("encoders")
    return None if encoders is None else sum("encoder p50 ms" in e for e in encoders.values())

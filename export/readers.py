"""Three readers of the same windows: encoder head, fused head, language model. All through the runtime.

Everything here runs the shipped files with the code of the device: ONNX through onnxruntime, GGUF through
llama.cpp. No torch network takes part in a score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_agent.manifest import Manifest
from edge_agent.perception import calibration
from edge_agent.perception.dialog import Prompt
from edge_agent.perception.features import EARTH_RADIUS_M
from edge_agent.perception.language import LanguageModel
from edge_agent.perception.llama_batch import LlamaOptions
from edge_agent.perception.pipeline import Pipeline
from edge_agent.types import Percept, SlotWindow, Window
from export.catalog import ACTIVITY, EVENT, HEADS, SLOTS, HeadSpec, SlotSpec
from export.datasets import esc10, phone_watch_imu
from export.train_slots import as_steps

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
MOST_CASES = 300
"""Of a head: more windows of the same few people or days tell nothing new, and the model is asked each."""


@dataclass(frozen=True)
class Case:
    """One window of the test split: what the sensors gave, the truth (K,) or class, what it is part of."""

    values: dict[str, npt.NDArray[np.floating]]
    truth: int
    group: str
    numbers: Float32 | None = None


@dataclass(frozen=True)
class Reading:
    """Log-probabilities over the labels of one head by each reader, and the percept they rest on."""

    case: Case
    encoder: Float32
    fused: Float32
    language: Float32
    percept: Percept


def open_language(folder: Path, manifest: Manifest, threads: int = 1) -> LanguageModel:
    """The shipped language model in this process."""
    spec = manifest.language
    prompt = Prompt(spec.prefix, spec.question, spec.max_answer_tokens)
    return LanguageModel(folder / spec.file, prompt, LlamaOptions(spec.context_tokens, threads=threads))


def cases_of(head: HeadSpec, root: Path | None = None, seed: int = 0) -> list[Case]:
    """The windows of a head's shipped test part, thinned to MOST_CASES where there are more."""
    if head.name == ACTIVITY:
        return activity_cases(root, phone_watch_imu.SHIPPED_TEST_SUBJECTS)
    if head.name == EVENT:
        return event_cases(root, esc10.SHIPPED_TEST_FOLD)
    samples = head.reader.load(root)
    rows = head.reader.shipped(samples).test
    if len(rows) > MOST_CASES:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_CASES, replace=False))
    picked, slot = samples[rows], SLOTS[head.slots[0]]
    windows = as_steps(picked.x, slot.shape[0])
    cases = []
    for x, target, group in zip(windows, picked.target, picked.group, strict=True):
        numbers = np.asarray(target, np.float32) if head.regression else None
        truth = -1 if head.regression else int(target)
        cases.append(Case({slot.name: as_measured(slot, x)}, truth, str(group), numbers))
    return cases


def as_measured(slot: SlotSpec, x: Float32) -> npt.NDArray[np.floating]:
    """A window (T,C) as the slot's sensor gives it: metres of a track as degrees around 0, 0."""
    if slot.features != "local_metres":
        return x
    return np.degrees(x[:, ::-1].astype(np.float64) / EARTH_RADIUS_M)


def activity_cases(root: Path | None, subjects: Sequence[str]) -> list[Case]:
    """1 s windows, 0.5 s apart, of the given people: phone and watch of the same instant."""
    executions = [e for e in phone_watch_imu.load(root) if e.subject in subjects]
    pairs = phone_watch_imu.windows(executions)
    return [
        Case(dict(zip(phone_watch_imu.SLOTS, x, strict=True)), int(y), str(s))
        for x, y, s in zip(pairs.x, pairs.label, pairs.subject, strict=True)
    ]


def event_cases(root: Path | None, fold: int) -> list[Case]:
    """2 s windows, 0.5 s apart, of the clips of an official fold; windows without the sound are left out."""
    cases = []
    for clip in esc10.select(esc10.load(root), [fold]):
        for start in esc10.window_starts():
            if esc10.window_label(clip, start) == clip.label:
                samples = clip.samples[start : start + esc10.WINDOW, None]
                cases.append(Case({"audio": samples}, clip.label, clip.name))
    return cases


def window_of(values: dict[str, npt.NDArray[np.floating]], sequence: int = 0) -> Window:
    """A complete window of the given slots."""
    slots = {name: SlotWindow(v, coverage=1.0, age_s=0.0) for name, v in values.items()}
    return Window(sequence=sequence, end_ns=0, slots=slots)


def read(
    pipeline: Pipeline, language: LanguageModel, name: str, cases: Sequence[Case], slots: Sequence[str]
) -> Iterator[Reading]:
    """Each case by the three readers, with only `slots` present."""
    head = pipeline.manifest.task(name)
    for index, case in enumerate(cases):
        window = window_of({s: v for s, v in case.values.items() if s in slots}, index)
        percept = pipeline.perceive(window)
        alone = [calibration.probabilities(x) for x in pipeline.said(window, name)]
        probabilities = percept.tasks[name].probabilities
        fused = np.array([probabilities[label] for label in head.labels])
        said = language.read_label(percept.conditioning, head.question, head.readout, head.label_tokens)
        yield Reading(
            case,
            log_probabilities(np.mean(alone, axis=0)),
            log_probabilities(fused),
            log_probabilities(said),
            percept,
        )


def log_probabilities(probabilities: npt.ArrayLike) -> Float32:
    """Logarithms that are finite for a probability of 0."""
    return np.log(np.maximum(np.asarray(probabilities, np.float32), 1e-9))


def decide(readings: Sequence[Reading], reader: str, name: str) -> tuple[Int64, Int64]:
    """(predicted, truth): per window; of sounds per clip (mean log-probability)."""
    return decided(np.stack([getattr(r, reader) for r in readings]), [r.case for r in readings], name)


def decided(scores: Float32, cases: Sequence[Case], name: str) -> tuple[Int64, Int64]:
    """The same from log-probabilities (N,labels) of the cases."""
    truth = np.array([c.truth for c in cases])
    if name != EVENT:
        return scores.argmax(-1), truth
    groups = np.array([c.group for c in cases])
    names = np.unique(groups)
    clips = np.stack([scores[groups == g, : esc10.OFFICIAL_LABELS].mean(0) for g in names])
    return clips.argmax(-1), np.array([truth[groups == g][0] for g in names])


def conditions() -> dict[str, tuple[str, tuple[str, ...]]]:
    """name of a table's row -> (head, slots that are present)."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for head in HEADS.values():
        if head.regression:
            continue
        if len(head.slots) > 1:
            for slot in head.slots:
                found[f"{head.name}: {SLOTS[slot].description} alone"] = (head.name, (slot,))
        found[head.name] = (head.name, head.slots)
    return found

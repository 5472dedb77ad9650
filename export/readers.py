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

from edge_agent.manifest import Manifest, TaskHead
from edge_agent.perception import calibration
from edge_agent.perception.dialog import Prompt
from edge_agent.perception.language import LanguageModel
from edge_agent.perception.llama_batch import LlamaOptions
from edge_agent.perception.pipeline import Pipeline
from edge_agent.types import Percept, SlotWindow, Window
from export.datasets import esc10, phone_watch_imu
from export.labels import ACTIVITY, CANONICAL_QUESTION, EVENT, TASK_SLOTS

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """One window of the test split: what the sensors gave, the true class, and the clip it is part of."""

    values: dict[str, Float32]
    truth: int
    group: str


@dataclass(frozen=True)
class Reading:
    """Log-probabilities over the labels of one task by each reader, and the percept they rest on."""

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


def activity_cases(root: Path, subjects: Sequence[str]) -> list[Case]:
    """1 s windows, 0.5 s apart, of the given people: phone and watch of the same instant."""
    executions = [e for e in phone_watch_imu.load(root) if e.subject in subjects]
    pairs = phone_watch_imu.windows(executions)
    return [
        Case(dict(zip(phone_watch_imu.SLOTS, x, strict=True)), int(y), str(s))
        for x, y, s in zip(pairs.x, pairs.label, pairs.subject, strict=True)
    ]


def event_cases(root: Path, fold: int) -> list[Case]:
    """2 s windows, 0.5 s apart, of the clips of an official fold; windows without the sound are left out."""
    cases = []
    for clip in esc10.select(esc10.load(root), [fold]):
        for start in esc10.window_starts():
            if esc10.window_label(clip, start) == clip.label:
                samples = clip.samples[start : start + esc10.WINDOW, None]
                cases.append(Case({"audio": samples}, clip.label, clip.name))
    return cases


def window_of(values: dict[str, Float32], sequence: int = 0) -> Window:
    """A complete window of the given slots."""
    slots = {name: SlotWindow(v, coverage=1.0, age_s=0.0) for name, v in values.items()}
    return Window(sequence=sequence, end_ns=0, slots=slots)


def read(
    pipeline: Pipeline, language: LanguageModel, task: str, cases: Sequence[Case], slots: Sequence[str]
) -> Iterator[Reading]:
    """Each case by the three readers, with only `slots` present."""
    head = pipeline.manifest.task(task)
    for index, case in enumerate(cases):
        window = window_of({s: v for s, v in case.values.items() if s in slots}, index)
        percept = pipeline.perceive(window)
        features = pipeline.encode(window)
        own = [features[s].logits for s in TASK_SLOTS[task] if s in features]
        encoder = np.mean([calibration.probabilities(x) for x in own], axis=0)
        probabilities = percept.tasks[task].probabilities
        fused = np.array([probabilities[label] for label in head.labels])
        said = language.read_label(
            percept.conditioning, CANONICAL_QUESTION[task], head.readout, head.label_tokens
        )
        yield Reading(case, _log(encoder), _log(fused), _log(said), percept)


def _log(probabilities: npt.ArrayLike) -> Float32:
    return np.log(np.maximum(np.asarray(probabilities, np.float32), 1e-9))


def decide(readings: Sequence[Reading], reader: str, task: str) -> tuple[Int64, Int64]:
    """(predicted, truth): per window for activities, per clip (mean log-probability) for sounds."""
    scores = np.stack([getattr(r, reader) for r in readings])
    truth = np.array([r.case.truth for r in readings])
    if task == ACTIVITY:
        return scores.argmax(-1), truth
    assert task == EVENT, task
    groups = np.array([r.case.group for r in readings])
    names = np.unique(groups)
    clips = np.stack([scores[groups == g, : esc10.OFFICIAL_LABELS].mean(0) for g in names])
    return clips.argmax(-1), np.array([truth[groups == g][0] for g in names])


def phrase_of(head: TaskHead, index: int) -> str:
    """How the class is said."""
    return head.phrases[index]

"""From checkpoints to a model folder: ONNX, GGUF, calibration; the manifest is written last."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edge_agent import manifest as manifests
from edge_agent.manifest import (
    AdapterSpec,
    DataSource,
    File,
    LanguageSpec,
    Manifest,
    Slot,
    TaskHead,
)
from edge_agent.perception.prompt import PREFIX, QUESTION
from export import gguf_writer, onnx_writer, shipped_features
from export import tokenizer as bpe
from export.datasets import esc10, phone_watch_imu
from export.labels import ACTIVITY, EVENT, PHRASES, READOUT, SLOTS, labels
from export.networks import encoders as nets
from export.student import Student
from export.train_encoders import load_encoder
from export.train_language import make_student

LANGUAGE_FILE = "lm-q8_0.gguf"
ADAPTER_FILE = "adapter.onnx"
MAX_ANSWER_TOKENS = 48
CONTEXT_TOKENS = 512
INPUT_SHAPE = {"raw": nets.IMU_SHAPE, "log_mel": nets.AUDIO_SHAPE}
TOKENS = {"raw": nets.IMU_TOKENS, "log_mel": nets.AUDIO_TOKENS}
INFO = {"imu_phone": phone_watch_imu.INFO, "imu_watch": phone_watch_imu.INFO, "audio": esc10.INFO}
PLACEMENT = {"imu_phone": "trouser pocket", "imu_watch": "wrist", "audio": "room"}
DATA = (
    DataSource(
        name="smartphone and smartwatch human activity recordings",
        licence="CC BY 4.0",
        credit="Matey-Sanz, Casteleyn, Granell 2022",
        held_out="subjects s01 and s12",
    ),
    DataSource(
        name="ESC-10",
        licence="CC BY 3.0",
        credit="Piczak 2015; clip credits in the data set",
        held_out="fold 5",
    ),
    DataSource(
        name="OpenStax Physics, Anatomy and Physiology, Introduction to Sociology",
        licence="CC BY 4.0",
        credit="OpenStax, Rice University",
        held_out="nothing",
    ),
    DataSource(
        name="public-domain novels", licence="public domain", credit="their authors", held_out="nothing"
    ),
)


@dataclass
class Trained:
    """Everything that training left: encoders per slot, and the student with its tokenizer."""

    encoders: dict[str, nn.Module]
    student: Student
    tokenizer_path: Path


def load_trained(runs: Path, stage: str = "instruct") -> Trained:
    """The networks of `runs` in evaluation mode. Raises FileNotFoundError naming what is missing."""
    tokenizer_path = runs / "tokenizer.json"
    student = make_student(bpe.load(tokenizer_path), {s: TOKENS[features_of(s)] for s in SLOTS})
    student.load_state_dict(torch.load(runs / f"{stage}.pt", weights_only=True)["student"])
    encoders = {slot: load_encoder(runs / f"encoder_{slot}.pt").eval() for slot in SLOTS}
    return Trained(encoders, student.eval(), tokenizer_path)


def features_of(slot: str) -> str:
    """Which features the slot's encoder takes."""
    return "log_mel" if INFO[slot].modality == "audio" else "raw"


def ship(runs: Path, folder: Path, *, name: str, version: str) -> Manifest:
    """Write `folder` from the checkpoints in `runs`."""
    trained = load_trained(runs)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / manifests.MANIFEST_NAME).unlink(missing_ok=True)  # never a manifest of half a folder
    files = []
    for slot, encoder in trained.encoders.items():
        onnx_writer.write_encoder(folder / f"{slot}.onnx", encoder, INPUT_SHAPE[features_of(slot)])
        files.append(f"{slot}.onnx")
    onnx_writer.write_adapter(folder / ADAPTER_FILE, trained.student.adapter)
    gguf_writer.write(
        folder / LANGUAGE_FILE,
        trained.student.language,
        trained.tokenizer_path,
        quantisation="q8_0",
        name=name,
    )
    files += [ADAPTER_FILE, LANGUAGE_FILE]
    checksums = {file: manifests.describe(folder / file) for file in files}
    manifest = describe(trained, runs, name=name, version=version, files=checksums)
    manifests.write(folder, manifest)
    return manifest


def describe(trained: Trained, runs: Path, *, name: str, version: str, files: dict[str, File]) -> Manifest:
    """The manifest of trained networks, with calibration from the validation split."""
    fitted = calibrate(trained, runs)
    language = trained.student.language.config
    adapter = trained.student.adapter.config
    return Manifest(
        format=1, name=name, version=version, licence="Apache-2.0; data credits below", source="trained",
        slots=tuple(_slot(slot) for slot in SLOTS),
        tasks=tuple(_task(trained, task, fitted[task]) for task in (ACTIVITY, EVENT)),
        adapter=AdapterSpec(
            file=ADAPTER_FILE, d_token=adapter.d_token, n_soft=adapter.n_soft, n_embd=adapter.n_embd,
            n_layer=adapter.n_layer,
        ),
        language=LanguageSpec(
            file=LANGUAGE_FILE, n_embd=language.n_embd, n_layer=language.n_layer, n_vocab=language.n_vocab,
            context_tokens=CONTEXT_TOKENS, prefix=PREFIX, question=QUESTION,
            max_answer_tokens=MAX_ANSWER_TOKENS,
        ),
        data=DATA,
        files=files,
    )  # fmt: skip


def _slot(slot: str) -> Slot:
    info = INFO[slot]
    kind = features_of(slot)
    return Slot(
        name=slot, modality=info.modality, placement=PLACEMENT[slot], encoder=f"{slot}.onnx", features=kind,
        channels=info.channels, units=info.units, rate_hz=info.rate_hz, window_s=info.window_s,
        n_tokens=TOKENS[kind], tasks=(info.task,), description=SLOTS[slot],
    )  # fmt: skip


def _task(trained: Trained, task: str, fitted: dict[str, Any]) -> TaskHead:
    tokenizer = bpe.load(trained.tokenizer_path)
    return TaskHead(
        name=task, labels=labels(task), phrases=tuple(PHRASES[task].values()),
        label_tokens=bpe.first_tokens(tokenizer, PHRASES[task].values()), readout=READOUT[task],
        temperature=fitted["temperature"], threshold=fitted["threshold"],
        novelty_threshold=fitted["novelty_threshold"],
    )  # fmt: skip


def calibrate(trained: Trained, runs: Path) -> dict[str, Any]:
    """What a logit of the shipped heads is worth, from people and sounds that were not trained on."""
    with np.load(runs / "features.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return shipped_features.calibrate(trained.student.adapter, arrays)

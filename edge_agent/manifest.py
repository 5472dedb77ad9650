"""What a model folder promises. Written last by `export`, checked first by `edge_agent`.

A folder is loaded only when every file named here is present with its size and sha256, and when the
dimensions agree with each other. Nothing is unpickled; ONNX and GGUF are the only model formats.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_agent.errors import ModelError

MANIFEST_NAME = "manifest.json"
FORMAT = 1

Modality = Literal[
    "imu", "capacitance", "lidar", "thermal", "depth", "video",
    "gps", "gaze", "audio", "camera", "pose", "image",
]  # fmt: skip
"""The twelve modalities of IoT-LM (arXiv 2407.09801, section 3)."""

Task = Literal[
    "gaze_estimation", "depth_estimation", "gesture_classification", "pose_estimation",
    "touch_contact_classification", "event_detection", "activity_recognition", "3d_reconstruction",
]  # fmt: skip
"""The eight tasks of IoT-LM (arXiv 2407.09801, section 3)."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A plain file name: a manifest can never point outside its own folder."""


class File(_Frozen):
    """A file of the folder, by its relative name."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(ge=0)]


class Slot(_Frozen):
    """One input of the model: a modality at a placement, with its own encoder."""

    name: str
    modality: Modality
    placement: str
    encoder: str
    features: Literal["raw", "log_mel"]
    channels: tuple[str, ...]
    units: tuple[str, ...]
    rate_hz: float
    window_s: float
    n_tokens: int
    tasks: tuple[Task, ...]
    description: str
    """How a person would name it in a sentence: "the watch"."""


class TaskHead(_Frozen):
    """One classification head: labels, how they are said, and their calibration."""

    name: Task
    labels: tuple[str, ...]
    phrases: tuple[str, ...]
    """How each label is said in a sentence, in the order of `labels`."""
    label_tokens: tuple[int, ...]
    """The first token of each phrase after `readout`; all different, so one logit reads the class."""
    readout: str
    """The words of the canonical answer before the phrase."""
    temperature: float
    threshold: float
    """Below this calibrated probability the agent says that it does not know."""
    novelty_threshold: float
    """Above this energy (-logsumexp of the encoder's logits) the input is called novel."""

    @model_validator(mode="after")
    def _same_lengths(self) -> TaskHead:
        counts = {len(self.labels), len(self.phrases), len(self.label_tokens)}
        if len(counts) != 1 or len(set(self.label_tokens)) != len(self.label_tokens):
            raise ValueError(
                f"task {self.name}: labels, phrases and label_tokens must be of one length and the "
                "tokens all different"
            )
        return self


class AdapterSpec(_Frozen):
    """Shapes of the multisensory multitask adapter (DESIGN.md, "The model")."""

    file: str
    d_token: int
    n_soft: int
    n_embd: int
    n_layer: int


class LanguageSpec(_Frozen):
    """The GGUF file and the prompt it was trained on."""

    file: str
    n_embd: int
    n_layer: int
    n_vocab: int
    context_tokens: int
    prefix: str
    """Static text before the soft tokens; cached, never under a control vector."""
    question: str
    """Text after the soft tokens, with `{question}`."""
    max_answer_tokens: int


class DataSource(_Frozen):
    """Credit for a training set, as its licence asks."""

    name: str
    licence: str
    credit: str
    held_out: str


class Manifest(_Frozen):
    """The whole promise. `source` tells trained weights from random ones used in tests of shape."""

    format: Literal[1]
    name: str
    version: str
    licence: str
    source: Literal["trained", "random"]
    slots: tuple[Slot, ...]
    tasks: tuple[TaskHead, ...]
    adapter: AdapterSpec
    language: LanguageSpec
    data: tuple[DataSource, ...]
    files: dict[FileName, File]

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        if (self.adapter.n_embd, self.adapter.n_layer) != (self.language.n_embd, self.language.n_layer):
            raise ValueError(
                f"the adapter was made for a language model of width {self.adapter.n_embd} and "
                f"{self.adapter.n_layer} blocks, the language model has {self.language.n_embd} and "
                f"{self.language.n_layer}"
            )
        named = {s.encoder for s in self.slots} | {self.adapter.file, self.language.file}
        if missing := sorted(named - set(self.files)):
            raise ValueError(f"files without a checksum: {', '.join(missing)}")
        if len({s.name for s in self.slots}) != len(self.slots):
            raise ValueError("two slots have the same name")
        return self

    def slot(self, name: str) -> Slot:
        """The slot of that name; KeyError when the model has none."""
        return {s.name: s for s in self.slots}[name]

    def task(self, name: str) -> TaskHead:
        """The task head of that name; KeyError when the model has none."""
        return {str(t.name): t for t in self.tasks}[name]


def sha256_of(path: Path) -> str:
    """The sha256 of a file as lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(folder: Path) -> Manifest:
    """Read and check `folder/manifest.json` and every file it names.

    Raises ModelError, with the next step as its hint, when a file is missing, altered or malformed.
    """
    manifest = read(folder)
    for name, promised in manifest.files.items():
        verify_file(folder / name, promised)
    return manifest


def read(folder: Path) -> Manifest:
    """Read the manifest alone, without looking at the other files."""
    path = folder / MANIFEST_NAME
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"no model at {folder}: {error.strerror}",
            hint="set model.path to a folder that holds manifest.json, for example models/iotlm-7m",
        ) from error
    try:
        return Manifest.model_validate(json.loads(raw))
    except (ValidationError, ValueError) as error:
        raise ModelError(f"{path} is not a valid manifest: {error}") from error


def verify_file(path: Path, promised: File) -> None:
    """Raise ModelError unless `path` is the file that the manifest promises."""
    if not path.is_file():
        raise ModelError(f"missing model file {path}", hint="fetch the model folder again")
    if (size := path.stat().st_size) != promised.size_bytes:
        raise ModelError(
            f"{path} has {size} bytes, the manifest says {promised.size_bytes}",
            hint="fetch the model folder again",
        )
    if (actual := sha256_of(path)) != promised.sha256:
        raise ModelError(
            f"{path} was changed: sha256 {actual}, the manifest says {promised.sha256}",
            hint="fetch the model folder again",
        )


def describe(path: Path) -> File:
    """The manifest's entry for a file that exists."""
    return File(sha256=sha256_of(path), size_bytes=path.stat().st_size)


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest; the last step of an export, so that a half-written folder never loads."""
    temporary = folder / f".{MANIFEST_NAME}.part"
    temporary.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    temporary.replace(folder / MANIFEST_NAME)

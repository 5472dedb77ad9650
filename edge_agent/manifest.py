"""What a model folder promises. Written last by `export`, checked first by `edge_agent`.

A folder is loaded only when every file named here is present with its size and sha256, and when the
dimensions agree with each other. Nothing is unpickled; ONNX and GGUF are the only model formats.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from edge_agent.channel_names import expand, shorten
from edge_agent.errors import ModelError

MANIFEST_NAME = "manifest.json"
FORMAT = 2

Modality = Literal[
    "imu", "capacitance", "lidar", "thermal", "depth", "video",
    "gps", "gaze", "audio", "camera", "pose", "image", "environment",
]  # fmt: skip
"""The twelve modalities of IoT-LM (arXiv 2407.09801, section 3), and what a room is measured by."""

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


Names = Annotated[tuple[str, ...], BeforeValidator(expand), PlainSerializer(shorten, when_used="json")]
"""Names of channels; in JSON a run of numbered ones is one: "px_[000..359]"."""

Kind = Literal["real", "simulated"]
"""What something was trained and judged on: recordings of real sensors, or a simulator."""


class Slot(_Frozen):
    """One input of the model: a modality at a placement, with its own encoder."""

    name: str
    modality: Modality
    placement: str
    encoder: str
    features: Literal["raw", "log_mel", "local_metres"]
    """What the encoder takes: the window, its log-mel frames, or latitude and longitude as metres east and
    north of its last point."""
    sampling: Literal["linear", "hold", "latest"] = "linear"
    """Between two samples: interpolated; the last one held, as with images; or each channel's last, as where
    several chips fill one slot."""
    channels: Names
    units: tuple[str, ...]
    """One for each channel, or one for all."""
    rate_hz: float
    window_s: float
    n_tokens: int
    heads: tuple[str, ...]
    """The heads its encoder says something of, in the order of its output."""
    description: str
    """How a person would name it in a sentence: "the watch"."""
    kind: Kind = "real"
    picture: tuple[int, int] | None = None
    """(width, height) of a picture, whose channels are the red, green and blue of each pixel, row by row."""

    @property
    def unit_of_each(self) -> tuple[str, ...]:
        """(channels,): the unit of each channel."""
        return self.units * len(self.channels) if len(self.units) == 1 else self.units

    @model_validator(mode="after")
    def _counts_agree(self) -> Slot:
        count = len(self.channels)
        if len(self.units) not in (1, count):
            raise ValueError(f"slot {self.name}: {count} channels, {len(self.units)} units")
        if self.picture and 3 * self.picture[0] * self.picture[1] != count:
            raise ValueError(f"slot {self.name}: {count} channels are no picture of {self.picture}")
        return self


class _Head(_Frozen):
    name: str
    task: Task
    words: tuple[str, ...]
    """A question with one of these words is about this head."""
    question: str
    """What a person would ask to hear it."""
    kind: Kind = "real"


class TaskHead(_Head):
    """A head that names a class: labels, how they are said, and their calibration."""

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
    alarms: dict[str, Literal["notify", "alarm"]] = Field(default_factory=dict)
    """label -> what should be done about it; nothing about the others."""
    conformal: float = 0.0
    """A label belongs to the conformal set when its probability is at least this; 0: not calibrated."""

    @property
    def width(self) -> int:
        """Numbers that an encoder gives for it."""
        return len(self.labels)

    def phrase(self, label: str) -> str:
        """How a label is said in a sentence. Raises ValueError for one that it does not have."""
        return self.phrases[self.labels.index(label)]

    @model_validator(mode="after")
    def _same_lengths(self) -> TaskHead:
        if unknown := sorted(set(self.alarms) - set(self.labels)):
            raise ValueError(f"task {self.name}: alarms for labels it does not have: {', '.join(unknown)}")
        counts = {len(self.labels), len(self.phrases), len(self.label_tokens)}
        if len(counts) != 1 or len(set(self.label_tokens)) != len(self.label_tokens):
            raise ValueError(
                f"task {self.name}: labels, phrases and label_tokens must be of one length and the "
                "tokens all different"
            )
        return self


class Fact(_Frozen):
    """A measured number that may be said: `{name}` in a sentence becomes its value with its unit."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    unit: str
    decimals: Annotated[int, Field(ge=0, le=6)] = 1
    reduce: Literal["value", "min", "max", "mean", "norm", "first", "last"]
    first: int = 0
    """The numbers `first` to `last` of a head, or the one channel `first` of a slot."""
    last: int = 0
    scale: float = 1.0
    words: tuple[str, ...] = ()
    """A question with one of these words is about it."""
    sentence: str = ""
    """How it is said, with itself in braces: "The temperature is {temperature}."."""


class SlotFacts(_Frozen):
    """The facts of a slot: read from its window by no network at all."""

    slot: str
    facts: tuple[Fact, ...]


class NumberHead(_Head):
    """A head that reads numbers: (K,) values with their uncertainty."""

    numbers: Names
    """Each with its unit in the name."""
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    """value = offset + scale * output, (K,) each."""
    sigma_factor: float
    """By what the predicted deviation is multiplied so that it covers what it says (validation)."""
    readout: str
    """The canonical answer, with facts in braces."""
    facts: tuple[Fact, ...]

    @property
    def width(self) -> int:
        """Numbers that an encoder gives for it: a mean and a log sigma each."""
        return 2 * len(self.numbers)

    @model_validator(mode="after")
    def _same_lengths(self) -> NumberHead:
        if not len(self.numbers) == len(self.offset) == len(self.scale):
            raise ValueError(f"head {self.name}: numbers, offset and scale must be of one length")
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

    format: Literal[2]
    name: str
    version: str
    licence: str
    source: Literal["trained", "random"]
    slots: tuple[Slot, ...]
    tasks: tuple[TaskHead, ...]
    numbers: tuple[NumberHead, ...] = ()
    facts: tuple[SlotFacts, ...] = ()
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
        heads = [h.name for h in self.heads]
        if len(set(heads)) != len(heads):
            raise ValueError("two heads have the same name")
        if unknown := sorted({h for s in self.slots for h in s.heads} - set(heads)):
            raise ValueError(f"slots name heads that do not exist: {', '.join(unknown)}")
        return self

    @property
    def heads(self) -> tuple[TaskHead | NumberHead, ...]:
        """All heads, in the order of the adapter."""
        return (*self.tasks, *self.numbers)

    def slot(self, name: str) -> Slot:
        """The slot of that name; KeyError when the model has none."""
        return {s.name: s for s in self.slots}[name]

    def task(self, name: str) -> TaskHead:
        """The head of that name that names a class; KeyError when the model has none."""
        return {t.name: t for t in self.tasks}[name]

    def head(self, name: str) -> TaskHead | NumberHead:
        """The head of that name; KeyError when the model has none."""
        return {h.name: h for h in self.heads}[name]

    def serving(self, head: str) -> frozenset[str]:
        """The slots that a head is read from."""
        return frozenset(s.name for s in self.slots if head in s.heads)


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
        said = json.loads(raw)
    except ValueError as error:
        raise ModelError(f"{path} is not a valid manifest: {error}") from error
    if isinstance(said, dict) and said.get("format") != FORMAT:
        raise ModelError(
            f"{path} is of format {said.get('format')}; this version reads {FORMAT}",
            hint="fetch the model folder that belongs to this version",
        )
    try:
        return Manifest.model_validate(said)
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

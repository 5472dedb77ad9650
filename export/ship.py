"""From checkpoints to a model folder: ONNX, GGUF, calibration; the manifest is written last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from edge_agent import manifest as manifests
from edge_agent.manifest import (
    AdapterSpec,
    DataSource,
    Fact,
    File,
    LanguageSpec,
    Manifest,
    NumberHead,
    Slot,
    SlotFacts,
    TaskHead,
)
from edge_agent.perception.encoders import input_shape
from edge_agent.perception.prompt import PREFIX, QUESTION
from edge_agent.sensors.video_frames import Pixels
from export import catalog, gguf_writer, novelty, onnx_writer, rarity
from export import tokenizer as bpe
from export.calibrate import calibrate
from export.catalog import HEADS, SLOT_FACTS, SLOTS, HeadSpec
from export.datasets import esc10
from export.datasets.common import DatasetInfo
from export.groups import Group
from export.networks.encoders import AudioEncoder
from export.novelty import Novelty
from export.onnx_writer import EncoderGraph
from export.rarity import Rarity
from export.student import Student, language_of, make_student
from export.train_encoders import load_encoder
from export.train_heads import config_from, load_groups, scalings
from export.wordings import MEASURED, WORDINGS

LANGUAGE_FILE = "lm-q8_0.gguf"
ADAPTER_FILE = "adapter.onnx"
MAX_ANSWER_TOKENS = 64
CONTEXT_TOKENS = 512
TEXT = (
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
    """Everything that training left: encoders per slot, the student with its tokenizer, stored features."""

    encoders: dict[str, EncoderGraph]
    student: Student
    tokenizer_path: Path
    groups: Mapping[str, Group] = field(default_factory=dict)


def load_trained(runs: Path, stage: str = "instruct") -> Trained:
    """The networks of `runs` in evaluation mode; needs the recorded sounds.

    Raises FileNotFoundError naming what is missing.
    """
    groups = load_groups(runs)
    student = load_student(runs, groups, stage)
    encoders = {slot: _graph(slot, runs, groups) for slot in SLOTS}
    return Trained(encoders, student, _tokenizer(runs), groups)


def load_student(runs: Path, groups: Mapping[str, Group], stage: str = "instruct") -> Student:
    """Adapter and language model of `runs` in evaluation mode. Raises FileNotFoundError."""
    saved = torch.load(runs / f"{stage}.pt", weights_only=True)
    ablation = saved.get("settings", {}).get("ablation", "")
    config = replace(config_from(groups), ablation=ablation)  # what was left out stays out of the file
    student = make_student(bpe.load(_tokenizer(runs)), config, language_of(saved))
    student.load_state_dict(saved["student"])
    return student.eval()


def _tokenizer(runs: Path) -> Path:
    return runs / "tokenizer.json"


def _graph(slot: str, runs: Path, groups: Mapping[str, Group]) -> EncoderGraph:
    encoder = load_encoder(runs / f"encoder_{slot}.pt")
    novelties: Sequence[Novelty | Rarity] = (
        [rarity.of_sounds(encoder, esc10.load())]  # it reads more than features hold
        if isinstance(encoder, AudioEncoder)
        else novelty.of_slot(slot, groups)
    )
    return EncoderGraph(encoder, novelties, novelty.class_columns(slot)).eval()


def ship(runs: Path, folder: Path, *, name: str, version: str) -> Manifest:
    """Write `folder` from the checkpoints in `runs`."""
    trained = load_trained(runs)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / manifests.MANIFEST_NAME).unlink(missing_ok=True)  # never a manifest of half a folder
    tokens = dict(trained.student.adapter.config.slots)
    slots = tuple(describe_slot(s, tokens[s]) for s in SLOTS)
    for slot in slots:
        shape = input_shape(slot)
        onnx_writer.write_encoder(folder / slot.encoder, trained.encoders[slot.name], shape)
    onnx_writer.write_adapter(folder / ADAPTER_FILE, trained.student.adapter)
    gguf_writer.write(
        folder / LANGUAGE_FILE,
        trained.student.language,
        trained.tokenizer_path,
        quantisation="q8_0",
        name=name,
    )
    files = [*(s.encoder for s in slots), ADAPTER_FILE, LANGUAGE_FILE]
    checksums = {file: manifests.describe(folder / file) for file in files}
    manifest = describe(trained, runs, slots, name=name, version=version, files=checksums)
    manifests.write(folder, manifest)
    return manifest


def describe(
    trained: Trained, runs: Path, slots: tuple[Slot, ...], *, name: str, version: str, files: dict[str, File]
) -> Manifest:
    """The manifest of trained networks, with calibration from the validation split."""
    fitted = calibrate(trained.student.adapter.fused, trained.groups, scalings(runs))
    language = trained.student.language.config
    adapter = trained.student.adapter.config
    return Manifest(
        format=2, name=name, version=version, licence="Apache-2.0; data credits below", source="trained",
        slots=slots,
        tasks=tuple(_task(trained, head, fitted[head.name]) for head in catalog.classes()),
        numbers=tuple(_number(head, fitted[head.name]) for head in catalog.numbers()),
        facts=tuple(SlotFacts(slot=s, facts=tuple(map(fact_of, facts))) for s, facts in SLOT_FACTS.items()),
        adapter=AdapterSpec(
            file=ADAPTER_FILE, d_token=adapter.d_token, n_soft=adapter.n_soft, n_embd=adapter.n_embd,
            n_layer=adapter.n_layer,
        ),
        language=LanguageSpec(
            file=LANGUAGE_FILE, n_embd=language.n_embd, n_layer=language.n_layer, n_vocab=language.n_vocab,
            context_tokens=CONTEXT_TOKENS, prefix=PREFIX, question=QUESTION,
            max_answer_tokens=MAX_ANSWER_TOKENS,
        ),
        data=(*_credits(), *TEXT),
        files=files,
    )  # fmt: skip


def describe_slot(name: str, n_tokens: int) -> Slot:
    """A slot of the catalog as the manifest has it."""
    spec = SLOTS[name]
    heads = catalog.heads_of(name)
    info = heads[0].reader.INFO
    channels, units = info.channels, info.units
    picture: tuple[int, int] | None = None
    if spec.features == "local_metres":  # the reader has the metres that a receiver's degrees become
        channels, units = ("latitude", "longitude"), ("deg", "deg")
    if spec.modality in ("image", "camera", "video"):
        picture = (spec.shape[2], spec.shape[1])
        channels, units = tuple(p.name for p in Pixels(*picture)), ("",)
    return Slot(
        name=name, modality=spec.modality, placement=spec.placement, encoder=f"{name}.onnx",
        features=spec.features, sampling=spec.sampling, channels=channels,
        units=units[:1] if len(set(units)) == 1 else units, rate_hz=spec.rate_hz,
        window_s=spec.shape[0] / spec.rate_hz, n_tokens=n_tokens, heads=tuple(h.name for h in heads),
        description=spec.description, kind=heads[0].kind, picture=picture,
    )  # fmt: skip


def _task(trained: Trained, head: HeadSpec, fitted: dict[str, Any]) -> TaskHead:
    tokenizer = bpe.load(trained.tokenizer_path)
    return TaskHead(
        name=head.name, task=head.task, words=WORDINGS[head.name].words, question=head.question,
        kind=head.kind, labels=head.labels, phrases=tuple(head.phrases.values()),
        label_tokens=bpe.first_tokens(tokenizer, head.phrases.values()), readout=head.readout,
        temperature=fitted["temperature"], threshold=fitted["threshold"],
        novelty_threshold=1.0, conformal=fitted["conformal"],
        alarms=head.alarms,
    )  # fmt: skip


def _number(head: HeadSpec, fitted: dict[str, Any]) -> NumberHead:
    return NumberHead(
        name=head.name, task=head.task, words=WORDINGS[head.name].words, question=head.question,
        kind=head.kind, numbers=head.numbers, offset=tuple(fitted["offset"]), scale=tuple(fitted["scale"]),
        sigma_factor=fitted["sigma_factor"], readout=head.readout, facts=tuple(map(fact_of, head.facts)),
    )  # fmt: skip


def fact_of(fact: catalog.Fact) -> Fact:
    """A fact of the catalog as the manifest has it."""
    words = MEASURED[fact.name].words if fact.sentence else ()
    return Fact(
        name=fact.name, unit=fact.unit, decimals=fact.decimals, reduce=fact.reduce, first=fact.first,
        last=fact.last, scale=fact.scale, words=words, sentence=fact.sentence,
    )  # fmt: skip


def _credits() -> tuple[DataSource, ...]:
    """Every set the model was trained on, once."""
    found: dict[str, DatasetInfo] = {}
    for head in HEADS.values():
        found.setdefault(head.reader.INFO.credit, head.reader.INFO)
    return tuple(
        DataSource(name=i.name, licence=i.licence, credit=i.credit, held_out=i.split) for i in found.values()
    )

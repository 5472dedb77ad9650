"""From a model folder back to checkpoints: train on from what ships, without the runs that made it.

    python -m export restore models/iotlm-7m       # into runs/shipped; then: train features, train instruct

Encoders and heads come back as they were. The language model comes back from Q8_0, each weight within half a
step of 1/127 of its block's largest, and without its optimiser: it stands where the aligned one does, so that
`instruct` goes on from it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gguf
import torch
from tokenizers import Tokenizer
from tqdm import tqdm

from edge_agent import manifest as manifests
from edge_agent.manifest import Manifest, Slot
from edge_agent.perception.encoders import input_shape
from export import onnx_reader, onnx_writer, parity, train_encoders
from export import tokenizer as bpe
from export.catalog import SLOTS, heads_of
from export.networks.adapter import Adapter
from export.networks.encoders import D_TOKEN, AudioEncoder, EncoderConfig, build
from export.networks.language import LanguageConfig, LanguageModel
from export.novelty import Novelty, class_columns
from export.onnx_reader import UnlikeError
from export.onnx_writer import EncoderGraph
from export.rarity import Rarity
from export.student import Student
from export.train_heads import shipped_config
from export.train_language import ALIGN
from export.train_slots import outputs_of


def restore(folder: Path, runs: Path) -> None:
    """Write encoders, heads, tokenizer, `align.pt` and the tables of the evaluation below `runs`.

    Raises ModelError for a folder that is not whole, UnlikeError for networks that are not the catalog's,
    FileExistsError where there are checkpoints already.
    """
    manifest = manifests.load(folder)
    shipped = runs / "shipped"
    if taken := sorted(p.name for p in shipped.glob("*.pt")):
        raise FileExistsError(f"{shipped} has {', '.join(taken)}: name another folder with --runs")
    shipped.mkdir(parents=True, exist_ok=True)
    for slot in tqdm(manifest.slots, desc="encoders"):
        torch.save(encoder(manifest, slot, folder), shipped / f"encoder_{slot.name}.pt")
    file = gguf.GGUFReader(folder / manifest.language.file)
    tokenizer(file).save(str(shipped / "tokenizer.json"))
    words = language(manifest, file)
    sensors = adapter(manifest, folder)
    student = Student(sensors, words, []).state_dict()
    torch.save({"student": student, "language": asdict(words.config)}, shipped / f"{ALIGN}.pt")
    heads = {"state": sensors.fused.state_dict(), "config": asdict(sensors.config), "options": {}}
    torch.save(heads, shipped / "heads.pt")
    tables(folder / "EVALUATION.json", runs)


def encoder(manifest: Manifest, slot: Slot, folder: Path) -> dict[str, Any]:
    """The checkpoint of a slot's encoder, as train_encoders and train_slots write it."""
    config = encoder_config(slot.name)
    network = build(config)
    novelties: list[Novelty | Rarity] = [
        Rarity.blank(h.width)
        if isinstance(network, AudioEncoder)
        else Novelty(torch.eye(D_TOKEN), torch.zeros(1 if h.regression else h.width, D_TOKEN))
        for h in heads_of(slot.name)
    ]
    graph = EncoderGraph(network, novelties, class_columns(slot.name))
    onnx_reader.fill(
        network, folder / slot.encoder, graph,
        lambda path: onnx_writer.write_encoder(path, graph, input_shape(slot)),
    )  # fmt: skip
    _compare(folder / slot.encoder, parity.encoder_difference(folder, network, manifest, slot))
    numbers = [n for n in manifest.numbers if n.name in slot.heads]
    scaling = {n.name: {"offset": list(n.offset), "scale": list(n.scale)} for n in numbers}
    return {"state": network.state_dict(), "config": asdict(config), "options": {}, "scaling": scaling}


def encoder_config(slot: str) -> EncoderConfig:
    """The network that a slot of the catalog ships with."""
    if slot in train_encoders.SLOTS:
        return train_encoders.config_of(slot)
    spec = SLOTS[slot]
    return EncoderConfig(spec.encoder, outputs_of(spec), spec.dropout, spec.shape)


def adapter(manifest: Manifest, folder: Path) -> Adapter:
    """The adapter with its fused heads."""
    tokens = {slot.name: slot.n_tokens for slot in manifest.slots}
    spec = manifest.adapter
    network = Adapter(
        shipped_config(
            tokens.__getitem__, n_embd=spec.n_embd, n_layer=spec.n_layer, n_soft=spec.n_soft,
            d_token=spec.d_token,
        )
    )  # fmt: skip
    onnx_reader.fill(
        network, folder / spec.file, network, lambda path: onnx_writer.write_adapter(path, network)
    )
    _compare(folder / spec.file, parity.adapter_difference(folder, network, manifest))
    return network


def _compare(path: Path, difference: float) -> None:
    if difference > parity.TOLERANCE:
        raise UnlikeError(
            f"{path}: the network that was read from it says something else, by {difference:.2g}"
        )


def language(manifest: Manifest, file: gguf.GGUFReader) -> LanguageModel:
    """The language model that `gguf_writer` wrote."""
    spec = manifest.language

    def field(name: str) -> Any:
        return file.fields[f"llama.{name}"].contents()

    model = LanguageModel(
        LanguageConfig(
            n_vocab=spec.n_vocab, n_embd=spec.n_embd, n_layer=spec.n_layer,
            n_head=field("attention.head_count"), n_head_kv=field("attention.head_count_kv"),
            n_ff=field("feed_forward_length"), rope_theta=field("rope.freq_base"),
            rms_eps=field("attention.layer_norm_rms_epsilon"), context_tokens=field("context_length"),
        )
    )  # fmt: skip
    state = {
        t.name.replace("blk.", "blocks.", 1): torch.tensor(gguf.quants.dequantize(t.data, t.tensor_type))
        for t in file.tensors
    }
    model.load_state_dict(state)
    return model


def tokenizer(file: gguf.GGUFReader) -> Tokenizer:
    """The tokenizer that `gguf_writer` wrote."""
    vocabulary: list[str] = file.fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in file.fields["tokenizer.ggml.merges"].contents()]
    return bpe.make({t: i for i, t in enumerate(vocabulary)}, merges)


def tables(evaluation: Path, runs: Path) -> None:
    """What the studies had found, where they write it: `evaluate` reports it again."""
    found = json.loads(evaluation.read_text(encoding="utf-8"))
    for fold in (found["folds"] or {}).get("folds", ()):
        _write(runs / "folds" / f"fold{fold['fold']}_seed{fold['seed']}.json", fold)
    if found["folds"]:
        _write(runs / "folds" / "results.json", found["folds"])
    if found["unseen"]:
        _write(runs / "unseen" / "results.json", found["unseen"])
    for result in found["sets"]:
        _write(runs / "sets" / f"{result['study']}_seed{result['seed']}.json", result)
    if found["bench"]:
        _write(runs / "bench.json", found["bench"])


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

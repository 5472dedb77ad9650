"""A model folder around a checkpoint of one's own: the base's encoders and heads, another language model.

The manifest is the base's with another adapter, another language model and the first tokens of the
phrases in the checkpoint's tokenizer; it is written last, after the files were compared with torch.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge_agent import manifest as manifests
from edge_agent.manifest import DataSource, Manifest
from edge_agent.perception.llama_batch import Llama, LlamaOptions
from edge_agent.perception.onnx_session import OnnxSession
from edge_agent.types import Float32
from export import onnx_writer
from export.byo import gguf_file, tokenizer
from export.byo.train import Bound
from export.gguf_writer import Quantisation
from export.networks.adapter import Adapter
from export.parity import equal_texts

TEXTS = 300
HEADS_TOLERANCE = 1e-3
"""On logits: the same weights through ONNX differ by rounding alone."""

LEAST_CORRELATION = 0.99
"""Between the logits of torch and of the file: rounding to 8 bits keeps more, a wrong layout far less."""


def label_tokens(manifest: Manifest, bound: Bound) -> dict[str, tuple[int, ...]]:
    """Per task, the first token of each phrase. Raises ValueError naming phrases that begin alike."""
    return {
        task.name: tokenizer.label_tokens(
            bound.tokenizer, task.name, dict(zip(task.labels, task.phrases, strict=True))
        )
        for task in manifest.tasks
    }


def write(
    base: Path, folder: Path, bound: Bound, *, name: str, version: str, quantisation: Quantisation = "q8_0"
) -> Manifest:
    """Write `folder` from the model folder `base` and the trained student.

    Raises ValueError, and leaves no manifest, when llama.cpp does not compute what torch does.
    """
    if folder.resolve() == base.resolve():
        raise ValueError(f"{folder} is the base itself: write to another folder")
    promised = manifests.load(base)
    firsts = label_tokens(promised, bound)
    check_heads(base, promised, bound.student.adapter)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / manifests.MANIFEST_NAME).unlink(missing_ok=True)  # never a manifest of half a folder
    kept = [f for f in promised.files if f not in {promised.adapter.file, promised.language.file}]
    for file in kept:
        shutil.copyfile(base / file, folder / file)
    language_file = f"lm-{quantisation}.gguf"
    bound.student.eval()
    gguf_file.write(
        folder / language_file, bound.language, bound.tokenizer, bound.pre_tokenizer,
        quantisation=quantisation, name=name,
    )  # fmt: skip
    check(folder / language_file, bound)
    onnx_writer.write_adapter(folder / promised.adapter.file, bound.student.adapter)
    files = [*kept, promised.adapter.file, language_file]
    changes = {
        "name": name,
        "version": version,
        "tasks": [t.model_dump() | {"label_tokens": firsts[t.name]} for t in promised.tasks],
        "files": {file: manifests.describe(folder / file) for file in files},
    }
    manifest = _retold(promised, bound, language_file, changes)
    manifests.write(folder, manifest)
    return manifest


def _retold(promised: Manifest, bound: Bound, file: str, changes: dict[str, Any]) -> Manifest:
    """The base's manifest with what the checkpoint changes."""
    shape, origin = bound.language.config, bound.source.folder.name
    sizes = {"n_embd": shape.n_embd, "n_layer": shape.n_layer}
    spec = {"file": file, "n_vocab": shape.n_vocab, "context_tokens": shape.context_tokens, **sizes}
    # What the checkpoint was trained on is for its own card to say.
    data = DataSource(
        name=f"whatever {origin} was trained on", licence="see its model card", credit="its authors",
        held_out="unknown",
    )  # fmt: skip
    return Manifest.model_validate(
        {
            **promised.model_dump(),
            **changes,
            "licence": f"{promised.licence}; the language model {origin} under its own",
            "adapter": promised.adapter.model_dump() | sizes,
            "language": promised.language.model_dump() | spec,
            "data": (*promised.data, data),
        }
    )


def check_heads(base: Path, promised: Manifest, adapter: Adapter) -> None:
    """Raise ValueError unless `adapter` reads classes as the base's file does: its calibration is kept."""
    example = dict(zip(onnx_writer.ADAPTER_INPUTS, onnx_writer.adapter_example(adapter, 16), strict=True))
    graph = onnx_writer.AdapterGraph(adapter.eval())
    names = [name for name in graph.names if name not in {"soft", "control", "alpha"}]
    with torch.no_grad():
        expected = dict(zip(graph.names, graph(*example.values()), strict=True))
    session = OnnxSession(
        base / promised.adapter.file,
        {name: tuple(value.shape[1:]) for name, value in example.items()},
        {name: tuple(expected[name].shape[1:]) for name in names},
    )
    got = session.run({name: value.numpy() for name, value in example.items()})
    largest = max(float(np.abs(got[name] - expected[name].numpy()).max()) for name in names)
    if largest > HEADS_TOLERANCE:
        raise ValueError(
            f"the heads of {base} differ by {largest:.3g} from those of the checkpoints: they are of two "
            "trainings; write the base anew with `python -m export ship`"
        )


def check(path: Path, bound: Bound) -> None:
    """Raise ValueError unless the file reads texts as `tokenizers` does and computes what torch does."""
    with_control = path.with_name(f".{path.name}.tokenizer.json")
    bound.tokenizer.save(str(with_control))
    try:
        equal = equal_texts(path, with_control, seed=0, count=TEXTS)
    finally:
        with_control.unlink()
    if equal != TEXTS:
        raise ValueError(
            f"llama.cpp reads {TEXTS - equal} of {TEXTS} texts as other tokens than the checkpoint's "
            f"tokenizer: {bound.pre_tokenizer!r} is not its way to cut words"
        )
    ids = [int(i) for i in torch.as_tensor(bound.student.prefix)]
    rng = np.random.default_rng(0)
    soft = rng.normal(size=(8, bound.language.config.n_embd)).astype(np.float32)
    soft *= float(bound.student.adapter.soft_scale.detach())
    expected, got = _torch_logits(bound, ids, soft), _llama_logits(path, ids, soft)
    if (found := np.corrcoef(expected.ravel(), got.ravel())[0, 1]) < LEAST_CORRELATION:
        raise ValueError(f"llama.cpp's logits correlate with torch's by {found:.4f} only")


def _torch_logits(bound: Bound, ids: list[int], soft: Float32) -> Float32:
    model = bound.language
    with torch.no_grad():
        embeds = torch.cat([model.token_embd(torch.tensor(ids)), torch.from_numpy(soft)])
        logits: Float32 = model.logits(model(embeds[None]))[0].float().numpy()
    return logits


def _llama_logits(path: Path, ids: list[int], soft: Float32) -> Float32:
    llama = Llama(path, LlamaOptions(context_tokens=256, batch_tokens=256, exact=True))
    try:
        return np.concatenate(
            [llama.decode_tokens(ids, want="all"), llama.decode_embeddings(soft, want="all")]
        )
    finally:
        llama.close()

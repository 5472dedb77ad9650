"""Encoders and adapter as ONNX: fp32, one fixed opset, only the batch is dynamic.

Names and shapes are those the daemon checks at load (edge_agent/perception/encoders.py, adapter.py).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from export.networks.adapter import Adapter
from export.networks.encoders import AudioEncoder
from export.novelty import Novelty
from export.rarity import Rarity

OPSET = 18
"""The newest that every onnxruntime since 1.14 runs."""

ENCODER_OUTPUTS = ("tokens", "pooled", "logits", "novelty")
ADAPTER_INPUTS = ("tokens", "pooled", "logits", "mask")


class EncoderGraph(nn.Module):
    """An encoder, and how unlike its training each of its heads finds a window: novelty (B, heads)."""

    def __init__(
        self, encoder: nn.Module, novelties: Sequence[Novelty | Rarity], columns: Sequence[slice | None]
    ) -> None:
        """novelties: of sounds a Rarity, else a Novelty, for each head.

        columns: where each head's classes stand in the logits, None for one that reads numbers.
        """
        super().__init__()
        self.encoder = encoder
        self.novelties = nn.ModuleList(novelties)
        self.columns = list(columns)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        if isinstance(self.encoder, AudioEncoder):
            (tokens, pooled, logits), heard = self.encoder.hear(x)
            read: tuple[Tensor, ...] = (pooled, heard)
        else:
            tokens, pooled, logits = self.encoder(x, mask)
            read = (pooled,)
        said = (None if where is None else logits[:, where] for where in self.columns)
        found = [novelty(*read, x) for novelty, x in zip(self.novelties, said, strict=True)]
        return tokens, pooled, logits, torch.stack(found, dim=1)


class AdapterGraph(nn.Module):
    """The adapter with its outputs as a flat tuple: soft, control, alpha, then each head."""

    def __init__(self, adapter: Adapter) -> None:
        super().__init__()
        self.adapter = adapter
        self.names = ("soft", "control", "alpha", *(f"head_{h.name}" for h in adapter.config.heads))

    def forward(self, tokens: Tensor, pooled: Tensor, logits: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        out = self.adapter(tokens, pooled, logits, mask)
        return (out.soft, out.control, out.alpha, *(out.heads[h.name] for h in self.adapter.config.heads))


def write_encoder(path: Path, graph: EncoderGraph, input_shape: tuple[int, int]) -> None:
    """Write an encoder that takes x (B,T,C) and mask (B,C)."""
    example = (torch.randn(2, *input_shape), torch.ones(2, input_shape[1]))
    _export(path, graph, example, ("x", "mask"), ENCODER_OUTPUTS)


def write_adapter(path: Path, adapter: Adapter) -> None:
    """Write the adapter."""
    graph = AdapterGraph(adapter)
    _export(path, graph, adapter_example(adapter, batch=3), ADAPTER_INPUTS, graph.names)


def adapter_example(adapter: Adapter, batch: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random tokens (B,N,d), pooled (B,M,d), logits (B,L), mask (B,M) with absent slots."""
    c = adapter.config
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(batch, sum(n for _, n in c.slots), c.d_token, generator=generator)
    pooled = torch.randn(batch, len(c.slots), c.d_token, generator=generator)
    logits = torch.randn(batch, c.n_logits, generator=generator)
    mask = (torch.rand(batch, len(c.slots), generator=generator) > 0.4).float()
    return tokens, pooled, logits, mask


def _export(
    path: Path,
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
) -> None:
    batch = torch.export.Dim("batch", min=1, max=1024)
    temporary = path.with_name(f".{path.name}.part")
    # The exporter reports each optional package that it does not need.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        torch.onnx.export(
            module.eval(),
            example,
            str(temporary),
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=tuple({0: batch} for _ in example),
            external_data=False,
            verbose=False,
        )
    _strip(temporary)
    temporary.replace(path)


def _strip(path: Path) -> None:
    """Drop the stack traces that the exporter notes at every node: they name files of this machine."""
    model = onnx.load(path)
    for holder in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        del holder.metadata_props[:]
        holder.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.initializer):
        del value.metadata_props[:]
        value.doc_string = ""
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)

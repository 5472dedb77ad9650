"""The frozen checkpoint as GGUF, so that stock llama.cpp computes what transformers computes.

llama.cpp turns neighbours for architecture `llama` and halves for `qwen2`. Hugging Face stores halves for
both, so the rows of q and k are interleaved for `llama` and left alone for `qwen2`. Tensors are written
one after the other: the peak of memory is one matrix, not the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from export.byo import tokenizer as tokenizers
from export.byo.checkpoint import Shape
from export.byo.network import FrozenBlock, FrozenLanguage
from export.gguf_writer import FILE_TYPES, TYPES, Quantisation, write_self_test, write_tokenizer

_Q8_0_BLOCK = 32


@dataclass(frozen=True)
class Entry:
    """One tensor to write: its shape is known before its values are made."""

    name: str
    shape: tuple[int, ...]
    values: Callable[[], Tensor]


def write(
    path: Path,
    model: FrozenLanguage,
    tokenizer: Tokenizer,
    pre: str,
    *,
    quantisation: Quantisation,
    name: str,
) -> None:
    """Write `model` and `tokenizer`, whose pre-tokenizer llama.cpp calls `pre`, to `path`.

    Vectors stay F32, and so does a matrix whose rows Q8_0's blocks of 32 do not divide.
    """
    temporary = path.with_name(f".{path.name}.part")
    writer = gguf.GGUFWriter(temporary, model.config.shape.architecture)
    _write_shape(writer, model, name, quantisation)
    # The dialog ends with this project's mark; the checkpoint's own ends are control tokens and stop too.
    write_tokenizer(writer, tokenizers.vocabulary(tokenizer, model.config.n_vocab), pre=pre)
    _write_self_test(writer, model, quantisation)
    listed = list(entries(model))
    for entry in listed:
        kind = _kind(entry, quantisation)
        raw = None if kind is TYPES["f32"] else kind
        shape = entry.shape if raw is None else gguf.quant_shape_to_byte_shape(entry.shape, kind)
        dtype = np.dtype(np.float32 if raw is None else np.uint8)
        writer.add_tensor_info(entry.name, shape, dtype, int(np.prod(shape)) * dtype.itemsize, raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for entry in listed:
        writer.write_tensor_data(_bytes(entry, quantisation))
    writer.close()
    temporary.replace(path)


def entries(model: FrozenLanguage) -> Iterator[Entry]:
    """Every tensor under llama.cpp's name, with its rows in llama.cpp's order."""
    config, shape = model.config, model.config.shape
    table = (config.n_vocab, shape.n_embd)
    yield Entry("token_embd.weight", table, model.token_embd.all_rows)
    yield _vector("output_norm.weight", model.output_norm.weight)
    if model.output is not None:
        yield Entry("output.weight", table, model.output.all_rows)
    if shape.rope_scaling is not None:
        yield _vector("rope_freqs.weight", shape.rope_scaling.factors(shape.head_dim, shape.rope_theta))
    for index, block in enumerate(model.blocks):
        assert isinstance(block, FrozenBlock)
        yield from _block_entries(f"blk.{index}", block, shape)


def interleaved(rows: Tensor, n_head: int) -> Tensor:
    """Rows (n_head * head_dim, ...) with dimension i and its partner i + head_dim / 2 made neighbours."""
    halves = rows.reshape(n_head, 2, -1, *rows.shape[1:])  # (heads, half, head_dim / 2, ...)
    return halves.transpose(1, 2).reshape(rows.shape)


def _block_entries(prefix: str, block: FrozenBlock, shape: Shape) -> Iterator[Entry]:
    turned = {"attn_q": shape.n_head, "attn_k": shape.n_head_kv} if shape.architecture == "llama" else {}
    for name, module in block.named_children():
        heads = turned.get(name)
        for kind, values in module.named_buffers():
            yield Entry(f"{prefix}.{name}.{kind}", tuple(values.shape), _rows(values, heads))


def _rows(values: Tensor, heads: int | None) -> Callable[[], Tensor]:
    return lambda: values if heads is None else interleaved(values, heads)


def _vector(name: str, values: Tensor) -> Entry:
    return Entry(name, tuple(values.shape), lambda: values)


def _kind(entry: Entry, quantisation: Quantisation) -> Any:
    fits = len(entry.shape) > 1 and entry.shape[-1] % _Q8_0_BLOCK == 0
    return TYPES[quantisation if fits else "f32"]


def _bytes(entry: Entry, quantisation: Quantisation) -> Any:
    values = np.ascontiguousarray(entry.values().detach().float().numpy())
    assert values.shape == entry.shape, (entry.name, values.shape, entry.shape)
    kind = _kind(entry, quantisation)
    return values if kind is TYPES["f32"] else gguf.quants.quantize(values, kind)


def _write_shape(writer: Any, model: FrozenLanguage, name: str, quantisation: Quantisation) -> None:
    s = model.config.shape
    writer.add_name(name)
    writer.add_file_type(FILE_TYPES[quantisation])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(model.config.n_vocab)
    writer.add_context_length(s.context_tokens)
    writer.add_embedding_length(s.n_embd)
    writer.add_block_count(s.n_layer)
    writer.add_feed_forward_length(s.n_ff)
    writer.add_head_count(s.n_head)
    writer.add_head_count_kv(s.n_head_kv)
    writer.add_key_length(s.head_dim)
    writer.add_value_length(s.head_dim)
    writer.add_layer_norm_rms_eps(s.rms_eps)
    writer.add_rope_dimension_count(s.head_dim)
    writer.add_rope_freq_base(s.rope_theta)


def _write_self_test(writer: Any, model: FrozenLanguage, quantisation: Quantisation) -> None:
    token = model.config.control_first // 2
    with torch.no_grad():
        row = model.token_embd(torch.tensor([token])).float().numpy()
    write_self_test(
        writer, token, row, _kind(Entry("", row.shape, lambda: model.token_embd.frozen), quantisation)
    )

"""The language model as GGUF, so that stock llama.cpp computes the same function.

The network is already in llama.cpp's NORM layout (interleaved RoPE), so no weight is permuted. The
output matrix is tied to the embeddings: llama.cpp uses `token_embd` where `output.weight` is absent.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
import numpy.typing as npt

from edge_agent.perception.prompt import BOS, END, PAD
from export.networks.language import LanguageModel

Quantisation = Literal["f32", "q8_0"]

SELF_TEST_TOKEN_KEY = "edge_agent.self_test.token"  # noqa: S105 - the name of a GGUF key
SELF_TEST_EMBEDDING_KEY = "edge_agent.self_test.embedding"

TYPES = {"f32": gguf.GGMLQuantizationType.F32, "q8_0": gguf.GGMLQuantizationType.Q8_0}
FILE_TYPES = {"f32": gguf.LlamaFileType.ALL_F32, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}


@dataclass(frozen=True)
class Vocabulary:
    """Byte-level BPE as GGUF wants it: tokens by id, their types, and the merges in order."""

    tokens: tuple[str, ...]
    types: tuple[int, ...]
    merges: tuple[str, ...]

    def id_of(self, token: str) -> int:
        """The id of a control token; ValueError when the tokenizer has none of that name."""
        return self.tokens.index(token)


def read_vocabulary(tokenizer_json: Path, n_vocab: int) -> Vocabulary:
    """Read a Hugging Face `tokenizers` file; ids up to `n_vocab` that it lacks become unused tokens.

    Raises ValueError for a model that is not BPE, or that has more tokens than the network.
    """
    content = json.loads(tokenizer_json.read_text(encoding="utf-8"))
    model = content["model"]
    if model["type"] != "BPE":
        raise ValueError(
            f"{tokenizer_json}: the tokenizer is {model['type']}, only byte-level BPE is written"
        )
    special = {t["id"]: t["content"] for t in content["added_tokens"] if t["special"]}
    by_id = {i: t for t, i in model["vocab"].items()} | {
        t["id"]: t["content"] for t in content["added_tokens"]
    }
    if max(by_id) >= n_vocab:
        raise ValueError(f"{tokenizer_json} has ids up to {max(by_id)}, the network has {n_vocab} rows")
    tokens = tuple(by_id.get(i, f"[unused{i}]") for i in range(n_vocab))
    types = tuple(_token_type(i, by_id, special) for i in range(n_vocab))
    return Vocabulary(tokens, types, tuple(_merge_text(m) for m in model["merges"]))


def _token_type(index: int, by_id: dict[int, str], special: dict[int, str]) -> int:
    if index in special:
        return int(gguf.TokenType.CONTROL)
    return int(gguf.TokenType.NORMAL if index in by_id else gguf.TokenType.UNUSED)


def _merge_text(merge: str | list[str]) -> str:
    # Older files write "a b", newer ones ["a", "b"]; byte-level tokens hold no plain space.
    return merge if isinstance(merge, str) else " ".join(merge)


def write(
    path: Path, model: LanguageModel, tokenizer_json: Path, *, quantisation: Quantisation, name: str
) -> None:
    """Write `model` and its tokenizer to `path`. Norms stay F32 at every quantisation."""
    vocabulary = read_vocabulary(tokenizer_json, model.config.n_vocab)
    temporary = path.with_name(f".{path.name}.part")
    writer = gguf.GGUFWriter(temporary, "llama")
    _write_shape(writer, model, name, quantisation)
    write_tokenizer(writer, vocabulary, pre="smollm")
    for tensor_name, values in tensors(model):
        _add_tensor(writer, tensor_name, values, quantisation)
    token = model.config.n_vocab // 2
    row = model.token_embd.weight[token : token + 1].detach().cpu().float().numpy()
    write_self_test(writer, token, row, TYPES[quantisation])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    temporary.replace(path)


def tensors(model: LanguageModel) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """llama.cpp's tensor names with the weights: every block's parameter `x` is `blk.<i>.x`."""
    for name, parameter in model.named_parameters():
        values = parameter.detach().cpu().float().numpy()
        yield name.replace("blocks.", "blk.", 1), np.ascontiguousarray(values)


def _write_shape(writer: Any, model: LanguageModel, name: str, quantisation: Quantisation) -> None:
    c = model.config
    writer.add_name(name)
    writer.add_file_type(FILE_TYPES[quantisation])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(c.n_vocab)
    writer.add_context_length(c.context_tokens)
    writer.add_embedding_length(c.n_embd)
    writer.add_block_count(c.n_layer)
    writer.add_feed_forward_length(c.n_ff)
    writer.add_head_count(c.n_head)
    writer.add_head_count_kv(c.n_head_kv)
    writer.add_layer_norm_rms_eps(c.rms_eps)
    writer.add_rope_dimension_count(c.head_dim)
    writer.add_rope_freq_base(c.rope_theta)


def write_tokenizer(writer: Any, vocabulary: Vocabulary, *, pre: str) -> None:
    """The tokenizer, whose pre-tokenizer llama.cpp calls `pre`, and the tokens that end a dialog."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types(list(vocabulary.types))
    writer.add_token_merges(list(vocabulary.merges))
    # llama.cpp assumes ids 11 for a gpt2 tokenizer that does not say: always written.
    writer.add_bos_token_id(vocabulary.id_of(BOS))
    writer.add_eos_token_id(vocabulary.id_of(END))
    writer.add_eot_token_id(vocabulary.id_of(END))
    writer.add_pad_token_id(vocabulary.id_of(PAD))
    writer.add_add_bos_token(False)  # the template spells its control tokens out
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)


def _add_tensor(writer: Any, name: str, values: npt.NDArray[np.float32], quantisation: Quantisation) -> None:
    if quantisation == "f32" or values.ndim == 1:
        writer.add_tensor(name, values)
        return
    kind = TYPES[quantisation]
    writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)


def write_self_test(writer: Any, token: int, row: npt.NDArray[np.float32], kind: Any) -> None:
    """Write the embedding (1,D) of one ordinary token, as a file of that type holds it.

    Fed as a soft token it must give what the token itself gives; the daemon checks that at load,
    through its own ctypes layer.
    """
    held = gguf.quants.dequantize(gguf.quants.quantize(row, kind), kind).astype("<f4")
    writer.add_uint32(SELF_TEST_TOKEN_KEY, token)
    # A string, since llama.cpp hands arrays of a file's metadata to nobody.
    writer.add_string(SELF_TEST_EMBEDDING_KEY, base64.b64encode(held.tobytes()).decode("ascii"))

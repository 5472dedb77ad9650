"""A local Hugging Face folder: what its config.json says, and its weights one tensor at a time.

Only safetensors is read: a pickle can run code. What llama.cpp would compute differently from the
checkpoint (another architecture, another activation, a RoPE scaling that it does not know) is refused
before a weight is read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

Architecture = Literal["llama", "qwen2"]

ARCHITECTURES: tuple[Architecture, ...] = ("llama", "qwen2")
_SHARDS = "model.safetensors.index.json"
_WHOLE = "model.safetensors"
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class RopeScaling:
    """Llama-3's way to a longer context: low frequencies are divided by `factor`, high ones kept."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context: int

    def factors(self, head_dim: int, theta: float) -> Tensor:
        """(head_dim / 2,) float32: what each rotation frequency is divided by.

        Between the two wavelengths the frequency itself is blended (Llama 3.1's reference code).
        """
        inverse = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
        wavelength = 2 * math.pi / inverse
        span = self.high_freq_factor - self.low_freq_factor
        smooth = ((self.original_context / wavelength - self.low_freq_factor) / span).clamp(0, 1)
        return 1 / ((1 - smooth) / self.factor + smooth)


@dataclass(frozen=True)
class Shape:
    """The checkpoint's config.json in llama.cpp's words. `n_vocab` counts rows of the embedding."""

    architecture: Architecture
    n_vocab: int
    n_embd: int
    n_layer: int
    n_head: int
    n_head_kv: int
    head_dim: int
    n_ff: int
    rope_theta: float
    rms_eps: float
    context_tokens: int
    tied: bool
    attention_bias: bool
    """q, k and v have biases (always for qwen2)."""
    output_bias: bool
    """The attention's output has a bias too (a llama with attention_bias)."""
    rope_scaling: RopeScaling | None
    bos: int | None
    eos: int | None


class Checkpoint:
    """A folder with config.json, tokenizer.json and safetensors weights.

    Raises ValueError or FileNotFoundError, naming the file and what to do, where it is not one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shape = read_shape(folder)
        self.tokenizer_path = folder / "tokenizer.json"
        if not self.tokenizer_path.is_file():
            raise FileNotFoundError(
                f"{folder} has no tokenizer.json: save it once with "
                "transformers.AutoTokenizer.from_pretrained(...).save_pretrained(...)"
            )
        self._file_of = _tensor_files(folder)
        self._check_names()

    def tensor(self, name: str) -> Tensor:
        """One tensor as it is stored. KeyError for an unknown name, ValueError for one that is no float."""
        with _open(self._file_of[name]) as file:
            value: Tensor = file.get_tensor(name)
        if value.dtype not in _FLOATS:
            raise ValueError(f"{name} is {value.dtype}: use the checkpoint that is not quantised")
        return value

    def optional(self, name: str) -> Tensor | None:
        """The tensor where this kind of checkpoint has it."""
        return self.tensor(name) if name in self._file_of else None

    def tensor_names(self) -> list[str]:
        """Every tensor that the files hold."""
        return sorted(self._file_of)

    def _check_names(self) -> None:
        expected = dict(tensor_shapes(self.shape))
        if missing := sorted(expected.keys() - self._file_of.keys()):
            raise ValueError(f"{self.folder} lacks {len(missing)} tensors, the first is {missing[0]}")
        # A tied output matrix and RoPE's table are stored by some and follow from the rest.
        extra = {n for n in self._file_of.keys() - expected.keys() if not _derived(n, self.shape)}
        if extra:
            raise ValueError(
                f"{self.folder} holds tensors that {self.shape.architecture} as llama.cpp computes it has "
                f"no use for, for example {min(extra)}"
            )
        for name, shape in expected.items():
            if (held := self._stored_shape(name)) != shape:
                raise ValueError(f"{self.folder}: {name} has shape {held}, config.json says {shape}")

    def _stored_shape(self, name: str) -> tuple[int, ...]:
        with _open(self._file_of[name]) as file:
            return tuple(file.get_slice(name).get_shape())


def read_shape(folder: Path) -> Shape:
    """Read and check `folder`/config.json; says what it refuses and why."""
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is no Hugging Face folder: it has no config.json")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} holds no object")  # noqa: TRY004 - what a file holds is its value
    architecture = _architecture(path, config)
    _refuse(path, config)
    try:
        return _shape(architecture, config, path)
    except KeyError as error:
        raise ValueError(f"{path} has no {error.args[0]}") from error


def tensor_shapes(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor of a checkpoint of that shape, by its Hugging Face name."""
    d, q, kv = shape.n_embd, shape.n_head * shape.head_dim, shape.n_head_kv * shape.head_dim
    yield "model.embed_tokens.weight", (shape.n_vocab, d)
    for index in range(shape.n_layer):
        block = f"model.layers.{index}"
        yield f"{block}.input_layernorm.weight", (d,)
        for name, rows in (("q", q), ("k", kv), ("v", kv)):
            yield f"{block}.self_attn.{name}_proj.weight", (rows, d)
            if shape.attention_bias:
                yield f"{block}.self_attn.{name}_proj.bias", (rows,)
        yield f"{block}.self_attn.o_proj.weight", (d, q)
        if shape.output_bias:
            yield f"{block}.self_attn.o_proj.bias", (d,)
        yield f"{block}.post_attention_layernorm.weight", (d,)
        yield f"{block}.mlp.gate_proj.weight", (shape.n_ff, d)
        yield f"{block}.mlp.up_proj.weight", (shape.n_ff, d)
        yield f"{block}.mlp.down_proj.weight", (d, shape.n_ff)
    yield "model.norm.weight", (d,)
    if not shape.tied:
        yield "lm_head.weight", (shape.n_vocab, d)


def _architecture(path: Path, config: dict[str, Any]) -> Architecture:
    for known in ARCHITECTURES:
        if config.get("model_type") == known:
            return known
    raise ValueError(
        f"{path}: model_type is {config.get('model_type')!r}; this takes {' and '.join(ARCHITECTURES)} "
        "(SmolLM2, Llama 3.2, Qwen2.5 and what is built like them)"
    )


def _refuse(path: Path, config: dict[str, Any]) -> None:
    """Raise ValueError for what the networks here and llama.cpp would compute differently."""
    if "quantization_config" in config:
        raise ValueError(f"{path}: the weights are quantised; use the checkpoint in bf16, fp16 or fp32")
    if (activation := config.get("hidden_act", "silu")) != "silu":
        raise ValueError(f"{path}: hidden_act is {activation!r}, only silu is computed")
    if config.get("mlp_bias"):
        raise ValueError(f"{path}: mlp_bias is not supported")
    if config.get("use_sliding_window"):
        raise ValueError(f"{path}: use_sliding_window is not supported; set it to false for short contexts")


def _shape(architecture: Architecture, config: dict[str, Any], path: Path) -> Shape:
    n_embd, n_head = int(config["hidden_size"]), int(config["num_attention_heads"])
    head_dim = int(config.get("head_dim") or n_embd // n_head)
    n_head_kv = int(config.get("num_key_value_heads") or n_head)
    if n_head % n_head_kv or head_dim % 2:
        raise ValueError(f"{path}: {n_head} heads over {n_head_kv} of width {head_dim} do not fit each other")
    rope = _rope(config)
    biased = architecture == "llama" and bool(config.get("attention_bias"))
    return Shape(
        architecture, n_vocab=int(config["vocab_size"]), n_embd=n_embd,
        n_layer=int(config["num_hidden_layers"]), n_head=n_head, n_head_kv=n_head_kv, head_dim=head_dim,
        n_ff=int(config["intermediate_size"]), rope_theta=float(rope.get("rope_theta", 10_000.0)),
        rms_eps=float(config["rms_norm_eps"]), context_tokens=int(config["max_position_embeddings"]),
        tied=bool(config.get("tie_word_embeddings")), attention_bias=biased or architecture == "qwen2",
        output_bias=biased, rope_scaling=_rope_scaling(rope, path), bos=_token(config, "bos_token_id"),
        eos=_token(config, "eos_token_id"),
    )  # fmt: skip


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    """transformers 5 writes `rope_parameters`; before, theta stood outside of `rope_scaling`."""
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    if "rope_theta" not in rope and "rope_theta" in config:
        rope["rope_theta"] = config["rope_theta"]
    return rope


def _rope_scaling(rope: dict[str, Any], path: Path) -> RopeScaling | None:
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "default":
        return None
    if kind != "llama3":
        raise ValueError(
            f"{path}: RoPE scaling {kind!r} is not supported, only llama3's; the contexts here are short, "
            "so a checkpoint without scaling serves as well"
        )
    return RopeScaling(
        float(rope["factor"]), float(rope["low_freq_factor"]), float(rope["high_freq_factor"]),
        int(rope["original_max_position_embeddings"]),
    )  # fmt: skip


def _token(config: dict[str, Any], key: str) -> int | None:
    value = config.get(key)
    first = value[0] if isinstance(value, list) and value else value  # Llama 3 lists several ends
    return first if isinstance(first, int) and 0 <= first < int(config["vocab_size"]) else None


def _tensor_files(folder: Path) -> dict[str, Path]:
    """The file of each tensor: one file, or shards under an index that names nothing outside."""
    if (folder / _SHARDS).is_file():
        index = json.loads((folder / _SHARDS).read_text(encoding="utf-8"))
        names = {str(t): str(f) for t, f in index["weight_map"].items()}
    elif (folder / _WHOLE).is_file():
        with _open(folder / _WHOLE) as file:
            names = dict.fromkeys(file.keys(), _WHOLE)
    else:
        pickled = any(folder.glob("pytorch_model*.bin"))
        detail = "only pickled weights, which can run code and are not read" if pickled else "no weights"
        raise ValueError(
            f"{folder} holds {detail}: save it once with model.save_pretrained(..., safe_serialization=True)"
        )
    for name in set(names.values()):
        if Path(name).name != name or not (folder / name).is_file():
            raise ValueError(f"{folder / _SHARDS} names {name!r}, which is no file of that folder")
    return {tensor: folder / name for tensor, name in names.items()}


def _open(path: Path) -> Any:
    """One safetensors file; ImportError and ValueError say what to do."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise ImportError("safetensors is missing: pip install 'iotlm-edge[export,byo]'") from error
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: {error}; fetch it again") from error


def _derived(name: str, shape: Shape) -> bool:
    return name.endswith("rotary_emb.inv_freq") or (shape.tied and name == "lm_head.weight")

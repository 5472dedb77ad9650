"""What a language model of one's own costs, before it is tried: memory and time by formula.

Counts of weights, of what the backward pass keeps, and of multiplications; docs/your-own-lm.md writes the
formulas out. The one measured quantity is this machine's rate of multiplication (`flops_per_second`).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from export.byo.checkpoint import Shape, tensor_shapes

OVERHEAD_BYTES = 500_000_000
"""Python, torch, the adapter with its optimiser, recorded features: about the same for every model."""

Q8_0_BYTES = 34 / 32
"""Per weight: blocks of 32 bytes with one half-precision scale."""

EFFICIENCY = 0.6
"""Of the rate of a large product, what a step reaches: measured on one core at the shape of SmolLM2-135M."""

BLOCK_FORWARDS = 1.25
"""Every row is computed once, and a quarter of them again with another sensor's data (L_contrast)."""


@dataclass(frozen=True)
class Workload:
    """What a training step holds. A row is prefix, soft tokens and dialog."""

    batch: int = 16
    row_tokens: int = 96
    answer_tokens: int = 24
    """Of a row; only they need the output matrix."""
    less_memory: bool = False
    """Weights in bf16, and the blocks' insides computed again in the backward pass instead of kept."""


@dataclass(frozen=True)
class Estimate:
    """Bytes and multiply-adds times two."""

    parameters: int
    train_bytes: float
    step_flops: float
    gguf_bytes: float
    device_bytes: float


def estimate(shape: Shape, work: Workload, context_tokens: int = 512) -> Estimate:
    """The cost of training the adapter for a checkpoint of that shape, and of running the result."""
    sizes = {name: math.prod(dims) for name, dims in tensor_shapes(shape)}
    parameters = sum(sizes.values())
    blocks = sum(n for name, n in sizes.items() if name.startswith("model.layers."))
    return Estimate(
        parameters,
        train_bytes=OVERHEAD_BYTES + parameters * (2 if work.less_memory else 4) + _kept(shape, work),
        step_flops=_step_flops(shape, work, blocks),
        gguf_bytes=parameters * Q8_0_BYTES,
        device_bytes=parameters * Q8_0_BYTES + _cache(shape, context_tokens),
    )


def _kept(shape: Shape, work: Workload) -> float:
    """Bytes that the backward pass needs. A frozen matrix keeps nothing of its input."""
    d, q, ff = shape.n_embd, shape.n_head * shape.head_dim, shape.n_ff
    inside = 2 * d + 4 * q + 3 * ff  # both norms' inputs; q, k, v and their result; gate, up and silu
    tokens = BLOCK_FORWARDS * work.batch * work.row_tokens
    per_token = shape.n_layer * d + inside if work.less_memory else shape.n_layer * inside
    answers = BLOCK_FORWARDS * work.batch * work.answer_tokens
    logits = 4 * answers * shape.n_vocab  # two pieces and the whole, their logarithm, and the gradient
    # The output matrix as the product needs it, for the answers and once more for L_contrast.
    table = 2 * shape.n_vocab * d if work.less_memory else 0
    return 4.0 * (tokens * per_token + logits + table)


def _step_flops(shape: Shape, work: Workload, blocks: int) -> float:
    """Two per weight forwards and two backwards: to the input alone, since no weight learns."""
    passes = 6 if work.less_memory else 4
    tokens = BLOCK_FORWARDS * work.batch * work.row_tokens
    answers = BLOCK_FORWARDS * work.batch * work.answer_tokens
    return passes * tokens * blocks + 4 * answers * shape.n_vocab * shape.n_embd


def _cache(shape: Shape, context_tokens: int) -> float:
    """Bytes that llama.cpp takes beside the file: keys and values in F16, and a batch's logits in F32."""
    keys_values = 2 * 2 * shape.n_layer * shape.n_head_kv * shape.head_dim * context_tokens
    return keys_values + 4 * context_tokens * (shape.n_vocab + shape.n_ff)


def flops_per_second(seconds: float = 0.5) -> float:
    """This machine's rate on a product as training has it: (1024, 1024) by (1024, 1024) in fp32."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    torch.mm(a, b)
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        torch.mm(a, b)
        count += 1
    return 2 * 1024**3 * count / spent

"""The checkpoint as a frozen torch network with the interface of `export.networks.language`.

Half-rotation RoPE as Hugging Face stores it (dimension i turns with i + head_dim / 2), optional biases
and head width, tied or separate output matrix. The checkpoint's weights are buffers outside of the
state: an optimiser does not see them and a training checkpoint does not hold them. The only parameters
are the rows of this project's six control tokens, which the checkpoint has never met.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint as recompute

from edge_agent.perception.prompt import BOS, CONTROL_TOKENS, END, PAD
from export.byo.checkpoint import Checkpoint, Shape


@dataclass(frozen=True)
class FrozenConfig:
    """The shape, and where the control tokens begin. `context_tokens` bounds training."""

    shape: Shape
    control_first: int
    context_tokens: int = 512

    @property
    def n_vocab(self) -> int:
        """Rows after the control tokens took theirs: in the checkpoint's padding, or behind it."""
        return max(self.shape.n_vocab, self.control_first + len(CONTROL_TOKENS))

    @property
    def n_embd(self) -> int:
        return self.shape.n_embd

    @property
    def n_layer(self) -> int:
        return self.shape.n_layer


class Frozen(nn.Module):
    """A linear map (or, without a matrix, none) that is no parameter: weight (out, in), bias (out)."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("bias", bias, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, _like(self.weight, x), None if self.bias is None else _like(self.bias, x))


class TokenRows(nn.Module):
    """(V, D) rows per token: the checkpoint's, and trained ones for the control tokens."""

    frozen: Tensor
    rest: Tensor

    def __init__(self, frozen: Tensor, control: Tensor, first: int) -> None:
        super().__init__()
        self.register_buffer("frozen", frozen[:first], persistent=False)
        self.register_buffer("rest", frozen[first + len(control) :], persistent=False)
        self.control = nn.Parameter(control.float().clone())
        self.first = first

    def forward(self, ids: Tensor) -> Tensor:
        """(...) -> (..., D). Only ids of texts: rows behind the control tokens belong to no token."""
        own = F.embedding(ids.clamp(max=self.first - 1), self.frozen).to(self.control.dtype)
        added = F.embedding((ids - self.first).clamp(min=0), self.control)
        return torch.where((ids >= self.first)[..., None], added, own)

    def scores(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V): the product with every row."""
        rows = (self.frozen, self.control, self.rest)
        return torch.cat([F.linear(hidden, _like(r, hidden)) for r in rows], dim=-1)

    def all_rows(self) -> Tensor:
        """(V, D) in the checkpoint's type."""
        control = self.control.detach().to(self.frozen.dtype)
        return torch.cat([self.frozen, control, self.rest])


class FrozenBlock(nn.Module):
    """One transformer block: x (B, T, D) -> (B, T, D)."""

    def __init__(self, checkpoint: Checkpoint, index: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.shape = checkpoint.shape

        def get(name: str) -> Tensor:
            return checkpoint.tensor(f"model.layers.{index}.{name}").to(dtype)

        def linear(name: str) -> Frozen:
            bias = checkpoint.optional(f"model.layers.{index}.{name}.bias")
            return Frozen(get(f"{name}.weight"), None if bias is None else bias.to(dtype))

        self.attn_norm = Frozen(get("input_layernorm.weight"))
        self.attn_q, self.attn_k = linear("self_attn.q_proj"), linear("self_attn.k_proj")
        self.attn_v, self.attn_output = linear("self_attn.v_proj"), linear("self_attn.o_proj")
        self.ffn_norm = Frozen(get("post_attention_layernorm.weight"))
        self.ffn_gate, self.ffn_up = linear("mlp.gate_proj"), linear("mlp.up_proj")
        self.ffn_down = linear("mlp.down_proj")

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self._attend(_normed(x, self.attn_norm, self.shape), cos, sin)
        h = _normed(x, self.ffn_norm, self.shape)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))

    def _attend(self, h: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, _ = h.shape
        s = self.shape

        def heads(y: Tensor, n: int) -> Tensor:  # (B, T, n*hd) -> (B, n, T, hd)
            return y.view(batch, length, n, s.head_dim).transpose(1, 2)

        q = rotate_half(heads(self.attn_q(h), s.n_head), cos, sin)
        k = rotate_half(heads(self.attn_k(h), s.n_head_kv), cos, sin)
        v = heads(self.attn_v(h), s.n_head_kv)
        groups = s.n_head // s.n_head_kv
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.attn_output(y.transpose(1, 2).reshape(batch, length, s.n_head * s.head_dim))


class FrozenLanguage(nn.Module):
    """Embeddings in, hidden states out; what `export.student.Student` asks of a language model.

    `dtype` is how the weights are kept. With `recompute` the blocks' insides are computed again in the
    backward pass instead of kept, which a model of a billion weights needs on an ordinary machine.
    """

    cos: Tensor
    sin: Tensor

    def __init__(
        self,
        source: Checkpoint,
        control_first: int,
        *,
        context_tokens: int = 512,
        dtype: torch.dtype = torch.float32,
        recompute_blocks: bool = False,
    ) -> None:
        super().__init__()
        shape = source.shape
        self.config = FrozenConfig(shape, control_first, context_tokens)
        self.recompute_blocks = recompute_blocks
        self.token_embd = _token_rows(source, "model.embed_tokens.weight", control_first, dtype)
        self.blocks = nn.ModuleList(FrozenBlock(source, i, dtype) for i in range(shape.n_layer))
        self.output_norm = Frozen(source.tensor("model.norm.weight").to(dtype))
        self.output = None if shape.tied else _token_rows(source, "lm_head.weight", control_first, dtype)
        cos, sin = rope_tables(shape, context_tokens)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(
        self, embeds: Tensor, control: Tensor | None = None, conditioned: Tensor | None = None
    ) -> Tensor:
        """Hidden states (B, T, D) before the output matrix.

        embeds (B, T, D); control (B, L-1, D) or None, added to the output of blocks >= 1 where
        conditioned (B, T) is 1; None means everywhere.
        """
        length = embeds.shape[1]
        assert length <= self.config.context_tokens, (length, self.config.context_tokens)
        cos, sin = self.cos[:length], self.sin[:length]
        x = embeds
        for index, block in enumerate(self.blocks):
            if self.recompute_blocks and torch.is_grad_enabled():
                x = recompute(block, x, cos, sin, use_reentrant=False)
            else:
                x = block(x, cos, sin)
            if control is not None and index >= 1:
                c = control[:, index - 1, None, :]  # (B, 1, D)
                x = x + (c if conditioned is None else c * conditioned[:, :, None])
        return _normed(x, self.output_norm, self.config.shape)

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V)."""
        return (self.token_embd if self.output is None else self.output).scores(hidden)


def rope_tables(shape: Shape, length: int) -> tuple[Tensor, Tensor]:
    """cos and sin, each (length, head_dim / 2)."""
    half = shape.head_dim // 2
    inverse = shape.rope_theta ** (-torch.arange(half, dtype=torch.float32) / half)
    if shape.rope_scaling is not None:
        inverse = inverse / shape.rope_scaling.factors(shape.head_dim, shape.rope_theta)
    angle = torch.outer(torch.arange(length, dtype=torch.float32), inverse)
    return angle.cos(), angle.sin()


def rotate_half(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE on x (B, heads, T, head_dim) whose first half turns with its second."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)


def _like(weight: Tensor, x: Tensor) -> Tensor:
    """Weights may be kept in bf16 while fp32 is computed: half the memory, one cast per use."""
    return weight if torch.is_autocast_enabled(x.device.type) else weight.to(x.dtype)


def _normed(x: Tensor, norm: Frozen, shape: Shape) -> Tensor:
    return F.rms_norm(x, (shape.n_embd,), norm.weight.to(x.dtype), shape.rms_eps)


def _token_rows(source: Checkpoint, name: str, first: int, dtype: torch.dtype) -> TokenRows:
    """The matrix with rows for the control tokens, each beginning as what comes nearest to it.

    BOS begins as the checkpoint's own, END and PAD as its end, the marks between as its mean token.
    """
    rows = source.tensor(name)
    if first > len(rows):
        raise ValueError(f"the tokenizer has {first} tokens, {name} has {len(rows)} rows")
    mean = rows[:first].float().mean(0)
    bos, eos = source.shape.bos, source.shape.eos
    near = {BOS: bos, END: eos, PAD: eos}
    start = [mean if (own := near.get(t)) is None else rows[own].float() for t in CONTROL_TOKENS]
    return TokenRows(rows.to(dtype), torch.stack(start), first)

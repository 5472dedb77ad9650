"""The LLaMA-style language model, conditioned by soft tokens and per-layer control vectors.

Written so that stock llama.cpp computes the same function: pre-norm RMSNorm, interleaved RoPE (pairs
of neighbours, llama.cpp's NORM type), grouped-query attention, SwiGLU, tied embeddings. A control
vector c_l is added to the *output* of block l >= 1, at every position after the static prefix
(DESIGN.md, "The model").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class LanguageConfig:
    """Shape of the model; the defaults are `iotlm-7m`."""

    n_vocab: int = 4096
    n_embd: int = 256
    n_layer: int = 8
    n_head: int = 4
    n_head_kv: int = 2
    n_ff: int = 768
    rope_theta: float = 10_000.0
    rms_eps: float = 1e-5
    context_tokens: int = 512

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_head


IOTLM_7M = LanguageConfig()
IOTLM_28M = LanguageConfig(n_embd=512, n_layer=10, n_head=8, n_head_kv=2, n_ff=1280)
MODELS: dict[str, LanguageConfig] = {"iotlm-7m": IOTLM_7M, "iotlm-28m": IOTLM_28M}


def rope_tables(config: LanguageConfig, length: int) -> tuple[Tensor, Tensor]:
    """cos and sin, each (length, head_dim / 2)."""
    half = config.head_dim // 2
    inverse = config.rope_theta ** (-torch.arange(half, dtype=torch.float32) / half)
    angle = torch.outer(torch.arange(length, dtype=torch.float32), inverse)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Interleaved RoPE on x (B, heads, T, head_dim); cos, sin (T, head_dim / 2)."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class Block(nn.Module):
    """One transformer block: x (B, T, D) -> (B, T, D)."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        d, kv = config.n_embd, config.n_head_kv * config.head_dim
        self.config = config
        self.attn_norm = nn.RMSNorm(d, eps=config.rms_eps)
        self.attn_q = nn.Linear(d, d, bias=False)
        self.attn_k = nn.Linear(d, kv, bias=False)
        self.attn_v = nn.Linear(d, kv, bias=False)
        self.attn_output = nn.Linear(d, d, bias=False)
        self.ffn_norm = nn.RMSNorm(d, eps=config.rms_eps)
        self.ffn_gate = nn.Linear(d, config.n_ff, bias=False)
        self.ffn_up = nn.Linear(d, config.n_ff, bias=False)
        self.ffn_down = nn.Linear(config.n_ff, d, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self._attend(self.attn_norm(x), cos, sin)
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))

    def _attend(self, h: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, _ = h.shape
        c = self.config

        def heads(y: Tensor, n: int) -> Tensor:  # (B, T, n*hd) -> (B, n, T, hd)
            return y.view(batch, length, n, c.head_dim).transpose(1, 2)

        q = rotate(heads(self.attn_q(h), c.n_head), cos, sin)
        k = rotate(heads(self.attn_k(h), c.n_head_kv), cos, sin)
        v = heads(self.attn_v(h), c.n_head_kv)
        groups = c.n_head // c.n_head_kv
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.attn_output(y.transpose(1, 2).reshape(batch, length, c.n_embd))


class LanguageModel(nn.Module):
    """Embeddings in, hidden states out; `logits` applies the tied output matrix."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: LanguageConfig = IOTLM_7M) -> None:
        super().__init__()
        self.config = config
        self.token_embd = nn.Embedding(config.n_vocab, config.n_embd)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.output_norm = nn.RMSNorm(config.n_embd, eps=config.rms_eps)
        cos, sin = rope_tables(config, config.context_tokens)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.apply(_initialise)
        for name, weight in self.named_parameters():
            # GPT-2's rule: residual writers start smaller, so that depth does not grow the variance.
            if name.endswith(("attn_output.weight", "ffn_down.weight")):
                nn.init.normal_(weight, std=0.02 / (2 * config.n_layer) ** 0.5)

    def forward(
        self, embeds: Tensor, control: Tensor | None = None, conditioned: Tensor | None = None
    ) -> Tensor:
        """Hidden states (B, T, D) before the output matrix.

        embeds (B, T, D); control (B, L-1, D) or None; conditioned (B, T) is 1 where the control
        vector applies (everything after the static prefix), None means everywhere.
        """
        length = embeds.shape[1]
        assert length <= self.config.context_tokens, (length, self.config.context_tokens)
        cos, sin = self.cos[:length], self.sin[:length]
        x = embeds
        for index, block in enumerate(self.blocks):
            x = block(x, cos, sin)
            if control is not None and index >= 1:
                c = control[:, index - 1, None, :]  # (B, 1, D)
                x = x + (c if conditioned is None else c * conditioned[:, :, None])
        return self.output_norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V) through the tied embedding matrix."""
        return F.linear(hidden, self.token_embd.weight)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)

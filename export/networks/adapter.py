"""The multisensory multitask adapter (DESIGN.md, "The model"; IoT-LM, arXiv 2407.09801, section 4).

Any subset of slots works through the mask: an absent slot gets no attention and no weight, whatever
its input rows hold. A learned null token is always attended, so that "nothing is connected" is a
state of its own and not a division by zero.

Two things differ from the equations, both because it was measured to be better:

- Every head reads its slots with a gate of its own, and what the encoders say of the head's labels is added
  to it, weighted by that gate. A head on pooled features alone was no better than the encoders' mean.
- What the heads read, `p_h`, is shown to the language model: R <- R + I [p_h]. It words what the fast path
  perceives, so it must know it; learned from tokens alone this takes ten times the training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SHARPNESS = 4.0
"""The language model words the likeliest class: of two nearly as likely it must see which one leads."""

Ablation = Literal["", "soft_only", "control_only", "no_multitask", "no_multisensory"]


@dataclass(frozen=True)
class HeadShape:
    """A head: `width` is its number of labels, or twice the numbers of a regression (mean, log sigma)."""

    name: str
    width: int
    slots: tuple[str, ...]
    regression: bool = False


@dataclass(frozen=True)
class AdapterConfig:
    """Shapes. `slots` is (name, tokens per slot) in the order of mask and alpha."""

    slots: tuple[tuple[str, int], ...]
    heads: tuple[HeadShape, ...]
    n_embd: int = 256
    n_layer: int = 8
    d_token: int = 128
    d_model: int = 256
    n_soft: int = 8
    n_head: int = 4
    rank: int = 64
    dropout: float = 0.1
    ablation: Ablation = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The slots in order."""
        return tuple(name for name, _ in self.slots)

    def pieces(self) -> Iterator[tuple[str, HeadShape, slice]]:
        """(slot, head, columns): where in `logits` (B,L) a slot's encoder says something of a head."""
        start = 0
        for slot in self.names:
            for head in self.heads:
                if slot in head.slots:
                    yield slot, head, slice(start, start + head.width)
                    start += head.width

    @property
    def n_logits(self) -> int:
        """The width L of `logits`."""
        return sum(head.width for _, head, _ in self.pieces())


@dataclass
class AdapterOutput:
    """What the heads read and what the language model is given.

    heads: name -> (B,width); alpha (B,H+1,M): the weight of each slot for each head and, last, for dialog;
    soft (B,K,D); control (B,L-1,D).
    """

    heads: dict[str, Tensor]
    alpha: Tensor
    soft: Tensor
    control: Tensor


class CrossBlock(nn.Module):
    """R <- R + XAttn(LN R, U, mask); R <- R + FFN(LN R)."""

    def __init__(self, d_model: int, n_head: int, dropout: float) -> None:
        super().__init__()
        self.n_head = n_head
        self.norm_attn = nn.LayerNorm(d_model)
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.output = nn.Linear(d_model, d_model)
        self.norm_ffn = nn.LayerNorm(d_model)
        self.ffn = nn.Sequential(
            nn.Linear(d_model, 2 * d_model), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * d_model, d_model)
        )

    def forward(self, r: Tensor, u: Tensor, bias: Tensor) -> Tensor:
        """r (B,K,d), u (B,N,d), bias (B,N): 0 where attended, a large negative number where not."""
        r = r + self.output(self._attend(self.norm_attn(r), u, bias))
        return r + self.ffn(self.norm_ffn(r))

    def _attend(self, r: Tensor, u: Tensor, bias: Tensor) -> Tensor:
        b, k, d = r.shape
        hd = d // self.n_head
        q = self.query(r).view(b, k, self.n_head, hd).transpose(1, 2)  # (B,h,K,hd)
        keys = self.key(u).view(b, -1, self.n_head, hd).transpose(1, 2)  # (B,h,N,hd)
        values = self.value(u).view(b, -1, self.n_head, hd).transpose(1, 2)
        score = q @ keys.transpose(-1, -2) / hd**0.5 + bias[:, None, None, :]
        return (score.softmax(-1) @ values).transpose(1, 2).reshape(b, k, d)


class Heads(nn.Module):
    """The fast path: what each head reads from the slots that serve it. Trained first, then frozen."""

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        self.config = c = config
        m, d, h = len(c.slots), c.d_model, len(c.heads)
        self.project_pooled = nn.ModuleList(nn.Linear(c.d_token, d) for _ in range(m))  # P'_m
        self.task = nn.Parameter(0.02 * torch.randn(h + 1, d))  # tau_t, the last for dialog
        self.gate_hidden = nn.Linear(c.d_token + d, 64)  # W_g
        self.gate_score = nn.Linear(64, 1, bias=False)  # w
        self.read = nn.ModuleList(nn.Linear(d, head.width) for head in c.heads)
        for linear in self.read:
            assert isinstance(linear, nn.Linear)
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
        nn.init.zeros_(self.gate_score.weight)

    def forward(
        self, pooled: Tensor, logits: Tensor, mask: Tensor
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Heads name -> (B,width), alpha (B,H+1,M), and sum_m alpha_m P'_m z_m of the dialog (B,d)."""
        c = self.config
        projected = torch.stack([p(pooled[:, i]) for i, p in enumerate(self.project_pooled)], dim=1)
        said = {(slot, head.name): logits[:, where] for slot, head, where in c.pieces()}
        heads, alphas = {}, []
        for i, head in enumerate(c.heads):
            alpha = self._gate(pooled, mask * self._serving(head, mask), i)
            encoders = [alpha[:, c.names.index(s), None] * said[s, head.name] for s in head.slots]
            mixed = (alpha[:, :, None] * projected).sum(1)
            heads[head.name] = torch.stack(encoders).sum(0) + self.read[i](mixed)
            alphas.append(alpha)
        alphas.append(self._gate(pooled, mask, len(c.heads)))
        return heads, torch.stack(alphas, dim=1), (alphas[-1][:, :, None] * projected).sum(1)

    def _serving(self, head: HeadShape, like: Tensor) -> Tensor:
        return torch.tensor([float(s in head.slots) for s in self.config.names]).to(like)

    def _gate(self, pooled: Tensor, mask: Tensor, task: int) -> Tensor:
        row = 0 if self.config.ablation == "no_multitask" else task
        shared = self.task[row].expand(*pooled.shape[:2], -1)
        score = self.gate_score(torch.tanh(self.gate_hidden(torch.cat([pooled, shared], -1))))[..., 0]
        score = score + (mask - 1.0) * 1e4
        # With every slot absent the weights are all zero rather than uniform: nothing was used.
        return score.softmax(-1) * mask


class Adapter(nn.Module):
    """tokens (B,N,128), pooled (B,M,128), logits (B,L), mask (B,M) -> AdapterOutput."""

    slot_of_token: Tensor

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        self.config = c = config
        m, d = len(c.slots), c.d_model
        self.fused = Heads(config)
        self.project = nn.ModuleList(nn.Linear(c.d_token, d) for _ in c.slots)  # P_m
        self.modality = nn.Parameter(0.02 * torch.randn(m, d))  # e_m
        self.norm_tokens = nn.LayerNorm(d)
        self.null = nn.Parameter(0.02 * torch.randn(1, 1, d))
        self.query = nn.Parameter(0.02 * torch.randn(c.n_soft, d))  # Q + tau of the dialog
        self.blocks = nn.ModuleList(CrossBlock(d, c.n_head, c.dropout) for _ in range(2))
        self.show = nn.Linear(self._shown_width(), c.n_soft * d, bias=False)  # I
        self.to_soft = nn.Linear(d, c.n_embd, bias=False)  # W_s
        self.soft_scale = nn.Parameter(torch.tensor(0.05))  # s_e: about the size of a token embedding
        self.control_down = nn.Linear(d, c.rank)  # B
        self.control_up = nn.ModuleList(nn.Linear(c.rank, c.n_embd, bias=False) for _ in range(c.n_layer - 1))
        self.control_prompt = nn.Parameter(0.02 * torch.randn(c.n_layer - 1, c.n_embd))  # p_l
        self.control_gate = nn.Parameter(torch.zeros(c.n_layer - 1))  # g_l, zero-initialised
        counts = torch.tensor([n for _, n in c.slots])
        self.register_buffer(
            "slot_of_token", torch.repeat_interleave(torch.arange(m), counts), persistent=False
        )

    def forward(self, tokens: Tensor, pooled: Tensor, logits: Tensor, mask: Tensor) -> AdapterOutput:
        c = self.config
        mask = self.seen(mask)
        heads, alpha, used = self.fused(pooled, logits, mask)
        r = self._resample(tokens, mask)  # (B,K,d)
        shown = self.show(self._shown(heads, logits, mask)).view(-1, c.n_soft, c.d_model)
        r = r + shown
        soft = self.soft_scale * F.rms_norm(self.to_soft(r), (c.n_embd,))
        zbar = used + r.mean(1)
        hidden = self.control_down(zbar)
        control = torch.stack([up(hidden) for up in self.control_up], dim=1) + self.control_prompt
        control = torch.tanh(self.control_gate)[None, :, None] * control  # (B,L-1,D)
        if c.ablation == "soft_only":
            control = torch.zeros_like(control)
        if c.ablation == "control_only":
            soft = torch.zeros_like(soft)
        return AdapterOutput(heads, alpha, soft, control)

    def seen(self, mask: Tensor) -> Tensor:
        """(B,M) which of the slots present it makes use of: all, or the first alone in an ablation."""
        return _first_only(mask) if self.config.ablation == "no_multisensory" else mask

    def _shown_width(self) -> int:
        c = self.config
        alone = sum(head.width for _, head, _ in c.pieces() if len(head.slots) > 1)
        return sum(head.width for head in c.heads) + alone + len(c.slots)

    def _shown(self, heads: dict[str, Tensor], logits: Tensor, mask: Tensor) -> Tensor:
        """What the heads read, what each of several slots reads alone, and which slots are present."""
        c = self.config
        parts = []
        for head in c.heads:
            at = [c.names.index(s) for s in head.slots]
            parts.append(_reading(heads[head.name], head) * mask[:, at].amax(1, keepdim=True))
        for slot, head, where in c.pieces():
            if len(head.slots) > 1:
                at_slot = c.names.index(slot)
                parts.append(_reading(logits[:, where], head) * mask[:, at_slot, None])
        return torch.cat([*parts, mask], dim=-1).detach()

    def _resample(self, tokens: Tensor, mask: Tensor) -> Tensor:
        pieces = tokens.split([n for _, n in self.config.slots], dim=1)
        u = torch.cat([p(x) for p, x in zip(self.project, pieces, strict=True)], dim=1)
        u = self.norm_tokens(u) + self.modality[self.slot_of_token]
        u = torch.cat([self.null.expand(u.shape[0], -1, -1), u], dim=1)  # (B,1+N,d)
        present = torch.cat([torch.ones_like(mask[:, :1]), mask[:, self.slot_of_token]], dim=1)
        bias = (present - 1.0) * 1e4
        r = self.query[None].expand(u.shape[0], -1, -1)
        for block in self.blocks:
            r = block(r, u, bias)
        return r


def _reading(values: Tensor, head: HeadShape) -> Tensor:
    """Probabilities of a classification, sharpened; the numbers of a regression, squeezed to -1..1."""
    return torch.tanh(values) if head.regression else (SHARPNESS * values).softmax(-1)


def _first_only(mask: Tensor) -> Tensor:
    """Only the first present slot of each row: what one sensor alone would give."""
    return mask * (mask.cumsum(1) <= 1.0).to(mask.dtype)

"""The multisensory multitask adapter (DESIGN.md, "The model"; IoT-LM, arXiv 2407.09801, section 4).

Any subset of slots works through the mask: an absent slot gets no attention and no weight, whatever
its input rows hold. A learned null token is always attended, so that "nothing is connected" is a
state of its own and not a division by zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TASKS: tuple[str, ...] = (
    "gaze_estimation", "depth_estimation", "gesture_classification", "pose_estimation",
    "touch_contact_classification", "event_detection", "activity_recognition", "3d_reconstruction",
    "dialog",
)  # fmt: skip
"""Task embeddings in this order: the paper's eight and one for open dialog."""


@dataclass(frozen=True)
class AdapterConfig:
    """Shapes. `slots` is (name, tokens per slot); `heads` is (task, number of labels)."""

    slots: tuple[tuple[str, int], ...]
    heads: tuple[tuple[str, int], ...]
    n_embd: int = 256
    n_layer: int = 8
    d_token: int = 128
    d_model: int = 256
    n_soft: int = 8
    n_head: int = 4
    rank: int = 64
    dropout: float = 0.1


@dataclass
class AdapterOutput:
    """soft (B,K,D), control (B,L-1,D), alpha (B,M), logits per task (B,labels), zbar (B,d_model)."""

    soft: Tensor
    control: Tensor
    alpha: Tensor
    logits: dict[str, Tensor]
    zbar: Tensor


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


class Adapter(nn.Module):
    """tokens (B,N,128), pooled (B,M,128), mask (B,M), task (B,) -> AdapterOutput."""

    slot_of_token: Tensor

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        self.config = c = config
        m, d = len(c.slots), c.d_model
        self.project = nn.ModuleList(nn.Linear(c.d_token, d) for _ in c.slots)  # P_m
        self.project_pooled = nn.ModuleList(nn.Linear(c.d_token, d) for _ in c.slots)  # P'_m
        self.modality = nn.Parameter(0.02 * torch.randn(m, d))  # e_m
        self.norm_tokens = nn.LayerNorm(d)
        self.null = nn.Parameter(0.02 * torch.randn(1, 1, d))
        self.query = nn.Parameter(0.02 * torch.randn(c.n_soft, d))  # Q
        self.task = nn.Embedding(len(TASKS), d)  # tau_t
        self.blocks = nn.ModuleList(CrossBlock(d, c.n_head, c.dropout) for _ in range(2))
        self.gate_hidden = nn.Linear(c.d_token + d, 64)  # W_g
        self.gate_score = nn.Linear(64, 1, bias=False)  # w
        self.heads = nn.ModuleDict({task: nn.Linear(d, n) for task, n in c.heads})
        self.to_soft = nn.Linear(d, c.n_embd, bias=False)  # W_s
        self.soft_scale = nn.Parameter(torch.tensor(0.05))  # s_e: about the size of a token embedding
        self.control_down = nn.Linear(d, c.rank)  # B
        self.control_up = nn.ModuleList(nn.Linear(c.rank, c.n_embd, bias=False) for _ in range(c.n_layer - 1))
        self.control_prompt = nn.Parameter(0.02 * torch.randn(len(TASKS), c.n_layer - 1, c.n_embd))  # p_lt
        self.control_gate = nn.Parameter(torch.zeros(c.n_layer - 1))  # g_l, zero-initialised
        nn.init.normal_(self.task.weight, std=0.02)
        counts = torch.tensor([n for _, n in c.slots])
        self.register_buffer(
            "slot_of_token", torch.repeat_interleave(torch.arange(m), counts), persistent=False
        )

    def forward(self, tokens: Tensor, pooled: Tensor, mask: Tensor, task: Tensor) -> AdapterOutput:
        c = self.config
        tau = self.task(task)  # (B,d)
        r = self._resample(tokens, mask, tau)  # (B,K,d)
        alpha = self._gate(pooled, mask, tau)  # (B,M)
        projected = torch.stack([p(pooled[:, i]) for i, p in enumerate(self.project_pooled)], dim=1)
        zbar = (alpha[:, :, None] * projected).sum(1) + r.mean(1)  # (B,d)
        soft = self.soft_scale * F.rms_norm(self.to_soft(r), (c.n_embd,))
        hidden = self.control_down(zbar)
        control = torch.stack([up(hidden) for up in self.control_up], dim=1) + self.control_prompt[task]
        control = torch.tanh(self.control_gate)[None, :, None] * control  # (B,L-1,D)
        return AdapterOutput(soft, control, alpha, {t: h(zbar) for t, h in self.heads.items()}, zbar)

    def _resample(self, tokens: Tensor, mask: Tensor, tau: Tensor) -> Tensor:
        pieces = tokens.split([n for _, n in self.config.slots], dim=1)
        u = torch.cat([p(x) for p, x in zip(self.project, pieces, strict=True)], dim=1)
        u = self.norm_tokens(u) + self.modality[self.slot_of_token]
        u = torch.cat([self.null.expand(u.shape[0], -1, -1), u], dim=1)  # (B,1+N,d)
        present = torch.cat([torch.ones_like(mask[:, :1]), mask[:, self.slot_of_token]], dim=1)
        bias = (present - 1.0) * 1e4
        r = self.query[None] + tau[:, None]
        for block in self.blocks:
            r = block(r, u, bias)
        return r

    def _gate(self, pooled: Tensor, mask: Tensor, tau: Tensor) -> Tensor:
        shared = tau[:, None].expand(-1, pooled.shape[1], -1)
        score = self.gate_score(torch.tanh(self.gate_hidden(torch.cat([pooled, shared], -1))))[..., 0]
        score = score + (mask - 1.0) * 1e4
        # With every slot absent the weights are all zero rather than uniform: nothing was used.
        return score.softmax(-1) * mask


def slot_names(config: AdapterConfig) -> Sequence[str]:
    """The names of the slots in the order of `mask` and `alpha`."""
    return [name for name, _ in config.slots]

"""Mixed precision, where the processor can: without its own bf16 units, bf16 is emulated and slower."""

from __future__ import annotations

import torch


def autocast(device: str = "cpu") -> torch.autocast:
    """A context in which matrix products run in bf16 on a device made for that, else in fp32.

    `device` is its type, "cpu" or "cuda". fp16 is not used: its gradients would have to be scaled.
    Measured on one core without such units: a step of the language model takes 4 times as long in bf16.
    """
    return torch.autocast(device, torch.bfloat16, enabled=_fast(device))


def _fast(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # noqa: SLF001  (no public name)

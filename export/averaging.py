"""The running average of a network's weights, which is the network that is kept."""

from __future__ import annotations

import torch
from torch import nn


def follow(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move `average` towards `network`: `keep` of it stays. What is no float (a counter) is copied."""
    with torch.no_grad():
        for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1.0 - keep)
            else:
                kept.copy_(new)

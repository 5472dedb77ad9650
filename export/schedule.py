"""How long a training is, and how its learning rate goes."""

from __future__ import annotations

import math


def shortened(count: int, share: float) -> int:
    """`share` of so many steps or epochs, at least one."""
    return max(1, round(count * share))


def cosine_warmup(step: int, steps: int, warmup: float = 0.1) -> float:
    """The factor of the learning rate: linear up, cosine down to 1 %."""
    if step < warmup * steps:
        return min(1.0, (step + 1) / (warmup * steps))
    done = (step - warmup * steps) / max(1.0, (1 - warmup) * steps)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

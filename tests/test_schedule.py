"""How long a training is: as the shipped ones, or a share of it."""

from __future__ import annotations

from itertools import pairwise

import pytest

pytest.importorskip("torch")

from export.schedule import cosine_warmup, shortened
from export.train_encoders import AUDIO_OPTIONS, options_of


def test_a_share_of_a_training_is_at_least_one_step() -> None:
    assert [shortened(24, share) for share in (1.0, 0.5, 0.1, 0.001)] == [24, 12, 2, 1]
    assert options_of("audio").epochs == AUDIO_OPTIONS.epochs
    assert options_of("audio", share=0.25).epochs == AUDIO_OPTIONS.epochs // 4
    assert options_of("imu_watch", share=0.25).rate == options_of("imu_watch").rate


@pytest.mark.parametrize("steps", [1, 7, 1500])
def test_the_rate_rises_then_falls_and_is_never_zero(steps: int) -> None:
    factors = [cosine_warmup(step, steps) for step in range(steps)]
    top = factors.index(max(factors))
    assert all(a <= b for a, b in pairwise(factors[: top + 1]))
    assert all(a >= b for a, b in pairwise(factors[top:]))
    assert min(factors) > 0
    assert max(factors) <= 1.0

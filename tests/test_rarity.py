"""How unlike its training a sound is: far away counts for more where known sounds lie close together."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Generator, Tensor

from export import rarity
from export.datasets import esc10
from export.datasets.esc10 import Clip
from export.networks.encoders import HEARD, AudioEncoder
from export.novelty import LIMIT, Novelty
from export.rarity import KEPT, Rarity, View

D = 24
EVEN, VARIED = 0.3, 2.0
"""How far windows of two kinds of sound lie from the middle of their class."""


def windows(n: int, seed: int, width: int = D) -> tuple[Tensor, Tensor]:
    """Features (n,width) of four classes: 0 and 1 are even, 2 and 3 varied."""
    generator = Generator().manual_seed(seed)
    label = torch.randint(4, (n,), generator=generator)
    size = torch.where(label < 2, EVEN, VARIED)[:, None]
    middle = 12.0 * torch.nn.functional.one_hot(label, width)
    return middle + size * torch.randn(n, width, generator=generator), label


def beside_even(n: int, seed: int) -> Tensor:
    """Windows of an even sound that was never trained on, nearer to a known one than varied ones are."""
    middle, generator = torch.zeros(D), Generator().manual_seed(seed)
    middle[0], middle[8] = 12.0, 4.0
    return middle + EVEN * torch.randn(n, D, generator=generator)


def level(features: Tensor) -> Tensor:
    """Logits (n,4) that say nothing."""
    return torch.zeros(len(features), 4)


def fitted() -> Rarity:
    (train, label), (held_out, _) = windows(3000, 0), windows(1500, 1)
    return Rarity.fit(train, train, label).limited_by(held_out, held_out, level(held_out))


def test_an_even_sound_beside_another_is_rarer_than_a_varied_one() -> None:
    known, new = windows(1000, 2)[0], beside_even(200, 3)
    found, (train, label) = fitted(), windows(3000, 0)
    plain = Novelty.fit(train, None, label)
    assert float(plain(new, None).max()) < float(plain(known, None).median()), "by its distance it is near"
    rare = found(known, known, level(known))
    assert float(found(new, new, level(new)).median()) > float(rare.quantile(0.9))
    share = (rare <= 1).float().mean()
    assert float(share) == pytest.approx(LIMIT, abs=0.02)


@pytest.mark.parametrize("changed", ["z", "heard", "logits"])
def test_each_sign_makes_it_rarer(changed: str) -> None:
    known = windows(300, 2)[0]
    (held_out, _), (train, label) = windows(1500, 1), windows(3000, 0)
    said = torch.randn(1500, 4, generator=Generator().manual_seed(5))
    found = Rarity.fit(train, train, label).limited_by(held_out, held_out, said)
    inputs = {"z": known, "heard": known, "logits": said[:300]}
    other = {"z": 1.5 * known, "heard": 1.5 * known, "logits": said[:300] - 3.0}
    assert (found(**inputs | {changed: other[changed]}) > found(**inputs)).float().mean() > 0.9


def test_windows_that_are_all_alike_are_no_division_by_zero() -> None:
    features, label = windows(2 * KEPT, 0)
    features[::2] = 0.0  # digital silence
    found = Rarity.fit(features, features, label).limited_by(features, features, level(features))
    assert torch.isfinite(found(features, features, level(features))).all()


def test_too_few_windows_are_refused() -> None:
    with pytest.raises(ValueError, match=f"{KEPT - 1} training windows are too few"):
        View.fit(*windows(KEPT - 1, 0))


def test_what_ships_is_of_the_recordings_that_were_trained_on() -> None:
    random = np.random.default_rng(0)
    clips = [
        Clip(f"{i}", (0.1 * random.standard_normal(esc10.CLIP)).astype(np.float32), i % 10, fold)
        for fold in (1, 4, 5)
        for i in range(80 if fold == 1 else 10)
    ]
    encoder = AudioEncoder(len(esc10.INFO.labels)).eval()
    found = rarity.of_sounds(encoder, clips)
    assert found.in_heard.means.shape == (10, HEARD)
    held_out = rarity.hear(encoder, rarity.sounds([c for c in clips if c.fold == 4])[0])
    assert float((found(*held_out) <= 1).float().mean()) == pytest.approx(LIMIT, abs=0.01)
    again = rarity.of_sounds(encoder, [c for c in clips if c.fold != 5])
    assert torch.equal(again(*held_out), found(*held_out)), "the test fold is not looked at"

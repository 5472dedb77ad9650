"""How unlike its training a window is: near the known classes small, far from all of them large."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Generator, Tensor

from export.groups import Group
from export.networks.encoders import EncoderOutput
from export.novelty import LIMIT, Novelty, of_slot

D = 16


def windows(n: int, seed: int, classes: tuple[int, ...] = (0, 1, 2)) -> tuple[Tensor, Tensor]:
    """Features (n,D) of classes around 5 * unit vectors, in a space that is stretched along its axes."""
    generator = Generator().manual_seed(seed)
    label = torch.tensor(classes)[torch.randint(len(classes), (n,), generator=generator)]
    z = torch.randn(n, D, generator=generator) + 5 * torch.nn.functional.one_hot(label, D)
    return z * torch.logspace(-0.5, 0.5, D), label


def test_known_windows_stay_within_one_and_another_class_does_not() -> None:
    novelty = Novelty.fit(*windows(2000, 0)).limited(windows(1000, 1)[0])
    known, other = novelty(windows(1000, 2)[0]), novelty(windows(1000, 3, (7,))[0])
    assert float((known <= 1).float().mean()) == pytest.approx(LIMIT, abs=0.02)
    assert float((other > 1).float().mean()) > 0.6
    assert float(other.median()) > float(known.quantile(0.95))


def test_the_units_of_the_features_do_not_count() -> None:
    z, label = windows(2000, 0)
    turn = torch.linalg.qr(torch.randn(D, D, generator=Generator().manual_seed(9)))[0]
    plain = Novelty.fit(z, label).limited(z)(z[:50])
    turned = Novelty.fit(z @ turn * 3, label).limited(z @ turn * 3)(z[:50] @ turn * 3)
    assert torch.allclose(plain, turned, rtol=1e-2)


def test_features_without_any_spread_are_no_division_by_zero() -> None:
    z, label = torch.ones(20, D), torch.arange(20) % 2
    z[:, 0] += label
    assert torch.isfinite(Novelty.fit(z + 1e-4 * torch.randn(20, D), label)(z)).all()


def test_a_slot_has_one_for_each_of_its_heads() -> None:
    z, label = windows(400, 0)
    pooled = torch.zeros(400, 128)
    pooled[:, :D] = z
    pooled += 0.01 * torch.randn(400, 128, generator=Generator().manual_seed(1))
    split = (torch.arange(400) % 2 == 0).long()  # validation and training
    outputs = EncoderOutput(torch.zeros(400, 1, 128), pooled, torch.zeros(400, 1))
    found = of_slot("thermal", {"thermal": Group.of({"thermal": outputs}, {"posture": label}, split)})
    assert len(found) == 1
    assert found[0].means.shape == (3, 128)
    share = (found[0](pooled[split == 1]) <= 1).float().mean()
    assert float(share) == pytest.approx(LIMIT, abs=0.01)

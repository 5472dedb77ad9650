"""How unlike its training a window is: near the known classes small, far from all of them large."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Generator, Tensor

from export.groups import Group
from export.networks.encoders import EncoderOutput
from export.novelty import LIMIT, Novelty, class_columns, of_slot

D = 16


def windows(n: int, seed: int, classes: tuple[int, ...] = (0, 1, 2)) -> tuple[Tensor, Tensor]:
    """Features (n,D) of classes around 5 * unit vectors, in a space that is stretched along its axes."""
    generator = Generator().manual_seed(seed)
    label = torch.tensor(classes)[torch.randint(len(classes), (n,), generator=generator)]
    z = torch.randn(n, D, generator=generator) + 5 * torch.nn.functional.one_hot(label, D)
    return z * torch.logspace(-0.5, 0.5, D), label


def sure(label: Tensor, size: float = 8.0) -> Tensor:
    """Logits (n,3) of a network that knows the class."""
    return size * torch.nn.functional.one_hot(label, 3).float()


def test_known_windows_stay_within_one_and_another_class_does_not() -> None:
    z, label = windows(2000, 0)
    novelty = Novelty.fit(z, None, label).limited_by(windows(1000, 1)[0], None)
    known, other = novelty(windows(1000, 2)[0], None), novelty(windows(1000, 3, (7,))[0], None)
    assert float((known <= 1).float().mean()) == pytest.approx(LIMIT, abs=0.02)
    assert float((other > 1).float().mean()) > 0.6
    assert float(other.median()) > float(known.quantile(0.95))


def test_either_sign_is_enough() -> None:
    z, label = windows(2000, 0)
    said = sure(label) + 0.1 * torch.randn(2000, 3, generator=Generator().manual_seed(4))
    novelty = Novelty.fit(z, said, label).limited_by(z, said)
    far, _ = windows(200, 3, (7,))
    own = label[:200]
    assert float((novelty(z[:200], said[:200]) <= 1).float().mean()) > 0.95
    assert float((novelty(far, sure(own)) > 1).float().mean()) > 0.6, "far away, however sure"
    assert float((novelty(z[:200], sure(own, 2.0)) > 1).float().mean()) > 0.95, "unsure, however near"


def test_the_units_of_the_features_do_not_count() -> None:
    z, label = windows(2000, 0)
    turn = torch.linalg.qr(torch.randn(D, D, generator=Generator().manual_seed(9)))[0]
    plain = Novelty.fit(z, None, label).limited_by(z, None)(z[:50], None)
    moved = 3 * z @ turn
    turned = Novelty.fit(moved, None, label).limited_by(moved, None)(moved[:50], None)
    assert torch.allclose(plain, turned, rtol=1e-2, atol=1e-3)


def test_features_without_any_spread_are_no_division_by_zero() -> None:
    z, label = torch.ones(20, D), torch.arange(20) % 2
    z[:, 0] += label
    z += 1e-4 * torch.randn(20, D, generator=Generator().manual_seed(0))
    assert torch.isfinite(Novelty.fit(z, sure(label), label)(z, sure(label))).all()


def test_a_slot_has_one_for_each_of_its_heads() -> None:
    z, label = windows(400, 0)
    pooled = 0.01 * torch.randn(400, 128, generator=Generator().manual_seed(1))
    pooled[:, :D] += z
    split = (torch.arange(400) % 2 == 0).long()  # validation and training
    (columns,) = class_columns("thermal")
    assert columns is not None
    said = torch.nn.functional.one_hot(label, columns.stop).float()
    outputs = EncoderOutput(torch.zeros(400, 1, 128), pooled, said)
    (found,) = of_slot("thermal", {"thermal": Group.of({"thermal": outputs}, {"posture": label}, split)})
    assert found.means.shape == (3, 128)
    held_out = split == 1
    share = (found(pooled[held_out], said[held_out]) <= 1).float().mean()
    assert float(share) == pytest.approx(LIMIT, abs=0.01)


def test_a_head_that_reads_numbers_has_no_classes() -> None:
    assert class_columns("gaze") == [None]

"""Groups of encoder outputs: what is drawn, what is blended, and which slots are left in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from export.groups import Group, Sample, assemble, draw, random_mask, width_of
from export.networks.adapter import AdapterConfig, HeadShape
from export.networks.encoders import EncoderOutput

CONFIG = AdapterConfig(
    slots=(("one", 2), ("two", 3), ("lonely", 1)),
    heads=(
        HeadShape("both", 3, ("one", "two")),
        HeadShape("second", 2, ("two",)),
        HeadShape("metres", 4, ("lonely",), regression=True),
    ),
    d_token=8,
)


def output(n: int, tokens: int, width: int, first: float = 0.0) -> EncoderOutput:
    """Every number of a row is the row's own, so that rows can be told apart."""
    row = torch.arange(n, dtype=torch.float32) + first
    return EncoderOutput(
        row[:, None, None].expand(n, tokens, 8), row[:, None].expand(n, 8), row[:, None].expand(n, width)
    )


def together(n: int = 12) -> Group:
    target = torch.arange(n) % 3
    slots = {"one": output(n, 2, 3), "two": output(n, 3, 5, first=100)}
    return Group.of(slots, {"both": target, "second": target % 2}, torch.arange(n) % 3)


def alone(n: int = 6) -> Group:
    return Group.of({"lonely": output(n, 1, 4, first=1000)}, {"metres": torch.arange(2.0 * n).view(n, 2)})


def test_a_part_holds_the_rows_of_its_split_alone() -> None:
    group = together()
    part = group.part(1)
    assert part.slots["one"].pooled[:, 0].tolist() == [1, 4, 7, 10]
    assert part.targets["both"].tolist() == [1, 1, 1, 1]
    assert len(part) == 4
    assert torch.equal(part.weight, group.weight[[1, 4, 7, 10]])
    assert sum(len(group.part(s)) for s in (0, 1, 2)) == len(group)


def test_without_a_split_all_is_for_training() -> None:
    assert len(alone().part(0)) == 6


def test_classes_are_drawn_by_the_square_root_of_their_share() -> None:
    target = torch.tensor([0] * 90 + [1] * 10)
    group = Group.of({"one": output(100, 2, 3)}, {"both": target})
    drawn = target[group.draw(20_000, Generator().manual_seed(0))]
    assert float((drawn == 1).float().mean()) == pytest.approx(1 / 4, abs=0.015)  # 1 to sqrt(9)


def test_numbers_and_shares_of_classes_are_drawn_evenly_and_unknown_rows_too() -> None:
    assert (alone().weight == 1).all()
    shares = Group.of({"one": output(4, 2, 3)}, {"both": torch.eye(3)[[0, 0, 0, 1]]})
    assert (shares.weight == 1).all()
    unknown = Group.of({"one": output(4, 2, 3)}, {"both": torch.tensor([-1, -1, 0, 1])})
    assert (unknown.weight > 0).all()
    assert unknown.weight[0] == 1


def test_what_is_recorded_together_stays_together() -> None:
    mask = torch.ones(50, 3)
    sample, targets = draw(CONFIG, [together(), alone()], mask, Generator().manual_seed(0))
    first, second, third = sample.pooled[:, 0, 0], sample.pooled[:, 1, 0], sample.pooled[:, 2, 0]
    assert torch.equal(second, first + 100)
    assert torch.equal(targets["both"], first.long() % 3)
    assert torch.equal(targets["metres"][:, 0], 2 * (third - 1000))
    assert len(set(zip(first.tolist(), third.tolist(), strict=True))) > 20, "of another group any row"


def test_slots_stand_in_the_order_of_the_adapter() -> None:
    slots = together(2).slots | alone(2).slots
    sample = assemble(CONFIG, dict(reversed(slots.items())), torch.ones(2, 3))
    assert sample.tokens[1, :, 0].tolist() == [1, 1, 101, 101, 101, 1001]
    assert sample.pooled[1, :, 0].tolist() == [1, 101, 1001]
    assert sample.logits[1].tolist() == [1] * 3 + [101] * 5 + [1001] * 4
    assert [width_of(CONFIG, s) for s in CONFIG.names] == [3, 5, 4]


def test_a_slot_that_is_not_given_is_zeros_of_its_width() -> None:
    sample = assemble(CONFIG, {"one": together(2).slots["one"]}, torch.ones(2, 3))
    assert (sample.pooled[:, 1:] == 0).all()
    assert (sample.tokens[:, 2:] == 0).all()
    assert sample.logits.shape == (2, CONFIG.n_logits)
    assert (sample.logits[:, 3:] == 0).all()


def test_a_blend_is_so_much_of_itself_and_the_rest_of_its_partner() -> None:
    sample = assemble(CONFIG, together(3).slots, torch.eye(3))
    mixed = sample.mixed(torch.tensor([1.0, 0.75, 0.5]), torch.tensor([2, 0, 1]))
    assert mixed.pooled[:, 0, 0].tolist() == [0.0, 0.75, 1.5]
    assert mixed.logits[:, 0].tolist() == [0.0, 0.75, 1.5]
    assert mixed.tokens[:, 0, 0].tolist() == [0.0, 0.75, 1.5]
    assert torch.equal(mixed.mask, sample.mask)


def test_a_sample_can_be_seen_through_other_slots() -> None:
    sample = assemble(CONFIG, together(3).slots, torch.ones(3, 3))
    other = sample.masked(torch.zeros(3, 3))
    assert torch.equal(other.pooled, sample.pooled)
    assert (other.mask == 0).all()
    assert len(sample[torch.tensor([2])]) == 1
    assert isinstance(sample[torch.tensor([0])], Sample)


def test_a_group_is_read_as_it_was_written(tmp_path: Path) -> None:
    group = together(5)
    arrays = {
        f"{name}_{part}": getattr(found, part).half().numpy()
        for name, found in group.slots.items()
        for part in ("tokens", "pooled", "logits")
    }
    targets = {f"target_{name}": t.numpy() for name, t in group.targets.items()}
    split = group.split.numpy().astype(np.int8)
    every = {**arrays, **targets, "split": split, "owner": np.arange(5)}
    np.savez(tmp_path / "features.npz", **every)
    read = Group.read(tmp_path / "features.npz")
    assert set(read.slots) == {"one", "two"}
    assert set(read.targets) == {"both", "second"}
    assert torch.equal(read.slots["two"].pooled.float(), group.slots["two"].pooled)
    assert torch.equal(read.split, group.split)
    assert torch.equal(read.weight, group.weight)


def subsets_of(mask: Tensor) -> set[tuple[int, ...]]:
    return {tuple(row) for row in mask.int().tolist()}


def test_every_subset_of_slots_occurs_and_none_now_and_then() -> None:
    mask = random_mask(6000, 3, Generator().manual_seed(0))
    assert len(subsets_of(mask)) == 8
    assert float((mask.sum(1) == 0).float().mean()) == pytest.approx(0.05, abs=0.01)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 20), seed=st.integers(0, 1000))
def test_at_least_one_slot_is_present_where_nothing_is_excluded(count: int, seed: int) -> None:
    mask = random_mask(64, count, Generator().manual_seed(seed), nothing=0.0)
    assert mask.shape == (64, count)
    assert ((mask == 0) | (mask == 1)).all()
    assert (mask.sum(1) >= 1).all()


def test_few_slots_are_met_more_often_than_many() -> None:
    present = random_mask(8000, 16, Generator().manual_seed(0)).sum(1)
    assert float((present <= 4).float().mean()) > float((present >= 12).float().mean()) > 0.02

"""The fused heads: any subset of slots, what they are trained on, and what an absent slot must not do."""

from __future__ import annotations

import copy
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Generator, Tensor, nn

from export import train_heads as th
from export.catalog import HEADS, SLOTS
from export.groups import Group, Sample, assemble
from export.networks.adapter import AdapterConfig, Heads, HeadShape
from export.networks.encoders import EncoderOutput
from export.train_heads import HeadsOptions, read, train_heads
from export.train_slots import Scaling

CONFIG = AdapterConfig(
    slots=(("phone", 2), ("watch", 2), ("sound", 3), ("eyes", 1)),
    heads=(
        HeadShape("activity", 3, ("phone", "watch")),
        HeadShape("event", 2, ("sound",)),
        HeadShape("gaze", 4, ("eyes",), regression=True),
    ),
    d_token=16,
    d_model=24,
)
SCALING = {"gaze": Scaling(torch.tensor([10.0, -5.0]), torch.tensor([2.0, 4.0]))}
SUBSETS = [tuple(map(float, bits)) for bits in product((0, 1), repeat=4)]


def output(target: Tensor, tokens: int, width: int, strength: float, seed: int) -> EncoderOutput:
    """Logits that lean to the target, and pooled features that hold it."""
    g = Generator().manual_seed(seed)
    n = len(target)
    logits = torch.randn(n, width, generator=g)
    logits[torch.arange(n), target] += strength
    pooled = torch.randn(n, 16, generator=g)
    pooled[:, :3] += 3 * nn.functional.one_hot(target, 3)
    return EncoderOutput(torch.randn(n, tokens, 16, generator=g), pooled, logits)


def groups(n: int = 200, seed: int = 0) -> list[Group]:
    g = Generator().manual_seed(seed)
    activity, event = torch.randint(3, (n,), generator=g), torch.randint(2, (n,), generator=g)
    numbers = torch.randn(n, 2, generator=g)
    numbers[::5, 1] = float("nan")
    pooled = torch.randn(n, 16, generator=g)
    pooled[:, :2] = numbers.nan_to_num()
    eyes = EncoderOutput(torch.randn(n, 1, 16, generator=g), pooled, torch.zeros(n, 4))
    motion = {
        "phone": output(activity, 2, 3, 1.0, seed + 1), "watch": output(activity, 2, 3, 1.0, seed + 2)
    }  # fmt: skip
    return [
        Group.of(motion, {"activity": activity}),
        Group.of({"sound": output(event, 3, 2, 1.0, seed + 3)}, {"event": event}),
        Group.of({"eyes": eyes}, {"gaze": numbers * SCALING["gaze"].scale + SCALING["gaze"].offset}),
    ]


@pytest.fixture(scope="module")
def trained() -> tuple[Heads, list[float]]:
    options = HeadsOptions(steps=120, batch=64, rate=3e-3, ema=0.9)
    return train_heads(CONFIG, groups(), options, SCALING, progress=False)


def random_heads(seed: int = 0) -> Heads:
    """Heads whose every part shows: fresh ones start at the encoders' mean."""
    torch.manual_seed(seed)
    heads = Heads(CONFIG).eval()
    with torch.no_grad():
        for p in heads.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return heads


def random_sample(mask: Tensor, seed: int = 0) -> Sample:
    g = Generator().manual_seed(seed)
    n = len(mask)
    return Sample(
        torch.randn(n, 8, 16, generator=g), torch.randn(n, 4, 16, generator=g),
        torch.randn(n, CONFIG.n_logits, generator=g), mask,
    )  # fmt: skip


def serving(head: HeadShape) -> Tensor:
    return Tensor([float(s in head.slots) for s in CONFIG.names])


def test_the_weights_are_on_present_slots_that_serve_and_sum_to_one() -> None:
    mask = torch.tensor(SUBSETS)
    sample = random_sample(mask)
    with torch.no_grad():
        said, alpha, _ = random_heads()(sample.pooled, sample.logits, mask)
    assert alpha.shape == (16, 4, 4)  # three heads and the dialog
    able = [*(mask * serving(h) for h in CONFIG.heads), mask]
    for i, here in enumerate(able):
        assert (alpha[:, i][here == 0] == 0).all()
        torch.testing.assert_close(alpha[:, i].sum(1), (here.sum(1) > 0).float())
    assert all(x.isfinite().all() for x in said.values())


@pytest.mark.parametrize("subset", SUBSETS, ids=str)
def test_an_absent_slot_has_no_influence_whatever_its_rows_hold(subset: tuple[float, ...]) -> None:
    heads, mask = random_heads(), torch.tensor([subset] * 3)
    sample = random_sample(mask)
    pooled, logits = sample.pooled.clone(), sample.logits.clone()
    for slot, _, where in CONFIG.pieces():
        if not subset[CONFIG.names.index(slot)]:
            logits[:, where] = 1e4
    pooled[mask == 0] = -50.0
    with torch.no_grad():
        one, alpha, used = heads(sample.pooled, sample.logits, mask)
        two, alpha_two, used_two = heads(pooled, logits, mask)
    for name, said in one.items():
        torch.testing.assert_close(said, two[name])
    torch.testing.assert_close(alpha, alpha_two)
    torch.testing.assert_close(used, used_two)


def test_a_head_hears_the_slots_that_serve_it_and_no_others() -> None:
    heads, mask = random_heads(), torch.ones(3, 4)
    sample = random_sample(mask)
    for i, slot in enumerate(CONFIG.names):
        pooled = sample.pooled.clone()
        pooled[:, i] += 1.0
        with torch.no_grad():
            before, _, dialog = heads(sample.pooled, sample.logits, mask)
            after, _, dialog_after = heads(pooled, sample.logits, mask)
        for head in CONFIG.heads:
            changed = not torch.allclose(before[head.name], after[head.name], atol=1e-4)
            assert changed == (slot in head.slots), (slot, head.name)
        assert not torch.allclose(dialog, dialog_after, atol=1e-4), "the dialog hears every slot"


def test_fresh_heads_are_the_mean_of_their_encoders() -> None:
    mask = torch.ones(5, 4)
    sample = random_sample(mask)
    with torch.no_grad():
        said, alpha, _ = Heads(CONFIG)(sample.pooled, sample.logits, mask)
    torch.testing.assert_close(alpha[:, 0], torch.tensor([[0.5, 0.5, 0.0, 0.0]]).expand(5, -1))
    torch.testing.assert_close(said["activity"], (sample.logits[:, :3] + sample.logits[:, 3:6]) / 2)
    torch.testing.assert_close(said["gaze"], sample.logits[:, 8:])


def test_without_the_multitask_part_all_gates_are_the_same() -> None:
    torch.manual_seed(0)
    heads = random_heads()
    alike = Heads(replace(CONFIG, ablation="no_multitask")).eval()
    alike.load_state_dict(heads.state_dict())
    sample = random_sample(torch.ones(6, 4))
    with torch.no_grad():
        full, plain = (h(sample.pooled, sample.logits, sample.mask)[1] for h in (heads, alike))
    torch.testing.assert_close(plain[:, 0], full[:, 0])
    rest = plain[:, 3, :2] / plain[:, 3, :2].sum(1, keepdim=True)
    torch.testing.assert_close(rest, plain[:, 0, :2])  # the dialog weighs the two as the first head does
    rest = full[:, 3, :2] / full[:, 3, :2].sum(1, keepdim=True)
    assert not torch.allclose(rest, full[:, 0, :2], atol=1e-3)


# -- training ------------------------------------------------------------------------------------------


def accuracy(heads: Heads, present: tuple[str, ...], head: str, group: Group) -> float:
    said = read(heads, group.slots, present)[0][head]
    return float((said.argmax(1) == group.targets[head]).float().mean())


def test_training_makes_a_head_better_than_its_encoders(trained: tuple[Heads, list[float]]) -> None:
    heads, losses = trained
    test = groups(300, seed=50)
    fresh = Heads(CONFIG).eval()
    for present in (("phone",), ("watch",), ("phone", "watch")):
        before, after = (accuracy(h, present, "activity", test[0]) for h in (fresh, heads))
        assert after > before + 0.05, (present, before, after)
    assert accuracy(heads, ("sound",), "event", test[1]) > 0.85
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_numbers_are_learned_normalised_and_where_they_are_known(
    trained: tuple[Heads, list[float]],
) -> None:
    heads, _ = trained
    group = groups(300, seed=60)[2]
    out = read(heads, group.slots, ("eyes",))[0]["gaze"]
    wanted = (group.targets["gaze"] - SCALING["gaze"].offset) / SCALING["gaze"].scale
    known = ~wanted.isnan()
    assert out.isfinite().all()
    assert float((out[:, :2] - wanted)[known].square().mean().sqrt()) < 0.7  # 1.0 knows nothing


def test_what_is_read_does_not_depend_on_absent_slots_or_on_the_batch(
    trained: tuple[Heads, list[float]],
) -> None:
    heads, _ = trained
    one, other = groups(40), groups(40, seed=9)
    with_watch = one[0].slots | other[1].slots
    a, alpha = read(heads, with_watch, ("phone",), batch=7)
    b, _ = read(heads, {"phone": one[0].slots["phone"]}, ("phone",))
    torch.testing.assert_close(a["activity"], b["activity"])
    assert (alpha[:, 0] == torch.tensor([1.0, 0, 0, 0])).all()
    both, _ = read(heads, with_watch, ("phone", "watch"))
    assert not torch.allclose(a["activity"], both["activity"], atol=1e-3)


def test_the_same_seed_gives_the_same_heads() -> None:
    options = HeadsOptions(steps=3, batch=8)
    one, same, other = (
        train_heads(CONFIG, groups(20), replace(options, seed=s), SCALING, progress=False)[0]
        for s in (0, 0, 1)
    )
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def loss_of(mask: Tensor, targets: dict[str, Tensor], options: HeadsOptions) -> float:
    torch.manual_seed(0)
    heads, words = random_heads(), th.Words(CONFIG)
    wanted = th._wanted(CONFIG, targets, SCALING, options)
    return float(th._loss(heads, words, random_sample(mask), wanted, options).detach())


def test_a_head_is_not_trained_where_nothing_can_know() -> None:
    options = HeadsOptions(gate_entropy=0.0)
    nan = float("nan")
    known = {
        "activity": torch.tensor([0, 1, 2]), "event": torch.tensor([0, 1, 0]), "gaze": torch.ones(3, 2)
    }  # fmt: skip
    unknown = {
        "activity": torch.full((3,), -1), "event": torch.full((3,), -1), "gaze": torch.full((3, 2), nan)
    }  # fmt: skip
    assert loss_of(torch.zeros(3, 4), known, options) == 0.0
    assert loss_of(torch.eye(4)[:3], unknown, options) == 0.0
    for slot, head in enumerate(("activity", "activity", "event", "gaze")):
        mask = torch.eye(4)[[slot] * 3]
        assert loss_of(mask, known, options) != 0.0
        assert loss_of(mask, known | {head: unknown[head]}, options) == 0.0, head


def test_what_was_recorded_together_is_drawn_towards_each_other() -> None:
    """InfoNCE: least where the phone's rows are each like the watch's row of the same instant."""
    torch.manual_seed(0)
    alike = torch.randn(6, 1, 24).expand(-1, 4, -1).clone()
    apart = alike.clone()
    apart[:, 1] = alike[:, 1].roll(1, dims=0)
    everywhere = torch.ones(6, 4)
    assert th._together(CONFIG, alike, everywhere) < 0.1 < th._together(CONFIG, apart, everywhere)
    assert th._together(CONFIG, apart, torch.tensor([[1.0, 0, 1, 1]]).expand(6, -1)) == 0.0
    unknown = {
        "activity": torch.full((3,), -1), "event": torch.full((3,), -1),
        "gaze": torch.full((3, 2), float("nan")),
    }  # fmt: skip
    losses = [
        loss_of(torch.ones(3, 4), unknown, HeadsOptions(gate_entropy=0.0, contrast=c)) for c in (0.0, 0.5)
    ]
    assert losses[0] == 0.0 < losses[1], "it is part of the loss, and needs no label"


def test_what_a_head_sees_is_drawn_towards_the_words_of_its_label() -> None:
    torch.manual_seed(0)
    words = th.Words(CONFIG)
    right = torch.eye(3)
    seen = words.vectors["activity"].detach()
    assert words.loss("activity", seen, right).mean() < words.loss("activity", seen.roll(1, 0), right).mean()
    known = {
        "activity": torch.tensor([0, 1, 2]), "event": torch.tensor([0, 1, 0]), "gaze": torch.ones(3, 2)
    }  # fmt: skip
    alone = torch.eye(4)[[2] * 3]  # sound, with which nothing is recorded together
    losses = {c: loss_of(alone, known, HeadsOptions(gate_entropy=0.0, contrast=c)) for c in (0.0, 0.5)}
    assert losses[0.5] > losses[0.0]


def test_what_a_head_adds_is_taken_back_where_it_does_harm(trained: tuple[Heads, list[float]]) -> None:
    heads = copy.deepcopy(trained[0])
    held_back = [replace(g, split=torch.ones(len(g), dtype=torch.long)) for g in groups(300, seed=70)]
    found = dict(zip(("motion", "sound", "eyes"), held_back, strict=True))
    event = [h.name for h in CONFIG.heads].index("event")
    linear = heads.read[event]
    assert isinstance(linear, nn.Linear)
    linear.bias.data += torch.tensor([30.0, -30.0])
    kept = heads.read[0].weight.clone()
    assert th.keep_what_helps(heads, found, SCALING) == ["event"]
    assert not linear.weight.any()
    assert not linear.bias.any()
    assert torch.equal(heads.read[0].weight, kept)
    assert kept.any()


def test_targets_are_smoothed_shares_of_what_is_known() -> None:
    targets = {
        "activity": torch.tensor([0, -1]),
        "event": torch.tensor([[0.5, 0.5], [1.0, 0.0]]),
        "gaze": torch.tensor([[12.0, -1.0], [10.0, float("nan")]]),
    }
    wanted = th._wanted(CONFIG, targets, SCALING, HeadsOptions(smoothing=0.3))
    torch.testing.assert_close(wanted["activity"], torch.tensor([[0.8, 0.1, 0.1], [0.0, 0.0, 0.0]]))
    torch.testing.assert_close(wanted["event"], torch.tensor([[0.5, 0.5], [0.85, 0.15]]))
    assert wanted["gaze"][:, 0].tolist() == [1.0, 0.0]
    assert wanted["gaze"][0, 1] == 1.0
    assert wanted["gaze"][1, 1].isnan()


def test_what_was_recorded_together_is_drawn_together() -> None:
    mask = torch.ones(4, 4)
    alike = torch.randn(4, 4, 24, generator=Generator().manual_seed(0))
    alike[:, 1] = alike[:, 0]
    apart = alike.clone()
    apart[:, 1] = alike[[1, 2, 3, 0], 0]
    near, far = (float(th._together(CONFIG, x, mask)) for x in (alike, apart))
    assert near < 0.5 * far
    mask[1:, 1] = 0  # one row has both: there is nothing to compare
    assert float(th._together(CONFIG, alike, mask)) == 0.0


# -- the shipped shape -----------------------------------------------------------------------------------


def test_the_shipped_heads_are_the_catalogs() -> None:
    config = th.shipped_config(lambda _name: 3)
    assert config.names == tuple(SLOTS)
    assert [h.name for h in config.heads] == list(HEADS)
    for shape in config.heads:
        spec = HEADS[shape.name]
        assert (shape.width, shape.slots, shape.regression) == (spec.width, spec.slots, spec.regression)


def test_a_config_survives_being_saved(tmp_path: Path) -> None:
    heads = random_heads()
    path = tmp_path / "heads.pt"
    torch.save({"state": heads.state_dict(), "config": asdict(CONFIG)}, path)
    loaded = th.load_heads(path)
    assert loaded.config == CONFIG
    sample = random_sample(torch.ones(3, 4))
    one, two = (h(sample.pooled, sample.logits, sample.mask)[0] for h in (heads, loaded))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not any(p.requires_grad for p in loaded.parameters())


def test_missing_features_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="features_imu"):
        th.load_groups(tmp_path)


def test_a_slot_that_is_said_to_be_present_and_is_not_given_counts_as_zeros() -> None:
    sample = assemble(CONFIG, {}, torch.ones(2, 4))
    assert sample.pooled.shape == (2, 4, 16)
    assert (sample.logits == 0).all()

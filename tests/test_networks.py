"""The adapter and the language model: any subset of slots works, and the gates start closed."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor

from export.networks.adapter import Ablation, Adapter, AdapterConfig, AdapterOutput, HeadShape
from export.networks.encoders import EncoderConfig, build
from export.networks.fields import Normalise
from export.networks.language import LanguageConfig, LanguageModel, rope_tables, rotate

CONFIG = AdapterConfig(
    slots=(("imu_phone", 10), ("imu_watch", 10), ("audio", 13), ("gaze", 4)),
    heads=(
        HeadShape("activity", 5, ("imu_phone", "imu_watch")),
        HeadShape("event", 11, ("audio",)),
        HeadShape("gaze", 4, ("gaze",), regression=True),
    ),
    n_embd=256,
    n_layer=3,
)
FIRST = {"imu_phone": 0, "imu_watch": 10, "audio": 20, "gaze": 33}


def make(ablation: Ablation = "") -> Adapter:
    torch.manual_seed(0)
    return Adapter(replace(CONFIG, ablation=ablation)).eval()


@pytest.fixture
def adapter() -> Adapter:
    return make()


def opened(adapter: Adapter) -> Adapter:
    with torch.no_grad():
        adapter.control_gate.fill_(0.5)
    return adapter


def inputs(batch: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(batch, 37, 128, generator=generator)
    pooled = torch.randn(batch, 4, 128, generator=generator)
    return tokens, pooled, torch.randn(batch, CONFIG.n_logits, generator=generator)


def run(adapter: Adapter, x: tuple[Tensor, Tensor, Tensor], mask: Tensor) -> AdapterOutput:
    with torch.no_grad():
        out: AdapterOutput = adapter(*x, mask)
    return out


def test_what_slots_say_of_heads_stands_slot_by_slot() -> None:
    found = [(slot, head.name, where.start, where.stop) for slot, head, where in CONFIG.pieces()]
    assert found == [
        ("imu_phone", "activity", 0, 5), ("imu_watch", "activity", 5, 10), ("audio", "event", 10, 21),
        ("gaze", "gaze", 21, 25),
    ]  # fmt: skip
    assert CONFIG.n_logits == 25


def test_the_outputs_have_their_shapes(adapter: Adapter) -> None:
    out = run(adapter, inputs(2), torch.ones(2, 4))
    assert {name: tuple(x.shape) for name, x in out.heads.items()} == {
        "activity": (2, 5), "event": (2, 11), "gaze": (2, 4)
    }  # fmt: skip
    assert out.alpha.shape == (2, 4, 4)
    assert out.soft.shape == (2, 8, 256)
    assert out.control.shape == (2, 2, 256)


@pytest.mark.parametrize("absent", CONFIG.names)
def test_what_an_absent_slot_holds_changes_nothing(absent: str) -> None:
    adapter, (tokens, pooled, logits) = opened(make()), inputs(4)
    at, first = CONFIG.names.index(absent), FIRST[absent]
    mask = torch.ones(4, 4)
    mask[:, at] = 0
    one = run(adapter, (tokens, pooled, logits), mask)
    full = run(adapter, (tokens, pooled, logits), torch.ones(4, 4))
    tokens[:, first : first + CONFIG.slots[at][1]], pooled[:, at] = 99.0, -99.0
    for slot, _, where in CONFIG.pieces():
        if slot == absent:
            logits[:, where] = 50.0
    two = run(adapter, (tokens, pooled, logits), mask)
    for a, b in ((one.soft, two.soft), (one.alpha, two.alpha), (one.control, two.control)):
        torch.testing.assert_close(a, b)
    assert all(torch.equal(one.heads[n], two.heads[n]) for n in one.heads)
    assert (one.alpha[:, :, at] == 0).all()
    assert not torch.allclose(one.soft, full.soft), "a present slot must change what is said"
    assert not torch.allclose(one.control, full.control)


def test_the_weights_of_present_slots_sum_to_one_and_to_zero_without_any(adapter: Adapter) -> None:
    mask = torch.tensor([[1.0, 1, 1, 1], [0, 0, 1, 0], [0, 0, 0, 0]])
    alpha = run(adapter, inputs(3), mask).alpha
    torch.testing.assert_close(alpha.sum(2), torch.tensor([[1.0, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]]))


@pytest.mark.parametrize("head", ["activity", "event", "gaze"])
def test_the_language_model_is_shown_what_each_head_reads(adapter: Adapter, head: str) -> None:
    """Tokens and pooled features stay as they are: only what the encoders say changes."""
    tokens, pooled, logits = inputs(2)
    other = logits.clone()
    for _, served, where in CONFIG.pieces():
        if served.name == head:
            other[:, where] = other[:, where].flip(-1)
    one, two = (run(adapter, (tokens, pooled, x), torch.ones(2, 4)) for x in (logits, other))
    assert not torch.allclose(one.soft, two.soft, atol=1e-4)


def test_control_vectors_start_at_zero_and_open_with_their_gate(adapter: Adapter) -> None:
    assert (run(adapter, inputs(2), torch.ones(2, 4)).control == 0).all()
    assert (run(opened(adapter), inputs(2), torch.ones(2, 4)).control != 0).any()


def ablated(ablation: Ablation, mask: Tensor) -> tuple[AdapterOutput, AdapterOutput]:
    """What the full adapter and the ablated one of the same weights give."""
    full, other = opened(make()), opened(make(ablation))
    for module in (full, other):
        with torch.no_grad():
            module.fused.gate_score.weight.fill_(0.5)  # at zero, its start, all gates are alike
            module.fused.task.mul_(20.0)
    return run(full, inputs(len(mask)), mask), run(other, inputs(len(mask)), mask)


def test_soft_only_takes_the_control_vectors_and_nothing_else() -> None:
    full, other = ablated("soft_only", torch.ones(2, 4))
    assert (other.control == 0).all()
    assert torch.equal(other.soft, full.soft)
    assert torch.equal(other.alpha, full.alpha)


def test_control_only_takes_the_soft_tokens_and_nothing_else() -> None:
    full, other = ablated("control_only", torch.ones(2, 4))
    assert (other.soft == 0).all()
    assert torch.equal(other.control, full.control)
    assert (full.control != 0).any()


def test_no_multitask_gives_every_head_one_gate() -> None:
    full, other = ablated("no_multitask", torch.ones(2, 4))
    torch.testing.assert_close(other.alpha[:, 0], full.alpha[:, 0])
    assert not torch.allclose(other.alpha[:, 3], full.alpha[:, 3], atol=1e-3)
    share = other.alpha[:, 3, :2] / other.alpha[:, 3, :2].sum(1, keepdim=True)
    torch.testing.assert_close(share, other.alpha[:, 0, :2])


def test_no_multisensory_hears_the_first_present_slot_alone() -> None:
    mask = torch.tensor([[0.0, 1, 1, 0], [1, 1, 1, 1]])
    first = torch.tensor([[0.0, 1, 0, 0], [1, 0, 0, 0]])
    full, other = ablated("no_multisensory", mask)
    alone, _ = ablated("", first)
    torch.testing.assert_close(other.soft, alone.soft)
    torch.testing.assert_close(other.alpha, alone.alpha)
    torch.testing.assert_close(other.control, alone.control)
    assert not torch.allclose(other.soft, full.soft, atol=1e-4)


def test_a_control_vector_reaches_conditioned_positions_only() -> None:
    torch.manual_seed(0)
    config = LanguageConfig(n_vocab=300, n_embd=256, n_layer=3)
    model = LanguageModel(config).eval()
    embeds = torch.randn(1, 6, 256)
    conditioned = torch.tensor([[0.0, 0, 0, 1, 1, 1]])
    plain = model(embeds)
    steered = model(embeds, torch.ones(1, 2, 256), conditioned)
    torch.testing.assert_close(plain[:, :3], steered[:, :3])
    assert not torch.allclose(plain[:, 3:], steered[:, 3:])


def test_rope_turns_neighbouring_pairs_and_keeps_relative_angles() -> None:
    config = LanguageConfig()
    cos, sin = rope_tables(config, 32)
    x = torch.randn(1, 1, 1, config.head_dim)
    turned = rotate(x.expand(-1, -1, 32, -1), cos, sin)
    torch.testing.assert_close(turned[..., 0, :], x[..., 0, :])  # position 0 is not turned
    product = turned @ turned.transpose(-1, -2)
    torch.testing.assert_close(product[0, 0, 3, 5], product[0, 0, 20, 22], atol=1e-4, rtol=1e-4)
    # Interleaved: the first two numbers are one pair, turned by one radian per position.
    a, b = x[0, 0, 0, 0], x[0, 0, 0, 1]
    torch.testing.assert_close(turned[0, 0, 1, 0], a * cos[1, 0] - b * sin[1, 0])


@pytest.mark.parametrize("lost", range(6))
def test_what_a_missing_channel_of_motion_holds_changes_nothing(lost: int) -> None:
    torch.manual_seed(0)
    network = build(EncoderConfig("imu", 5)).eval()
    x, mask = torch.randn(3, 100, 6), torch.ones(3, 6)
    mask[:, lost] = 0
    other = x.clone()
    other[..., lost] = 50.0
    with torch.no_grad():
        one, two, told = network(x, mask), network(other, mask), network(other, torch.ones(3, 6))
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a, b)
    assert not torch.allclose(one.logits, told.logits)


def test_each_channel_is_normalised_by_itself_unless_all_share_a_scale() -> None:
    torch.manual_seed(0)
    x = torch.randn(400, 5, 2) * torch.tensor([1.0, 20.0]) + torch.tensor([0.0, 100.0])
    apart, shared = Normalise(2), Normalise(2)
    apart.fit(x, shared=False)
    shared.fit(x, shared=True)
    out = apart(x, torch.ones(400, 2))
    torch.testing.assert_close(out.mean((0, 1)), torch.zeros(2), atol=0.05, rtol=0)
    torch.testing.assert_close(out.std((0, 1)), torch.ones(2), atol=0.05, rtol=0)
    assert shared.scale[0] == shared.scale[1]
    assert shared.mean[0] == shared.mean[1]

"""The adapter and the language model: any subset of slots works, and the gates start closed."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from export.networks.adapter import TASKS, Adapter, AdapterConfig
from export.networks.language import LanguageConfig, LanguageModel, rope_tables, rotate

CONFIG = AdapterConfig(
    slots=(("imu_phone", 10), ("imu_watch", 10), ("audio", 13)),
    heads=(("activity_recognition", 5), ("event_detection", 11)),
    n_embd=256,
    n_layer=3,
)


@pytest.fixture
def adapter():
    torch.manual_seed(0)
    return Adapter(CONFIG).eval()


def inputs(batch: int):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(batch, 33, 128, generator=generator)
    pooled = torch.randn(batch, 3, 128, generator=generator)
    return tokens, pooled, torch.full((batch,), TASKS.index("dialog"))


def test_what_an_absent_slot_holds_changes_nothing(adapter) -> None:
    tokens, pooled, task = inputs(4)
    mask = torch.tensor([[1.0, 0.0, 1.0]] * 4)
    one = adapter(tokens, pooled, mask, task)
    tokens[:, 10:20], pooled[:, 1] = 99.0, -99.0
    two = adapter(tokens, pooled, mask, task)
    for a, b in ((one.soft, two.soft), (one.alpha, two.alpha), (one.zbar, two.zbar)):
        torch.testing.assert_close(a, b)
    assert (one.alpha[:, 1] == 0).all()


def test_the_weights_of_present_slots_sum_to_one_and_to_zero_without_any(adapter) -> None:
    tokens, pooled, task = inputs(2)
    mask = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    alpha = adapter(tokens, pooled, mask, task).alpha
    torch.testing.assert_close(alpha.sum(1), torch.tensor([1.0, 0.0]))


def test_the_present_slots_and_the_task_do_change_the_output(adapter) -> None:
    tokens, pooled, task = inputs(2)
    both = adapter(tokens, pooled, torch.ones(2, 3), task)
    fewer = adapter(tokens, pooled, torch.tensor([[1.0, 0.0, 1.0]] * 2), task)
    other = adapter(tokens, pooled, torch.ones(2, 3), task * 0)
    assert not torch.allclose(both.soft, fewer.soft)
    assert not torch.allclose(both.soft, other.soft)


def test_control_vectors_start_at_zero_and_open_with_their_gate(adapter) -> None:
    tokens, pooled, task = inputs(2)
    assert (adapter(tokens, pooled, torch.ones(2, 3), task).control == 0).all()
    with torch.no_grad():
        adapter.control_gate.fill_(0.5)
    assert (adapter(tokens, pooled, torch.ones(2, 3), task).control != 0).any()


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

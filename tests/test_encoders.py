"""Encoder networks and their training: shapes, export, seeds, resuming, masks of the fused heads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Generator, nn

from export import train_encoders, train_fused
from export.datasets.augment import Batch
from export.networks.encoders import AUDIO_SHAPE, IMU_SHAPE, EncoderConfig, EncoderOutput, build
from export.train_encoders import TrainOptions, encode, load_encoder, macro_f1, train_encoder

CONFIGS = [
    (EncoderConfig("imu", 5), IMU_SHAPE, 10),
    (EncoderConfig("audio", 11), AUDIO_SHAPE, 13),
]
TINY = TrainOptions(epochs=2, steps_per_epoch=2, batch=8, rate=1e-3)


class TwoLevels:
    """A source in which the label is the sign of the acceleration."""

    def draw(self, n: int, generator: Generator) -> Batch:
        label = torch.randint(0, 2, (n,), generator=generator)
        x = torch.randn(n, 1, *IMU_SHAPE, generator=generator)
        x[:, 0, :, :3] += 10.0 * (2 * label - 1)[:, None, None]
        return Batch(x, torch.nn.functional.one_hot(label, 5).float(), torch.arange(n))


@pytest.mark.parametrize(("config", "shape", "tokens"), CONFIGS)
def test_shapes_and_size(config: EncoderConfig, shape: tuple[int, int], tokens: int) -> None:
    network = build(config).eval()
    output = network(torch.randn(3, *shape))
    assert output.tokens.shape == (3, tokens, 128)
    assert output.pooled.shape == (3, 128)
    assert output.logits.shape == (3, config.labels)
    assert sum(p.numel() for p in network.parameters()) < 400_000


@pytest.mark.parametrize(("config", "shape", "tokens"), CONFIGS)
def test_exports_to_onnx_with_a_free_batch(
    config: EncoderConfig, shape: tuple[int, int], tokens: int, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network, path = build(config).eval(), tmp_path / "encoder.onnx"
    torch.onnx.export(
        network, (torch.randn(2, *shape),), str(path), input_names=["x"],
        output_names=["tokens", "pooled", "logits"], dynamic_axes={"x": {0: "batch"}}, dynamo=False,
    )  # fmt: skip
    x = 2 * torch.randn(3, *shape)
    found = onnxruntime.InferenceSession(str(path)).run(None, {"x": x.numpy()})
    assert found[0].shape == (3, tokens, 128)
    for one, other in zip(found, network(x), strict=True):
        assert np.allclose(one, other.detach().numpy(), atol=1e-4)


def _train(path: Path, options: TrainOptions = TINY) -> nn.Module:
    return train_encoder("imu_phone", TwoLevels(), path, options)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path: Path) -> None:
    a, b = _train(tmp_path / "a.pt"), _train(tmp_path / "b.pt")
    other = _train(tmp_path / "c.pt", replace(TINY, seed=1))
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert not all(torch.equal(x, y) for x, y in zip(a.parameters(), other.parameters(), strict=True))


class Interrupted(TwoLevels):
    """The same source, whose power fails after some batches."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def draw(self, n: int, generator: Generator) -> Batch:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().draw(n, generator)


def test_an_interrupted_training_continues_to_the_same_weights(tmp_path: Path) -> None:
    whole = _train(tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        train_encoder("imu_phone", Interrupted(3), tmp_path / "cut.pt", TINY)
    assert not (tmp_path / "cut.pt").exists()
    continued = _train(tmp_path / "cut.pt")
    assert all(torch.equal(x, y) for x, y in zip(whole.parameters(), continued.parameters(), strict=True))
    assert (tmp_path / "cut.png").exists()
    assert not (tmp_path / "cut.partial").exists()


def test_it_learns_what_can_be_learned(tmp_path: Path) -> None:
    options = TrainOptions(epochs=6, steps_per_epoch=12, batch=32, rate=3e-3, ema=0.8)
    network = _train(tmp_path / "encoder.pt", options)
    batch = TwoLevels().draw(200, Generator().manual_seed(9))
    right = encode(network, batch.x[:, 0]).logits.argmax(1) == batch.target.argmax(1)
    assert right.float().mean() > 0.95


def test_a_saved_encoder_is_the_trained_one(tmp_path: Path) -> None:
    network = _train(tmp_path / "encoder.pt")
    x = torch.randn(4, *IMU_SHAPE)
    assert torch.equal(encode(network, x).logits, encode(load_encoder(tmp_path / "encoder.pt"), x).logits)


def test_macro_f1_is_the_mean_over_classes() -> None:
    label, predicted = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 1])
    assert macro_f1(label, predicted, 5) == pytest.approx((0.8 + 2 / 3) / 2)


def _outputs(n: int, tokens: int, labels: int, seed: int) -> EncoderOutput:
    g = Generator().manual_seed(seed)
    return EncoderOutput(
        torch.randn(n, tokens, 128, generator=g),
        torch.randn(n, 128, generator=g),
        torch.randn(n, labels, generator=g),
    )


def _pools() -> tuple[train_fused.Pool, train_fused.Pool]:
    slots = {"imu_phone": _outputs(32, 10, 5, 1), "imu_watch": _outputs(32, 10, 5, 2)}
    imu = train_fused.Pool(slots, torch.eye(5)[torch.arange(32) % 5], torch.arange(32))
    audio = train_fused.Pool(
        {"audio": _outputs(32, 13, 11, 3)}, torch.eye(11)[torch.arange(32) % 11], torch.arange(32)
    )
    return imu, audio


def test_an_absent_slot_has_no_effect_on_the_fused_head(tmp_path: Path) -> None:
    imu, audio = _pools()
    options = train_fused.FusedOptions(steps=25, batch=16)
    adapter, losses = train_fused.train_adapter(imu, audio, options)
    with_watch = imu.slots | audio.slots
    without = {"imu_phone": imu.slots["imu_phone"]}
    a, alpha = train_fused.fused_logits(adapter, with_watch, ("imu_phone",), train_fused.ACTIVITY)
    b, _ = train_fused.fused_logits(adapter, without, ("imu_phone",), train_fused.ACTIVITY)
    assert torch.allclose(a, b, atol=1e-5)
    assert torch.allclose(alpha, torch.tensor([[1.0, 0.0, 0.0]]).expand(32, -1), atol=1e-6)
    both, _ = train_fused.fused_logits(adapter, with_watch, ("imu_phone", "imu_watch"), train_fused.ACTIVITY)
    assert not torch.allclose(a, both, atol=1e-3)
    path = tmp_path / "adapter.pt"
    train_fused.save_adapter(path, adapter, options, losses)
    loaded, _ = train_fused.fused_logits(
        train_fused.load_adapter(path), without, ("imu_phone",), train_fused.ACTIVITY
    )
    assert torch.equal(b, loaded)


def test_a_head_is_not_trained_where_nothing_can_know() -> None:
    adapter = train_fused.Adapter(
        train_fused.AdapterConfig(slots=train_fused.SLOT_TOKENS, heads=train_fused.HEADS)
    )
    imu, audio = _pools()
    tokens, pooled = train_fused.adapter_inputs(imu.slots | audio.slots)
    mask, row = torch.zeros(32, 3), torch.full((32,), train_fused.ROWS[2])
    targets = {train_fused.ACTIVITY: imu.target, train_fused.EVENT: audio.target}
    options = train_fused.FusedOptions(gate_entropy=0.0)
    loss = train_fused.loss_of(adapter(tokens, pooled, mask, row), targets, mask, row, options)
    assert loss.item() == 0.0
    mask[:, 2] = 1.0
    loss = train_fused.loss_of(adapter(tokens, pooled, mask, row), targets, mask, row, options)
    assert loss.item() > 0.0


def test_every_subset_of_slots_occurs_in_training() -> None:
    mask = train_fused.random_mask(4000, train_fused.FusedOptions(), Generator().manual_seed(0))
    subsets, counts = mask.unique(dim=0, return_counts=True)
    assert len(subsets) == 8
    assert counts.min() > 40


def test_options_differ_by_modality_only() -> None:
    assert train_encoders.options_of("imu_phone") == train_encoders.options_of("imu_watch")
    assert train_encoders.config_of("audio").labels == 11

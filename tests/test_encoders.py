"""The encoders of motion and sound and their training: shapes, export, seeds, resuming."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Generator, nn

from export import train_encoders
from export.datasets.augment import Batch
from export.networks.encoders import AUDIO_SHAPE, IMU_SHAPE, EncoderConfig, build
from export.scores import macro_f1
from export.train_encoders import TrainOptions, encode, load_encoder, train_encoder

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
    assert (tmp_path / "cut.csv").read_text() == (tmp_path / "whole.csv").read_text()
    assert len((tmp_path / "cut.csv").read_text().splitlines()) == 1 + TINY.epochs
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
    assert macro_f1(label.numpy(), predicted.numpy(), 5) == pytest.approx((0.8 + 2 / 3) / 2)


def test_options_differ_by_modality_only() -> None:
    assert train_encoders.options_of("imu_phone") == train_encoders.options_of("imu_watch")
    assert train_encoders.config_of("audio").labels == 11

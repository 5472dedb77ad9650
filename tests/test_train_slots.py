"""Training of the slots' encoders: every kind learns, copes with what is missing, and is what it exports."""

from __future__ import annotations

from functools import cache
from math import prod
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")

from torch import Generator, nn

from export import onnx_writer, slot_folds, train_slots
from export.catalog import HEADS, SLOTS, EncoderKind, HeadSpec, SlotSpec, trained_here
from export.datasets.common import Samples
from export.novelty import Novelty
from export.train_slots import HeadData, Scaling, SlotOptions, SlotTrainer, as_steps, load_slot, predict, vary

SHAPES: dict[EncoderKind, tuple[int, ...]] = {
    "series": (8, 3), "track": (13, 2), "vector": (1, 6), "scan": (2, 36), "grid": (4, 4, 4, 1, 1),
}  # fmt: skip
TOKENS = {"series": 8, "track": 12, "vector": 4, "scan": 12, "grid": 4}
KINDS = list(SHAPES)
HEAD = HeadSpec("toy", "", ("toy",), "", "", "", "the toy", {"a": "a", "b": "b", "c": "c"})
NUMBERS = HeadSpec("toy", "", ("toy",), "", "", "", "the toy", numbers=("x_m", "y_m"))


def slot_of(kind: EncoderKind, **varied: float) -> SlotSpec:
    return SlotSpec("toy", "", "", "the toy", kind, SHAPES[kind], 1.0, **varied)  # type: ignore[arg-type]


def size_of(kind: EncoderKind) -> tuple[int, int]:
    shape = SHAPES[kind]
    return (shape[0], prod(shape[1:4]) + shape[4]) if kind == "grid" else (shape[0], shape[1])


def toy(kind: EncoderKind, n: int, seed: int) -> Samples:
    """Three classes: of a track by its speed, of a scan or grid by place, else by the first channel."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, n)
    x = random.normal(0, 1, (n, *size_of(kind)))
    if kind == "track":
        x = np.cumsum(np.abs(x) * 5.0 ** y[:, None, None], axis=1)
    elif kind in ("scan", "grid"):
        x = 2 + 0.3 * np.abs(x)
        place = np.arange(x.shape[2]) // 12 if kind == "scan" else np.arange(x.shape[2]) % 4
        x -= 1.5 * (place == y[:, None])[:, None]
    else:
        x[..., 0] = 0.5 * x[..., 0] + 3 * (y - 1)[:, None]
    group = np.arange(n).astype(np.str_)
    return Samples(x.astype(np.float32), y.astype(np.int64), group, group)


@cache
def trained(kind: EncoderKind) -> SlotTrainer:
    data = HeadData.of(HEAD, toy(kind, 300, 0), slice(0, 3))
    trainer = SlotTrainer(slot_of(kind), [data], SlotOptions(steps=50, batch=32, ema=0.9), outputs=3)
    trainer.run(progress=False)
    return trainer


def accuracy(network: nn.Module, samples: Samples) -> float:
    return float((predict(network, samples.x).logits.argmax(1).numpy() == samples.target).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_what_can_be_learned(kind: EncoderKind) -> None:
    trainer = trained(kind)
    assert accuracy(trainer.average, toy(kind, 300, 1)) > 0.8
    assert np.mean(trainer.losses[-10:]) < 0.8 * np.mean(trainer.losses[:5])


@pytest.mark.parametrize("kind", KINDS)
def test_the_outputs_have_the_shapes_that_the_manifest_promises(kind: EncoderKind) -> None:
    network = trained(kind).average
    out = predict(network, toy(kind, 7, 2).x, batch=3)
    assert out.tokens.shape == (7, TOKENS[kind], 128)
    assert network.tokens == TOKENS[kind]
    assert out.pooled.shape == (7, 128)
    assert out.logits.shape == (7, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_missing_channel_holds_changes_nothing(kind: EncoderKind) -> None:
    network = trained(kind).average
    x = torch.from_numpy(toy(kind, 5, 3).x)
    mask = torch.ones(5, x.shape[-1])
    mask[:, -1] = 0
    other = x.clone()
    # A beam says by itself whether it was seen, so that only its distance can be missing.
    other[..., -1] = 7.0 if kind == "scan" else -50.0
    with torch.no_grad():
        one, two, every = network(x, mask), network(other, mask), network(x, torch.ones_like(mask))
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b)
        assert a.isfinite().all()
    assert not torch.allclose(one.logits, every.logits, atol=1e-3), "the mask is not looked at"


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_encoder_is_the_trained_one(kind: EncoderKind, tmp_path: Path) -> None:
    trainer = trained(kind)
    trainer.save(tmp_path / "encoder.pt")
    loaded, scaling = load_slot(tmp_path / "encoder.pt")
    x = toy(kind, 5, 4).x
    for a, b in zip(predict(trainer.average, x), predict(loaded, x), strict=True):
        assert torch.equal(a, b)
    assert scaling == {}
    assert (tmp_path / "encoder.png").stat().st_size > 1000


@pytest.mark.parametrize("kind", KINDS)
def test_the_exported_encoder_is_the_trained_one(kind: EncoderKind, tmp_path: Path) -> None:
    network = onnx_writer.EncoderGraph(trained(kind).average, [Novelty(torch.eye(128), torch.randn(3, 128))])
    path = tmp_path / "encoder.onnx"
    onnx_writer.write_encoder(path, network, size_of(kind))
    x = toy(kind, 5, 5).x
    mask = (np.random.default_rng(0).random((5, x.shape[2])) > 0.2).astype(np.float32)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network(torch.from_numpy(x), torch.from_numpy(mask))
    assert [o.name for o in session.get_outputs()] == list(onnx_writer.ENCODER_OUTPUTS)
    for got, wanted in zip(session.run(None, {"x": x, "mask": mask}), expected, strict=True):
        np.testing.assert_allclose(got, wanted.numpy(), atol=1e-4)


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    data = [HeadData.of(HEAD, toy("vector", 60, 0), slice(0, 3))]
    one, same, other = (
        SlotTrainer(slot_of("vector"), data, SlotOptions(steps=3, batch=8, seed=s), outputs=3).run(
            progress=False
        )
        for s in (0, 0, 1)
    )
    x = toy("vector", 4, 0).x
    assert torch.equal(predict(one, x).logits, predict(same, x).logits)
    assert not torch.equal(predict(one, x).logits, predict(other, x).logits)


# -- numbers -------------------------------------------------------------------------------------------


def test_unknown_numbers_take_no_part_in_the_scaling() -> None:
    nan = float("nan")
    target = torch.tensor([[1.0, nan], [3.0, 10.0], [nan, 30.0]])
    scaling = Scaling.of(target)
    torch.testing.assert_close(scaling.offset, torch.tensor([2.0, 20.0]))
    torch.testing.assert_close(scaling.scale, torch.tensor([1.0, 10.0]))


def test_numbers_that_never_vary_do_not_divide_by_zero() -> None:
    scaling = Scaling.of(torch.tensor([[5.0, float("nan")]] * 3))
    assert scaling.offset.tolist() == [5.0, 0.0]
    assert (scaling.scale > 0).all()


def regression_data(n: int, seed: int) -> Samples:
    """The second number is the first channel in centimetres about 500, and is unknown now and then."""
    samples = toy("vector", n, seed)
    unknown = np.random.default_rng(seed).random((n, 2)) < 0.3
    values = np.stack([samples.x[:, 0, 1], 500 + 100 * samples.x[:, 0, 0]], axis=1)
    return Samples(samples.x, np.where(unknown, np.nan, values), samples.group, samples.recording)


def test_numbers_are_learned_in_their_own_unit_where_some_are_unknown(tmp_path: Path) -> None:
    data = HeadData.of(NUMBERS, regression_data(400, 0), slice(0, 4))
    trainer = SlotTrainer(
        slot_of("vector"), [data], SlotOptions(steps=120, batch=64, rate=4e-3, ema=0.9), outputs=4
    )
    network = trainer.run(progress=False)
    assert np.isfinite(trainer.losses).all()
    trainer.save(tmp_path / "encoder.pt")
    _, saved = load_slot(tmp_path / "encoder.pt")
    assert data.scaling is not None
    assert saved["toy"]["offset"] == pytest.approx(data.scaling.offset.tolist())
    assert saved["toy"]["scale"] == pytest.approx(data.scaling.scale.tolist())
    test = regression_data(300, 1)
    said = (
        np.array(saved["toy"]["offset"])
        + saved["toy"]["scale"] * predict(network, test.x).logits[:, :2].numpy()
    )
    error = np.sqrt(np.nanmean((said - test.target) ** 2, axis=0))
    assert (error < 0.5 * np.nanstd(test.target, axis=0)).all(), error


def test_the_loss_of_numbers_leaves_out_what_is_unknown() -> None:
    nan = float("nan")
    data = HeadData.of(NUMBERS, regression_data(50, 0), slice(1, 5))
    logits = torch.randn(3, 6, generator=Generator().manual_seed(0), requires_grad=True)
    target = torch.tensor([[1.0, nan], [nan, nan], [0.5, 600.0]])
    data.loss(logits, target, 0.0).backward()
    used = logits.grad != 0
    # Columns 1 and 2 are the means, 3 and 4 the log sigmas; 0 and 5 belong to another head.
    assert used.tolist() == [
        [False, True, False, True, False, False],
        [False] * 6,
        [False, True, True, True, True, False],
    ]


def test_two_heads_of_one_slot_are_trained_each_in_its_columns() -> None:
    samples = toy("vector", 200, 0)
    other = Samples(samples.x, (samples.x[:, 0, 2] > 0).astype(np.int64), samples.group, samples.group)
    second = HeadSpec("second", "", ("toy",), "", "", "", "it", {"no": "no", "yes": "yes"})
    data = [HeadData.of(HEAD, samples, slice(0, 3)), HeadData.of(second, other, slice(3, 5))]
    network = SlotTrainer(slot_of("vector"), data, SlotOptions(steps=120, batch=64, ema=0.9), outputs=5).run(
        progress=False
    )
    test = toy("vector", 300, 1)
    logits = predict(network, test.x).logits.numpy()
    assert (logits[:, :3].argmax(1) == test.target).mean() > 0.8
    assert (logits[:, 3:].argmax(1) == (test.x[:, 0, 2] > 0)).mean() > 0.8


# -- what is drawn, and how it is varied ---------------------------------------------------------------


def test_classes_are_drawn_by_the_square_root_of_their_share() -> None:
    x = np.zeros((1000, 1, 6), np.float32)
    y = np.repeat([0, 1], [900, 100])
    data = HeadData.of(HEAD, Samples(x, y, y.astype(np.str_), y.astype(np.str_)), slice(0, 3))
    _, drawn = data.draw(8000, Generator().manual_seed(0))
    assert float((drawn == 1).float().mean()) == pytest.approx(1 / 4, abs=0.02)  # 1 to sqrt(9)


def test_a_single_step_is_repeated_and_no_other() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 1, 3)
    assert as_steps(x, 4).shape == (2, 4, 3)
    assert (as_steps(x, 4) == x).all()
    assert as_steps(x, 0) is x
    assert as_steps(np.ones((2, 2, 3), np.float32), 4).shape == (2, 2, 3)


def test_nothing_is_varied_but_channels_where_the_slot_says_so() -> None:
    x = torch.randn(400, 8, 3, generator=Generator().manual_seed(1))
    same, mask = vary(slot_of("series"), x, Generator().manual_seed(0))
    assert torch.equal(same, x)
    assert ((mask == 0) | (mask == 1)).all()
    assert 0.01 < float((mask == 0).float().mean()) < 0.05  # half of the windows lose 5 %


@pytest.mark.parametrize(("name", "per_row"), [("gain", True), ("drift", True), ("noise", False)], ids=str)
def test_each_variation_varies_what_it_says(name: str, per_row: bool) -> None:
    x = torch.full((500, 8, 3), 2.0)
    varied, _ = vary(slot_of("series", **{name: 0.1}), x, Generator().manual_seed(0))
    inside = float(varied.flatten(1).std(1).mean())
    assert inside == pytest.approx(0.0 if per_row else 0.1, abs=0.01)
    between = float((varied[:, 0, 0] - 2.0).std())
    assert between == pytest.approx(0.2 if name == "gain" else 0.1, rel=0.15)


def test_a_picture_is_moved_by_at_most_its_shift_and_keeps_what_is_beside_it() -> None:
    slot = SlotSpec("toy", "", "", "it", "grid", (2, 6, 5, 1, 1), 1.0, shift=2)
    image = torch.zeros(3, 2, 6, 5)
    image[:, :, 2, 2] = 1.0
    x = torch.cat([image.flatten(2), torch.full((3, 2, 1), 9.0)], dim=-1)
    generator, places = Generator().manual_seed(0), set()
    for _ in range(60):
        moved, _ = vary(slot, x, generator)
        assert (moved[..., -1] == 9.0).all()
        where = {tuple(p) for p in torch.nonzero(moved[0, 0, :-1].view(6, 5)).tolist()}
        places |= where
    assert {row for row, _ in places} == {0, 1, 2, 3, 4}
    assert {column for _, column in places} == {0, 1, 2, 3, 4}


def test_points_are_turned_about_the_picture_and_half_of_the_windows_mirrored() -> None:
    slot = slot_of("vector", turn_deg=30.0, mirror=True)
    points = torch.randn(400, 1, 42)
    turned, _ = vary(slot, points, Generator().manual_seed(0))
    before, after = points.unflatten(-1, (-1, 2)), turned.unflatten(-1, (-1, 2))
    assert torch.allclose(before.norm(dim=-1), after.norm(dim=-1), atol=1e-4), "lengths stay"

    def area(p: torch.Tensor) -> torch.Tensor:
        return p[:, 0, 0, 0] * p[:, 0, 1, 1] - p[:, 0, 0, 1] * p[:, 0, 1, 0]

    mirrored = (area(before) * area(after) < 0).float().mean()
    assert 0.4 < mirrored < 0.6


def test_a_body_is_turned_about_the_vertical() -> None:
    slot = slot_of("series", turn_deg=30.0, axes=3)
    points = torch.randn(50, 4, 9)
    turned, _ = vary(slot, points, Generator().manual_seed(0))
    assert torch.equal(points[..., 1::3], turned[..., 1::3])
    assert not torch.allclose(points[..., 0::3], turned[..., 0::3], atol=0.1)


def test_a_beam_without_an_echo_stays_without_one() -> None:
    x = torch.full((20, 2, 36), 2.0)
    x[:, :, ::3] = 0.0
    varied, _ = vary(slot_of("scan", noise=0.5), x, Generator().manual_seed(0))
    assert (varied[:, :, ::3] == 0).all()
    assert (varied[:, :, 1::3] != 2.0).all()


# -- what a track, a picture and a scan are about --------------------------------------------------------


def test_a_track_has_neither_a_place_nor_a_north() -> None:
    network = trained("track").average
    x = torch.from_numpy(toy("track", 6, 6).x)
    turned = x @ torch.tensor([[0.6, 0.8], [-0.8, 0.6]]) + torch.tensor([300.0, -40.0])
    every = torch.ones(6, 2)
    with torch.no_grad():
        torch.testing.assert_close(
            network(x, every).logits, network(turned, every).logits, atol=2e-2, rtol=1e-2
        )
        assert not torch.allclose(network(x, every).logits, network(2 * x, every).logits, atol=0.05)


def test_a_warmer_room_is_no_person() -> None:
    network = trained("grid").average
    x = torch.from_numpy(toy("grid", 6, 7).x)
    every = torch.ones(6, x.shape[-1])
    with torch.no_grad():
        same = network(x, every).logits
        torch.testing.assert_close(same, network(x + 0.4, every).logits, atol=1e-4, rtol=1e-4)
        x[..., :16] += 0.4  # the picture without what it is relative to
        assert not torch.allclose(same, network(x, every).logits, atol=1e-3)


# -- the command ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["audio", "imu_phone", "nonsense"])
def test_a_slot_that_is_not_trained_here_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train_slots.main([wrong])
    assert wrong in capsys.readouterr().err


def test_without_a_name_all_are_trained_that_are_not_there(tmp_path: Path) -> None:
    for name in trained_here():
        (tmp_path / f"encoder_{name}.pt").write_bytes(b"there")
    train_slots.main(["--folder", str(tmp_path)])
    assert {p.read_bytes() for p in tmp_path.iterdir()} == {b"there"}


def test_the_folds_take_single_steps_as_the_slot_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walls are read from one scan, the encoder of the scanner takes two."""
    monkeypatch.setattr(slot_folds, "OPTIONS", SlotOptions(steps=2, batch=8))
    monkeypatch.setattr(slot_folds, "TREES", 4)
    head = HEADS["walls"]
    walls = slot_folds.Study(SLOTS[head.slots[0]], head)
    reader = walls.head.reader
    samples = reader.generate(40, 0)  # type: ignore[attr-defined]  # a simulator
    assert samples.x.shape[1] == 1 != walls.slot.shape[0]
    fold = reader.folds(samples)[0]
    score = slot_folds._fold(walls.slot, walls.head, samples, fold, 0)
    assert score["test_windows"] == len(fold.test)
    assert set(score) >= {"floor", "encoder", "random_forest"}

"""Calibration: conformal sets that hold the truth, and what is fitted to which rows."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.perception.calibration import probabilities
from export import calibrate as calibration
from export.calibrate import calibrate, conformal_threshold, known_rows, subsets, worst_block
from export.catalog import HEADS
from export.groups import Group
from export.networks.adapter import AdapterConfig, Heads, HeadShape
from export.networks.encoders import EncoderOutput
from export.train_slots import Scaling

SHAPES = tuple(HeadShape(n, HEADS[n].width, HEADS[n].slots, HEADS[n].regression) for n in ("hand", "gaze"))
CONFIG = AdapterConfig(slots=(("pose_hand", 4), ("gaze", 4)), heads=SHAPES)
SCALING = {"gaze": Scaling(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))}


def synthetic(n: int, labels: int, skill: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n,labels) that lean to the truth (n,), and the truth."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, labels, n)
    logits = random.normal(0, 1, (n, labels))
    logits[np.arange(n), truth] += skill
    return probabilities(logits.astype(np.float32)), truth


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(60, 400),
    labels=st.integers(2, 11),
    skill=st.floats(0, 4),
    coverage=st.sampled_from([0.6, 0.8, 0.9, 0.95]),
    seed=st.integers(0, 10_000),
)
def test_the_sets_hold_the_truth_as_often_as_was_asked(
    n: int, labels: int, skill: float, coverage: float, seed: int
) -> None:
    p, truth = synthetic(n, labels, skill, seed)
    threshold = conformal_threshold(p, truth, coverage)
    inside = p[np.arange(n), truth] >= threshold
    assert inside.mean() >= coverage, "on what it was fitted to"
    # The guarantee over fresh windows is on average; four deviations of one fit around it.
    fresh, fresh_truth = synthetic(4000, labels, skill, seed + 1)
    held = (fresh[np.arange(4000), fresh_truth] >= threshold).mean()
    slack = 4 * np.sqrt(coverage * (1 - coverage) * (1 / n + 1 / 4000))
    assert coverage - slack <= held <= coverage + slack + 2 / n


def test_every_block_of_the_validation_part_is_covered_and_not_only_the_whole() -> None:
    easy, hard = synthetic(400, 5, 4.0, 1), synthetic(100, 5, 1.0, 2)
    p, truth = (np.concatenate([a, b]) for a, b in zip(easy, hard, strict=True))
    own = p[np.arange(500), truth]
    assert (own[400:] >= conformal_threshold(p, truth, 0.9)).mean() < 0.8
    assert (own[400:] >= worst_block(p, truth, 1)).mean() >= 0.9
    twice = worst_block(np.tile(p, (2, 1)), np.tile(truth, 2), 2)
    assert (own[400:] >= twice).mean() >= 0.9, "rows of both choices belong to one block"


def test_on_average_fresh_windows_are_covered() -> None:
    held = []
    for seed in range(200):
        p, truth = synthetic(49, 4, 1.5, seed)
        fresh, fresh_truth = synthetic(200, 4, 1.5, 1000 + seed)
        own = fresh[np.arange(200), fresh_truth]
        held.append((own >= conformal_threshold(p, truth, 0.9)).mean())
    assert 0.895 < np.mean(held) < 0.93


def test_too_few_windows_exclude_nothing() -> None:
    p, truth = synthetic(5, 3, 2.0, 0)
    assert conformal_threshold(p, truth, 0.9) == 0.0


def test_a_better_reader_has_smaller_sets() -> None:
    sizes = []
    for skill in (0.0, 2.0, 5.0):
        p, truth = synthetic(500, 6, skill, 0)
        sizes.append(float((p >= conformal_threshold(p, truth, 0.9)).sum(1).mean()))
    assert sizes[0] > sizes[1] > sizes[2]


def test_every_way_to_be_present_is_tried_but_none() -> None:
    assert list(subsets(("a",))) == [("a",)]
    assert list(subsets(("a", "b"))) == [("a",), ("b",), ("a", "b")]
    assert len(list(subsets(("a", "b", "c")))) == 7


def groups(sure: float = 4.0, n: int = 600) -> dict[str, Group]:
    """Rows of three splits. On validation one in five of the hand's logits is wrong; training is perfect."""
    g = torch.Generator().manual_seed(0)
    split, truth = torch.arange(n) % 3, torch.randint(3, (n,), generator=g)
    wrong = (torch.rand(n, generator=g) < 0.2) & (split == 1)
    said = torch.where(wrong, (truth + 1) % 3, truth)
    logits = sure * torch.nn.functional.one_hot(said, 3) + 0.1 * torch.randn(n, 3, generator=g)
    numbers = torch.randn(n, 2, generator=g)
    numbers[::7, 0] = float("nan")
    numbers[::21] = float("nan")
    eyes = torch.cat([numbers.nan_to_num() + 0.5 * torch.randn(n, 2, generator=g), torch.zeros(n, 2)], dim=1)
    target = truth.clone()
    target[::10] = -1
    scaled = numbers * SCALING["gaze"].scale + SCALING["gaze"].offset

    def output(logits: torch.Tensor) -> EncoderOutput:
        return EncoderOutput(torch.zeros(n, 4, 128), torch.zeros(n, 128), logits)

    return {
        "pose_hand": Group.of({"pose_hand": output(logits)}, {"hand": target}, split),
        "gaze": Group.of({"gaze": output(eyes)}, {"gaze": scaled}, split),
    }


def test_only_known_rows_of_the_split_are_fitted_to() -> None:
    found = groups()
    rows = known_rows(found["pose_hand"], "hand", 1)
    assert (found["pose_hand"].split[rows] == 1).all()
    assert (found["pose_hand"].targets["hand"][rows] >= 0).all()
    assert len(rows) == 180  # 200 of the split, every tenth unknown
    numbers = known_rows(found["gaze"], "gaze", 1)
    assert not found["gaze"].targets["gaze"][numbers].isnan().all(1).any()
    assert found["gaze"].targets["gaze"][numbers].isnan().any(), "one of two numbers may be unknown"


@pytest.fixture(scope="module")
def fitted() -> dict[str, dict]:
    return calibrate(Heads(CONFIG).eval(), groups(), SCALING)


def test_a_head_that_is_too_sure_is_cooled_down(fitted: dict[str, dict]) -> None:
    hand = fitted["hand"]
    assert hand["validation_windows"] == 180
    assert hand["validation_accuracy"] == pytest.approx(0.8, abs=0.08)
    assert hand["temperature"] > 1.3, "it says 0.96 and is right four times in five"
    assert hand["validation_ece"] < 0.05
    assert hand["threshold"] <= calibration.LARGEST_THRESHOLD
    assert 0 < hand["conformal"] < 0.5


def test_fitted_on_training_rows_it_would_look_perfect() -> None:
    assert calibrate(Heads(CONFIG).eval(), groups(), SCALING, split=0)["hand"]["validation_accuracy"] == 1.0


def test_a_sigma_that_is_too_wide_is_narrowed(fitted: dict[str, dict]) -> None:
    gaze = fitted["gaze"]
    assert (gaze["offset"], gaze["scale"]) == ([1.0, 2.0], [3.0, 4.0])
    assert gaze["sigma_factor"] == pytest.approx(0.5, rel=0.12)  # sigma said 1, the error was 0.5
    assert gaze["validation_rmse"] == pytest.approx(0.5 * np.sqrt(12.5), rel=0.15)


def test_a_very_sure_head_keeps_its_truth_in_the_set() -> None:
    found = groups(sure=30.0)
    sure = calibrate(Heads(CONFIG).eval(), found, SCALING, split=2)["hand"]
    assert sure["conformal"] <= 1.0
    rows = known_rows(found["pose_hand"], "hand", 2)
    p = probabilities(found["pose_hand"].slots["pose_hand"].logits[rows].numpy(), sure["temperature"])
    own = p[np.arange(len(p)), found["pose_hand"].targets["hand"][rows].numpy()]
    assert (own >= sure["conformal"]).mean() >= 0.9


def test_a_split_without_windows_is_named() -> None:
    found = groups()
    found["pose_hand"] = found["pose_hand"].part(0)
    with pytest.raises(ValueError, match="no validation windows of hand"):
        calibrate(Heads(CONFIG).eval(), found, SCALING)

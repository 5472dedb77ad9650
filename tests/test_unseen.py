"""Leaving a class out: training never meets it, and what is scored holds it whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from export import report, unseen
from export.datasets import esc10, phone_watch_imu
from export.datasets.esc10 import Clip
from export.datasets.phone_watch_imu import WINDOW, Execution
from export.train_encoders import TrainOptions

LABELS = phone_watch_imu.INFO.labels
SUBJECTS = ("s01", "s02", "s03", "s04", "s07", "s12", "s16")
QUICK = TrainOptions(epochs=2, steps_per_epoch=15, batch=32, rate=3e-3, ema=0.8)


def execution(subject: str, labels: np.ndarray) -> Execution:
    """Motion whose speed of shaking is the class."""
    t = np.arange(len(labels)) / 100
    x = (
        np.sin(2 * np.pi * np.cumsum(1 + 3 * labels) / 100)[:, None] * np.ones(6)
        + 0.1 * np.sin(7 * t)[:, None]
    )
    return Execution(subject, subject, np.stack([x, x]).astype(np.float32), labels.astype(np.int64))


def recorded(subjects: tuple[str, ...] = SUBJECTS) -> list[Execution]:
    return [execution(s, np.repeat(np.arange(5), 230)) for s in subjects]


@settings(max_examples=40, deadline=None)
@given(
    runs=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 250)), min_size=1, max_size=6),
    k=st.integers(0, 4),
)
def test_pieces_hold_all_whole_windows_without_the_class(runs: list[tuple[int, int]], k: int) -> None:
    whole = execution("s02", np.concatenate([np.full(n, label) for label, n in runs]))
    pieces = unseen.pieces_without(whole, k)
    assert all((p.label != k).all() and p.x.shape[1] == len(p.label) >= WINDOW for p in pieces)
    pure = [i for i in range(len(whole.label) - WINDOW + 1) if (whole.label[i : i + WINDOW] != k).all()]
    assert sum(len(p.label) - WINDOW + 1 for p in pieces) == len(pure)


def test_a_source_without_a_class_draws_shares_of_the_others() -> None:
    study = unseen.motion(recorded(), "imu_watch", 2)
    batch = study.source.draw(200, torch.Generator().manual_seed(0))
    assert batch.target.shape == (200, 4)
    torch.testing.assert_close(batch.target.sum(1), torch.ones(200))
    assert set(batch.target.argmax(1).tolist()) == {0, 1, 2, 3}


def test_a_source_that_does_show_the_class_is_found_out() -> None:
    shows = unseen.motion(recorded(), "imu_phone", 2).source.source
    with pytest.raises(AssertionError, match="left out"):
        unseen.Without(shows, 1).draw(50, torch.Generator().manual_seed(0))


def test_windows_that_are_of_the_class_in_part_are_not_scored() -> None:
    labels = np.repeat([0, 3, 1], [200, 130, 200])
    found = unseen.motion_windows([execution("s01", labels)], 0, 3)
    starts = [0, 50, 100, 200, 250, 350, 400]  # at 150 the class has 50 of 100, at 300 it has 30
    expected = [0, 0, 0, 3, 3, 1, 1]
    expected.insert(3, 3)
    assert found.label.tolist() == expected
    assert found.x.shape == (len(starts) + 1, WINDOW, 6)
    assert found.unknown(3).sum() == 3


def test_nobody_is_both_trained_on_and_scored() -> None:
    marked = [Execution(e.name, e.subject, e.x * 0 + int(e.subject[1:]), e.label) for e in recorded()]
    study = unseen.motion(marked, "imu_phone", 0)
    people = {name: set(w.x[:, 0, 0].int().tolist()) for name, w in study.parts.items()}
    assert people == {"validation": {7, 16}, "test": {1, 12}}
    assert set(study.seen.x[:, 0, 0].int().tolist()) == {2, 3, 4}
    assert not study.seen.unknown(0).any()


def test_sounds_are_left_out_of_training_and_met_in_the_folds_that_are_scored() -> None:
    random = np.random.default_rng(0)
    clips = [
        Clip(f"{label}-{fold}", random.standard_normal(esc10.CLIP).astype(np.float32) * 0.1, label, fold)
        for label in range(3)
        for fold in (1, 4, 5)
    ]
    study = unseen.sound(clips, 1)
    assert set(study.seen.label.tolist()) == {0, 2}
    assert all(w.unknown(1).any() and not w.unknown(1).all() for w in study.parts.values())
    assert study.source.draw(8, torch.Generator().manual_seed(0)).target.shape == (8, 10)


def test_auroc_of_what_tells_all_nothing_and_the_wrong_way_round() -> None:
    unknown = np.array([False, False, True, True])
    assert unseen.auroc(np.array([0.0, 1.0, 2.0, 3.0]), unknown) == 1.0
    assert unseen.auroc(np.zeros(4), unknown) == 0.5
    assert unseen.auroc(np.array([3.0, 2.0, 1.0, 0.0]), unknown) == 0.0


def test_a_class_unlike_all_others_is_told_and_a_second_run_trains_nothing(tmp_path: Path) -> None:
    study = unseen.motion(recorded(), "imu_phone", 4)
    found = unseen.run("imu_phone", study, 4, tmp_path, QUICK)
    (path,) = tmp_path.glob("*.pt")
    written = path.stat().st_mtime_ns
    assert found["left_out"] == "walking"
    assert found["auroc"] == found["scores"]["shipped"]["test"]
    assert set(found["scores"]) == {"energy", "max_probability", "mahalanobis", "larger", "shipped", "cosine"}
    assert found["scores"]["shipped"] == found["scores"]["larger"], "of motion nothing else ships"
    assert found["scores"]["shipped"]["test"] > 0.9
    again = unseen.run("imu_phone", study, 4, tmp_path, QUICK)
    assert again["scores"] == found["scores"]
    assert path.stat().st_mtime_ns == written
    assert unseen.means([found, again])["imu_phone"]["shipped"]["test"] == found["auroc"]
    assert "walking" in report._unseen([found])


def write_published(root: Path) -> None:
    """The recordings in the format of the set."""
    folder = root / phone_watch_imu.INFO.name
    folder.mkdir(parents=True)
    x, t_ms, label, recording, names = [], [], [], [], []
    for e in recorded():
        for device in (0, 1):
            x.append(e.x[device])
            t_ms.append(10 * np.arange(len(e.label)))
            label.append(e.label.astype(np.int8))
            recording.append(np.full(len(e.label), len(names)))
            names.append(f"{e.subject}_01_{('sp', 'sw')[device]}")
    np.savez(
        folder / "data.npz", x=np.concatenate(x), t_ms=np.concatenate(t_ms), label=np.concatenate(label),
        recording=np.concatenate(recording), recordings=names, labels=LABELS,
    )  # fmt: skip


def test_the_command_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_published(tmp_path / "data")
    monkeypatch.setenv("EDGE_AGENT_DATA", str(tmp_path / "data"))
    runs = tmp_path / "runs"
    for k in (3, 4):  # encoders that an interrupted run has left
        unseen.run("imu_phone", unseen.motion(recorded(), "imu_phone", k), k, runs, replace(QUICK, epochs=1))
    asked = ["imu_phone", "--folder", str(runs), "--classes", "turning"]
    unseen.main(asked)
    unseen.main([*asked, "walking"])
    results = json.loads((runs / "results.json").read_text())
    assert [r["left_out"] for r in results] == ["turning", "walking"]
    assert {r["set"] for r in results} == {"imu_phone"}
    assert capsys.readouterr().out.count('"left_out": "turning"') == 1
    with pytest.raises(SystemExit):
        unseen.main(["lidar"])

"""Nobody, and no sound, that the shipped model is judged or calibrated on was ever trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from export import evaluate, readers, shipped_features, slot_features
from export.catalog import HEADS, SLOTS
from export.datasets import esc10, phone_watch_imu
from export.datasets.esc10 import Clip
from export.datasets.phone_watch_imu import Execution
from export.networks.encoders import EncoderConfig, EncoderOutput, build
from export.readers import Case, Reading, log_probabilities
from export.shipped_features import TEST, TRAIN, VALIDATION
from export.train_encoders import shipped_clips, shipped_people
from tests.test_datasets_rooms import write_occupancy

PEOPLE = ("s01", "s02", "s07", "s12", "s16", "s20")
PART = {"s01": TEST, "s12": TEST, "s07": VALIDATION, "s16": VALIDATION, "s02": TRAIN, "s20": TRAIN}


def recorded() -> list[Execution]:
    """An execution of two seconds of each; every value is the person's number."""
    label = np.zeros(200, np.int64)
    return [Execution(p, p, np.full((2, 200, 6), float(p[1:]), np.float32), label) for p in PEOPLE]


def sounds() -> list[Clip]:
    noise = np.random.default_rng(0).normal(0, 0.1, esc10.CLIP).astype(np.float32)
    return [Clip(f"clip {fold}", noise, 0, fold) for fold in range(1, 6)]


def test_the_encoder_of_motion_learns_of_nobody_who_is_held_back() -> None:
    train, validation = shipped_people(recorded())
    assert {e.subject for e in train} == {p for p, part in PART.items() if part == TRAIN}
    assert {e.subject for e in validation} == {p for p, part in PART.items() if part == VALIDATION}


def test_the_encoder_of_sounds_learns_of_three_folds() -> None:
    train, validation = shipped_clips(sounds())
    assert {c.fold for c in train} == {1, 2, 3}
    assert {c.fold for c in validation} == {4}


def test_features_of_motion_are_stored_under_the_part_of_their_person() -> None:
    encoders = {s: build(EncoderConfig("imu", 5)).eval() for s in phone_watch_imu.SLOTS}
    arrays = shipped_features.imu_part(recorded(), encoders, seed=0)
    found = {(str(p), int(part)) for p, part in zip(arrays["imu_subject"], arrays["imu_split"], strict=True)}
    assert found == {*PART.items(), ("simulated", TRAIN)}
    assert (arrays["imu_simulated"] == (arrays["imu_subject"] == "simulated")).all()


def test_features_of_sounds_are_stored_under_the_part_of_their_fold() -> None:
    class Silent(torch.nn.Module):
        def forward(self, x, _mask=None):
            n = len(x)
            return EncoderOutput(torch.zeros(n, 13, 128), torch.zeros(n, 128), torch.zeros(n, 11))

    arrays = shipped_features.audio_part(sounds(), Silent(), seed=0)
    found = {(str(c), int(part)) for c, part in zip(arrays["audio_clip"], arrays["audio_split"], strict=True)}
    train = {(f"clip {fold}", TRAIN) for fold in (1, 2, 3)}
    assert found == {*train, ("clip 4", VALIDATION), ("clip 5", TEST), ("simulated", TRAIN)}


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_occupancy(tmp_path)
    path = tmp_path / "room_occupancy" / "datatraining.txt"
    _, *lines = path.read_text().splitlines(keepends=True)
    path.write_text(path.read_text() + "".join(lines).replace("2015-02-04", "2015-02-09"))  # validation
    monkeypatch.setenv("EDGE_AGENT_DATA", str(tmp_path))
    return tmp_path


def test_features_of_a_slot_are_stored_under_the_part_of_its_reader(rooms: Path) -> None:
    slot = SLOTS["air"]
    network = build(EncoderConfig(slot.encoder, 2, shape=slot.shape)).eval()
    arrays = slot_features._slot(slot, network, seed=0)
    reader = HEADS["occupancy"].reader
    samples = reader.load(rooms)
    fold = reader.shipped(samples)
    for part, rows, copies in (
        (TRAIN, fold.train, slot_features.COPIES), (VALIDATION, fold.validation, 1), (TEST, fold.test, 1)
    ):  # fmt: skip
        here = arrays["split"] == part
        assert here.sum() == copies * len(rows) > 0
        assert set(arrays["owner"][here]) == set(samples.group[rows])
        assert sorted(arrays["target_occupancy"][here]) == sorted(np.tile(samples.target[rows], copies))


def test_a_slot_is_judged_on_the_test_part_of_its_reader(rooms: Path) -> None:
    head = HEADS["occupancy"]
    samples = head.reader.load(rooms)
    test = samples[head.reader.shipped(samples).test]
    cases = readers.cases_of(head, rooms)
    assert [c.group for c in cases] == test.group.tolist()
    assert [c.truth for c in cases] == test.target.tolist()
    assert np.array_equal(np.stack([c.values["air"] for c in cases]), test.x)


def test_sounds_are_judged_by_clip_and_among_the_official_classes() -> None:
    said = np.full((3, 11), 0.01, np.float32)
    said[:, esc10.SILENCE] = 0.9
    said[0, 2], said[1, 3], said[2, 3] = 0.05, 0.03, 0.06
    cases = [Case({}, 2, "a"), Case({}, 3, "b"), Case({}, 3, "b")]
    predicted, truth = readers.decided(log_probabilities(said), cases, "event_detection")
    assert (predicted.tolist(), truth.tolist()) == ([2, 3], [2, 3])


@pytest.mark.parametrize(("condition", "kind"), [("hand", "real"), ("nearby", "simulated")])
def test_a_score_says_of_what_kind_its_windows_are(condition: str, kind: str) -> None:
    labels = len(HEADS[condition].labels)
    sure = log_probabilities(np.eye(labels))
    wrong = np.roll(sure, 1, axis=0)
    found = [
        Reading(Case({}, i, str(i)), sure[i], wrong[i], sure[i], None)  # type: ignore[arg-type]  # not read
        for i in range(labels)
    ]
    scores = {r: evaluate.score(found, r, condition) for r in evaluate.READERS}
    assert {s.kind for s in scores.values()} == {kind}
    assert {r: s.accuracy for r, s in scores.items()} == {"encoder": 1.0, "fused": 0.0, "language": 1.0}
    assert {s.samples for s in scores.values()} == {labels}

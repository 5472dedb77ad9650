"""The curves: what was not changed scores as it did; what is no business of a head changes nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from edge_agent.perception.pipeline import Pipeline
from export import curve_inputs, curve_plots, curve_ratios, curve_rows, curve_shots, curves
from export.catalog import ACTIVITY, EVENT, HEADS
from export.curve_rows import Row, Settings
from export.datasets import room_thermal_array
from export.datasets.common import Fold, Samples
from export.groups import Group
from export.networks.encoders import EncoderOutput
from export.readers import Case
from tests import random_model

SETTINGS = Settings(windows=6, pool=4, subsets=12)


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline(random_model.shared(random_model.WIDE).folder)


def cases(*slots, count=6, classes=2, numbers=0):
    """Windows of noise with truths in turn."""
    made = [random_model.window(*slots, seed=i) for i in range(count)]
    return [
        Case(
            {s: w.slots[s].values for s in slots}, -1 if numbers else i % classes, f"group {i}",
            np.full(numbers, float(i), np.float32) if numbers else None,
        )
        for i, w in enumerate(made)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def activity(pipeline):
    return curves.Asked(pipeline, HEADS[ACTIVITY], cases("imu_phone", "imu_watch", classes=5))


@pytest.fixture(scope="module")
def occupancy(pipeline):
    return curves.Asked(pipeline, HEADS["occupancy"], cases("air"))


@pytest.fixture(scope="module")
def gaze(pipeline):
    return curves.Asked(pipeline, HEADS["gaze"], cases("gaze", numbers=2))


@pytest.fixture(scope="module")
def found(activity, occupancy, gaze):
    return {a.head.name: curves.of_head(a, SETTINGS) for a in (activity, occupancy, gaze)}


def test_a_window_that_nothing_is_done_to_stays_as_it_is(activity):
    rng = np.random.default_rng(0)
    values = activity.cases[0].values
    deviation = curve_inputs.deviations(activity.cases)
    for same in (
        curve_inputs.noisy(values, deviation, 0.0, rng),
        curve_inputs.ends(values, 1.0),
        {s: w.values for s, w in curve_inputs.without_channels(values, 0.0, rng).slots.items()},
    ):
        assert all(np.array_equal(same[s], values[s]) for s in ("imu_phone", "imu_watch"))


def test_noise_has_the_deviation_that_is_asked_for():
    x = {"air": np.random.default_rng(1).normal(0, (1, 2, 3, 0), (4000, 4)).astype(np.float32)}
    deviation = curve_inputs.deviations([Case(x, 0, "a")])
    added = curve_inputs.noisy(x, deviation, 0.5, np.random.default_rng(2))["air"] - x["air"]
    assert added.std(axis=0) == pytest.approx([0.5, 1.0, 1.5, 0.0], rel=0.1)


def test_a_beam_without_an_echo_stays_without_one():
    x = {"lidar": np.array([[0.0, 2.0, 0.0]], np.float32)}
    noisy = curve_inputs.noisy(x, {"lidar": np.ones(3)}, 1.0, np.random.default_rng(0))["lidar"]
    assert noisy[0, 0] == noisy[0, 2] == 0
    assert noisy[0, 1] != 2


def test_what_is_before_the_end_is_held_at_its_first_value():
    x = {"air": np.arange(8, dtype=np.float32)[:, None]}
    assert curve_inputs.ends(x, 0.5)["air"][:, 0].tolist() == [4, 4, 4, 4, 4, 5, 6, 7]
    assert curve_inputs.ends(x, 0.25)["air"][:, 0].tolist() == [6] * 7 + [7]


def test_missing_channels_are_told_and_one_is_left(activity):
    rng = np.random.default_rng(0)
    for share in (0.5, 1.0):
        for _ in range(20):
            for slot in curve_inputs.without_channels(activity.cases[0].values, share, rng).slots.values():
                assert not slot.missing_channels.all()
                assert (slot.values[:, slot.missing_channels] == 0).all()
    assert sum(slot.missing_channels) == 5  # of six, all but one


@pytest.mark.parametrize(
    ("curve", "condition"), [("noise", "noise 0"), ("channels", "0% missing"), ("length", "last 100%")]
)
@pytest.mark.parametrize("name", [ACTIVITY, "occupancy"])
def test_the_level_at_which_nothing_is_done_has_the_plain_score(
    pipeline, found, request, name, curve, condition
):
    asked = request.getfixturevalue("activity" if name == ACTIVITY else name)
    head = pipeline.manifest.task(name)
    said = [pipeline.perceive(curves.window_of(c.values)).tasks[name].label for c in asked.cases]
    from sklearn.metrics import f1_score

    plain = f1_score([c.truth for c in asked.cases], [head.labels.index(s) for s in said], average="macro")
    row = next(r for r in found[name][curve] if r.condition == condition)
    assert row.value == pytest.approx(plain)
    assert (row.figure, row.samples, row.kind) == ("macro_f1", 6, "real")


def test_every_level_really_changes_the_window(activity, found):
    """A head's numbers move with noise, so a curve cannot be flat for want of it."""
    rng, deviation = np.random.default_rng(0), curve_inputs.deviations(activity.cases)
    before = curves.said_of(activity.head, activity.plain[0])
    noisy = curve_inputs.noisy(activity.cases[0].values, deviation, 1.0, rng)
    after = activity.pipeline.perceive(curves.window_of(noisy))
    assert np.abs(curves.said_of(activity.head, after) - before).max() > 1e-4
    assert [r.condition for r in found[ACTIVITY]["noise"]][1:] == [
        "noise 0.1",
        "noise 0.25",
        "noise 0.5",
        "noise 1",
    ]


def test_a_head_of_numbers_has_an_error_and_its_kind(pipeline, gaze, found):
    row = found["gaze"]["noise"][0]
    said = np.stack(
        [pipeline.perceive(curves.window_of(c.values)).numbers["gaze"].values for c in gaze.cases]
    )
    truth = np.stack([c.numbers for c in gaze.cases])
    assert row.value == pytest.approx(float(np.sqrt(((said - truth) ** 2).mean())), rel=1e-5)
    assert (row.figure, row.kind) == ("rmse", "simulated")
    assert "length" not in found["gaze"]  # one step has no last half


def test_sound_has_no_channel_to_lose_but_a_length():
    values = {"audio": np.zeros((32000, 1), np.float32)}
    assert not curve_inputs.can_lose_channels(values)
    assert curve_inputs.has_length(values)


def test_every_subset_of_the_slots_is_asked(found):
    rows = found[ACTIVITY]["missing"]
    assert [r.condition for r in rows] == ["imu_phone", "imu_watch", "imu_phone + imu_watch"]
    assert rows[-1].value == found[ACTIVITY]["noise"][0].value


def test_alpha_of_a_head_is_shared_out_among_its_slots(found):
    assert sum(r.value for r in found[ACTIVITY]["alpha"]) == pytest.approx(1)


@pytest.mark.parametrize("name", ["activity", "occupancy", "gaze"])
def test_unrelated_slots_change_nothing_and_alone_they_say_nothing(request, activity, occupancy, gaze, name):
    pool = {s: [c.values for c in a.cases] for a in (activity, occupancy, gaze) for s in a.head.slots}
    rows = curves.unrelated(request.getfixturevalue(name), pool, SETTINGS)
    assert rows[0].figure.startswith("largest change of a ")
    assert rows[0].value < 1e-5
    assert [r.value for r in rows[1:]] == [0] * (len(rows) - 1)
    assert {r.kind for r in rows} == {"simulated" if name == "gaze" else "paired"}


def test_a_slot_that_serves_the_head_is_noticed(activity):
    """The same measure on a slot that is the head's business does see a change."""
    alone = replace(activity.head, slots=("imu_phone",))
    asked = curves.Asked(
        activity.pipeline,
        alone,
        [replace(c, values={"imu_phone": c.values["imu_phone"]}) for c in activity.cases],
    )
    pool = {"imu_phone": [c.values for c in asked.cases], "imu_watch": [c.values for c in activity.cases]}
    assert curves.unrelated(asked, pool, SETTINGS)[0].value > 1e-4


def test_alpha_of_the_dialog_counts_only_slots_that_are_present(pipeline, activity, occupancy, gaze):
    pool = {s: [c.values for c in a.cases] for a in (activity, occupancy, gaze) for s in a.head.slots}
    rows = curves.dialog_alpha(pipeline, pool, SETTINGS)
    assert {r.condition: r.kind for r in rows} == {
        "imu_phone": "paired", "imu_watch": "paired", "air": "paired", "gaze": "simulated",
    }  # fmt: skip
    assert all(0 < r.value <= 1 for r in rows)
    assert sum(r.value * r.samples for r in rows) == pytest.approx(SETTINGS.subsets)


def test_sounds_are_decided_by_clip(pipeline):
    two = [replace(c, truth=i // 3, group=f"clip {i // 3}") for i, c in enumerate(cases("audio"))]
    asked = curves.Asked(pipeline, HEADS[EVENT], two)
    assert asked.row("plain", asked.plain).samples == 2


def test_few_shots_of_what_lies_apart_are_always_right():
    rng = np.random.default_rng(0)
    apart = [
        {k: rng.normal(10 * i, 0.1, (30, 4)).astype(np.float32) for i, k in enumerate("abc")} for _ in "12"
    ]
    alike = [{k: rng.normal(0, 1, (60, 4)).astype(np.float32) for k in "abc"} for _ in "12"]
    for shots in (5, 10, 20):
        assert curve_shots.few_shot(apart[0], apart[1], shots, rng) == 1.0
        assert curve_shots.few_shot(alike[0], alike[1], shots, rng) < 0.6


class Digits:
    """Two classes of the air's window that any encoder tells apart, by group."""

    INFO = replace(room_thermal_array.INFO, labels=("low", "high"))

    def load(self, root=None):
        target = np.arange(80) % 2
        x = np.random.default_rng(3).normal(0, 0.01, (80, 10, 4)) + 5 * target[:, None, None] - 2
        group = np.array([f"g{i // 20}" for i in range(80)])
        return Samples(x.astype(np.float32), target.astype(np.int64), group, group)

    def folds(self, samples):
        return [self.shipped(samples)]

    def shipped(self, samples):
        rows = np.arange(80)
        return Fold("shipped", rows[:40], rows[40:], rows[:0])


def test_shots_go_through_the_shipped_encoder(pipeline, tmp_path):
    transfer = curve_shots.Transfer("levels", "air", Digits(), curve_shots.whole)
    rows = curve_shots.of_transfer(pipeline, transfer, tmp_path, SETTINGS)
    assert [r.condition for r in rows[::2]] == ["5 shots", "10 shots", "20 shots"]
    assert [r.value for r in rows] == [1.0, 0.0] * 3  # the mean, and no deviation over draws
    assert rows[0].samples == 40
    assert rows[0].head == "levels (air, 2 classes)"


def test_the_wrist_is_given_as_the_watch_gives_it():
    x = np.stack([np.arange(128.0)] * 3, axis=1).astype(np.float32)  # one step a sample, 32 Hz
    values, missing = curve_shots.wrist(x)
    assert values.shape == (100, 6)
    assert missing.tolist() == [False] * 3 + [True] * 3
    assert values[-1, 0] == 127
    assert values[0, 0] == pytest.approx(127 - 0.99 * 32, abs=1e-3)


def test_a_word_stands_at_the_end_of_the_window():
    values, _ = curve_shots.word(np.ones((16000, 1), np.float32))
    assert values.shape == (32000, 1)
    assert (values[:16000].sum(), values[16000:].sum()) == (0, 16000)


def owned(count=40):
    owner = np.repeat(np.arange(10), 4)
    pooled = torch.zeros(count, 128)
    pooled[:, 0] = torch.from_numpy(owner)
    output = EncoderOutput(torch.zeros(count, 0, 128), pooled, torch.zeros(count, 2))
    split = torch.tensor([0] * 32 + [2] * 8)
    group = Group.of({"air": output}, {"occupancy": torch.arange(count) % 2}, split)
    return curve_ratios.Owned(group, owner)


def test_a_share_of_the_rows_is_of_whole_owners_and_nested():
    half = curve_ratios.rows_of(owned(), 0.5, 0)
    whole = curve_ratios.rows_of(owned(), 1.0, 0)
    assert (len(half), len(whole)) == (16, 32)
    owners, count = half.slots["air"].pooled[:, 0].unique(return_counts=True)
    assert (len(owners), count.tolist()) == (4, [4] * 4)
    quarter = curve_ratios.rows_of(owned(), 0.25, 0).slots["air"].pooled[:, 0]
    assert set(quarter.tolist()) < set(owners.tolist())
    assert (whole.split == 0).all()


@pytest.mark.parametrize("arm", ["tasks", "modalities"])
def test_a_share_of_the_heads_or_slots_is_nested(arm):
    few, more, every = (curve_ratios.config_of(arm, s, 0) for s in (0.25, 0.5, 1.0))
    assert {h.name for h in few.heads} < {h.name for h in more.heads} < {h.name for h in every.heads}
    assert len(every.heads) == len(HEADS)
    for config in (few, more):
        assert {s for h in config.heads for s in h.slots} == set(config.names)
    assert len(few.heads if arm == "tasks" else few.names) == 4


def write_features(folder):
    """Every group of the catalog, tiny; each encoder says the truth of its heads."""
    for name, slots in curve_ratios.groups().items():
        rng, arrays = np.random.default_rng(len(name)), {}
        heads = [h for h in HEADS.values() if set(h.slots) & set(slots)]
        target = rng.integers(0, 2, 24)
        for head in heads:
            numbers = rng.normal(size=(24, len(head.numbers))).astype(np.float32)
            arrays[f"target_{head.name}"] = numbers if head.regression else target
        for slot in slots:
            said = [
                np.concatenate([arrays[f"target_{h.name}"], np.zeros((24, len(h.numbers)))], 1)
                if h.regression else 8 * np.eye(h.width)[target]
                for h in HEADS.values() if slot in h.slots
            ]  # fmt: skip
            arrays |= {
                f"{slot}_tokens": np.zeros((24, 1, 128), np.float16),
                f"{slot}_pooled": rng.normal(size=(24, 128)).astype(np.float16),
                f"{slot}_logits": np.concatenate(said, 1).astype(np.float16),
            }
        np.savez(
            folder / f"features_{name}.npz", split=np.array([0] * 16 + [2] * 8), owner=np.arange(24), **arrays
        )
    for slot in {h.slots[0] for h in HEADS.values() if h.regression}:
        scaling = {
            h.name: {"offset": [0.0] * len(h.numbers), "scale": [1.0] * len(h.numbers)}
            for h in HEADS.values() if h.regression and slot in h.slots
        }  # fmt: skip
        torch.save({"scaling": scaling}, folder / f"encoder_{slot}.pt")


def test_ratios_are_trained_once_and_kept(tmp_path):
    write_features(tmp_path)
    settings = Settings(steps=2, shares=(0.25, 1.0))
    rows = curve_ratios.measure(tmp_path, tmp_path / "kept", settings)
    by = {(r.head, r.condition): r for r in rows}
    assert {r.condition for r in rows} == {
        "all",
        "25% of the rows",
        "25% of the tasks",
        "25% of the modalities",
    }
    assert by["occupancy", "all"].value == 1.0  # what the encoder says is right
    assert {h for h, c in by if c == "all"} == {h for h, c in by if c == "25% of the rows"} == set(HEADS)
    saved = json.loads((tmp_path / "kept" / "ratios.json").read_text())
    saved["rows"]["rows 1"][0]["value"] = 0.123
    (tmp_path / "kept" / "ratios.json").write_text(json.dumps(saved))
    assert curve_ratios.measure(tmp_path, tmp_path / "kept", settings)[0].value == 0.123
    again = curve_ratios.measure(tmp_path, tmp_path / "kept", replace(settings, steps=1))
    assert again[0].value != 0.123  # of other steps: trained anew


ROWS = {
    name: [
        asdict(Row("one", "real", "first", "macro_f1", 0.7654, 17)),
        asdict(Row("one", "real", "second", "macro_f1", 0.6543, 17)),
        asdict(Row("two", "simulated", "first", "rmse", 1.2345, 23)),
        asdict(Row("three", "paired", "second", "mean alpha", 2.345e-7, 29)),
    ]
    for name in curve_rows.CURVES
}


@pytest.mark.parametrize("name", curve_rows.CURVES)
def test_the_report_shows_every_number(name):
    from export import report
    from tests.test_report import RESULT

    text = report.markdown(RESULT | {"curves": {name: ROWS[name]}})
    section = text.partition(f"### {curve_rows.TITLES[name]}\n")[2]
    for told in ("0.765", "0.654", "1.23", "2.34e-07", "17", "23", "29", "real", "paired", "simulated"):
        assert told in section.partition("## ")[0], told
    assert curve_rows.HEADING not in report.markdown(RESULT)
    for block in section.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_the_pictures_are_small(tmp_path):
    paths = curve_plots.write(tmp_path, ROWS)
    assert {p.name for p in paths} >= {"curves_alpha.png", "curves_noise.png", "curves_ratios.png"}
    assert all(0 < p.stat().st_size < 60_000 for p in paths)

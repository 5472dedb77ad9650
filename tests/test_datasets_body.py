"""Readers of touches on a screen, of trajectories and of activities at the wrist."""

from __future__ import annotations

import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export.datasets import capacitive_touch, common, gps_activities, wrist_adl_accelerometer
from export.datasets.common import Fold, Reader, Samples

READERS: tuple[Reader, ...] = (
    capacitive_touch,
    capacitive_touch.THUMB_OR_FINGER,
    gps_activities,
    wrist_adl_accelerometer,
)


def touch_image(pixel: int, value: int) -> np.ndarray:
    image = np.zeros(405, np.int16)
    image[pixel] = value
    return image


def write_touch_npz(root: Path) -> None:
    """Every participant of the shipped split and two more: each thumb, and the left index finger."""
    folder = root / "capacitive_touch"
    folder.mkdir(parents=True)
    who = np.repeat([1, 2, 5, 7, 8, 14, 15], 3)
    finger, right = np.tile([0, 0, 1], 7), np.tile([0, 1, 0], 7)
    np.savez(
        folder / "data.npz",
        x=np.stack([touch_image(i, 100 + i) for i in range(21)]).reshape(-1, 27, 15),
        participant=who.astype(np.int8), finger=finger.astype(np.int8), right_hand=right.astype(np.int8),
        task=np.zeros(21, np.int8), fingers=np.array(capacitive_touch.FINGERS),
        tasks=np.array(["TAP", "SCROLL", "DRAG"]),
    )  # fmt: skip


def touch_line(finger: str, hand: str, task: str, image: np.ndarray) -> str:
    return f"3;{hand};{finger};{task};-1;1508233518,900015466,{','.join(map(str, image.tolist()))},"


def test_thumbs_are_told_by_hand(tmp_path: Path) -> None:
    write_touch_npz(tmp_path)
    samples = capacitive_touch.load(tmp_path)
    assert samples.x.shape == (14, 1, 405)
    assert samples.x.dtype == np.float32
    assert [capacitive_touch.INFO.labels[k] for k in samples.target[:2]] == ["left_thumb", "right_thumb"]
    assert samples.x[1, 0].argmax() == 1
    assert samples.x[1, 0].max() == 101
    assert samples.group[:3].tolist() == ["p01", "p01", "p02"]
    assert samples.recording[:3].tolist() == ["p01 left thumb", "p01 right thumb", "p02 left thumb"]


def test_thumb_or_finger_takes_all_images(tmp_path: Path) -> None:
    write_touch_npz(tmp_path)
    reader = capacitive_touch.THUMB_OR_FINGER
    samples = reader.load(tmp_path)
    assert samples.target.tolist() == [0, 0, 1] * 7
    shipped = reader.shipped(samples)
    assert set(samples.group[shipped.test].tolist()) == set(capacitive_touch.SHIPPED_TEST)
    assert set(samples.group[shipped.validation].tolist()) == set(capacitive_touch.SHIPPED_VALIDATION)


def test_the_original_touches_are_thinned_and_cleaned(tmp_path: Path) -> None:
    folder = tmp_path / "capacitive_touch"
    folder.mkdir()
    contact = [touch_image(i, 30 + i) for i in range(11)]
    lines = [touch_line("thumb", "right", "TAP", image) for image in contact]
    lines.insert(0, touch_line("thumb", "right", "PAUSE", touch_image(0, 200)))
    lines.insert(0, touch_line("thumb", "right", "TAP", touch_image(0, 29)))  # no contact
    lines.insert(0, touch_line("thumb", "right", "TAP", touch_image(0, 99))[:-3])  # cut short
    lines.insert(0, touch_line("thumb", "right", "TAP", touch_image(0, 99)).replace("99", "-", 1))
    (folder / "CapMatrix_P3_thumb_right.txt").write_text("\n".join(lines) + "\n")
    (folder / "CapMatrix_P3_ring_left.txt").write_text(touch_line("ring", "left", "DRAG", contact[4]) + "\n")
    samples = capacitive_touch.load(tmp_path)
    assert samples.x.max(axis=(1, 2)).tolist() == [30, 35, 40]
    assert (samples.target.tolist(), set(samples.group.tolist())) == ([1, 1, 1], {"p03"})
    both = capacitive_touch.THUMB_OR_FINGER.load(tmp_path)
    assert sorted(both.target.tolist()) == [0, 0, 0, 1]


def test_touches_of_another_size_are_refused(tmp_path: Path) -> None:
    write_touch_npz(tmp_path)
    path = tmp_path / "capacitive_touch" / "data.npz"
    with np.load(path) as data:
        arrays = dict(data)
    arrays["x"] = arrays["x"].reshape(-1, 15, 27)
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="27x15"):
        capacitive_touch.load(tmp_path)


def trajectory(seconds: list[float], labels: list[str]) -> str:
    """East 2 m/s, north -1 m/s, from far away."""
    start = datetime(1964, 1, 12)  # noqa: DTZ001  the set's dates are made up
    rows = [
        f"{(start + timedelta(seconds=t)).isoformat(' ', 'microseconds')}000,{1e6 + 2 * t},{-3e6 - t},{label}"
        for t, label in zip(seconds, labels, strict=True)
    ]
    return "\n".join(["timestamp,x,y,groundtruth", *rows]) + "\n"


def write_trajectories(root: Path, texts: dict[int, str], *, zipped: bool = True) -> None:
    folder = root / "gps_activities"
    folder.mkdir(parents=True)
    if zipped:
        with zipfile.ZipFile(folder / "trajectories.zip", "w") as archive:
            for number, text in texts.items():
                archive.writestr(f"data_anon/trajectory_{number:04}.csv", text)
        return
    (folder / "data_anon").mkdir()
    for number, text in texts.items():
        (folder / "data_anon" / f"trajectory_{number:04}.csv").write_text(text)


WALK_THEN_DRIVE = trajectory([5.0 * i for i in range(20)], ["OnFoot"] * 15 + ["Driving"] * 5)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_trajectory_is_relative_to_its_last_point_and_has_its_label(tmp_path: Path, zipped: bool) -> None:
    write_trajectories(tmp_path, {7: WALK_THEN_DRIVE}, zipped=zipped)
    samples = gps_activities.load(tmp_path)
    assert samples.x.shape == (8, 13, 2)
    assert samples.target.tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert set(samples.group.tolist()) == {"0007"}
    assert np.allclose(samples.x[:, -1], 0.0)
    assert np.allclose(
        samples.x[:, 0], [-120.0, 60.0], atol=1e-3
    )  # a minute ago, although far from the origin


def test_a_trajectory_with_jitter_comes_on_the_grid(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    seconds = [5.0 * i + float(random.uniform(-0.3, 0.3)) for i in range(20)]
    del seconds[9]  # one position is missing: bridged
    write_trajectories(tmp_path, {1: trajectory(seconds, ["Driving"] * 19)})
    x = gps_activities.load(tmp_path).x
    assert len(x) >= 6
    assert np.allclose(np.diff(x, axis=1), [10.0, -5.0], atol=0.01)


def test_a_window_with_a_long_gap_is_left_out(tmp_path: Path) -> None:
    seconds = [5.0 * i for i in range(10)] + [5.0 * i for i in range(60, 73)]
    write_trajectories(tmp_path, {1: trajectory(seconds, ["OnFoot"] * 10 + ["Driving"] * 13)})
    samples = gps_activities.load(tmp_path)
    assert set(samples.target.tolist()) == {1}
    assert len(samples) == 4  # the last one, and those that reach up to 15 s back into the gap


def test_trajectories_are_shipped_by_id(tmp_path: Path) -> None:
    write_trajectories(tmp_path, dict.fromkeys(range(10), WALK_THEN_DRIVE))
    samples = gps_activities.load(tmp_path)
    fold = gps_activities.shipped(samples)
    assert set(samples.group[fold.test].tolist()) == {"0000", "0005"}
    assert set(samples.group[fold.validation].tolist()) == {"0004", "0009"}
    assert set(samples.group[fold.train].tolist()) == {f"{i:04}" for i in (1, 2, 3, 6, 7, 8)}
    assert np.array_equal(gps_activities.folds(samples)[0].test, fold.test)


@pytest.mark.parametrize("text", ["timestamp,x,y\n1964-01-12,1,2\n", "timestamp,x,y,groundtruth\n"])
def test_a_trajectory_of_another_format_is_refused(tmp_path: Path, text: str) -> None:
    write_trajectories(tmp_path, {3: text})
    with pytest.raises(ValueError, match="trajectory 0003"):
        gps_activities.load(tmp_path)


@given(st.text(alphabet="timesapxygrounduth,0123456789-:. \nOFDrving", max_size=200))
@settings(max_examples=100, deadline=None)
def test_no_text_breaks_the_parser_of_trajectories(text: str) -> None:
    try:
        times_ns, metres, label = gps_activities._parse("0000", text)
    except ValueError:
        return
    assert len(times_ns) == len(metres) == len(label) > 0


def write_wrist(root: Path, trials: dict[str, np.ndarray], *, original: bool = False) -> None:
    folder = root / "wrist_adl_accelerometer"
    folder.mkdir(parents=True)
    if original:
        for name, codes in trials.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("\n".join(" ".join(map(str, row)) for row in codes.tolist()) + "\n")
        return
    recording = np.repeat(np.arange(len(trials)), [len(codes) for codes in trials.values()])
    np.savez(
        folder / "data.npz",
        x=np.concatenate(list(trials.values())).astype(np.int8),
        recording=recording.astype(np.int16),
        recordings=np.array(list(trials)),
    )


def trial_name(folder: str, number: int, who: str) -> str:
    return f"{folder}/Accelerometer-2011-04-11-13-28-{number:02}-{folder.lower()}-{who}.txt"


def all_trials(n: int = 130) -> dict[str, np.ndarray]:
    """Five trials of each class, by five volunteers in turn."""
    people = ("f1", "m1", "f2", "m10", "f3")
    names = [trial_name(f, i, people[i]) for f in wrist_adl_accelerometer.FOLDERS for i in range(5)]
    random = np.random.default_rng(0)
    return {name: random.integers(0, 64, (n, 3)) for name in names}


def test_the_wrist_is_in_metres_per_second_squared(tmp_path: Path) -> None:
    codes = np.tile([0, 63, 42], (192, 1))
    write_wrist(tmp_path, {trial_name("Walk", 1, "m7"): codes})
    samples = wrist_adl_accelerometer.load(tmp_path)
    assert samples.x.shape == (3, 128, 3)  # starts at 0, 1 and 2 s
    assert samples.x[0, 0] == pytest.approx([-14.71, 14.71, 4.9033], abs=1e-3)  # 42 of 63 is 0.5 g
    assert wrist_adl_accelerometer.INFO.labels[samples.target[0]] == "walking"
    assert wrist_adl_accelerometer.volunteers(samples.group).tolist() == ["m7"] * 3


def test_a_short_trial_is_one_window(tmp_path: Path) -> None:
    codes = np.repeat(np.arange(125)[:, None] % 64, 3, axis=1)
    write_wrist(tmp_path, {trial_name("Climb_stairs", 1, "f1"): codes})
    x = wrist_adl_accelerometer.load(tmp_path).x
    assert x.shape == (1, 128, 3)
    assert np.array_equal(x[0, 124:], np.repeat(x[0, 124:125], 4, axis=0))


def test_the_original_folder_gives_the_same_and_its_copies_are_not_read(tmp_path: Path) -> None:
    trials = all_trials()
    write_wrist(tmp_path / "npz", dict(reversed(trials.items())))
    copies = {
        name.replace("/", "_MODEL/"): codes for name, codes in trials.items() if name.startswith("Walk/")
    }
    write_wrist(tmp_path / "txt", trials | copies, original=True)
    ours, theirs = (wrist_adl_accelerometer.load(tmp_path / name) for name in ("npz", "txt"))
    assert np.array_equal(ours.x, theirs.x)
    assert np.array_equal(ours.target, theirs.target)
    assert ours.group.tolist() == theirs.group.tolist()


def test_trials_and_volunteers_are_held_out(tmp_path: Path) -> None:
    write_wrist(tmp_path, all_trials())
    samples = wrist_adl_accelerometer.load(tmp_path)
    for fold in [*wrist_adl_accelerometer.folds(samples), wrist_adl_accelerometer.shipped(samples)]:
        assert len(set(samples.target[fold.test].tolist())) == 14
    people = wrist_adl_accelerometer.volunteers(samples.group)
    left_out = wrist_adl_accelerometer.leave_volunteer_out(samples)
    assert [fold.name for fold in left_out] == [f"without {who}" for who in ("f1", "f2", "f3", "m1", "m10")]
    for fold in left_out:
        assert len(set(people[fold.test].tolist())) == 1
        assert not set(people[fold.test].tolist()) & set(people[fold.train].tolist())
        assert len(fold.train) + len(fold.test) == len(samples)


def test_wrist_codes_out_of_range_and_unknown_classes_are_refused(tmp_path: Path) -> None:
    write_wrist(tmp_path / "a", {trial_name("Walk", 1, "f1"): np.full((130, 3), 64)})
    with pytest.raises(ValueError, match="0 to 63"):
        wrist_adl_accelerometer.load(tmp_path / "a")
    write_wrist(tmp_path / "b", {trial_name("Juggle", 1, "f1"): np.full((130, 3), 6)})
    with pytest.raises(ValueError, match="Juggle"):
        wrist_adl_accelerometer.load(tmp_path / "b")


@given(st.lists(st.integers(0, 63), min_size=1, max_size=400))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_trial_gives_at_least_one_window(codes: list[int]) -> None:
    x = np.repeat(np.array(codes, np.float32)[:, None], 3, axis=1)
    windows = wrist_adl_accelerometer._windows(x)
    assert len(windows) == max(1, (len(codes) - 128) // 32 + 1)
    assert np.array_equal(windows[0, : min(len(codes), 128)], x[:128])


def reader_id(reader: Reader) -> str:
    return "-".join((reader.INFO.name, *reader.INFO.labels[:1]))


@pytest.mark.parametrize("reader", READERS, ids=reader_id)
def test_missing_recordings_name_the_variable(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(common.DatasetMissingError, match="EDGE_AGENT_DATA"):
        reader.load(tmp_path)
    (tmp_path / reader.INFO.name).mkdir()
    with pytest.raises(common.DatasetMissingError):
        reader.load(tmp_path)


def groups_in(samples: Samples, fold: Fold) -> list[set[str]]:
    return [set(samples.group[part].tolist()) for part in (fold.train, fold.validation, fold.test)]


FACTS = {
    "left_thumb": (15, 11, [2919, 5623]),
    "thumb": (75, 14, [8542, 33957]),
    "on_foot": (805, 805, [30117, 21609]),
    "brushing_teeth": (771, 771, [799, 824, 610, 309, 934, 959, 198, 901, 238, 945, 366, 383, 391, 2366]),
}
"""first label -> recordings, groups, windows of each class."""


@pytest.mark.parametrize("reader", READERS, ids=reader_id)
def test_the_recordings_are_what_the_readers_promise(reader: Reader) -> None:
    info = reader.INFO
    if not (common.data_root() / info.name).exists():
        pytest.skip(f"the recordings are not at {common.data_root()} ({common.DATA_VARIABLE})")
    samples = reader.load()
    recordings, groups, counts = FACTS[info.labels[0]]
    assert samples.x.shape == (sum(counts), round(info.rate_hz * info.window_s), len(info.channels))
    assert len(info.units) == len(info.channels)
    assert np.isfinite(samples.x).all()
    assert np.bincount(samples.target).tolist() == counts
    assert (len(set(samples.recording.tolist())), len(set(samples.group.tolist()))) == (recordings, groups)
    for fold in [*reader.folds(samples), reader.shipped(samples)]:
        train, validation, test = groups_in(samples, fold)
        assert not train & test
        assert not (train | test) & validation
        assert len(fold.train) + len(fold.validation) + len(fold.test) == len(samples)
    shipped = reader.shipped(samples)
    for part in (shipped.train, shipped.validation, shipped.test):
        assert len(np.unique(samples.target[part])) == len(info.labels)

"""Readers of rooms: the thermal array, occupied or empty, how many people."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from export.datasets import common, room_occupancy, room_people_count, room_thermal_array
from export.datasets.common import Fold, Reader, Samples
from export.datasets.lines import window_ends, windows_at

READERS: tuple[Reader, ...] = (
    room_thermal_array,
    room_thermal_array.PRESENCE,
    room_occupancy,
    room_occupancy.WITHOUT_LIGHT,
    room_people_count,
)
STILL_MS = 250


def thermal_frames(n: int, pixel: int) -> np.ndarray:
    """(n,19) as a line of the original: TPTAT, T1..T16 (T1 is `pixel`), CheckPEC, milliseconds."""
    frames = np.full((n, 19), 200)
    frames[:, 0], frames[:, 1] = 230, pixel
    frames[:, 17], frames[:, 18] = 1, STILL_MS
    return frames


def write_thermal_npz(root: Path, recordings: dict[str, np.ndarray]) -> None:
    folder = root / "room_thermal_array"
    folder.mkdir(parents=True)
    frames = np.concatenate(list(recordings.values())).astype(np.int16)
    np.savez(
        folder / "data.npz",
        x_decidegc=frames[:, 1:17], ambient_decidegc=frames[:, 0], pec_ok=frames[:, 17].astype(np.int8),
        dt_ms=frames[:, 18].astype(np.int32),
        recording=np.repeat(np.arange(len(recordings)), [len(r) for r in recordings.values()]),
        recordings=np.array([f"Data-{n.rpartition('-Day')[0]}/{n}" for n in recordings]),
    )  # fmt: skip


def write_thermal_original(root: Path, recordings: dict[str, np.ndarray]) -> None:
    for name, frames in recordings.items():
        room, day = name.split("-")[:2]
        folder = root / "room_thermal_array" / "Dataset" / f"Data-{room}-{day}"
        folder.mkdir(parents=True, exist_ok=True)
        columns = ", ".join(["TPTAT", *(f"T{i}" for i in range(1, 17)), "CheckPEC", "Delta t", "Time Stamp"])
        lines = [", ".join(map(str, frame)) + ", 2016/6/13 - 21:5:41" for frame in frames.tolist()]
        text = "\n".join(["2016/6/13 - 21:5:38 BEGINNING OF FILE", columns, *lines])
        (folder / name).write_text(text + "\n")


def rooms() -> dict[str, np.ndarray]:
    names = [f"Bedroom-Day{day}-D-{posture}.csv" for day in (1, 2, 3, 4, 5, 6, 7) for posture in ("3", "8")]
    names += [f"Bathroom-Day1-{who}-{posture}.csv" for who in "BCDE" for posture in ("9", "14")]
    return {name: thermal_frames(20, 210) for name in [*names, "Bathroom-Day1-None-16.csv"]}


def test_a_thermal_window_is_degrees_with_the_ambient_last(tmp_path: Path) -> None:
    write_thermal_npz(tmp_path, {"Bedroom-Day2-B-6.csv": thermal_frames(9, 315)})
    samples = room_thermal_array.load(tmp_path)
    assert samples.x.shape == (1, 8, 17)
    assert samples.x[0, 0, [0, 1, 15, 16]] == pytest.approx([31.5, 20.0, 20.0, 23.0])
    assert room_thermal_array.INFO.labels[samples.target[0]] == "lying_on_floor"
    assert (samples.group[0], samples.recording[0]) == ("bedroom day 2", "Bedroom-Day2-B-6.csv")


def test_both_layouts_of_the_thermal_array_are_the_same(tmp_path: Path) -> None:
    recordings = rooms()
    recordings["Bedroom-Day2-D-8.csv"][5, 18] = 600
    write_thermal_npz(tmp_path / "npz", recordings)
    write_thermal_original(tmp_path / "csv", recordings)
    ours, theirs = (room_thermal_array.load(tmp_path / name) for name in ("npz", "csv"))
    assert np.array_equal(ours.x, theirs.x)
    assert np.array_equal(ours.target, theirs.target)
    assert ours.recording.tolist() == theirs.recording.tolist()
    assert ours.group.tolist() == theirs.group.tolist()


def test_frames_with_a_wrong_checksum_and_windows_across_a_pause_are_dropped(tmp_path: Path) -> None:
    frames = thermal_frames(40, 300)
    frames[10, 1:17], frames[10, 17] = 9990, 0
    frames[20, 18] = 2000
    write_thermal_npz(tmp_path, {"Bedroom-Day2-B-1.csv": frames})
    x = room_thermal_array.load(tmp_path).x
    assert x.max() == pytest.approx(30.0)
    whole = 1 + (10_000 + 1750 - 250 - 1750) // 500  # of a recording of that length without a pause
    assert 0 < len(x) < whole


def test_a_long_recording_is_thinned(tmp_path: Path) -> None:
    write_thermal_npz(tmp_path, {"Bedroom-Day2-E-None-After-Sleeping.csv": thermal_frames(600, 210)})
    samples = room_thermal_array.load(tmp_path)
    assert len(samples) == room_thermal_array.MAX_WINDOWS
    assert set(samples.target.tolist()) == {0}


def test_a_thermal_recording_of_unknown_posture_is_refused(tmp_path: Path) -> None:
    write_thermal_npz(tmp_path, {"Bedroom-Day2-B-17.csv": thermal_frames(9, 300)})
    with pytest.raises(ValueError, match="Bedroom-Day2-B-17"):
        room_thermal_array.load(tmp_path)


def test_every_posture_has_a_label_and_every_label_a_posture() -> None:
    assert set(room_thermal_array.POSTURES.values()) == set(room_thermal_array.INFO.labels)


def test_the_empty_bathroom_is_learnt_and_an_unknown_day_is_only_tested(tmp_path: Path) -> None:
    write_thermal_npz(tmp_path, rooms())
    samples = room_thermal_array.load(tmp_path)
    folds = room_thermal_array.folds(samples)
    for fold in [*folds, room_thermal_array.shipped(samples)]:
        assert room_thermal_array.ALWAYS_TRAINED in set(samples.group[fold.train].tolist())
        assert "bedroom day 3" in set(samples.group[fold.test].tolist())
        assert "bedroom day 3" not in set(samples.group[fold.train].tolist())
    shipped = room_thermal_array.shipped(samples)
    parts = [set(samples.group[p].tolist()) for p in (shipped.train, shipped.validation, shipped.test)]
    assert all(parts)
    assert sum(map(len, parts)) == len(set.union(*parts)), "no day is in two parts"
    tested = {g for fold in folds for g in samples.group[fold.test].tolist()}
    assert tested == set(samples.group.tolist()) - {room_thermal_array.ALWAYS_TRAINED}


def test_presence_is_the_posture_nobody(tmp_path: Path) -> None:
    write_thermal_npz(tmp_path, rooms())
    posture, presence = room_thermal_array.load(tmp_path), room_thermal_array.PRESENCE.load(tmp_path)
    assert np.array_equal(presence.x, posture.x)
    assert np.array_equal(presence.target == 0, posture.target == 0)
    assert set(presence.target.tolist()) == {0, 1}


def write_occupancy(root: Path, header: str = '"date","Temperature","Humidity","Light","CO2"') -> None:
    """Twenty minutes in each file; the light counts the minutes and people come after ten."""
    folder = root / "room_occupancy"
    folder.mkdir(parents=True)
    for day, name in ((4, "datatraining.txt"), (2, "datatest.txt"), (11, "datatest2.txt")):
        start = datetime(2015, 2, day, 14, 19)  # noqa: DTZ001  the set's clock has no zone
        lines = [
            f'"{i}","{start + timedelta(minutes=i)}",21.5,{30 + i / 10},{i},{500 + i},0.004,{int(i >= 10)}'
            for i in range(20)
        ]
        (folder / name).write_text("\n".join([header + ',"HumidityRatio","Occupancy"', *lines]) + "\n")


def test_occupancy_windows_carry_the_last_minute(tmp_path: Path) -> None:
    write_occupancy(tmp_path)
    samples = room_occupancy.load(tmp_path)
    assert samples.x.shape == (3 * 11, 10, 4)
    assert samples.x[0, :, 2].tolist() == list(range(10))
    assert samples.x[0, 0] == pytest.approx([21.5, 30.0, 0.0, 500.0])
    assert samples.target[:11].tolist() == [0] + [1] * 10
    assert sorted(set(samples.group.tolist())) == ["test1 2015-02-02", "test2 2015-02-11", "train 2015-02-04"]


def test_occupancy_trains_on_the_official_file_alone(tmp_path: Path) -> None:
    write_occupancy(tmp_path)
    samples = room_occupancy.load(tmp_path)
    folds = room_occupancy.folds(samples)
    assert [len(fold.test) for fold in folds] == [11, 11, 22]
    assert all(samples.group[fold.train].tolist() == ["train 2015-02-04"] * 11 for fold in folds)


def test_without_light_the_other_channels_stay(tmp_path: Path) -> None:
    write_occupancy(tmp_path)
    full, dark = room_occupancy.load(tmp_path), room_occupancy.WITHOUT_LIGHT.load(tmp_path)
    assert room_occupancy.WITHOUT_LIGHT.INFO.channels == ("temperature", "humidity", "co2")
    assert np.array_equal(dark.x, full.x[..., [0, 1, 3]])
    assert np.array_equal(dark.target, full.target)


def test_the_channels_are_those_of_the_drivers() -> None:
    from edge_agent.sensors.i2c import bh1750, bme280, d6t, scd41

    known = {*bme280.CHANNELS, *bh1750.CHANNELS, *scd41.CHANNELS}
    assert set(zip(room_occupancy.INFO.channels, room_occupancy.INFO.units, strict=True)) <= known
    thermal = room_thermal_array.INFO
    assert tuple(zip(thermal.channels, thermal.units, strict=True)) == d6t.CHANNELS


def test_occupancy_of_other_columns_is_refused(tmp_path: Path) -> None:
    write_occupancy(tmp_path, '"date","Humidity","Temperature","Light","CO2"')
    with pytest.raises(ValueError, match=r"datatraining\.txt"):
        room_occupancy.load(tmp_path)


def test_windows_of_lines_never_cross_a_gap() -> None:
    times_s = np.array([0, 30, 60, 90, 200, 230, 260, 250, 280, 310])  # a gap, then a clock set back
    ends = window_ends(times_s, 3, 65.0)
    assert ends.tolist() == [2, 3, 6, 9]
    assert windows_at(times_s[:, None].astype(np.float32), ends, 3)[2, :, 0].tolist() == [200, 230, 260]


def write_people(root: Path, name: str = "data.csv", first: str = "Date") -> None:
    """Ten lines on each of four days; CO2 counts them. 0, 1, 2, 3 people by day, three in the last line."""
    folder = root / "room_people_count"
    folder.mkdir(parents=True)
    header = room_people_count._HEADER.replace("Date", first)
    lines = []
    for people, day in enumerate(("2017/12/22", "2017/12/23", "2017/12/26", "2018/01/10")):
        for i in range(10):
            clock = (datetime(2017, 1, 1, 10) + timedelta(seconds=30 * i)).strftime("%H:%M:%S")  # noqa: DTZ001
            sensors = ",25.0" * 4 + ",120" * 4 + f",0.1,0.2,0.3,0.4,{390 + i},0.5,0,1"
            lines.append(f"{day},{clock}{sensors},{people if i < 9 else 3}")
    (folder / name).write_text("\n".join([header, *lines]) + "\n")


@pytest.mark.parametrize("name", ["data.csv", "Occupancy_Estimation.csv"])
def test_people_are_counted_by_day(tmp_path: Path, name: str) -> None:
    write_people(tmp_path, name)
    samples = room_people_count.load(tmp_path)
    assert samples.x.shape == (4 * 7, 4, 16)
    channels = room_people_count.INFO.channels
    assert samples.x[0, :, channels.index("co2")].tolist() == [390, 391, 392, 393]
    assert samples.x[0, 0, channels.index("motion_2")] == 1
    assert samples.target.tolist() == [0] * 6 + [3] + [1] * 6 + [3] + [2] * 6 + [3] + [3] * 7
    (fold,) = room_people_count.folds(samples)
    assert set(samples.group[fold.train].tolist()) == {"2017/12/22", "2017/12/23"}
    shipped = room_people_count.shipped(samples)
    assert set(samples.target[shipped.train].tolist()) == {0, 3}
    assert set(samples.target[shipped.validation].tolist()) == {1, 3}


def test_people_of_other_columns_are_refused(tmp_path: Path) -> None:
    write_people(tmp_path, first="Day")
    with pytest.raises(ValueError, match="columns"):
        room_people_count.load(tmp_path)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: "-".join(reader.INFO.labels[:2]))
def test_missing_rooms_name_the_variable(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(common.DatasetMissingError, match="EDGE_AGENT_DATA"):
        reader.load(tmp_path)
    (tmp_path / reader.INFO.name).mkdir()
    with pytest.raises(common.DatasetMissingError):
        reader.load(tmp_path)


def groups_in(samples: Samples, fold: Fold) -> list[set[str]]:
    return [set(samples.group[part].tolist()) for part in (fold.train, fold.validation, fold.test)]


FACTS = {
    ("room_thermal_array", 11): (
        (8, 17), 136, 11, [990, 2553, 1065, 2482, 1235, 1120, 463, 432, 455, 835, 823]
    ),
    ("room_thermal_array", 2): ((8, 17), 136, 11, [990, 11463]),
    ("room_occupancy", 4): ((10, 4), 18, 18, [15810, 4723]),
    ("room_occupancy", 3): ((10, 3), 18, 18, [15810, 4723]),
    ("room_people_count", 4): ((4, 16), 7, 7, [8222, 453, 742, 685]),
}  # fmt: skip
"""set and labels (or, of occupancy, channels) -> window, recordings, groups, windows of each class."""


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: "-".join(reader.INFO.labels[:2]))
def test_the_rooms_are_what_the_readers_promise(reader: Reader) -> None:
    info = reader.INFO
    if not (common.data_root() / info.name).exists():
        pytest.skip(f"the recordings are not at {common.data_root()} ({common.DATA_VARIABLE})")
    samples = reader.load()
    variant = len(info.channels) if info.name == "room_occupancy" else len(info.labels)
    window, recordings, groups, counts = FACTS[info.name, variant]
    assert samples.x.shape == (sum(counts), *window)
    assert window == (round(info.rate_hz * info.window_s), len(info.channels))
    assert np.isfinite(samples.x).all()
    assert np.bincount(samples.target).tolist() == counts
    assert (len(set(samples.recording.tolist())), len(set(samples.group.tolist()))) == (recordings, groups)
    for fold in [*reader.folds(samples), reader.shipped(samples)]:
        train, validation, test = groups_in(samples, fold)
        assert not train & test
        assert not (train | test) & validation
        assert len(np.unique(samples.target[fold.train])) == len(info.labels)
    shipped = reader.shipped(samples)
    assert len(shipped.train) + len(shipped.validation) + len(shipped.test) == len(samples)
    assert len(np.unique(samples.target[shipped.validation])) == len(info.labels)

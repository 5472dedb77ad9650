"""The reader of Ego4D on tiny files in the published formats, and the table it reads a second from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_checks import missing, refused

from export.datasets import common
from export.datasets.paper import ego4d
from export.datasets.paper.tables import rows_between

READERS = (ego4d, ego4d.GAZE)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.INFO.name)
def test_without_the_files_the_data_is_missing(tmp_path, reader):
    missing(reader, tmp_path)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.INFO.name)
def test_the_real_files_where_somebody_has_them(reader):
    try:
        samples = reader.load()
    except common.DatasetMissingError as error:
        pytest.skip(str(error))
    assert np.isfinite(samples.x).all()
    assert len(np.unique(samples.group)) > 1


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.none() | st.integers(0, 60), st.none() | st.integers(-9, 9)), max_size=40),
    st.integers(-2, 62),
    st.integers(0, 20),
)
def test_the_rows_of_a_time_are_those_of_the_whole_table(tmp_path_factory, rows, low, length):
    times = iter(sorted(time for time, _ in rows if time is not None))
    rows = [(None if time is None else next(times), value) for time, value in rows]
    path = tmp_path_factory.getbasetemp() / "table.csv"
    lines = [f"0,{'' if t is None else t},{'NULL' if v is None else v}" for t, v in rows]
    path.write_text("\n".join(["i,t,v", *lines]))
    found = rows_between(path, "t", low, low + length, ["v"])
    expected = [
        (t, np.nan if v is None else v) for t, v in rows if t is not None and low <= t <= low + length
    ]
    assert np.array_equal(found, np.array(expected, np.float64).reshape(-1, 2), equal_nan=True)


IMU_HEADER = (
    "component_idx,component_timestamp_ms,canonical_timestamp_ms,gyro_x,gyro_y,gyro_z,accl_x,accl_y,accl_z"
)
GAZE_HEADER = (
    "component_idx,component_timestamp_s,canonical_timestamp_s,"
    "world_index,confidence,norm_pos_x,norm_pos_y,base_data"
)


def write_ego4d(root: Path, videos: int = 7) -> Path:
    folder = root / "ego4d" / "v2"
    for name in ("annotations", "imu", "gaze"):
        (folder / name).mkdir(parents=True)
    moments: dict[str, list] = {"train": [], "val": []}
    info, said = [], {}
    for i in range(videos):
        uid = f"video-{i}"
        labels = [
            {"label": "use_phone", "primary": True, "video_start_time": 4.0, "video_end_time": 8.0},
            {"label": "wash_hands", "primary": i % 2 == 0, "video_start_time": 1.0, "video_end_time": 3.5},
            {"label": "cut_dough", "primary": True, "video_start_time": 90.0, "video_end_time": 95.0},
        ]
        clips = [{"clip_uid": f"clip-{i}", "annotations": [{"annotator_uid": "1", "labels": labels}]}]
        moments["val" if i == 0 else "train"].append({"video_uid": uid, "split": "train", "clips": clips})
        info.append({"video_uid": uid, "fb_participant_id": None if i == 3 else i // 6})
        time_ms = np.arange(0, 10000, 1000 / 201)
        rows = [f"0,{t},{'' if t < 20 else t},{t / 1000},0,0,{i},0,9.81" for t in time_ms]
        (folder / "imu" / f"{uid}.csv").write_text("\n".join([IMU_HEADER, *rows]) + "\n")
        time_s = np.arange(0, 10, 1 / 240)
        rows = [f"0,{t},{t},1.0,{0.1 if k % 5 == 0 else 0.9},{t / 10},0.25," for k, t in enumerate(time_s)]
        (folder / "gaze" / f"{uid}.csv").write_text("\n".join([GAZE_HEADER, *rows]) + "\n")
        lines = [{"timestamp_sec": t, "narration_text": f"#C C waits {t}"} for t in (7.5, 2.0)]
        said[uid] = {"narration_pass_1": {"narrations": lines}, "status": "complete"}
    for part, held in moments.items():
        (folder / "annotations" / f"moments_{part}.json").write_text(
            json.dumps({"version": "1", "videos": held})
        )
    (folder / "annotations" / "narration.json").write_text(json.dumps({"videos": said}))
    (folder.parent / "ego4d.json").write_text(json.dumps({"version": "2", "videos": info}))
    return folder


def test_ego4d_motion(tmp_path):
    write_ego4d(tmp_path)
    samples = check_people(ego4d, tmp_path)
    names = [ego4d.INFO.labels[i] for i in samples.target]
    assert (
        sorted(names) == ["use_phone"] * 7 + ["wash_hands"] * 4
    )  # nothing without motion, nothing secondary
    own = samples.x[(samples.recording == "video-2") & (np.array(names) == "use_phone")][0]
    assert np.allclose(own[:, 0], 2, atol=1e-5)
    assert np.allclose(own[:, 2], 9.81, atol=1e-5)
    assert np.allclose(own[:, 3], 5.0 + np.arange(1, 101) / 50, atol=1e-3)  # up to 7 s, the middle of 4 to 8
    assert len(set(ego4d.INFO.labels)) == 110


def test_ego4d_gaze(tmp_path):
    write_ego4d(tmp_path)
    samples = check_people(ego4d.GAZE, tmp_path)
    assert len(samples) == 11
    assert np.allclose(np.diff(samples.x[:, :, 0], axis=1), 0.002, atol=1e-4)
    assert np.allclose(samples.x[:, :, 1], 0.25)


def check_people(reader: common.Reader, root: Path) -> common.Samples:
    """Two participants, and a video of nobody who is known: three groups, too few for a validation part."""
    samples = reader.load(root)
    assert sorted(set(samples.group)) == ["person_0", "person_1", "video-3"]
    for fold in reader.folds(samples):
        assert not set(samples.group[fold.train]) & set(samples.group[fold.test])
    return samples


def test_narrations_come_by_time(tmp_path):
    folder = write_ego4d(tmp_path)
    said = ego4d.narrations("video-4", tmp_path)
    assert [(n.time_s, n.text) for n in said] == [(2.0, "#C C waits 2.0"), (7.5, "#C C waits 7.5")]
    with pytest.raises(ValueError, match=r"narration\.json has no video video-9"):
        ego4d.narrations("video-9", tmp_path)
    (folder / "annotations" / "narration.json").unlink()
    with pytest.raises(common.DatasetMissingError):
        ego4d.narrations("video-4", tmp_path)


def test_other_files_of_ego4d_are_refused(tmp_path):
    folder = write_ego4d(tmp_path)
    path = folder / "annotations" / "moments_val.json"
    good = path.read_text()
    path.write_text('{"videos": [{"video_uid": "a"}]}')
    refused(ego4d, tmp_path, "moments_val.json", "videos, clips, annotations, labels were expected")
    path.write_text("[")
    refused(ego4d, tmp_path, "moments_val.json", "is no JSON")
    path.write_text(good.replace("use_phone", "fly"))
    refused(ego4d, tmp_path, "moments_val.json", "'fly' is none of the 110 moments")
    path.write_text(good)
    (folder / "imu" / "video-1.csv").write_text("time,x,y,z\n0,1,2,3\n")
    refused(ego4d, tmp_path, "video-1.csv", "canonical_timestamp_ms", "it has time, x, y, z")
    (folder / "imu" / "video-1.csv").write_text(f"{IMU_HEADER}\n0,0,fast,0,0,0,0,0,0\n")
    refused(ego4d, tmp_path, "video-1.csv", "is no row of its header")
    (folder / "imu" / "video-1.csv").write_text("")
    refused(ego4d, tmp_path, "video-1.csv", "is empty")

"""`python -m export data`, on tiny files in the published formats, and on the recordings where they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from matplotlib import image

from export import data_command, data_plots
from export.datasets import adapters, common, phone_watch_imu, registry
from export.datasets.common import DatasetMissingError, Samples
from export.simulate import depth, gps, lidar, video

REAL = {
    "phone_imu", "watch_imu", "esc10", "capacitive_touch", "room_thermal_array", "gps_activities",
    "room_occupancy", "room_people_count", "wrist_adl_accelerometer", "hand_keypoints", "sign_digit_images",
    "gaze_phone", "lidar_2d_carmen", "redkitchen_rgbd", "msr_action3d", "utkinect", "spoken_digits",
}  # fmt: skip
SIMULATED = {
    "simulated_camera_depth", "simulated_depth_events", "simulated_gaze_phone", "simulated_gps",
    "simulated_lidar_motion", "simulated_lidar_room", "simulated_touch", "simulated_video_motion",
}  # fmt: skip


def run(*arguments: str, root: Path) -> int:
    return data_command.main(["--data", str(root), "--runs", str(root / "runs"), *arguments])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three people with both devices, and one bark a fold."""
    x, t_ms, label, recording, names = [], [], [], [], []
    for subject in ("s01", "s02", "s07"):
        for device in ("sp", "sw"):
            t = 10 * np.arange(400) + 1_657_533_977_000
            x.append(np.full((400, 6), len(names), np.float32))
            t_ms.append(t)
            label.append(np.where(np.arange(400) < 200, 0, 4).astype(np.int8))
            recording.append(np.full(400, len(names), np.int16))
            names.append(f"{subject}_01_{device}")
    (tmp_path / "phone_watch_imu").mkdir()
    np.savez(
        tmp_path / "phone_watch_imu" / "data.npz",
        x=np.concatenate(x), t_ms=np.concatenate(t_ms), label=np.concatenate(label),
        recording=np.concatenate(recording), recordings=np.array(names),
        labels=np.array([name.upper() for name in phone_watch_imu.INFO.labels]),
    )  # fmt: skip
    (tmp_path / "esc10").mkdir()
    for fold in range(1, 6):
        noise = np.random.default_rng(fold).normal(0, 0.1, 44100)
        soundfile.write(tmp_path / "esc10" / f"001_-_Dog_bark__{fold}-{fold}00-A.ogg", noise, 44100)
    return tmp_path


# The registry


def test_every_set_is_found_and_no_name_is_there_twice():
    found = registry.entries()
    assert set(found) >= REAL | SIMULATED
    assert {name for name, one in found.items() if one.info.kind == "simulated"} == SIMULATED
    assert len({one.source for one in found.values()}) == len(found)
    assert found["room_thermal_array.presence"].source == "datasets.room_thermal_array:PRESENCE"
    assert not found["simulated_gps"].scored
    assert found["gps_activities"].scored


def test_every_modality_and_every_task_has_a_set():
    infos = [one.info for one in registry.entries().values()]
    assert {info.modality for info in infos} >= {
        "imu", "capacitance", "lidar", "thermal", "depth", "video", "gps", "gaze", "audio", "camera", "pose",
        "image",
    }  # fmt: skip
    assert {info.task for info in infos} >= {
        "gaze_estimation", "depth_estimation", "gesture_classification", "pose_estimation",
        "touch_contact_classification", "event_detection", "activity_recognition", "3d_reconstruction",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(REAL | SIMULATED))
def test_the_facts_of_a_set_are_whole(name):
    info = registry.entry(name).info
    assert len(info.channels) == len(set(info.channels)) == len(info.units)
    assert info.licence
    assert info.credit
    assert bool(info.labels) != bool(info.outputs)
    assert info.rate_hz > 0
    assert info.window_s > 0


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(KeyError, match="room_thermal_array"):
        registry.entry("room_termal_array")


def test_a_missing_set_says_so_before_it_reads_anything(tmp_path):
    for name in REAL:
        with pytest.raises(DatasetMissingError):
            registry.entry(name).reader.load(tmp_path)


# The first two sets as Readers


def test_phone_and_watch_are_the_same_windows_of_their_own_device(root):
    phone, watch = adapters.PHONE.load(root), adapters.WATCH.load(root)
    assert phone.x.shape == watch.x.shape == (21, 100, 6)
    assert np.array_equal(phone.target, watch.target)
    assert set(phone.group.tolist()) == {"s01", "s02", "s07"}
    assert set(phone.x[phone.group == "s02"].ravel().tolist()) == {2.0}
    assert set(watch.x[watch.group == "s02"].ravel().tolist()) == {3.0}
    shipped = adapters.PHONE.shipped(phone)
    parts = [set(phone.group[rows].tolist()) for rows in (shipped.train, shipped.validation, shipped.test)]
    assert parts == [{"s02"}, {"s07"}, {"s01"}]


def test_clips_are_whole_and_their_folds_are_the_official_ones(root):
    clips = adapters.CLIPS.load(root)
    assert clips.x.shape == (5, 80000, 1)
    assert clips.group.tolist() == [f"fold {i}" for i in range(1, 6)]
    folds = adapters.CLIPS.folds(clips)
    assert [fold.test.tolist() for fold in folds] == [[i] for i in range(5)]
    assert clips.group[adapters.CLIPS.shipped(clips).test].tolist() == ["fold 5"]


# list


def test_list_says_what_is_here_and_what_is_missing(root, capsys):
    assert run("list", "--json", root=root) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["phone_imu"] | {"reason": ""} == {
        "name": "phone_imu", "modality": "imu", "task": "activity_recognition", "kind": "real",
        "licence": "CC BY 4.0", "licence_class": "A", "windows": 21, "groups": 3, "state": "present",
        "reason": "", "scored": True, "source": "datasets.adapters:PHONE",
    }  # fmt: skip
    assert rows["gaze_phone"]["state"] == "missing"
    assert common.DATA_VARIABLE in rows["gaze_phone"]["reason"]
    assert rows["gaze_phone"]["windows"] is None
    assert rows["simulated_gps"]["kind"] == "simulated"
    assert (rows["simulated_gps"]["windows"], rows["simulated_gps"]["groups"]) == (20000, 1667)


def test_a_simulator_has_as_many_windows_and_groups_as_the_list_says():
    for simulator in (gps.TRACKS, depth.EVENTS):
        some = simulator.of(100)
        samples = some.load()
        assert (len(samples), len(np.unique(samples.group))) == (100, some.groups)


def test_the_table_is_whole_in_a_pipe_and_can_be_filtered(root, capsys):
    assert run("list", "--modality", "imu", root=root) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "name", "modality", "task", "kind", "licence", "(class)", "windows", "groups", "state",
    ]  # fmt: skip
    table = {line.split()[0]: line.split() for line in lines[1:]}
    assert {"phone_imu", "watch_imu", "wrist_adl_accelerometer"} <= set(table)
    assert "esc10" not in table
    assert table["watch_imu"][-3:] == ["21", "3", "present"]
    assert table["wrist_adl_accelerometer"][-1] == "missing"
    assert run("list", "--kind", "simulated", root=root) == 0
    assert "simulated, extra" in capsys.readouterr().out


def test_a_filter_that_leaves_nothing_names_what_there_is(root, capsys):
    assert run("list", "--modality", "smell", root=root) == data_command.EXIT_USAGE
    error = capsys.readouterr().err
    assert "smell" in error
    assert "thermal" in error


def test_files_of_another_format_fail_with_the_next_step(root, capsys):
    (root / "esc10" / "bark.ogg").write_bytes(b"no sound")
    assert run("list", "--modality", "audio", root=root) == data_command.EXIT_FAILED
    said = capsys.readouterr()
    assert "broken" in said.out
    assert "bark.ogg" in said.err
    assert "next: `data info esc10`" in said.err


# info


def test_info_counts_classes_in_every_part(root, capsys):
    assert run("info", "phone_imu", "--json", root=root) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["parts"]["all"]["classes"]["seated"] == 12
    assert facts["parts"]["test"] == {
        "windows": 7, "groups": 1,
        "classes": {"seated": 4, "sitting_down": 0, "standing_up": 0, "turning": 0, "walking": 3},
    }  # fmt: skip
    assert facts["missing"] is None
    assert run("info", "phone_imu", root=root) == 0
    text = capsys.readouterr().out
    for fact in ("1 s at 100 Hz", "m/s2, rad/s", "CC BY 4.0 (class A)", "Matey-Sanz", "validation"):
        assert fact in text


def test_info_of_a_missing_set_says_how_to_get_it(tmp_path, capsys):
    assert run("info", "gps_activities", root=tmp_path) == 0
    text = capsys.readouterr().out
    assert "MISSING" in text
    assert common.DATA_VARIABLE in text
    assert "How to get it" in text
    assert "trajector" in text


def test_info_of_a_regression_gives_mean_and_deviation(tmp_path, capsys):
    assert run("info", "simulated_gaze_phone", "--json", root=tmp_path) == 0
    facts = json.loads(capsys.readouterr().out)
    samples = registry.entry("simulated_gaze_phone").reader.load()
    mean, deviation = facts["parts"]["all"]["outputs"]["y_cm"]
    assert mean == pytest.approx(float(samples.target[:, 1].mean()), abs=1e-4)
    assert deviation == pytest.approx(float(samples.target[:, 1].std()), abs=1e-4)
    assert facts["kind"] == "simulated"
    assert run("info", "simulated_gaze_phone", root=tmp_path) == 0
    assert "y_cm, mean ± sd" in capsys.readouterr().out


@pytest.mark.parametrize("action", ["info", "plot"])
def test_an_unknown_name_is_wrong_usage(action, tmp_path, capsys):
    assert run(action, "phone_im", root=tmp_path) == data_command.EXIT_USAGE
    assert "phone_imu" in capsys.readouterr().err


def test_the_exit_code_reaches_the_shell(tmp_path, capsys):
    from export.__main__ import main as export_main

    assert export_main(["--data", str(tmp_path), "data", "info", "gps_activities"]) == 0
    assert "MISSING" in capsys.readouterr().out
    assert export_main(["--data", str(tmp_path), "data", "plot", "gps_activities"]) == 1
    assert export_main(["--data", str(tmp_path), "data", "info", "nothing"]) == data_command.EXIT_USAGE


def test_without_a_command_the_usage_is_shown(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        run(root=tmp_path)
    assert ended.value.code == data_command.EXIT_USAGE
    assert "usage" in capsys.readouterr().err


def test_the_help_teaches_by_examples(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("--help", root=tmp_path)
    text = capsys.readouterr().out
    for word in ("examples:", "data plot", common.DATA_VARIABLE, "licence class", "simulated"):
        assert word in text


# plot


def test_plot_writes_a_picture_of_one_set(root, capsys):
    assert run("plot", "watch_imu", "-o", str(root / "new" / "watch.png"), root=root) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == root / "new" / "watch.png"
    picture = image.imread(path)
    assert picture.shape[0] > 300
    assert len(np.unique(picture[..., :3].reshape(-1, 3), axis=0)) > 10


def test_plot_of_a_missing_set_fails_with_the_next_step(tmp_path, capsys):
    assert run("plot", "gaze_phone", root=tmp_path) == data_command.EXIT_FAILED
    error = capsys.readouterr().err
    assert common.DATA_VARIABLE in error
    assert "next:" in error
    assert not (tmp_path / "runs").exists()


def test_plots_of_all_modalities_need_a_folder(tmp_path, capsys):
    assert run("plot", "-o", str(tmp_path / "all.png"), root=tmp_path) == data_command.EXIT_USAGE
    assert "folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("phone_imu", data_plots.draw_lines), ("esc10", data_plots.draw_lines),
        ("capacitive_touch", data_plots.draw_array), ("simulated_depth_events", data_plots.draw_array),
        ("room_thermal_array", data_plots.draw_array), ("simulated_video_motion", data_plots.draw_picture),
        ("lidar_2d_carmen", data_plots.draw_scan), ("gps_activities", data_plots.draw_track),
        ("hand_keypoints", data_plots.draw_vector), ("gaze_phone", data_plots.draw_vector),
        ("room_people_count", data_plots.draw_carpet),
    ],
)  # fmt: skip
def test_each_is_drawn_as_what_it_is(name, draw):
    info = registry.entry(name).info
    x = np.zeros((1, max(1, round(info.window_s * info.rate_hz)), len(info.channels)), np.float32)
    assert data_plots.drawing_of(info, x) is draw


@pytest.mark.parametrize("simulator", [lidar.MOTION, gps.TRACKS, depth.EVENTS, video.MOTION])
def test_every_kind_of_drawing_leaves_a_picture(simulator, tmp_path):
    data_plots.plot(simulator.INFO, simulator.of(24).load(), tmp_path / "one.png")
    assert image.imread(tmp_path / "one.png")[..., :3].std() > 0.02


def test_an_empty_set_is_not_drawn(tmp_path):
    nothing = np.zeros(0, np.int64)
    empty = Samples(np.zeros((0, 13, 2), np.float32), nothing, np.zeros(0, "<U1"), np.zeros(0, "<U1"))
    with pytest.raises(ValueError, match="simulated_gps"):
        data_plots.plot(gps.TRACKS.INFO, empty, tmp_path / "one.png")


def test_what_is_drawn_shows_all_classes():
    samples = depth.EVENTS.of(100).load()
    rows = data_plots.chosen(samples)
    assert len(rows) == data_plots.SHOWN
    assert np.bincount(samples.target[rows]).tolist() == [2] * 6
    assert data_plots.caption(depth.EVENTS.INFO, samples, int(rows[1])) == "person_near"
    motion = lidar.MOTION.of(50).load()
    assert data_plots.caption(lidar.MOTION.INFO, motion, 0).startswith("dx_m ")


def test_frames_stand_in_the_order_of_time():
    frames = np.arange(8, dtype=np.float32).reshape(8, 1, 1, 1)
    picture = data_plots.tiled(frames)[..., 0]
    assert picture[0, ::2].tolist() == [0, 1, 2, 3]
    assert picture[2, ::2].tolist() == [4, 5, 6, 7]
    assert data_plots.grid_of(405, "capacitance") == (27, 15)
    assert data_plots.grid_of(768, "camera") == (24, 32)


# The recordings


@pytest.mark.e2e
def test_the_recordings_are_what_the_list_promises(capsys):
    recordings = common.data_root()
    if not (recordings / "esc10").exists() or not (recordings / "phone_watch_imu").exists():
        pytest.skip(f"the recordings are not at {recordings} ({common.DATA_VARIABLE})")
    phone, clips = adapters.PHONE.load(recordings), adapters.CLIPS.load(recordings)
    assert len(np.unique(phone.group)) == 20
    assert phone.x.shape[1:] == (100, 6)
    assert np.isfinite(phone.x).all()
    assert clips.x.shape == (400, 80000, 1)
    assert np.bincount(clips.target).tolist() == [40] * 10
    for reader, samples in ((adapters.PHONE, phone), (adapters.CLIPS, clips)):
        for fold in (*reader.folds(samples), reader.shipped(samples)):
            parts = [set(samples.group[rows].tolist()) for rows in (fold.train, fold.validation, fold.test)]
            assert not (parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2])

"""Readers of scans, films, spoken words and a drive: on tiny published files, and on the recordings."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from export.datasets import comma2k19_minute, common, lidar_2d_carmen, redkitchen_rgbd, spoken_digits
from export.datasets.images import frame, mean_depth

cv2 = pytest.importorskip("cv2")
RANDOM = np.random.default_rng(0)
READERS = (
    lidar_2d_carmen,
    lidar_2d_carmen.DENSE,
    redkitchen_rgbd,
    redkitchen_rgbd.CLIP,
    redkitchen_rgbd.TOF,
    spoken_digits,
    spoken_digits.BY_SPEAKER,
)


def check(reader: common.Reader, samples: common.Samples) -> None:
    """What every Reader promises, but for groups, which a fold by building holds in another name."""
    info = reader.INFO
    n, steps, channels = samples.x.shape
    assert (steps, channels) == (round(info.rate_hz * info.window_s), len(info.channels))
    assert len(info.units) == channels
    assert samples.x.dtype == np.float32
    assert np.isfinite(samples.x).all()
    assert {len(samples.target), len(samples.group), len(samples.recording)} == {n}
    if info.labels:
        assert sorted(np.unique(samples.target)) == list(range(len(info.labels)))
    else:
        assert samples.target.shape == (n, len(info.outputs))
        assert samples.target.dtype == np.float32
    for fold in [*reader.folds(samples), reader.shipped(samples)]:
        parts = [fold.train, fold.test, fold.validation]
        rows = np.concatenate(parts)
        assert len(rows) == len(set(rows.tolist())) <= n
        assert len(fold.train) > 0 < len(fold.test)
        groups = [set(samples.group[part]) for part in parts]
        assert not groups[0] & groups[1]
        assert not (groups[0] | groups[1]) & groups[2]
    assert len(reader.shipped(samples).validation) > 0


# -- lidar_2d_carmen

ROOM_M = (4.0, 3.0)
"""Half the sides of a rectangular room about the origin."""


def walls(pose: tuple[float, float, float], angles_deg: np.ndarray) -> np.ndarray:
    """Ranges from a pose inside the room to its walls, anticlockwise from straight ahead."""
    angle = np.radians(angles_deg) + pose[2]
    reach = []
    for axis, direction in ((0, np.cos(angle)), (1, np.sin(angle))):
        with np.errstate(divide="ignore"):
            far = np.where(direction > 0, ROOM_M[axis] - pose[axis], -ROOM_M[axis] - pose[axis]) / direction
        reach.append(np.where(np.abs(direction) < 1e-9, np.inf, far))
    return np.minimum(*reach)


def flaser(pose: tuple[float, float, float], beams: int) -> str:
    angles = -90 + np.arange(beams) * 180 / (beams - beams % 2)
    ranges = " ".join(f"{r:.4f}" for r in walls(pose, angles))
    where = " ".join(f"{p:.6f}" for p in pose)
    return f"FLASER {beams} {ranges} {where} 0 0 0 12.5 host 12.5\n"


def write_logs(root: Path, scans: int = 80) -> None:
    folder = root / "lidar_2d_carmen"
    folder.mkdir(parents=True)
    path = [(-2.0 + 4.0 * i / scans, 0.3 * math.sin(i), 0.02 * i) for i in range(scans)]
    for building, beams in (("attic", 180), ("barn", 361)):
        lines = ["# message formats defined: PARAM SYNC ODOM FLASER\n", "ODOM 0 0 0 0 0 0 1.0 host 1.0\n"]
        lines += [flaser(pose, beams) for pose in path]
        with gzip.open(folder / f"{building}-corrected.log.gz", "wt") as file:
            file.writelines(lines)


@pytest.mark.parametrize("beams", [180, 181, 360, 361])
def test_every_scanner_gives_one_beam_a_degree(beams):
    pose = (0.5, -0.4, 0.3)
    scan, found = lidar_2d_carmen.scan_of(flaser(pose, beams))
    assert found == pytest.approx(pose)
    assert np.allclose(scan, walls(pose, np.arange(-90, 90)), atol=1e-3)


def test_the_newer_line_says_the_same():
    pose = (0.5, -0.4, 0.3)
    angles = np.arange(-95.0, 96.0, 0.5)
    ranges = " ".join(f"{r:.4f}" for r in walls(pose, angles))
    head = (
        f"ROBOTLASER1 0 {math.radians(-95):.6f} {math.radians(190):.6f} {math.radians(0.5):.8f} 81.9 0.01 0"
    )
    line = f"{head} {len(angles)} {ranges} 2 7.0 8.0 0.5 -0.4 0.3 0 0 0 0 0 0.3 0.3 1e6 12.5 host 12.5"
    scan, found = lidar_2d_carmen.scan_of(line)
    assert found == pytest.approx(pose)
    assert np.allclose(scan, walls(pose, np.arange(-90, 90)), atol=2e-3)


def test_what_a_scanner_did_not_see_is_far():
    line = "FLASER 180 " + " ".join(["0", "81.91", "nan", "-1", "12.5", "3.5"] * 30) + " 0 0 0 0 0 0 1 h 1"
    scan, _ = lidar_2d_carmen.scan_of(line)
    assert scan[:6].tolist() == [12, 12, 12, 12, 12, 3.5]
    narrow = f"ROBOTLASER1 0 0 1.57 {math.radians(1):.8f} 81 0 0 90 " + "2.0 " * 90 + "0 1 2 3 0 0 0"
    scan, pose = lidar_2d_carmen.scan_of(narrow)
    assert scan.tolist() == [12] * 90 + [2.0] * 90
    assert pose == (1, 2, 3)


@pytest.mark.parametrize(
    "line", ["FLASER", "FLASER 180 1 2 3", "FLASER 2 1 2 0 0", "FLASER 2 1 2 0 0 nan", "FLASER 2 a b 0 0 0"]
)
def test_a_broken_scan_says_where_it_is(tmp_path, line):
    (tmp_path / "lidar_2d_carmen").mkdir()
    (tmp_path / "lidar_2d_carmen" / "x.log").write_text(f"ODOM 0 0 0\n{line}\n")
    with pytest.raises(ValueError, match=r"x\.log, line 2: "):
        lidar_2d_carmen.load(tmp_path)


@given(
    st.text()
    | st.lists(st.sampled_from(["FLASER", "ROBOTLASER1", "2", "-3", "1e9", "nan", "x"])).map(" ".join)
)
def test_no_line_does_more_harm_than_a_value_error(line):
    try:
        found = lidar_2d_carmen.scan_of(line)
    except ValueError:
        return
    if found is not None:
        scan, pose = found
        assert scan.shape == (180,)
        assert ((scan > 0) & (scan <= lidar_2d_carmen.MAX_RANGE_M)).all()
        assert all(map(math.isfinite, pose))


def test_pairs_carry_the_motion_that_their_scans_show(tmp_path):
    write_logs(tmp_path)
    samples = lidar_2d_carmen.load(tmp_path)
    check(lidar_2d_carmen, samples)
    assert set(samples.recording) == {"attic", "barn"}
    dx, dy, turned = samples.target.T
    assert (np.hypot(dx, dy) <= lidar_2d_carmen.FAR_M + 1e-6).all()
    # The points of the second scan, moved by the target, lie on the walls that the first scan saw.
    angle = np.radians(np.arange(-90, 90))
    first, second = samples.x[:, 0], samples.x[:, 1]
    heading = angle[None] + turned[:, None]
    px = dx[:, None] + second * np.cos(heading)
    py = dy[:, None] + second * np.sin(heading)
    seen_at = np.degrees(np.arctan2(py, px)).round()
    inside = np.abs(seen_at) < 89
    place = np.where(inside, seen_at + 90, 0).astype(int)
    error = np.abs(np.take_along_axis(first, place, 1) - np.hypot(px, py))[inside]
    assert np.median(error) < 0.03
    still = np.abs(np.take_along_axis(first, np.broadcast_to(np.arange(180), first.shape), 1) - second)
    assert np.median(still) > 3 * np.median(error)


def test_the_second_pose_is_seen_from_the_first():
    first, second = np.array([1.0, 2.0, math.pi / 2]), np.array([0.0, 4.0, -math.pi + 0.1])
    assert lidar_2d_carmen.relative_pose(first, second) == pytest.approx((2.0, 1.0, math.pi / 2 + 0.1))


def test_a_building_is_left_out_and_the_last_part_is_the_test(tmp_path):
    write_logs(tmp_path)
    for reader in (lidar_2d_carmen, lidar_2d_carmen.DENSE):
        samples = reader.load(tmp_path)
        folds = reader.folds(samples)
        assert [fold.name for fold in folds] == ["attic", "barn"]
        assert set(samples.recording[folds[0].test]) == {"attic"}
        assert set(samples.recording[folds[0].train]) == {"barn"}
        assert {g[-2:] for g in samples.group[reader.shipped(samples).test]} == {"07", "08", "09"}


def test_the_sparse_scan_is_every_sixth_beam(tmp_path):
    write_logs(tmp_path)
    samples = lidar_2d_carmen.DENSE.load(tmp_path)
    check(lidar_2d_carmen.DENSE, samples)
    assert len(samples) == 160
    assert np.array_equal(samples.x[:, 0], samples.target[:, ::6])
    assert lidar_2d_carmen.DENSE.INFO.outputs[0] == f"{lidar_2d_carmen.DENSE.INFO.channels[0]}_m"


def test_channels_name_what_a_live_scanner_sees_there():
    """Live scanners count clockwise: what lies to the right is range_090."""
    channels = lidar_2d_carmen.INFO.channels
    assert (channels[0], channels[90], channels[179]) == ("range_090", "range_000", "range_271")


# -- redkitchen_rgbd


def test_cells_are_means_of_what_was_measured():
    depth = np.array([[1000, 2000, 0, 0], [3000, 65535, 0, 65535]], np.uint16)
    got = mean_depth(depth, 1, 2)
    assert got[0, 0] == pytest.approx(2.0)
    assert np.isnan(got[0, 1])
    with pytest.raises(ValueError, match="cannot be divided"):
        mean_depth(depth, 2, 3)


def test_a_frame_is_red_green_blue_row_by_row():
    image = np.zeros((24, 32, 3), np.uint8)
    image[0, 1] = (255, 0, 51)  # blue first
    values = frame(image, 32, 24)
    assert values[:6].tolist() == pytest.approx([0, 0, 0, 0.2, 0, 1])


def write_kitchen(root: Path, frames: int) -> Path:
    """A camera that goes 1 cm a frame to its right and turns; 1 m deep at the left, no depth at the right."""
    folder = root / "redkitchen_rgbd"
    folder.mkdir(parents=True)
    depth = np.full((480, 640), 2000, np.uint16)
    depth[:, :80] = 1000
    depth[:, 600:] = 65535
    colour, depth_png = (
        cv2.imencode(".png", a)[1].tobytes() for a in (np.zeros((480, 640, 3), np.uint8), depth)
    )
    for i in range(0, frames, 2):
        stem = folder / f"frame-{i:06d}"
        Path(f"{stem}.color.png").write_bytes(colour)
        Path(f"{stem}.depth.png").write_bytes(depth_png)
        np.savetxt(f"{stem}.pose.txt", pose_at(i))
        Path(f"{folder}/frame-{i + 1:06d}.color.png").write_bytes(b"is not read")
    return folder


def pose_at(i: int) -> np.ndarray:
    """Camera to world: turned about its own y, and what lies behind it is the sum of the steps."""
    yaw = 0.01 * i
    pose = np.eye(4)
    pose[:3, :3] = [[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]]
    pose[:3, 3] = (0.01 * i, 0.2, 0.3)
    return pose


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory):
    """40 frames as published, 500 in one file."""
    published, packed = tmp_path_factory.mktemp("published"), tmp_path_factory.mktemp("packed")
    write_kitchen(published, 80)
    jpeg = cv2.imencode(".jpg", RANDOM.integers(0, 256, (120, 160, 3)).astype(np.uint8))[1]
    depth = RANDOM.integers(500, 4500, (500, 120, 160)).astype(np.uint16)
    depth[:, :10, :10] = 0
    (packed / "redkitchen_rgbd").mkdir()
    np.savez(
        packed / "redkitchen_rgbd" / "data.npz",
        color_jpeg=np.tile(jpeg, 500), color_offset=np.arange(501) * len(jpeg), depth_mm=depth,
        camera_to_world=np.stack([pose_at(2 * i) for i in range(500)]).astype(np.float32),
    )  # fmt: skip
    return published, packed


def test_a_published_film_is_read(kitchen):
    samples = redkitchen_rgbd.load(kitchen[0])
    assert len(samples) == 40
    depth = samples.target[0].reshape(12, 16)
    assert np.allclose(depth[:, :2], 1.0)
    assert np.allclose(depth[:, 2:15], 2.0)
    assert np.isnan(depth[:, 15]).all()
    zones = redkitchen_rgbd.TOF.load(kitchen[0])
    assert np.allclose(zones.x, 2.0)  # the middle square sees neither edge


def test_films_keep_every_promise(kitchen):
    samples = redkitchen_rgbd.load(kitchen[1])
    check(redkitchen_rgbd, samples)
    (fold,) = redkitchen_rgbd.folds(samples)
    assert fold.train.tolist() == list(range(400))
    assert fold.test.tolist() == list(range(425, 500))
    assert np.isnan(samples.target[:, 0]).all()
    assert np.isfinite(samples.target[:, 1:]).all()
    zones = redkitchen_rgbd.TOF.load(kitchen[1])
    check(redkitchen_rgbd.TOF, zones)
    assert zones.x.max() <= redkitchen_rgbd.FARTHEST_M


def test_a_clip_tells_how_the_camera_moved(kitchen):
    samples = redkitchen_rgbd.CLIP.load(kitchen[1])
    check(redkitchen_rgbd.CLIP, samples)
    assert len(samples) == 20 * 18  # no clip reaches over a block
    first = samples.target[0]
    assert np.allclose(first[:3], [0.14, 0, 0], atol=1e-5)  # 14 frames, from a camera that is not turned yet
    assert np.allclose(first[3:], [0, 0.14, 0], atol=1e-5)
    later = samples.target[
        18
    ]  # begins at frame 50, turned by 0.5 rad: right of it is no longer the world's x
    assert np.allclose(later[:3], [0.14 * math.cos(0.5), 0, 0.14 * math.sin(0.5)], atol=1e-5)
    assert np.allclose(later[3:], first[3:], atol=1e-5)


# -- spoken_digits


def write_words(root: Path) -> None:
    folder = root / "spoken_digits"
    folder.mkdir(parents=True)
    t = np.arange(4000) / 8000
    for speaker in ("anna", "nicolas", "theo"):
        for digit in range(10):
            for index in (0, 4, 5, 11):
                tone = 0.5 * np.sin(2 * np.pi * (300 + 50 * digit) * t)
                if index == 11:
                    tone = np.tile(tone, 3)  # 1.5 s
                soundfile.write(folder / f"{digit}_{speaker}_{index}.wav", tone, 8000, subtype="PCM_16")


def test_words_last_a_second_at_16_khz(tmp_path):
    write_words(tmp_path)
    samples = spoken_digits.load(tmp_path)
    check(spoken_digits, samples)
    at = {name: i for i, name in enumerate(samples.recording.tolist())}
    word = samples.x[at["3_anna_0"], :, 0]
    assert word[8100:].tolist() == [0.0] * 7900
    spectrum = np.abs(np.fft.rfft(word[:8000]))
    assert np.argmax(spectrum) * 2 == 450  # bins are 2 Hz wide: the tone is where it was
    assert spectrum[4200 // 2 :].max() < 0.01 * spectrum.max()
    assert np.abs(samples.x[at["3_anna_11"], 15000:, 0]).max() > 0.4
    assert samples.group[at["3_anna_11"]] == "anna/11"


def test_the_official_split_holds_recordings_back_and_the_other_speakers(tmp_path):
    write_words(tmp_path)
    samples = spoken_digits.load(tmp_path)
    (fold,) = spoken_digits.folds(samples)
    assert {g[-2:] for g in samples.group[fold.test]} == {"00", "04"}
    assert {g[-2:] for g in samples.group[fold.train]} == {"05", "11"}
    people = spoken_digits.BY_SPEAKER.load(tmp_path)
    check(spoken_digits.BY_SPEAKER, people)
    assert len(spoken_digits.BY_SPEAKER.folds(people)) == 3
    (tmp_path / "spoken_digits" / "hello.wav").write_bytes(b"")
    with pytest.raises(ValueError, match=r"hello\.wav is not named"):
        spoken_digits.load(tmp_path)


# -- comma2k19_minute


def write_drive(folder: Path) -> dict[str, np.ndarray]:
    arrays = {}
    for name, rows, columns in (
        ("GNSS/live_gnss_ublox", 5, 6), ("IMU/accelerometer", 9, 3), ("IMU/gyro", 9, 3), ("CAN/speed", 7, 1),
        ("CAN/steering_angle", 8, 0),
    ):  # fmt: skip
        arrays[f"processed_log/{name}/t"] = 100.0 + np.arange(rows)
        arrays[f"processed_log/{name}/value"] = RANDOM.normal(size=(rows, columns) if columns else rows)
    for name, columns in (("positions", 3), ("velocities", 3), ("orientations", 4)):
        arrays[f"global_pose/frame_{name}"] = RANDOM.normal(size=(4, columns))
    arrays["global_pose/frame_times"] = 100.0 + np.arange(4)
    for path, values in arrays.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with (folder / path).open("wb") as file:
            np.save(file, values)
    return arrays


def test_a_drive_is_read_in_both_formats(tmp_path):
    folder = tmp_path / "comma2k19_minute"
    arrays = write_drive(folder)
    published = comma2k19_minute.load(tmp_path)
    assert np.array_equal(published.imu[:, 3:], arrays["processed_log/IMU/gyro/value"])
    assert published.speed_m_s.shape == (7,)
    np.savez(folder / "data.npz", **{path.replace("/", "__"): values for path, values in arrays.items()})
    packed = comma2k19_minute.load(tmp_path)
    assert all(np.array_equal(vars(packed)[name], values) for name, values in vars(published).items())


def test_times_that_go_back_are_refused(tmp_path):
    folder = tmp_path / "comma2k19_minute"
    write_drive(folder)
    with (folder / "processed_log/CAN/speed/t").open("wb") as file:
        np.save(file, np.zeros(7))
    with pytest.raises(ValueError, match="CAN/speed: 7 values"):
        comma2k19_minute.load(tmp_path)
    (folder / "processed_log/CAN/speed/t").unlink()
    with pytest.raises(common.DatasetMissingError, match="speed"):
        comma2k19_minute.load(tmp_path)


# -- the recordings


@pytest.fixture(scope="module", params=READERS, ids=lambda reader: reader.INFO.name)
def real(request):
    try:
        return request.param, request.param.load()
    except common.DatasetMissingError as error:
        pytest.skip(str(error))


COUNTS = {
    "lidar_2d_carmen": (13151, 130),
    "lidar_2d_carmen_dense": (13350, 130),
    "redkitchen_rgbd": (500, 20),
    "redkitchen_rgbd_clip": (360, 20),
    "redkitchen_rgbd_tof": (500, 20),
    "spoken_digits": (1500, 150),
    "spoken_digits_by_speaker": (1500, 6),
}


def test_the_recordings_are_what_the_reader_promises(real):
    reader, samples = real
    check(reader, samples)
    assert (len(samples), len(np.unique(samples.group))) == COUNTS[reader.INFO.name]
    if reader.INFO.labels:
        assert np.bincount(samples.target).tolist() == [150] * 10
    if reader in (redkitchen_rgbd, redkitchen_rgbd.TOF):
        assert 0.01 < np.isnan(samples.target).mean() < 0.03
    else:
        assert np.isfinite(samples.target).all()


def test_the_minute_is_what_the_loader_promises():
    try:
        drive = comma2k19_minute.load()
    except common.DatasetMissingError as error:
        pytest.skip(str(error))
    assert drive.gps.shape == (579, 6)
    assert drive.imu.shape == (6256, 6)
    assert drive.imu[:, 2].mean() == pytest.approx(-9.8, abs=0.3)  # down
    speed = np.interp(drive.gps_time_s, drive.speed_time_s, drive.speed_m_s)
    assert np.corrcoef(speed, drive.gps[:, 2])[0, 1] > 0.99
    assert np.allclose(np.linalg.norm(drive.orientation, axis=1), 1, atol=1e-6)

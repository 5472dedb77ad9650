"""Readers of KITTI on tiny files in the published formats: odometry, raw GPS/IMU, objects."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from paper_checks import check, missing, refused

from export.datasets import common
from export.datasets.paper import kitti, kitti_objects, kitti_oxts

READERS = (kitti, kitti_oxts, kitti_oxts.GPS, kitti_objects)
TO_CAMERA = np.array([[0, -1, 0, 0.1], [0, 0, -1, -0.2], [1, 0, 0, -0.3], [0, 0, 0, 1.0]])
"""The scanner's x forward, y left, z up as the camera's z, -x, -y, and where it stands."""


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


def line(matrix: np.ndarray) -> str:
    return " ".join(f"{value:.9e}" for value in np.asarray(matrix).reshape(-1))


def write_points(path: Path, *points: tuple[float, float, float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(np.array([(*point, 0.5) for point in points], "<f4").tobytes())


# -- odometry


def moved(forward: float, left: float, turned: float) -> np.ndarray:
    c, s = math.cos(turned), math.sin(turned)
    return np.array([[c, -s, 0, forward], [s, c, 0, left], [0, 0, 1, 0], [0, 0, 0, 1.0]])


STEP = moved(0.9, 0.1, 0.05)


def write_odometry(root: Path, sequences=("00", "04", "08", "09", "10"), frames: int = 6) -> Path:
    folder = root / "kitti"
    (folder / "poses").mkdir(parents=True)
    for name in sequences:
        place, poses = np.eye(4), []
        for i in range(frames):
            poses.append(TO_CAMERA @ place @ np.linalg.inv(TO_CAMERA))
            place = place @ STEP
            if (name, i) != ("00", 3):  # a scan is missing
                scan = folder / "sequences" / name / "velodyne" / f"{i:06d}.bin"
                write_points(scan, (10.0 + i, 0, -1), (0, -5, -1), (3, 3, 1), (4, 0, -1.7))
        (folder / "poses" / f"{name}.txt").write_text("\n".join(line(pose[:3]) for pose in poses) + "\n")
        calib = [f"P{i}: {line(np.eye(4)[:3])}" for i in range(4)] + [f"Tr: {line(TO_CAMERA[:3])}"]
        (folder / "sequences" / name / "calib.txt").write_text("\n".join(calib) + "\n")
    return folder


def test_odometry(tmp_path):
    write_odometry(tmp_path)
    samples = check(kitti, tmp_path)
    assert len(samples) == 4 * 5 + 3  # in 00 two pairs lack a scan
    assert np.allclose(samples.target, (0.9, 0.1, 0.05), atol=1e-6)
    first, second = samples.x[0]
    assert first[0] == 10  # ahead; the road at 4 m and the branch at 3 m are not at the bumper's height
    assert second[0] == 11
    assert first[90] == 5  # to the right is a quarter of a turn clockwise
    assert (np.delete(first, (0, 90)) == kitti.FARTHEST_M).all()
    assert len(kitti.folds(samples)) == 5
    assert set(samples.group[kitti.shipped(samples).test]) == {"09", "10"}


def test_the_nearest_point_of_a_degree_counts(tmp_path):
    write_points(tmp_path / "a.bin", (20, 0.0, -1), (8, 0.01, -0.5), (60, 30, -1))
    ranges = kitti.scan(tmp_path / "a.bin")
    assert np.isclose(ranges[0], 8, atol=1e-4)
    assert ranges.max() == kitti.FARTHEST_M


def test_other_files_of_odometry_are_refused(tmp_path):
    folder = write_odometry(tmp_path)
    (folder / "sequences" / "00" / "velodyne" / "000000.bin").write_bytes(b"12345")
    refused(kitti, tmp_path, "000000.bin", "four float32 were expected, 5 bytes")
    (folder / "sequences" / "00" / "calib.txt").write_text("P0: 1 2 3\n")
    refused(kitti, tmp_path, "00/calib.txt", "'Tr' of 12 numbers")
    (folder / "poses" / "00.txt").write_text("1 0 0 0\n")
    (folder / "sequences" / "00" / "calib.txt").write_text(f"Tr: {line(TO_CAMERA[:3])}\n")
    refused(kitti, tmp_path, "00.txt", "twelve numbers for each frame expected, 4")
    (folder / "sequences" / "00" / "calib.txt").unlink()
    with pytest.raises(common.DatasetMissingError, match=r"calib\.txt"):
        kitti.load(tmp_path)


# -- raw GPS and IMU


def write_oxts(root: Path, drives: int = 6, frames: int = 45, late: int | None = None) -> Path:
    for drive in range(1, drives + 1):
        name = f"2011_09_26_drive_{drive:04d}_sync"
        oxts = root / "kitti" / "2011_09_26" / name / "oxts"
        (oxts / "data").mkdir(parents=True)
        stamps = []
        for i in range(frames):
            second = i / 10 + (0.2 if late is not None and i >= late else 0)
            stamps.append(f"2011-09-26 13:02:{second:012.9f}")
            fields = np.zeros(30)
            # East at 5 to 9.4 m/s, and turning left over the break between pi and -pi.
            yaw = (np.pi - 0.1 + 0.02 * i + np.pi) % (2 * np.pi) - np.pi
            fields[[0, 1, 5, 8]] = 49.0, 8.4 + i * 1e-5, yaw, 5 + 0.1 * i
            fields[11:14], fields[17:20] = (1, 2, 9.8), (0.1, 0.2, 0.2)
            (oxts / "data" / f"{i:010d}.txt").write_text(line(fields) + "\n")
        (oxts / "timestamps.txt").write_text("\n".join(stamps) + "\n")
    return root / "kitti" / "2011_09_26" / "2011_09_26_drive_0001_sync" / "oxts"


def test_the_motion_of_the_car(tmp_path):
    write_oxts(tmp_path)
    samples = check(kitti_oxts, tmp_path)
    assert len(samples) == 6 * 3
    assert np.allclose(samples.x, (1, 2, 9.8, 0.1, 0.2, 0.2))
    assert np.allclose(samples.target, (0.1 * 19, 0.02 * 19), atol=1e-5)


def test_the_positions_of_the_car(tmp_path):
    write_oxts(tmp_path)
    samples = check(kitti_oxts.GPS, tmp_path)
    step_m = 6378137 * math.cos(math.radians(49)) * math.radians(1e-5)
    assert np.allclose(samples.x[:, -1], 0)
    assert np.allclose(np.diff(samples.x[:, :, 0]), step_m, atol=1e-4)
    assert np.allclose(samples.x[:, :, 1], 0)
    assert np.allclose(
        samples.target[0], (6.9, math.cos(math.pi + 0.28), math.sin(math.pi + 0.28)), atol=1e-5
    )


def test_a_gap_tears_the_windows(tmp_path):
    write_oxts(tmp_path, late=12)
    assert len(kitti_oxts.load(tmp_path)) == 6  # of three, those from frame 0 and 10 hold the gap


def test_other_files_of_the_car_are_refused(tmp_path):
    oxts = write_oxts(tmp_path)
    drive = "2011_09_26_drive_0001_sync"
    (oxts / "timestamps.txt").write_text("2011-09-26 13:02:25.964389445\n")
    refused(kitti_oxts, tmp_path, drive, "45 files in oxts/data, 1 in timestamps.txt")
    (oxts / "timestamps.txt").write_text("yesterday\n")
    refused(kitti_oxts, tmp_path, f"{drive}/timestamps.txt", "a date and a time")
    (oxts / "data" / "0000000003.txt").write_text("49 8 116\n")
    refused(kitti_oxts, tmp_path, f"{drive}/0000000003.txt", "30 numbers were expected, 3")
    (oxts / "timestamps.txt").unlink()
    (oxts / "data" / "0000000003.txt").unlink()
    with pytest.raises(common.DatasetMissingError, match=r"timestamps\.txt"):
        kitti_oxts.load(tmp_path)


# -- objects

CAR = "Car 0.00 0 -1.58 587 173 614 200 1.5 1.6 3.9 2.0 1.0 20.0 -1.57"
NEAR = "Cyclist 0.00 0 0 0 0 9 9 1.7 0.6 1.8 -3.0 1.2 6.0 0.0"
NOTHING = "DontCare -1 -1 -10 503 169 590 190 -1 -1 -1 -1000 -1000 -1000 -10"


def write_objects(root: Path, frames: int = 12) -> Path:
    training, mapping = root / "kitti" / "training", root / "kitti" / "mapping"
    for name in ("label_2", "calib"):
        (training / name).mkdir(parents=True)
    mapping.mkdir()
    for i in range(frames):
        write_points(training / "velodyne" / f"{i:06d}.bin", (10.0 + i, 0, -1))
        calib = [f"R0_rect: {line(np.eye(3))}", f"Tr_velo_to_cam: {line(TO_CAMERA[:3])}"]
        (training / "calib" / f"{i:06d}.txt").write_text("\n".join(calib) + "\n")
        labels = [NOTHING] if i == 5 else [CAR, NEAR, NOTHING]
        (training / "label_2" / f"{i:06d}.txt").write_text("\n".join(labels) + "\n")
    rows = [f"2011_09_26 2011_09_26_drive_{k // 2:04d}_sync {k:010d}" for k in range(frames)]
    (mapping / "train_mapping.txt").write_text("\n".join(rows) + "\n")
    (mapping / "train_rand.txt").write_text(",".join(str(frames - k) for k in range(frames)))
    return root / "kitti"


def test_objects(tmp_path):
    write_objects(tmp_path)
    samples = check(kitti_objects, tmp_path)
    assert len(samples) == 11  # one frame shows nothing
    assert samples.group[0] == "2011_09_26_drive_0005_sync"  # frame 0 is line 12 of the mapping
    forward, left, up, height, width, length, ahead, sideways = samples.target[0]
    # The cyclist, the nearer: 6 m ahead and 3 to the left of the camera, half its height above its feet.
    assert np.allclose((forward, left, up), (6 + 0.3, 3 + 0.1, -(1.2 - 0.85) - 0.2), atol=1e-5)
    assert np.allclose((height, width, length), (1.7, 0.6, 1.8))
    assert np.allclose((ahead, sideways), (0, -1), atol=1e-6)  # a turn of 0 looks along the camera's x


def test_other_files_of_objects_are_refused(tmp_path):
    folder = write_objects(tmp_path)
    label = folder / "training" / "label_2" / "000000.txt"
    label.write_text("Ufo 0 0 0\n")
    refused(kitti_objects, tmp_path, "label_2/000000.txt, line 1", "a type and 14 numbers")
    label.write_text(CAR.replace("20.0", "far"))
    refused(kitti_objects, tmp_path, "label_2/000000.txt, line 1", "a type and 14 numbers")
    label.write_text(CAR)
    (folder / "training" / "calib" / "000000.txt").write_text("P0: 1\n")
    refused(kitti_objects, tmp_path, "calib/000000.txt", "'R0_rect' of 9 numbers")
    (folder / "mapping" / "train_rand.txt").write_text("1,2,99")
    refused(kitti_objects, tmp_path, "train_rand.txt does not name lines of train_mapping.txt")
    (folder / "mapping" / "train_rand.txt").unlink()
    with pytest.raises(common.DatasetMissingError, match=r"train_rand\.txt"):
        kitti_objects.load(tmp_path)

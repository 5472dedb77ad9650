"""Readers of the paper's own sources of motion, sound and gaze, on tiny files in the published formats."""

from __future__ import annotations

import json
import pickle
import plistlib
from pathlib import Path

import numpy as np
import pytest
from paper_checks import check, missing, refused

from export.datasets import common
from export.datasets.paper import dip_imu, eyemu, samosa

RANDOM = np.random.default_rng(0)
READERS = (eyemu, eyemu.GAZE, samosa, samosa.AUDIO, dip_imu)


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


# -- EyeMU


def eyemu_histories(steps: int, turn_deg: float = 0.0, moved_at: int | None = None) -> list:
    motion = np.zeros((9, steps))
    motion[8] = (turn_deg + np.arange(steps)) % 360
    motion[3] = 180
    if moved_at is not None:
        motion[0, moved_at] = 5
    slow = steps // 6
    eyes = np.arange(slow * 26).reshape(slow, 26) / 1000
    detected = np.zeros((slow, 4), int)
    detected[15:, 0] = 1
    motions = [motion[:3].tolist(), motion[3:6, :-2].tolist(), motion[6:].tolist()]
    return [[0.1] * slow, eyes.tolist(), [[0.5, 0.5]] * slow, motions, detected.tolist(), [1] * slow]


def write_eyemu(root: Path, people: int = 6, histories=None) -> None:
    """As Safari saves the page of results of each person."""
    for person in range(people):
        trial = [1614010798300, [0, 2], [person, 6], histories or eyemu_histories(300, 340, 200)]
        results = {"grid1_results": json.dumps([[trial], [trial]]), "list2_results": json.dumps([[trial]])}
        page = f"<html><body><pre>{json.dumps(results)}</pre></body></html>".encode()
        archive = {"WebMainResource": {"WebResourceData": page, "WebResourceMIMEType": "text/html"}}
        folder = root / "eyemu" / f"p{person + 1}"
        folder.mkdir(parents=True)
        (folder / "a.webarchive").write_bytes(plistlib.dumps(archive, fmt=plistlib.FMT_BINARY))


def test_eyemu_gestures(tmp_path):
    write_eyemu(tmp_path)
    samples = check(eyemu, tmp_path)
    assert samples.target.tolist() == [g for g in range(6) for _ in range(3)]
    assert len(eyemu.folds(samples)) == 6
    assert samples.recording[:3].tolist() == [
        "p1/grid1_results/0/0",
        "p1/grid1_results/1/0",
        "p1/list2_results/0/0",
    ]
    window = samples.x[0]
    assert window[:, 0].max() == 5  # where the phone was moved, on the time that all three motions have
    assert np.allclose(window[:, 3], np.pi)  # degrees per second
    turned = np.radians(np.arange(90.0))
    assert np.allclose(window[:, 8], turned, atol=1e-5)  # from the window's start, over 360 degrees


def test_eyemu_gaze(tmp_path):
    write_eyemu(tmp_path)
    samples = check(eyemu.GAZE, tmp_path)
    assert samples.x.shape == (6 * 3 * 2, 5, 26)  # ten frames between the reaction and the gesture
    assert np.isclose(samples.x[0, 0, 0], 5 * 26 / 1000)
    assert np.allclose(
        samples.target[0], (2 / 3, 3 / 8)
    )  # sixth place of the grid: second column, second row
    assert np.allclose(samples.target[4], (0.5, 5.5 / 6))


def test_other_results_of_eyemu_are_refused(tmp_path):
    write_eyemu(tmp_path / "pilot", histories=eyemu_histories(300)[:4])
    refused(eyemu, tmp_path / "pilot", "p1/a.webarchive", "4 histories, 5 or 6 were expected")
    write_eyemu(tmp_path / "other")
    (tmp_path / "other" / "eyemu" / "p2" / "a.webarchive").write_bytes(b"<html>no archive</html>")
    refused(eyemu, tmp_path / "other", "p2/a.webarchive", "no property list", "grid1_results")


# -- SAMoSA


def write_samosa(root: Path, people=(3, 7, 17, 41, 49, 201), seconds: int = 5) -> Path:
    folder = root / "samosa" / "TrainingDataset"
    folder.mkdir(parents=True)
    for person in people:
        for context, activity in (("Kitchen", "Chopping"), ("Workshop", "Drill in use"), ("Other", "Speech")):
            held = {
                "Audio": (1000 * np.sin(np.arange(seconds * 16000))).astype(np.int16),
                "IMU": np.arange(seconds * 50 * 9).reshape(-1, 9) + person / 1000,
            }
            (folder / f"{person}---{context}---{activity}---1.pkl").write_bytes(pickle.dumps(held))
    return folder


def test_samosa_motion(tmp_path):
    write_samosa(tmp_path)
    samples = check(samosa, tmp_path)
    assert samples.x.shape == (6 * 2 * 4, 100, 9)
    assert {samosa.INFO.labels[i] for i in samples.target} == {"chopping", "drill_in_use"}
    assert sorted(set(samples.group)) == ["p003", "p007", "p017", "p041", "p049", "p201"]
    own = samples.recording == "49---Kitchen---Chopping---1"
    assert np.allclose(samples.x[own][1, 0], np.arange(9) + 50 * 9 + 0.049)
    assert len(samosa.INFO.labels) == len(set(samosa.INFO.labels)) == 26


def test_samosa_sound(tmp_path):
    write_samosa(tmp_path)
    samples = check(samosa.AUDIO, tmp_path)
    assert samples.x.shape == (6 * 2 * 3, 32000, 1)
    expected = (1000 * np.sin(np.arange(16000 * 3, 16000 * 5))).astype(np.int16) / 32768
    assert np.allclose(samples.x[2, :, 0], expected)  # the third window ends with the recording


@pytest.mark.parametrize(
    ("name", "held", "words"),
    [
        (
            "1---Kitchen---Chopping---1.pkl",
            {"IMU": np.zeros((9, 6)), "Audio": np.zeros(9)},
            ("'IMU'", "(n, 9)"),
        ),
        ("1---Kitchen---Chopping---1.pkl", {"IMU": np.zeros((9, 9))}, ("'Audio'", "(n)")),
        ("1---Kitchen---Chopping---1.pkl", [1, 2], ("'IMU'",)),
        ("1---Kitchen---Hammering---1.pkl", {}, ("Hammering is no activity of Kitchen",)),
        ("1-Kitchen-Chopping.pkl", {}, ("<person>---<context>---<activity>---<trial>",)),
    ],
)
def test_other_files_of_samosa_are_refused(tmp_path, name, held, words):
    folder = write_samosa(tmp_path)
    (folder / name).write_bytes(pickle.dumps(held))
    refused(samosa, tmp_path, name, *words)


# -- DIP-IMU


def turns(angle_rad: np.ndarray) -> np.ndarray:
    """(...,) -> (...,3,3) about z."""
    c, s, o = np.cos(angle_rad), np.sin(angle_rad), np.zeros_like(angle_rad)
    return np.stack([np.stack([c, -s, o], -1), np.stack([s, c, o], -1), np.stack([o, o, o + 1], -1)], -2)


def dip_motion(frames: int = 150) -> dict[str, np.ndarray]:
    yaw = np.linspace(0, 1, frames)  # the whole body turns
    own = np.full((frames, 17), 0.0)
    own[:, 7] = 0.5  # and the left forearm is turned against it
    acc = np.zeros((frames, 17, 3))
    acc[:, 7] = np.stack([np.cos(yaw), np.sin(yaw), 0 * yaw], 1)  # always along the body's x
    gt = np.arange(72.0) + np.zeros((frames, 1)) + np.arange(frames)[:, None] * 100
    return {"imu_ori": turns(yaw[:, None] + own), "imu_acc": acc, "gt": gt}


def write_dip(root: Path, **changed: np.ndarray) -> Path:
    for person in (1, 2, 8, 9, 10):
        folder = root / "dip_imu" / f"s_{person:02d}"
        folder.mkdir(parents=True)
        (folder / "01.pkl").write_bytes(pickle.dumps({**dip_motion(), **changed}, 2))
    return root / "dip_imu" / "s_09" / "01.pkl"


def test_dip_imu(tmp_path):
    write_dip(tmp_path)
    samples = check(dip_imu, tmp_path)
    assert samples.x.shape == (5 * 4, 60, 60)
    arm = samples.x[:, :, 3:6]  # the second of the five sensors
    assert np.allclose(arm, (1, 0, 0), atol=1e-6)  # as the pelvis sees it, whichever way the body faces
    assert np.allclose(samples.x[:, :, 15 + 9 : 15 + 18].reshape(-1, 3, 3), turns(np.array(0.5)), atol=1e-6)
    assert np.allclose(samples.target[1, :3], 100 * 89 + np.arange(3, 6))  # left hip at the window's end
    assert sorted(set(samples.group[dip_imu.shipped(samples).test])) == ["s_09", "s_10"]


def test_a_frame_that_is_missing_is_bridged_and_a_hole_left_out(tmp_path):
    acc = dip_motion()["imu_acc"]
    acc[3, 0] = np.nan
    acc[100:120, 0] = np.nan
    write_dip(tmp_path, imu_acc=acc)
    samples = check(dip_imu, tmp_path)
    assert len(samples) == 5 * 2  # of the windows from 0, 30, 60 and 90 the last two touch the hole


def test_other_files_of_dip_imu_are_refused(tmp_path):
    path = write_dip(tmp_path)
    path.write_bytes(pickle.dumps({**dip_motion(), "gt": np.zeros((150, 135))}))
    refused(dip_imu, tmp_path, "s_09/01.pkl", "'gt'", "(n, 72)")
    path.write_bytes(pickle.dumps({**dip_motion(), "gt": np.zeros((149, 72))}))
    refused(dip_imu, tmp_path, "s_09/01.pkl", "differ in length")

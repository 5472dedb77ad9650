"""Readers of hands, gazes and skeletons: on tiny files as they are published, and on the recordings."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from edge_agent.clock import ManualClock
from export.datasets import common, gaze_phone, hand_keypoints, sign_digit_images, skeleton_actions
from export.datasets.views import block_fold, block_groups

cv2 = pytest.importorskip("cv2")
RANDOM = np.random.default_rng(0)
READERS = (
    hand_keypoints,
    hand_keypoints.TRACK,
    sign_digit_images,
    sign_digit_images.STRATIFIED,
    gaze_phone,
    skeleton_actions,
    skeleton_actions.UTKINECT,
    skeleton_actions.LIFTING,
)


def check(reader: common.Reader, samples: common.Samples) -> None:
    """What every Reader promises."""
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
    for fold in [*reader.folds(samples), reader.shipped(samples)]:
        parts = [fold.train, fold.test, fold.validation]
        rows = np.concatenate(parts)
        assert len(rows) == len(set(rows.tolist())) <= n
        assert len(fold.train) > 0 < len(fold.test)
        groups = [set(samples.group[part]) for part in parts]
        assert not groups[0] & groups[1]
        assert not (groups[0] | groups[1]) & groups[2]
    assert len(reader.shipped(samples).validation) > 0


# -- splits along time


def test_blocks_are_equal_and_follow_the_rows():
    run = np.array(["a"] * 10 + ["b"] * 5)
    groups = block_groups(run, 5)
    assert groups.tolist() == [f"a/0{i // 2}" for i in range(10)] + [f"b/0{i}" for i in range(5)]


def test_neighbours_of_what_is_held_out_are_left_out():
    run = np.array(["a"] * 20)
    samples = common.Samples(
        np.zeros((20, 1, 1), np.float32), np.zeros(20, np.int64), block_groups(run, 5), run
    )
    fold = block_fold(samples, "f", test=[2], validation=[1], gap=2)
    assert fold.test.tolist() == [8, 9, 10, 11]
    assert fold.validation.tolist() == [4, 5]  # 6 and 7 are too near the test
    assert fold.train.tolist() == [0, 1, 14, 15, 16, 17, 18, 19]


def test_the_gap_ends_with_the_recording():
    run = np.array(["a"] * 4 + ["b"] * 4)
    samples = common.Samples(
        np.zeros((8, 1, 1), np.float32), np.zeros(8, np.int64), block_groups(run, 4), run
    )
    fold = block_fold(samples, "f", test=[3], gap=2)
    assert fold.test.tolist() == [3, 7]
    assert fold.train.tolist() == [0, 4]


# -- hand_keypoints


PER_CLASS = 800


def write_hands(root: Path, suffix: str) -> dict[str, np.ndarray]:
    folder = root / "hand_keypoints"
    folder.mkdir(parents=True)
    tables = {}
    for stem, classes, numbers in (("keypoint", 3, 42), ("point_history", 4, 32)):
        label = np.arange(classes).repeat(PER_CLASS)
        x = np.round(RANDOM.uniform(-1, 1, (len(label), numbers)), 6)
        tables[stem] = np.column_stack([label, x])
        if suffix == "csv":
            lines = [",".join([f"{row[0]:.0f}", *(repr(float(v)) for v in row[1:])]) for row in tables[stem]]
            (folder / f"{stem}.csv").write_text("\n".join(lines) + "\n")
        else:
            np.savez(folder / f"{stem}.npz", x=x.astype(np.float32), label=label.astype(np.int8))
    return tables


@pytest.mark.parametrize("suffix", ["csv", "npz"])
def test_hands_are_read_in_both_formats(tmp_path, suffix):
    tables = write_hands(tmp_path, suffix)
    signs, tracks = hand_keypoints.load(tmp_path), hand_keypoints.TRACK.load(tmp_path)
    check(hand_keypoints, signs)
    check(hand_keypoints.TRACK, tracks)
    assert np.allclose(signs.x[:, 0], tables["keypoint"][:, 1:])
    assert np.allclose(tracks.x[5, 3], tables["point_history"][5, 1:].reshape(16, 2)[3])
    assert signs.group[0] == "open/00"
    assert signs.group[-1] == "pointer/19"


def test_the_last_quarter_of_each_sign_is_the_test(tmp_path):
    write_hands(tmp_path, "npz")
    fold = hand_keypoints.shipped(hand_keypoints.load(tmp_path))
    assert (fold.test % PER_CLASS).min() == 0.75 * PER_CLASS
    assert len(fold.test) == 3 * 0.25 * PER_CLASS
    assert (fold.validation % PER_CLASS).max() < 0.75 * PER_CLASS - hand_keypoints.SIGN_GAP
    assert (fold.train % PER_CLASS).max() < 0.65 * PER_CLASS - hand_keypoints.SIGN_GAP


def test_other_landmarks_are_refused(tmp_path):
    write_hands(tmp_path, "npz")
    np.savez(tmp_path / "hand_keypoints" / "keypoint.npz", x=np.zeros((9, 63)), label=np.zeros(9, np.int8))
    with pytest.raises(ValueError, match="rows of 42 numbers"):
        hand_keypoints.load(tmp_path)
    np.savez(tmp_path / "hand_keypoints" / "keypoint.npz", x=np.zeros((9, 42)), label=np.full(9, 7, np.int8))
    with pytest.raises(ValueError, match="7 was found"):
        hand_keypoints.load(tmp_path)


def test_a_folder_without_the_files_is_missing_data(tmp_path):
    (tmp_path / "hand_keypoints").mkdir()
    with pytest.raises(common.DatasetMissingError, match="EDGE_AGENT_DATA"):
        hand_keypoints.load(tmp_path)


# -- sign_digit_images


def write_signs(root: Path, per_class: int = 60) -> Path:
    """As the publisher has it: a folder for each digit. Noise, for it shows every error of resampling."""
    for digit in range(10):
        folder = root / "sign_digit_images" / str(digit)
        folder.mkdir(parents=True)
        for i in range(per_class):
            image = RANDOM.integers(0, 256, (100, 100, 3)).astype(np.uint8)
            cv2.imwrite(str(folder / f"IMG_{1000 + 10 * i + digit}.JPG"), image)
    return root / "sign_digit_images"


def test_a_stored_picture_is_the_frame_that_a_camera_gives(tmp_path):
    camera = pytest.importorskip("edge_agent.sensors.camera")
    folder = write_signs(tmp_path, 2)
    samples = sign_digit_images.load(tmp_path)
    sensor = camera.CameraSensor(
        "c", "image", ManualClock(), source=str(folder / "3"), width=32, height=32, rate_hz=10.0, loop=False
    )
    frames = np.concatenate([chunk.values for chunk in sensor.chunks(threading.Event())])
    assert np.array_equal(frames, samples.x[samples.target == 3, 0])


def test_signs_are_read_in_both_formats(tmp_path):
    folder = write_signs(tmp_path / "published")
    published = sign_digit_images.load(tmp_path / "published")
    jpeg = [p.read_bytes() for digit in range(10) for p in sorted((folder / str(digit)).iterdir())]
    packed = tmp_path / "packed" / "sign_digit_images"
    packed.mkdir(parents=True)
    arrays = {
        "jpeg": np.frombuffer(b"".join(jpeg), np.uint8),
        "offset": np.cumsum([0] + [len(j) for j in jpeg]),
        "label": np.arange(10, dtype=np.int8).repeat(60),
    }
    np.savez(packed / "data.npz", **arrays)
    samples = sign_digit_images.load(tmp_path / "packed")
    assert np.array_equal(samples.x, published.x)
    assert np.array_equal(samples.target, published.target)
    check(sign_digit_images, samples)
    check(sign_digit_images.STRATIFIED, sign_digit_images.STRATIFIED.load(tmp_path / "packed"))
    np.savez(packed / "data.npz", **{**arrays, "jpeg": arrays["jpeg"][:-100]})
    with pytest.raises(ValueError, match="download complete"):
        sign_digit_images.load(tmp_path / "packed")


def test_the_pictures_of_a_place_are_on_one_side(tmp_path):
    write_signs(tmp_path)
    samples = sign_digit_images.load(tmp_path)
    place = np.arange(len(samples)) % 60
    for fold in sign_digit_images.folds(samples):
        distance = np.abs(place[fold.train][:, None] - place[fold.test][None])
        assert distance.min() > sign_digit_images.GAP


def test_the_stratified_split_holds_a_fifth_of_each_class(tmp_path):
    write_signs(tmp_path)
    samples = sign_digit_images.STRATIFIED.load(tmp_path)
    (fold,) = sign_digit_images.STRATIFIED.folds(samples)
    assert np.bincount(samples.target[fold.test]).tolist() == [12] * 10
    again = sign_digit_images.STRATIFIED.shipped(samples)
    assert np.array_equal(again.test, fold.test)


# -- gaze_phone


def write_gaze(root: Path) -> None:
    for person in (2, 7, 8, 10):
        rounds = []
        for number in range(2):
            x = np.round(RANDOM.normal(size=(3, 26)), 6).tolist()
            rounds.append(json.dumps([x, [[0.5, person / 10], [0.1, number / 10], [0.975, 0.025]]]))
        folder = root / "gaze_phone" / f"p{person}"
        folder.mkdir(parents=True)
        (folder / "gazel_checkpoint_gazel_results 2.json").write_text(json.dumps(rounds))


def test_gazes_are_read_as_published(tmp_path):
    write_gaze(tmp_path)
    samples = gaze_phone.load(tmp_path)
    check(gaze_phone, samples)
    assert samples.group.tolist()[::6] == ["p02", "p07", "p08", "p10"]
    assert samples.recording.tolist()[:6] == ["p02_0"] * 3 + ["p02_1"] * 3
    assert np.allclose(samples.target[:4], [[0.5, 0.2], [0.1, 0.0], [0.975, 0.025], [0.5, 0.2]])
    assert gaze_phone.INFO.licence_class == "C"


def test_gazes_are_read_from_one_file_in_the_same_order(tmp_path):
    write_gaze(tmp_path)
    want = gaze_phone.load(tmp_path)
    shuffled = RANDOM.permutation(4).repeat(6) * 6 + np.tile(np.arange(6), 4)  # people in another order
    np.savez(
        tmp_path / "gaze_phone" / "data.npz",
        features=want.x[shuffled, 0], xy=want.target[shuffled],
        participant=np.array([int(g[1:]) for g in want.group[shuffled]], np.int8),
        session=np.array([int(r[-1]) for r in want.recording[shuffled]], np.int8),
    )  # fmt: skip
    samples = gaze_phone.load(tmp_path)
    assert np.array_equal(samples.x, want.x)
    assert samples.recording.tolist() == want.recording.tolist()


def test_other_gaze_features_are_refused(tmp_path):
    folder = tmp_path / "gaze_phone" / "p1"
    folder.mkdir(parents=True)
    (folder / "gazel_checkpoint.json").write_text(json.dumps([json.dumps([[[0.0] * 25], [[0.5, 0.5]]])]))
    with pytest.raises(ValueError, match="p1, round 0: 26 features"):
        gaze_phone.load(tmp_path)


# -- skeleton_actions


def write_msr(root: Path) -> Path:
    """Every joint of frame t at x = t, y = its place in MSR's order; one recording is empty at its start."""
    folder = root / "skeleton_actions"
    folder.mkdir(parents=True)
    for action in range(1, 21):
        for subject in ("s01", "s02", "s09"):
            numbers = np.zeros((10, 20, 4))
            numbers[..., 0] = np.arange(10)[:, None]
            numbers[..., 1] = np.arange(20)
            numbers[..., 3] = 1.0
            if (action, subject) == (20, "s01"):
                numbers[:4] = 0.0
            if (action, subject) == (20, "s02"):
                numbers[:6] = 0.0
            np.savetxt(folder / f"a{action:02d}_{subject}_e01_skeleton3D.txt", numbers.reshape(-1, 4))
    return folder


def test_msr_is_stretched_reordered_and_centred(tmp_path):
    write_msr(tmp_path)
    samples = skeleton_actions.load(tmp_path)
    assert len(samples) == 59  # four frames are no action
    check(skeleton_actions, samples)
    x = samples.x[0].reshape(32, 20, 3)
    assert np.allclose(x[:, :, 0], np.linspace(0, 9, 32)[:, None], atol=1e-5)
    joints = skeleton_actions.JOINTS
    places = {"hip_centre": 6, "head": 19, "right_hand": 12, "left_shoulder": 0, "right_knee": 14}
    for joint, place in places.items():
        assert x[0, joints.index(joint), 1] == place - 6
    lost = samples.x[samples.recording == "a20_s01_e01"][0].reshape(32, 20, 3)
    assert np.allclose(lost[:, 0, 0], np.linspace(0, 5, 32), atol=1e-5)  # six frames with a person


def test_msr_is_read_from_one_file_alike(tmp_path):
    folder = write_msr(tmp_path)
    want = skeleton_actions.load(tmp_path)
    paths = sorted(folder.glob("*.txt"), reverse=True)
    frames = [np.loadtxt(p, dtype=np.float32).reshape(-1, 20, 4) for p in paths]
    np.savez(
        folder / "msr_action3d.npz",
        xyz_m_confidence=np.concatenate(frames),
        recording=np.arange(len(paths), dtype=np.int16).repeat(10),
        recordings=np.array([p.name[:11] for p in paths]),
    )
    samples = skeleton_actions.load(tmp_path)
    assert samples.recording.tolist() == want.recording.tolist()
    assert np.array_equal(samples.x, want.x)


def test_msr_is_split_as_published(tmp_path):
    write_msr(tmp_path)
    samples = skeleton_actions.load(tmp_path)
    (fold,) = skeleton_actions.folds(samples)
    assert set(samples.group[fold.train]) == {"s01", "s09"}
    assert set(samples.group[fold.test]) == {"s02"}


ACTIONS = ("walk", "sitDown", "standUp", "pickUp", "carry", "throw", "push", "pull", "waveHands", "clapHands")


def write_utkinect(root: Path, people: tuple[int, ...] = (1, 5, 8, 9)) -> None:
    """The wave of joint j at frame f is (j + f / 100, 2 j, 3 - j); frame 4 is there twice, once wrong."""
    folder = root / "skeleton_actions"
    folder.mkdir(parents=True, exist_ok=True)
    text = ""
    joint = np.arange(20)
    for person in people:
        lines = []
        for frame in range(0, 400, 2):
            place = np.stack([joint + frame / 100, 2.0 * joint, 3.0 - joint], axis=1)
            lines.append([frame, *place.reshape(-1)])
            if frame == 4:
                lines.append([frame, *np.zeros(60)])
        np.savetxt(folder / f"joints_s{person:02d}_e01.txt", lines)
        text += f"s{person:02d}_e01\n"
        text += "".join(f"{a}: {20 * i} {20 * i + 18} \n" for i, a in enumerate(ACTIONS))
    text += "s10_e01\nwalk: 100 200\ncarry:  NaN NaN\n"  # recorded elsewhere
    (folder / "actionLabel.txt").write_text(text)


def test_utkinect_is_cut_at_its_labels(tmp_path):
    write_utkinect(tmp_path)
    samples = skeleton_actions.UTKINECT.load(tmp_path)
    check(skeleton_actions.UTKINECT, samples)
    assert samples.target.tolist() == list(range(10)) * 4
    x = samples.x[0].reshape(32, 20, 3)
    assert np.allclose(x[:, 0, 0], np.linspace(0, 0.18, 32), atol=1e-5)  # of the two frames 4 the first
    assert np.allclose(x[0, 19], [19, 38, -19])


def test_an_unknown_action_is_refused(tmp_path):
    write_utkinect(tmp_path)
    (tmp_path / "skeleton_actions" / "actionLabel.txt").write_text("s01_e01\nfly: 3 9\n")
    with pytest.raises(ValueError, match=r"line 2 .*fly"):
        skeleton_actions.UTKINECT.load(tmp_path)


def test_lifting_starts_from_a_picture_without_size(tmp_path):
    write_utkinect(tmp_path)
    samples = skeleton_actions.LIFTING.load(tmp_path)
    check(skeleton_actions.LIFTING, samples)
    flat = samples.x[:, 0].reshape(-1, 20, 2)
    assert np.allclose((flat**2).sum(-1).mean(-1), 1.0, atol=1e-5)
    space = samples.target.reshape(-1, 20, 3)
    assert np.allclose(space[:, 0], 0.0)
    ratio = flat[:, 1:, 1] / space[:, 1:, 1]
    assert np.allclose(ratio, ratio[:, :1], rtol=1e-4)  # one scale for the whole body


# -- the recordings


@pytest.fixture(scope="module", params=READERS, ids=lambda reader: reader.INFO.name)
def real(request):
    try:
        return request.param, request.param.load()
    except common.DatasetMissingError as error:
        pytest.skip(str(error))


COUNTS = {
    "hand_keypoints": (4450, 60, [1522, 1572, 1356]),
    "hand_keypoints_track": (5296, 80, [1481, 1234, 1279, 1302]),
    "sign_digit_images": (2062, 20, [205, 206, 206, 206, 207, 207, 207, 206, 208, 204]),
    "sign_digit_images_stratified": (2062, 2062, [205, 206, 206, 206, 207, 207, 207, 206, 208, 204]),
    "gaze_phone": (11200, 8, None),
    "msr_action3d": (447, 8, [21, 21, 21, 20, 20, 20, 23, *[24] * 5, 23, 24, 14, *[24] * 5]),
    "utkinect": (180, 9, [18] * 10),
    "skeleton_lifting": (4588, 9, None),
}


def test_the_recordings_are_what_the_reader_promises(real):
    reader, samples = real
    check(reader, samples)
    n, groups, per_label = COUNTS[reader.INFO.name]
    assert (len(samples), len(np.unique(samples.group))) == (n, groups)
    if per_label is not None:
        assert np.bincount(samples.target).tolist() == per_label


def test_gaze_targets_are_on_the_screen(real):
    reader, samples = real
    if reader is gaze_phone:
        assert samples.target.min() >= 0
        assert samples.target.max() <= 1


def test_bodies_stand_upright(real):
    """Head above hips above feet, and right of left: for most frames of either set, or the order is wrong."""
    reader, samples = real
    if reader in (skeleton_actions, skeleton_actions.UTKINECT):
        joint = dict(
            zip(skeleton_actions.JOINTS, samples.x[:, 0].reshape(-1, 20, 3).swapaxes(0, 1), strict=True)
        )
        assert (joint["head"][:, 1] > 0.3).mean() > 0.95
        assert (joint["left_foot"][:, 1] < -0.3).mean() > 0.9
        assert (joint["right_shoulder"] - joint["left_shoulder"])[:, 0].mean() > 0.1
        assert (joint["right_knee"] - joint["left_knee"])[:, 0].mean() > 0.03

"""Dataset readers on tiny files of the same format, and on the recordings where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Generator

from export.datasets import common, esc10, phone_watch_imu
from export.datasets.augment import (
    AudioSource,
    ImuSource,
    augment_imu,
    mix_between_classes,
    rotation_matrix,
    simulated_silences,
    warp_audio,
)
from export.datasets.simulated import WithSimulated
from export.datasets.simulated import clips as simulated_clips

LABELS = ("SEATED", "SITTING_DOWN", "STANDING_UP", "TURNING", "WALKING")


def write_imu(root: Path, seconds: float = 4.0) -> None:
    """Two subjects. Every channel is a ramp in time, the watch's falling; walking from half on."""
    x, t_ms, label, recording, names = [], [], [], [], []
    for subject in ("s01", "s02"):
        for sign, device, late_ms in ((1, "sp", 0), (-1, "sw", 30)):
            t = np.cumsum(np.full(round(seconds * 100), 10)) + 1_657_533_977_000 + late_ms
            t[1::7] += 4  # jitter
            x.append(np.repeat((sign * (t - t[0]) / 1000.0)[:, None], 6, axis=1).astype(np.float32))
            t_ms.append(t)
            label.append(np.where(np.arange(len(t)) < len(t) // 2, 0, 4).astype(np.int8))
            recording.append(np.full(len(t), len(names), np.int16))
            names.append(f"{subject}_01_{device}")
    (root / "phone_watch_imu").mkdir(parents=True)
    np.savez(
        root / "phone_watch_imu" / "data.npz",
        x=np.concatenate(x), t_ms=np.concatenate(t_ms), label=np.concatenate(label),
        recording=np.concatenate(recording), recordings=np.array(names), labels=np.array(LABELS),
    )  # fmt: skip


def write_esc10(root: Path) -> None:
    """A bark in the first half second of five, then digital silence; rain all the time."""
    folder = root / "esc10"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    rain = random.normal(0, 0.1, 220500).astype(np.float32)
    bark = rain.copy()
    bark[18000:] = 0  # the codec and the resampler ring a little beyond the edge
    for fold in range(1, 6):
        soundfile.write(folder / f"001_-_Dog_bark__{fold}-100-A.ogg", bark, 44100)
        soundfile.write(folder / f"002_-_Rain__{fold}-200-A.ogg", rain, 44100)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_imu(tmp_path)
    write_esc10(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def recordings() -> Path:
    found = common.data_root()
    if not (found / "esc10").exists() or not (found / "phone_watch_imu").exists():
        pytest.skip(f"the recordings are not at {found} ({common.DATA_VARIABLE})")
    return found


def test_both_devices_come_on_one_grid(root: Path) -> None:
    executions = phone_watch_imu.load(root)
    assert [(e.name, e.subject) for e in executions] == [("s01_01", "s01"), ("s02_01", "s02")]
    phone, watch = executions[0].x[..., 0]
    assert np.allclose(np.diff(phone), 0.01, atol=1e-4)  # a ramp of 1 per second on a 100 Hz grid
    assert np.allclose(np.diff(watch), -0.01, atol=1e-4)
    assert phone[0] == pytest.approx(0.030, abs=1e-3)  # the grid starts when the later device does
    assert watch[0] == pytest.approx(0.0, abs=1e-3)


def test_windows_last_a_second_and_carry_the_majority(root: Path) -> None:
    windows = phone_watch_imu.windows(phone_watch_imu.load(root))
    assert windows.x.shape[1:] == (2, 100, 6)
    first = windows.label[windows.subject == "s01"]
    assert first.tolist() == [0, 0, 0, 4, 4, 4]
    assert np.allclose(windows.x[1, 0, 0, 0] - windows.x[0, 0, 0, 0], 0.5, atol=1e-3)


def test_a_device_of_its_own_is_left_out(root: Path) -> None:
    path = root / "phone_watch_imu" / "data.npz"
    with np.load(path) as data:
        arrays = dict(data)
    arrays["recordings"] = np.array(["s01_01_sp", "s01_01_sw", "s02_01_sp", "s02_02_sw"])
    np.savez(path, **arrays)
    assert [e.name for e in phone_watch_imu.load(root)] == ["s01_01"]


def test_other_labels_are_refused(root: Path) -> None:
    path = root / "phone_watch_imu" / "data.npz"
    with np.load(path) as data:
        arrays = dict(data)
    arrays["labels"] = np.array(LABELS[::-1])
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="labels"):
        phone_watch_imu.load(root)


def test_folds_depend_on_the_sorted_names_alone() -> None:
    assert common.subject_folds(["c", "a", "b", "a"], 2) == {"a": 0, "b": 1, "c": 0}


def test_missing_recordings_name_the_variable(tmp_path: Path) -> None:
    with pytest.raises(common.DatasetMissingError, match="EDGE_AGENT_DATA"):
        phone_watch_imu.load(tmp_path)
    with pytest.raises(common.DatasetMissingError):
        esc10.load(tmp_path)


def test_the_variable_chooses_the_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(common.DATA_VARIABLE, str(root))
    assert common.data_root() == root
    assert len(esc10.load()) == 10


def test_clips_are_five_seconds_at_16_khz(root: Path) -> None:
    clips = esc10.load(root)
    assert [(c.label, c.fold) for c in clips[:2]] == [(0, 1), (0, 2)]
    assert all(c.samples.shape == (80000,) and c.samples.dtype == np.float32 for c in clips)
    assert [c.fold for c in esc10.select(clips, [3])] == [3, 3]
    rain = clips[-1].samples
    assert rain.std() == pytest.approx(0.1 * (16000 / 44100) ** 0.5, rel=0.2)  # low-passed, not folded


def test_a_window_after_the_sound_is_silence(root: Path) -> None:
    bark, rain = (next(c for c in esc10.load(root) if c.label == k) for k in (0, 1))
    assert [esc10.window_label(bark, s) for s in esc10.window_starts()] == [0] + [esc10.SILENCE] * 6
    assert [esc10.window_label(rain, s) for s in esc10.window_starts()] == [1] * 7


def test_a_window_of_background_alone_has_no_label(root: Path) -> None:
    bark = next(c for c in esc10.load(root) if c.label == 0)
    hum = bark.samples + 0.002 * np.sin(2 * np.pi * 100 * np.arange(80000) / 16000).astype(np.float32)
    assert esc10.window_label(esc10.Clip("hum", hum, 0, 1), 32000) is None


def test_a_clip_is_judged_by_its_audible_windows_and_official_classes() -> None:
    p = np.full((1, 2, 11), 0.01)
    p[0, 0, 3], p[0, 0, 10] = 0.1, 0.8  # sure of silence, and of the ten rather the fourth
    p[0, 1, 5] = 0.9
    p /= p.sum(-1, keepdims=True)
    log_p = np.log(p).astype(np.float32)
    assert esc10.clip_scores(log_p, np.array([[True, False]])).argmax(-1).tolist() == [3]
    assert esc10.clip_scores(log_p, np.array([[False, True]])).argmax(-1).tolist() == [5]
    assert esc10.clip_scores(log_p, np.array([[True, True]])).shape == (1, 10)


def test_imu_batches_are_seeded_and_their_targets_are_distributions(root: Path) -> None:
    source = ImuSource(phone_watch_imu.load(root), [1])
    one, same, other = (source.draw(16, Generator().manual_seed(s)) for s in (3, 3, 4))
    assert one.x.shape == (16, 1, 100, 6)
    assert torch.equal(one.x, same.x)
    assert not torch.equal(one.x, other.x)
    assert torch.allclose(one.target.sum(1), torch.ones(16))
    assert one.target[:, 1:4].sum() == 0


def test_turning_a_device_keeps_the_length_of_its_vectors() -> None:
    axis = torch.nn.functional.normalize(torch.randn(5, 3, generator=Generator().manual_seed(0)), dim=-1)
    matrix = rotation_matrix(axis, torch.linspace(0.1, 3.0, 5))
    assert torch.allclose(matrix @ matrix.transpose(1, 2), torch.eye(3).expand(5, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(matrix), torch.ones(5), atol=1e-5)
    assert torch.allclose((matrix @ axis[..., None])[..., 0], axis, atol=1e-5)


def test_augmented_imu_stays_near_what_it_was() -> None:
    x = torch.zeros(64, 2, 100, 6)
    x[..., 2] = 9.81
    length = augment_imu(x, Generator().manual_seed(0))[..., :3].norm(dim=-1).mean((1, 2))
    assert length.mean() == pytest.approx(9.81, rel=0.05)
    assert length.std() > 0.1


def test_audio_batches_mix_classes_but_never_silence(root: Path) -> None:
    batch = AudioSource(esc10.load(root), mixed=1.0).draw(200, Generator().manual_seed(1))
    assert batch.x.shape == (200, 99, 64)
    assert torch.isfinite(batch.x).all()
    assert torch.allclose(batch.target.sum(1), torch.ones(200))
    silence = batch.target[:, esc10.SILENCE]
    assert ((silence == 0) | (silence == 1)).all()
    assert (silence == 1).any()
    assert ((batch.target[:, 0] > 0.1) & (batch.target[:, 1] > 0.1)).any()


def test_a_mix_with_all_of_one_sound_is_that_sound() -> None:
    g = Generator().manual_seed(0)
    a, b = torch.rand(2, 9, 64, generator=g), torch.rand(2, 9, 64, generator=g)
    mixed = mix_between_classes(a, b, torch.tensor([1.0, 0.5]))
    assert torch.allclose(mixed[0], a[0])
    assert not torch.allclose(mixed[1], a[1])


def test_warped_sound_is_elsewhere_in_time_and_pitch_by_as_much_as_was_asked() -> None:
    click = torch.zeros(200, 99, 64)
    click[:, 79, 30] = 1.0
    warped = warp_audio(click, Generator().manual_seed(0))
    frame, band = warped.sum(2).argmax(1), warped.sum(1).argmax(1)
    assert warped.shape == click.shape
    assert (frame.min(), frame.max()) == (74, 86)  # 30 frames after the middle, divided by 1.2 and by 0.8
    assert (band.min(), band.max()) == (28, 32)


def test_a_sound_that_does_not_change_is_not_changed_by_warping_time() -> None:
    hum = torch.zeros(20, 99, 64)
    hum[..., 20:40] = 1.0
    warped = warp_audio(hum, Generator().manual_seed(0))
    assert torch.allclose(warped, warped[:, :1].expand_as(warped), atol=1e-5)
    assert torch.allclose(warped[..., 22:38], torch.ones(20, 99, 16), atol=1e-4)


def test_made_up_silence_is_silent() -> None:
    for noise in simulated_silences(5, 0):
        assert 20 * np.log10(noise.std()) < -57


def test_simulated_samples_are_a_share_and_marked(root: Path) -> None:
    real = AudioSource(esc10.load(root))
    batch = WithSimulated(real, AudioSource(simulated_clips(per_label=1)), 0.25).draw(
        32, Generator().manual_seed(0)
    )
    assert (batch.owner == -1).sum() == 8
    assert batch.x.shape == (32, 99, 64)


def test_the_recordings_are_what_the_readers_promise(recordings: Path) -> None:
    executions = phone_watch_imu.load(recordings)
    folds = phone_watch_imu.folds(executions)
    assert (len(executions), len(folds)) == (194, 20)
    assert set(phone_watch_imu.SHIPPED_TEST_SUBJECTS) <= set(folds)
    assert all(np.isfinite(e.x).all() for e in executions)
    clips = esc10.load(recordings)
    counts = np.bincount([10 * (c.fold - 1) + c.label for c in clips], minlength=50)
    assert counts.tolist() == [8] * 50  # 5 folds x 10 classes x 8 clips
    assert all(any(esc10.window_label(c, s) == c.label for s in esc10.window_starts()) for c in clips[::20])

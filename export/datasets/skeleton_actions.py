"""Actions as 3-D skeletons of a Kinect: MSR-Action3D (this module), `UTKINECT`; `LIFTING` from 2-D to 3-D.

MSR-Action3D (Li, Zhang, Liu 2010): `msr_action3d.npz` (`xyz_m_confidence` (n,20,4), `recording` (n,) an
index into `recordings`), else the publisher's `aAA_sSS_eEE_skeleton3D.txt`, 20 lines of four numbers a frame.
In some recordings the tracker lost the person, and all joints are zero: such frames are left out, and so is a
recording with hardly any other.

UTKinect-Action3D (Xia, Chen, Aggarwal 2012): `utkinect.npz` (`x_m` (n,20,3), `frame`, `recording`,
`action_label_txt`), else `joints_sSS_eEE.txt` (frame and 60 numbers a line) and `actionLabel.txt`, which says
at which frames an action begins and ends. Its intervals are used as they are published, among them a push
(s03_e01) that holds a throw, surely a misprint, and a carry without any (s10_e02).

Both come in one order of joints, Kinect's, and in metres: x towards the person's right when they face the
camera, y up, z away from the camera. For actions the hip centre of the first frame is the origin. An action
is stretched to 32 frames, as is usual; 12 Hz is the rate at which the typical one takes as long as it did, so
a sensor's window is 2.7 s. In MSR-Action3D what one arm or leg does, the right one does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.datasets.common import (
    DatasetInfo,
    DatasetMissingError,
    Float32,
    Fold,
    Int64,
    Samples,
    dataset_path,
    group_folds,
    held_out,
)
from export.datasets.views import View

FOLDER = "skeleton_actions"
STEPS = 32
RATE_HZ = 12.0
MIN_FRAMES = 5
"""With fewer there is nothing to stretch; the shortest published action has so many."""
SIDES = ("left", "right")
JOINTS = (
    "hip_centre", "spine", "shoulder_centre", "head",
    *(f"{side}_{part}" for side in SIDES for part in ("shoulder", "elbow", "wrist", "hand")),
    *(f"{side}_{part}" for side in SIDES for part in ("hip", "knee", "ankle", "foot")),
)  # fmt: skip
MSR_PLACES = (6, 3, 2, 19, 0, 7, 9, 11, 1, 8, 10, 12, 4, 13, 15, 17, 5, 14, 16, 18)
"""Where each of JOINTS stands in a frame of MSR-Action3D."""
CHANNELS = tuple(f"{joint}_{axis}" for joint in JOINTS for axis in "xyz")

INFO = DatasetInfo(
    name="msr_action3d",
    modality="pose",
    task="activity_recognition",
    rate_hz=RATE_HZ,
    window_s=STEPS / RATE_HZ,
    channels=CHANNELS,
    units=("m",) * len(CHANNELS),
    labels=(
        "high_arm_wave", "horizontal_arm_wave", "hammer", "hand_catch", "forward_punch", "high_throw",
        "draw_x", "draw_tick", "draw_circle", "hand_clap", "two_hand_wave", "side_boxing", "bend",
        "forward_kick", "side_kick", "jogging", "tennis_swing", "tennis_serve", "golf_swing",
        "pick_up_and_throw",
    ),
    licence="academic use",
    credit="Li, Zhang, Liu 2010, Action recognition based on a bag of 3D points (MSR-Action3D)",
    split="cross-subject: 1, 3, 5, 9 train; 2, 4, 6, 8 test",
    licence_class="C",
    reference="cross-subject, all 20 actions: 0.70 (nearest neighbour) to 0.95",
)  # fmt: skip
UTKINECT_INFO = DatasetInfo(
    name="utkinect",
    modality="pose",
    task="activity_recognition",
    rate_hz=RATE_HZ,
    window_s=STEPS / RATE_HZ,
    channels=CHANNELS,
    units=("m",) * len(CHANNELS),
    labels=(
        "walk", "sit_down", "stand_up", "pick_up", "carry", "throw", "push", "pull", "wave_hands",
        "clap_hands",
    ),
    licence="academic use",
    credit="Xia, Chen, Aggarwal 2012, View invariant human action recognition (UTKinect-Action3D)",
    split="leave one person out",
    licence_class="C",
    reference="0.91 (leave one sequence out, which keeps the person in training) to 0.98",
)  # fmt: skip
LIFTING_INFO = DatasetInfo(
    name="skeleton_lifting",
    modality="pose",
    task="3d_reconstruction",
    rate_hz=15.0,
    window_s=1 / 15.0,
    channels=tuple(f"{joint}_{axis}" for joint in JOINTS for axis in "xy"),
    units=("body",) * 2 * len(JOINTS),
    labels=(),
    licence=UTKINECT_INFO.licence,
    credit=UTKINECT_INFO.credit,
    split="leave one person out",
    licence_class="C",
    outputs=tuple(f"{channel}_m" for channel in CHANNELS),
)
MSR_TEST = ("s02", "s04", "s06", "s08")
MSR_VALIDATION = ("s09",)
UTKINECT_TEST = ("s05", "s09")
UTKINECT_VALIDATION = ("s08",)
LIFTING_EVERY = 3
"""Of the frames, about 15 a second, one in so many: the next one shows nothing new."""


@dataclass(frozen=True)
class Recording:
    """x (n,20,3) metres in the order of JOINTS, frame (n,) increasing numbers of the frames."""

    name: str
    x: Float32
    frame: Int64


def load(root: Path | None = None) -> Samples:
    """MSR-Action3D: x (N,32,60), a recording each. Raises DatasetMissingError, and ValueError for a name."""
    x, label, group, names = [], [], [], []
    for recording in _msr(dataset_path(FOLDER, root)):
        matched = re.fullmatch(r"a(\d\d)_(s\d\d)_e\d\d", recording.name)
        if matched is None or not 1 <= int(matched[1]) <= len(INFO.labels):
            raise ValueError(f"{recording.name} is not named aAA_sSS_eEE with an action of 1 to 20")
        if len(recording.frame) >= MIN_FRAMES:
            x.append(_stretched(recording.x, recording.frame))
            label.append(int(matched[1]) - 1)
            group.append(matched[2])
            names.append(recording.name)
    return Samples(np.stack(x), np.array(label, np.int64), np.array(group), np.array(names))


def folds(samples: Samples) -> list[Fold]:
    """The published one: half of the people train, half test."""
    fold = held_out(samples.group, (), MSR_TEST)
    return [Fold("cross-subject", fold.train, fold.test, fold.validation)]


def shipped(samples: Samples) -> Fold:
    """The published test; one of the training people calibrates."""
    return held_out(samples.group, MSR_VALIDATION, MSR_TEST)


def load_utkinect(root: Path | None = None) -> Samples:
    """UTKinect: x (N,32,60), one of each labelled interval. Raises as `load`."""
    folder = dataset_path(FOLDER, root)
    recordings = {recording.name: recording for recording in _utkinect(folder)}
    x, label, names = [], [], []
    for name, action, first, last in _intervals(_label_text(folder)):
        if (recording := recordings.get(name)) is None:
            continue  # a person who is not in this copy
        inside = (recording.frame >= first) & (recording.frame <= last)
        if inside.sum() >= MIN_FRAMES:
            x.append(_stretched(recording.x[inside], recording.frame[inside]))
            label.append(action)
            names.append(name)
    group = np.array([name.partition("_")[0] for name in names])
    return Samples(np.stack(x), np.array(label, np.int64), group, np.array(names))


def load_lifting(root: Path | None = None) -> Samples:
    """From joints as a camera far away sees them to joints in space, single frames of UTKinect.

    x (N,1,40): x,y of each joint from the hip centre (orthographic) over their root mean square, for a
    picture does not tell how large a body is; target (N,60): x,y,z from the hip centre in metres. Raises as
    `load`.
    """
    x, target, names = [], [], []
    for recording in _utkinect(dataset_path(FOLDER, root)):
        space = recording.x[::LIFTING_EVERY] - recording.x[::LIFTING_EVERY, :1]  # (n,20,3)
        flat = space[..., :2]
        size = np.sqrt((flat**2).sum(-1).mean(-1))
        seen = size > 0
        x.append((flat[seen] / size[seen, None, None]).reshape(-1, 1, 2 * len(JOINTS)))
        target.append(space[seen].reshape(-1, 3 * len(JOINTS)))
        names += [recording.name] * int(seen.sum())
    group = np.array([name.partition("_")[0] for name in names])
    return Samples(np.concatenate(x), np.concatenate(target), group, np.array(names))


def by_person(samples: Samples) -> list[Fold]:
    """One fold for each person."""
    return group_folds(samples.group, len(np.unique(samples.group)))


def _utkinect_shipped(samples: Samples) -> Fold:
    return held_out(samples.group, UTKINECT_VALIDATION, UTKINECT_TEST)


UTKINECT = View(UTKINECT_INFO, load_utkinect, by_person, _utkinect_shipped)
"""The Reader of UTKinect-Action3D."""
LIFTING = View(LIFTING_INFO, load_lifting, by_person, _utkinect_shipped)
"""The Reader of 2-D joints to 3-D joints."""


def _stretched(x: Float32, frame: Int64) -> Float32:
    """(n,20,3) -> (32,60): evenly from the first frame to the last, from the hip centre of the first."""
    flat = (x - x[:1, :1]).reshape(len(x), -1)
    at = np.linspace(frame[0], frame[-1], STEPS)
    return np.stack([np.interp(at, frame, column) for column in flat.T], axis=1).astype(np.float32)


def _msr(folder: Path) -> Iterator[Recording]:
    """All recordings in the order of their names, without the frames in which there is nobody."""
    for name, x in _msr_npz(folder) if (folder / "msr_action3d.npz").exists() else _msr_text(folder):
        seen = np.flatnonzero(x.any((1, 2)))
        yield Recording(name, x[seen][:, MSR_PLACES], seen.astype(np.int64))


def _msr_npz(folder: Path) -> Iterator[tuple[str, Float32]]:
    with np.load(folder / "msr_action3d.npz", allow_pickle=False) as data:
        x, recording, names = data["xyz_m_confidence"][..., :3], data["recording"], data["recordings"]
    for i in np.argsort(names):
        yield str(names[i]), x[recording == i].astype(np.float32)


def _msr_text(folder: Path) -> Iterator[tuple[str, Float32]]:
    suffix = "_skeleton3D.txt"
    paths = sorted(folder.glob(f"*{suffix}"))
    if not paths:
        raise DatasetMissingError(folder / "msr_action3d.npz")
    for path in paths:
        numbers = np.loadtxt(path, dtype=np.float32, ndmin=2)  # (20n,4)
        if numbers.shape[1] != 4 or len(numbers) % len(JOINTS):
            raise ValueError(f"{path.name}: 20 lines of four numbers a frame are expected")
        yield path.name.removesuffix(suffix), numbers.reshape(-1, len(JOINTS), 4)[..., :3]


def _utkinect(folder: Path) -> Iterator[Recording]:
    """All recordings in the order of their names. Of a frame that is there twice, the first counts."""
    pieces = _utkinect_npz(folder) if (folder / "utkinect.npz").exists() else _utkinect_text(folder)
    for file, x, frame in pieces:
        once, first = np.unique(frame, return_index=True)
        name = file.removeprefix("joints_").removesuffix(".txt")
        yield Recording(name, x[first].astype(np.float32), once.astype(np.int64))


def _utkinect_npz(folder: Path) -> Iterator[tuple[str, Float32, Int64]]:
    with np.load(folder / "utkinect.npz", allow_pickle=False) as data:
        x, frame, recording, names = data["x_m"], data["frame"], data["recording"], data["recordings"]
    for i in np.argsort(names):
        yield str(names[i]), x[recording == i], frame[recording == i]


def _utkinect_text(folder: Path) -> Iterator[tuple[str, Float32, Int64]]:
    paths = sorted(folder.glob("joints_s??_e??.txt"))
    if not paths:
        raise DatasetMissingError(folder / "utkinect.npz")
    for path in paths:
        numbers = np.loadtxt(path, ndmin=2)  # (n,61)
        if numbers.shape[1] != 1 + 3 * len(JOINTS):
            raise ValueError(f"{path.name}: a frame number and 60 numbers a line are expected")
        x = numbers[:, 1:].reshape(-1, len(JOINTS), 3).astype(np.float32)
        yield path.name, x, numbers[:, 0].astype(np.int64)


def _label_text(folder: Path) -> str:
    if (folder / "utkinect.npz").exists():
        with np.load(folder / "utkinect.npz", allow_pickle=False) as data:
            return str(data["action_label_txt"])
    return (folder / "actionLabel.txt").read_text(encoding="utf-8")


def _intervals(text: str) -> Iterator[tuple[str, int, int, int]]:
    """(recording, label, first frame, last frame) of each line that has both frames.

    A line is `s01_e01`, or `sitDown: 572 686` of the recording named last; NaN says that there is none.
    """
    name = ""
    for number, line in enumerate(text.splitlines(), 1):
        action, colon, frames = line.strip().partition(":")
        if not colon:
            name = action or name
            continue
        label = re.sub(r"([A-Z])", r"_\1", action).lower()
        if label not in UTKINECT_INFO.labels or len(frames.split()) != 2:
            raise ValueError(f"line {number} of the action labels: {line!r} is no action with two frames")
        first, last = frames.split()
        if "nan" not in frames.lower():
            yield name, UTKINECT_INFO.labels.index(label), int(first), int(last)

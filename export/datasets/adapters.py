"""The first two sets as Readers: `PHONE` and `WATCH` of the same executions, and `CLIPS` of sound.

Their modules (`phone_watch_imu`, `esc10`) keep whole recordings, because training cuts and mixes them anew in
every batch; here are the windows that are counted, plotted and scored. The formats are described there:
`phone_watch_imu/data.npz`, and `esc10/*.ogg`, the ESC-10 part of github.com/karolpiczak/ESC-10.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from export.datasets import esc10, phone_watch_imu
from export.datasets.common import Fold, Samples, group_folds, held_out
from export.datasets.views import View

VALIDATION_SUBJECTS: tuple[str, ...] = ("s07", "s16")
"""Those that the shipped encoders of `train_encoders` are chosen by."""
VALIDATION_FOLD = 4


def _device(number: int, root: Path | None) -> Samples:
    """1 s windows (N,100,6) of the phone (0) or the watch (1), every half second."""
    x, label, subject, recording = [], [], [], []
    for execution in phone_watch_imu.load(root):
        cut = phone_watch_imu.windows([execution])
        x.append(cut.x[:, number])
        label.append(cut.label)
        subject += [execution.subject] * len(cut.label)
        recording += [execution.name] * len(cut.label)
    return Samples(np.concatenate(x), np.concatenate(label), np.array(subject), np.array(recording))


def _phone(root: Path | None = None) -> Samples:
    return _device(0, root)


def _watch(root: Path | None = None) -> Samples:
    return _device(1, root)


def _by_subject(samples: Samples) -> list[Fold]:
    return group_folds(samples.group)


def _shipped_people(samples: Samples) -> Fold:
    return held_out(samples.group, VALIDATION_SUBJECTS, phone_watch_imu.SHIPPED_TEST_SUBJECTS)


def _clips(root: Path | None = None) -> Samples:
    """Whole clips (400,80000,1); a group is an official fold, a recording a clip."""
    clips = esc10.load(root)
    return Samples(
        np.stack([clip.samples for clip in clips])[..., None],
        np.array([clip.label for clip in clips], np.int64),
        np.array([f"fold {clip.fold}" for clip in clips]),
        np.array([clip.name for clip in clips]),
    )


def _shipped_clips(samples: Samples) -> Fold:
    return held_out(samples.group, [f"fold {VALIDATION_FOLD}"], [f"fold {esc10.SHIPPED_TEST_FOLD}"])


PHONE = View(replace(phone_watch_imu.INFO, name="phone_imu"), _phone, _by_subject, _shipped_people)
WATCH = View(replace(phone_watch_imu.INFO, name="watch_imu"), _watch, _by_subject, _shipped_people)
CLIPS = View(
    replace(esc10.INFO, window_s=esc10.CLIP_S, labels=esc10.INFO.labels[: esc10.OFFICIAL_LABELS]),
    _clips,
    _by_subject,
    _shipped_clips,
)

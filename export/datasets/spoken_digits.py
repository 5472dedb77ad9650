"""Spoken digits (Free Spoken Digit Dataset, CC BY-SA 4.0): which keyword was said. Also `BY_SPEAKER`.

Files `<digit>_<speaker>_<index>.wav`, 8 kHz mono, trimmed to the word. The paper has no task for speech; a
word is heard as an event, so the task is event_detection, of ten words. Resampled to the 16 kHz of the
microphone, which adds nothing above 4 kHz: a model must not learn from there.

The official split keeps recordings 0 to 4 of each speaker and digit for the test, so all speakers are in
training; `BY_SPEAKER` leaves a speaker out.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import soxr

from export.datasets.common import (
    DatasetInfo,
    DatasetMissingError,
    Float32,
    Fold,
    Samples,
    dataset_path,
    group_folds,
    held_out,
)
from export.datasets.views import View

INFO = DatasetInfo(
    name="spoken_digits",
    modality="audio",
    task="event_detection",
    rate_hz=16000.0,
    window_s=1.0,
    channels=("sound",),
    units=("full scale",),
    labels=("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    licence="CC BY-SA 4.0",
    credit="Zohar Jackson and contributors, Free Spoken Digit Dataset",
    split="official: recordings 0 to 4 of each speaker and digit test",
    reference="97 to 99 % on the official split, whose speakers are all in training",
)
WINDOW = round(INFO.rate_hz * INFO.window_s)
TEST_INDICES = range(5)
VALIDATION_INDICES = range(5, 7)
TEST_SPEAKERS = ("theo",)
VALIDATION_SPEAKERS = ("nicolas",)
_NAME = re.compile(r"(\d)_([a-z]+)_(\d+)")


def load(root: Path | None = None) -> Samples:
    """x (N,16000,1): the word from its start, silence after it, cut at 1 s; groups `<speaker>/<index>`.

    Raises DatasetMissingError, and ValueError for another name.
    """
    folder = dataset_path(INFO.name, root)
    paths = sorted(folder.glob("*.wav"))
    if not paths:
        raise DatasetMissingError(folder / "*.wav")
    x = np.zeros((len(paths), WINDOW, 1), np.float32)
    label, group = np.zeros(len(paths), np.int64), []
    for i, path in enumerate(paths):
        matched = _NAME.fullmatch(path.stem)
        if matched is None:
            raise ValueError(f"{path.name} is not named <digit>_<speaker>_<index>.wav")
        samples = _read(path)
        x[i, : len(samples), 0] = samples
        label[i] = int(matched[1])
        group.append(f"{matched[2]}/{int(matched[3]):02d}")
    return Samples(x, label, np.array(group), np.array([path.stem for path in paths]))


def folds(samples: Samples) -> list[Fold]:
    """The official one."""
    return [replace(_by_index(samples, range(0)), name="official")]


def shipped(samples: Samples) -> Fold:
    """The official test; recordings 5 and 6 validate."""
    return _by_index(samples, VALIDATION_INDICES)


def load_by_speaker(root: Path | None = None) -> Samples:
    """As `load`, with the speaker as the group."""
    samples = load(root)
    return replace(samples, group=np.array([name.partition("/")[0] for name in samples.group.tolist()]))


def _speaker_folds(samples: Samples) -> list[Fold]:
    return group_folds(samples.group, len(np.unique(samples.group)))


def _speaker_shipped(samples: Samples) -> Fold:
    return held_out(samples.group, VALIDATION_SPEAKERS, TEST_SPEAKERS)


BY_SPEAKER = View(
    replace(INFO, name="spoken_digits_by_speaker", split="leave one speaker out", reference=""),
    load_by_speaker,
    _speaker_folds,
    _speaker_shipped,
)
"""The Reader of the harder split."""


def _by_index(samples: Samples, validation: range) -> Fold:
    index = np.array([name.rpartition("/")[2] for name in samples.group.tolist()])
    return held_out(index, [f"{i:02d}" for i in validation], [f"{i:02d}" for i in TEST_INDICES])


def _read(path: Path) -> Float32:
    """(n,) at 16 kHz, at most a second."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono: Float32 = soxr.resample(samples.mean(axis=1), rate_hz, INFO.rate_hz)[:WINDOW]
    return mono

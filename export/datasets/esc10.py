"""ESC-10: 400 clips of about 5 s in ten classes, five official folds (Piczak 2015, CC BY 3.0).

The files are named `<NNN>_-_<Class>__<fold>-<clip>-<take>.ogg`. Clips are padded with digital silence by
their publisher, so a window can hold nothing of its class; such windows teach our own label `silence`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export.datasets.common import DatasetInfo, DatasetMissingError, dataset_path

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

INFO = DatasetInfo(
    name="esc10",
    modality="audio",
    task="event_detection",
    rate_hz=16000.0,
    window_s=2.0,
    channels=("sound",),
    units=("full scale",),
    labels=(
        "dog", "rain", "sea_waves", "baby_cry", "clock_tick", "sneeze", "helicopter", "chainsaw",
        "rooster", "fire_crackling", "silence",
    ),
    licence="CC BY 3.0",
    credit="Piczak 2015, ESC: Dataset for Environmental Sound Classification (ESC-10 part)",
    split="the five official folds",
    reference="accuracy by clip over the official folds: people 95.7 %, random forest 72.7 % (Piczak 2015), "
    "ACDNet 96.65 %, micro-ACDNet 96.25 % (Mohaimenuzzaman et al. 2023)",
)  # fmt: skip
OFFICIAL_LABELS = 10
"""The classes of the set itself: the first ten labels. `silence` is ours and never in a clip score."""
SILENCE = 10
SHIPPED_TEST_FOLD = 5
"""The sounds of the demo: the shipped model has never heard them."""
CLIP_S = 5.0
CLIP = round(CLIP_S * INFO.rate_hz)
WINDOW = round(INFO.window_s * INFO.rate_hz)
FRAME = 320
SILENT_DB = -60.0
"""A window whose loudest 20 ms stay under this level (dB of full scale) is near-silent."""
ABSENT_DB = 30.0
"""A window whose loudest 20 ms stay this far under the clip's loudest holds only background."""
_NAME = re.compile(r"^(\d{3})_-_.+__([1-5])-(.+)\.ogg$")


@dataclass(frozen=True)
class Clip:
    """16 kHz mono of exactly 5 s: samples (80000,), label 0..9, official fold 1..5."""

    name: str
    samples: Float32
    label: int
    fold: int


def load(root: Path | None = None) -> list[Clip]:
    """All clips in the order of their names. Raises DatasetMissingError without the recordings."""
    folder = dataset_path(INFO.name, root)
    clips = [_read(path) for path in sorted(folder.glob("*.ogg"))]
    if not clips:
        raise DatasetMissingError(folder / "*.ogg")
    return clips


def _read(path: Path) -> Clip:
    import soundfile  # not where a model is trained from features alone
    import soxr

    matched = _NAME.match(path.name)
    if matched is None:
        raise ValueError(f"{path.name} is not named <NNN>_-_<Class>__<fold>-<clip>-<take>.ogg")
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = soxr.resample(samples.mean(axis=1), rate_hz, INFO.rate_hz)[:CLIP]  # low-pass filtered
    padded = np.zeros(CLIP, np.float32)
    padded[: len(mono)] = mono
    return Clip(path.stem, padded, int(matched[1]) - 1, int(matched[2]))


def frame_levels_db(samples: Float32) -> Float32:
    """(..., n) -> (..., n // 320): level of each 20 ms, dB of full scale, at least -160."""
    n = samples.shape[-1] // FRAME
    frames = samples[..., : n * FRAME].reshape(*samples.shape[:-1], n, FRAME).astype(np.float64)
    level: Float32 = (10 * np.log10((frames**2).mean(-1) + 1e-16)).astype(np.float32)
    return level


def window_starts(hop_s: float = 0.5) -> list[int]:
    """The starts, in samples, of the windows of a clip."""
    return list(range(0, CLIP - WINDOW + 1, round(hop_s * INFO.rate_hz)))


def window_label(clip: Clip, start: int) -> int | None:
    """The clip's class, SILENCE for a near-silent window, None for one of background alone."""
    levels = frame_levels_db(clip.samples)
    loudest = float(levels[start // FRAME : (start + WINDOW) // FRAME].max())
    if loudest < SILENT_DB:
        return SILENCE
    return clip.label if loudest > float(levels.max()) - ABSENT_DB else None


def clip_scores(log_probabilities: Float32, audible: npt.NDArray[np.bool_]) -> Float32:
    """(C,W,10 or more), (C,W) -> (C,10): mean log-probability of the official classes, audible windows."""
    official = log_probabilities[..., :OFFICIAL_LABELS]
    official = official - np.log(np.exp(official).sum(-1, keepdims=True))
    weight = audible.astype(np.float32)[..., None]
    scores: Float32 = (official * weight).sum(1) / np.maximum(weight.sum(1), 1.0)
    return scores


def select(clips: Sequence[Clip], folds: Sequence[int]) -> list[Clip]:
    """The clips of the given official folds."""
    return [clip for clip in clips if clip.fold in folds]

"""Ego4D: what somebody does, by the motion of the camera on their head. Readers: this module and `GAZE`.

Where the format is described: ego4d-data.org/docs/data (imu, gaze, annotations-schemas), as in
github.com/EGO4D/docs, and github.com/EGO4D/episodic-memory, `MQ/Convert_annotation.py` and
`ego4d_classes_idx.json`. Put here as `ego4d` what the publisher's CLI writes: `ego4d.json` (for each of
`videos` its `video_uid` and `fb_participant_id`, which may be null), and below `v1` or `v2`
`annotations/moments_train.json` and `moments_val.json` (`videos/clips/annotations/ labels`, each with
`label`, `primary`, `video_start_time` and `video_end_time` in s), `annotations/narration.json` or
`all_narrations_redacted.json`, `imu/<video_uid>.csv` (`component_idx, component_timestamp_ms,
canonical_timestamp_ms, gyro_x..z, accl_x..z`, about 200 a second) and `gaze/<video_uid>.csv`
(`canonical_timestamp_s, confidence, norm_pos_x, norm_pos_y` among others). The canonical time is that of
the annotations and may be missing.

A window is the middle of a moment that the publisher calls primary; it is found in the CSV by bisection,
for the whole set is too long to read. `narrations` gives what was said of a video, for captions. Moments of
the test are not published. People, not the published parts, are kept apart: the same person can be in both
of those.

Not established: the units of the motion (taken as m/s2 and rad/s), its axes (each camera has its own), how
far gravity is in it, and under which of the two names the narrations come (both are in use).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.clock import NS_PER_S
from edge_agent.resampling import resample_to_grid
from export.datasets.common import DatasetInfo, DatasetMissingError, Samples, dataset_path
from export.datasets.paper.ego4d_moments import MOMENTS
from export.datasets.paper.splits import every_fifth as shipped
from export.datasets.paper.splits import five_folds as folds
from export.datasets.paper.tables import rows_between
from export.datasets.views import View

__all__ = ["GAZE", "INFO", "folds", "load", "narrations", "shipped"]

INFO = DatasetInfo(
    name="ego4d",
    modality="imu",
    task="activity_recognition",
    rate_hz=50.0,
    window_s=2.0,
    channels=("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"),
    units=("m/s2",) * 3 + ("rad/s",) * 3,
    labels=MOMENTS,
    licence="Ego4D licence agreement, signed by each user",
    credit="Grauman et al. 2022, Ego4D: Around the world in 3,000 hours of egocentric video",
    split="5 folds by participant",
    licence_class="C",
)
GAZE_INFO = replace(
    INFO,
    name="ego4d_gaze",
    modality="gaze",
    channels=("x_view", "y_view"),
    units=("of the width", "of the height"),
)
WINDOW = round(INFO.rate_hz * INFO.window_s)
MARGIN_S = 0.3
"""So much more is read on both sides, for the filter."""
MIN_COVERAGE = 0.8
MIN_CONFIDENCE = 0.6
"""Below, the eye tracker says, the eye was hardly seen."""
IMU_COLUMNS = tuple(f"{kind}_{axis}" for kind in ("accl", "gyro") for axis in "xyz")
GAZE_COLUMNS = ("norm_pos_x", "norm_pos_y", "confidence")
NARRATION_FILES = ("narration.json", "all_narrations_redacted.json")


@dataclass(frozen=True)
class Moment:
    """label, and when in the video it was, in seconds."""

    video: str
    person: str
    label: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Narration:
    """What an annotator said of a video at a time. `#C` is who wears the camera."""

    time_s: float
    text: str


def load(root: Path | None = None) -> Samples:
    """x (N,100,6): the middle 2 s of each moment of a video that has motion.

    Raises DatasetMissingError, and ValueError, which names the file.
    """
    return _load(root, "imu", "canonical_timestamp_ms", 1000.0, IMU_COLUMNS)


def load_gaze(root: Path | None = None) -> Samples:
    """x (N,100,2): where the eyes were in the picture, 0,0 as the tracker has it. Raises the same."""
    return _load(root, "gaze", "canonical_timestamp_s", 1.0, GAZE_COLUMNS)


GAZE = View(GAZE_INFO, load_gaze, folds, shipped)
"""The Reader of gaze."""


def narrations(video_uid: str, root: Path | None = None) -> list[Narration]:
    """All of a video, by time. Raises DatasetMissingError, and ValueError without the video or its passes."""
    folder = _version(dataset_path(INFO.name, root)) / "annotations"
    paths = [folder / name for name in NARRATION_FILES if (folder / name).exists()]
    if not paths:
        raise DatasetMissingError(folder / NARRATION_FILES[0])
    held = _json(paths[0])
    videos = held.get("videos", held)  # one release has the videos on top, another below `videos`
    if video_uid not in videos:
        raise ValueError(f"{paths[0].name} has no video {video_uid}")
    try:
        said = [
            Narration(float(item["timestamp_sec"]), str(item["narration_text"]))
            for key in ("narration_pass_1", "narration_pass_2")
            for item in videos[video_uid].get(key, {}).get("narrations", [])
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{paths[0].name}: timestamp_sec and narration_text were expected ({error})"
        ) from error
    return sorted(said, key=lambda narration: narration.time_s)


def moments(root: Path | None = None) -> Iterator[Moment]:
    """The primary moments, by file, video and time. Raises DatasetMissingError, ValueError."""
    folder = dataset_path(INFO.name, root)
    people = _people(folder / "ego4d.json")
    annotations = _version(folder) / "annotations"
    for path in (annotations / "moments_train.json", annotations / "moments_val.json"):
        held = _json(path)
        try:
            found = [
                (
                    video["video_uid"],
                    label["label"].strip('"'),
                    label["video_start_time"],
                    label["video_end_time"],
                )
                for video in held["videos"]
                for clip in video["clips"]
                for annotation in clip["annotations"]
                for label in annotation["labels"]
                if label["primary"]
            ]
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{path.name}: videos, clips, annotations, labels were expected ({error})"
            ) from error
        for video, label, start_s, end_s in sorted(found):
            if label not in MOMENTS:
                raise ValueError(f"{path.name}: {label!r} is none of the {len(MOMENTS)} moments")
            person = people.get(video, video)
            yield Moment(video, person, MOMENTS.index(label), float(start_s), float(end_s))


def _load(root: Path | None, kind: str, by: str, per_s: float, columns: Sequence[str]) -> Samples:
    folder = _version(dataset_path(INFO.name, root)) / kind
    if not folder.exists():
        raise DatasetMissingError(folder)
    reach_s = INFO.window_s / 2 + MARGIN_S
    x, label, person, video = [], [], [], []
    for moment in moments(root):
        path = folder / f"{moment.video}.csv"
        if not path.exists():
            continue  # few videos have motion, fewer gaze
        middle_s = (moment.start_s + moment.end_s) / 2
        found = rows_between(path, by, (middle_s - reach_s) * per_s, (middle_s + reach_s) * per_s, columns)
        found = found[np.isfinite(found).all(axis=1)]
        if kind == "gaze":
            found = found[found[:, -1] >= MIN_CONFIDENCE, :-1]
        time_ns = np.round(found[:, 0] / per_s * NS_PER_S).astype(np.int64)
        end_ns = round((middle_s + INFO.window_s / 2) * NS_PER_S)
        grid = resample_to_grid(time_ns, found[:, 1:].astype(np.float32), end_ns, INFO.rate_hz, WINDOW)
        if grid.coverage >= MIN_COVERAGE:
            x.append(grid.values.astype(np.float32, copy=False))
            label.append(moment.label)
            person.append(moment.person)
            video.append(moment.video)
    width = len(columns) - (kind == "gaze")
    windows = np.stack(x) if x else np.zeros((0, WINDOW, width), np.float32)
    return Samples(windows, np.array(label, np.int64), np.array(person, np.str_), np.array(video, np.str_))


def _version(folder: Path) -> Path:
    """The newest release that is there."""
    for name in ("v2", "v1"):
        if (folder / name).exists():
            return folder / name
    raise DatasetMissingError(folder / "v2")


def _people(path: Path) -> dict[str, str]:
    """video -> participant; a video without one stands for itself."""
    held = _json(path)
    try:
        pairs = [(video["video_uid"], video.get("fb_participant_id")) for video in held["videos"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path.name}: videos of video_uid, fb_participant_id were expected ({error})"
        ) from error
    return {uid: f"person_{number}" for uid, number in pairs if number is not None}


def _json(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise DatasetMissingError(path)
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name} is no JSON: {error}") from error
    if not isinstance(held, dict):
        raise ValueError(f"{path.name}: a JSON object was expected")  # noqa: TRY004 (the file is wrong, no type)
    return held

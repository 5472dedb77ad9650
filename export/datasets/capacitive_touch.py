"""Which thumb touches a screen, from the raw image of its capacitive sensor, 27 rows of 15.

Le, Mayer, Henze 2019, "Investigating the Feasibility of Finger Identification on Capacitive Touchscreens
using Deep Learning" (IUI, MIT licence). Every fifth image in contact, of 20 a second.

`data.npz` holds `x` (n,27,15), `participant`, `finger` (an index into `fingers`), `right_hand` and `task`,
each (n,). The original repository's folder `data` works as well, put where `data.npz` would be, but takes
longer: files `CapMatrix_P<participant>_<finger>_<hand>.txt`, lines
`<participant>;<hand>;<finger>;<task>;-1;<s>,<ns>,<405 values>,`, between the tasks those of `PAUSE`.

The labels were chosen by a random forest on people it had not seen. The left or the right thumb is told
clearly, and is what the publication found useful; so is a thumb from another finger, which is the second
Reader, `THUMB_OR_FINGER`. The five fingers are not, and who used which finger is no chance here. Tap, scroll
or drag is told too, but mostly by where on the screen the study put its targets: no label for another screen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export.datasets.common import (
    DatasetInfo,
    DatasetMissingError,
    Fold,
    Samples,
    dataset_path,
    group_folds,
    held_out,
)

Int16 = npt.NDArray[np.int16]

ROWS, COLUMNS = 27, 15
INFO = DatasetInfo(
    name="capacitive_touch",
    modality="capacitance",
    task="touch_contact_classification",
    rate_hz=20.0,
    window_s=0.05,
    channels=tuple(f"touch_{i:03}" for i in range(ROWS * COLUMNS)),
    units=("1",) * (ROWS * COLUMNS),
    labels=("left_thumb", "right_thumb"),
    licence="MIT",
    credit="Le, Mayer, Henze 2019, CapFingerId (IUI 2019); part of it",
    split="5 folds by participant: sorted participants, index modulo 5; macro-F1",
    reference="thumb's hand above 0.92 accuracy on the whole set, another split by people; linear 0.70",
)
FINGERS: tuple[str, ...] = ("thumb", "index", "middle", "ring", "little")
SHIPPED_TEST: tuple[str, ...] = ("p05", "p07", "p14")
SHIPPED_VALIDATION: tuple[str, ...] = ("p08", "p15")
"""p14 and p15 touched with both thumbs."""
KEPT_EVERY = 5
CONTACT = 30
"""An image whose highest value is less shows no touch."""


@dataclass(frozen=True)
class _Touches:
    """x (n,405) raw, finger (n,) an index into FINGERS, right (n,) hand, participant (n,) such as "p07"."""

    x: Int16
    finger: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]
    participant: npt.NDArray[np.str_]


def load(root: Path | None = None) -> Samples:
    """The thumbs' images (N,1,405), row by row; group is the participant.

    A recording is one finger of one hand of a participant: the study asked for one after the other, and an
    image has its neighbours, a quarter of a second away, only there. Raises DatasetMissingError without the
    recordings, ValueError for a file of another format.
    """
    touches = _touches(dataset_path(INFO.name, root))
    samples = _samples(touches, touches.right.astype(np.int64))
    return samples[np.flatnonzero(touches.finger == 0)]


def folds(samples: Samples) -> list[Fold]:
    """Five folds by participant. Each holds both thumbs."""
    return group_folds(samples.group)


def shipped(samples: Samples) -> Fold:
    """Three people are the test, two the validation."""
    return held_out(samples.group, SHIPPED_VALIDATION, SHIPPED_TEST)


class ThumbOrFinger:
    """All images: a thumb or another finger, of whichever hand."""

    INFO = replace(INFO, labels=("thumb", "finger"), reference="")

    def load(self, root: Path | None = None) -> Samples:
        touches = _touches(dataset_path(INFO.name, root))
        return _samples(touches, (touches.finger > 0).astype(np.int64))

    def folds(self, samples: Samples) -> list[Fold]:
        return folds(samples)

    def shipped(self, samples: Samples) -> Fold:
        return shipped(samples)


THUMB_OR_FINGER = ThumbOrFinger()


def _samples(touches: _Touches, target: npt.NDArray[np.int64]) -> Samples:
    hand = np.where(touches.right, "right", "left")
    recording = [
        f"{who} {side} {FINGERS[finger]}"
        for who, side, finger in zip(touches.participant, hand, touches.finger.tolist(), strict=True)
    ]
    return Samples(
        touches.x[:, None].astype(np.float32), target, touches.participant, np.array(recording, np.str_)
    )


def _touches(folder: Path) -> _Touches:
    if not (folder / "data.npz").is_file():
        return _original(folder)
    with np.load(folder / "data.npz", allow_pickle=False) as data:
        if tuple(data["fingers"].tolist()) != FINGERS or data["x"].shape[1:] != (ROWS, COLUMNS):
            raise ValueError(f"{folder / 'data.npz'} is not of images 27x15 of {', '.join(FINGERS)}")
        return _Touches(
            data["x"].reshape(-1, ROWS * COLUMNS).astype(np.int16),
            data["finger"].astype(np.int64),
            data["right_hand"].astype(bool),
            np.array([f"p{number:02}" for number in data["participant"].tolist()]),
        )


def _original(folder: Path) -> _Touches:
    files = sorted(folder.glob("CapMatrix_P*.txt"))
    if not files:
        raise DatasetMissingError(folder / "data.npz")
    x, finger, right, participant = [], [], [], []
    for path in files:
        number, name, hand = path.stem.removeprefix("CapMatrix_P").split("_")
        images = _images(path)
        x.append(images)
        finger += [FINGERS.index(name)] * len(images)
        right += [hand == "right"] * len(images)
        participant += [f"p{int(number):02}"] * len(images)
    return _Touches(
        np.concatenate(x),
        np.array(finger, np.int64),
        np.array(right, np.bool_),
        np.array(participant, np.str_),
    )


def _images(path: Path) -> Int16:
    """(n,405): every fifth image in contact of one file. Lines that do not hold 405 numbers are skipped."""
    kept, contacts = [], 0
    with path.open() as file:
        for line in file:
            *_, task, _ignored, values = line.split(";")
            if task == "PAUSE":
                continue
            try:
                image = np.array(values.rstrip(",\n").split(",")[2:], np.int16)
            except ValueError:
                continue
            if image.shape != (ROWS * COLUMNS,) or image.max() < CONTACT:
                continue
            if contacts % KEPT_EVERY == 0:
                kept.append(image)
            contacts += 1
    return np.array(kept, np.int16).reshape(-1, ROWS * COLUMNS)

"""Pictures of the hand signs of the digits (Ankara Ayranci Anadolu High School, Apache-2.0).

2,062 pictures of 100x100 pixels by 218 pupils, about one of each digit by each. Read are `data.npz`
(`jpeg[offset[i]:offset[i+1]]` is picture i, `label` (n,)), else the publisher's folders `0` to `9` of JPEGs.

The pupils are not named, but they are in the same order in every class: the picture at place i of one digit
looks (in its corners, measured) most like that at places i-1 to i+1 of the others. So this Reader splits by
place, blocks of about ten pupils with a few left out between, which is close to a split by person but cannot
be proven to be one. `STRATIFIED` is the split that others report (80/20 per class, at random); there the same
person and background stand on both sides, so its scores are too good.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from export.datasets.common import (
    DatasetInfo,
    DatasetMissingError,
    Fold,
    Int64,
    Samples,
    dataset_path,
)
from export.datasets.images import Image, decode, frame, pixel_names, read
from export.datasets.views import View, block_fold, block_groups, contiguous_folds

SIZE = 32
INFO = DatasetInfo(
    name="sign_digit_images",
    modality="image",
    task="gesture_classification",
    rate_hz=1.0,
    window_s=1.0,
    channels=pixel_names(SIZE, SIZE),
    units=("",) * (3 * SIZE * SIZE),
    labels=("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    licence="Apache-2.0",
    credit="Turkey Ankara Ayranci Anadolu High School, Sign Language Digits Dataset (Mavi, Dikle)",
    split="20 blocks by place in the class, which is nearly by person; 5 folds of contiguous blocks",
    reference="95 to 98 % on 80/20 per class at random, where people are on both sides",
)
BLOCKS = 20
TEST_BLOCKS = range(16, 20)
VALIDATION_BLOCKS = range(14, 16)
GAP = 4
"""Classes miss up to four of the pupils, so places of different classes drift apart by so many."""
SEED = 0


def load(root: Path | None = None) -> Samples:
    """x (N,1,3072): RGB 0..1, row by row, as a camera of 32x32 gives it. Raises DatasetMissingError."""
    folder = dataset_path(INFO.name, root)
    images, label = _read_npz(folder) if (folder / "data.npz").exists() else _read_folders(folder)
    x = np.stack([frame(image, SIZE, SIZE) for image in images])
    run = np.array(INFO.labels)[label]
    block = [group.rpartition("/")[2] for group in block_groups(run, BLOCKS).tolist()]
    return Samples(x[:, None], label, np.array([f"people/{b}" for b in block]), run)


def folds(samples: Samples) -> list[Fold]:
    """Five folds: the pictures of a fifth of the pupils, as far as their order tells."""
    return contiguous_folds(samples, BLOCKS, gap=GAP)


def shipped(samples: Samples) -> Fold:
    """Test the last fifth of each class, validation the tenth before."""
    return block_fold(samples, "shipped", TEST_BLOCKS, VALIDATION_BLOCKS, GAP)


def load_stratified(root: Path | None = None) -> Samples:
    """As `load`, but every picture is a group of its own."""
    samples = load(root)
    single = np.array([f"{r}/{i:04d}" for i, r in enumerate(samples.recording.tolist())])
    return Samples(samples.x, samples.target, single, samples.recording)


def _stratified_parts(target: Int64) -> Int64:
    """(N,) tenth of each row: the rows of a class in a random order of a fixed seed, dealt out in turn."""
    random = np.random.default_rng(SEED)
    tenth = np.empty(len(target), np.int64)
    for label in np.unique(target):
        rows = np.flatnonzero(target == label)
        tenth[random.permutation(rows)] = np.arange(len(rows)) % 10
    return tenth


def _stratified_folds(samples: Samples) -> list[Fold]:
    test = _stratified_parts(samples.target.astype(np.int64)) < 2
    return [Fold("80/20", np.flatnonzero(~test), np.flatnonzero(test), np.zeros(0, np.int64))]


def _stratified_shipped(samples: Samples) -> Fold:
    tenth = _stratified_parts(samples.target.astype(np.int64))
    train, test, validation = tenth > 2, tenth < 2, tenth == 2
    return Fold("shipped", np.flatnonzero(train), np.flatnonzero(test), np.flatnonzero(validation))


STRATIFIED = View(
    replace(
        INFO,
        name="sign_digit_images_stratified",
        split=f"80/20 per class at random with seed {SEED}: not by person",
    ),
    load_stratified,
    _stratified_folds,
    _stratified_shipped,
)
"""The Reader of the split that others report."""


def _read_npz(folder: Path) -> tuple[list[Image], Int64]:
    with np.load(folder / "data.npz", allow_pickle=False) as data:
        jpeg, offset, label = data["jpeg"], data["offset"], data["label"].astype(np.int64)
    if len(offset) != len(label) + 1 or offset[-1] != len(jpeg):
        raise ValueError("the offsets of data.npz do not fit its labels and bytes; is the download complete?")
    parts = [jpeg[offset[i] : offset[i + 1]] for i in range(len(label))]
    return [decode(part, f"picture {i}") for i, part in enumerate(parts)], label


def _read_folders(folder: Path) -> tuple[list[Image], Int64]:
    paths = [
        (path, digit)
        for digit in range(len(INFO.labels))
        for path in sorted((folder / str(digit)).glob("*"))
        if path.suffix.lower() in {".jpg", ".jpeg"}
    ]
    if not paths:
        raise DatasetMissingError(folder / "data.npz")
    return [read(path) for path, _ in paths], np.array([digit for _, digit in paths], np.int64)

"""LLVIP: streets at night with boxes of people. Readers: this module (infrared pictures), `VISIBLE`.

Where the format is described: github.com/bupt-ai-cz/LLVIP, `README.md` (folders),
`toolbox/xml2txt_yolov5.py` (boxes) and `Term of Use and License.md`. Put the folder `LLVIP` here as
`llvip`: `infrared/train/010001.jpg`, `infrared/test/190001.jpg`, the same names under `visible`, and
`Annotations/010001.xml` for both: VOC's `annotation/object` with `name` (person) and `bndbox` of whole
`xmin, ymin, xmax, ymax`; pictures of 1280x1024. A name is two digits of the scene and four of the picture.

The XML is read with expat of the standard library; a document that declares a type or an entity is refused,
so that nothing can be expanded or fetched. The label is how many people there are, as a presence sensor
would be asked. Infrared is as the publisher stretched it to 8 bit: shares of 255, not temperatures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

import numpy as np

from export.datasets.common import (
    DatasetInfo,
    DatasetMissingError,
    Float32,
    Fold,
    Samples,
    dataset_path,
    held_out,
)
from export.datasets.images import frame, pixel_names, read
from export.datasets.views import View

WIDTH, HEIGHT = 32, 24
EVERY = 10
"""Neighbouring pictures of a scene hardly differ, and to decode all of them takes minutes."""
INFO = DatasetInfo(
    name="llvip",
    modality="thermal",
    task="event_detection",
    rate_hz=1.0,
    window_s=1.0,
    channels=tuple(f"px_{i:03d}" for i in range(WIDTH * HEIGHT)),
    units=("of 255",) * (WIDTH * HEIGHT),
    labels=("nobody", "one_person", "two_people", "three_or_more_people"),
    licence="LLVIP's own: non-commercial use",
    credit="Jia, Zhu, Li, Tang, Zhou 2021, LLVIP (ICCV workshops)",
    split="by scene, as published: the scenes of the folders test",
    licence_class="C",
)
VISIBLE_INFO = replace(
    INFO,
    name="llvip_visible",
    modality="image",
    channels=pixel_names(WIDTH, HEIGHT),
    units=("",) * (3 * WIDTH * HEIGHT),
)
VALIDATION_SCENES = 3
"""The last of the training scenes."""


@dataclass(frozen=True)
class Box:
    """A person, in pixels of the picture."""

    xmin: int
    ymin: int
    xmax: int
    ymax: int


def load(root: Path | None = None) -> Samples:
    """x (N,1,768): the infrared picture, 32x24, row by row, 0..1. DatasetMissingError, ValueError."""
    return _load(root, "infrared")


def load_visible(root: Path | None = None) -> Samples:
    """x (N,1,2304): the visible picture as a camera's pixels. Raises the same."""
    return _load(root, "visible")


def folds(samples: Samples) -> list[Fold]:
    """The published one."""
    fold = held_out(samples.group, (), _test_scenes(samples))
    return [Fold("published", fold.train, fold.test, fold.validation)]


def shipped(samples: Samples) -> Fold:
    """The published test; the last scenes of the training calibrate."""
    test = _test_scenes(samples)
    rest = sorted(set(samples.group.tolist()) - set(test))
    return held_out(samples.group, rest[-VALIDATION_SCENES:], test)


VISIBLE = View(VISIBLE_INFO, load_visible, folds, shipped)
"""The Reader of the visible pictures."""


def boxes(path: Path) -> list[Box]:
    """The people of an annotation. ValueError, which names the file, for any other document."""
    places: list[str] = []
    found: list[Box] = []
    values: dict[str, int] = {}
    text: list[str] = []
    parser = expat.ParserCreate()

    def start(name: str, _attributes: dict[str, str]) -> None:
        places.append(name)
        text.clear()
        if places[-2:] == ["object", "bndbox"]:
            values.clear()

    def end(_name: str) -> None:
        if places[-2:-1] == ["bndbox"]:
            values[places[-1]] = int("".join(text))
        if places[-2:] == ["object", "bndbox"]:
            found.append(Box(**values))
        places.pop()
        text.clear()

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(path.read_bytes(), True)
    except (expat.ExpatError, ValueError, TypeError) as error:
        raise ValueError(f"{path.name}: boxes of xmin, ymin, xmax, ymax were expected ({error})") from error
    return found


def _refuse(*_: object) -> NoReturn:
    raise ValueError("a document with a declared type or entity is refused")


def _test_scenes(samples: Samples) -> list[str]:
    test = np.array([name.startswith("test/") for name in samples.recording.tolist()])
    return sorted(set(samples.group[test].tolist()))


def _load(root: Path | None, kind: str) -> Samples:
    folder = dataset_path(INFO.name, root)
    x, label, scene, recording = [], [], [], []
    for path in _pictures(folder / kind):
        annotation = folder / "Annotations" / f"{path.stem}.xml"
        if not annotation.exists():
            raise DatasetMissingError(annotation)
        x.append(_pixels(path, kind))
        label.append(min(len(boxes(annotation)), len(INFO.labels) - 1))
        scene.append(path.stem[:2])
        recording.append(f"{path.parent.name}/{path.stem[:2]}")
    return Samples(np.stack(x)[:, None], np.array(label, np.int64), np.array(scene), np.array(recording))


def _pictures(folder: Path) -> Iterator[Path]:
    for part in ("train", "test"):
        paths = sorted((folder / part).glob("*.jpg"))
        if not paths:
            raise DatasetMissingError(folder / part / "*.jpg")
        for path in paths:
            if len(path.stem) != 6 or not path.stem.isdigit():
                raise ValueError(
                    f"{path.name} is not named by two digits of the scene and four of the picture"
                )
        yield from paths[::EVERY]


def _pixels(path: Path, kind: str) -> Float32:
    pixels = frame(read(path), WIDTH, HEIGHT)
    return pixels if kind == "visible" else pixels.reshape(-1, 3).mean(1)

"""RGBDGaze: where on a phone's screen somebody looks, by its front cameras. Readers: this module, `DEPTH`.

Where the format is described: github.com/FIGLAB/RGBDGaze, `README.md` and
`GazeEstimation/preprocess/format.py`. Put the folder `RGBDGaze_dataset` here as `rgbdgaze`:
`iphone_spec.csv` (`Name,w_pt,w_cm,h_pt,h_cm`) and for each person
`P<number>/decoded/<standing|sitting|walking|lying>/` a `label.csv` (among its columns `uid, device, bbox_x,
bbox_y, bbox_w, bbox_h, gt_x_pt, gt_y_pt, imu_x, imu_y, imu_z`) and the pictures `rgb/<uid>.jpg` and
`depth/<uid>.jpg`, the latter grey and of fewer pixels. The picture is mirrored and cut to the face;
`bbox_x` counts along its rows and `bbox_y` along its columns, since that is how the publisher's code cuts
it. The target is in centimetres from the middle of the upper edge of the screen, x to the right and y up,
so that y is negative.

Not established: the distance that a level of depth means (8 bit, lossy; shares of 255 are given) and the
rate of the frames. There is one `imu_x, imu_y, imu_z` for a frame, without a unit: too little for a Reader
of motion. The publisher's link says GPL-2.0 for code and data; the faces of people are treated as for
research only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from export.datasets.common import DatasetInfo, DatasetMissingError, Float32, Samples, dataset_path
from export.datasets.images import Image, frame, pixel_names, read
from export.datasets.paper.splits import every_fifth as shipped
from export.datasets.paper.splits import five_folds as folds
from export.datasets.paper.tables import rows
from export.datasets.views import View

__all__ = ["DEPTH", "INFO", "folds", "load", "shipped"]

WIDTH = HEIGHT = 32
ACTIVITIES = ("standing", "sitting", "walking", "lying")
FRAMES = 10
"""Of a person and an activity, spread over it: to decode all would take hours."""
INFO = DatasetInfo(
    name="rgbdgaze",
    modality="image",
    task="gaze_estimation",
    rate_hz=10.0,
    window_s=0.1,
    channels=pixel_names(WIDTH, HEIGHT),
    units=("",) * (3 * WIDTH * HEIGHT),
    labels=(),
    licence="GPL-2.0 as published; pictures of faces",
    credit="Arakawa, Goel, Harrison, Ahuja 2022, RGBDGaze (ICMI)",
    split="5 folds by person",
    licence_class="C",
    outputs=("x_cm", "y_cm"),
)
DEPTH_INFO = replace(
    INFO,
    name="rgbdgaze_depth",
    modality="depth",
    channels=tuple(f"px_{i:04d}" for i in range(WIDTH * HEIGHT)),
    units=("of 255",) * (WIDTH * HEIGHT),
)
_LABELS = ("uid", "device", "bbox_x", "bbox_y", "bbox_w", "bbox_h", "gt_x_pt", "gt_y_pt")
_SIZES = ("w_pt", "w_cm", "h_pt", "h_cm")


@dataclass(frozen=True)
class Look:
    """One labelled frame: where its pictures lie, the face in colour pixels, the target in centimetres."""

    person: str
    activity: str
    folder: Path
    uid: str
    face: tuple[int, int, int]
    target_cm: tuple[float, float]


def looks(root: Path | None = None) -> Iterator[Look]:
    """At most FRAMES of each person and activity. Raises DatasetMissingError, ValueError."""
    folder = dataset_path(INFO.name, root)
    paths = sorted(path for a in ACTIVITIES for path in folder.glob(f"[Pp]*/decoded/{a}/label.csv"))
    if not paths:
        raise DatasetMissingError(folder / "P1" / "decoded" / "standing" / "label.csv")
    screens = _screens(folder / "iphone_spec.csv")
    for path in paths:
        table = rows(path, _LABELS)
        for row in [table[i] for i in np.unique(np.linspace(0, len(table) - 1, FRAMES).astype(int)) if table]:
            yield _look(path, row, screens)


def load(root: Path | None = None) -> Samples:
    """x (N,1,3072): the face, 32x32, as a camera's pixels; target (N,2) centimetres. Raises as `looks`."""

    def pixels(look: Look) -> Float32:
        colour = _picture(look, "rgb")
        return frame(_face(colour, look, len(colour)), WIDTH, HEIGHT)

    return _samples(root, pixels)


def load_depth(root: Path | None = None) -> Samples:
    """x (N,1,1024): the face's depth as shares of 255, row by row; target (N,2). Raises the same."""
    heights: dict[Path, int] = {}  # of the colour pictures of a folder, which one camera took

    def levels(look: Look) -> Float32:
        if look.folder not in heights:
            heights[look.folder] = len(_picture(look, "rgb"))
        depth = _face(_picture(look, "depth"), look, heights[look.folder])
        return frame(depth, WIDTH, HEIGHT)[::3]  # grey: red, green and blue are the same

    return _samples(root, levels)


DEPTH = View(DEPTH_INFO, load_depth, folds, shipped)
"""The Reader of the depth camera."""


def _samples(root: Path | None, pixels: Callable[[Look], Float32]) -> Samples:
    found = [(pixels(look), look) for look in looks(root)]
    person = np.array([look.person for _, look in found])
    name = np.array([f"{look.person}/{look.activity}" for _, look in found])
    target = np.array([look.target_cm for _, look in found], np.float32)
    return Samples(np.stack([x for x, _ in found])[:, None], target, person, name)


def _screens(path: Path) -> dict[str, tuple[float, ...]]:
    """Width and height in points and centimetres of each phone, by its name without blanks."""
    if not path.exists():
        raise DatasetMissingError(path)
    try:
        return {
            _phone(row["Name"]): tuple(float(row[k]) for k in _SIZES) for row in rows(path, ("Name", *_SIZES))
        }
    except ValueError as error:
        raise ValueError(f"{path.name}: Name and {', '.join(_SIZES)} were expected ({error})") from error


def _phone(name: str) -> str:
    """Some labels say "iPhone 12" where the table of screens says "iPhone12"."""
    return name.replace(" ", "")


def _look(path: Path, row: dict[str, str], screens: dict[str, tuple[float, ...]]) -> Look:
    person, activity = path.parents[2].name, path.parent.name
    if _phone(row["device"]) not in screens:
        raise ValueError(f"{person}/{activity}/{path.name}: {row['device']} is not in iphone_spec.csv")
    w_pt, w_cm, h_pt, h_cm = screens[_phone(row["device"])]
    try:
        x, y, w, h = (int(float(row[f"bbox_{k}"])) for k in "xywh")
        target = (float(row["gt_x_pt"]) / w_pt * w_cm - w_cm / 2, -float(row["gt_y_pt"]) / h_pt * h_cm)
    except ValueError as error:
        raise ValueError(f"{person}/{activity}/{path.name}, uid {row['uid']}: {error}") from error
    return Look(person, activity, path.parent, row["uid"], (x, y, min(w, h)), target)


def _picture(look: Look, kind: str) -> Image:
    path = look.folder / kind / f"{look.uid}.jpg"
    if not path.exists():
        raise DatasetMissingError(path)
    return read(path)


def _face(picture: Image, look: Look, colour_height: int) -> Image:
    """The face out of the mirrored picture; the box is in pixels of the colour picture."""
    scale = colour_height / len(picture)
    top, left, side = (int(k / scale) for k in look.face)
    cut = picture[:, ::-1][max(top, 0) : top + side, max(left, 0) : left + side]
    if not cut.size:
        where = f"{look.person}/{look.activity}, uid {look.uid}"
        raise ValueError(
            f"{where}: the face {look.face} lies outside of {picture.shape[1]}x{picture.shape[0]}"
        )
    return np.ascontiguousarray(cut)

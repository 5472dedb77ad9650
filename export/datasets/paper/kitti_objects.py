"""KITTI objects: from a laser scan to the box of the nearest road user, in three dimensions.

Where the format is described: the KITTI object devkit's `readme.txt` (cvlibs.net/datasets/kitti). Put the
benchmark's folder here as `kitti/training`: `velodyne/000000.bin` (see `kitti`), `calib/000000.txt` (lines
`R0_rect:` of nine and `Tr_velo_to_cam:` of twelve numbers among others) and `label_2/000000.txt`, a line
for each object: type, truncated, occluded, alpha, four of the box in the picture, height, width, length
(m), x, y, z of the middle of its bottom in the camera's frame (x right, y down, z forward) and its turn
about y. `DontCare` is no object.

The frames are shuffled, neighbours of a film among them, so a split needs the devkit's `mapping`, put here
as `kitti/mapping`: `train_rand.txt`, numbers between commas, says for each frame which line (from 1) of
`train_mapping.txt` is its own: `<date> <drive> <frame of the drive>`. Test and training share no drive.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_agent.sensors.scan import BEAMS
from export.datasets.common import DatasetInfo, DatasetMissingError, Samples, dataset_path
from export.datasets.paper.kitti import CREDIT, FOLDER, LICENCE, calibration, scan, spread, square
from export.datasets.paper.kitti import INFO as ODOMETRY_INFO
from export.datasets.paper.splits import every_fifth as shipped
from export.datasets.paper.splits import five_folds as folds
from export.datasets.paper.tables import Float64

__all__ = ["INFO", "folds", "load", "shipped"]

INFO = DatasetInfo(
    name="kitti_objects",
    modality="lidar",
    task="3d_reconstruction",
    rate_hz=10.0,
    window_s=0.1,
    channels=ODOMETRY_INFO.channels,
    units=("m",) * BEAMS,
    labels=(),
    licence=LICENCE,
    credit=CREDIT,
    split="5 folds by drive",
    licence_class="C",
    outputs=(
        "forward_m", "left_m", "up_m", "height_m", "width_m", "length_m", "heading_forward", "heading_left",
    ),
)  # fmt: skip
FRAMES = 1000
"""Spread over the set, whose scans are fourteen gigabytes."""
LABEL_FIELDS = 15
TYPES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc", "DontCare")


def load(root: Path | None = None) -> Samples:
    """x (N,1,360) metres; target (N,8): middle, size and heading of the nearest labelled object's box.

    The middle is in the scanner's frame and the heading a vector of length 1 in it. Frames without an object
    are left out. Raises DatasetMissingError, ValueError.
    """
    folder = dataset_path(FOLDER, root)
    paths = sorted((folder / "training" / "label_2").glob("*.txt"))
    if not paths:
        raise DatasetMissingError(folder / "training" / "label_2" / "000000.txt")
    drives = _drives(folder / "mapping")
    x, target, drive = [], [], []
    for path in (paths[i] for i in spread(len(paths), FRAMES)):
        box = _nearest_box(path)
        if box is not None:
            if int(path.stem) >= len(drives):
                raise ValueError(f"{path.name}: the mapping ends with frame {len(drives) - 1}")
            x.append(scan(folder / "training" / "velodyne" / f"{path.stem}.bin"))
            target.append(box)
            drive.append(drives[int(path.stem)])
    if not x:
        raise ValueError("label_2 holds no frame with an object")
    names = np.array(drive)
    return Samples(np.stack(x)[:, None], np.array(target, np.float32), names, names)


def _drives(folder: Path) -> list[str]:
    """The drive of each frame."""
    texts = []
    for name in ("train_rand.txt", "train_mapping.txt"):
        if not (folder / name).exists():
            raise DatasetMissingError(folder / name)
        texts.append((folder / name).read_text(encoding="utf-8"))
    lines = texts[1].strip().split("\n")
    try:
        rows = [int(number) - 1 for number in texts[0].split(",") if number.strip()]
        return [lines[row].split()[1] for row in rows]
    except (ValueError, IndexError) as error:
        raise ValueError(f"train_rand.txt does not name lines of train_mapping.txt ({error})") from error


def _nearest_box(path: Path) -> Float64 | None:
    boxes = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split()
        expected = f"label_2/{path.name}, line {number}: a type and 14 numbers were expected"
        if len(fields) != LABEL_FIELDS or fields[0] not in TYPES:
            raise ValueError(expected)
        try:
            box = [float(field) for field in fields[8:]]
        except ValueError as error:
            raise ValueError(expected) from error
        if fields[0] != "DontCare":
            boxes.append(box)
    if not boxes:
        return None
    calib = path.parents[1] / "calib" / path.name
    turn = np.eye(4)
    turn[:3, :3] = calibration(calib, "R0_rect", 9).reshape(3, 3)
    to_scanner = np.linalg.inv(turn @ square(calibration(calib, "Tr_velo_to_cam")))
    placed = [_placed(np.array(box), to_scanner.astype(np.float64)) for box in boxes]
    return min(placed, key=lambda box: float(np.hypot(box[0], box[1])))


def _placed(box: Float64, to_scanner: Float64) -> Float64:
    """(7,) height, width, length, x, y, z, turn in the camera's frame -> (8,) as the outputs."""
    height, width, length, x, y, z, turn = box
    middle = to_scanner @ np.array([x, y - height / 2, z, 1.0])
    ahead = to_scanner[:3, :3] @ np.array([np.cos(turn), 0.0, -np.sin(turn)])
    heading = ahead[:2] / np.hypot(*ahead[:2])
    return np.concatenate([middle[:3], [height, width, length], heading])

"""Stored pictures as a live sensor would give them. The one module of `export` that imports cv2 (OpenCV)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.sensors.video_frames import Pixels
from export.datasets.common import Float32

Image = npt.NDArray[np.uint8]
Depth = npt.NDArray[np.uint16]
NO_DEPTH_MM = (0, 65535)
"""How Kinect recordings say that a pixel has no depth."""


def decode(data: npt.NDArray[np.uint8], name: str) -> Image:
    """The bytes of a JPEG or PNG as (height,width,3), blue first. ValueError when they are no picture."""
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise ValueError(f"{name} is no picture that can be decoded; is the download complete?")
    return np.asarray(image, np.uint8)


def read(path: Path) -> Image:
    """A picture in a file, as `decode` gives it."""
    return decode(np.frombuffer(path.read_bytes(), np.uint8), path.name)


def read_depth(path: Path) -> Depth:
    """A 16 bit PNG of millimetres (height,width)."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint16 or image.ndim != 2:
        raise ValueError(f"{path.name} is no picture of depths (16 bit, one channel)")
    return np.asarray(image, np.uint16)


def frame(image: Image, width: int, height: int) -> Float32:
    """(h,w,3) blue first -> (width*height*3,): what edge_agent.sensors.camera gives for the same picture.

    Area-resampled (stretched, not cropped), RGB, 0..1, row by row. A test holds the two together.
    """
    small = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    values: Float32 = (small[:, :, ::-1] / np.float32(255)).astype(np.float32).reshape(-1)
    return values


def pixel_names(width: int, height: int) -> tuple[str, ...]:
    """The names of a frame's channels, those of the camera's own."""
    return tuple(channel.name for channel in Pixels(width, height)[:])


def mean_depth(depth_mm: Depth, rows: int, columns: int) -> Float32:
    """(...,h,w) millimetres -> (...,rows,columns): mean of the valid depths of each cell in metres.

    A cell without any is NaN. The height and width must be multiples of rows and columns.
    """
    h, w = depth_mm.shape[-2:]
    if h % rows or w % columns:
        raise ValueError(f"{w}x{h} depths cannot be divided into {columns}x{rows} cells")
    cells = depth_mm.reshape(*depth_mm.shape[:-2], rows, h // rows, columns, w // columns)
    valid = ~np.isin(cells, NO_DEPTH_MM)
    total = np.where(valid, cells, 0).sum((-3, -1), dtype=np.float64)
    count = valid.sum((-3, -1))
    metres = np.full(total.shape, np.nan)
    np.divide(total, 1000.0 * count, out=metres, where=count > 0)
    mean: Float32 = metres.astype(np.float32)
    return mean

"""Samples of a set as one picture, each drawn as what it is: an image, an array, a scan, a track, lines."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

from export.datasets.common import DatasetInfo, Float32, Int64, Samples

mpl.use("Agg")
from matplotlib import pyplot as plt  # the backend must be chosen first

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw = Callable[["Axes", Float32, DatasetInfo], None]
SHOWN, COLUMNS = 12, 4
MOST_LINES, MOST_FRAMES, MOST_POINTS = 8, 8, 4000
TALL = {"capacitance": (27, 15)}
"""Rows and columns of the arrays that are higher than wide; the others are as square as they can be."""


def plot(info: DatasetInfo, samples: Samples, path: Path) -> None:
    """Draw up to SHOWN samples, of all classes in turn, into a PNG. Raises ValueError for an empty set."""
    if not len(samples):
        raise ValueError(f"{info.name} has no windows to draw")
    rows = chosen(samples)
    lines = math.ceil(len(rows) / COLUMNS)
    polar = {"projection": "polar"} if drawing_of(info, samples.x) is draw_scan else None
    figure, axes = plt.subplots(
        lines, COLUMNS, figsize=(3.2 * COLUMNS, 2.6 * lines), squeeze=False, subplot_kw=polar
    )
    draw = drawing_of(info, samples.x)
    for axis, row in zip(axes.flat, rows.tolist(), strict=False):  # the last line may have room left
        draw(axis, samples.x[row], info)
        axis.set_title(caption(info, samples, row), fontsize=8)
        axis.tick_params(labelsize=6)
    for axis in axes.flat[len(rows) :]:
        axis.set_axis_off()
    figure.suptitle(f"{info.name}: {info.modality}, {info.task} ({info.kind})")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def chosen(samples: Samples) -> Int64:
    """Row numbers: the classes in turn, spread over the set; of a regression spread alone."""
    n = len(samples)
    if samples.target.ndim > 1:
        return np.unique(np.linspace(0, n - 1, min(SHOWN, n)).astype(np.int64))
    by_class = [np.flatnonzero(samples.target == label) for label in np.unique(samples.target)]
    each = math.ceil(SHOWN / len(by_class))
    picks = [rows[np.linspace(0, len(rows) - 1, min(each, len(rows))).astype(int)] for rows in by_class]
    turns = [rows[i] for i in range(each) for rows in picks if i < len(rows)]
    return np.array(turns[:SHOWN], np.int64)


def caption(info: DatasetInfo, samples: Samples, row: int) -> str:
    """Its label, or its first numbers."""
    if info.labels:
        return info.labels[int(samples.target[row])]
    numbers = samples.target[row][:2]
    return ", ".join(f"{name} {value:.2f}" for name, value in zip(info.outputs, numbers, strict=False))


def drawing_of(info: DatasetInfo, x: Float32) -> Draw:
    """How samples x (N,T,C) of such a set are drawn."""
    steps, channels = x.shape[1:]
    if info.modality in {"image", "camera", "video"} and channels % 3 == 0:
        return draw_picture
    if info.modality in {"thermal", "depth", "capacitance"} and channels >= 16:
        return draw_array
    if info.modality == "lidar":
        return draw_scan
    if info.modality == "gps" and channels >= 2:
        return draw_track
    if steps == 1:
        return draw_vector
    return draw_lines if channels <= MOST_LINES else draw_carpet


def draw_picture(axis: Axes, x: Float32, info: DatasetInfo) -> None:
    """Frames (T,3*H*W) of 0..1 beside each other."""
    height, width = grid_of(x.shape[1] // 3, info.modality)
    frames = x[_some(len(x))].reshape(-1, height, width, 3)
    axis.imshow(np.clip(tiled(frames), 0, 1))
    axis.set_axis_off()


def draw_array(axis: Axes, x: Float32, info: DatasetInfo) -> None:
    """Frames (T,H*W and perhaps more) beside each other, a line of background between them."""
    cells = x.shape[1] - x.shape[1] % 16 if x.shape[1] < 64 else x.shape[1]
    height, width = grid_of(cells, info.modality)
    frames = x[_some(len(x)), :cells].reshape(-1, height, width, 1)
    image = axis.imshow(tiled(frames)[..., 0])
    axis.set_axis_off()
    plt.colorbar(image, ax=axis, shrink=0.7, label=info.units[0]).ax.tick_params(labelsize=6)


def draw_scan(axis: Axes, x: Float32, info: DatasetInfo) -> None:
    """Ranges around the scanner, its front on top, clockwise as the channels `range_090` say."""
    degrees = np.array([int(name.rpartition("_")[2]) for name in info.channels])
    axis.set_theta_zero_location("N")  # type: ignore[attr-defined]  # a polar axis
    axis.set_theta_direction(-1)  # type: ignore[attr-defined]
    for ranges_m in x:
        there = ranges_m > 0
        axis.plot(np.radians(degrees[there]), ranges_m[there], ".", markersize=1.5)


def draw_track(axis: Axes, x: Float32, info: DatasetInfo) -> None:
    """East and north in one scale; a dot where it begins."""
    axis.plot(x[:, 0], x[:, 1], marker=".", linewidth=1)
    axis.plot(x[0, 0], x[0, 1], "o")
    axis.set_aspect("equal", adjustable="datalim")
    axis.set_xlabel(f"{info.channels[0]} ({info.units[0]})", fontsize=6)


def draw_vector(axis: Axes, x: Float32, info: DatasetInfo) -> None:
    """One moment (1,C): points of a hand or a face where channels are x, y in turn, else a bar each."""
    if info.modality in {"pose", "gaze"} and _pairs(info):
        count = sum(name.endswith(("_x", "_y")) for name in info.channels)
        points = x[0, :count].reshape(-1, 2)
        axis.plot(points[:, 0], points[:, 1], "o", markersize=3)
        axis.set_aspect("equal", adjustable="datalim")
        if info.modality == "pose":  # as in the picture that the points were found in
            axis.invert_yaxis()
        return
    axis.bar(np.arange(x.shape[1]), x[0])


def draw_lines(axis: Axes, x: Float32, info: DatasetInfo) -> None:
    """A line a channel over seconds; sound is thinned out, keeping its peaks."""
    every = max(1, math.ceil(len(x) / MOST_POINTS))
    seconds = np.arange(len(x)) / info.rate_hz
    for i in range(x.shape[1]):
        axis.plot(seconds[::every], x[::every, i], linewidth=0.7, label=info.channels[i])
    axis.set_xlabel("s", fontsize=6)
    if x.shape[1] > 1:
        axis.legend(fontsize=5, loc="upper right")


def draw_carpet(axis: Axes, x: Float32, info: DatasetInfo) -> None:
    """Many channels over time, each by its own range."""
    low, high = x.min(0), x.max(0)
    image = ((x - low) / np.maximum(high - low, 1e-9)).T
    axis.imshow(image, aspect="auto", extent=(0, len(x) / info.rate_hz, x.shape[1], 0))
    axis.set_xlabel("s", fontsize=6)


def tiled(frames: Float32) -> Float32:
    """(T,H,W,C) -> one picture, in time from left to right and then down, with a gap (NaN) between frames."""
    count, height, width, colours = frames.shape
    lines = 1 if count <= 2 else 2
    across = math.ceil(count / lines)
    picture = np.full((lines, height + 1, across, width + 1, colours), np.nan, np.float32)
    for i, frame in enumerate(frames):
        picture[i // across, :height, i % across, :width] = frame
    return picture.reshape(lines * (height + 1), across * (width + 1), colours)[:-1, :-1]


def grid_of(cells: int, modality: str) -> tuple[int, int]:
    """Rows and columns of an array of so many cells."""
    tall = TALL.get(modality)
    if tall is not None and tall[0] * tall[1] == cells:
        return tall
    rows = max(i for i in range(1, math.isqrt(cells) + 1) if cells % i == 0)
    return rows, cells // rows


def _pairs(info: DatasetInfo) -> bool:
    """Whether its channels begin with x, y of one point."""
    return len(info.channels) > 1 and info.channels[0].endswith("_x") and info.channels[1].endswith("_y")


def _some(frames: int) -> Int64:
    """At most MOST_FRAMES frame numbers, spread over all."""
    return np.unique(np.linspace(0, frames - 1, min(frames, MOST_FRAMES)).astype(np.int64))

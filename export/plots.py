"""Plots for people: loss curves and the like. Agg backend, PNG files, no display."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt  # the backend must be chosen first


def loss_curve(log: Sequence[dict[str, float]], path: Path, title: str) -> None:
    """One smoothed line per loss part; parts that a step did not have are NaN and skipped."""
    if not log:
        return
    figure, axes = plt.subplots(figsize=(7, 4))
    for name in log[0]:
        values = np.array([row[name] for row in log])
        steps = np.flatnonzero(np.isfinite(values))
        if len(steps):
            width = min(25, len(steps))
            smooth = np.convolve(values[steps], np.ones(width) / width, mode="valid")
            axes.plot(steps[width - 1 :], smooth, label=name)
    axes.set(xlabel="step", ylabel="loss", title=title, yscale="log")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)

"""Plots for people: loss curves and the like. Agg backend, PNG files, no display."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt  # the backend must be chosen first

if TYPE_CHECKING:
    from export.readers import Reading


def evaluation(folder: Path, readings: Mapping[str, Sequence[Reading]]) -> None:
    """Of every head: confusion, reliability and risk-coverage of the fused head, beside each other."""
    for name, found in readings.items():
        labels = list(found[0].percept.tasks[name].probabilities)
        truth = np.array([r.case.truth for r in found])
        p = np.exp(np.stack([r.fused for r in found]))
        figure, axes = plt.subplots(1, 3, figsize=(14, 4.2))
        _confusion(axes[0], truth, p.argmax(-1), labels)
        _reliability(axes[1], p.max(-1), p.argmax(-1) == truth)
        _risk_coverage(axes[2], p.max(-1), p.argmax(-1) == truth)
        figure.suptitle(f"{name}: fused head, {len(found)} test windows")
        figure.tight_layout()
        figure.savefig(folder / f"evaluation_{name}.png", dpi=70)
        plt.close(figure)


def _confusion(axes: Any, truth: Any, said: Any, labels: Sequence[str]) -> None:
    counts = np.zeros((len(labels), len(labels)))
    np.add.at(counts, (truth, said), 1)
    axes.imshow(counts / np.maximum(counts.sum(1, keepdims=True), 1), vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set(xlabel="said", ylabel="true", title="confusion")


def _reliability(axes: Any, p: Any, right: Any, bins: int = 10) -> None:
    index = np.minimum((p * bins).astype(int), bins - 1)
    some = [b for b in range(bins) if (index == b).any()]
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes.plot([p[index == b].mean() for b in some], [right[index == b].mean() for b in some], marker="o")
    axes.set(
        xlabel="probability", ylabel="share that is right", title="reliability", xlim=(0, 1), ylim=(0, 1)
    )


def _risk_coverage(axes: Any, p: Any, right: Any) -> None:
    order = np.argsort(-p, kind="stable")
    answered = np.arange(1, len(order) + 1)
    axes.plot(answered / len(order), 1 - np.cumsum(right[order]) / answered)
    axes.set(xlabel="share answered", ylabel="share of these that is wrong", title="risk and coverage")
    axes.set_ylim(bottom=0)


def loss_table(log: Sequence[Mapping[str, float]], path: Path) -> None:
    """A row for each step, counted from 1; empty where a step did not have a part."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["step", *log[0]])
        for step, row in enumerate(log, 1):
            table.writerow([step, *("" if math.isnan(x) else f"{x:.6g}" for x in row.values())])


def loss_curve(log: Sequence[Mapping[str, float]], path: Path, title: str) -> None:
    """One smoothed line per loss part; parts that a step did not have are NaN and skipped.

    Beside the picture the same as numbers, `<name>.csv`, as they are.
    """
    if not log:
        return
    loss_table(log, path.with_suffix(".csv"))
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

"""The curves as pictures, `curves_<name>.png`, small enough to lie in a model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt  # the backend must be chosen first

from export.curve_rows import TITLES, Json, lines

DPI = 60
_MATRICES = ("alpha", "missing")
_CURVES = ("noise", "channels", "length", "shots", "ratios")


def write(folder: Path, curves: Mapping[str, Sequence[Json]]) -> list[Path]:
    """A picture of each curve that was measured; what changes nothing needs none."""
    paths = []
    for name in (*_MATRICES, *_CURVES):
        if rows := curves.get(name):
            path = folder / f"curves_{name}.png"
            figure = _matrix(rows) if name in _MATRICES else _curve(rows)
            figure.suptitle(TITLES[name])
            figure.tight_layout()
            figure.savefig(path, dpi=DPI)
            plt.close(figure)
            paths.append(path)
    return paths


def _matrix(rows: Sequence[Json]) -> Any:
    """Heads by slots; of classes only, as errors are on no common scale."""
    rows = [r for r in rows if r["figure"] != "rmse"]
    heads, present = (list(dict.fromkeys(r[k] for r in rows)) for k in ("head", "condition"))
    values = np.full((len(heads), len(present)), np.nan)
    for r in rows:
        values[heads.index(r["head"]), present.index(r["condition"])] = r["value"]
    figure, axes = plt.subplots(figsize=(3 + 0.45 * len(present), 2.6 + 0.3 * len(heads)))
    axes.imshow(np.ma.masked_invalid(values), vmin=0, vmax=1, cmap="Blues", aspect="auto")
    axes.set_xticks(range(len(present)), present, rotation=90, fontsize=8)
    axes.set_yticks(range(len(heads)), heads, fontsize=8)
    for i, j in np.argwhere(~np.isnan(values)):
        dark = "white" if values[i, j] > 0.6 else "black"
        axes.text(j, i, f"{values[i, j]:.2f}", ha="center", va="center", fontsize=7, color=dark)
    return figure


def _curve(rows: Sequence[Json]) -> Any:
    """Macro-F1 on the left; errors on the right, relative to the first condition of each line."""
    conditions = list(dict.fromkeys(r["condition"] for r in rows))
    found = lines(rows)
    panels = [f for f in ("macro_f1", "rmse") if any(k[2] == f for k in found)]
    figure, grid = plt.subplots(1, len(panels), figsize=(7 * len(panels), 4.6), squeeze=False)
    for axes, figure_name in zip(grid[0], panels, strict=True):
        for i, ((head, kind, _), points) in enumerate(
            (k, v) for k, v in found.items() if k[2] == figure_name
        ):
            at = [conditions.index(c) for c in points]
            y = np.array([p["value"] for p in points.values()])
            style = "--" if kind == "simulated" else "-"
            label = f"{head} ({kind})"
            axes.plot(
                at, y if figure_name == "macro_f1" else y / y[0], style, marker="o^sv"[i % 4], label=label
            )
        axes.set_xticks(range(len(conditions)), conditions, fontsize=8, rotation=20)
        axes.set_ylabel("macro-F1" if figure_name == "macro_f1" else "rmse, relative to the first")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    return figure

"""Some seconds of a sensor as a picture: in the terminal, or as PNG. The one module that draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_agent.errors import EdgeAgentError
from edge_agent.types import Values

MOST_LINES = 8
"""An array of more channels is drawn as an image over time; the terminal shows the first ones."""


def show(seconds: Values, values: Values, names: Sequence[str], title: str) -> None:
    """Print the signal: times (n,) and values (n, channels); what is NaN is left out.

    Raises EdgeAgentError where nothing is left to draw.
    """
    try:
        import plotext  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _missing("plotext") from error
    seen = ~np.isnan(values)
    drawn = [i for i in range(len(names)) if seen[:, i].any()]
    if not drawn:
        raise EdgeAgentError(f"{title} gave no number: all of its channels are missing")
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.title(_title(title, names, drawn))
    plotext.xlabel("s")
    plotext.plotsize(100, 25)
    for i in drawn[:MOST_LINES]:
        plotext.plot(seconds[seen[:, i]].tolist(), values[seen[:, i], i].tolist(), label=names[i])
    plotext.show()


def _title(title: str, names: Sequence[str], drawn: Sequence[int]) -> str:
    """With what is not shown."""
    if len(names) > MOST_LINES:
        return f"{title}, {min(len(drawn), MOST_LINES)} of {len(names)} channels"
    lacking = [name for i, name in enumerate(names) if i not in drawn]
    return f"{title} without {', '.join(lacking)}" if lacking else title


def save(path: Path, seconds: Values, values: Values, names: Sequence[str], title: str) -> None:
    """Write the signal as a PNG: lines, or an image of all channels over time where there are many.

    Raises EdgeAgentError where it cannot be written.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _missing("matplotlib") from error
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axis = plt.subplots(figsize=(10, 5))
    if len(names) > MOST_LINES:
        # A single sample has no duration, and a picture needs a width.
        end_s = max(float(seconds[-1]), 1e-3)
        image = axis.imshow(values.T, aspect="auto", interpolation="none", extent=(0, end_s, len(names), 0))
        axis.set_ylabel("channel")
        figure.colorbar(image)
    else:
        for i, name in enumerate(names):
            axis.plot(seconds, values[:, i], marker="." if len(seconds) == 1 else "", label=name)
        axis.legend(loc="upper right")
    axis.set_xlabel("s")
    axis.set_title(title)
    figure.tight_layout()
    try:
        figure.savefig(path, format="png", dpi=100)
    except OSError as error:
        raise EdgeAgentError(
            f"cannot write {path}: {error.strerror or error}", hint="name a file in a folder that exists"
        ) from error
    finally:
        plt.close(figure)


def _missing(package: str) -> EdgeAgentError:
    return EdgeAgentError(f"drawing needs {package}", hint="pip install 'iotlm-edge[plot]'")

"""Some seconds of a sensor as a picture: in the terminal, or as PNG. The one module that draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_agent.errors import EdgeAgentError
from edge_agent.types import Float32

MOST_LINES = 8
"""An array of more channels is drawn as an image over time."""


def show(seconds: Float32, values: Float32, names: Sequence[str], title: str) -> None:
    """Print the signal: times (n,) and values (n, channels)."""
    try:
        import plotext  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _missing("plotext") from error
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.title(title)
    plotext.xlabel("s")
    plotext.plotsize(100, 25)
    for i, name in enumerate(names[:MOST_LINES]):
        plotext.plot(seconds.tolist(), values[:, i].tolist(), label=name)
    plotext.show()


def save(path: Path, seconds: Float32, values: Float32, names: Sequence[str], title: str) -> None:
    """Write the signal as a picture: lines, or an image of all channels over time where there are many."""
    try:
        import matplotlib as mpl  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _missing("matplotlib") from error
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axis = plt.subplots(figsize=(10, 5))
    if len(names) > MOST_LINES:
        image = axis.imshow(values.T, aspect="auto", extent=(0, float(seconds[-1]), len(names), 0))
        axis.set_ylabel("channel")
        figure.colorbar(image)
    else:
        for i, name in enumerate(names):
            axis.plot(seconds, values[:, i], label=name)
        axis.legend(loc="upper right")
    axis.set_xlabel("s")
    axis.set_title(title)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _missing(package: str) -> EdgeAgentError:
    return EdgeAgentError(f"drawing needs {package}", hint="pip install 'iotlm-edge[plot]'")

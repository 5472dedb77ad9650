"""Pictures of a signal show the signal: in the terminal and as PNG, also where numbers are missing."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from edge_agent import plot
from edge_agent.errors import EdgeAgentError

pytest.importorskip("plotext", reason="pip install 'iotlm-edge[plot]'")
image = pytest.importorskip("matplotlib.image", reason="pip install 'iotlm-edge[plot]'")

SECONDS = np.linspace(0, 1, 101)
RISING = SECONDS[:, None].astype(np.float32)


def canvas(said: str) -> list[str]:
    """The rows between the axes, top first."""
    return [row.split("┤" if "┤" in row else "│")[1].split("│")[0] for row in said.splitlines() if "│" in row]


def halves(said: str) -> tuple[tuple[bool, bool], tuple[bool, bool]]:
    """((upper left, upper right), (lower left, lower right)): whether something is drawn there."""
    rows = [row for row in canvas(said) if row.strip()]
    quarter = [rows[: len(rows) // 3], rows[-len(rows) // 3 :]]
    return tuple(  # type: ignore[return-value]
        (any(row[25:40].strip() for row in part[1:]), any(row[-25:].strip() for row in part[1:]))
        for part in quarter
    )


@pytest.mark.parametrize("rising", [True, False])
def test_the_terminal_shows_which_way_a_signal_goes(rising: bool, capsys):
    values = RISING if rising else RISING[::-1]
    plot.show(SECONDS, values, ["acc_x"], "phone")
    said = capsys.readouterr().out
    assert "phone" in said
    assert "acc_x" in said
    (_, upper_right), (_, lower_right) = halves(said)
    assert (upper_right, lower_right) == ((True, False) if rising else (False, True))


def test_what_has_no_numbers_is_left_out_and_named(capsys):
    values = np.concatenate([RISING, np.full_like(RISING, np.nan)], axis=1)
    values[40:60, 0] = np.nan
    plot.show(SECONDS, values, ["latitude", "speed"], "gps")
    said = capsys.readouterr().out
    assert "gps without speed" in said
    assert "latitude" in said
    with pytest.raises(EdgeAgentError, match="gps gave no number"):
        plot.show(SECONDS, values[:, 1:], ["speed"], "gps")


def test_the_terminal_says_that_it_shows_a_part_of_many_channels(capsys):
    plot.show(SECONDS, np.repeat(RISING, 64, axis=1), [f"pixel_{i}" for i in range(64)], "thermal")
    said = capsys.readouterr().out
    assert "thermal, 8 of 64 channels" in said
    assert "pixel_7" in said
    assert "pixel_8" not in said


@pytest.mark.parametrize("channels", [1, 20])
def test_a_picture_is_that_of_its_signal(channels: int, tmp_path: Path):
    names = [f"c{i}" for i in range(channels)]

    def drawn(values: np.ndarray) -> np.ndarray:
        plot.save(tmp_path / "x.png", SECONDS, values, names, "x")
        return image.imread(tmp_path / "x.png")

    rising = np.repeat(RISING, channels, axis=1)
    inside = (slice(80, 400), slice(150, 700))  # without the axes, the legend and the scale of colours
    up, again, down = drawn(rising)[inside], drawn(rising)[inside], drawn(rising[::-1])[inside]
    assert (up == again).all()
    assert (up != down).any()
    if channels == 1:  # the line goes from the lower left to the upper right
        rows, columns = np.nonzero((up[..., :3].max(axis=2) - up[..., :3].min(axis=2)) > 0.3)
        assert np.corrcoef(rows, columns)[0, 1] < -0.99


@pytest.mark.parametrize("channels", [1, 20])
def test_a_single_sample_and_one_without_numbers_can_be_drawn(channels: int, tmp_path: Path):
    names = [f"c{i}" for i in range(channels)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot.save(tmp_path / "one.png", SECONDS[:1], np.ones((1, channels), np.float32), names, "x")
        plot.save(tmp_path / "none.png", SECONDS, np.full((101, channels), np.nan, np.float32), names, "x")
    assert image.imread(tmp_path / "one.png").shape == image.imread(tmp_path / "none.png").shape


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path: Path):
    with pytest.raises(EdgeAgentError, match=r"cannot write .*No such file"):
        plot.save(tmp_path / "nowhere" / "x.png", SECONDS, RISING, ["c"], "x")

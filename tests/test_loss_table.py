"""The log of a training as a picture and as numbers."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

from export.plots import loss_curve

LOG = [
    {"answer": 2.5, "english": float("nan")},
    {"answer": float("nan"), "english": 3.123456789},
    {"answer": 2.25, "english": float("nan")},
]


def test_every_step_has_its_row_and_what_it_did_not_have_is_empty(tmp_path: Path) -> None:
    loss_curve(LOG, tmp_path / "instruct.png", "instruct")
    assert (tmp_path / "instruct.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "instruct.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["step", "answer", "english"],
        ["1", "2.5", ""],
        ["2", "", "3.12346"],
        ["3", "2.25", ""],
    ]


def test_a_training_without_a_step_leaves_nothing(tmp_path: Path) -> None:
    loss_curve([], tmp_path / "instruct.png", "instruct")
    assert not list(tmp_path.iterdir())

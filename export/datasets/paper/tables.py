"""Tables of text: columns by name, and the rows of a time out of a file too long to read whole."""

from __future__ import annotations

import csv
import mmap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
NOTHING = ("", "NULL")
"""How a field says that it has no value."""


def rows(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV with a header. ValueError, which names the file, without the needed columns."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        _places(path, reader.fieldnames or [], needed)
        found = list(reader)
    for number, row in enumerate(found, 2):
        if any(row[name] is None for name in needed):
            raise ValueError(f"{path.name}, line {number}: it has fewer fields than the header")
    return found


def numbers(path: Path, width: int, what: str) -> Float64:
    """(n,width) of a file of numbers with blanks between. ValueError, which names the file and `what`."""
    try:
        table = np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path.name}: {what} expected ({error})") from error
    if table.shape[1] != width or not len(table):
        raise ValueError(f"{path.name}: {what} expected, {table.shape[1]} numbers a line found")
    return table


def rows_between(path: Path, by: str, low: float, high: float, columns: Sequence[str]) -> Float64:
    """(n,1+len(columns)): `by` and the columns of the rows with low <= by <= high; no value is NaN.

    The file must be sorted by the column `by`; rows without it are left out. Found by bisection,
    so that a second out of an hour costs milliseconds. ValueError names the file.
    """
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            raise ValueError(f"{path.name} is empty; the columns {', '.join([by, *columns])} were expected")
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with data:
        header = data[: _line_end(data, 0)].decode("utf-8").strip().split(",")
        places = _places(path, header, [by, *columns])
        at = _first_line(path, data, places[0], low)
        found: list[list[float]] = []
        while at < len(data):
            end = _line_end(data, at)
            row = _row(path, data[at:end], places)
            if row[0] > high:
                break
            if row[0] >= low:
                found.append(row)
            at = end
    return np.array(found).reshape(-1, len(places))


def _places(path: Path, header: Sequence[str], needed: Sequence[str]) -> list[int]:
    missing = [name for name in needed if name not in header]
    if missing:
        raise ValueError(f"{path.name} has no column {', '.join(missing)}; it has {', '.join(header)}")
    return [list(header).index(name) for name in needed]


def _line_end(data: mmap.mmap, at: int) -> int:
    """Where the line after the one at `at` begins."""
    end = data.find(b"\n", at)
    return len(data) if end < 0 else end + 1


def _first_line(path: Path, data: mmap.mmap, place: int, low: float) -> int:
    """Where a line begins before which no row has `low` or more."""
    before, after = _line_end(data, 0), len(data)
    while after - before > 1:
        middle = at = _line_end(data, (before + after) // 2 - 1)
        value = np.nan
        while at < after and np.isnan(value):
            end = _line_end(data, at)
            (value,) = _row(path, data[at:end], [place])
            at = end
        if value < low:
            before = at
        elif middle < after:
            after = middle
        else:  # one line is left
            break
    return before


def _row(path: Path, line: bytes, places: Sequence[int]) -> list[float]:
    fields = line.decode("utf-8").strip("\r\n").split(",")
    try:
        return [float("nan" if fields[place] in NOTHING else fields[place]) for place in places]
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path.name}: {line[:80]!r} is no row of its header ({error})") from error

"""One measured number of the curves, how much is measured, and the tables of EVALUATION.md that show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["real", "paired", "simulated"]
Json = Mapping[str, Any]

HEADING = "With worse sensors, fewer sensors, less training"
CURVES = ("alpha", "missing", "unrelated", "noise", "channels", "length", "shots", "ratios")
"""The curves in the order of the report."""
TITLES = {
    "alpha": "Alpha by modality",
    "missing": "Missing modalities",
    "unrelated": "Beside sensors that are none of a head's business",
    "noise": "Noise",
    "channels": "Channels that are missing",
    "length": "Length of the window",
    "shots": "A few shots of a task that was not trained",
    "ratios": "Training on less: rows, tasks, modalities",
}
TEXTS = {
    "alpha": "The mean weight of a slot, for each head over its test windows; for the dialog over windows of "
    "random sets of slots, where the slot is present. Those were not recorded together: `paired`, or "
    "`simulated` where the slot's own windows are.",
    "missing": "What a head says with only these of its slots present.",
    "unrelated": "Random windows of random slots that do not serve the head are put beside its own: nothing "
    "may change. Numbers in units of the head's scale. Without a slot of its own a head must be silent.",
    "noise": "Gaussian noise of this many deviations of each channel over the test windows. A beam without "
    "an echo stays without one.",
    "channels": "Each channel is missing with this probability, and the encoder is told by its mask; one is "
    "always left. Sound and place have no channel that could be missing alone.",
    "length": "Only the last part of the window is known; what is before is held at its first value.",
    "shots": "Nearest class mean, as `edge-agent teach` does it, on pooled features of the shipped encoder, "
    "which was trained for other classes; mean over draws, by the set's own split by group.",
    "ratios": "Fused heads trained anew, with fewer steps than the shipped ones, on a share of the training "
    "rows (whole people, rooms or clips as far as they go), of the heads, or of the slots; scored per "
    "window. The encoders are the shipped ones throughout.",
}
_LONG = ("alpha", "missing", "unrelated")
"""Conditions that differ from head to head: a line each instead of a column each."""


@dataclass(frozen=True)
class Row:
    """One number: of which head (or task), on which kind of data, under which condition, of how many."""

    head: str
    kind: Kind
    condition: str
    figure: str
    value: float
    samples: int


@dataclass(frozen=True)
class Settings:
    """How much is measured. `windows` of a head's test part at most; `pool` of a slot beside other heads."""

    windows: int = 200
    pool: int = 25
    subsets: int = 300
    noise: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5, 1.0)
    missing: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5)
    kept: tuple[float, ...] = (1.0, 0.5, 0.25)
    shots: tuple[int, ...] = (5, 10, 20)
    draws: int = 5
    shares: tuple[float, ...] = (0.25, 0.5, 1.0)
    steps: int = 300
    seed: int = 0


def tables(curves: Mapping[str, Sequence[Json]]) -> list[str]:
    """Title, text and table of every curve that was measured, as Markdown blocks."""
    blocks = []
    for name in CURVES:
        if rows := curves.get(name):
            blocks += [f"### {TITLES[name]}", TEXTS[name], _long(rows) if name in _LONG else _wide(rows)]
    return blocks


def lines(rows: Sequence[Json]) -> dict[tuple[str, str, str], dict[str, Json]]:
    """(head, kind, figure) -> condition -> row, in the order of the rows."""
    found: dict[tuple[str, str, str], dict[str, Json]] = {}
    for row in rows:
        found.setdefault((row["head"], row["kind"], row["figure"]), {})[row["condition"]] = row
    return found


def _long(rows: Sequence[Json]) -> str:
    cells = [
        (r["head"], r["kind"], r["condition"], r["figure"], _number(r["value"]), str(r["samples"]))
        for r in rows
    ]
    return _table(("head", "data", "present", "figure", "value", "samples"), cells)


def _wide(rows: Sequence[Json]) -> str:
    conditions = list(dict.fromkeys(r["condition"] for r in rows))
    cells = []
    for (head, kind, figure), found in lines(rows).items():
        values = [_number(found[c]["value"]) if c in found else "" for c in conditions]
        samples = dict.fromkeys(str(r["samples"]) for r in found.values())
        cells.append((head, kind, figure, *values, " to ".join(samples)))
    return _table(("head", "data", "figure", *conditions, "samples"), cells)


def _number(value: float) -> str:
    return f"{value:.3f}" if 0.001 <= abs(value) < 100 or value == 0 else f"{value:.3g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)

"""What the benchmarks share: rounds that take turns, percentiles, one way to print a figure."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

DEFAULT_MODEL = Path(__file__).resolve().parent.parent / "models" / "iotlm-7m"
WARM_UP_ROUNDS = 5


def arguments(description: str | None, rounds: int) -> argparse.Namespace:
    """`--model` and `--rounds`, the same for every benchmark of a model."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="folder with manifest.json")
    parser.add_argument("--rounds", type=int, default=rounds)
    return parser.parse_args()


def take_turns(functions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
    """Milliseconds of every call, (rounds,) for each name.

    They take turns round by round, so that a machine that slows down slows all of them.
    """
    for _ in range(WARM_UP_ROUNDS):
        for function in functions.values():
            function()
    taken_ms = {name: np.empty(rounds) for name in functions}
    for i in range(rounds):
        for name, function in functions.items():
            start_ns = time.perf_counter_ns()
            function()
            taken_ms[name][i] = (time.perf_counter_ns() - start_ns) / 1e6
    return taken_ms


def line(name: str, taken_ms: np.ndarray, note: str = "") -> str:
    """'  name   p50 1.23 ms   p95 1.50 ms   note'."""
    p50_ms, p95_ms = np.percentile(taken_ms, (50, 95))
    return f"  {name:<34} p50 {p50_ms:7.2f} ms   p95 {p95_ms:7.2f} ms   {note}".rstrip()


def verdict(name: str, value: float, limit: float, unit: str) -> bool:
    """Print whether `value` keeps under `limit`; return it."""
    kept = value <= limit
    print(f"  {name}: {value:.2f} {unit}, target {limit:g} {unit}: {'kept' if kept else 'MISSED'}")
    return kept

"""What remembering and recalling cost: `python -m benchmarks.memory [--intervals N]`.

A million intervals is a label that changes every 2.6 seconds for 30 days, day and night.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import timing
from edge_agent import manifest as manifests
from edge_agent.clock import ManualClock
from edge_agent.memory.clock_words import local_zone
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.notes import Kind, Note
from edge_agent.memory.queries import Queries
from edge_agent.memory.recall import Recall
from edge_agent.memory.store import Bounds, Store

TARGET_P95_MS = 200.0
"""For a question about a day; one about all that is kept may take longer."""
S = 1_000_000_000
STEP_S = 2.592
DAY = (
    "How often did it rain yesterday?",
    "What happened yesterday?",
    "What happened in the last two hours?",
    "Was anything unusual today?",
)
ALWAYS = ("When did you last hear a dog?", "How long has the person been seated?")
MONTH = ("How often did it rain in the last 30 days?",)


def fill(store: Store, clock: ManualClock, heads: dict[str, tuple[str, ...]], count: int) -> float:
    """Write so many intervals at once, then a thousand changes by the store; milliseconds for each."""
    rng = np.random.default_rng(5)
    names = list(heads)
    start_ns = clock.monotonic_ns()
    with store.read.transaction() as connection:
        ids: dict[tuple[str, str], int] = {}
        for head in names:
            for label in heads[head]:
                row = connection.execute(
                    "INSERT INTO kind (head, label, known, novel, simulated, sensors) "
                    "VALUES (?, ?, 1, 0, 0, 'audio')",
                    (head, label),
                ).lastrowid
                assert row is not None
                ids[head, label] = row
        picks = rng.integers(0, 1 << 30, count)
        connection.executemany(
            "INSERT INTO interval (kind, run, start_ns, end_ns, probability, windows, first_window, "
            "last_window) VALUES (?, 1, ?, ?, 0.9, 5, ?, ?)",
            (_row(i, ids, heads, int(picks[i]), start_ns) for i in range(count)),
        )
        last_ns = start_ns + round(count * STEP_S * S)
        connection.execute("UPDATE run SET last_ns = ?", (last_ns,))
    clock.advance(count * STEP_S)
    begun_s = time.perf_counter()
    for i in range(1000):
        clock.advance(0.5)
        kind = Kind(names[0], heads[names[0]][i % 2], sensors=("audio",))
        store.observe(Note(clock.monotonic_ns(), i, {names[0]: (kind, 0.9)}))
    return time.perf_counter() - begun_s


def _row(
    i: int, ids: dict[tuple[str, str], int], heads: dict[str, tuple[str, ...]], pick: int, start_ns: int
) -> tuple[int, int, int, int, int]:
    """The heads take turns; each interval ends where the next one of its head begins."""
    names = list(heads)
    head = names[i % len(names)]
    kind = ids[head, heads[head][pick % len(heads[head])]]
    ends_ns = start_ns + round((i + len(names)) * STEP_S * S)
    return kind, start_ns + round(i * STEP_S * S), ends_ns, i, i + 4


def main() -> int:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=timing.DEFAULT_MODEL, help="folder with manifest.json")
    parser.add_argument("--intervals", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    manifest = manifests.read(options.model)
    slots = {slot.name for slot in manifest.slots}
    with tempfile.TemporaryDirectory() as folder:
        clock = ManualClock(S, 1_760_000_000 * S)
        store = Store(Path(folder) / "memory.sqlite", clock, Bounds(3660, 1 << 40))
        change_ms = fill(store, clock, {t.name: t.labels for t in manifest.tasks}, options.intervals)
        store.flush()
        used = store.read.used_bytes()
        each = used / options.intervals
        print(f"memory of {options.intervals:,} intervals: {used / 2**20:.0f} MiB, {each:.0f} bytes each")
        print(f"  a change of label, written: {change_ms:.2f} ms")
        recall = Recall(Queries(store, manifest), Lexicon(manifest, slots), local_zone(), clock)
        asked = [*DAY, *ALWAYS, *MONTH]
        taken = timing.take_turns({q: partial(recall.answer, q, "bench") for q in asked}, options.rounds)
        for question in asked:
            print(timing.line(question[:34], taken[question]))
        kept = timing.verdict(
            "a question about a day, p95", max(float(np.percentile(taken[q], 95)) for q in (*DAY, *ALWAYS)),
            TARGET_P95_MS, "ms",
        )  # fmt: skip
        store.close()
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

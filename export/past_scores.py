"""How well the language model words answers about the past: held-out questions of every kind.

`python -m export.past_scores models/iotlm-7m` measures this alone, in a minute and without any recordings.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from edge_agent.memory.telling import Said, objection, places
from edge_agent.perception.language import LanguageModel
from edge_agent.perception.pipeline import Pipeline
from edge_agent.types import Percept
from export.past import Past
from export.readers import open_language, window_of

COUNT = 500
FIGURES = ("passes", "right_facts", "as_asked")


def measure(
    language: LanguageModel, percepts: Sequence[Percept], seed: int = 0, count: int = COUNT
) -> dict[str, Any]:
    """The shares of FIGURES among `count` questions, of all and by kind; "wrong" are a few that fail.

    Each is asked over the state of one of `percepts`, which must not matter.
    """
    rng = np.random.default_rng(seed)
    past = Past(rng, held_out=True)
    found: dict[str, list[tuple[bool, ...]]] = {}
    wrong = []
    for _ in tqdm(range(count), desc="past"):
        said, turn = past.draw()
        percept = percepts[int(rng.integers(len(percepts)))]
        written = language.generate(percept.conditioning, turn.question).text
        scores = score(written, said, turn.answer)
        found.setdefault(said.kind, []).append(scores)
        if not scores[0]:
            wrong.append({"question": turn.question, "written": written, "why": objection(written, said)})
    every = [scores for rows in found.values() for scores in rows]
    kinds = {kind: _shares(found[kind]) for kind in sorted(found)}
    return {"all": _shares(every), "kinds": kinds, "wrong": wrong[:10]}


def score(written: str, said: Said, taught: str) -> tuple[bool, ...]:
    """FIGURES of one answer."""
    right = sorted(places(written)) == sorted(said.names)
    return not objection(written, said), right, written.strip() == taught.strip()


def _shares(rows: Sequence[tuple[bool, ...]]) -> dict[str, Any]:
    means = np.mean(np.array(rows, dtype=float), axis=0)
    return {"count": len(rows), **dict(zip(FIGURES, map(float, means), strict=True))}


def main() -> None:
    """Print the scores of a model folder."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "models/iotlm-7m")
    pipeline = Pipeline(folder)
    language = open_language(folder, pipeline.manifest)
    try:
        print(json.dumps(measure(language, [pipeline.perceive(window_of({}))]), indent=2))
    finally:
        language.close()


if __name__ == "__main__":
    main()

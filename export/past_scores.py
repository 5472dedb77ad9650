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

from edge_agent.memory.telling import Said, grammar, objection, places
from edge_agent.perception.language import LanguageModel
from edge_agent.perception.pipeline import Pipeline
from edge_agent.types import Percept
from export.past import Past
from export.readers import open_language, window_of

COUNT = 500
FIGURES = ("free", "right_facts", "held", "as_asked")


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
        free = language.generate(percept.conditioning, turn.question).text
        held = language.generate(percept.conditioning, turn.question, grammar=grammar(said.kind, said.facts))
        written = held.text if held.stop == "end" else ""
        scores = score(free, written, said, turn.answer)
        found.setdefault(said.kind, []).append(scores)
        if not scores[0]:
            wrong.append({"question": turn.question, "written": free, "why": objection(free, said)})
    every = [scores for rows in found.values() for scores in rows]
    kinds = {kind: _shares(found[kind]) for kind in sorted(found)}
    return {"all": _shares(every), "kinds": kinds, "wrong": wrong[:10]}


def score(free: str, held: str, said: Said, taught: str) -> tuple[bool, ...]:
    """FIGURES of one answer, as it is written freely and as the device holds it to the forms."""
    right = sorted(places(free)) == sorted(said.names)
    return not objection(free, said), right, not objection(held, said), held.strip() == taught.strip()


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

"""How well the language model words answers about the past, and tells which kind of answer is wanted.

Both on held-out questions. `python -m export.past_scores models/iotlm-7m` measures this alone, in a minute
and without any recordings.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from edge_agent.memory import kinds
from edge_agent.memory.known_words import DEVICE, THING
from edge_agent.memory.telling import Said, grammar, objection, places
from edge_agent.perception.language import LanguageModel
from edge_agent.perception.pipeline import Pipeline
from edge_agent.types import Percept
from export.kinds import Kinds
from export.past import Past
from export.readers import open_language, window_of

COUNT = 500
FIGURES = ("free", "right_facts", "held", "as_asked")
KIND_FIGURES = ("right", "told", "told_right")


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
    by_kind = {kind: _shares(found[kind]) for kind in sorted(found)}
    return {"all": _shares(every), "kinds": by_kind, "wrong": wrong[:10]}


def score(free: str, held: str, said: Said, taught: str) -> tuple[bool, ...]:
    """FIGURES of one answer, as it is written freely and as the device holds it to the forms."""
    right = sorted(places(free)) == sorted(said.names)
    return not objection(free, said), right, not objection(held, said), held.strip() == taught.strip()


def measure_kinds(language: LanguageModel, percepts: Sequence[Percept], seed: int = 0) -> dict[str, Any]:
    """The shares of KIND_FIGURES among all held-out ways of asking, of all and by kind.

    "wrong" are those that would be believed and are not right, "told_right" is None where nothing is told.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, list[tuple[bool, bool]]] = {}
    wrong = []
    for kind, turn in tqdm(Kinds(rng, held_out=True).each(), desc="kinds"):
        percept = percepts[int(rng.integers(len(percepts)))]
        several = asked_of(kind, turn.question)
        out = language.generate(percept.conditioning, turn.question, grammar=kinds.grammar(several))
        told = out.stop == "end" and out.probability >= kinds.LEAST
        right = out.text == kinds.answer(kind)
        found.setdefault(kind, []).append((right, told))
        if told and not right:
            wrong.append({"question": turn.question, "kind": kind, "told": out.text})
    every = [row for rows in found.values() for row in rows]
    return {
        "all": _kind_shares(every),
        "kinds": {kind: _kind_shares(rows) for kind, rows in found.items()},
        "wrong": wrong,
    }


def asked_of(kind: str, question: str) -> tuple[str, ...]:
    """The kinds that the device would let the model choose from, beside that it is another."""
    if kind in kinds.OF_NUMBER:
        return kinds.OF_NUMBER
    words = question.rstrip("?").split()
    if DEVICE in words:
        return kinds.OF_DEVICE
    return kinds.OF_THING if THING in words else kinds.OF_NUMBER


def _kind_shares(rows: Sequence[tuple[bool, bool]]) -> dict[str, Any]:
    told = [right for right, told in rows if told]
    right, share = (float(np.mean(column)) for column in zip(*rows, strict=True))
    values = (right, share, float(np.mean(told)) if told else None)
    return {"count": len(rows), **dict(zip(KIND_FIGURES, values, strict=True))}


def _shares(rows: Sequence[tuple[bool, ...]]) -> dict[str, Any]:
    means = np.mean(np.array(rows, dtype=float), axis=0)
    return {"count": len(rows), **dict(zip(FIGURES, map(float, means), strict=True))}


def main() -> None:
    """Print the scores of a model folder."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "models/iotlm-7m")
    pipeline = Pipeline(folder)
    language = open_language(folder, pipeline.manifest)
    try:
        percepts = [pipeline.perceive(window_of({}))]
        found = {"past": measure(language, percepts), "past_kinds": measure_kinds(language, percepts)}
        print(json.dumps(found, indent=2))
    finally:
        language.close()


if __name__ == "__main__":
    main()

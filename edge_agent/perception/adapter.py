"""The multisensory multitask adapter: features of any subset of slots in, conditioning and heads out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_agent.manifest import Manifest
from edge_agent.perception.onnx_session import OnnxSession
from edge_agent.types import Conditioning, Features, Float32

TASK_ORDER = (
    "gaze_estimation", "depth_estimation", "gesture_classification", "pose_estimation",
    "touch_contact_classification", "event_detection", "activity_recognition", "3d_reconstruction",
    "dialog",
)  # fmt: skip
"""The task embeddings of the network: the paper's eight tasks and one for open dialog."""

DIALOG = "dialog"


@dataclass(frozen=True, slots=True)
class Query:
    """One row of a call: which task embedding, and which of the present slots it may use."""

    task: str
    slots: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reading:
    """One row of the answer. `alpha` holds the weights of the slots that the query allowed."""

    conditioning: Conditioning
    alpha: Mapping[str, float]
    logits: Mapping[str, Float32]


class Adapter:
    """The adapter network of a model folder."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Load the network. Raises ModelError when its shapes are not those of the manifest."""
        spec = manifest.adapter
        self.slots = manifest.slots
        self.tasks: tuple[str, ...] = tuple(t.name for t in manifest.tasks)
        self._d_token = spec.d_token
        ends = np.cumsum([s.n_tokens for s in self.slots])
        self._rows = {
            s.name: slice(int(e) - s.n_tokens, int(e)) for s, e in zip(self.slots, ends, strict=True)
        }
        self._n_tokens, count = int(ends[-1]), len(self.slots)
        inputs = {"tokens": (self._n_tokens, spec.d_token), "pooled": (count, spec.d_token)}
        outputs = {
            "soft": (spec.n_soft, spec.n_embd),
            "control": (spec.n_layer - 1, spec.n_embd),
            "alpha": (count,),
        }
        heads = {f"logits_{t.name}": (len(t.labels),) for t in manifest.tasks}
        self._session = OnnxSession(
            folder / spec.file, {**inputs, "mask": (count,), "task": ()}, {**outputs, **heads}
        )

    def __call__(self, features: Mapping[str, Features], queries: Sequence[Query]) -> list[Reading]:
        """One reading per query, all in one call. Slots without features are masked out of every row."""
        tokens = np.zeros((self._n_tokens, self._d_token), dtype=np.float32)
        pooled = np.zeros((len(self.slots), self._d_token), dtype=np.float32)
        for index, slot in enumerate(self.slots):
            if (found := features.get(slot.name)) is not None:
                tokens[self._rows[slot.name]] = found.tokens
                pooled[index] = found.pooled
        allowed = [q.slots & features.keys() for q in queries]
        mask = np.array([[s.name in a for s in self.slots] for a in allowed], dtype=np.float32)
        batch = len(queries)
        out = self._session.run(
            {
                "tokens": np.repeat(tokens[None], batch, axis=0),
                "pooled": np.repeat(pooled[None], batch, axis=0),
                "mask": mask,
                "task": np.array([TASK_ORDER.index(q.task) for q in queries], dtype=np.int64),
            }
        )
        return [self._reading(out, row, slots) for row, slots in enumerate(allowed)]

    def _reading(self, out: Mapping[str, Float32], row: int, slots: frozenset[str]) -> Reading:
        alpha = {s.name: float(out["alpha"][row, i]) for i, s in enumerate(self.slots) if s.name in slots}
        logits = {task: out[f"logits_{task}"][row] for task in self.tasks}
        return Reading(Conditioning(out["soft"][row], out["control"][row]), alpha, logits)

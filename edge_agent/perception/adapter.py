"""The multisensory multitask adapter: features of any subset of slots in, heads and conditioning out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_agent.manifest import Manifest
from edge_agent.perception.onnx_session import OnnxSession
from edge_agent.types import Conditioning, Features, Float32

DIALOG = "dialog"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the adapter makes of one window.

    heads: name -> (width,), of the heads that a present slot serves; alpha: head, or "dialog" -> slot -> the
    weight of that slot, of the present slots that serve it.
    """

    conditioning: Conditioning
    alpha: Mapping[str, Mapping[str, float]]
    heads: Mapping[str, Float32]


class Adapter:
    """The adapter network of a model folder."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Load the network. Raises ModelError when its shapes are not those of the manifest."""
        spec = manifest.adapter
        self.slots = manifest.slots
        self._heads = manifest.heads
        self._serving = {h.name: manifest.serving(h.name) for h in manifest.heads}
        self._d_token = spec.d_token
        self._rows = _spans({s.name: s.n_tokens for s in self.slots})
        widths = {s.name: sum(manifest.head(h).width for h in s.heads) for s in self.slots}
        self._columns = _spans(widths)
        self._n_tokens, self._n_logits = sum(s.n_tokens for s in self.slots), sum(widths.values())
        count = len(self.slots)
        self._session = OnnxSession(
            folder / spec.file,
            {
                "tokens": (self._n_tokens, spec.d_token), "pooled": (count, spec.d_token),
                "logits": (self._n_logits,), "mask": (count,),
            },
            {
                "soft": (spec.n_soft, spec.n_embd), "control": (spec.n_layer - 1, spec.n_embd),
                "alpha": (len(self._heads) + 1, count),
                **{f"head_{h.name}": (h.width,) for h in self._heads},
            },
        )  # fmt: skip

    def __call__(self, features: Mapping[str, Features]) -> Reading:
        """Read all heads and condition the language model. Slots without features are masked out."""
        tokens = np.zeros((1, self._n_tokens, self._d_token), np.float32)
        pooled = np.zeros((1, len(self.slots), self._d_token), np.float32)
        logits = np.zeros((1, self._n_logits), np.float32)
        mask = np.zeros((1, len(self.slots)), np.float32)
        for index, slot in enumerate(self.slots):
            if (found := features.get(slot.name)) is not None:
                tokens[0, self._rows[slot.name]] = found.tokens
                pooled[0, index] = found.pooled
                logits[0, self._columns[slot.name]] = found.logits
                mask[0, index] = 1.0
        out = self._session.run({"tokens": tokens, "pooled": pooled, "logits": logits, "mask": mask})
        return self._reading(out, features.keys())

    def _reading(self, out: Mapping[str, Float32], present: Collection[str]) -> Reading:
        at = {s.name: i for i, s in enumerate(self.slots) if s.name in present}
        heads = {h.name: out[f"head_{h.name}"][0] for h in self._heads if self._serving[h.name] & at.keys()}
        alpha: dict[str, dict[str, float]] = {
            h.name: {s: float(out["alpha"][0, row, i]) for s, i in at.items() if s in self._serving[h.name]}
            for row, h in enumerate(self._heads)
            if h.name in heads
        }
        alpha[DIALOG] = {s: float(out["alpha"][0, -1, i]) for s, i in at.items()}
        return Reading(Conditioning(out["soft"][0], out["control"][0]), alpha, heads)


def _spans(widths: Mapping[str, int]) -> dict[str, slice]:
    ends = np.cumsum(list(widths.values()))
    return {name: slice(int(e) - w, int(e)) for (name, w), e in zip(widths.items(), ends, strict=True)}

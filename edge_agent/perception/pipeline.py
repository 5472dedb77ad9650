"""The fast path: a window in, a percept out, a few milliseconds. No language model is involved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edge_agent import manifest as manifests
from edge_agent.manifest import Manifest, TaskHead
from edge_agent.perception import calibration
from edge_agent.perception.adapter import DIALOG, Adapter, Query, Reading
from edge_agent.perception.encoders import Encoder
from edge_agent.types import Features, Percept, TaskPercept, Window


class Pipeline:
    """Encoders, adapter and heads of one model folder, for one thread.

    `rejected` counts slot windows that held values which are not finite and were therefore left out.
    """

    def __init__(self, folder: Path) -> None:
        """Verify every file of the folder, then load. Raises ModelError."""
        self.manifest: Manifest = manifests.load(folder)
        self.folder = folder
        self.rejected = 0
        self._encoders = {s.name: Encoder(folder, self.manifest, s) for s in self.manifest.slots}
        self._adapter = Adapter(folder, self.manifest)
        self._slots_of = {
            t.name: frozenset(s.name for s in self.manifest.slots if t.name in s.tasks)
            for t in self.manifest.tasks
        }

    def perceive(self, window: Window) -> Percept:
        """All tasks that a present slot serves, and the conditioning of a question about this window.

        A task's row sees the slots that serve the task, the dialog row sees all of them.
        """
        features = self.encode(window)
        heads = [t for t in self.manifest.tasks if self._slots_of[t.name] & features.keys()]
        everything = frozenset(features)
        queries = [*(Query(t.name, self._slots_of[t.name]) for t in heads), Query(DIALOG, everything)]
        *readings, dialog = self._adapter(features, queries)
        return Percept(
            sequence=window.sequence,
            end_ns=window.end_ns,
            tasks={
                t.name: _task_percept(t, r, self._energy(t, r, features))
                for t, r in zip(heads, readings, strict=True)
            },
            present=tuple(features),
            missing=tuple(s.name for s in self.manifest.slots if s.name not in features),
            conditioning=dialog.conditioning,
            simulated=any(window.slots[name].simulated for name in features),
            missing_channels={
                s.name: missing
                for s in self.manifest.slots
                if s.name in features and (missing := window.slots[s.name].missing_of(s.channels))
            },
        )

    def encode(self, window: Window) -> dict[str, Features]:
        """Features of each slot of the model that has usable data, in the model's order."""
        features: dict[str, Features] = {}
        for name, encoder in self._encoders.items():
            if (slot := window.slots.get(name)) is None:
                continue
            if np.isfinite(slot.values).all():
                features[name] = encoder(slot.values)
            else:
                self.rejected += 1
        return features

    def _energy(self, head: TaskHead, reading: Reading, features: Mapping[str, Features]) -> float:
        """Energy of the most used encoder that was trained on this task's labels."""
        own = [s.name for s in self.manifest.slots if s.tasks[0] == head.name and s.name in reading.alpha]
        if not own:
            return head.novelty_threshold  # no encoder can say that this is novel
        most_used = max(own, key=lambda name: reading.alpha[name])
        return float(calibration.energy(features[most_used].logits))


def _task_percept(head: TaskHead, reading: Reading, novelty: float) -> TaskPercept:
    values = calibration.probabilities(reading.logits[head.name], head.temperature)
    best = int(values.argmax())
    probability = float(values[best])
    return TaskPercept(
        task=head.name,
        label=head.labels[best],
        probability=probability,
        probabilities={label: float(p) for label, p in zip(head.labels, values, strict=True)},
        alpha=dict(reading.alpha),
        novelty=novelty,
        known=probability >= head.threshold and novelty <= head.novelty_threshold,
    )

"""The fast path: a window in, a percept out, a few milliseconds. No language model is involved."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from edge_agent import manifest as manifests
from edge_agent.manifest import Manifest, NumberHead, TaskHead
from edge_agent.perception import calibration, facts
from edge_agent.perception.adapter import Adapter, Reading
from edge_agent.perception.encoders import Encoder
from edge_agent.perception.taught import Taught
from edge_agent.types import Features, Float32, NumberPercept, Percept, TaskPercept, Window


class Pipeline:
    """Encoders, adapter and heads of one model folder, for one thread.

    `configured` names the slots that have a sensor: only their encoders are loaded. `taught` is read beside
    the model's own heads. `rejected` counts slot windows that held values which are not finite and were
    therefore left out.
    """

    def __init__(
        self, folder: Path, configured: Collection[str] | None = None, taught: Taught | None = None
    ) -> None:
        """Verify every file of the folder, then load. Raises ModelError."""
        self.manifest: Manifest = manifests.load(folder)
        self.folder = folder
        self.rejected = 0
        self._taught = taught
        self._encoders = {
            s.name: Encoder(folder, self.manifest, s)
            for s in self.manifest.slots
            if configured is None or s.name in configured
        }
        self._adapter = Adapter(folder, self.manifest)
        self._columns = {s.name: _columns(self.manifest, s.heads) for s in self.manifest.slots}

    def perceive(self, window: Window) -> Percept:
        """All heads that a present slot serves, and the conditioning of a question about this window."""
        features = self.encode(window)
        reading = self._adapter(features)
        tasks = {
            t.name: self._task(t, reading, features) for t in self.manifest.tasks if t.name in reading.heads
        }
        if self._taught is not None:
            tasks |= self._taught.perceive(features)
        numbers = {n.name: _numbers(n, reading) for n in self.manifest.numbers if n.name in reading.heads}
        said = facts.of_window(self.manifest, window)
        for head in self.manifest.numbers:
            if head.name in numbers:
                said |= facts.of_head(head, numbers[head.name])
        return Percept(
            sequence=window.sequence,
            end_ns=window.end_ns,
            tasks=tasks,
            numbers=numbers,
            facts=said,
            present=tuple(features),
            missing=tuple(s.name for s in self.manifest.slots if s.name not in features),
            conditioning=reading.conditioning,
            simulated=any(window.slots[name].simulated for name in features),
            missing_channels={
                s.name: missing
                for s in self.manifest.slots
                if s.name in features and (missing := window.slots[s.name].missing_of(s.channels))
            },
            alone=self._alone(features),
        )

    def said(self, window: Window, head: str) -> list[Float32]:
        """What each present slot's encoder alone says of a head: logits (labels,) each."""
        return list(self._logits(self.encode(window), head).values())

    def _alone(self, features: Mapping[str, Features]) -> dict[str, dict[str, str]]:
        found = {}
        for head in self.manifest.tasks:
            said = self._logits(features, head.name)
            if len(said) > 1:
                found[head.name] = {s: head.labels[int(logits.argmax())] for s, logits in said.items()}
        return found

    def _logits(self, features: Mapping[str, Features], head: str) -> dict[str, Float32]:
        """slot -> what its encoder alone says of a head (labels,), in the model's order."""
        return {
            slot: found.logits[self._columns[slot][head]]
            for slot, found in features.items()
            if head in self._columns[slot]
        }

    def encode(self, window: Window) -> dict[str, Features]:
        """Features of each slot of the model that has usable data, in the model's order."""
        features: dict[str, Features] = {}
        for name, encoder in self._encoders.items():
            if (slot := window.slots.get(name)) is None:
                continue
            if np.isfinite(slot.values).all():
                features[name] = encoder(slot)
            else:
                self.rejected += 1
        return features

    def _task(self, head: TaskHead, reading: Reading, features: Mapping[str, Features]) -> TaskPercept:
        values = calibration.probabilities(reading.heads[head.name], head.temperature)
        best = int(values.argmax())
        probability = float(values[best])
        novelty = self._novelty(head, reading, features)
        novel = novelty > head.novelty_threshold
        return TaskPercept(
            task=head.name,
            label=head.labels[best],
            probability=probability,
            probabilities={label: float(p) for label, p in zip(head.labels, values, strict=True)},
            possible=tuple(
                label
                for i, (label, p) in enumerate(zip(head.labels, values, strict=True))
                if p >= head.conformal or i == best
            ),
            alpha=dict(reading.alpha[head.name]),
            novelty=novelty,
            known=probability >= head.threshold and not novel,
            novel=novel,
        )

    def _novelty(self, head: TaskHead, reading: Reading, features: Mapping[str, Features]) -> float:
        """How unlike its training the most used encoder finds the window, for this head."""
        alpha = reading.alpha[head.name]
        most_used = max(alpha, key=lambda name: alpha[name])
        return float(features[most_used].novelty[self.manifest.slot(most_used).heads.index(head.name)])


def _columns(manifest: Manifest, heads: Collection[str]) -> dict[str, slice]:
    """head -> where it stands in an encoder's logits."""
    found, start = {}, 0
    for name in heads:
        width = manifest.head(name).width
        found[name] = slice(start, start + width)
        start += width
    return found


def _numbers(head: NumberHead, reading: Reading) -> NumberPercept:
    out = reading.heads[head.name]
    mean, log_sigma = out[: len(head.numbers)], out[len(head.numbers) :]
    scale = np.asarray(head.scale, np.float32)
    values = np.asarray(head.offset, np.float32) + scale * mean
    sigma = scale * head.sigma_factor * np.exp(np.clip(log_sigma, -4.0, 2.0))
    return NumberPercept(head.name, values, sigma.astype(np.float32), dict(reading.alpha[head.name]))

"""Where training takes encoder outputs from: recorded features, or learned stand-ins per label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from export.batches import SensorBatch, mask_of
from export.dialogs import State
from export.labels import ACTIVITY, EVENT, SLOTS, TASK_SLOTS, labels

D_TOKEN = 128


class StandIn(nn.Module):
    """One learned token table per slot and label, plus noise.

    Lets the language model learn to read soft tokens while the encoders are still being trained. It
    never ships and no score is taken with it.
    """

    def __init__(self, tokens_per_slot: int = 10, noise: float = 0.5) -> None:
        super().__init__()
        self.noise = noise
        task_of = {slot: task for task, slots in TASK_SLOTS.items() for slot in slots}
        self.task_of = task_of
        self.tables = nn.ParameterDict(
            {s: torch.randn(len(labels(task_of[s])), tokens_per_slot, D_TOKEN) for s in SLOTS}
        )

    def batch(self, states: Sequence[State], _rng: np.random.Generator) -> SensorBatch:
        pieces = []
        for slot in SLOTS:
            names = labels(self.task_of[slot])
            index = torch.tensor([names.index(s.labels[self.task_of[slot]]) for s in states])
            clean = self.tables[slot][index]
            pieces.append(clean + self.noise * torch.randn_like(clean))
        pooled = torch.stack([p.mean(1) for p in pieces], dim=1)
        return SensorBatch(torch.cat(pieces, dim=1), pooled, mask_of(states))


class Recorded:
    """Encoder outputs saved by `train encoders` (features.npz), drawn by label within a split.

    Phone and watch come from the same instant of the same execution; the sound is drawn independently
    and the combination is therefore `paired`, never co-recorded.
    """

    def __init__(self, path: Path, split: int) -> None:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        self.rows: dict[str, dict[str, np.ndarray]] = {}
        self.groups = {ACTIVITY: "imu", EVENT: "audio"}
        for task, group in self.groups.items():
            keep = arrays[f"{group}_split"] == split
            label = arrays[f"{group}_label"]
            self.rows[task] = {
                name: np.flatnonzero(keep & (label == i)) for i, name in enumerate(labels(task))
            }
        self.arrays = arrays

    def take(self, rows: dict[str, np.ndarray], states: Sequence[State]) -> SensorBatch:
        """The features of given row numbers per task; each array is (B,)."""
        pieces: list[Tensor] = []
        pooled: list[Tensor] = []
        for task, slots in TASK_SLOTS.items():
            for slot in slots:
                pieces.append(torch.from_numpy(self.arrays[f"{slot}_tokens"][rows[task]]).float())
                pooled.append(torch.from_numpy(self.arrays[f"{slot}_pooled"][rows[task]]).float())
        return SensorBatch(torch.cat(pieces, dim=1), torch.stack(pooled, dim=1), mask_of(states))

    def batch(self, states: Sequence[State], rng: np.random.Generator) -> SensorBatch:
        rows = {
            task: np.array([self._draw(task, s.labels[task], rng) for s in states]) for task in TASK_SLOTS
        }
        return self.take(rows, states)

    def _draw(self, task: str, label: str, rng: np.random.Generator) -> int:
        candidates = self.rows[task][label]
        return int(candidates[rng.integers(len(candidates))])

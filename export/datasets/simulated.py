"""The product's own made-up signals as training data, so that its simulated devices are perceived sensibly.

Only ever a small share of training, flagged wherever it is stored, and never part of a score or a fold.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator

from edge_agent.sensors.simulated import ACTIVITIES, SOUNDS, simulated_audio, simulated_imu
from export.datasets import esc10, phone_watch_imu
from export.datasets.augment import AudioSource, Batch, ImuSource, Source
from export.datasets.esc10 import Clip
from export.datasets.phone_watch_imu import Execution

SHARE = 0.08
SUBJECT = "simulated"
IMU_SECONDS = 4.4
"""Two whole transitions: sitting down and standing up last 2.2 s in the simulator."""
PLACEMENTS = ("pocket", "wrist")


def executions(per_label: int = 40, seed: int = 0) -> list[Execution]:
    """Simulated executions of one activity each, phone and watch with the same label."""
    random = np.random.default_rng(seed)
    found = []
    for activity in ACTIVITIES:
        label = phone_watch_imu.INFO.labels.index(activity)
        for _ in range(per_label):
            x = np.stack([simulated_imu(activity, IMU_SECONDS, random, place)[1] for place in PLACEMENTS])
            found.append(Execution("simulated", SUBJECT, x, np.full(x.shape[1], label, np.int64)))
    return found


def clips(per_label: int = 20, seed: int = 0) -> list[Clip]:
    """Simulated clips of 5 s; fold 0, which is no fold. The label `silence` comes with AudioSource."""
    random = np.random.default_rng(seed)
    return [
        Clip(SUBJECT, simulated_audio(event, esc10.CLIP_S, random)[:, 0], esc10.INFO.labels.index(event), 0)
        for event in SOUNDS
        if event != "silence"
        for _ in range(per_label)
    ]


class WithSimulated:
    """A source whose batches hold a small share of simulated samples, with owner -1."""

    def __init__(self, real: Source, simulated: Source, share: float = SHARE) -> None:
        self.real, self.simulated, self.share = real, simulated, share

    def draw(self, n: int, generator: Generator) -> Batch:
        made_up = round(self.share * n)
        a, b = self.real.draw(n - made_up, generator), self.simulated.draw(made_up, generator)
        owner = torch.cat([a.owner, torch.full((made_up,), -1)])
        return Batch(torch.cat([a.x, b.x]), torch.cat([a.target, b.target]), owner)


def with_simulated_imu(real: ImuSource, seed: int = 0) -> WithSimulated:
    """The source with simulated windows of the same slots."""
    return WithSimulated(real, ImuSource(executions(seed=seed), real.slots))


def with_simulated_audio(real: AudioSource, seed: int = 0) -> WithSimulated:
    """The source with simulated sounds."""
    return WithSimulated(real, AudioSource(clips(seed=seed), seed, mixed=0.2))

"""Motion and sound of the shipped split, encoded once (`slot_features` does the same for all else).

Training windows are stored only augmented (COPIES times): an encoder is surer of what it was trained on
than of what it meets, and a reader trained on sure features would not learn to doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from export.datasets import esc10, phone_watch_imu, simulated
from export.datasets.augment import (
    AudioSource,
    ImuSource,
    augment_audio,
    augment_imu,
    mix_between_classes,
    uniform,
)
from export.datasets.esc10 import Clip
from export.datasets.phone_watch_imu import Execution
from export.networks.encoders import EncoderOutput
from export.train_encoders import (
    VALIDATION_FOLD,
    VALIDATION_SUBJECTS,
    ClipWindows,
    encode,
)

COPIES = 4
TRAIN, VALIDATION, TEST = 0, 1, 2


def split_of_subject(subject: str) -> int:
    """TRAIN, VALIDATION or TEST."""
    if subject in phone_watch_imu.SHIPPED_TEST_SUBJECTS:
        return TEST
    return VALIDATION if subject in VALIDATION_SUBJECTS else TRAIN


def split_of_fold(fold: int) -> int:
    """TRAIN, VALIDATION or TEST."""
    return {esc10.SHIPPED_TEST_FOLD: TEST, VALIDATION_FOLD: VALIDATION}.get(fold, TRAIN)


def imu_part(executions: Sequence[Execution], encoders: dict[str, nn.Module], seed: int) -> dict[str, Any]:
    """The `imu_*` arrays: augmented copies of training windows, validation and test windows as they are."""
    all_windows = phone_watch_imu.windows(executions)
    split = np.array([split_of_subject(str(s)) for s in all_windows.subject])
    rows = np.concatenate([np.repeat(np.flatnonzero(split == TRAIN), COPIES), np.flatnonzero(split != TRAIN)])
    x = torch.from_numpy(all_windows.x[rows])
    train = torch.from_numpy(split[rows] == TRAIN)
    x[train] = augment_imu(x[train], Generator().manual_seed(seed))
    n = round(simulated.SHARE * int(train.sum()))
    made_up = ImuSource(simulated.executions(seed=seed)).draw(n, Generator().manual_seed(seed + 1))
    x = torch.cat([x, made_up.x])
    arrays = {
        "imu_label": np.concatenate([all_windows.label[rows], made_up.target.argmax(1).numpy()]),
        "imu_split": np.concatenate([split[rows], np.full(n, TRAIN)]),
        "imu_row": np.concatenate([rows, np.full(n, -1)]),
        "imu_subject": np.concatenate([all_windows.subject[rows], np.full(n, simulated.SUBJECT)]),
        "imu_simulated": np.arange(len(x)) >= len(rows),
    }
    for i, name in enumerate(phone_watch_imu.SLOTS):
        arrays |= as_arrays(name, encode(encoders[name], x[:, i]))
    return arrays


def audio_part(clips: Sequence[Clip], encoder: nn.Module, seed: int) -> dict[str, Any]:
    """The `audio_*` arrays; half of the training copies have another sound faintly behind them."""
    test = ClipWindows.of([c for c in clips if split_of_fold(c.fold) != TRAIN])
    kept = test.label >= 0
    names = np.array([c.name for c in clips if split_of_fold(c.fold) != TRAIN])
    split = np.array([split_of_fold(c.fold) for c in clips if split_of_fold(c.fold) != TRAIN])
    train_clips = [c for c in clips if split_of_fold(c.fold) == TRAIN]
    source = AudioSource(train_clips, seed, mixed=0.0)
    n = COPIES * len(train_clips) * len(esc10.window_starts())
    x, label, clip = faintly_mixed(source, n, Generator().manual_seed(seed))
    sounds = AudioSource(simulated.clips(seed=seed), seed, mixed=0.0)
    extra = round(simulated.SHARE * n)
    x_sim, label_sim, _ = faintly_mixed(sounds, extra, Generator().manual_seed(seed + 1))
    train_names = np.array(
        [c.name for c in train_clips] + ["simulated"] * (len(source.power) - len(train_clips))
    )
    outputs = encode(encoder, torch.cat([x, x_sim, test.x[kept]]))
    owner = test.clip[kept].numpy()
    return {
        "audio_label": torch.cat([label, label_sim, test.label[kept]]).numpy(),
        "audio_split": np.concatenate([np.full(n + extra, TRAIN), split[owner]]),
        "audio_clip": np.concatenate(
            [train_names[clip.numpy()], np.full(extra, simulated.SUBJECT), names[owner]]
        ),
        "audio_simulated": np.concatenate(
            [clip.numpy() >= len(train_clips), np.ones(extra, bool), np.zeros(int(kept.sum()), bool)]
        ),
    } | as_arrays("audio", outputs)


def faintly_mixed(source: AudioSource, n: int, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """x (n,99,64), label (n,), clip (n,): the label's sound makes 70 to 100 % of what is heard."""
    pick = torch.multinomial(source.weight, 2 * n, replacement=True, generator=generator)
    label = source.label[pick]
    share = uniform(generator, n, low=0.7, high=1.0)
    silent = (label[:n] == esc10.SILENCE) | (label[n:] == esc10.SILENCE)
    share[silent | (uniform(generator, n) < 0.5)] = 1.0
    pieces = []
    for s in range(0, n, 512):
        e = min(s + 512, n)
        power = mix_between_classes(source.cut(pick[s:e]), source.cut(pick[n + s : n + e]), share[s:e])
        pieces.append(augment_audio(power, generator, label[s:e] == esc10.SILENCE))
    return torch.cat(pieces), label[:n], source.clip[pick[:n]]


def as_arrays(name: str, output: EncoderOutput) -> dict[str, Any]:
    """float16 for storage; the language model is trained in less than that anyway."""
    return {
        f"{name}_tokens": output.tokens.half().numpy(),
        f"{name}_pooled": output.pooled.half().numpy(),
        f"{name}_logits": output.logits.half().numpy(),
    }

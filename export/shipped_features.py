"""The shipped split, encoded once: what the language model learns from and is judged on.

    python -m export.shipped_features   # features.npz, adapter_fused.pt, calibration.json in runs/shipped/

Training windows are stored only augmented (COPIES times): an encoder is surer of what it was trained on
than of what it meets, and a reader trained on sure features would not learn to doubt.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from edge_agent.perception import calibration
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
from export.networks.adapter import Adapter
from export.networks.encoders import EncoderOutput
from export.train_encoders import (
    SHIPPED,
    SLOTS,
    VALIDATION_FOLD,
    VALIDATION_SUBJECTS,
    ClipWindows,
    clip_accuracy,
    encode,
    load_encoder,
    macro_f1,
)
from export.train_fused import (
    ACTIVITY,
    EVENT,
    FusedOptions,
    fused_logits,
    load_adapter,
    save_adapter,
    train_adapter,
    train_pools,
)

COPIES = 4
TRAIN, VALIDATION, TEST = 0, 1, 2
ACCURACY_OF_KNOWN = {ACTIVITY: 0.95, EVENT: 0.95}
"""The threshold is the least probability above which answers are right that often on the validation part."""
LARGEST_THRESHOLD = 0.5
"""Even odds are enough where that would take more: a device that is always unsure is of no use."""


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


def outputs_of(arrays: dict[str, Any], name: str, rows: Any) -> EncoderOutput:
    """The stored outputs of one slot, as float32."""
    return EncoderOutput(
        *(torch.from_numpy(arrays[f"{name}_{part}"][rows]).float() for part in ("tokens", "pooled", "logits"))
    )


def calibrate(adapter: Adapter, arrays: dict[str, Any], split: int = VALIDATION) -> dict[str, Any]:
    """Temperature, threshold and novelty threshold of both tasks from people and sounds not trained on."""
    slots, label = _of_split(arrays, split)
    subsets: dict[str, list[tuple[str, ...]]] = {
        ACTIVITY: [("imu_phone",), ("imu_watch",), ("imu_phone", "imu_watch")],
        EVENT: [("audio",)],
    }
    result: dict[str, Any] = {"validation_subjects": VALIDATION_SUBJECTS, "validation_fold": VALIDATION_FOLD}
    for task, choices in subsets.items():
        logits = torch.cat([fused_logits(adapter, slots[task], c, task)[0] for c in choices]).numpy()
        truth = np.tile(label[task], len(choices))
        temperature = calibration.fit_temperature(logits, truth)
        p = calibration.probabilities(logits, temperature)
        correct = (p.argmax(-1) == truth).astype(np.int64)
        threshold = calibration.fit_threshold(p.max(-1), correct, ACCURACY_OF_KNOWN[task])
        threshold = min(threshold, LARGEST_THRESHOLD)
        answered = p.max(-1) >= threshold
        energies = {n: calibration.energy(o.logits.numpy()) for n, o in slots[task].items()}
        pooled = np.concatenate(list(energies.values()))
        result[task] = {
            "temperature": round(temperature, 4),
            "threshold": round(threshold, 4),
            "novelty_threshold": round(calibration.fit_novelty_threshold(pooled), 4),
            "novelty_threshold_by_slot": {
                n: round(calibration.fit_novelty_threshold(e), 4) for n, e in energies.items()
            },
            "validation_accuracy": round(float(correct.mean()), 4),
            "validation_answered": round(float(answered.mean()), 4),
            "validation_accuracy_of_answered": round(float(correct[answered].mean()), 4),
            "validation_ece": round(calibration.expected_calibration_error(p.max(-1), correct), 4),
            "validation_ece_before": round(
                calibration.expected_calibration_error(calibration.probabilities(logits).max(-1), correct), 4
            ),
        }
    return result


def _of_split(
    arrays: dict[str, Any], split: int
) -> tuple[dict[str, dict[str, EncoderOutput]], dict[str, Any]]:
    imu, audio = (
        np.flatnonzero((arrays[f"{part}_split"] == split) & ~arrays[f"{part}_simulated"])
        for part in ("imu", "audio")
    )
    slots = {
        ACTIVITY: {name: outputs_of(arrays, name, imu) for name in phone_watch_imu.SLOTS},
        EVENT: {"audio": outputs_of(arrays, "audio", audio)},
    }
    return slots, {ACTIVITY: arrays["imu_label"][imu], EVENT: arrays["audio_label"][audio]}


def scores(adapter: Adapter, arrays: dict[str, Any], split: int) -> dict[str, float]:
    """Window scores of encoder heads and fused heads on one split (macro-F1 for IMU, accuracy for audio)."""
    slots, label = _of_split(arrays, split)
    truth = torch.from_numpy(label[ACTIVITY])
    result = {}
    for name, output in slots[ACTIVITY].items():
        result[f"encoder {name}"] = macro_f1(truth, output.logits.argmax(1), 5)
    for present in (("imu_phone",), ("imu_watch",), ("imu_phone", "imu_watch")):
        logits, _ = fused_logits(adapter, slots[ACTIVITY], present, ACTIVITY)
        result[f"fused {'+'.join(present)}"] = macro_f1(truth, logits.argmax(1), 5)
    heard = torch.from_numpy(label[EVENT])
    result["encoder audio windows"] = (slots[EVENT]["audio"].logits.argmax(1) == heard).float().mean().item()
    logits, _ = fused_logits(adapter, slots[EVENT], ("audio",), EVENT)
    result["fused audio windows"] = (logits.argmax(1) == heard).float().mean().item()
    return {name: round(value, 4) for name, value in result.items()}


def write_features(folder: Path, seed: int = 0) -> dict[str, Any]:
    """Encode the shipped split with the encoders in `folder` and save `features.npz`."""
    encoders = {slot: load_encoder(folder / f"encoder_{slot}.pt") for slot in SLOTS}
    arrays = imu_part(phone_watch_imu.load(), encoders, seed) | audio_part(
        esc10.load(), encoders["audio"], seed
    )
    temporary = folder / "features.part.npz"
    np.savez(temporary, **arrays)
    temporary.replace(folder / "features.npz")
    return arrays


def train_shipped_adapter(folder: Path, options: FusedOptions) -> Adapter:
    """The fused heads of the shipped split."""
    path = folder / "adapter_fused.pt"
    if path.exists():
        return load_adapter(path)
    encoders = {slot: load_encoder(folder / f"encoder_{slot}.pt") for slot in SLOTS}
    executions = [e for e in phone_watch_imu.load() if split_of_subject(e.subject) == TRAIN]
    clips = [c for c in esc10.load() if split_of_fold(c.fold) == TRAIN]
    imu, audio = train_pools(
        simulated.with_simulated_imu(ImuSource(executions)),
        simulated.with_simulated_audio(AudioSource(clips, options.seed)),
        encoders,
        options,
    )
    adapter, losses = train_adapter(imu, audio, options, "adapter_fused")
    save_adapter(path, adapter, options, losses)
    return adapter


def main(arguments: Sequence[str] | None = None) -> None:
    """Features first: the language model waits for them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=SHIPPED)
    folder = parser.parse_args(arguments).folder
    torch.set_num_threads(1)
    arrays = write_features(folder)
    adapter = train_shipped_adapter(folder, FusedOptions())
    result = calibrate(adapter, arrays)
    result["scores"] = {
        name: scores(adapter, arrays, split)
        for name, split in (("train_augmented", TRAIN), ("validation", VALIDATION), ("test", TEST))
    }
    clips = esc10.select(esc10.load(), [esc10.SHIPPED_TEST_FOLD])
    test = ClipWindows.of(clips)
    heard = encode(load_encoder(folder / "encoder_audio.pt"), test.x)
    logits, _ = fused_logits(adapter, {"audio": heard}, ("audio",), EVENT)
    result["scores"]["test"]["encoder audio clips"] = clip_accuracy(clips, test, heard.logits)
    result["scores"]["test"]["fused audio clips"] = clip_accuracy(clips, test, logits)
    (folder / "calibration.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

"""The five-fold evaluation: majority, random forest, encoder heads, fused heads; same windows, same folds.

    python -m export.folds            # all folds, resumable, into runs/folds/results.json
    python -m export.folds --folds 0 1
    python -m export.folds --sound    # of folds that are there the sound alone anew

Fold k of the people (sorted subjects, index modulo 5) is run together with official ESC-10 fold k + 1.
Nothing is selected on a test fold: options are fixed beforehand and the last weights are the ones scored.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from export.catalog import ACTIVITY, EVENT, HEADS
from export.datasets import esc10, phone_watch_imu
from export.datasets.augment import AudioSource, ImuSource, Source
from export.datasets.esc10 import Clip
from export.datasets.phone_watch_imu import Execution, PairWindows
from export.groups import Group
from export.networks.adapter import AdapterConfig, Heads, HeadShape
from export.networks.encoders import AUDIO_TOKENS, IMU_TOKENS, EncoderOutput
from export.scores import classification, macro_f1
from export.train_encoders import (
    ClipWindows,
    clip_accuracy,
    encode,
    imu_split,
    options_of,
    train_encoder,
)
from export.train_heads import HeadsOptions, read, train_heads
from export.train_slots import RUNS

FOLDS = RUNS / "folds"
N_FOLDS = 5
TREES = 200
DEVICES: dict[str, tuple[int, ...]] = {"phone": (0,), "watch": (1,), "both": (0, 1)}
PRESENT: dict[str, tuple[str, ...]] = {
    name: tuple(phone_watch_imu.SLOTS[i] for i in slots) for name, slots in DEVICES.items()
}
Scores = dict[str, dict[str, float]]
CONFIG = AdapterConfig(
    slots=tuple((s, AUDIO_TOKENS if s == "audio" else IMU_TOKENS) for s in (*phone_watch_imu.SLOTS, "audio")),
    heads=tuple(HeadShape(h.name, h.width, h.slots) for h in (HEADS[ACTIVITY], HEADS[EVENT])),
)
"""The part of the adapter's heads that motion and sound concern."""
SOUND = AdapterConfig(
    slots=(("audio", AUDIO_TOKENS),), heads=tuple(h for h in CONFIG.heads if h.slots == ("audio",))
)
"""The part that sound alone concerns."""
IMU_POOL, AUDIO_POOL = 16384, 6144
"""Augmented samples, encoded once."""


def pool(source: Source, encoders: Mapping[str, nn.Module], n: int, seed: int, head: str) -> Group:
    """Draw n augmented samples and encode them with the encoders of the source's slots, in their order."""
    generator = torch.Generator().manual_seed(seed)
    parts: dict[str, list[EncoderOutput]] = {name: [] for name in encoders}
    targets = []
    for start in range(0, n, 512):
        batch = source.draw(min(512, n - start), generator)
        x = batch.x if batch.x.ndim == 4 else batch.x[:, None]  # (B,S,T,C)
        for i, (name, encoder) in enumerate(encoders.items()):
            parts[name].append(encode(encoder, x[:, i]))
        targets.append(batch.target)
    slots = {n: EncoderOutput(*(torch.cat(p) for p in zip(*o, strict=True))) for n, o in parts.items()}
    return Group.of(slots, {head: torch.cat(targets)})


def imu_statistics(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(N,100,6) -> (N,30): mean, sd, min, max and mean absolute difference per channel."""
    pieces = [x.mean(1), x.std(1), x.min(1), x.max(1), np.abs(np.diff(x, axis=1)).mean(1)]
    return np.concatenate(pieces, axis=1).astype(np.float32)


def imu_baselines(train: PairWindows, test: PairWindows, seed: int) -> dict[str, Scores]:
    """Per device: the majority class and a random forest on the statistics."""
    from sklearn.ensemble import RandomForestClassifier

    majority = np.full_like(test.label, np.bincount(train.label).argmax())
    result: dict[str, Scores] = {}
    for name, slots in DEVICES.items():
        fit, held = (np.concatenate([imu_statistics(w.x[:, s]) for s in slots], 1) for w in (train, test))
        forest = RandomForestClassifier(TREES, random_state=seed, n_jobs=1).fit(fit, train.label)
        result[name] = {
            "majority": classification(majority, test.label, 5),
            "random_forest": classification(forest.predict(held), test.label, 5),
        }
    return result


def imu_readers(
    heads: Heads, outputs: Mapping[str, EncoderOutput], noise: EncoderOutput, label: Tensor
) -> dict[str, Scores]:
    """Per device: encoder head, fused head, the fused head beside unrelated sound."""
    result: dict[str, Scores] = {}
    for name, present in PRESENT.items():
        beside = {**outputs, "audio": noise}
        readers = {
            "fused": read(heads, outputs, present)[0][ACTIVITY],
            "fused_beside_sound": read(heads, beside, (*present, "audio"))[0][ACTIVITY],
            "encoder_mean": torch.stack([outputs[p].logits.log_softmax(-1) for p in present]).mean(0),
        }
        result[name] = {
            reader: classification(logits.argmax(1).numpy(), label.numpy(), 5)
            for reader, logits in readers.items()
        }
    return result


def audio_readers(heads: Heads, clips: Sequence[Clip], windows: ClipWindows, output: EncoderOutput) -> Scores:
    """Clip accuracy (ten official classes) and window accuracy (with `silence`) of both heads."""
    known = windows.label >= 0
    readers = {"encoder": output.logits, "fused": read(heads, {"audio": output}, ("audio",))[0][EVENT]}
    return {
        reader: {
            "clip_accuracy": clip_accuracy(clips, windows, logits),
            "window_accuracy": (logits.argmax(1) == windows.label)[known].float().mean().item(),
            "window_macro_f1": macro_f1(windows.label[known].numpy(), logits.argmax(1)[known].numpy(), 11),
        }
        for reader, logits in readers.items()
    }


def audio_baselines(train: Sequence[Clip], test: Sequence[Clip], seed: int) -> Scores:
    """Clip accuracy of the majority class and of a random forest on mean and sd of each mel band."""
    from sklearn.ensemble import RandomForestClassifier

    def statistics(windows: ClipWindows) -> npt.NDArray[np.float32]:
        x = windows.x.numpy()
        return np.concatenate([x.mean(1), x.std(1), x.max(1)], axis=1)

    fit, held = ClipWindows.of(train), ClipWindows.of(test)
    known = (fit.label >= 0).numpy()
    forest = RandomForestClassifier(TREES, random_state=seed, n_jobs=1)
    forest.fit(statistics(fit)[known], fit.label.numpy()[known])
    p = np.full((len(held.x), 11), 1e-6)
    p[:, forest.classes_] = forest.predict_proba(statistics(held)) + 1e-6
    accuracy = clip_accuracy(test, held, torch.from_numpy(np.log(p)))
    return {"majority": {"clip_accuracy": 0.1}, "random_forest": {"clip_accuracy": accuracy}}


def train_fold_encoders(
    fold: int, executions: Sequence[Execution], clips: Sequence[Clip], seed: int, folder: Path
) -> dict[str, nn.Module]:
    """The three encoders of one fold, each kept at `folder`."""
    encoders: dict[str, nn.Module] = {}
    for i, slot in enumerate(phone_watch_imu.SLOTS):
        path = folder / f"fold{fold}_seed{seed}_{slot}.pt"
        encoders[slot] = train_encoder(slot, ImuSource(executions, [i]), path, options_of(slot, seed))
    return encoders | {"audio": train_sound(fold, clips, seed, folder)}


def train_sound(fold: int, clips: Sequence[Clip], seed: int, folder: Path) -> nn.Module:
    """The sound encoder of one fold, kept at `folder`."""
    path = folder / f"fold{fold}_seed{seed}_audio.pt"
    return train_encoder("audio", AudioSource(clips, seed), path, options_of("audio", seed))


def run_sound(fold: int, clips: Sequence[Clip], seed: int, folder: Path) -> Scores:
    """Train and score the sound of one fold by itself: its head never sees motion."""
    train, test = [c for c in clips if c.fold != fold + 1], esc10.select(clips, [fold + 1])
    encoder = train_sound(fold, train, seed, folder)
    sounds = pool(AudioSource(train, seed), {"audio": encoder}, AUDIO_POOL, seed + 2, EVENT)
    heads, _ = train_heads(SOUND, [sounds], HeadsOptions(steps=700, seed=seed), {})
    windows = ClipWindows.of(test)
    heard = encode(encoder, windows.x)
    return audio_baselines(train, test, seed) | audio_readers(heads, test, windows, heard)


def run_fold(
    fold: int, executions: Sequence[Execution], clips: Sequence[Clip], seed: int, folder: Path
) -> dict[str, Any]:
    """Train and score everything for one fold."""
    began = time.monotonic()
    held = [s for s, k in phone_watch_imu.folds(executions).items() if k == fold]
    train, rest = imu_split(executions, held)
    test, test_clips = phone_watch_imu.windows(rest), esc10.select(clips, [fold + 1])
    train_clips = [c for c in clips if c.fold != fold + 1]
    encoders = train_fold_encoders(fold, train, train_clips, seed, folder)
    motion = {slot: encoders[slot] for slot in phone_watch_imu.SLOTS}
    pools = [
        pool(ImuSource(train), motion, IMU_POOL, seed + 1, ACTIVITY),
        pool(AudioSource(train_clips, seed), {"audio": encoders["audio"]}, AUDIO_POOL, seed + 2, EVENT),
    ]
    heads, _ = train_heads(CONFIG, pools, HeadsOptions(steps=700, seed=seed), {})
    x, label = torch.from_numpy(test.x), torch.from_numpy(test.label)
    outputs = {slot: encode(encoders[slot], x[:, i]) for i, slot in enumerate(phone_watch_imu.SLOTS)}
    windows = ClipWindows.of(test_clips)
    heard = encode(encoders["audio"], windows.x)
    other = torch.randint(len(windows.x), (len(label),), generator=torch.Generator().manual_seed(seed))
    noise = EncoderOutput(heard.tokens[other], heard.pooled[other], heard.logits[other])
    imu = imu_baselines(phone_watch_imu.windows(train), test, seed)
    for device, scores in imu_readers(heads, outputs, noise, label).items():
        imu[device] |= scores
    audio = audio_baselines(train_clips, test_clips, seed) | audio_readers(heads, test_clips, windows, heard)
    return {
        "fold": fold, "seed": seed, "test_subjects": held, "test_windows": len(label),
        "test_clips": len(test_clips), "seconds": round(time.monotonic() - began), **imu, "audio": audio,
    }  # fmt: skip


def summarise(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and sd (over folds, n - 1) of every figure."""
    summary: dict[str, Any] = {}
    for part in (*DEVICES, "audio"):
        for reader, figures in results[0][part].items():
            for figure in figures:
                values = [r[part][reader][figure] for r in results]
                summary.setdefault(part, {}).setdefault(reader, {})[figure] = {
                    "mean": round(float(np.mean(values)), 4),
                    "sd": round(float(np.std(values, ddof=1)), 4) if len(values) > 1 else 0.0,
                }
    return summary


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the folds that are not done yet and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", nargs="*", type=int, default=list(range(N_FOLDS)))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=FOLDS)
    parser.add_argument("--sound", action="store_true", help="renew the sound of folds that are there")
    parsed = parser.parse_args(arguments)
    torch.set_num_threads(1)
    parsed.folder.mkdir(parents=True, exist_ok=True)
    executions, clips = phone_watch_imu.load(), esc10.load()
    for fold in parsed.folds:
        path = parsed.folder / f"fold{fold}_seed{parsed.seed}.json"
        if parsed.sound:
            result = json.loads(path.read_text(encoding="utf-8"))
            result["audio"] = run_sound(fold, clips, parsed.seed, parsed.folder)
            path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        elif not path.exists():
            result = run_fold(fold, executions, clips, parsed.seed, parsed.folder)
            path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    write_summary(parsed.folder)


def write_summary(folder: Path) -> None:
    """`results.json` of every fold that is done."""
    results = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("fold*_seed*.json"))]
    summary = {"folds_done": len(results), "summary": summarise(results), "folds": results}
    (folder / "results.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(summary["summary"], indent=2))


if __name__ == "__main__":
    main()

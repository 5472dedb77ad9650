"""What the encoders make of the shipped split, stored once: the adapter and the language model learn from it.

    python -m export.slot_features      # runs/shipped/features_<group>.npz

A group is what was recorded together: phone and watch, or one slot alone. Training windows are stored only
as varied copies: an encoder is surer of what it was trained on than of what it meets, and a reader trained
on sure features would not learn to doubt.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from export import shipped_features
from export.catalog import ACTIVITY, EVENT, SLOTS, SlotSpec, heads_of
from export.datasets import esc10, phone_watch_imu
from export.datasets.common import Samples
from export.networks.encoders import EncoderOutput
from export.train_encoders import load_encoder
from export.train_slots import SHIPPED, as_steps, load_slot, predict, vary

TRAIN, VALIDATION, TEST = 0, 1, 2
MOST_ROWS = 6000
"""Of a part and a head: more would teach the adapter nothing new."""
COPIES = 2

Arrays = dict[str, np.ndarray[Any, Any]]


def groups() -> dict[str, tuple[str, ...]]:
    """group -> the slots that were recorded together."""
    together: dict[str, tuple[str, ...]] = {"imu": phone_watch_imu.SLOTS}
    alone = [s for s in SLOTS if s not in phone_watch_imu.SLOTS]
    return together | {s: (s,) for s in alone}


def write(group: str, folder: Path = SHIPPED, seed: int = 0) -> Path:
    """Encode one group; what is already there is kept."""
    path = folder / f"features_{group}.npz"
    if path.exists():
        return path
    if group == "imu":
        arrays = _imu(folder, seed)
    elif group == "audio":
        arrays = _audio(folder, seed)
    else:
        arrays = _slot(SLOTS[group], load_slot(folder / f"encoder_{group}.pt")[0], seed)
    temporary = path.with_suffix(".part.npz")
    np.savez(temporary, **arrays)  # type: ignore[arg-type]  # the stub takes allow_pickle for a name
    temporary.replace(path)
    return path


def _imu(folder: Path, seed: int) -> Arrays:
    encoders = {s: load_encoder(folder / f"encoder_{s}.pt") for s in phone_watch_imu.SLOTS}
    arrays = shipped_features.imu_part(phone_watch_imu.load(), encoders, seed)
    owner = arrays.pop("imu_subject")
    return _renamed(arrays, "imu", ACTIVITY) | {"owner": owner}


def _audio(folder: Path, seed: int) -> Arrays:
    arrays = shipped_features.audio_part(esc10.load(), load_encoder(folder / "encoder_audio.pt"), seed)
    owner = arrays.pop("audio_clip")
    return _renamed(arrays, "audio", EVENT) | {"owner": owner}


def _renamed(arrays: Arrays, group: str, head: str) -> Arrays:
    """The arrays under the names that every group has."""
    features = {k: v for k, v in arrays.items() if k.endswith(("_tokens", "_pooled", "_logits"))}
    return features | {
        "split": arrays[f"{group}_split"].astype(np.int8),
        f"target_{head}": arrays[f"{group}_label"],
    }


def _slot(slot: SlotSpec, encoder: nn.Module, seed: int) -> Arrays:
    """One slot alone: the windows of its heads one after the other, a head's target absent in another's."""
    outputs: list[EncoderOutput] = []
    split, owner = [], []
    targets: dict[str, list[np.ndarray[Any, Any]]] = {head.name: [] for head in heads_of(slot.name)}
    random = np.random.default_rng(seed)
    for head in heads_of(slot.name):
        samples = head.reader.load()
        fold = head.reader.shipped(samples)
        for part, rows in ((TRAIN, fold.train), (VALIDATION, fold.validation), (TEST, fold.test)):
            if len(rows) > MOST_ROWS:
                rows = np.sort(random.choice(rows, MOST_ROWS, replace=False))  # noqa: PLW2901  (thinned)
            copies = COPIES if part == TRAIN else 1
            picked = samples[np.tile(rows, copies)]
            outputs.append(_encode(slot, encoder, picked, varied=part == TRAIN, seed=seed))
            split.append(np.full(len(picked), part, np.int8))
            owner.append(picked.group)
            for name, found in targets.items():
                found.append(picked.target if name == head.name else _absent(name, slot, len(picked)))
    arrays: Arrays = {
        f"{slot.name}_{part}": torch.cat([getattr(o, part) for o in outputs]).half().numpy()
        for part in ("tokens", "pooled", "logits")
    }
    arrays |= {f"target_{name}": np.concatenate(found) for name, found in targets.items()}
    return arrays | {"split": np.concatenate(split), "owner": np.concatenate(owner)}


def _absent(name: str, slot: SlotSpec, count: int) -> np.ndarray[Any, Any]:
    head = next(h for h in heads_of(slot.name) if h.name == name)
    if head.regression:
        return np.full((count, len(head.numbers)), np.nan, np.float32)
    return np.full(count, -1, np.int64)


def _encode(
    slot: SlotSpec, encoder: nn.Module, samples: Samples, *, varied: bool, seed: int
) -> EncoderOutput:
    windows = as_steps(samples.x, slot.shape[0])
    if not varied:
        return predict(encoder, windows)
    generator = torch.Generator().manual_seed(seed)
    pieces = []
    with torch.no_grad():
        for start in range(0, len(samples), 512):
            x, mask = vary(slot, torch.from_numpy(windows[start : start + 512]), generator)
            pieces.append(encoder(x, mask))
    return EncoderOutput(*(torch.cat(part) for part in zip(*pieces, strict=True)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Encode every group whose encoder is trained."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("groups", nargs="*", default=list(groups()), metavar="GROUP")
    parser.add_argument("--folder", type=Path, default=SHIPPED)
    parsed = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for group in tqdm(parsed.groups, desc="features"):
        write(group, parsed.folder)


if __name__ == "__main__":
    main()

"""Fused heads trained anew on a share of the rows, of the tasks, or of the modalities, as MultiIoT asks.

A head reads pooled features and encoders' words alone, so tokens are not loaded. Each training is kept in
`ratios.json` as soon as it is done, under what it depends on; a second run continues there.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from export.catalog import HEADS, SLOTS
from export.curve_rows import Row, Settings
from export.groups import Group
from export.networks.adapter import AdapterConfig, Heads
from export.networks.encoders import EncoderOutput
from export.scores import macro_f1, regression
from export.slot_features import TEST, TRAIN, groups
from export.train_heads import HeadsOptions, read, scalings, shipped_config, train_heads
from export.train_slots import Scaling

ARMS = ("rows", "tasks", "modalities")


@dataclass(frozen=True)
class Owned:
    """A group and, of each row, whom it is of (a number)."""

    group: Group
    owner: np.ndarray[Any, Any]


def measure(features: Path, runs: Path, settings: Settings) -> list[Row]:
    """Rows of every arm and share. Raises FileNotFoundError naming the features that are missing."""
    found = {name: load(features / f"features_{name}.npz") for name in groups()}
    scaling = scalings(features)
    done = _Done(runs / "ratios.json", _mark(features, settings))
    rows: list[Row] = []
    whole = [(ARMS[0], 1.0)] if 1.0 in settings.shares else []
    wanted = whole + [(arm, s) for arm in ARMS for s in settings.shares if s < 1]
    for arm, share in tqdm(wanted, desc="ratios"):
        key = f"{arm} {share:g}"
        if key not in done.rows:
            done.add(key, trained(found, scaling, arm, share, settings))
        condition = "all" if share == 1 else f"{share:.0%} of the {arm}"
        rows += [replace(row, condition=condition) for row in done.rows[key]]
    return rows


def trained(
    found: Mapping[str, Owned], scaling: Mapping[str, Scaling], arm: str, share: float, settings: Settings
) -> list[Row]:
    """Train on a share and score every head that took part on the test rows."""
    config = config_of(arm, share, settings.seed)
    chosen = {n: o for n, o in found.items() if set(o.group.slots) & set(config.names)}
    kept = {n: _within(config, o) for n, o in chosen.items()}
    part = share if arm == "rows" else 1.0
    training = [rows_of(o, part, settings.seed) for o in kept.values()]
    options = HeadsOptions(steps=settings.steps, seed=settings.seed)
    heads, _ = train_heads(config, training, options, scaling, progress=False)
    return [score(heads, name, {n: o.group for n, o in kept.items()}, scaling) for name in _names(config)]


def _names(config: AdapterConfig) -> list[str]:
    return [h.name for h in config.heads]


def config_of(arm: str, share: float, seed: int) -> AdapterConfig:
    """The adapter of a share of the heads, or of the slots; nested: what 25 % has, 50 % has too."""
    full = shipped_config(lambda _: 0)
    rng = np.random.default_rng(seed)
    names = [h.name for h in full.heads] if arm == "tasks" else list(full.names)
    kept = set(rng.permutation(names)[: max(1, round(share * len(names)))].tolist())
    if arm == "tasks":
        heads = tuple(h for h in full.heads if h.name in kept)
        used = {s for h in heads for s in h.slots}
    elif arm == "modalities":
        used = kept
        heads = tuple(
            replace(h, slots=tuple(s for s in h.slots if s in used))
            for h in full.heads
            if used & set(h.slots)
        )
    else:
        return full
    return replace(full, heads=heads, slots=tuple(s for s in full.slots if s[0] in used))


def _within(config: AdapterConfig, owned: Owned) -> Owned:
    """Only the slots, targets and logits' columns that the config has."""
    names = _names(config)
    slots = {}
    for slot, o in owned.group.slots.items():
        if slot not in config.names:
            continue
        columns, start = [], 0
        for head in (h for h in HEADS.values() if slot in h.slots):
            columns += list(range(start, start + head.width)) if head.name in names else []
            start += head.width
        slots[slot] = EncoderOutput(o.tokens, o.pooled, o.logits[:, columns])
    targets = {n: t for n, t in owned.group.targets.items() if n in names}
    return replace(owned, group=Group.of(slots, targets, owned.group.split))


def rows_of(owned: Owned, share: float, seed: int) -> Group:
    """A share of the training rows: those of owners drawn at random until it is reached."""
    rows = np.flatnonzero(owned.group.split.numpy() == TRAIN)
    owner = owned.owner[rows]
    names, index = np.unique(owner, return_inverse=True)
    turn = np.random.default_rng(seed).permutation(len(names))
    rows = rows[np.argsort(turn[index], kind="stable")][: max(1, round(share * len(rows)))]
    return owned.group[torch.from_numpy(np.sort(rows))]


def score(heads: Heads, name: str, found: Mapping[str, Group], scaling: Mapping[str, Scaling]) -> Row:
    """One head on the test rows of its group, all of its slots present."""
    spec = HEADS[name]
    group = next(g for g in found.values() if name in g.targets).part(TEST)
    target = group.targets[name]
    known = ~target.isnan().all(1) if spec.regression else target >= 0
    said = read(heads, group[known].slots, tuple(group.slots))[0][name]
    if not spec.regression:
        value = macro_f1(target[known].numpy(), said.argmax(-1).numpy(), len(spec.labels))
        return Row(name, spec.kind, "", "macro_f1", value, int(known.sum()))
    numbers = said[:, : len(spec.numbers)] * scaling[name].scale + scaling[name].offset
    value = regression(numbers.numpy(), target[known].numpy())["rmse"]
    return Row(name, spec.kind, "", "rmse", value, int(known.sum()))


def load(path: Path) -> Owned:
    """A stored group without its tokens."""
    with np.load(path, allow_pickle=False) as file:
        names = [k.removesuffix("_pooled") for k in file.files if k.endswith("_pooled")]
        slots = {}
        for n in names:
            pooled, logits = torch.from_numpy(file[f"{n}_pooled"]), torch.from_numpy(file[f"{n}_logits"])
            slots[n] = EncoderOutput(torch.zeros(len(pooled), 0, pooled.shape[1]), pooled, logits)
        targets = {
            k.removeprefix("target_"): torch.from_numpy(file[k])
            for k in file.files
            if k.startswith("target_")
        }
        group = Group.of(slots, targets, torch.from_numpy(file["split"]).long())
        return Owned(group, file["owner"])


def _mark(features: Path, settings: Settings) -> str:
    """What a kept training depends on: the features, the steps and the seed."""
    files = [(features / f"features_{n}.npz").stat() for n in groups()]
    text = json.dumps([[f.st_size, f.st_mtime_ns] for f in files] + [list(SLOTS), list(HEADS)])
    return f"{zlib.crc32(text.encode()):08x} steps {settings.steps} seed {settings.seed}"


class _Done:
    """The trainings that are done, in a file."""

    def __init__(self, path: Path, mark: str) -> None:
        self._path, self._mark = path, mark
        saved = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        kept = saved.get("rows", {}) if saved.get("mark") == mark else {}
        self.rows: dict[str, list[Row]] = {k: [Row(**r) for r in rows] for k, rows in kept.items()}

    def add(self, key: str, rows: Sequence[Row]) -> None:
        self.rows[key] = list(rows)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"mark": self._mark, "rows": {k: [*map(asdict, r)] for k, r in self.rows.items()}})
        temporary = self._path.with_suffix(".part")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self._path)

"""What a shipped head's output is worth: fitted on people, rooms and days that nothing was trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import torch

from edge_agent.perception import calibration
from export.catalog import HEADS, HeadSpec
from export.groups import Group
from export.networks.adapter import Heads
from export.train_heads import read
from export.train_slots import Scaling

VALIDATION = 1
ACCURACY_OF_KNOWN = 0.95
"""The threshold is the least probability above which answers are right that often on the validation part."""
LARGEST_THRESHOLD = 0.5
"""Even odds are enough where that would take more: a device that is always unsure is of no use."""
COVERAGE = 0.9
"""Share of windows whose true label the conformal set must hold."""
BLOCKS = 5
"""Parts of the validation windows, in the order of their recordings, each of which must be covered so often.

Other people, rooms and days are not exchangeable with those that were met; the worst part is nearest to them.
"""

Fitted = dict[str, Any]


def calibrate(
    heads: Heads, groups: Mapping[str, Group], scaling: Mapping[str, Scaling], split: int = VALIDATION
) -> dict[str, Fitted]:
    """head -> its temperature, threshold and so on, with what they were fitted to."""
    result = {}
    for name in (h.name for h in heads.config.heads):
        group = next(g for g in groups.values() if name in g.targets)
        rows = known_rows(group, name, split)
        if not len(rows):
            raise ValueError(f"no validation windows of {name}: its reader's shipped split holds none")
        spec = HEADS[name]
        fit = (
            _numbers(heads, spec, group[rows], scaling)
            if spec.regression
            else _classes(heads, spec, group[rows])
        )
        result[name] = fit | {"validation_windows": len(rows)}
    return result


def known_rows(group: Group, head: str, split: int) -> torch.Tensor:
    """The rows of a split in which the head's target is known."""
    target = group.targets[head]
    known = ~target.isnan().all(-1) if target.is_floating_point() else target >= 0
    return torch.nonzero((group.split == split) & known)[:, 0]


def subsets(slots: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Every way in which some of the slots can be present."""
    for count in range(1, len(slots) + 1):
        yield from combinations(slots, count)


def _classes(heads: Heads, spec: HeadSpec, group: Group) -> Fitted:
    choices = list(subsets(spec.slots))
    logits = torch.cat([read(heads, group.slots, c)[0][spec.name] for c in choices]).numpy()
    truth = np.tile(group.targets[spec.name].numpy(), len(choices))
    temperature = calibration.fit_temperature(logits, truth)
    p = calibration.probabilities(logits, temperature)
    correct = (p.argmax(-1) == truth).astype(np.int64)
    threshold = min(calibration.fit_threshold(p.max(-1), correct, ACCURACY_OF_KNOWN), LARGEST_THRESHOLD)
    answered = p.max(-1) >= threshold
    return {
        "temperature": round(temperature, 4),
        "threshold": round(threshold, 4),
        # Rounded down: a label of just that probability belongs to the set.
        "conformal": math.floor(1e6 * worst_block(p, truth, len(choices))) / 1e6,
        "validation_accuracy": round(float(correct.mean()), 4),
        "validation_answered": round(float(answered.mean()), 4),
        "validation_accuracy_of_answered": round(float(correct[answered].mean()), 4)
        if answered.any()
        else None,
        "validation_ece": round(calibration.expected_calibration_error(p.max(-1), correct), 4),
    }


def worst_block(p: np.ndarray[Any, Any], truth: np.ndarray[Any, Any], choices: int) -> float:
    """The least threshold of the blocks; p (choices*N,K) and truth (choices*N,) hold each choice's N rows."""
    rows = np.arange(len(truth)).reshape(choices, -1)
    blocks = [block.ravel() for block in np.array_split(rows, min(BLOCKS, rows.shape[1]), axis=1)]
    return min(conformal_threshold(p[block], truth[block], COVERAGE) for block in blocks)


def conformal_threshold(p: np.ndarray[Any, Any], truth: np.ndarray[Any, Any], coverage: float) -> float:
    """The probability from which on a label is in the set, so that sets hold the truth that often.

    Split conformal prediction (Angelopoulos and Bates 2021, arXiv 2107.07511); p (N,K), truth (N,).
    """
    own = np.sort(p[np.arange(len(truth)), truth])
    index = int(np.floor((len(own) + 1) * (1 - coverage))) - 1
    return float(own[index]) if index >= 0 else 0.0


def _numbers(heads: Heads, spec: HeadSpec, group: Group, scaling: Mapping[str, Scaling]) -> Fitted:
    out = read(heads, group.slots, spec.slots)[0][spec.name]
    mean, log_sigma = out.chunk(2, dim=-1)
    scale = scaling[spec.name]
    wanted = scale.normalised(group.targets[spec.name])
    known = ~wanted.isnan()
    z = ((mean - wanted) / log_sigma.clamp(-4.0, 2.0).exp())[known]
    error = ((mean - wanted) * scale.scale)[known]
    return {
        "offset": scale.offset.tolist(),
        "scale": scale.scale.tolist(),
        "sigma_factor": round(float(z.square().mean().sqrt()), 4),
        "validation_rmse": round(float(error.square().mean().sqrt()), 5),
    }

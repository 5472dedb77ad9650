"""What is reported of a prediction: the same figures for every reader."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def macro_f1(truth: Array, predicted: Array, labels: int) -> float:
    """The mean of the per-class F1 over the classes that occur in truth or prediction."""
    scores = []
    for k in range(labels):
        hit = int(((truth == k) & (predicted == k)).sum())
        seen = int((truth == k).sum() + (predicted == k).sum())
        if seen:
            scores.append(2 * hit / seen)
    return float(np.mean(scores)) if scores else 0.0


def classification(predicted: Array, truth: Array, labels: int) -> dict[str, float]:
    """Macro-F1 and accuracy."""
    return {"macro_f1": macro_f1(truth, predicted, labels), "accuracy": float((predicted == truth).mean())}


def regression(predicted: Array, truth: Array) -> dict[str, float]:
    """Of numbers (N,K), NaN where unknown.

    rmse over all; error: the mean Euclidean distance; delta1: the share of numbers within a factor of 1.25
    (of depths; Eigen et al. 2014), only where all are positive.
    """
    known = ~np.isnan(truth)
    gap = np.where(known, predicted - np.nan_to_num(truth), 0.0)
    scores = {
        "rmse": float(np.sqrt((gap**2).sum() / known.sum())),
        "error": float(np.sqrt((gap**2).sum(-1)).mean()),
    }
    if (truth[known] > 0).all():
        a, b = np.maximum(predicted[known], 1e-6), truth[known]
        scores["delta1"] = float((np.maximum(a / b, b / a) < 1.25).mean())
    return scores

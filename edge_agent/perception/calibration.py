"""What a logit is worth: temperature and thresholds. Pure functions, shared with `export`."""

from __future__ import annotations

import numpy as np

from edge_agent.types import Float32, Int64


def probabilities(logits: Float32, temperature: float = 1.0) -> Float32:
    """(..., K) logits -> (..., K) probabilities of softmax(logits / temperature)."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    weights = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True), dtype=np.float32)


def negative_log_likelihood(logits: Float32, labels: Int64, temperature: float) -> float:
    """Mean of -log p(label); logits (N, K), labels (N,)."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    correct = np.take_along_axis(scaled, np.asarray(labels)[:, None], axis=-1)[:, 0]
    peak = scaled.max(axis=-1)
    total = np.log(np.exp(scaled - peak[:, None]).sum(axis=-1)) + peak
    return float((total - correct).mean())


def fit_temperature(logits: Float32, labels: Int64, lowest: float = 0.05, highest: float = 20.0) -> float:
    """The temperature with the least negative log-likelihood (Guo et al. 2017), by golden section.

    The likelihood is convex in 1/T, so that a search along log T finds the one minimum.
    """
    ratio = (5**0.5 - 1) / 2
    low, high = np.log(lowest), np.log(highest)
    for _ in range(60):
        inner, outer = high - ratio * (high - low), low + ratio * (high - low)
        left = negative_log_likelihood(logits, labels, float(np.exp(inner)))
        right = negative_log_likelihood(logits, labels, float(np.exp(outer)))
        low, high = (low, outer) if left < right else (inner, high)
    return float(np.exp((low + high) / 2))


def fit_threshold(probability: Float32, correct: Int64, accuracy: float) -> float:
    """The least probability above which answers are right at least `accuracy` of the time.

    probability (N,) of the named label, correct (N,) 0/1. 1.0 where no threshold reaches the accuracy.
    """
    order = np.argsort(-probability, kind="stable")
    share = np.cumsum(np.asarray(correct)[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(share >= accuracy)
    return float(probability[order[good[-1]]]) if len(good) else 1.0


def expected_calibration_error(probability: Float32, correct: Int64, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, weighted by their counts."""
    index = np.minimum((np.asarray(probability) * bins).astype(int), bins - 1)
    right = np.asarray(correct, dtype=np.float64)
    gaps = [
        abs(float(right[index == b].mean()) - float(probability[index == b].mean()))
        * float((index == b).mean())
        for b in range(bins)
        if (index == b).any()
    ]
    return float(sum(gaps))

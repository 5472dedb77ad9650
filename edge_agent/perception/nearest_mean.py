"""Classes told apart by the nearest mean of their features: a few windows of each do, nothing is trained.

What prototypical networks do at the end (Snell, Swersky, Zemel 2017, section 2.3), here on the features of
an encoder that was trained for other classes: softmax of negative squared distances to the class means. How
sharp it is, and how far from a mean a window may lie, come from leaving each taught window out of its own
mean. Pure functions of numpy arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_agent.perception import calibration
from edge_agent.types import Float32

Float64 = npt.NDArray[np.float64]

LEAST = 2
"""Windows of a class: with one alone nothing can be left out."""
_LOWEST, _HIGHEST = 1e-3, 1e4
"""Where the temperature is looked for, in squared distances relative to the spread within a class."""


@dataclass(frozen=True, slots=True)
class NearestMean:
    """Means (K,d) of the classes `labels`; `spread` is the mean squared distance of a window to its own mean.

    `limits` (K,) are the largest squared distances that were seen within each class. All distances are those
    of windows that their own mean was made without.
    """

    labels: tuple[str, ...]
    means: Float64
    spread: float
    temperature: float
    limits: Float64

    @classmethod
    def fit(cls, windows: Mapping[str, Float32]) -> NearestMean:
        """From the features (n,d) of each class. Raises ValueError for less than LEAST windows of one."""
        if not windows or any(len(z) < LEAST for z in windows.values()):
            raise ValueError(f"each class needs at least {LEAST} windows")
        means = np.stack([np.mean(z, axis=0, dtype=np.float64) for z in windows.values()])
        target = np.repeat(np.arange(len(windows)), [len(z) for z in windows.values()])
        distances = left_out(windows, means)
        own = distances[np.arange(len(target)), target]
        limits = np.array([own[target == k].max() for k in range(len(windows))])
        # Windows that are all alike have no spread; any positive number then keeps the distances finite.
        spread = float(own.mean()) or 1.0
        temperature = _temperature(-distances / spread, target)
        return cls(tuple(windows), means, spread, temperature, limits)

    def distances(self, z: Float32) -> Float64:
        """(..., d) -> (..., K): squared distances to the means."""
        return squared(np.asarray(z, np.float64)[..., None, :], self.means)

    def probabilities(self, z: Float32) -> Float32:
        """(..., d) -> (..., K)."""
        logits = -self.distances(z) / self.spread
        return calibration.probabilities(logits.astype(np.float32), self.temperature)

    def novelty(self, z: Float32) -> Float64:
        """(..., d) -> (...): distance to the nearest mean over the largest that was seen in its class."""
        found = self.distances(z)
        nearest = found.argmin(axis=-1)
        least = np.take_along_axis(found, nearest[..., None], axis=-1)[..., 0]
        return np.asarray(np.sqrt(least / np.maximum(self.limits[nearest], np.finfo(np.float64).tiny)))


def squared(a: Float64, b: Float64) -> Float64:
    """Squared Euclidean distances over the last axis."""
    return np.asarray(((a - b) ** 2).sum(axis=-1))


def left_out(windows: Mapping[str, Float32], means: Float64) -> Float64:
    """(N,K) squared distances of every window to every mean, its own one made without it.

    A mean of n moves away from a window that it loses by the factor n / (n - 1).
    """
    rows = []
    for k, z in enumerate(windows.values()):
        found = squared(np.asarray(z, np.float64)[:, None], means)
        found[:, k] *= (len(z) / (len(z) - 1)) ** 2
        rows.append(found)
    return np.concatenate(rows)


def _temperature(logits: Float64, target: npt.NDArray[np.intp]) -> float:
    """The likeliest one, but never so sharp as to promise more than its windows can prove.

    n windows told apart without a mistake are evidence for (n + 1) / (n + 2), Laplace's rule of succession.
    """
    if logits.shape[1] == 1:
        return 1.0
    fitted = calibration.fit_temperature(
        logits.astype(np.float32), target.astype(np.int64), lowest=_LOWEST, highest=_HIGHEST
    )
    ceiling = (len(target) + 1) / (len(target) + 2)
    low, high = np.log(fitted), np.log(_HIGHEST)
    if _sureness(logits, target, fitted) <= ceiling:
        return fitted
    for _ in range(40):
        middle = (low + high) / 2
        if _sureness(logits, target, float(np.exp(middle))) > ceiling:
            low = middle
        else:
            high = middle
    return float(np.exp(high))


def _sureness(logits: Float64, target: npt.NDArray[np.intp], temperature: float) -> float:
    """Mean probability of the right class."""
    values = calibration.probabilities(logits.astype(np.float32), temperature)
    return float(values[np.arange(len(target)), target].mean())

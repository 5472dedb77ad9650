"""Speech cepstra out of noisy ones, by a vector Taylor series (Moreno, Raj and Stern, ICASSP 1996).

What clean speech looks like is known from the recogniser's own model, and what the noise looks like from just
before and after the words. From both follows what noisy speech looks like, and so which clean speech each
frame probably was.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_agent.voice.cepstra import COUNT, TO_CEPSTRA, TO_LOGARITHMS, cepstra
from edge_agent.voice.types import Float64

COMPONENTS = 256
EDGE_FRAMES = 28
"""At each end, that hold no words yet or any more."""
QUIET = 200.0
"""Power against that of the noise (23 dB) from which on there is nothing to take away."""
_ROUNDS, _KMEANS_ROUNDS = 3, 12
_SEED = 0
_LEFT = 0.05
"""The least share of a frame's power that is taken for speech."""
_NOISE_SPREAD = 0.5
_STEP = 0.8


@dataclass(frozen=True, slots=True)
class Speech:
    """A mixture of Gaussians of clean cepstra without their mean: (K, COUNT), (K, COUNT), (K,)."""

    means: Float64
    variances: Float64
    log_weights: Float64


def speech_of(model: Path) -> Speech:
    """The Gaussians of an acoustic model of CMU Sphinx, drawn together. Raises OSError and ValueError."""
    means, variances = _gaussians(model / "means"), _gaussians(model / "variances")
    spread = means.std(0)
    centres = means[np.random.default_rng(_SEED).permutation(len(means))[:COMPONENTS]]
    for _ in range(_KMEANS_ROUNDS):
        nearest = _nearest(means / spread, centres / spread)
        centres = np.array([means[nearest == k].mean(0) for k in np.unique(nearest)])
    nearest = _nearest(means / spread, centres / spread)
    groups = [nearest == k for k in np.unique(nearest)]
    sizes = np.array([group.sum() for group in groups], np.float64)
    return Speech(
        np.array([means[group].mean(0) for group in groups]),
        np.array([variances[group].mean(0) + means[group].var(0) for group in groups]),
        np.log(sizes / sizes.sum()),
    )


def cleaned(power: Float64, speech: Speech) -> Float64:
    """(frames, filters) of an utterance with its edges -> (frames, COUNT)."""
    edges = np.concatenate([power[:EDGE_FRAMES], power[-EDGE_FRAMES:]])
    noise = edges.mean(0)
    if power.mean() > QUIET * noise.mean():
        return cepstra(power)
    noisy, smooth_noise = cepstra(power), cepstra(noise) @ TO_LOGARITHMS
    noise_variance = cepstra(edges).var(0) + _NOISE_SPREAD
    channel = cepstra(np.maximum(power - noise, _LEFT * power)).mean(0)
    for _ in range(_ROUNDS):
        means, shift, gain = _under_noise(speech.means + channel, smooth_noise)
        likely = _posteriors(noisy, means, _variances(speech, gain, noise_variance), speech.log_weights)
        weights = likely * gain.mean(1)  # what the noise covers says nothing about the channel
        channel = channel + _STEP * (weights.sum(1) @ noisy - weights.sum(0) @ means) / weights.sum()
    means, shift, gain = _under_noise(speech.means + channel, smooth_noise)
    likely = _posteriors(noisy, means, _variances(speech, gain, noise_variance), speech.log_weights)
    found: Float64 = noisy - likely @ shift
    return found


def _under_noise(clean: Float64, noise: Float64) -> tuple[Float64, Float64, Float64]:
    """(K, COUNT) of clean speech, (filters,) -> what is heard, what noise adds, the share of speech."""
    logarithms = clean @ TO_LOGARITHMS
    shift = (np.logaddexp(logarithms, noise) - logarithms) @ TO_CEPSTRA
    return clean + shift, shift, 1 / (1 + np.exp(np.clip(noise - logarithms, -50, 50)))


def _variances(speech: Speech, gain: Float64, noise_variance: Float64) -> Float64:
    """(K, COUNT) of noisy speech; what stands outside the diagonal is left out."""
    jacobians = np.einsum("cf,kf,fd->kdc", TO_LOGARITHMS, gain, TO_CEPSTRA, optimize=True)
    rest = np.eye(COUNT) - jacobians
    found: Float64 = np.einsum("kdc,kc->kd", jacobians**2, speech.variances) + rest**2 @ noise_variance
    return found


def _posteriors(frames: Float64, means: Float64, variances: Float64, log_weights: Float64) -> Float64:
    """(frames, K): which component each frame is of."""
    precisions = 1 / variances
    distances = frames**2 @ precisions.T - 2 * frames @ (means * precisions).T
    logs = log_weights - 0.5 * (distances + (means**2 * precisions + np.log(variances)).sum(1))
    likely = np.exp(logs - logs.max(1, keepdims=True))
    found: Float64 = likely / likely.sum(1, keepdims=True)
    return found


def _nearest(points: Float64, centres: Float64) -> np.typing.NDArray[np.intp]:
    found: np.typing.NDArray[np.intp] = ((centres**2).sum(1) - 2 * points @ centres.T).argmin(1)
    return found


def _gaussians(path: Path) -> Float64:
    """(N, COUNT) of the first stream: the cepstra themselves, not their changes (s3gau.c of SphinxTrain)."""
    data = path.read_bytes()
    end = data.index(b"endhdr\n") + len(b"endhdr\n")
    order, codebooks, streams, densities = np.frombuffer(data, "<i4", 4, end)
    if order != 0x11223344:  # the magic number of the file's byte order
        raise ValueError(f"{path} is not little-endian")
    lengths = np.frombuffer(data, "<i4", streams, end + 16)
    values = np.frombuffer(data, "<f4", codebooks * densities * lengths.sum(), end + 20 + 4 * streams)
    found: Float64 = (
        values.reshape(codebooks, -1)[:, : densities * COUNT].reshape(-1, COUNT).astype(np.float64)
    )
    return found

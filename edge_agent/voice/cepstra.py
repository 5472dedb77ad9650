"""From sound to cepstra, as the front end of pocketsphinx makes them (fe_sigproc.c of CMU Sphinx).

Made here because between the spectrum and the cepstra noise can be taken away (denoising.py) and the pitch
of a voice made up for. The numbers are those that the model was trained with (feat.params).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from edge_agent.types import Float32
from edge_agent.voice.types import RATE_HZ, Float64

COUNT = 13
_FILTERS = 25
_LOWEST_HZ, _HIGHEST_HZ = 130.0, 6800.0
_WINDOW, _HOP, _FFT = 410, 160, 512
"""Samples: 25.6 ms, 10 ms."""
_PREEMPHASIS = 0.97
_LIFTER = 22
_FULL_SCALE = 32_767.0
_LEAST_POWER = 1e-4

_angles = np.pi / _FILTERS * (np.arange(_FILTERS) + 0.5)
_cosines = np.sqrt(2 / _FILTERS) * np.cos(np.outer(np.arange(COUNT), _angles))
_cosines[0] /= np.sqrt(2)
_lift = 1 + _LIFTER / 2 * np.sin(np.arange(COUNT) * np.pi / _LIFTER)
TO_CEPSTRA: Float64 = _cosines.T * _lift
"""(filters, COUNT): logarithms of power to cepstra."""
TO_LOGARITHMS: Float64 = (_cosines / _lift[:, None]).copy()
"""(COUNT, filters): back again, smoothed."""


def spectrum(samples: Float32) -> Float64:
    """(n,) -> (frames, bins) power, 100 frames in a second. Fewer than a window's samples give no frame."""
    sound = samples.astype(np.float64) * _FULL_SCALE
    sound[1:] -= _PREEMPHASIS * sound[:-1]
    if len(sound) < _WINDOW:
        return np.zeros((0, _FFT // 2 + 1))
    frames = np.lib.stride_tricks.sliding_window_view(sound, _WINDOW)[::_HOP] * np.hamming(_WINDOW)
    power: Float64 = np.abs(np.fft.rfft(frames, _FFT)) ** 2
    return power


def filtered(power: Float64, warp: float = 1.0) -> Float64:
    """(frames, bins) -> (frames, filters).

    `warp` above 1 is for a shorter vocal tract than those that the model knows, with higher resonances
    (Lee and Rose, IEEE Transactions on Speech and Audio Processing 6, 1998).
    """
    return power @ _bank(warp)


def cepstra(power: Float64) -> Float64:
    """(frames, filters) -> (frames, COUNT)."""
    found: Float64 = np.log(power + _LEAST_POWER) @ TO_CEPSTRA
    return found


@cache
def _bank(warp: float) -> Float64:
    """(bins, filters): triangles of one area, evenly spaced in mel."""
    low_mel, high_mel = 2595 * np.log10(1 + np.array([_LOWEST_HZ, _HIGHEST_HZ]) / 700)
    edges = warp * 700 * (10 ** (np.linspace(low_mel, high_mel, _FILTERS + 2) / 2595) - 1)
    edges = np.minimum(edges, RATE_HZ / 2 - np.arange(_FILTERS + 2)[::-1])  # each has some width
    bins = np.arange(_FFT // 2 + 1)[:, None] * (RATE_HZ / _FFT)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    bank: Float64 = np.maximum(np.minimum(rising, falling), 0) * 2 / (high - low)
    return bank

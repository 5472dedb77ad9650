"""Features that are the same function in training and on the device: log-mel of sound, metres of a track."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from edge_agent.types import Float32

Float64 = npt.NDArray[np.floating]

RATE_HZ = 16000
WINDOW_SAMPLES = 400
"""25 ms."""
HOP_SAMPLES = 320
"""20 ms."""
FFT_SIZE = 512
MELS = 64
LOWEST_HZ = 50.0
HIGHEST_HZ = 8000.0
FLOOR = 1e-8
"""-80 dB of a full-scale sine: below the noise of a 16 bit microphone nothing is worth telling apart."""
CENTRE_DB = -45.0
SCALE_DB = 20.0


EARTH_RADIUS_M = 6371008.8
"""Mean radius (IUGG)."""


def local_metres(degrees: Float64) -> Float32:
    """(n, 2) latitude and longitude in degrees -> (n, 2) metres east and north of the last point.

    On a sphere, flat around the last point: right to a thousandth within some kilometres. Needs float64: a
    float32 degree is a step of up to a metre.
    """
    latitude, longitude = np.radians(np.asarray(degrees, np.float64)).T
    turn = (longitude - longitude[-1] + np.pi) % (2 * np.pi) - np.pi  # across the date line too
    east = EARTH_RADIUS_M * turn * np.cos(latitude[-1])
    north = EARTH_RADIUS_M * (latitude - latitude[-1])
    return np.stack([east, north], axis=1).astype(np.float32)


def frames_of(samples: int) -> int:
    """How many whole frames lie in that many samples: 99 for 2 s."""
    return 1 + (samples - WINDOW_SAMPLES) // HOP_SAMPLES


def mel_power(samples: Float32) -> Float32:
    """(..., n) -> (..., T, 64): power per mel band; a full-scale sine gives about 1 in its band."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES, axis=-1)
    frames = frames[..., ::HOP_SAMPLES, :] * _window()  # (..., T, 400)
    spectrum = np.fft.rfft(frames, FFT_SIZE, axis=-1)
    power: Float32 = (spectrum.real**2 + spectrum.imag**2).astype(np.float32, copy=False)
    mel: Float32 = np.matmul(power, _filterbank())
    return mel


def normalise(power: Float32) -> Float32:
    """Mel power -> decibels, shifted and scaled by fixed constants to about -2..2."""
    decibels: Float32 = np.float32(10.0) * np.log10(np.maximum(power, np.float32(FLOOR)))
    scaled: Float32 = (decibels - np.float32(CENTRE_DB)) / np.float32(SCALE_DB)
    return scaled


def log_mel(samples: Float32) -> Float32:
    """(..., n) samples at 16 kHz in -1..1 -> (..., T, 64) float32; T = 99 for a window of 2 s.

    Raises ValueError when there are fewer samples than one frame.
    """
    if samples.shape[-1] < WINDOW_SAMPLES:
        raise ValueError(f"{samples.shape[-1]} samples are less than one frame of {WINDOW_SAMPLES}")
    return normalise(mel_power(np.asarray(samples, np.float32)))


@cache
def _window() -> Float32:
    """A Hann window whose spectrum of a full-scale sine peaks at 1."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)
    scaled: Float32 = (hann * 2.0 / hann.sum()).astype(np.float32)
    return scaled


@cache
def _filterbank() -> Float32:
    """(257, 64) triangles on the mel scale 2595 log10(1 + f/700) (O'Shaughnessy 1987), peak 1."""
    lowest, highest = (2595.0 * np.log10(1.0 + hz / 700.0) for hz in (LOWEST_HZ, HIGHEST_HZ))
    corners_hz = 700.0 * (10.0 ** (np.linspace(lowest, highest, MELS + 2) / 2595.0) - 1.0)
    bins_hz = np.arange(FFT_SIZE // 2 + 1)[:, None] * (RATE_HZ / FFT_SIZE)  # (257,1)
    left, centre, right = corners_hz[:-2], corners_hz[1:-1], corners_hz[2:]
    rising = (bins_hz - left) / (centre - left)
    falling = (right - bins_hz) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)

"""Sound for benchmarks/voice.py: questions that espeak-ng speaks, noise and digits that were recorded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from edge_agent.types import Float32
from edge_agent.voice.espeak import EspeakSynthesiser
from edge_agent.voice.types import RATE_HZ

VOICES = ("en-us", "en", "en-us+f3", "en-gb-x-rp+m3", "en-us+m7", "en-gb+f2")
AMERICAN = tuple(voice for voice in VOICES if voice.startswith("en-us"))
SPEEDS_WPM = (130, 150, 170)
_AUDIBLE = 0.01
_PEAK = 32768.0


def spoken(text: str, voice: str, words_per_minute: int) -> Float32:
    """(n,) at RATE_HZ: a text in one voice, with a third of a second of silence before and after."""
    pieces = list(EspeakSynthesiser(voice, words_per_minute).speak(text, threading.Event()))
    whole = np.concatenate([samples for samples, _ in pieces]).astype(np.float32) / _PEAK
    speech = soxr.resample(whole, pieces[0][1], RATE_HZ).astype(np.float32) * np.float32(0.5)
    silence = np.zeros(RATE_HZ // 3, np.float32)
    return np.concatenate([silence, speech, silence])


def recording(path: Path) -> Float32:
    """(n,) at RATE_HZ, mono."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    sound: Float32 = soxr.resample(samples.mean(axis=1), rate_hz, RATE_HZ).astype(np.float32)
    return sound


class Noise:
    """The recordings of ESC-10 (every seventh), each at a power of 1."""

    def __init__(self, data: Path) -> None:
        files = sorted((data / "esc10").rglob("*.ogg"))[::7]
        found = [recording(path) for path in files]
        self._clips = [clip / clip.std() for clip in found if clip.std() > 1e-3]
        if not self._clips:
            raise SystemExit(f"error: there are no recordings of ESC-10 at {data} (EDGE_AGENT_DATA)")

    def added(self, speech: Float32, snr_db: float, seed: int) -> Float32:
        """(n,) speech with one recording under it, `snr_db` below its audible samples."""
        clip = self._clips[seed % len(self._clips)]
        power = np.sqrt(np.mean(np.square(speech[np.abs(speech) > _AUDIBLE])))
        under = np.tile(clip, len(speech) // len(clip) + 1)[: len(speech)]
        sound: Float32 = (speech + under * power * 10 ** (-snr_db / 20)).astype(np.float32)
        return sound

    def clips(self) -> Iterator[Float32]:
        """Each recording once, at the level of quiet speech."""
        return (clip * np.float32(0.05) for clip in self._clips)


def trimmed(samples: Float32) -> Float32:
    """(m,) without the silence at both ends."""
    loud = np.flatnonzero(np.abs(samples) > _AUDIBLE)
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples


def with_digit(before: Float32, digit: Float32, after: Float32) -> Float32:
    """(n,) a recorded digit between two spoken parts, at their level."""
    first, middle, last = (trimmed(part) for part in (before, digit, after))
    level = np.sqrt(np.mean(np.square(first))) / np.sqrt(np.mean(np.square(middle)))
    gap, silence = np.zeros(RATE_HZ // 20, np.float32), np.zeros(RATE_HZ // 3, np.float32)
    return np.concatenate([silence, first, gap, middle * level, gap, last, silence]).astype(np.float32)

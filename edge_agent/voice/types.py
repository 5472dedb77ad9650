"""What the voice loop is made of: each part can be another program or model behind the same protocol.

Sound is float32 mono at RATE_HZ, in -1..1, as the microphone's chunks give it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge_agent.types import Float32

RATE_HZ = 16_000
Int16 = npt.NDArray[np.int16]
Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said: `text` in lower case without punctuation, empty where nothing was understood.

    `confidence` 0..1 is the recogniser's own, comparable only with itself.
    """

    text: str
    confidence: float


class SpeechDetector(Protocol):
    """Tells speech from everything else, a frame at a time."""

    frame: int
    """Samples in a frame."""

    def is_speech(self, frame: Float32) -> bool:
        """Whether someone speaks in this frame (`frame` samples)."""
        ...

    def reset(self) -> None:
        """Forget what came before: another microphone, another moment."""
        ...


class WakePhrase(Protocol):
    """Waits for one phrase in a stream of sound."""

    def feed(self, samples: Float32) -> bool:
        """Whether the phrase ended in these samples (n,), n free."""
        ...

    def reset(self) -> None:
        """Forget what was heard so far."""
        ...


class Transcriber(Protocol):
    """Turns one utterance into words."""

    def transcribe(self, samples: Float32) -> Heard:
        """What was said in samples (n,). Raises VoiceError when the recogniser is gone."""
        ...

    def close(self) -> None:
        """Free models and processes; callable twice."""
        ...


class Synthesiser(Protocol):
    """Turns a sentence into sound."""

    def speak(self, text: str, stop: threading.Event) -> Iterator[tuple[Int16, int]]:
        """Pieces of (samples (n,) mono, rate_hz), until the end or `stop`, which ends it within 0.1 s.

        Raises VoiceError when the program or model is missing or fails.
        """
        ...

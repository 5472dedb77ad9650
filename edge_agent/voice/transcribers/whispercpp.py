"""whisper.cpp with a ggml model of the user's, through pywhispercpp."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.errors import VoiceError
from edge_agent.types import Float32
from edge_agent.voice.transcribers.supplied import THREADS, load, model_at
from edge_agent.voice.types import RATE_HZ, Heard
from edge_agent.voice.written import written

_HINT = 'transcriber_model is a file such as "ggml-tiny.en.bin" (docs/voice-recognisers.md)'
_MAGIC = b"lmgg"
_LEAST = round(1.1 * RATE_HZ)
"""Samples; it hears nothing in less than a second."""


class WhisperCppTranscriber:
    """`model` is a ggml file. Raises VoiceError where it or the package is missing."""

    def __init__(self, model: Path) -> None:
        package = load("pywhispercpp.model", "pywhispercpp")
        path = model_at(model, _HINT)
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:  # the library would crash with it
                raise VoiceError(f"{path} is no model of whisper.cpp", hint=_HINT)
        self._model: Any = package.Model(
            str(path), n_threads=THREADS, language="en", single_segment=True, redirect_whispercpp_logs_to=None
        )

    def transcribe(self, samples: Float32) -> Heard:
        """What was said in samples (n,). Raises VoiceError when it was closed."""
        if self._model is None:
            raise VoiceError("the recogniser was closed")
        padded = np.pad(samples, (0, max(0, _LEAST - len(samples)))).astype(np.float32)
        found = self._model.transcribe(padded, extract_probability=True)
        said = [s for s in found if not s.text.strip().startswith(("[", "("))]  # "[BLANK_AUDIO]"
        likely = [float(s.probability) for s in said if math.isfinite(s.probability)]
        text = written(" ".join(s.text for s in said))
        return Heard(text, min(likely, default=0.0) if text else 0.0)

    def close(self) -> None:
        """Free the model."""
        self._model = None

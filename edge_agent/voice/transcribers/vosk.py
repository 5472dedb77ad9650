"""Vosk with a model of the user's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge_agent.errors import VoiceError
from edge_agent.types import Float32
from edge_agent.voice.sphinx import pcm
from edge_agent.voice.transcribers.supplied import load, model_at
from edge_agent.voice.types import RATE_HZ, Heard
from edge_agent.voice.written import written

_HINT = (
    'transcriber_model is a folder such as "vosk-model-small-en-us-0.15" that holds am, conf and graph '
    "(docs/voice-recognisers.md)"
)


class VoskTranscriber:
    """`model` is an unpacked folder. Raises VoiceError where it or the package is missing."""

    def __init__(self, model: Path) -> None:
        package = load("vosk", "vosk")
        path = model_at(model, _HINT, "am", "conf", "graph")
        package.SetLogLevel(-1)
        try:
            self._recogniser: Any = package.KaldiRecognizer(package.Model(str(path)), RATE_HZ)
        except Exception as error:  # it raises nothing more precise
            raise VoiceError(f"vosk cannot load {path}: {error}", hint=_HINT) from error
        self._recogniser.SetWords(True)

    def transcribe(self, samples: Float32) -> Heard:
        """What was said in samples (n,). Raises VoiceError when it was closed."""
        if self._recogniser is None:
            raise VoiceError("the recogniser was closed")
        self._recogniser.Reset()
        self._recogniser.AcceptWaveform(pcm(samples))
        found = json.loads(self._recogniser.FinalResult())
        sure = [float(word["conf"]) for word in found.get("result", ())]
        text = written(found["text"])
        return Heard(text, sum(sure) / len(sure) if sure and text else 0.0)

    def close(self) -> None:
        """Free the model."""
        self._recogniser = None

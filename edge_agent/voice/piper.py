"""Piper: a natural voice of the user's, as a process of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

from edge_agent.errors import VoiceError
from edge_agent.voice.program import int16, sound_of
from edge_agent.voice.types import Int16

_INSTALL = "pip install piper-tts"
_HINT = 'synthesiser_model is a file such as "en_US-lessac-low.onnx" with its .onnx.json beside it'


class PiperSynthesiser:
    """`model` is an ONNX voice with its JSON beside it; `program` the executable. Raises VoiceError."""

    def __init__(self, model: Path, program: str = "piper") -> None:
        described = model.with_name(f"{model.name}.json")
        try:
            self._rate_hz = int(json.loads(described.read_text(encoding="utf-8"))["audio"]["sample_rate"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise VoiceError(f"{described} does not describe a voice: {error}", hint=_HINT) from error
        if not model.is_file():
            raise VoiceError(f"there is no voice {model}", hint=_HINT)
        self._command = [program, "--model", str(model.absolute()), "--output-raw"]

    def speak(self, text: str, stop: threading.Event) -> Iterator[tuple[Int16, int]]:
        """Pieces of (samples (n,) mono, rate_hz); ends within 0.1 s of `stop`. Raises VoiceError."""
        line = " ".join(text.split())
        for samples in int16(sound_of(self._command, line, stop, _INSTALL)):
            yield samples, self._rate_hz

"""sherpa-onnx with a transducer of the user's: Zipformer, Parakeet and their like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_agent.errors import VoiceError
from edge_agent.types import Float32
from edge_agent.voice.transcribers.supplied import THREADS, load, model_at
from edge_agent.voice.types import RATE_HZ, Heard
from edge_agent.voice.written import written

_NETWORKS = ("encoder", "decoder", "joiner")
_HINT = (
    "transcriber_model is a folder with tokens.txt and one encoder*.onnx, decoder*.onnx and joiner*.onnx of "
    "a model that does not stream (docs/voice-recognisers.md)"
)


class SherpaTranscriber:
    """`model` is an unpacked folder. Raises VoiceError where it or the package is missing."""

    def __init__(self, model: Path) -> None:
        package = load("sherpa_onnx", "sherpa-onnx")
        path = model_at(model, _HINT, "tokens.txt")
        tokens = (path / "tokens.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        found = {name: sorted(path.glob(f"{name}*.onnx")) for name in _NETWORKS}
        sound = all(line.rpartition(" ")[2].strip().isdigit() for line in tokens)
        if not all(found.values()) or not tokens or not sound:  # the library would end the process
            raise VoiceError(f"{path} is no model of sherpa-onnx", hint=_HINT)
        parts = {name: str(files[0]) for name, files in found.items()}  # "int8" is sorted before the others
        try:
            self._recogniser: Any = package.OfflineRecognizer.from_transducer(
                **parts, tokens=str(path / "tokens.txt"), num_threads=THREADS
            )
        except Exception as error:  # it raises nothing more precise
            raise VoiceError(f"sherpa-onnx cannot load {path}: {error}", hint=_HINT) from error

    def transcribe(self, samples: Float32) -> Heard:
        """What was said in samples (n,); confidence 1 where anything was. Raises VoiceError."""
        if self._recogniser is None:
            raise VoiceError("the recogniser was closed")
        stream = self._recogniser.create_stream()
        stream.accept_waveform(RATE_HZ, samples)
        self._recogniser.decode_stream(stream)
        text = written(stream.result.text)
        return Heard(text, 1.0 if text else 0.0)

    def close(self) -> None:
        """Free the model."""
        self._recogniser = None

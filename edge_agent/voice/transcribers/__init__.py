"""Recognisers behind the protocol Transcriber, each loaded when it is chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from edge_agent.config_voice import TranscriberName
from edge_agent.errors import VoiceError
from edge_agent.voice.grammar import SpokenGrammar
from edge_agent.voice.transcribers.pocketsphinx import PocketsphinxTranscriber
from edge_agent.voice.transcribers.sherpa import SherpaTranscriber
from edge_agent.voice.transcribers.vosk import VoskTranscriber
from edge_agent.voice.transcribers.whispercpp import WhisperCppTranscriber
from edge_agent.voice.types import Transcriber

if TYPE_CHECKING:
    from edge_agent.voice.speech_network import SpeechNetwork

TRANSCRIBERS: tuple[TranscriberName, ...] = get_args(TranscriberName)
_SUPPLIED: dict[str, Callable[[Path], Transcriber]] = {
    "whisper.cpp": WhisperCppTranscriber,
    "vosk": VoskTranscriber,
    "sherpa-onnx": SherpaTranscriber,
}


def make_transcriber(
    name: TranscriberName,
    grammar: SpokenGrammar,
    model: Path | None = None,
    network: SpeechNetwork | None = None,
) -> Transcriber:
    """The recogniser of that name; `model` is what those need that bring none. Raises VoiceError.

    `network` is that of moonshine where it is loaded already.
    """
    if name == "moonshine":
        from edge_agent.voice.transcribers.moonshine import MoonshineTranscriber  # noqa: PLC0415  # 20 MB

        return MoonshineTranscriber(network, grammar)
    if name == "pocketsphinx":
        return PocketsphinxTranscriber(grammar)
    if name not in _SUPPLIED:
        raise VoiceError(f'there is no recogniser "{name}"', hint=f"choose one of {', '.join(TRANSCRIBERS)}")
    if model is None:
        raise VoiceError(f"{name} needs a model", hint="set voice.transcriber_model")
    return _SUPPLIED[name](model)

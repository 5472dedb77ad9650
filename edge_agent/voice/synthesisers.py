"""What speaks, as the configuration names it."""

from __future__ import annotations

from edge_agent.config_voice import VoiceSettings
from edge_agent.voice.espeak import EspeakSynthesiser
from edge_agent.voice.piper import PiperSynthesiser
from edge_agent.voice.types import Synthesiser


def make_synthesiser(settings: VoiceSettings) -> Synthesiser:
    """The synthesiser of the table `[voice]`. Raises VoiceError where its model is not there."""
    if settings.synthesiser_model is not None and settings.synthesiser == "piper":
        return PiperSynthesiser(settings.synthesiser_model)
    return EspeakSynthesiser(settings.speaker, settings.words_per_minute)

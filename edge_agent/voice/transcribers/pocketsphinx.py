"""pocketsphinx held to a grammar: few words, so that a small model gets them right."""

from __future__ import annotations

import re
from typing import Any

from edge_agent.errors import VoiceError
from edge_agent.types import Float32
from edge_agent.voice import sphinx
from edge_agent.voice.types import Heard

_SEARCH = "questions"
_BEAMS = {"beam": 1e-80, "wbeam": 1e-60, "pbeam": 1e-80}
"""Wider than the defaults: those lose the right path in a grammar, and so the whole sentence."""


class PocketsphinxTranscriber:
    """Hears the sentences of a JSGF grammar, and nothing else.

    Raises VoiceError for a grammar that is none or has words without a pronunciation.
    """

    def __init__(self, grammar: str, words: sphinx.Pronunciations) -> None:
        # bestpath off: it cuts sentences short (pocketsphinx issue 318).
        self._decoder: Any = sphinx.decoder(words, bestpath=False, **_BEAMS)
        try:
            self._decoder.add_jsgf_string(_SEARCH, grammar)
            self._decoder.activate_search(_SEARCH)
        except (ValueError, RuntimeError) as error:
            raise VoiceError(f"the grammar cannot be used: {error}") from error

    def transcribe(self, samples: Float32) -> Heard:
        """What was said in samples (n,)."""
        if self._decoder is None:
            raise VoiceError("the recogniser was closed")
        if not len(samples):
            return Heard("", 0.0)
        self._decoder.start_utt()
        self._decoder.process_raw(sphinx.pcm(samples), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        if found is None:
            return Heard("", 0.0)
        return Heard(re.sub(r"\(\d+\)", "", found.hypstr), 1.0)

    def close(self) -> None:
        """Free the models."""
        self._decoder = None

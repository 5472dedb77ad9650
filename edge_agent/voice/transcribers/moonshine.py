"""Moonshine tiny, led by what may be asked: open to any word, and inclined to what makes sense."""

from __future__ import annotations

import ctypes
import math
import random

from edge_agent.errors import VoiceError
from edge_agent.types import Float32
from edge_agent.voice.beam import Beam, Sentence
from edge_agent.voice.grammar import SpokenGrammar
from edge_agent.voice.ngrams import WordOrder
from edge_agent.voice.speech_network import SpeechNetwork
from edge_agent.voice.types import RATE_HZ, Heard
from edge_agent.voice.written import written

SENTENCES = 30_000
SENSIBLE = 2.0
"""How much a sentence that can be answered is worth, in the scale of its score."""
TRIED = 12
"""The likeliest sentences among which one is looked for that makes sense."""
UNSURE = 0.12
"""Geometric mean of the probability of a word, below which it is better to ask again."""
_LEAST_S = 0.3
_SEED = 6


class MoonshineTranscriber:
    """Hears questions."""

    def __init__(self, network: SpeechNetwork | None, grammar: SpokenGrammar) -> None:
        """`network` is one that is loaded already."""
        rng = random.Random(_SEED)
        order = WordOrder(grammar.rules.say(rng) for _ in range(SENTENCES))
        self._beam: Beam | None = Beam(network or SpeechNetwork(), order)
        self._sense = grammar.sense
        _give_back_memory()

    def transcribe(self, samples: Float32) -> Heard:
        """What was said in samples (n,). Raises VoiceError when it was closed."""
        if self._beam is None:
            raise VoiceError("the recogniser was closed")
        if len(samples) < _LEAST_S * RATE_HZ or not samples.any():
            return Heard("", 0.0)
        found = self._beam.search(samples)[:TRIED]
        _give_back_memory()
        if not found:
            return Heard("", 0.0)
        best = max(found, key=self._worth)
        confidence = math.exp(min(0.0, best.heard / (len(best.words) + 1)))
        return Heard(written(best.text) if confidence >= UNSURE else "", confidence)

    def close(self) -> None:
        """Free the model."""
        self._beam = None

    def _worth(self, sentence: Sentence) -> float:
        return sentence.score + SENSIBLE * self._sense.of(written(sentence.text))


def _give_back_memory() -> None:
    """What the network freed goes back to the system at once: 30 MB less while it waits."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

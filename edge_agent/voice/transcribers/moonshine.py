"""Moonshine tiny, led by what may be asked: open to any word, and inclined to what makes sense."""

from __future__ import annotations

import ctypes
import math
import random

import numpy as np
import soxr

from edge_agent.errors import VoiceError
from edge_agent.types import Float32
from edge_agent.voice.beam import Beam, Sentence
from edge_agent.voice.foreseen import Foreseen
from edge_agent.voice.grammar import SpokenGrammar
from edge_agent.voice.ngrams import WordOrder
from edge_agent.voice.speech_network import SpeechNetwork
from edge_agent.voice.types import RATE_HZ, Heard
from edge_agent.voice.written import written

SENTENCES = 20_000
SENSIBLE = 2.0
"""How much a sentence that can be answered is worth, in the scale of its score."""
TRIED = 12
"""The likeliest sentences among which one is looked for that makes sense."""
UNSURE = 0.12
"""Geometric mean of the probability of a word, below which it is better to ask again."""
UNHEARD = 0.7
"""The same, below which it is listened to once more, slowed down: other sentences come to mind then."""
SLOWER = 1.1
QUIET_S = 0.375
"""Silence put before it then: a first word that is said softly ("was anyone") is heard better after some."""
_LEAST_S = 0.3
_SEED = 6


class MoonshineTranscriber:
    """Hears questions."""

    def __init__(self, network: SpeechNetwork | None, grammar: SpokenGrammar) -> None:
        """`network` is one that is loaded already."""
        rng = random.Random(_SEED)
        order = WordOrder(grammar.rules.say(rng) for _ in range(SENTENCES))
        foreseen = Foreseen(grammar.rules, order)
        self._beam: Beam | None = Beam(network or SpeechNetwork(), order, foreseen)
        self._sense = grammar.sense
        _give_back_memory()

    def transcribe(self, samples: Float32) -> Heard:
        """What was said in samples (n,). Raises VoiceError when it was closed."""
        if self._beam is None:
            raise VoiceError("the recogniser was closed")
        if len(samples) < _LEAST_S * RATE_HZ or not samples.any():
            return Heard("", 0.0)
        best = self._best(self._beam, samples)
        _give_back_memory()
        sure = _confidence(best)
        return Heard(written(best.text) if best and sure >= UNSURE else "", sure)

    def _best(self, beam: Beam, samples: Float32) -> Sentence | None:
        """Of what comes to mind at one speed or, in doubt, at two; None where nothing does."""
        best = max(beam.search(samples)[:TRIED], key=self._worth, default=None)
        if _confidence(best) >= UNHEARD:
            return best
        first = [] if best is None else [best]
        return max([*first, *beam.search(_again(samples))[:TRIED]], key=self._worth, default=None)

    def close(self) -> None:
        """Free the model."""
        self._beam = None

    def _worth(self, sentence: Sentence) -> float:
        return sentence.score + SENSIBLE * self._sense.of(written(sentence.text))


def _again(samples: Float32) -> Float32:
    """Slowed down, after a silence."""
    slower = soxr.resample(samples, RATE_HZ, SLOWER * RATE_HZ)
    return np.pad(slower, (round(QUIET_S * RATE_HZ), 0)).astype(np.float32, copy=False)


def _confidence(sentence: Sentence | None) -> float:
    """The geometric mean of the probability of its words; 0 for none."""
    return math.exp(min(0.0, sentence.heard / (len(sentence.words) + 1))) if sentence else 0.0


def _give_back_memory() -> None:
    """What the network freed goes back to the system at once: 30 MB less while it waits."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

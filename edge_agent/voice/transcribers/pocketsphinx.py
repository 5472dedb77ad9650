"""pocketsphinx with the words and the word order of a grammar: the less there is, the righter.

The grammar's sentences become a model of which word follows which two. That is looser than the grammar
itself: a question that nobody foresaw is heard as the nearest words that do follow each other. It is also
quicker: held to the whole grammar the same decoder needs a hundred times as long. Noise is taken away first,
and what is not heard surely is listened to again as from a shorter vocal tract.
"""

from __future__ import annotations

import math
import random
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edge_agent.errors import VoiceError
from edge_agent.types import Float32
from edge_agent.voice import cepstra, ngrams, sphinx
from edge_agent.voice.denoising import cleaned, speech_of
from edge_agent.voice.grammar import SpokenGrammar
from edge_agent.voice.types import Float64, Heard
from edge_agent.voice.written import written

SENTENCES = 30_000
_SEARCH = "questions"
_SEED = 6
_SPEECH_RMS = 0.1
_FLOOR_RMS = 0.002
"""Of the noise that is added to speech of _SPEECH_RMS: what was gated or computed has silences of nothing,
which the features, being logarithms, take for something."""
_SHORTER_TRACT = 1.15
"""The warp of frequencies for a woman, whose vocal tract is some 15 % shorter than a man's."""
_SURE = 0.8
"""Confidence from which on no other vocal tract is tried."""
_BETTER = 2e-4
"""How much likelier each frame must be for another vocal tract, in pocketsphinx's own scale."""
_LEAST_FRAMES = 10
_SETTINGS = {"wip": 0.2, "pip": 0.8, "lw": 8.0, "fwdflatlw": 10.5, "bestpathlw": 11.5}
"""Each word and phone must be worth it: in noise the defaults hear many short words. And the order of words
says more here than in free talk, which the defaults are for."""
_VARIANT = re.compile(r"\(\d+\)")
_FILLERS = re.compile(r"[<\[].*")


class PocketsphinxTranscriber:
    """Hears questions. Raises VoiceError where the package is missing or there is no grammar."""

    def __init__(self, grammar: SpokenGrammar) -> None:
        rng = random.Random(_SEED)
        sentences = [grammar.rules.say(rng) for _ in range(SENTENCES)]
        self._decoder: Any = sphinx.decoder(grammar.words, **_SETTINGS)
        self._speech = speech_of(sphinx.acoustic_model())
        with TemporaryDirectory() as folder:  # pocketsphinx reads a file, once
            path = Path(folder) / "questions.arpa"
            path.write_text(ngrams.arpa(sentences), encoding="utf-8")
            self._decoder.add_lm_file(_SEARCH, str(path))
        self._decoder.activate_search(_SEARCH)

    def transcribe(self, samples: Float32) -> Heard:
        """What was said in samples (n,). Raises VoiceError when it was closed."""
        if self._decoder is None:
            raise VoiceError("the recogniser was closed")
        if not len(samples):
            return Heard("", 0.0)
        power = cepstra.spectrum(_levelled(samples))
        if len(power) < _LEAST_FRAMES:
            return Heard("", 0.0)
        likely, first = self._heard(power, 1.0)
        if first.confidence >= _SURE:
            return first
        other_likely, other = self._heard(power, _SHORTER_TRACT)
        return other if other_likely > likely + _BETTER * len(power) else first

    def close(self) -> None:
        """Free the models."""
        self._decoder = None

    def _heard(self, power: Float64, warp: float) -> tuple[float, Heard]:
        """(log likelihood, what was said) of a spectrum (frames, bins)."""
        clean = cleaned(cepstra.filtered(power, warp), self._speech)
        self._decoder.start_stream()  # else what it takes for noise is that of the question before
        self._decoder.start_utt()
        self._decoder.process_cep(clean.astype(np.float32).tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        if found is None or not found.best_score or not (text := written(_VARIANT.sub("", found.hypstr))):
            return -math.inf, Heard("", 0.0)
        return math.log(found.best_score), Heard(text, self._confidence())

    def _confidence(self) -> float:
        """Geometric mean of how much better each word is than all that could stand in its place."""
        likely = [s.prob for s in self._decoder.seg() if not _FILLERS.match(s.word)]
        return math.exp(sum(math.log(max(p, 1e-9)) for p in likely) / len(likely)) if likely else 0.0


def _levelled(samples: Float32) -> Float32:
    """(n,) with its loud half at one level, over a floor of noise; the same for the same."""
    power = np.square(samples.astype(np.float64))
    loud = power[power >= np.quantile(power, 0.5)].mean()
    gain = _SPEECH_RMS / math.sqrt(loud) if loud > 0 else 1.0
    floor = np.random.default_rng(_SEED).normal(0.0, _FLOOR_RMS, len(samples))
    return (samples * gain + floor).astype(np.float32)

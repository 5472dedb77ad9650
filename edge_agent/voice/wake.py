"""The wake phrase, by a keyphrase search of pocketsphinx."""

from __future__ import annotations

import re

import numpy as np

from edge_agent.errors import VoiceError
from edge_agent.types import Float32
from edge_agent.voice import sphinx
from edge_agent.voice.types import RATE_HZ

MIN_PHONES = 6
"""A phrase that is shorter is heard in any talk."""

_FLOOR_RMS = 0.002
_OTHER_SPEECH = 1e-4
"""How likely a phone outside the phrase is."""


class PocketsphinxWake:
    """Waits for one phrase of English words. `threshold` is smaller for a phrase that must be missed less."""

    def __init__(self, phrase: str, threshold: float = 1e-40) -> None:
        words = re.findall(r"[a-z']+", phrase.lower())
        ways = sphinx.pronunciations(words)
        if not words or len(ways) < len(set(words)):
            unknown = ", ".join(f'"{word}"' for word in words if word not in ways) or f'"{phrase}"'
            raise VoiceError(
                f"the wake phrase has words that the recogniser does not know: {unknown}",
                hint='choose English words of a dictionary, for example "hey computer"',
            )
        if sum(len(ways[word][0].split()) for word in words) < MIN_PHONES:
            raise VoiceError(
                f'the wake phrase "{phrase}" is too short to be told from other talk',
                hint='choose three syllables or more, for example "hey computer"',
            )
        self._floor = np.random.default_rng(1).normal(0.0, _FLOOR_RMS, RATE_HZ)
        self._decoder = sphinx.decoder(ways, kws_threshold=threshold, kws_plp=_OTHER_SPEECH)
        self._decoder.add_keyphrase("wake", " ".join(words))
        self._decoder.activate_search("wake")
        self._decoder.start_utt()

    def feed(self, samples: Float32) -> bool:
        """Whether the phrase ended in these samples (n,)."""
        # Over a floor of noise: what was computed or gated has silences of nothing.
        floor = np.resize(self._floor, len(samples))
        self._decoder.process_raw(sphinx.pcm((samples + floor).astype(np.float32)))
        if self._decoder.hyp() is None:
            return False
        self.reset()
        return True

    def reset(self) -> None:
        """Forget what was heard so far."""
        self._decoder.end_utt()
        self._decoder.start_utt()

"""A phrase that is waited for, by the speech network: is it the likeliest thing that was just said?

Every _HOP_S the last _WINDOW_S of what may be speech are listened to, and the network is asked how likely it
would write the phrase, in any usual way to write it. Other talk is so much less likely that one limit serves.
"""

from __future__ import annotations

import re
from itertools import pairwise, product

import numpy as np

from edge_agent.errors import VoiceError
from edge_agent.types import Float32
from edge_agent.voice.pieces import Spelling
from edge_agent.voice.speech_network import Said, Sound, SpeechNetwork
from edge_agent.voice.types import RATE_HZ

LEAST_LETTERS = 8
"""A phrase that is shorter is heard in any talk."""
_WINDOW_S, _HOP_S = 1.6, 0.4
_MOST, _MOST_WORD = 5.0, 1.25
"""What the phrase and each word of it may cost in log probability: 7.5 for "hey computer". In six voices that
cost 2.6 at most in quiet and 7.4 with noise 5 dB below the voice, other talk above 11. "Stop it" for "stop
talking" cost 8.2."""
_STEP = round(_HOP_S * RATE_HZ)
_WINDOW = round(_WINDOW_S * RATE_HZ)


class NetworkPhrase:
    """Waits for one phrase of English words. Raises VoiceError for one that is too short."""

    def __init__(self, network: SpeechNetwork, phrase: str) -> None:
        words = re.findall(r"[a-z']+", phrase.lower())
        if sum(map(len, words)) < LEAST_LETTERS:
            raise VoiceError(
                f'the phrase "{phrase}" is too short to be told from other talk',
                hint=f'choose {LEAST_LETTERS} letters or more, for example "hey computer"',
            )
        self._network = network
        self._forms = _forms(network, words)
        self._most = _MOST + _MOST_WORD * len(words)
        self._last = np.zeros(0, np.float32)
        self._new = 0

    def feed(self, samples: Float32) -> bool:
        """Whether the phrase ended in these samples (n,) or shortly before."""
        for start in range(0, len(samples), _STEP):
            piece = samples[start : start + _STEP]
            self._last = np.concatenate([self._last, piece])[-_WINDOW:]
            self._new += len(piece)
            if self._new >= _STEP:
                self._new = 0
                if self._is_said():
                    self.reset()
                    return True
        return False

    def reset(self) -> None:
        """Forget what was heard so far."""
        self._last, self._new = np.zeros(0, np.float32), 0

    def _is_said(self) -> bool:
        sound, said, likely = self._network.listen(self._last)
        costs = [self._cost(sound, said, likely, pieces) for pieces in self._forms]
        return bool(-np.logaddexp.reduce([-cost for cost in costs]) <= self._most)

    def _cost(self, sound: Sound, said: Said, likely: Float32, pieces: list[int]) -> float:
        """Minus the log probability of the phrase written in these pieces; infinite where it is hopeless."""
        cost = -float(likely[pieces[0]])
        for piece, following in pairwise(pieces):
            if cost > self._most:
                return np.inf
            said, likely = self._network.go_on(sound, [(said, piece)])[0]
            cost -= float(likely[following])
        return cost


def _forms(network: SpeechNetwork, words: list[str]) -> list[list[int]]:
    """A phrase as it may be written: with a capital at its start, a comma after it, capitals in the rest."""
    found: list[list[int]] = []
    spelling = Spelling(network.pieces)
    for begun, paused, named in product((True, False), repeat=3):
        pieces = spelling.of(words[0].capitalize() if begun else words[0])
        if paused and len(words) > 1:
            pieces += network.pieces.pauses[-1:]
        for word in words[1:]:
            pieces += spelling.of(word.capitalize() if named else word)
        if pieces not in found:
            found.append(pieces)
    return found

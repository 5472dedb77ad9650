"""Where speech begins and ends in a stream of sound, and what the wake phrase can be in. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from edge_agent.types import Float32
from edge_agent.voice.types import RATE_HZ, SpeechDetector

BEFORE_S = 0.4
"""What is kept of the sound before speech was noticed: a word begins softly."""
BEGIN_S = 0.12
"""Speech is believed when so much of it came without a break: a door that shuts is shorter."""
AFTER_S = 1.0
"""How long after speech the wake phrase may still be ending."""


class Frames:
    """Any pieces of sound in, frames of one length out; what is left over waits."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._rest = np.zeros(0, np.float32)

    def cut(self, samples: Float32) -> Iterator[Float32]:
        """Whole frames (length,) of what waited and these samples (n,)."""
        data = np.concatenate([self._rest, samples])
        whole = len(data) // self._length * self._length
        self._rest = data[whole:]
        yield from data[:whole].reshape(-1, self._length)

    def reset(self) -> None:
        """Forget what waits."""
        self._rest = self._rest[:0]


class _Kept:
    """The last frames, up to some seconds of them."""

    def __init__(self, seconds: float, frame: int) -> None:
        self.frames: deque[Float32] = deque(maxlen=max(1, round(seconds * RATE_HZ / frame)))

    def take(self) -> list[Float32]:
        """All of them, and keep none."""
        found = list(self.frames)
        self.frames.clear()
        return found


class Utterance:
    """One utterance: `begun` when someone speaks, `over` after `pause_s` of silence, with its `samples`."""

    def __init__(self, detector: SpeechDetector, pause_s: float) -> None:
        self.begun = self.over = False
        self._detector = detector
        self._frame_s = detector.frame / RATE_HZ
        self._pause_s = pause_s
        self._frames = Frames(detector.frame)
        self._before = _Kept(BEFORE_S + BEGIN_S, detector.frame)
        self._said: list[Float32] = []
        self._speech_s = self._silence_s = 0.0

    def reset(self) -> None:
        """Wait for the next one."""
        self.begun = self.over = False
        self._detector.reset()
        self._frames.reset()
        self._before.take()
        self._said = []
        self._speech_s = self._silence_s = 0.0

    def feed(self, samples: Float32) -> None:
        """Take samples (n,); nothing is taken any more once it is over."""
        for frame in self._frames.cut(samples):
            if not self.over:
                self._take(frame, speech=self._detector.is_speech(frame))

    def _take(self, frame: Float32, *, speech: bool) -> None:
        self._speech_s = self._speech_s + self._frame_s if speech else 0.0
        self._silence_s = 0.0 if speech else self._silence_s + self._frame_s
        if self.begun:
            self._said.append(frame)
            self.over = self._silence_s >= self._pause_s
            return
        self._before.frames.append(frame)
        if self._speech_s >= BEGIN_S:
            self.begun = True
            self._said = self._before.take()

    @property
    def samples(self) -> Float32:
        """(n,) from a little before the first word on."""
        return np.concatenate(self._said) if self._said else np.zeros(0, np.float32)


class Gate:
    """Lets through what a wake phrase can be in: speech, with a little before and after it.

    A recogniser that listened to every hour of silence would cost half a core, and hear the phrase in noise.
    """

    def __init__(self, detector: SpeechDetector) -> None:
        self._detector = detector
        self._frame_s = detector.frame / RATE_HZ
        self._frames = Frames(detector.frame)
        self._before = _Kept(BEFORE_S, detector.frame)
        self._open_s = 0.0

    @property
    def open(self) -> bool:
        """Whether speech is near."""
        return self._open_s > 0

    def reset(self) -> None:
        """Close, and forget what came before."""
        self._detector.reset()
        self._frames.reset()
        self._before.take()
        self._open_s = 0.0

    def feed(self, samples: Float32) -> Float32:
        """(m,) of these samples (n,) and of those kept from before that is to be listened to; m may be 0."""
        through: list[Float32] = []
        for frame in self._frames.cut(samples):
            if self._detector.is_speech(frame):
                through += self._before.take()
                self._open_s = AFTER_S
            elif self.open:
                self._open_s = max(0.0, self._open_s - self._frame_s)
            (through if self.open else self._before.frames).append(frame)
        return np.concatenate(through) if through else np.zeros(0, np.float32)

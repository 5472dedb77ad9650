"""Questions as WAV files, where the configuration says `store_audio = true`; else there are none."""

from __future__ import annotations

import logging
import wave
from pathlib import Path

import numpy as np

from edge_agent.types import Float32
from edge_agent.voice.types import RATE_HZ

MOST = 100
_log = logging.getLogger(__name__)


class KeptAudio:
    """The last MOST questions in `folder`, for this user alone. A disk that fails is reported, no more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, name: str, samples: Float32) -> None:
        """Write (n,) samples as `name`.wav; names must sort by time."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with wave.open(str(self._folder / f"{name}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(RATE_HZ)
                file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
            for old in sorted(self._folder.glob("*.wav"))[:-MOST]:
                old.unlink()
        except OSError as error:
            _log.warning("a question was not kept in %s: %s", self._folder, error.strerror)

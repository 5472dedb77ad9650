"""espeak-ng: small, in every distribution, and understood by most."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from edge_agent.errors import VoiceError
from edge_agent.voice.program import int16, sound_of
from edge_agent.voice.types import Int16

_HEADER_BYTES = 44
"""RIFF, fmt and the head of data, as espeak-ng writes them; the lengths in it are invented."""
_RATE_AT = slice(24, 28)
_INSTALL = "apt install espeak-ng; `espeak-ng --voices=en` lists the voices"


class EspeakSynthesiser:
    """`voice` is one of `espeak-ng --voices`, `program` the executable."""

    def __init__(self, voice: str = "en", words_per_minute: int = 160, program: str = "espeak-ng") -> None:
        if not 80 <= words_per_minute <= 450:
            raise ValueError(f"words_per_minute must be 80 to 450, not {words_per_minute}")
        self._command = [program, "-v", voice, "-s", str(words_per_minute), "--stdin", "--stdout"]

    def speak(self, text: str, stop: threading.Event) -> Iterator[tuple[Int16, int]]:
        """Pieces of (samples (n,) mono, rate_hz); ends within 0.1 s of `stop`. Raises VoiceError."""
        pieces = sound_of(self._command, text, stop, _INSTALL)
        head = b""
        while len(head) < _HEADER_BYTES:
            if not (piece := next(pieces, b"")):
                return  # nothing to say, or stopped
            head += piece
        if head[:4] != b"RIFF" or head[36:40] != b"data":
            raise VoiceError(f"{self._command[0]} wrote no WAV", hint=_INSTALL)
        rate_hz = int.from_bytes(head[_RATE_AT], "little")
        yield from ((samples, rate_hz) for samples in int16(_then(head[_HEADER_BYTES:], pieces)))


def _then(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest

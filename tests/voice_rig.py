"""For tests of the voice: what is spoken, the virtual sound card of the demo, and who hears it there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest

from benchmarks import voice_sound
from edge_agent import manifest as manifests
from edge_agent.demo_room import Room, missing
from edge_agent.voice.speech_network import END, SpeechNetwork
from edge_agent.voice.types import RATE_HZ

MODEL = manifests.read(Path(__file__).parent.parent / "models" / "iotlm-7m")
SLOTS = ("imu_watch", "audio", "air", "thermal", "room")
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
_PIECES_PER_S = 10
SPOKEN = 0.75
"""So `alike` are a sentence and what is overheard of it; two others are below a half."""


def spoken(text: str, voice: str = "en-us", words_per_minute: int = 150) -> np.ndarray:
    """(n,) at RATE_HZ."""
    return voice_sound.spoken(text, voice, words_per_minute)


@contextmanager
def room(folder: Path) -> Iterator[Room]:
    """Skips where the sound card cannot be made; the reason says what to install."""
    if lacking := missing():
        pytest.skip(lacking)
    made = Room(folder)
    made.plug()
    try:
        yield made
    finally:
        made.unplug()


def overheard(path: Path) -> str:
    """What a WAV file says, to one that expects no question of it: the network's own likeliest pieces."""
    network = SpeechNetwork()
    samples = voice_sound.recording(path)
    sound, said, likely = network.listen(samples)
    pieces: list[int] = []
    while len(pieces) < _PIECES_PER_S * len(samples) / RATE_HZ:
        if (piece := int(likely.argmax())) == END:
            break
        pieces.append(piece)
        if again := _repeated(pieces):
            pieces = pieces[:-again]
            break
        ((said, likely),) = network.go_on(sound, [(said, piece)])
    text = b"".join(network.pieces[piece] for piece in pieces)
    return text.decode(errors="replace").replace("\u2581", " ").strip()


def _repeated(pieces: list[int]) -> int:
    """How many of the last pieces stood just before, too: so the network goes on where it misses an end."""
    sizes = (n for n in range(2, len(pieces) // 2 + 1) if pieces[-n:] == pieces[-2 * n : -n])
    return next(sizes, 0)


def alike(first: str, second: str) -> float:
    """0..1: how many of their letters and digits two texts share, in one order."""
    plain = (re.sub("[^a-z0-9]", "", text.lower().replace("%", "percent")) for text in (first, second))
    return SequenceMatcher(None, *plain, autojunk=False).ratio()

"""pocketsphinx with the American English model of its wheel: decoders for few words, and what it knows.

A decoder gets the words it needs and no others: so it takes 6 MiB and 10 ms instead of 27 MiB and 110 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.errors import VoiceError
from edge_agent.types import Float32

Pronunciations = Mapping[str, tuple[str, ...]]
"""word -> the ways to say it, each as phones: "K AE T"."""
_FULL_SCALE = 32767
_HINT = "pip install 'iotlm-edge[voice]'"


def decoder(words: Pronunciations, **options: object) -> Any:
    """A decoder that knows these words and has no search yet. Raises VoiceError."""
    made = _package().Decoder(lm=None, dict=None, loglevel="FATAL", **options)
    for word, ways in words.items():
        for i, phones in enumerate(ways):
            made.add_word(word if i == 0 else f"{word}({i + 1})", phones, False)
    return made


def pronunciations(words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """How to say those of `words` that are in the dictionary. Raises VoiceError."""
    wanted = dict.fromkeys(words)
    known: dict[str, list[str]] = {}
    for word, phones in _dictionary():
        if word in wanted:
            known.setdefault(word, []).append(phones)
    return {word: tuple(known[word]) for word in wanted if word in known}


class Vocabulary:
    """The words of the dictionary, looked up in its file: as a set they are 20 MB. Raises VoiceError."""

    def __init__(self) -> None:
        self._text = b"\n" + _dictionary_path().read_bytes()

    def __contains__(self, word: object) -> bool:
        return f"\n{word} ".encode() in self._text


def acoustic_model() -> Path:
    """The folder of the model that decoders use. Raises VoiceError."""
    return Path(_package().get_model_path("en-us/en-us"))


def pcm(samples: Float32) -> bytes:
    """(n,) in -1..1 as the 16-bit samples that a decoder takes."""
    return (np.clip(samples, -1.0, 1.0) * _FULL_SCALE).astype("<i2").tobytes()


def _dictionary() -> Iterator[tuple[str, str]]:
    """(word, one way to say it), 135,000 of them: read each time, since they are needed only at a start."""
    with _dictionary_path().open(encoding="utf-8") as file:
        for line in file:
            word, _, phones = line.rstrip("\n").partition(" ")
            yield word.partition("(")[0], phones


def _dictionary_path() -> Path:
    """In the package, which is not imported for it: 4 MB, where nothing else of it is used."""
    spec = find_spec("pocketsphinx")
    if spec is None or spec.origin is None:
        raise VoiceError("the dictionary of pocketsphinx is not there", hint=_HINT)
    return Path(spec.origin).parent / "model" / "en-us" / "cmudict-en-us.dict"


@cache
def _package() -> Any:
    try:
        import pocketsphinx  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise VoiceError(f"the recogniser cannot be loaded: {error}", hint=_HINT) from error
    return pocketsphinx

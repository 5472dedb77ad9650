"""Moonshine tiny (Jeffries et al. 2024, arXiv 2410.15608): from sound to pieces of written English.

27 million parameters in 8 bits, by the MIT licence, in the wheel of moonshine-voice; run on onnxruntime, so
nothing of that package but its files is used. Each file is compared with its sha256 before it is loaded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.errors import ModelError, VoiceError
from edge_agent.perception.onnx_session import lean_session
from edge_agent.types import Float32
from edge_agent.voice.pieces import Pieces
from edge_agent.voice.types import RATE_HZ, Int64

PACKAGE, VERSION = "moonshine-voice", "0.1.0"
HINT = f"pip install {PACKAGE}=={VERSION}; or set voice.transcriber = 'pocketsphinx'"
BEGIN, END = 1, 2
"""The pieces before the first and after the last."""
_SHA256 = {
    "encoder_model.ort": "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
    "decoder_model_merged.ort": "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
    "tokenizer.bin": "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
}
_SHAPE = (8, 0, 36)
"""Heads, pieces so far, width of a head."""
_LEAST = round(0.2 * RATE_HZ)


@dataclass(frozen=True, slots=True)
class Sound:
    """What the encoder makes of an utterance: (1, frames, 288), and the decoder's keys and values of it."""

    hidden: Float32
    remembered: dict[str, Float32]


@dataclass(frozen=True, slots=True)
class Said:
    """What the decoder remembers of the pieces of one sentence: name -> (1, heads, pieces, width)."""

    remembered: dict[str, Float32]


class SpeechNetwork:
    """Encoder and decoder. Raises VoiceError where the files are missing or are not those that are known."""

    def __init__(self, folder: Path | None = None) -> None:
        files = verified(folder or installed())
        self.pieces = Pieces(files["tokenizer.bin"].read_bytes())
        try:
            self._encoder: Any = lean_session(files["encoder_model.ort"])
            self._decoder: Any = lean_session(files["decoder_model_merged.ort"])
        except ModelError as error:
            raise VoiceError(str(error), hint=HINT) from error
        self._past = [i.name for i in self._decoder.get_inputs() if i.name.startswith("past_key_values")]
        self._outputs = [o.name for o in self._decoder.get_outputs()]
        self._new = [name for name in self._outputs if ".encoder." not in name]

    def listen(self, samples: Float32) -> tuple[Sound, Said, Float32]:
        """The sound of samples (n,), and (pieces,) the log probabilities of the first piece."""
        heard = np.pad(samples, (0, max(0, _LEAST - len(samples)))).astype(np.float32)[None]
        mask = np.ones(heard.shape, np.int64)
        hidden: Float32 = self._encoder.run(None, {"input_values": heard, "attention_mask": mask})[0]
        nothing = {name: np.zeros((1, *_SHAPE), np.float32) for name in self._past}
        found = self._run(hidden, np.array([BEGIN]), nothing, first=True)
        sound = Sound(hidden, {n: found[_now(n)] for n in self._past if ".encoder." in n})
        return sound, self._said(found, 0), _log_softmax(found["logits"][:, -1])[0]

    def go_on(self, sound: Sound, sentences: list[tuple[Said, int]]) -> list[tuple[Said, Float32]]:
        """Each sentence with one more piece, and (pieces,) the log probabilities of what comes then.

        In one run, with the sound once for all: its products with n sentences are those of each alone. The
        pieces of every sentence so far are as many as another's.
        """
        own = (name for name in self._past if ".decoder." in name)
        said = {name: np.concatenate([said.remembered[name] for said, _ in sentences]) for name in own}
        pieces = np.array([piece for _, piece in sentences])
        found = self._run(sound.hidden, pieces, sound.remembered | said, first=False)
        likely = _log_softmax(found["logits"][:, -1])
        return [(self._said(found, k), likely[k]) for k in range(len(sentences))]

    def _run(
        self, hidden: Float32, pieces: Int64, past: dict[str, Float32], *, first: bool
    ) -> dict[str, Float32]:
        feeds: dict[str, Any] = {
            "input_ids": pieces[:, None], "encoder_hidden_states": hidden,
            # Of the samples, not of the frames: it takes every 384th, and one stands for all.
            "encoder_attention_mask": np.ones((len(hidden), 1), np.int64),
            "use_cache_branch": np.array([not first]), **past,
        }  # fmt: skip
        wanted = self._outputs if first else self._new
        return dict(zip(wanted, self._decoder.run(wanted, feeds), strict=True))

    def _said(self, found: dict[str, Float32], row: int) -> Said:
        own = (name for name in self._past if ".decoder." in name)
        return Said({name: found[_now(name)][row : row + 1] for name in own})


def installed() -> Path:
    """The folder of the model in the package, which is not imported. Raises VoiceError."""
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise VoiceError(f"the package {PACKAGE} is not installed", hint=HINT)
    return Path(spec.origin).parent / "assets" / "tiny-en"


def verified(folder: Path) -> dict[str, Path]:
    """name -> path of the model's files. Raises VoiceError where one is missing or is another."""
    for name, known in _SHA256.items():
        path = folder / name
        if not path.is_file():
            raise VoiceError(f"the speech network has no file {path}", hint=HINT)
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != known:
                raise VoiceError(f"{path} is not the file that this version knows", hint=HINT)
    return {name: folder / name for name in _SHA256}


def _now(past: str) -> str:
    return past.replace("past_key_values", "present")


def _log_softmax(logits: Float32) -> Float32:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    found: Float32 = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found

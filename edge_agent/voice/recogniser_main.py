"""The recognisers' own process, the other end of recogniser.py: `python -m <this module> FD`.

FD is a socket. The first message is JSON and says what to load; the end of the socket ends the process, so
that it never outlives the agent.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_agent import manifest
from edge_agent.errors import EdgeAgentError, VoiceError
from edge_agent.types import Float32
from edge_agent.voice.grammar import make_grammar
from edge_agent.voice.transcribers import make_transcriber
from edge_agent.voice.types import Transcriber, WakePhrase
from edge_agent.voice.wake import PocketsphinxWake

if TYPE_CHECKING:
    from edge_agent.voice.speech_network import SpeechNetwork

NICE = 5
"""Below the agent: a word is recognised when the sensors have been read."""
MAX_BYTES = 8 << 20
Reply = dict[str, Any]
Verbs = Mapping[str, Callable[[Float32], Reply]]


def load(settings: Mapping[str, Any]) -> Verbs:
    """What can be asked. `settings`: `wake` and `stop` are phrases or "", the rest is the transcriber's.

    Raises VoiceError for a phrase or a model that cannot be used, ModelError for a manifest.
    """
    known = manifest.read(Path(settings["model"]))
    grammar = make_grammar(known, settings["slots"], settings["names"])
    network, make_phrase = _network() if settings["transcriber"] == "moonshine" else (None, PocketsphinxWake)
    verbs: dict[str, Callable[[Float32], Reply]] = {}
    for name in ("wake", "stop"):
        if settings[name]:
            verbs |= _phrase(name, make_phrase(settings[name]))
    path = settings["transcriber_model"] and Path(settings["transcriber_model"])
    transcriber = make_transcriber(settings["transcriber"], grammar, path, network)
    return {**verbs, "transcribe": _transcribe(transcriber)}


def _network() -> tuple[SpeechNetwork, Callable[[str], WakePhrase]]:
    """The speech network, and what waits for a phrase with it."""
    from edge_agent.voice.phrase import NetworkPhrase  # noqa: PLC0415  # onnxruntime: 20 MB
    from edge_agent.voice.speech_network import SpeechNetwork  # noqa: PLC0415

    network = SpeechNetwork()
    return network, partial(NetworkPhrase, network)


def _phrase(name: str, phrase: WakePhrase) -> Verbs:
    def feed(samples: Float32) -> Reply:
        return {"heard": phrase.feed(samples)}

    def forget(_samples: Float32) -> Reply:
        phrase.reset()
        return {}

    return {name: feed, f"forget {name}": forget}


def _transcribe(transcriber: Transcriber) -> Callable[[Float32], Reply]:
    def transcribe(samples: Float32) -> Reply:
        heard = transcriber.transcribe(samples)
        return {"text": heard.text, "confidence": heard.confidence}

    return transcribe


def serve(line: Connection, verbs: Verbs) -> None:
    """Answer one request after the other, until the other end is closed."""
    while True:
        try:
            verb = line.recv_bytes(64).decode()
            samples = np.frombuffer(line.recv_bytes(MAX_BYTES), "<f4")
        except (EOFError, OSError):
            return
        try:
            if verb not in verbs:
                raise VoiceError(f"there is nothing to {verb} with")
            reply = verbs[verb](samples)
        except EdgeAgentError as error:
            reply = {"error": str(error), "hint": error.hint}
        line.send_bytes(json.dumps(reply).encode())


def main() -> int:
    """Serve until the other end is closed; 1 when there is nothing to serve with."""
    # A Ctrl-C reaches the whole terminal: the agent ends this process in its own order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICE)
    line = Connection(int(sys.argv[1]))
    try:
        verbs = load(json.loads(line.recv_bytes(MAX_BYTES)))
    except EOFError:
        return 0
    except Exception as error:  # noqa: BLE001  # whatever it is, to try again would end the same way
        text = str(error) if isinstance(error, EdgeAgentError) else f"{type(error).__name__}: {error}"
        line.send_bytes(json.dumps({"error": text, "hint": getattr(error, "hint", "")}).encode())
        return 1
    line.send_bytes(json.dumps({"ready": True}).encode())
    try:
        serve(line, verbs)
    except BrokenPipeError:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())

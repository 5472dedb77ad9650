"""The language model's own process: `python -m edge_agent.perception.worker_main`.

Frames come in on standard input and go out on what was standard output; whatever a library prints goes
to standard error. The first frame says what to load; the end of the input ends the process, so that it
never outlives the daemon. llama.cpp aborts on a failed assertion: only this process dies of it.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from edge_agent.errors import EdgeAgentError, LanguageModelError
from edge_agent.perception.dialog import Prompt, Turn
from edge_agent.perception.frames import Decoder, Frame, encode
from edge_agent.perception.language import LanguageModel
from edge_agent.perception.llama_batch import LlamaOptions
from edge_agent.types import Conditioning

EXIT_CANNOT_LOAD = 3


class Pipe:
    """Whole frames over a pair of blocking streams."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source, self._sink, self._decoder = source, sink, Decoder()

    def receive(self) -> Frame | None:
        """The next frame, None at the end of the input."""
        while (frame := self._decoder.next_frame()) is None:
            if not (data := os.read(self._source.fileno(), 65536)):
                return None
            self._decoder.feed(data)
        return frame

    def send(self, frame: Frame) -> None:
        """Write a frame out at once."""
        self._sink.write(encode(frame))
        self._sink.flush()


def limit_memory(memory_mib: int) -> None:
    """Cap the address space: an allocation beyond it fails here instead of starving the device."""
    limit = memory_mib << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def load(settings: Mapping[str, Any]) -> LanguageModel:
    """The model that the first frame names. Raises ModelError, or MemoryError under the cap."""
    prompt = Prompt(settings["prefix"], settings["question"], settings["max_answer_tokens"])
    context = settings["context_tokens"]
    options = LlamaOptions(
        context_tokens=context, batch_tokens=context, threads=settings["threads"], exact=settings["exact"]
    )
    return LanguageModel(Path(settings["path"]), prompt, options, settings["call_grammar"])


def serve(pipe: Pipe, model: LanguageModel) -> None:
    """Answer one request after the other until the input ends."""
    while (frame := pipe.receive()) is not None:
        identity = frame.header.get("id")
        try:
            header, arrays = _handle(model, frame)
        except EdgeAgentError as error:
            header, arrays = {"verb": "refused", "error": str(error), "hint": error.hint}, {}
        pipe.send(Frame({**header, "id": identity}, arrays))


def _handle(model: LanguageModel, frame: Frame) -> tuple[dict[str, Any], dict[str, Any]]:
    request = frame.header
    conditioning = Conditioning(frame.arrays["soft"], frame.arrays["control"])
    if request["verb"] == "generate":
        out = model.generate(
            conditioning,
            request["question"],
            history=[Turn(q, a) for q, a in request["history"]],
            max_tokens=request["max_tokens"],
            deadline_s=request["deadline_s"],
            grammar=request.get("grammar", ""),
        )
        return {"verb": "generated", **asdict(out)}, {}
    if request["verb"] == "read_label":
        values = model.read_label(conditioning, request["question"], request["readout"], request["labels"])
        return {"verb": "label"}, {"probabilities": np.asarray(values)}
    raise LanguageModelError(f"no verb {request['verb']!r}")


def main() -> int:
    """Serve until the input ends; EXIT_CANNOT_LOAD when there is nothing to serve with."""
    # A Ctrl-C reaches the whole terminal: the daemon ends this process in its own order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    pipe = Pipe(sys.stdin.buffer, sink)
    if (first := pipe.receive()) is None:
        return 0
    settings, began = first.header, time.perf_counter()
    limit_memory(settings["memory_mib"])
    os.nice(settings["nice"])
    try:
        model = load(settings)
    except (EdgeAgentError, MemoryError, OSError) as error:
        text = str(error) or f"out of memory under the cap of {settings['memory_mib']} MiB"
        pipe.send(Frame({"verb": "failed", "error": text, "hint": getattr(error, "hint", "")}))
        return EXIT_CANNOT_LOAD
    shape = {"n_embd": model.llama.n_embd, "n_layer": model.llama.n_layer, "n_vocab": model.llama.n_vocab}
    pipe.send(Frame({"verb": "ready", "load_ms": 1e3 * (time.perf_counter() - began), **shape}))
    try:
        serve(pipe, model)
    except BrokenPipeError:
        return 0
    finally:
        model.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

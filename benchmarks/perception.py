"""The whole perception in one run, as JSON: `python -m benchmarks.perception [--model FOLDER] [--json FILE]`.

Encoders and adapter beside plain onnxruntime; the language model through its process beside plain llama.cpp
in this one; the memory of both processes. `export evaluate` puts the JSON beside a model's scores.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import timing
from edge_agent.errors import ModelError
from edge_agent.manifest import Manifest
from edge_agent.perception.frames import Frame
from edge_agent.perception.pipeline import Pipeline
from edge_agent.perception.worker import WorkerProcess, settings_from
from edge_agent.types import Percept

Figures = dict[str, float]
LOAD_TIMEOUT_S = 60.0
REPLY_TIMEOUT_S = 30.0
QUESTION = "what is the person doing and how sure are you?"


def rss_mib(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def both(name: str, ours: list[float], plain: list[float]) -> Figures:
    """p50 and p95 of two series of milliseconds, and the ratio of their medians."""
    return {
        f"{name} p50 ms": float(np.median(ours)),
        f"{name} p95 ms": float(np.percentile(ours, 95)),
        f"{name} plain p50 ms": float(np.median(plain)),
        f"{name} plain p95 ms": float(np.percentile(plain, 95)),
        f"{name} ratio of p50": float(np.median(ours) / np.median(plain)),
    }


def fast_path(pipeline: Pipeline, rounds: int) -> tuple[Figures, Percept]:
    """Window to percept beside the same networks by hand."""
    from benchmarks.fast_path import noise_window, plain_path

    window = noise_window(pipeline)
    taken = timing.take_turns(
        {"ours": lambda: pipeline.perceive(window), "plain": plain_path(pipeline, window)}, rounds
    )
    figures = both("encoders and adapter", list(taken["ours"]), list(taken["plain"]))
    return figures, pipeline.perceive(window)


def encoders(pipeline: Pipeline, rounds: int) -> dict[str, Figures]:
    """Slot -> its encoder beside the same network by hand."""
    from benchmarks.fast_path import each_encoder, noise_window

    found = {}
    for slot, (ours, plain) in each_encoder(pipeline, noise_window(pipeline)).items():
        taken = timing.take_turns({"ours": ours, "plain": plain}, rounds)
        found[slot] = both("encoder", list(taken["ours"]), list(taken["plain"]))
    return found


def question_frame(percept: Percept) -> Frame:
    """What the daemon sends for a question."""
    header: dict[str, Any] = {
        "verb": "generate", "question": QUESTION, "history": [], "max_tokens": None,
        "deadline_s": REPLY_TIMEOUT_S,
    }  # fmt: skip
    return Frame(header, {"soft": percept.conditioning.soft, "control": percept.conditioning.control})


def language(
    worker: WorkerProcess, percept: Percept, manifest: Manifest, folder: Path, rounds: int
) -> Figures:
    """First and further tokens through the worker, in turns with plain llama.cpp here."""
    from benchmarks.language import Plain
    from edge_agent.perception import llama_batch

    llama_batch.silence()
    prefix = 12
    plain = Plain(str(folder / manifest.language.file), manifest.language.context_tokens, prefix)
    frame = question_frame(percept)
    series: dict[str, list[float]] = {
        name: [] for name in ("first", "each", "way", "plain first", "plain each")
    }
    for round_number in range(timing.WARM_UP_ROUNDS + rounds):
        start = time.perf_counter()
        deadline = time.monotonic() + REPLY_TIMEOUT_S
        reply = worker.receive(worker.send(frame, deadline), deadline)
        total_ms = (time.perf_counter() - start) * 1e3
        assert reply is not None, "the worker is late"
        said = reply.header
        first_ms, each_ms = plain.generate(said["prompt_tokens"] - prefix, max(said["tokens"], 8))
        if round_number < timing.WARM_UP_ROUNDS:
            continue
        inside_ms = said["first_token_ms"] + said["per_token_ms"] * said["tokens"]
        way_ms = max(0.0, total_ms - inside_ms)
        for name, value in (
            ("first", said["first_token_ms"] + way_ms), ("each", said["per_token_ms"]), ("way", way_ms),
            ("plain first", first_ms), ("plain each", each_ms),
        ):  # fmt: skip
            series[name].append(value)
    return {
        **both("first token", series["first"], series["plain first"]),
        **both("each further token", series["each"], series["plain each"]),
        "way to the worker and back p50 ms": float(np.median(series["way"])),
    }


def measure(folder: Path, rounds: int) -> dict[str, object]:
    """Every figure. Memory is read before plain libraries are loaded beside ours."""
    pipeline = Pipeline(folder)
    manifest = pipeline.manifest
    worker = WorkerProcess(settings_from(folder, manifest))
    try:
        if not worker.poll_ready(LOAD_TIMEOUT_S):
            raise TimeoutError("the language model was not loaded in time")
        from benchmarks.fast_path import noise_window

        percept = pipeline.perceive(noise_window(pipeline))
        deadline = time.monotonic() + REPLY_TIMEOUT_S
        worker.receive(worker.send(question_frame(percept), deadline), deadline)
        gc.collect()
        memory = {"this process MiB": rss_mib(os.getpid()), "worker MiB": rss_mib(worker.pid)}
        seen, percept = fast_path(pipeline, rounds)
        each = encoders(pipeline, rounds)
        worded = language(worker, percept, manifest, folder, max(10, rounds // 4))
    finally:
        worker.close()
    machine = {"processor": platform.machine(), "cores": os.cpu_count(), "load at start": LOAD_AT_START}
    return {
        "machine": machine, "memory": memory, "fast path": seen, "encoders": each, "language model": worded,
    }  # fmt: skip


LOAD_AT_START = os.getloadavg()[0]


def main() -> int:
    """Print the figures; write them too where `--json` names a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=timing.DEFAULT_MODEL, help="folder with manifest.json")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    try:
        figures = measure(options.model, options.rounds)
    except ModelError as error:
        print(f"error: {error}\n{error.hint}", file=sys.stderr)
        return 2
    text = json.dumps(figures, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Encoders and adapter beside plain onnxruntime: `python -m benchmarks.fast_path [--model FOLDER]`.

Plain is the same files, thread count and log-mel features with nothing around them: no windows, masks,
labels, calibration or checks. What our side takes longer is the price of those.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import onnxruntime

from benchmarks import timing
from edge_agent.manifest import Slot
from edge_agent.perception.encoders import window_shape
from edge_agent.perception.features import local_metres, log_mel
from edge_agent.perception.pipeline import Pipeline
from edge_agent.types import Float32, SlotWindow, Values, Window

TARGET_P95_MS = 25.0
TARGET_RATIO = 1.15


def noise_window(pipeline: Pipeline) -> Window:
    """Noise in every slot: the time does not depend on the values."""
    rng = np.random.default_rng(1)
    parts = {}
    for slot in pipeline.manifest.slots:
        values = rng.normal(0, 0.1, window_shape(slot)).astype(np.float32)
        parts[slot.name] = SlotWindow(values, coverage=1.0, age_s=0.0)
    return Window(0, 0, parts)


def session(path: object) -> onnxruntime.InferenceSession:
    """A session on one thread, as the agent has it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


FEATURES: dict[str, Callable[[Values], Values]] = {
    "raw": lambda v: v,
    "log_mel": lambda v: log_mel(v[:, 0].astype(np.float32, copy=False)),
    "local_metres": local_metres,
}


def plain_encoder(pipeline: Pipeline, slot: Slot, window: Window) -> Callable[[], list[Float32]]:
    """Tokens, pooled and logits of one slot by hand."""
    encoder = session(pipeline.folder / slot.encoder)
    make, values = FEATURES[slot.features], window.slots[slot.name].values

    def run() -> list[Float32]:
        x = make(values)[None]
        inputs = {"x": x, "mask": np.ones((1, x.shape[2]), np.float32)}
        out: list[Float32] = encoder.run(["tokens", "pooled", "logits"], inputs)
        return out

    return run


def each_encoder(pipeline: Pipeline, window: Window) -> dict[str, tuple[Callable[[], object], ...]]:
    """Slot -> what encodes its part of the window: ours, and plain."""
    found: dict[str, tuple[Callable[[], object], ...]] = {}
    for slot in pipeline.manifest.slots:
        alone = Window(0, 0, {slot.name: window.slots[slot.name]})
        found[slot.name] = (partial(pipeline.encode, alone), plain_encoder(pipeline, slot, window))
    return found


def plain_path(pipeline: Pipeline, window: Window) -> Callable[[], object]:
    """The same computation by hand."""
    manifest = pipeline.manifest
    encoders = [plain_encoder(pipeline, slot, window) for slot in manifest.slots]
    adapter = session(pipeline.folder / manifest.adapter.file)
    mask = np.ones((1, len(manifest.slots)), dtype=np.float32)

    def run() -> object:
        tokens, pooled, logits = [], [], []
        for encoder in encoders:
            out = encoder()
            tokens.append(out[0])
            pooled.append(out[1])
            logits.append(out[2])
        joined = {
            "tokens": np.concatenate(tokens, axis=1), "pooled": np.stack(pooled, axis=1),
            "logits": np.concatenate(logits, axis=1),
        }  # fmt: skip
        return adapter.run(None, {**joined, "mask": mask})

    return run


def main() -> int:
    """Print the figures; 1 where one misses its target."""
    options = timing.arguments(__doc__, rounds=200)
    pipeline = Pipeline(options.model)
    window = noise_window(pipeline)
    functions: dict[str, Callable[[], object]] = {
        "ours: window to percept": lambda: pipeline.perceive(window),
        "plain onnxruntime": plain_path(pipeline, window),
    }
    for slot, (ours, plain) in each_encoder(pipeline, window).items():
        functions[f"  encoder {slot}"], functions[f"  encoder {slot}, plain"] = ours, plain
    taken_ms = timing.take_turns(functions, options.rounds)
    print(f"fast path, {len(window.slots)} slots, one thread, {options.rounds} rounds:")
    for name, values in taken_ms.items():
        print(timing.line(name, values))
    whole_ms, plain_ms = taken_ms["ours: window to percept"], taken_ms["plain onnxruntime"]
    ratio = float(np.median(whole_ms) / np.median(plain_ms))
    kept = timing.verdict("p95", float(np.percentile(whole_ms, 95)), TARGET_P95_MS, "ms")
    kept &= timing.verdict("ratio of p50", ratio, TARGET_RATIO, "x")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

"""The gates of the whole model: each has its number, and what was not measured is never passed."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from export import gates

SHIPPED = Path(__file__).parent.parent / "models" / "iotlm-7m" / "EVALUATION.json"
CONTROLS = (("shuffle", 0.99, 0.9), ("swap-follow", 0.95, 0.9))


def figure(mean):
    return {"mean": mean, "sd": 0.01}


def study(name, encoder, forest, seed=0):
    summary = {"encoder": {"macro_f1": figure(encoder)}, "random_forest": {"macro_f1": figure(forest)}}
    return {"study": name, "kind": "real", "seed": seed, "summary": summary}


@pytest.fixture
def good():
    devices = {
        d: {"fused": {"macro_f1": figure(0.9)}, "random_forest": {"macro_f1": figure(0.85)}}
        for d in ("phone", "watch", "both")
    }
    summary = devices | {"audio": {"fused": {"clip_accuracy": figure(0.91)}}}
    return {
        "sizes_bytes": {"audio.onnx": 10**6, "adapter.onnx": 10**6, "lm.gguf": 10**7},
        "scores": [{"condition": "hand", "kind": "real"}, {"condition": "scene", "kind": "simulated"}],
        "numbers": {"gaze": {"kind": "simulated"}},
        "gates": {
            head: [{"name": n, "value": v, "least": least} for n, v, least in CONTROLS] for head in ("a", "b")
        },
        "control_norms": [1.0, 2.0],
        "invented": 0,
        "conformal": {"a": {"coverage": 0.92}, "b": {"coverage": 0.91}},
        "folds": {"folds": [{"seed": s} for s in (0, 1, 2)], "summary": summary},
        "sets": [study(name, 0.8, 0.7, seed) for seed in range(3) for name in gates.BEATS_FOREST],
        "unseen": [{"set": s, "auroc": a} for s in ("imu_phone", "imu_watch", "audio") for a in (0.8, 0.94)],
        "parity": {
            "tolerance": 1e-4, "encoders_torch_onnx": {"audio": 1e-6}, "adapter_torch_onnx": 1e-5,
            "language_torch_gguf_f32": 2e-5, "q8_0_f32_labels_agreeing": 100, "q8_0_f32_labels_compared": 100,
            "tokenizer_texts_equal": 2000, "tokenizer_texts_compared": 2000,
        },
        "curves": {"noise": [{"kind": "paired"}]},
        "bench": {"encoders": {"audio": {"encoder p50 ms": 1.0}}},
    }  # fmt: skip


def test_a_model_that_reaches_everything_fails_nothing(good):
    assert [line.name for line in gates.lines(good) if not line.passed] == []


@pytest.mark.parametrize(
    ("path", "value", "gate"),
    [
        (("folds", "folds"), [{"seed": 0}], "seeds"),
        (("scores", 0, "kind"), "simulated", "call simulated"),
        (("scores", 1, "kind"), "real", "call simulated"),
        (("numbers", "gaze", "kind"), "real", "call simulated"),
        (("sets", 0, "kind"), "", "do not say"),
        (("curves", "noise", 0, "kind"), None, "do not say"),
        (("folds", "summary", "watch", "fused", "macro_f1", "mean"), 0.84, "motion, watch"),
        (("folds", "summary", "audio", "fused", "clip_accuracy", "mean"), 0.899, "ESC-10"),
        (("sets", 1, "summary", "encoder", "macro_f1", "mean"), 0.3, "touch: macro-F1"),
        (("sets", 1, "seed"), 1, "seeds"),
        (("gates", "b", 1, "value"), 0.89, "swap-follow (worst: b)"),
        (("control_norms",), [1.0, 0.0], "closed gates"),
        (("invented",), 1, "did not put in"),
        (("conformal", "b", "coverage"), 0.89, "coverage (worst: b)"),
        (("unseen", 0, "auroc"), 0.7, "imu_phone: AUROC"),
        (("parity", "adapter_torch_onnx"), 2e-4, "adapter"),
        (("parity", "encoders_torch_onnx", "audio"), 2e-4, "encoders, torch"),
        (("parity", "language_torch_gguf_f32"), 2e-4, "language model, torch"),
        (("parity", "q8_0_f32_labels_agreeing"), 98, "read alike"),
        (("parity", "tokenizer_texts_equal"), 1999, "equal token ids"),
        (("sizes_bytes", "lm.gguf"), 6 * 10**7, "bytes"),
        (("bench", "encoders", "audio"), {}, "latency"),
    ],
)
def test_one_bad_number_fails_its_own_gate_alone(good, path, value, gate):
    spoiled = copy.deepcopy(good)
    at = spoiled
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    failed = [line for line in gates.lines(spoiled) if not line.passed]
    assert failed
    assert all(gate in line.name for line in failed)
    assert all("FAIL" in line.cells()[3] for line in failed)


@pytest.mark.parametrize("part", ["folds", "sets", "unseen", "bench", "parity", "curves", "invented"])
def test_what_was_not_measured_is_not_passed(good, part):
    before = len(gates.lines(good))
    without = gates.lines(good | {part: None})
    if part == "curves":
        assert all(line.passed for line in without)
        return
    missing = [line for line in without if line.value is None]
    if part != "sets" or missing:
        assert missing
    assert not any(line.passed for line in missing)
    assert all(line.cells()[3] == "not measured in this run" for line in missing)
    assert len(without) <= before


def test_the_evaluation_that_ships_has_a_line_for_each():
    if not SHIPPED.is_file():
        pytest.skip("no shipped model in models/iotlm-7m")
    found = gates.lines(json.loads(SHIPPED.read_text(encoding="utf-8")))
    assert len(found) >= 30
    assert {line.cells()[3] for line in found} <= {"PASS", "**FAIL**", "not measured in this run"}
    assert sum(line.passed for line in found) > 20

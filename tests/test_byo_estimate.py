"""What a language model of one's own costs: the formula, and the table in the document that it fills."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from export.byo.checkpoint import Shape
from export.byo.estimate import Workload, estimate, flops_per_second

DOCUMENT = Path(__file__).parent.parent / "docs" / "your-own-lm.md"
SLOW, FAST = 100e9, 1e12
"""FLOP/s of the two columns of time."""
STEPS = 1500


def shape(architecture, n_vocab, n_embd, n_layer, heads, kv, n_ff):
    return Shape(
        architecture, n_vocab, n_embd, n_layer, heads, kv, 64, n_ff, 1e4, 1e-5, 8192, tied=True,
        attention_bias=architecture == "qwen2", output_bias=False, rope_scaling=None, bos=None, eos=None,
    )  # fmt: skip


PUBLISHED = {
    "SmolLM2-135M": shape("llama", 49152, 576, 30, 9, 3, 1536),
    "Qwen2.5-0.5B": shape("qwen2", 151936, 896, 24, 14, 2, 4864),
    "Llama-3.2-1B": shape("llama", 128256, 2048, 16, 32, 8, 8192),
}
"""From the config.json of each, as published."""


def row(name: str) -> str:
    plain = estimate(PUBLISHED[name], Workload())
    small = estimate(PUBLISHED[name], Workload(less_memory=True))
    hours = [STEPS * plain.step_flops / rate / 3600 for rate in (SLOW, FAST)]
    return (
        f"| {name} | {plain.parameters / 1e6:.0f} M | {plain.train_bytes / 1e9:.1f} GB | "
        f"{small.train_bytes / 1e9:.1f} GB | {plain.step_flops / 1e12:.1f} TFLOP | {hours[0]:.1f} h | "
        f"{hours[1]:.1f} h | {plain.gguf_bytes / 1e6:.0f} MB | {plain.device_bytes / 1e6:.0f} MB |"
    )


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_document_says_what_the_formula_gives(name):
    assert row(name) in DOCUMENT.read_text(encoding="utf-8").splitlines()


def test_weights_are_counted_as_published():
    counted = {name: estimate(s, Workload()).parameters for name, s in PUBLISHED.items()}
    assert counted == {
        "SmolLM2-135M": 134_515_008, "Qwen2.5-0.5B": 494_032_768, "Llama-3.2-1B": 1_235_814_400,
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_less_memory_is_less_and_costs_a_pass_more(name):
    plain, less = (estimate(PUBLISHED[name], Workload(less_memory=flag)) for flag in (False, True))
    assert less.train_bytes < 0.7 * plain.train_bytes
    assert 1.2 < less.step_flops / plain.step_flops < 1.5


def test_this_machine_multiplies():
    assert flops_per_second(0.05) > 1e8


if __name__ == "__main__":
    print("\n".join(row(name) for name in PUBLISHED))

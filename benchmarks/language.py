"""The language model beside plain llama.cpp: `python -m benchmarks.language [--model FOLDER]`.

Plain is the C interface alone: the same file, threads, cached prefix and number of positions, all of them
tokens in one call, and the greedy sampler of llama.cpp. Ours sets the control vectors, feeds the soft tokens
in a call of their own, tokenises the question and makes text.
"""

from __future__ import annotations

import ctypes
import sys
import time

import llama_cpp
import numpy as np

from benchmarks import timing
from edge_agent import manifest as manifests
from edge_agent.manifest import Manifest
from edge_agent.perception.dialog import Generation, Prompt
from edge_agent.perception.language import LanguageModel
from edge_agent.perception.llama_batch import LlamaOptions
from edge_agent.types import Conditioning

QUESTION = "what is the person doing and how sure are you?"
TARGET_FIRST_MS = 300.0
TARGET_RATIO = 1.15


class Plain:
    """A context of llama.cpp with `prefix` positions in its cache."""

    def __init__(self, path: str, context_tokens: int, prefix: int) -> None:
        model_options = llama_cpp.llama_model_default_params()
        model_options.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), model_options)
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = context_tokens
        options.n_batch = options.n_ubatch = context_tokens
        options.n_threads = options.n_threads_batch = 1
        self.context = llama_cpp.llama_init_from_model(self.model, options)
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.greedy = llama_cpp.llama_sampler_init_greedy()
        self.prefix = prefix
        self.decode(np.full(prefix, 300, dtype=np.int32))

    def decode(self, tokens: np.ndarray) -> None:
        """Append tokens; the last one's logits are kept."""
        pointer = tokens.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token))
        code = llama_cpp.llama_decode(self.context, llama_cpp.llama_batch_get_one(pointer, len(tokens)))
        if code:
            raise RuntimeError(f"llama_decode: {code}")

    def generate(self, positions: int, tokens: int) -> tuple[float, float]:
        """(ms to the first token after `positions` positions, ms per token of the rest)."""
        prompt = np.full(positions, 301, dtype=np.int32)
        start_s = time.perf_counter()
        llama_cpp.llama_memory_seq_rm(self.memory, 0, self.prefix, -1)
        self.decode(prompt)
        token = llama_cpp.llama_sampler_sample(self.greedy, self.context, -1)
        first_s = time.perf_counter()
        for _ in range(tokens):
            self.decode(np.array([token], dtype=np.int32))
            token = llama_cpp.llama_sampler_sample(self.greedy, self.context, -1)
        end_s = time.perf_counter()
        return (first_s - start_s) * 1e3, (end_s - first_s) * 1e3 / max(tokens, 1)


def conditioning(manifest: Manifest) -> Conditioning:
    """Small random soft tokens and control vectors: the time does not depend on them."""
    rng = np.random.default_rng(1)
    spec = manifest.adapter
    soft = rng.normal(0, 0.05, (spec.n_soft, spec.n_embd)).astype(np.float32)
    control = rng.normal(0, 0.01, (spec.n_layer - 1, spec.n_embd)).astype(np.float32)
    return Conditioning(soft, control)


def main() -> int:
    """Print the figures; 1 where one misses its target."""
    options = timing.arguments(__doc__, rounds=60)
    manifest = manifests.load(options.model)
    spec = manifest.language
    path = options.model / spec.file
    prompt = Prompt(spec.prefix, spec.question, spec.max_answer_tokens)
    ours = LanguageModel(path, prompt, LlamaOptions(context_tokens=spec.context_tokens))
    plain = Plain(str(path), spec.context_tokens, ours.prefix_tokens)
    given = conditioning(manifest)
    first: dict[str, list[float]] = {"ours": [], "plain": []}
    each: dict[str, list[float]] = {"ours": [], "plain": []}
    for round_number in range(timing.WARM_UP_ROUNDS + options.rounds):
        said: Generation = ours.generate(given, QUESTION)
        figures = {
            "ours": (said.first_token_ms, said.per_token_ms),
            "plain": plain.generate(said.prompt_tokens - ours.prefix_tokens, max(said.tokens, 8)),
        }
        if round_number < timing.WARM_UP_ROUNDS:
            continue
        for name, (first_ms, each_ms) in figures.items():
            first[name].append(first_ms)
            each[name].append(each_ms)
    print(
        f"language model {spec.file}, one thread, {options.rounds} rounds, {ours.prefix_tokens} positions "
        f"cached, {said.prompt_tokens - ours.prefix_tokens} new, {said.tokens} tokens answered:"
    )
    kept = report("first token", first)
    kept &= report("each further token", each) if said.tokens > 1 else True
    kept &= timing.verdict("first token p95", float(np.percentile(first["ours"], 95)), TARGET_FIRST_MS, "ms")
    return 0 if kept else 1


def report(name: str, taken_ms: dict[str, list[float]]) -> bool:
    """Print ours, plain and their ratio."""
    for who, values in taken_ms.items():
        print(timing.line(f"{who}: {name}", np.array(values)))
    ratio = float(np.median(taken_ms["ours"]) / np.median(taken_ms["plain"]))
    return timing.verdict(f"{name}, ratio of p50 to plain llama.cpp", ratio, TARGET_RATIO, "x")


if __name__ == "__main__":
    sys.exit(main())

"""The only module that speaks llama.cpp: a small ctypes layer pinned to one version.

The high-level binding has no way to feed embeddings, so this owns `llama_batch` itself. Rules that
llama.cpp imposes (DESIGN.md, "The model"): a batch is tokens or embeddings, never both; positions are
consecutive; a control vector is global to the context and costs about a millisecond to change.
A failed assertion inside llama.cpp aborts the process, which is why it lives in a worker.
"""

from __future__ import annotations

import base64
import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from edge_agent.errors import ModelError
from edge_agent.types import Float32

PINNED_VERSION = "0.3.36"
SELF_TEST_TOKEN_KEY = "edge_agent.self_test.token"  # noqa: S105 - the name of a GGUF key
SELF_TEST_EMBEDDING_KEY = "edge_agent.self_test.embedding"
SELF_TEST_TOLERANCE = 1e-3
"""On logits: the same row through the same kernels differs by rounding alone."""
_OVERWHELMING = 1e9
"""Beside what the blocks of a trained model write, of which some is in the thousands."""

_TOKEN_POINTER = ctypes.POINTER(llama_cpp.llama_token)
_FLOAT_POINTER = ctypes.POINTER(ctypes.c_float)
_FLAG_POINTER = ctypes.POINTER(ctypes.c_int8)


@dataclass(frozen=True, slots=True)
class LlamaOptions:
    """How a context is made. `exact` is the F32 cache without flash attention that parity is held to."""

    context_tokens: int = 512
    batch_tokens: int = 512
    threads: int = 1
    exact: bool = False


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _discard_log(_level: int, _text: bytes, _user: ctypes.c_void_p) -> None:
    """llama.cpp prints hundreds of lines at load; what matters comes back as an error."""


class Llama:
    """One model with one context and one sequence. Not for more than one thread at a time."""

    def __init__(self, path: Path, options: LlamaOptions) -> None:
        """Load and self-test. Raises ModelError for a file or a library that cannot be used."""
        _check_version()
        silence()
        llama_cpp.llama_backend_init()
        self._context: Any = None
        self._model = _open_model(path)
        try:
            self._context = _open_context(self._model, options)
            self._vocab: Any = llama_cpp.llama_model_get_vocab(self._model)
            self._memory: Any = llama_cpp.llama_get_memory(self._context)
            self.n_embd = int(llama_cpp.llama_model_n_embd_inp(self._model))
            self.n_layer = int(llama_cpp.llama_model_n_layer(self._model))
            self.n_vocab = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
            self.end_token = int(llama_cpp.llama_vocab_eos(self._vocab))
            self.context_tokens = int(llama_cpp.llama_n_ctx(self._context))
            self.batch_tokens = options.batch_tokens
            self.position = 0
            _self_test(self)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Free the context and the model; may be called twice."""
        if self._context is not None:
            llama_cpp.llama_free(self._context)
            self._context = None
        if self._model is not None:
            llama_cpp.llama_model_free(self._model)
            self._model = None

    def tokenize(self, text: str, *, control: bool) -> list[int]:
        """Token ids of a text.

        With `control` False the names of control tokens are ordinary text, so that nothing a user types
        can end a turn or begin one.
        """
        raw = text.encode("utf-8", errors="replace")
        room = len(raw) + 8
        ids = (llama_cpp.llama_token * room)()
        count = int(llama_cpp.llama_tokenize(self._vocab, raw, len(raw), ids, room, False, control))
        if count < 0:
            raise ModelError(f"the tokenizer needs {-count} ids for {len(raw)} bytes")
        return list(ids[:count])

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for (part of a character, perhaps); nothing for a control token."""
        buffer = ctypes.create_string_buffer(256)
        count = int(llama_cpp.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False))
        return buffer.raw[: max(count, 0)]

    def is_end(self, token: int) -> bool:
        """Whether this token ends a generation."""
        return bool(llama_cpp.llama_vocab_is_eog(self._vocab, token))

    def is_control(self, token: int) -> bool:
        """Whether this token is part of the template rather than of a text."""
        return bool(llama_cpp.llama_vocab_is_control(self._vocab, token))

    def grammar(self, text: str) -> Grammar:
        """A grammar for one generation. Raises ModelError for one that llama.cpp cannot read."""
        return Grammar(self._vocab, self.n_vocab, text)

    def metadata(self, key: str) -> str | None:
        """A scalar of the file's metadata as text, None where the file has none of that name."""
        buffer = ctypes.create_string_buffer(self.n_embd * 8 + 64)
        name = key.encode("utf-8")
        count = int(llama_cpp.llama_model_meta_val_str(self._model, name, buffer, len(buffer)))
        return None if count < 0 else buffer.value.decode("utf-8")

    def decode_tokens(self, tokens: Sequence[int], *, want: str = "none") -> Float32:
        """Append tokens. `want` is "none", "last" or "all": logits (n_wanted, n_vocab)."""
        ids = np.asarray(tokens, dtype=np.int32)
        return self._decode(ids, None, want)

    def decode_embeddings(self, rows: Float32, *, want: str = "none") -> Float32:
        """Append soft tokens, rows (n, n_embd). Raises ModelError for another width."""
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.n_embd:
            raise ModelError(
                f"soft tokens of shape {rows.shape} for a language model of width {self.n_embd}",
                hint="the adapter and the language model must come from the same export",
            )
        if not np.isfinite(rows).all():
            raise ModelError("the soft tokens hold values that are not finite")
        return self._decode(None, rows, want)

    def truncate(self, length: int) -> None:
        """Forget every position from `length` on."""
        if not llama_cpp.llama_memory_seq_rm(self._memory, 0, length, -1):
            raise ModelError(f"the cache could not be cut to {length} positions")
        self.position = min(self.position, length)

    def set_control(self, control: Float32 | None) -> None:
        """Add control[l - 1] (n_layer - 1, n_embd) to the output of block l for l >= 1; None removes it."""
        expected = (self.n_layer - 1, self.n_embd)
        if control is None:
            control = np.zeros(expected, dtype=np.float32)
        if control.shape != expected:
            raise ModelError(
                f"control vectors of shape {control.shape}, the language model takes {expected}",
                hint="the adapter and the language model must come from the same export",
            )
        data = np.ascontiguousarray(control, dtype=np.float32)
        pointer = data.ctypes.data_as(_FLOAT_POINTER)
        # The buffer begins at layer 1 and both ends of the layer range are inclusive.
        code = llama_cpp.llama_set_adapter_cvec(
            self._context, pointer, data.size, self.n_embd, 1, self.n_layer - 1
        )
        if code != 0:
            raise ModelError(f"llama.cpp refused the control vectors (code {code})")

    def _decode(self, tokens: Any, rows: Float32 | None, want: str) -> Float32:
        source = tokens if rows is None else rows
        count = len(source)
        if count == 0:
            return np.zeros((0, self.n_vocab), dtype=np.float32)
        if count > self.batch_tokens or self.position + count > self.context_tokens:
            raise ModelError(
                f"{count} more positions after {self.position} do not fit a context of {self.context_tokens}"
            )
        wanted = _wanted(count, want)
        code = llama_cpp.llama_decode(self._context, _make_batch(tokens, rows, wanted))
        if code != 0:
            raise ModelError(f"llama_decode failed with code {code} at position {self.position}")
        self.position += count
        return self._logits(np.flatnonzero(wanted))

    def _logits(self, indices: Any) -> Float32:
        out = np.empty((len(indices), self.n_vocab), dtype=np.float32)
        for row, index in enumerate(indices):
            pointer = llama_cpp.llama_get_logits_ith(self._context, int(index))
            out[row] = np.ctypeslib.as_array(pointer, shape=(self.n_vocab,))
        return out


class Grammar:
    """Holds one generation to a GBNF grammar: of the tokens that may come next, the likeliest."""

    def __init__(self, vocab: Any, n_vocab: int, text: str) -> None:
        self._sampler: Any = llama_cpp.llama_sampler_init_grammar(vocab, text.encode(), b"root")
        if not self._sampler:
            raise ModelError("llama.cpp cannot read the grammar")
        self._candidates = (llama_cpp.llama_token_data * n_vocab)()
        self._view = np.ctypeslib.as_array(self._candidates)

    def choose(self, logits: Float32) -> int:
        """The likeliest allowed token of logits (n_vocab,), which the grammar then goes on from."""
        self._view["id"] = np.arange(len(self._view))
        self._view["logit"] = logits
        array = llama_cpp.llama_token_data_array(self._candidates, len(self._view), -1, False)
        llama_cpp.llama_sampler_apply(self._sampler, ctypes.byref(array))
        token = int(self._view["id"][int(self._view["logit"].argmax())])
        llama_cpp.llama_sampler_accept(self._sampler, token)
        return token

    def close(self) -> None:
        """Free the grammar; may be called twice."""
        if self._sampler is not None:
            llama_cpp.llama_sampler_free(self._sampler)
            self._sampler = None


def silence() -> None:
    """Let llama.cpp print nothing, in this whole process."""
    llama_cpp.llama_log_set(_discard_log, ctypes.c_void_p(0))


def _check_version() -> None:
    if llama_cpp.__version__ != PINNED_VERSION:
        raise ModelError(
            f"llama-cpp-python is {llama_cpp.__version__}, this was written for {PINNED_VERSION}",
            hint=f"pip install llama-cpp-python=={PINNED_VERSION}",
        )


def _open_model(path: Path) -> Any:
    params = llama_cpp.llama_model_default_params()
    params.n_gpu_layers = 0
    params.load_mode = llama_cpp.LLAMA_LOAD_MODE_MMAP
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        raise ModelError(f"{path} is not a GGUF file that llama.cpp can load", hint="fetch the model again")
    return model


def _open_context(model: Any, options: LlamaOptions) -> Any:
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = options.context_tokens
    params.n_batch = params.n_ubatch = options.batch_tokens
    params.n_seq_max = 1
    params.n_threads = params.n_threads_batch = options.threads
    params.no_perf = True
    if options.exact:
        params.type_k = params.type_v = llama_cpp.GGML_TYPE_F32
        params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = llama_cpp.llama_init_from_model(model, params)
    if not context:
        raise ModelError("llama.cpp could not make a context", hint="is there enough memory for the cache?")
    return context


def _wanted(count: int, want: str) -> Any:
    flags = np.zeros(count, dtype=np.int8)
    flags[{"none": slice(0, 0), "last": slice(-1, None), "all": slice(None)}[want]] = 1
    return flags


def _make_batch(tokens: Any, rows: Float32 | None, wanted: Any) -> Any:
    """The struct over arrays that must outlive the call.

    Without positions and sequences llama.cpp goes on where sequence 0 ends, which keeps them consecutive.
    """
    batch: Any = llama_cpp.llama_batch()
    batch.n_tokens = len(wanted)
    if rows is None:
        batch.token = tokens.ctypes.data_as(_TOKEN_POINTER)
    else:
        batch.embd = rows.ctypes.data_as(_FLOAT_POINTER)
    batch.logits = wanted.ctypes.data_as(_FLAG_POINTER)
    return batch


def _self_test(llama: Llama) -> None:
    """Tokens fed as their own embeddings give the tokens' logits, and a control vector arrives.

    Raises ModelError when the struct layout, the file or the library is not what this was written for.
    """
    token, row = _self_test_row(llama)
    as_token = _fresh(llama, None).decode_tokens([token, token], want="last")
    as_rows = _fresh(llama, None).decode_embeddings(np.repeat(row, 2, axis=0), want="last")
    _expect_equal(as_token, as_rows, "soft tokens")
    # An overwhelming vector on the last block leaves nothing of the input: two inputs, one answer.
    control = np.zeros((llama.n_layer - 1, llama.n_embd), dtype=np.float32)
    control[-1] = _OVERWHELMING * row[0] / np.abs(row).max()
    first = _fresh(llama, control).decode_embeddings(row, want="last")
    second = _fresh(llama, control).decode_embeddings(-row, want="last")
    _expect_equal(first, second, "control vectors")
    removed = _fresh(llama, None).decode_tokens([token, token], want="last")
    _expect_equal(as_token, removed, "removed control vectors")
    llama.truncate(0)


def _self_test_row(llama: Llama) -> tuple[int, Float32]:
    token, encoded = llama.metadata(SELF_TEST_TOKEN_KEY), llama.metadata(SELF_TEST_EMBEDDING_KEY)
    if token is None or encoded is None:
        raise ModelError(
            "the GGUF file carries no self-test", hint="write it with this project's export (gguf_writer.py)"
        )
    row = np.frombuffer(base64.b64decode(encoded), dtype="<f4").reshape(1, -1)
    return int(token), row.astype(np.float32)


def _fresh(llama: Llama, control: Float32 | None) -> Llama:
    llama.truncate(0)
    llama.set_control(control)
    return llama


def _expect_equal(one: Float32, other: Float32, what: str) -> None:
    difference = float(np.abs(one - other).max())
    scale = max(1.0, float(np.abs(one).max()))
    if not difference <= SELF_TEST_TOLERANCE * scale:
        raise ModelError(
            f"self-test of {what}: logits differ by {difference:.3g}",
            hint=f"reinstall llama-cpp-python=={PINNED_VERSION}",
        )

"""The language model's prompt: cached prefix, soft tokens, question, answer.

`[prefix text] [K soft tokens] [question turn]... -> answer tokens until the end token`. The prefix is
decoded once without a control vector; everything after it is decoded again, under one, for each
percept (DESIGN.md, "The model"). Runs inside the worker process, never in the daemon itself.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_agent.errors import LanguageModelError
from edge_agent.perception.dialog import Generation, Prompt, Stop, Turn
from edge_agent.perception.llama_batch import Grammar, Llama, LlamaOptions
from edge_agent.perception.prompt import END
from edge_agent.types import Conditioning, Float32

QUESTION_FIELD = "{question}"


class LanguageModel:
    """One GGUF model with its prefix in the cache. Not for more than one thread at a time."""

    def __init__(self, path: Path, prompt: Prompt, options: LlamaOptions, call_grammar: str = "") -> None:
        """Load, self-test and cache the prefix. Raises ModelError for files that do not fit.

        An answer that begins with a brace is held to `call_grammar` (GBNF, `perception.tools`).
        """
        self.llama = Llama(path, options)
        self._call_grammar = call_grammar
        self.prompt = prompt
        before, _, after = prompt.question.partition(QUESTION_FIELD)
        # The template's control tokens are parsed; in the user's words they are plain characters.
        self._before = self.llama.tokenize(before, control=True)
        self._after = self.llama.tokenize(after, control=True)
        self.llama.truncate(0)
        self.llama.set_control(None)
        self.llama.decode_tokens(self.llama.tokenize(prompt.prefix, control=True))
        self.prefix_tokens = self.llama.position

    def close(self) -> None:
        """Free the model; may be called twice."""
        self.llama.close()

    def read_label(
        self, conditioning: Conditioning, question: str, readout: str, label_tokens: Sequence[int]
    ) -> Float32:
        """Probabilities over `label_tokens` right after the words of `readout`: exact, no sampling."""
        tokens = self._turn(question) + self.llama.tokenize(readout, control=False)
        self._check_room(conditioning, tokens, 0)
        self._condition(conditioning)
        logits = self.llama.decode_tokens(tokens, want="last")[0, list(label_tokens)].astype(np.float64)
        weights = np.exp(logits - logits.max())
        return np.asarray(weights / weights.sum(), dtype=np.float32)

    def generate(
        self,
        conditioning: Conditioning,
        question: str,
        *,
        history: Sequence[Turn] = (),
        max_tokens: int | None = None,
        deadline_s: float = 10.0,
        grammar: str = "",
    ) -> Generation:
        """Answer greedily. `deadline_s` counts from now; the oldest turns go first where room is short.

        All of it is held to a `grammar` (GBNF), where there is one. Raises LanguageModelError when the
        question alone does not fit the context, ModelError for a grammar that is none.
        """
        begin = time.perf_counter()
        limit = self.prompt.max_answer_tokens if max_tokens is None else max_tokens
        tokens = self._dialog(conditioning, question, history, limit)
        self._condition(conditioning)
        logits = self.llama.decode_tokens(tokens, want="last")
        held = self.llama.grammar(grammar) if grammar else self._call(int(logits[-1].argmax()))
        return self._continue(logits, begin, begin + deadline_s, limit, held)

    def _continue(
        self, logits: Float32, begin: float, end: float, limit: int, grammar: Grammar | None
    ) -> Generation:
        prompt_tokens, chosen = self.llama.position, list[int]()
        stop: Stop = "length"
        log_probability = 0.0
        times = [time.perf_counter()]  # when each token was known, the first one first
        while len(chosen) < limit:
            token = int(logits[-1].argmax()) if grammar is None else grammar.choose(logits[-1])
            log_probability += _log_probability(logits[-1], token)
            if self.llama.is_end(token) or self.llama.is_control(token):
                stop = "end"
                break
            if times[-1] > end:
                stop = "deadline"
                break
            chosen.append(token)
            if len(chosen) < limit:
                logits = self.llama.decode_tokens([token], want="last")
                times.append(time.perf_counter())
        if grammar is not None:
            grammar.close()
        text = b"".join(self.llama.piece(t) for t in chosen)
        return Generation(
            text=text.decode("utf-8", errors="replace").strip(),
            stop=stop,
            tokens=len(chosen),
            prompt_tokens=prompt_tokens,
            first_token_ms=1e3 * (times[0] - begin),
            per_token_ms=1e3 * (times[-1] - times[0]) / max(len(times) - 1, 1),
            probability=math.exp(log_probability),
        )

    def _call(self, first: int) -> Grammar | None:
        """A fresh grammar where the answer begins as JSON; `{summary}` and other places do not."""
        begins = self.llama.piece(first).lstrip().startswith(b'{"')
        return self.llama.grammar(self._call_grammar) if begins and self._call_grammar else None

    def _condition(self, conditioning: Conditioning) -> None:
        """Back to the prefix, then the percept. Every later position lies under its control vector."""
        self.llama.truncate(self.prefix_tokens)
        self.llama.set_control(conditioning.control)
        self.llama.decode_embeddings(conditioning.soft)

    def _turn(self, question: str) -> list[int]:
        return self._before + self.llama.tokenize(question, control=False) + self._after

    def _dialog(
        self, conditioning: Conditioning, question: str, history: Sequence[Turn], limit: int
    ) -> list[int]:
        tokens = self._turn(question)
        self._check_room(conditioning, tokens, limit)
        room = self._room(conditioning) - limit
        for turn in reversed(history):
            words = " " + turn.answer.strip()
            earlier = self._turn(turn.question) + self.llama.tokenize(words, control=False)
            earlier += self.llama.tokenize(END, control=True)
            if len(earlier) + len(tokens) > room:
                break
            tokens = earlier + tokens
        return tokens

    def _room(self, conditioning: Conditioning) -> int:
        return self.llama.context_tokens - self.prefix_tokens - len(conditioning.soft)

    def _check_room(self, conditioning: Conditioning, tokens: Sequence[int], limit: int) -> None:
        room = self._room(conditioning) - limit
        if len(tokens) > room:
            raise LanguageModelError(
                f"the question has {len(tokens)} tokens, there is room for {room}",
                hint="ask a shorter question",
            )


def _log_probability(logits: Float32, token: int) -> float:
    """Of a token among all, before any grammar."""
    shifted = logits.astype(np.float64) - logits.max()
    return float(shifted[token] - np.log(np.exp(shifted).sum()))

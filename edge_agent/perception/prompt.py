"""The text around the soft tokens. One place for what training wrote and what the device sends.

Layout: PREFIX, K soft tokens, then for every turn USER question AGENT answer END. The prefix is cached
and never under a control vector; everything after it is (DESIGN.md, "The model").
"""

from __future__ import annotations

import re

BOS, END, SENSE, USER, AGENT, PAD = (
    "<|bos|>", "<|end|>", "<|sense|>", "<|user|>", "<|agent|>", "<|pad|>",
)  # fmt: skip
CONTROL_TOKENS = (BOS, END, SENSE, USER, AGENT, PAD)

PREFIX = f"{BOS}You watch sensors and answer briefly.{SENSE}"
QUESTION = f"{USER}{{question}}{AGENT}"

_SPACES = re.compile(r"\s+")
_OUTSIDE = re.compile(r"[^\w\s',.?!:%/()-]")


def normalise_question(question: str) -> str:
    """The question as the model was trained to see it: lower case, plain characters, one question mark.

    A control token spelled out by a user loses its angle brackets here, so it stays ordinary text.
    """
    text = _SPACES.sub(" ", _OUTSIDE.sub(" ", question)).strip().lower().rstrip(" ?!.")
    return f"{text}?" if text else ""

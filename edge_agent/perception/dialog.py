"""What goes to the language model and what comes back. Pure data, shared by daemon and worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stop = Literal["end", "length", "deadline"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """The prompt a model was trained on, from its manifest."""

    prefix: str
    question: str
    max_answer_tokens: int


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier exchange of the same dialog."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Written:
    """What the language model wrote, unchecked, or why there is nothing; see Generation."""

    text: str
    reason: str = ""
    first_token_ms: float = 0.0
    probability: float = 0.0


@dataclass(frozen=True, slots=True)
class Generation:
    """A worded answer, why it stopped, and how long it took.

    `first_token_ms` counts from the arrival of the question, `per_token_ms` is the mean of the rest.
    `probability` is that of all that was written, its end too, among all that could have been: it is low
    where a grammar held the model to what it would not have written.
    """

    text: str
    stop: Stop
    tokens: int
    prompt_tokens: int
    first_token_ms: float
    per_token_ms: float
    probability: float

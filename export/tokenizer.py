"""Byte-level BPE with 4096 entries, in the dialect that llama.cpp calls `gpt2` / `smollm`.

`smollm` splits every digit, then applies GPT-2's pattern. The words that name a class must each be
one token, so that a class is one logit: training asserts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from edge_agent.perception.prompt import CONTROL_TOKENS

N_VOCAB = 4096


def train(texts: Iterable[str], n_vocab: int = N_VOCAB) -> Tokenizer:
    """A tokenizer trained on `texts`; control tokens take the first ids."""
    tokenizer = _dressed(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    assert tokenizer.get_vocab_size() == n_vocab, (tokenizer.get_vocab_size(), n_vocab)
    return tokenizer


def make(vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> Tokenizer:
    """The tokenizer of these entries; those of CONTROL_TOKENS are never made of text."""
    tokenizer = _dressed(models.BPE(vocab=dict(vocabulary), merges=list(merges)))
    tokenizer.add_special_tokens(list(CONTROL_TOKENS))
    return tokenizer


def _dressed(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def load(path: Path) -> Tokenizer:
    """The tokenizer saved in `path` (tokenizer.json)."""
    return Tokenizer.from_file(str(path))


def first_tokens(tokenizer: Tokenizer, phrases: Iterable[str]) -> tuple[int, ...]:
    """The token that begins each phrase after a space. All are different and each is a whole word.

    Raises ValueError otherwise: the class could then not be read from one logit.
    """
    phrases = tuple(phrases)
    ids = tuple(tokenizer.encode(f" {p}").ids[0] for p in phrases)
    for phrase, first in zip(phrases, ids, strict=True):
        word, whole = tokenizer.decode([first]).strip(), phrase.split()[0]
        if word != whole:
            raise ValueError(f"{whole!r} is not one token but begins with {word!r}")
    if len(set(ids)) != len(ids):
        raise ValueError(f"two of {phrases} begin with the same token")
    return ids

"""The checkpoint's own tokenizer, with this project's control tokens added, as GGUF wants it.

llama.cpp knows the ways to cut a text into words by name. A tokenizer whose way has no name here is
refused: it would read other tokens on the device than in training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
from tokenizers import AddedToken, Tokenizer

from edge_agent.perception.prompt import CONTROL_TOKENS
from export.gguf_writer import Vocabulary

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLITS: dict[str, str] = {
    _WORDS + r"\p{N}" + _REST: "qwen2",
    _WORDS + r"\p{N}{1,3}" + _REST: "llama-bpe",
}
"""Regular expression of a `Split` before the bytes -> llama.cpp's name."""


def prepare(source: Path) -> Tokenizer:
    """The tokenizer in `source` with the six control tokens as special tokens after its own ids.

    Raises ValueError where it is no byte-level BPE that llama.cpp can be told by name, and where it has
    a token named like one of ours.
    """
    pre_tokenizer(source)
    tokenizer = Tokenizer.from_file(str(source))
    if taken := [t for t in CONTROL_TOKENS if tokenizer.token_to_id(t) is not None]:
        raise ValueError(f"{source} has tokens of its own named {', '.join(taken)}")
    # A template of the chat's own would put its first token before every piece that is encoded.
    tokenizer.post_processor = None
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in CONTROL_TOKENS])
    ids = [tokenizer.token_to_id(t) for t in CONTROL_TOKENS]
    first = control_first(tokenizer)
    if ids != list(range(first, first + len(ids))):
        raise ValueError(f"{source}: its ids have holes, so the added tokens got {ids}")
    return tokenizer


def control_first(tokenizer: Tokenizer) -> int:
    """The id of the first control token; the others follow it in the order of CONTROL_TOKENS."""
    first: int = tokenizer.encode(CONTROL_TOKENS[0]).ids[0]
    return first


def pre_tokenizer(source: Path) -> str:
    """llama.cpp's name for how the tokenizer in `source` cuts a text; ValueError where it has none."""
    content = _read(source)
    model = content["model"]
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        kind = "SentencePiece" if model.get("byte_fallback") else model.get("type")
        raise ValueError(f"{source}: the tokenizer is {kind}, only byte-level BPE is written")
    if (normalizer := content.get("normalizer")) and normalizer.get("type") != "NFC":
        raise ValueError(f"{source}: llama.cpp has no normalizer {normalizer.get('type')!r}")
    steps = _steps(content.get("pre_tokenizer"))
    kinds = [step["type"] for step in steps]
    if kinds == ["Digits", "ByteLevel"] and steps[0]["individual_digits"] and _regex(steps[1]):
        return "smollm"
    if kinds == ["ByteLevel"] and _regex(steps[0]):
        return "gpt-2"
    if kinds == ["Split", "ByteLevel"] and steps[0]["behavior"] == "Isolated" and not _regex(steps[1]):
        name = SPLITS.get(steps[0]["pattern"].get("Regex", ""))
        if name is not None and not steps[0].get("invert"):
            return name
    raise ValueError(
        f"{source}: its pre-tokenizer ({', '.join(kinds) or 'none'}) is none of smollm, gpt-2, qwen2 and "
        "llama-bpe; add its rule and llama.cpp's name for it to export/byo/tokenizer.py"
    )


def vocabulary(tokenizer: Tokenizer, n_vocab: int) -> Vocabulary:
    """Tokens by id with types and merges; rows of the embedding that no token uses are named so.

    Raises ValueError when there are more tokens than rows.
    """
    content = json.loads(tokenizer.to_str())
    added: dict[int, dict[str, Any]] = {t["id"]: t for t in content["added_tokens"]}
    by_id: dict[int, str] = {i: t for t, i in content["model"]["vocab"].items()}
    by_id |= {i: str(t["content"]) for i, t in added.items()}
    if max(by_id) >= n_vocab:
        raise ValueError(f"the tokenizer has ids up to {max(by_id)}, the network has {n_vocab} rows")
    return Vocabulary(
        tuple(by_id.get(i, f"[unused{i}]") for i in range(n_vocab)),
        tuple(_type(i, by_id, added) for i in range(n_vocab)),
        tuple(m if isinstance(m, str) else " ".join(m) for m in content["model"]["merges"]),
    )


def label_tokens(tokenizer: Tokenizer, task: str, phrases: Mapping[str, str]) -> tuple[int, ...]:
    """The first token of each label's phrase after a space, in order.

    A phrase may be several tokens; its first one has to tell it from the others, since the class is read
    from that logit alone. Raises ValueError naming the labels that begin alike.
    """
    first = {label: int(tokenizer.encode(f" {phrase}").ids[0]) for label, phrase in phrases.items()}
    labels_of: dict[int, list[str]] = {}
    for label, token in first.items():
        labels_of.setdefault(token, []).append(label)
    clashes = [
        f"{' and '.join(repr(phrases[label]) for label in alike)} (both begin with "
        f"{tokenizer.decode([token], skip_special_tokens=False)!r})"
        for token, alike in labels_of.items()
        if len(alike) > 1
    ]
    if clashes:
        raise ValueError(
            f"task {task}: this tokenizer begins {'; '.join(clashes)}. A class is read from the first token "
            "of its phrase: change the phrases of these classes so that they begin differently"
        )
    return tuple(first.values())


def _read(source: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
        content["model"]["type"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{source} is no file of the `tokenizers` library: {error!r}") from error
    return content


def _steps(pre: dict[str, Any] | None) -> list[dict[str, Any]]:
    if pre is None:
        return []
    return list(pre["pretokenizers"]) if pre["type"] == "Sequence" else [pre]


def _regex(step: dict[str, Any]) -> bool:
    """Whether a ByteLevel step applies GPT-2's own pattern; a space put before a text is never known."""
    return bool(step.get("use_regex", True)) and not step.get("add_prefix_space")


def _type(index: int, by_id: Mapping[int, str], added: Mapping[int, Mapping[str, Any]]) -> int:
    if index not in by_id:
        return int(gguf.TokenType.UNUSED)
    if index not in added:
        return int(gguf.TokenType.NORMAL)
    # What is added but not special is matched in every text, which llama.cpp calls user defined.
    return int(gguf.TokenType.CONTROL if added[index]["special"] else gguf.TokenType.USER_DEFINED)

"""Carry a trained language model over to another tokenizer: what it knows of English is worth hours."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer

from export import tokenizer as bpe
from export.student import Student


def transplant(start: Path, student: Student, tokenizer: Tokenizer, stage: str = "instruct") -> float:
    """Give the student the language model of `start`/<stage>.pt, whose tokenizer is `start`/tokenizer.json.

    A token that both have keeps its row of the embedding; a new one begins as the mean of the old tokens
    that spell it. Returns the share of rows that were kept.
    """
    before = bpe.load(start / "tokenizer.json")
    saved = torch.load(start / f"{stage}.pt", weights_only=True)["student"]
    language = {k.removeprefix("language."): v for k, v in saved.items() if k.startswith("language.")}
    old = language["token_embd.weight"]
    rows, kept = [], 0
    for i in range(tokenizer.get_vocab_size()):
        same = before.token_to_id(str(tokenizer.id_to_token(i)))
        if same is not None:
            kept += 1
            rows.append(old[same])
            continue
        pieces = before.encode(tokenizer.decode([i], skip_special_tokens=False)).ids
        rows.append(old[pieces].mean(0) if pieces else old.mean(0))
    language["token_embd.weight"] = torch.stack(rows)
    student.language.load_state_dict(language)
    return kept / len(rows)

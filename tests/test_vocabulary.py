"""A language model carried over to another tokenizer: old tokens keep their rows, new ones get a start."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from random_model import sentences
from tokenizers import Tokenizer

from export import tokenizer as bpe
from export.batches import Codec
from export.networks.adapter import Adapter, AdapterConfig, HeadShape
from export.networks.language import LanguageConfig, LanguageModel
from export.student import Student
from export.vocabulary import transplant

N_VOCAB = 330
CONFIG = AdapterConfig((("one", 2),), (HeadShape("h", 2, ("one",)),), n_embd=64, n_layer=2)
LANGUAGE = LanguageConfig(n_vocab=N_VOCAB, n_embd=64, n_layer=2, n_head=2, n_ff=96)


def student(tokenizer: Tokenizer, seed: int) -> Student:
    torch.manual_seed(seed)
    return Student(Adapter(CONFIG), LanguageModel(LANGUAGE), Codec(tokenizer).prefix)


@pytest.fixture(scope="module")
def before() -> Tokenizer:
    return bpe.train(sentences(300, seed=7), n_vocab=N_VOCAB)


@pytest.fixture(scope="module")
def after() -> Tokenizer:
    """Words that the first tokenizer never met are tokens of their own here."""
    return bpe.train([*sentences(300, seed=7), *([" zygomorphic quixotic"] * 900)], n_vocab=N_VOCAB)


@pytest.fixture
def start(before: Tokenizer, tmp_path: Path) -> Path:
    before.save(str(tmp_path / "tokenizer.json"))
    torch.save({"student": student(before, 1).state_dict()}, tmp_path / "instruct.pt")
    return tmp_path


def test_with_the_same_tokenizer_nothing_changes(start: Path, before: Tokenizer) -> None:
    new = student(before, 2)
    adapter = {k: v.clone() for k, v in new.adapter.state_dict().items()}
    assert transplant(start, new, before) == 1.0
    old = student(before, 1).language.state_dict()
    for name, value in new.language.state_dict().items():
        assert torch.equal(value, old[name]), name
    for name, value in new.adapter.state_dict().items():
        assert torch.equal(value, adapter[name]), "the adapter is not carried over"


def test_a_token_of_both_keeps_its_row_and_a_new_one_is_the_mean_of_its_spelling(
    start: Path, before: Tokenizer, after: Tokenizer
) -> None:
    new = student(after, 2)
    share = transplant(start, new, after)
    old = student(before, 1).language.token_embd.weight
    rows = new.language.token_embd.weight
    kept = moved = 0
    for i in range(N_VOCAB):
        token = str(after.id_to_token(i))
        same = before.token_to_id(token)
        if same is not None:
            assert torch.equal(rows[i], old[same]), token
            kept, moved = kept + 1, moved + int(same != i)
    assert share == pytest.approx(kept / N_VOCAB)
    assert 0.5 < share < 1.0
    assert moved > 0, "or rows that stay where they are would pass as well"
    word = after.encode(" zygomorphic").ids
    assert len(word) == 1
    pieces = before.encode(" zygomorphic").ids
    assert len(pieces) > 1
    torch.testing.assert_close(rows[word[0]], old[pieces].mean(0))


def test_the_rest_of_the_network_is_carried_over(start: Path, before: Tokenizer, after: Tokenizer) -> None:
    new = student(after, 2)
    transplant(start, new, after)
    old = student(before, 1).language.state_dict()
    rest = {k: v for k, v in new.language.state_dict().items() if k != "token_embd.weight"}
    assert len(rest) > 5
    assert all(torch.equal(v, old[k]) for k, v in rest.items())

"""Training of the language model: masks of the loss, and a run that resumes where it was cut off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from export import tokenizer as bpe
from export.batches import Codec
from export.dialogs import Asker
from export.features_source import StandIn
from export.labels import ACTIVITY, EVENT, PHRASES, SLOTS
from export.networks.adapter import Adapter, AdapterConfig
from export.networks.language import LanguageConfig, LanguageModel
from export.student import Student
from export.train_language import Settings, Trainer


@pytest.fixture(scope="module")
def tokenizer():
    asker = Asker(np.random.default_rng(7))
    turns = [asker.turn(asker.state()) for _ in range(4000)]
    return bpe.train((f"{t.question}{t.answer}" for t in turns), n_vocab=700)


def make_trainer(tokenizer, folder: Path, steps: int) -> Trainer:
    torch.manual_seed(0)
    heads = tuple((task, len(PHRASES[task])) for task in (ACTIVITY, EVENT))
    slots = tuple((slot, 10) for slot in SLOTS)
    adapter = Adapter(AdapterConfig(slots, heads, n_embd=64, n_layer=2, dropout=0.0))
    language = LanguageModel(LanguageConfig(n_vocab=700, n_embd=64, n_layer=2, n_head=2, n_ff=96))
    codec = Codec(tokenizer)
    settings = Settings("tiny", steps=steps, batch=8, save_every=1000)
    english = list(range(400))
    return Trainer(Student(adapter, language, codec.prefix), StandIn(), codec, settings, folder, english)


def test_every_class_is_one_token(tokenizer) -> None:
    for task in (ACTIVITY, EVENT):
        ids = bpe.first_tokens(tokenizer, PHRASES[task].values())
        assert len(set(ids)) == len(PHRASES[task])


def test_a_class_of_two_tokens_is_refused(tokenizer) -> None:
    with pytest.raises(ValueError, match="not one token"):
        bpe.first_tokens(tokenizer, ["zygomorphic"])


def test_only_answers_carry_loss(tokenizer) -> None:
    asker = Asker(np.random.default_rng(1))
    states = [asker.state() for _ in range(6)]
    dialogs = [asker.dialog(s, 2) for s in states]
    batch = Codec(tokenizer).batch(dialogs, states)
    for row, turns in enumerate(dialogs):
        learned = [int(t) for t in batch.targets[row] if t >= 0]
        expected = [
            i for t in turns for i in [*tokenizer.encode(t.answer).ids, tokenizer.token_to_id("<|end|>")]
        ]
        assert learned == expected


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(tokenizer, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir(), cut.mkdir()
    make_trainer(tokenizer, whole, 4).run()
    first = make_trainer(tokenizer, cut, 4)
    for _ in range(2):
        first._set_rate(first.share())
        first.log.append(first.train_step())
        first.step += 1
    first.save()
    torch.manual_seed(123)  # a new process would not have the old one's generator
    make_trainer(tokenizer, cut, 4).run()
    one = torch.load(whole / "tiny.pt", weights_only=True)["student"]
    two = torch.load(cut / "tiny.pt", weights_only=True)["student"]
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], msg=name)


def test_training_lowers_the_loss_and_uses_the_sensors(tokenizer, tmp_path: Path) -> None:
    trainer = make_trainer(tokenizer, tmp_path, 60)
    trainer.settings = replace(trainer.settings, english=0.0, lr=5e-3)
    trainer.run()
    heads = [row["heads"] for row in trainer.log]
    assert np.mean(heads[-10:]) < 0.7 * np.mean(heads[:10])
    assert (tmp_path / "tiny.png").stat().st_size > 1000

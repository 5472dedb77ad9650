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
from export.catalog import SLOTS, classes
from export.dialogs import Asker
from export.groups import Group, Sample
from export.networks.adapter import Adapter
from export.networks.encoders import EncoderOutput
from export.networks.language import LanguageConfig, LanguageModel
from export.slot_features import groups as recorded_together
from export.student import Student, even_by_reading, misread
from export.train_heads import shipped_config
from export.train_language import LEAST_OFTEN, Settings, Trainer, states_of
from export.train_slots import outputs_of

N_VOCAB = 900
CONFIG = shipped_config(lambda _slot: 2, n_embd=64, n_layer=2, d_model=64, dropout=0.0)


@pytest.fixture(scope="module")
def tokenizer():
    asker = Asker(np.random.default_rng(7))
    turns = [asker.turn(asker.state()) for _ in range(4000)]
    words = [f" {p}" for h in classes() for p in h.phrases.values()] * 200
    return bpe.train([*(f"{t.question}{t.answer}" for t in turns), *words], n_vocab=N_VOCAB)


def made_up(n: int = 40) -> list[Group]:
    """Encoder outputs of every group of the catalog that are sure of a random class."""
    g = torch.Generator().manual_seed(0)
    found = []
    for slots in recorded_together().values():
        outputs = {
            s: EncoderOutput(
                torch.randn(n, 2, 128, generator=g), torch.randn(n, 128, generator=g),
                6 * torch.randn(n, outputs_of(SLOTS[s]), generator=g),
            )
            for s in slots
        }  # fmt: skip
        found.append(Group.of(outputs, {}))
    return found


def make_trainer(tokenizer, folder: Path, steps: int, **changed) -> Trainer:
    torch.manual_seed(0)
    adapter = Adapter(CONFIG)
    language = LanguageModel(LanguageConfig(n_vocab=N_VOCAB, n_embd=64, n_layer=2, n_head=2, n_ff=96))
    codec = Codec(tokenizer)
    settings = replace(Settings("tiny", steps=steps, batch=8, save_every=1000, contrast_rows=2), **changed)
    student = Student(adapter, language, codec.prefix)
    return Trainer(student, made_up(), codec, settings, folder, list(range(400)))


def test_a_class_that_is_seldom_read_is_drawn_as_often_as_another() -> None:
    label = torch.zeros(200, dtype=torch.long)
    label[:10] = 1
    said = 9.0 * torch.nn.functional.one_hot(label, outputs_of(SLOTS["capacitance"])).float()
    outputs = EncoderOutput(torch.randn(200, 2, 128), torch.randn(200, 128), said)
    truth = torch.arange(200) % 2  # what the heads do not read
    even = even_by_reading(Group.of({"capacitance": outputs}, {"touch": truth}), Adapter(CONFIG).fused)
    drawn = even.draw(4000, torch.Generator().manual_seed(0))
    assert float((label[drawn] == 1).float().mean()) == pytest.approx(0.5, abs=0.05)


def test_every_class_is_one_token(tokenizer) -> None:
    for head in classes():
        ids = bpe.first_tokens(tokenizer, head.phrases.values())
        assert len(set(ids)) == len(head.phrases)


def test_a_class_of_two_tokens_is_refused(tokenizer) -> None:
    with pytest.raises(ValueError, match="not one token"):
        bpe.first_tokens(tokenizer, ["zygomorphic"])


def test_only_answers_carry_loss(tokenizer) -> None:
    asker = Asker(np.random.default_rng(1))
    states = [asker.state() for _ in range(6)]
    dialogs = [asker.dialog(s, 2) for s in states]
    batch = Codec(tokenizer).batch(dialogs)
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
        first.advance()
    first.save()
    torch.manual_seed(123)  # a new process would not have the old one's generator
    make_trainer(tokenizer, cut, 4).run()
    one = torch.load(whole / "tiny.pt", weights_only=True)["student"]
    two = torch.load(cut / "tiny.pt", weights_only=True)["student"]
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], msg=name)


def test_a_state_is_what_the_heads_read_of_present_slots() -> None:
    torch.manual_seed(0)
    adapter = Adapter(CONFIG).eval()
    g = torch.Generator().manual_seed(1)
    mask = torch.zeros(3, len(SLOTS))
    mask[0, list(SLOTS).index("imu_watch")] = 1
    mask[1] = 1
    logits = 5 * torch.randn(3, CONFIG.n_logits, generator=g)
    sample = Sample(torch.randn(3, 32, 128), torch.randn(3, len(SLOTS), 128), logits, mask)
    watch, every, nothing = states_of(adapter, sample)
    with torch.no_grad():
        heads, _, _ = adapter.fused(sample.pooled, sample.logits, sample.mask)
    assert set(watch.labels) == {"activity_recognition"}
    assert watch.present == {"imu_watch"}
    assert every.labels == {h.name: h.labels[int(heads[h.name][1].argmax())] for h in classes()}
    assert (dict(nothing.labels), nothing.present) == ({}, frozenset())


def test_the_heads_stay_as_they_are(tokenizer, tmp_path: Path) -> None:
    trainer = make_trainer(tokenizer, tmp_path, 2, english=0.0)
    before = {k: v.clone() for k, v in trainer.student.adapter.fused.state_dict().items()}
    show = trainer.student.adapter.show.weight.clone()
    trainer.run()
    after = trainer.student.adapter.fused.state_dict()
    assert all(torch.equal(v, after[k]) for k, v in before.items())
    assert not torch.equal(show, trainer.student.adapter.show.weight)


def test_partners_show_another_label_through_the_same_slots(tokenizer, tmp_path: Path) -> None:
    trainer = make_trainer(tokenizer, tmp_path, 1, batch=32, contrast_rows=8)
    sample = trainer._sample()
    states = states_of(trainer.student.adapter, sample)
    dialogs = [trainer.asker.dialog(s, 2) for s in states]
    rows, others = trainer._partners(sample, states, dialogs)
    assert len(rows) == len(others) == 8
    assert torch.equal(others.mask, sample.mask[rows])
    for i, other in zip(rows.tolist(), states_of(trainer.student.adapter, others), strict=True):
        read = [t.head for t in dialogs[i] if t.reads and t.head]
        assert any(states[i].label(h) != other.label(h) for h in read)


def test_what_is_worded_wrongly_is_asked_about_most(tokenizer, tmp_path: Path) -> None:
    trainer = make_trainer(tokenizer, tmp_path, 2)
    wrong = misread(trainer.student.eval(), trainer.groups, trainer.codec, torch.Generator().manual_seed(0))
    assert set(wrong) == {h.name for h in classes()}
    assert np.mean(list(wrong.values())) > 0.3, "untrained"
    trainer.run()
    assert {h: round(w - LEAST_OFTEN, 6) for h, w in trainer.asker.often.items()} == wrong
    again = make_trainer(tokenizer, tmp_path, 2)
    again.resume()
    assert again.asker.often == trainer.asker.often
    assert torch.equal(again.student.adapter.query, trainer.student.adapter.query)


def test_training_lowers_the_loss(tokenizer, tmp_path: Path) -> None:
    trainer = make_trainer(tokenizer, tmp_path, 60, english=0.0, lr=1e-2)
    trainer.run()
    answer = [row["answer"] for row in trainer.log]
    assert np.mean(answer[-5:]) < 0.7 * np.mean(answer[:5])
    assert (tmp_path / "tiny.png").stat().st_size > 1000

"""What an ablation leaves out stays out of what is shipped from its checkpoints."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from export import tokenizer as bpe
from export import train_heads
from export.__main__ import main
from export.catalog import HEADS
from export.groups import Group, draw
from export.networks.adapter import Adapter, Heads
from export.networks.language import LanguageConfig
from export.ship import load_student
from export.slot_features import groups as recorded_together
from export.student import make_student, states_of
from export.train_heads import config_from
from tests.random_model import train_tokenizer
from tests.tiny_training import made_up_outputs

LANGUAGE = LanguageConfig(n_vocab=500, n_embd=64, n_layer=2, n_head=2, n_ff=96)


def made_up() -> dict[str, Group]:
    g = torch.Generator().manual_seed(0)
    return {
        name: Group.of({s: made_up_outputs(s, 4, g) for s in slots}, {})
        for name, slots in recorded_together().items()
    }


@pytest.mark.parametrize("ablation", ["", "soft_only", "control_only", "no_multitask", "no_multisensory"])
def test_what_ships_is_what_was_trained(tmp_path: Path, ablation: str) -> None:
    found = made_up()
    train_tokenizer(tmp_path / "tokenizer.json")
    config = replace(config_from(found), ablation=ablation)
    student = make_student(bpe.load(tmp_path / "tokenizer.json"), config, LANGUAGE).eval()
    saved = {"student": student.state_dict(), "language": asdict(LANGUAGE)}
    torch.save(saved | {"settings": {"ablation": ablation}}, tmp_path / "instruct.pt")
    assert load_student(tmp_path, found).adapter.config.ablation == ablation
    if not ablation:  # as `restore` and jobs write it
        torch.save(saved, tmp_path / "instruct.pt")
        assert load_student(tmp_path, found).adapter.config.ablation == ""


def test_no_label_is_taught_of_a_sensor_that_an_ablation_does_not_show() -> None:
    found = made_up()
    config = replace(config_from(found), ablation="no_multisensory")
    every = torch.ones(8, len(config.slots))
    sample, _ = draw(config, list(found.values()), every, torch.Generator().manual_seed(1))
    states = states_of(Adapter(config).eval(), sample)
    assert {state.present for state in states} == {frozenset(config.names[:1])}
    assert all(config.names[0] in HEADS[head].slots for state in states for head in state.labels)
    whole = states_of(Adapter(replace(config, ablation="")).eval(), sample)
    assert {state.present for state in whole} == {frozenset(config.names)}


def test_heads_with_one_gate_are_no_heads_with_a_gate_each(tmp_path: Path, capsys) -> None:
    config = replace(config_from(made_up()), ablation="no_multitask")
    heads = Heads(config)
    torch.save({"state": heads.state_dict(), "config": asdict(config), "options": {}}, tmp_path / "heads.pt")
    before = (tmp_path / "heads.pt").read_bytes()
    train_heads.main(["--folder", str(tmp_path), "--one-gate"])  # there: nothing to do
    assert (tmp_path / "heads.pt").read_bytes() == before
    with pytest.raises(SystemExit):
        train_heads.main(["--folder", str(tmp_path)])
    assert "name another folder" in capsys.readouterr().err
    assert (tmp_path / "heads.pt").read_bytes() == before


@pytest.mark.parametrize(("saved", "asked"), [("", "soft_only"), ("control_only", "soft_only")])
def test_a_training_never_goes_on_from_another_ablation(tmp_path: Path, saved: str, asked: str) -> None:
    (tmp_path / "shipped").mkdir()
    torch.save({"settings": {"ablation": saved}}, tmp_path / "shipped" / "instruct.pt")
    with pytest.raises(SystemExit, match="another folder with --runs"):
        main(["--runs", str(tmp_path), "train", "instruct", "--device", "cpu", "--ablation", asked])

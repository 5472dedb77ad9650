"""The training that travels: what is packed, trained in slices elsewhere, and brought home."""

from __future__ import annotations

import json
import lzma
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

import tiny_training

from export import job, parcel
from export.__main__ import main
from export.catalog import HEADS
from export.groups import Group
from export.job import JobOptions
from export.networks.adapter import Heads
from export.slot_features import groups as recorded_together
from export.student import language_of, make_student
from export.text import FILES
from export.tokenizer import load
from export.train_heads import config_from, load_groups, load_heads
from export.train_language import Trainer

ROWS = 30
OPTIONS = JobOptions(
    tiny_training.LANGUAGE, slice_minutes=0.15, total_minutes=0.3, pretrain_share=0.4, batch=4, english_rows=2
)


# -- parcels -----------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    wanted=st.dictionaries(st.text(max_size=3), st.integers(0, 1000), max_size=8),
    total=st.integers(0, 4000), most=st.integers(1, 900),
)  # fmt: skip
def test_what_is_allotted_fits_and_nothing_is_held_back(
    wanted: dict[str, int], total: int, most: int
) -> None:
    given_ = job.allot(wanted, total, most)
    assert given_.keys() == wanted.keys()
    assert sum(given_.values()) <= total
    assert all(0 <= given_[k] <= min(w, most) for k, w in wanted.items())
    if sum(min(w, most) for w in wanted.values()) <= total:
        assert all(given_[k] == min(w, most) for k, w in wanted.items())


def test_a_parcel_is_whole_or_says_what_is_not(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="not finished"):
        parcel.unseal(tmp_path)
    (tmp_path / "a.bin").write_bytes(b"one")
    (tmp_path / "b.bin").write_bytes(b"two")
    total = parcel.seal(tmp_path, {"kind": "in"})
    assert total == sum(f.stat().st_size for f in tmp_path.iterdir())
    assert parcel.unseal(tmp_path)["kind"] == "in"
    (tmp_path / "a.bin").write_bytes(b"ONE")
    with pytest.raises(ValueError, match=r"a\.bin is not what was packed"):
        parcel.unseal(tmp_path)
    (tmp_path / "a.bin").unlink()
    with pytest.raises(ValueError, match=r"a\.bin is missing"):
        parcel.unseal(tmp_path)


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def test_a_parcel_that_cannot_be_carried_is_refused(tmp_path: Path) -> None:
    sparse(tmp_path / "large.bin", parcel.FILE_BYTES + 1)
    with pytest.raises(ValueError, match=r"large\.bin has 16\.0 MiB; a file may have 16\.0 MiB"):
        parcel.seal(tmp_path, {})
    (tmp_path / "large.bin").unlink()
    for i in range(4):
        sparse(tmp_path / f"{i}.bin", parcel.FILE_BYTES)
    with pytest.raises(ValueError, match=r"64\.0 MiB in all"):
        parcel.seal(tmp_path, {})
    (tmp_path / "0.bin").unlink()
    with pytest.raises(ValueError, match="4 files; 3 may be carried"):
        parcel.seal(tmp_path, {}, most_files=3)
    assert not (tmp_path / parcel.MANIFEST).exists(), "nothing that looks whole is left"
    parcel.seal(tmp_path, {}, most_files=4)


def test_weights_travel_in_small_files_and_come_back_in_half_precision(tmp_path: Path) -> None:
    g = torch.Generator().manual_seed(0)
    state = {f"block.{i}": torch.randn(3, 10**6, generator=g) for i in range(6)} | {"gate": torch.tensor(0.5)}
    parcel.write_weights(tmp_path, state)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3  # two of 6 MB fit into one
    assert all(f.stat().st_size <= parcel.FILE_BYTES for f in files)
    back = parcel.read_weights(tmp_path)
    assert list(back) == list(state)
    for name, value in state.items():
        assert back[name].dtype == torch.float32
        assert torch.equal(back[name], value.half().float())
    parcel.write_weights(tmp_path, {"gate": state["gate"]})
    assert list(parcel.read_weights(tmp_path)) == ["gate"], "files of an earlier slice are gone"


def test_a_weight_that_has_gone_astray_does_not_travel(tmp_path: Path) -> None:
    for wrong in (float("nan"), 1e6):
        with pytest.raises(ValueError, match="w has numbers that fp16 cannot hold"):
            parcel.write_weights(tmp_path, {"w": torch.tensor([wrong])})


def test_rare_classes_stay_when_a_group_is_thinned() -> None:
    g = torch.Generator().manual_seed(0)
    target = torch.zeros(400, dtype=torch.long)
    target[:20] = 1
    group = Group.of({"air": tiny_training.made_up_outputs("air", 400, g)}, {"occupancy": target})
    few = job.thinned(group, 40, g)
    assert len(few) == 40
    assert (few.targets["occupancy"] == 1).sum() >= 3
    assert job.thinned(group, 400, g) is group
    with pytest.raises(ValueError, match="no room"):
        job.thinned(group, 0, g)


def test_slices_share_what_loading_leaves_of_them() -> None:
    options = JobOptions(tiny_training.LANGUAGE)
    pretrain, align, instruct = (options.settings(s) for s in job.STAGES)
    assert 26 < pretrain.minutes + align.minutes + instruct.minutes < 30
    assert align.english == 0.0
    assert pretrain.minutes == pytest.approx(0.2 * 3 * options.training_s / 60)
    assert options.training_s + options.reserve_s == 600


# -- the whole way -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stages before the language model leave: features of every group, tokenizer and heads."""
    folder = tmp_path_factory.mktemp("runs") / "shipped"
    folder.mkdir()
    tiny_training.tiny_tokenizer().save(str(folder / "tokenizer.json"))
    g = torch.Generator().manual_seed(0)
    for name, slots in recorded_together().items():
        outputs = {s: tiny_training.made_up_outputs(s, ROWS, g) for s in slots}
        heads = [h for h in HEADS.values() if set(h.slots) & set(slots)]
        targets = {
            h.name: torch.randn(ROWS, len(h.numbers), generator=g)
            if h.regression
            else torch.randint(len(h.labels), (ROWS,), generator=g)
            for h in heads
        }
        split = (torch.arange(ROWS) % 3 == 2).long()
        job.write_group(folder / f"features_{name}.npz", Group.of(outputs, targets, split))
    torch.manual_seed(5)
    config = config_from(load_groups(folder))
    heads = Heads(config)
    torch.save({"state": heads.state_dict(), "config": asdict(config)}, folder / "heads.pt")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "text").mkdir()
    for name in FILES:
        words = " ".join(f"the {w} of the room is what a person would ask about" for w in name.split("_"))
        with lzma.open(root / "text" / name, "wt", encoding="utf-8") as file:
            file.write("\n\n".join(f"{words} {words} {words} {i}" for i in range(40)))
    return root


@pytest.fixture(scope="module")
def packed(shipped: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("job")
    assert main(["--data", str(data), "--runs", str(shipped.parent), "job", "pack", str(folder)]) == 0
    return folder


def test_only_the_training_part_travels_and_all_groups_do(packed: Path, shipped: Path) -> None:
    facts = parcel.unseal(packed / "in")
    here, there = load_groups(shipped), load_groups(packed / "in")
    assert set(facts["files"]) == {
        "tokenizer.json", "heads.pt", "english.npz", *(f"features_{g}.npz" for g in here)
    }  # fmt: skip
    for name, group in there.items():
        trained = here[name].part(0)
        assert len(group) == len(trained) == 20
        assert (group.split == 0).all()
        assert all(
            torch.equal(t, trained.targets[k]) or t.is_floating_point() for k, t in group.targets.items()
        )
    with np.load(packed / "in" / "english.npz") as file:
        text = load(packed / "in" / "tokenizer.json").decode(file["ids"][:60].tolist())
    assert text.startswith("the openstax of the room")


def test_what_does_not_fit_is_thinned(shipped: Path, data: Path, tmp_path: Path) -> None:
    full = job.pack(tmp_path / "full", shipped, data)
    fixed = sum((shipped / n).stat().st_size for n in ("tokenizer.json", "heads.pt"))
    small = job.pack(tmp_path / "small", shipped, data, budget_bytes=fixed + 150_000)
    assert small < full
    rows = [len(g) for g in load_groups(tmp_path / "small" / "in").values()]
    assert all(1 <= n < 20 for n in rows)
    with pytest.raises(ValueError, match="no room is left"):
        job.pack(tmp_path / "none", shipped, data, budget_bytes=fixed)
    assert not (tmp_path / "none" / "in" / parcel.MANIFEST).exists()


@pytest.mark.e2e
@pytest.mark.timeout(400)
def test_a_job_travels_is_trained_in_slices_and_comes_back(
    packed: Path, shipped: Path, tmp_path: Path
) -> None:
    work, home = tmp_path / "work", tmp_path / "home"
    assert not job.run(packed, OPTIONS, work=work), "a slice is half of the time"
    first = torch.load(work / "pretrain.pt", weights_only=True)
    for _ in range(12):  # two where nothing else runs
        if done := job.run(packed, OPTIONS, work=work):
            break
    assert done
    steps = torch.load(work / "instruct.pt", weights_only=True)["step"]
    assert job.run(packed, OPTIONS, work=work), "done stays done"
    assert torch.load(work / "pretrain.pt", weights_only=True)["step"] >= first["step"]
    out = packed / "out"
    facts = parcel.unseal(out)
    assert (facts["done"], facts["step"]) == (True, steps)
    assert len(list(out.iterdir())) <= parcel.MOST_FILES
    assert any(row["answer"] for row in facts["log"])

    home.mkdir()
    for name in ("tokenizer.json", "heads.pt"):
        (home / name).write_bytes((shipped / name).read_bytes())
    assert main(["job", "unpack", str(packed), str(home)]) == 0
    saved = torch.load(home / "instruct.pt", weights_only=True)
    trained = torch.load(work / "instruct.pt", weights_only=True)["student"]
    student = make_student(
        load(home / "tokenizer.json"), load_heads(home / "heads.pt").config, language_of(saved)
    )
    student.load_state_dict(saved["student"])
    assert language_of(saved) == tiny_training.LANGUAGE
    for name, value in student.state_dict().items():
        torch.testing.assert_close(value, trained[name], rtol=1e-3, atol=1e-6, msg=name)
    with pytest.raises(ValueError, match="--replace"):
        job.unpack(packed, home)
    (home / "heads.pt").write_bytes(b"other")
    with pytest.raises(ValueError, match="is not the one that the job was packed with"):
        job.unpack(packed, home, replace=True)
    trainer = job._trainer(
        "instruct", packed / "in", work, OPTIONS.settings("instruct"), OPTIONS, job.parallel.ALONE
    )
    elsewhere = Trainer(
        trainer.student, trainer.groups, trainer.codec, trainer.settings, home, trainer.english
    )
    with pytest.raises(ValueError, match="trained elsewhere"):
        elsewhere.resume()


@pytest.mark.e2e
def test_a_parcel_that_was_damaged_on_the_way_trains_nothing(packed: Path, tmp_path: Path) -> None:
    there = tmp_path / "in"
    there.mkdir()
    for file in (packed / "in").iterdir():
        (there / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((there / parcel.MANIFEST).read_text())
    (there / "features_air.npz").write_bytes(b"cut off")
    assert "features_air.npz" in manifest["files"]
    with pytest.raises(ValueError, match=r"features_air\.npz is not what was packed"):
        job.run(tmp_path, replace(OPTIONS, seed=1))

"""Training in several processes is training in one: the same weights, and either goes on with the other's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

import tiny_training

from export import parallel
from export.parallel import World

HERE = Path(__file__).resolve().parent


def test_shards_are_dealt_evenly_and_all() -> None:
    dealt = [list(World(rank, 3).shards(6)) for rank in range(3)]
    assert sorted(shard for d in dealt for shard in d) == list(range(6))
    assert {len(d) for d in dealt} == {2}


def test_shards_that_do_not_deal_evenly_are_refused() -> None:
    with pytest.raises(ValueError, match="--shards 2"):
        World(0, 2).shards(3)


def test_a_process_alone_waits_for_nobody() -> None:
    world = World()
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([1.0, 2.0])
    world.sum_gradients([weight])
    world.spread([weight])
    with world.main_first():
        world.wait()
    assert weight.grad.tolist() == [1.0, 2.0]
    assert (world.is_main, world.largest(3.0), world.alike(3.0)) == (True, 3.0, True)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    there = torch.cuda.device_count()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(there + 1))
    assert parallel.choose_device("auto").type == "cpu"
    with pytest.raises(ValueError, match="--device cpu"):
        parallel.choose_device("cuda", there)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="cannot share"):
        parallel.choose_device("cuda:0")


def test_a_device_has_its_type_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert parallel.choose_device("cpu") == torch.device("cpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="1 GPUs are needed and 0 are there"):
            parallel.choose_device("cuda:0")


def test_threads_are_shared_by_the_processes_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1000")
    assert parallel.threads() == 1


def launch(folder: Path, processes: int, stop_after: int) -> list[dict[str, object]]:
    """Train in `folder` with so many processes; their weights."""
    program = [str(HERE / "tiny_training.py"), str(folder), str(stop_after)]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", str(processes), *program],
        env=os.environ | {"PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f"rank{r}.pt", weights_only=True) for r in range(processes)]


def assert_same(one: dict[str, object], two: dict[str, object]) -> None:
    """But for few weights: where a gradient is nothing but rounding, Adam makes it as large as any other.

    So is that of every key's bias, which adds the same to all that a softmax compares.
    """
    assert one.keys() == two.keys()
    for name, value in one.items():
        apart = ((value - two[name]).abs() > 2e-5).float().mean()
        assert name.endswith("key.bias") or apart < 0.05, name


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    """One process that draws both shards and averages them has the doubled batch; so have two together."""
    folders = [tmp_path / n for n in ("one", "two", "cut")]
    for folder in folders:
        folder.mkdir()
        tiny_training.tiny_tokenizer().save(str(folder / "tokenizer.json"))
    trainer = tiny_training.tiny_trainer(folders[0], World(), 2)
    started = {k: v.clone() for k, v in trainer.student.state_dict().items()}
    assert trainer.run()
    alone = trainer.student.state_dict()
    assert any(not torch.equal(v, started[k]) for k, v in alone.items()), "nothing was learned"
    first, second = launch(folders[1], 2, tiny_training.STEPS)
    assert all(torch.equal(v, second[k]) for k, v in first.items()), "the ranks ended apart"
    assert_same(alone, first)
    with pytest.raises(AssertionError):
        assert_same(alone, started)
    launch(folders[2], 2, stop_after=2)
    resumed = tiny_training.tiny_trainer(folders[2], World(), 2)
    assert resumed.run()
    assert resumed.step == tiny_training.STEPS
    assert_same(alone, resumed.student.state_dict())

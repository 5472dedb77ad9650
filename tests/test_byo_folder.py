"""A model folder around a checkpoint of one's own, from training to an answer of the daemon's worker."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("transformers")

import random_model
from byo_checkpoints import write_checkpoint, write_tokenizer

from edge_agent import manifest as manifests
from edge_agent.manifest import Manifest
from edge_agent.perception.frames import Frame
from edge_agent.perception.pipeline import Pipeline
from edge_agent.perception.worker import WorkerProcess, settings_from
from export.byo import command, folder, train
from export.byo.checkpoint import Checkpoint
from export.byo.tokenizer import prepare
from export.groups import Group, width_of
from export.networks.encoders import EncoderOutput
from export.train_language import Settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CHECKPOINTS = {"llama": "smollm", "qwen2": "qwen2"}
SETTINGS = Settings(train.STAGE, steps=40, batch=8, lr=5e-2, english=0.0, contrast_rows=2, save_every=1000)
LOADED_S = 30


def groups(adapter, rows=64, seed=0):
    """Encoder outputs of the shapes that the base's encoders give, each slot recorded alone."""
    config, generator = adapter.config, torch.Generator().manual_seed(seed)

    def noise(*shape):
        return torch.randn(rows, *shape, generator=generator)

    return [
        Group.of({name: EncoderOutput(noise(n, 128), noise(128), 3 * noise(width_of(config, name)))}, {})
        for name, n in config.slots
    ]


@dataclass(frozen=True)
class Made:
    bound: train.Bound
    before: dict
    log: list
    folder: Path
    manifest: Manifest
    runs: Path


@pytest.fixture(scope="module", params=sorted(CHECKPOINTS))
def made(request, tmp_path_factory):
    scratch = tmp_path_factory.mktemp(request.param)
    write_checkpoint(scratch / "tiny", request.param, CHECKPOINTS[request.param])
    base = random_model.shared()
    torch.manual_seed(0)
    bound = train.bind(Checkpoint(scratch / "tiny"), base.adapter)
    before = {k: v.clone() for k, v in bound.student.state_dict().items()}
    train.train(bound, groups(base.adapter), SETTINGS, scratch / "runs")
    log = torch.load(scratch / "runs" / "byo.pt", weights_only=True)["log"]
    manifest = folder.write(base.folder, scratch / "model", bound, name="tiny", version="1")
    return Made(bound, before, log, scratch / "model", manifest, scratch / "runs")


def test_training_lowers_the_loss_of_the_answers(made):
    answers = [row["answer"] for row in made.log]
    print(np.mean(answers[:5]), np.mean(answers[-5:]))
    assert np.mean(answers[-5:]) < 0.8 * np.mean(answers[:5])


def test_the_heads_and_the_language_model_were_not_trained(made):
    after = made.bound.student.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, made.before[name])}
    expected = {f"adapter.{n}" for n, _ in made.bound.student.adapter.named_parameters()}
    expected = {n for n in expected if not n.startswith("adapter.fused.")}
    assert changed == expected | {"language.token_embd.control"}


def test_the_checkpoint_of_the_training_does_not_hold_the_language_model(made):
    saved = torch.load(made.runs / "byo.pt", weights_only=True)["student"]
    held = sum(v.numel() for k, v in saved.items() if k.startswith("language."))
    assert held == 6 * made.bound.language.config.n_embd


def test_an_interrupted_training_goes_on(made):
    """A fresh student takes the trained rows from the checkpoint, and has no step left to do."""
    again = train.bind(made.bound.source, random_model.shared().adapter)
    train.train(again, groups(again.student.adapter), SETTINGS, made.runs)
    for name, value in again.student.state_dict().items():
        torch.testing.assert_close(value, made.bound.student.state_dict()[name], msg=name)


def test_the_fast_path_is_the_one_of_the_base(made):
    window = random_model.window("imu_phone", "imu_watch", "audio", seed=1)
    mine, base = (Pipeline(f).perceive(window) for f in (made.folder, random_model.shared().folder))
    assert mine.tasks.keys() == base.tasks.keys()
    for task, percept in mine.tasks.items():
        assert percept.label == base.tasks[task].label
        assert percept.probability == pytest.approx(base.tasks[task].probability, abs=1e-5)
        assert percept.alpha == pytest.approx(base.tasks[task].alpha, abs=1e-5)
    shape = made.bound.language.config
    assert mine.conditioning.soft.shape == (8, shape.n_embd)
    assert mine.conditioning.control.shape == (shape.n_layer - 1, shape.n_embd)


def test_the_manifest_tells_of_the_new_language_model(made):
    manifest, base = manifests.load(made.folder), random_model.shared().manifest
    assert manifest == made.manifest
    assert manifest.language.n_embd == made.bound.source.shape.n_embd
    assert manifest.language.n_vocab == made.bound.language.config.n_vocab
    assert base.language.file in {"lm-q8_0.gguf"} & manifest.files.keys()
    assert "tiny" in manifest.licence
    assert "tiny" in manifest.data[-1].name
    for head, old in zip(manifest.tasks, base.tasks, strict=True):
        assert (head.temperature, head.threshold) == (old.temperature, old.threshold)
        for phrase, token in zip(head.phrases, head.label_tokens, strict=True):
            assert token == made.bound.tokenizer.encode(f" {phrase}").ids[0]


def test_the_worker_of_the_daemon_runs_it(made):
    percept = Pipeline(made.folder).perceive(random_model.window("imu_phone", "audio", seed=2))
    arrays = {"soft": percept.conditioning.soft, "control": percept.conditioning.control}
    process = WorkerProcess(settings_from(made.folder, made.manifest))
    deadline = time.monotonic() + LOADED_S
    try:
        assert process.poll_ready(LOADED_S)
        generate = {
            "verb": "generate", "question": "what is it?", "history": [["who?", "me"]], "max_tokens": 6,
            "deadline_s": 20.0,
        }  # fmt: skip
        words = process.receive(process.send(Frame(generate, arrays), deadline), deadline)
        assert words.header["verb"] == "generated"
        head = made.manifest.tasks[0]
        read = {"verb": "read_label", "question": "what is it?", "readout": head.readout}
        asked = Frame({**read, "labels": head.label_tokens}, arrays)
        label = process.receive(process.send(asked, deadline), deadline)
        assert label.arrays["probabilities"].sum() == pytest.approx(1.0)
    finally:
        process.close()


# -- what is refused, before and after the hours of training -------------------------------------------


def test_a_base_of_another_training_is_refused(made, tmp_path):
    base = random_model.shared()
    other = train.bind(made.bound.source, base.adapter)
    with torch.no_grad():
        other.student.adapter.fused.read[0].weight.add_(0.1)
    with pytest.raises(ValueError, match=r"two trainings.*python -m export ship"):
        folder.write(base.folder, tmp_path / "model", other, name="tiny", version="1")
    assert not (tmp_path / "model").exists()


def test_the_base_is_never_written_over(made):
    with pytest.raises(ValueError, match="another folder"):
        folder.write(made.folder, made.folder, made.bound, name="tiny", version="1")
    assert manifests.load(made.folder) == made.manifest


def test_another_tokenizer_is_noticed(made, tmp_path):
    architecture = made.bound.source.shape.architecture
    write_tokenizer(tmp_path / "tokenizer.json", CHECKPOINTS[architecture], n_vocab=400)
    other = replace(made.bound, tokenizer=prepare(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match="other tokens"):
        folder.check(made.folder / made.manifest.language.file, other)


def test_a_file_that_computes_something_else_leaves_no_manifest(made, tmp_path):
    kept = made.bound.language.cos.clone()
    made.bound.language.cos.mul_(-1)  # as if the rotation had another layout
    try:
        with pytest.raises(ValueError, match="correlate"):
            folder.write(random_model.shared().folder, tmp_path, made.bound, name="tiny", version="1")
    finally:
        made.bound.language.cos.copy_(kept)
    assert not (tmp_path / manifests.MANIFEST_NAME).exists()


def test_phrases_that_begin_alike_are_refused_at_once(made):
    base = random_model.shared().manifest
    task = base.tasks[0].model_copy(update={"phrases": ("zebra", "zoology", *base.tasks[0].phrases[2:])})
    changed = base.model_copy(update={"tasks": (task, *base.tasks[1:])})
    with pytest.raises(ValueError, match="'zebra' and 'zoology'"):
        folder.label_tokens(changed, made.bound)


# -- the command ---------------------------------------------------------------------------------------


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


def test_the_plan_counts_weights_and_writes_nothing(made, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    command.main(parse("--checkpoint", str(made.bound.source.folder), "--plan"))
    said = capsys.readouterr().out
    assert "tiny: 0 M weights" in said
    assert "GFLOP/s measured here" in said
    assert not list(tmp_path.iterdir())


def test_the_plan_of_less_memory_is_another(made):
    words = ("--checkpoint", str(made.bound.source.folder))
    plain = command.plan(made.bound.source, parse(*words), 1e9)
    assert plain != command.plan(made.bound.source, parse(*words, "--less-memory"), 1e9)


def test_less_memory_trains_too(made, tmp_path):
    bound = train.bind(made.bound.source, random_model.shared().adapter, less_memory=True)
    settings = replace(SETTINGS, steps=2)
    train.train(bound, groups(bound.student.adapter), settings, tmp_path)
    log = torch.load(tmp_path / "byo.pt", weights_only=True)["log"]
    assert [np.isfinite(row["answer"]) for row in log] == [True, True]
    assert log[0]["answer"] == pytest.approx(made.log[0]["answer"], rel=0.1)

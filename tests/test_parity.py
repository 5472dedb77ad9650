"""The parity report on random weights: it passes for one export, and fails where something was changed."""

from __future__ import annotations

import copy
import shutil

import pytest
import random_model
import torch

from edge_agent import manifest as manifests
from export import parity
from export.batches import Codec
from export.ship import Trained
from export.student import Student


@pytest.fixture(scope="module")
def model():
    return random_model.shared()


@pytest.fixture(scope="module")
def trained(model):
    prefix = Codec(model.language.tokenizer).prefix
    student = Student(model.adapter, model.language.model, prefix).eval()
    return Trained(dict(model.encoders), student, model.folder / "tokenizer.json")


def test_one_export_keeps_every_tolerance(model, trained):
    report = parity.run(model.folder, trained, samples=12)
    assert set(report["encoders_torch_onnx"]) == {"imu_phone", "imu_watch", "audio"}
    assert 0 < max(report["encoders_torch_onnx"].values()) < parity.TOLERANCE
    assert 0 < report["adapter_torch_onnx"] < parity.TOLERANCE
    assert 0 < report["language_torch_gguf_f32"] < parity.TOLERANCE
    assert report["language_logit_scale"] > 1.0, "or the tolerance means nothing"
    assert report["tokenizer_texts_equal"] == report["tokenizer_texts_compared"] == 2000
    # Random weights put all labels close together, so only the trained model is held to 99 %.
    assert report["q8_0_f32_labels_compared"] >= 10
    assert report["q8_0_f32_labels_agreeing"] >= 0.7 * report["q8_0_f32_labels_compared"]


def test_a_changed_encoder_shows(model, trained):
    altered = copy.deepcopy(trained.encoders["audio"])
    with torch.no_grad():
        next(altered.parameters()).mul_(1.01)
    slot = model.manifest.slot("audio")
    assert parity.encoder_difference(model.folder, altered, model.manifest, slot) > parity.TOLERANCE


def test_a_changed_adapter_shows(model, trained):
    adapter = copy.deepcopy(trained.student.adapter)
    with torch.no_grad():
        adapter.control_gate[0] += 0.01
    assert parity.adapter_difference(model.folder, adapter, model.manifest) > parity.TOLERANCE


def test_a_changed_language_model_shows(model, trained):
    student = copy.deepcopy(trained.student)
    with torch.no_grad():
        student.language.blocks[1].attn_v.weight.mul_(1.01)
    other = Trained(trained.encoders, student, trained.tokenizer_path)
    drawn = parity.draw_samples(other, 2, 0)
    difference, _ = parity.language_difference(model.language.gguf("f32"), other, model.manifest, drawn)
    assert difference > parity.TOLERANCE


def test_another_tokenizer_shows(model, tmp_path):
    path = tmp_path / "tokenizer.json"
    random_model.train_tokenizer(path, n_vocab=400)
    assert parity.equal_texts(model.language.gguf("q8_0"), path, 0, count=50) < 50


def test_an_altered_folder_is_not_even_compared(model, trained, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model.folder, folder)
    (folder / "adapter.onnx").write_bytes(b"x")
    with pytest.raises(manifests.ModelError):
        parity.run(folder, trained)


@pytest.mark.parametrize(
    ("largest", "agreeing", "equal", "kept"),
    [(1e-5, 1.0, 1.0, True), (2e-4, 1.0, 1.0, False), (1e-5, 0.98, 1.0, False), (1e-5, 1.0, 0.9995, False)],
)
def test_each_of_the_three_must_suffice(largest, agreeing, equal, kept):
    assert parity.keeps(largest, agreeing, equal) == kept

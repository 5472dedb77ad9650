"""A model folder is loaded only when it is exactly what its manifest promises."""

from __future__ import annotations

import json

import pytest

from edge_agent import manifest
from edge_agent.errors import ModelError

FILES = {"imu.onnx": b"encoder" * 100, "adapter.onnx": b"adapter" * 100, "lm.gguf": b"language" * 100}


def promise(folder) -> dict:
    return {
        "format": 2, "name": "tiny", "version": "1", "licence": "Apache-2.0", "source": "random",
        "slots": [{
            "name": "imu", "modality": "imu", "placement": "wrist", "encoder": "imu.onnx",
            "features": "raw", "channels": ["x"], "units": ["m/s2"], "rate_hz": 100.0, "window_s": 1.0,
            "n_tokens": 4, "heads": ["activity"], "description": "the watch",
        }],
        "tasks": [{
            "name": "activity", "task": "activity_recognition", "words": ["doing"],
            "question": "what is it?", "labels": ["a", "b"], "phrases": ["an a", "a b"],
            "label_tokens": [1, 2], "readout": "It is", "temperature": 1.0, "threshold": 0.5,
            "novelty_threshold": 3.0,
        }],
        "adapter": {"file": "adapter.onnx", "d_token": 128, "n_soft": 8, "n_embd": 256, "n_layer": 8},
        "language": {
            "file": "lm.gguf", "n_embd": 256, "n_layer": 8, "n_vocab": 4096, "context_tokens": 512,
            "prefix": "p", "question": "{question}", "max_answer_tokens": 32,
        },
        "data": [],
        "files": {name: manifest.describe(folder / name).model_dump() for name in FILES},
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    save(tmp_path, promise(tmp_path))
    return tmp_path


def save(folder, promised):
    (folder / manifest.MANIFEST_NAME).write_text(json.dumps(promised))


def refused(folder) -> ModelError:
    with pytest.raises(ModelError) as caught:
        manifest.load(folder)
    return caught.value


def test_a_good_folder_is_loaded_and_written_back_the_same(folder, tmp_path_factory):
    loaded = manifest.load(folder)
    assert loaded.slot("imu").description == "the watch"
    assert loaded.task("activity").labels == ("a", "b")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    manifest.write(elsewhere, loaded)
    assert manifest.read(elsewhere) == loaded
    assert [path.name for path in elsewhere.iterdir()] == [manifest.MANIFEST_NAME]


@pytest.mark.parametrize("name", FILES)
def test_one_changed_bit_is_noticed(folder, name):
    content = bytearray(FILES[name])
    content[123] ^= 1
    (folder / name).write_bytes(content)
    error = refused(folder)
    assert f"{name} was changed" in str(error)
    assert error.hint


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert f"missing model file {folder / name}" in str(refused(folder))


@pytest.mark.parametrize("content", [FILES["lm.gguf"][:-1], FILES["lm.gguf"] + b"x", b""])
def test_a_wrong_size_is_told_with_both_sizes(folder, content):
    (folder / "lm.gguf").write_bytes(content)
    message = str(refused(folder))
    assert f"{len(content)} bytes" in message
    assert str(len(FILES["lm.gguf"])) in message


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [("adapter", "n_embd", 512), ("language", "n_embd", 512), ("adapter", "n_layer", 7)],
)
def test_an_adapter_for_another_language_model_is_refused(folder, part, key, value):
    promised = promise(folder)
    promised[part][key] = value
    save(folder, promised)
    message = str(refused(folder))
    assert str(value) in message
    assert "width" in message


@pytest.mark.parametrize("name", ["../imu.onnx", "/etc/passwd", "a/b.onnx", ".hidden", "", "x\ny"])
def test_a_name_can_never_leave_the_folder(folder, name):
    promised = promise(folder)
    promised["files"][name] = promised["files"].pop("imu.onnx")
    promised["slots"][0]["encoder"] = name
    save(folder, promised)
    assert "not a valid manifest" in str(refused(folder))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: p["files"].pop("imu.onnx"),
        lambda p: p["slots"].append(p["slots"][0]),
        lambda p: p["slots"][0].update(modality="smell"),
        lambda p: p["tasks"][0].update(label_tokens=[1, 1]),
        lambda p: p["tasks"][0].update(labels=["a"]),
        lambda p: p["files"]["lm.gguf"].update(sha256="XYZ"),
        lambda p: p.update(surprise=1),
        lambda p: p.pop("language"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(folder, spoil):
    promised = promise(folder)
    spoil(promised)
    save(folder, promised)
    assert "not a valid manifest" in str(refused(folder))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"null",
        b"\xff\xfe",
    ],
)
def test_what_is_no_manifest_is_refused(folder, content):
    (folder / manifest.MANIFEST_NAME).write_bytes(content)
    assert "not a valid manifest" in str(refused(folder))


def test_a_folder_without_a_manifest_says_what_to_do(tmp_path):
    error = refused(tmp_path / "nowhere")
    assert "no model at" in str(error)
    assert "model.path" in error.hint


def test_a_folder_of_another_format_is_refused_with_the_format(folder):
    promised = promise(folder)
    promised["format"] = 1
    save(folder, promised)
    error = refused(folder)
    assert "format 1; this version reads 2" in str(error)
    assert error.hint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"heads": ["activity", "nothing"]}, "nothing"),
        ({"channels": ["px_[5..2]"]}, "no run"),
    ],
)
def test_a_slot_that_promises_what_is_not_there_is_refused(folder, change, said):
    promised = promise(folder)
    promised["slots"][0] |= change
    save(folder, promised)
    assert said in str(refused(folder))


def test_an_alarm_for_no_label_is_refused(folder):
    promised = promise(folder)
    promised["tasks"][0]["alarms"] = {"c": "alarm"}
    save(folder, promised)
    assert "alarms for labels it does not have: c" in str(refused(folder))

"""The fast path on a random model: torch's numbers, every subset of slots, and folders that must not load."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
import random_model
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent import manifest as manifests
from edge_agent.errors import ModelError
from edge_agent.perception import calibration
from edge_agent.perception.adapter import TASK_ORDER, Adapter, Query
from edge_agent.perception.encoders import Encoder
from edge_agent.perception.features import log_mel
from edge_agent.perception.pipeline import Pipeline
from export import onnx_writer
from export.labels import ACTIVITY, EVENT, SLOTS
from export.networks.adapter import TASKS

TOLERANCE = 1e-4
ALL = tuple(SLOTS)
SUBSETS = [c for n in range(4) for c in itertools.combinations(ALL, n)]


@pytest.fixture(scope="module")
def model():
    return random_model.shared()


@pytest.fixture(scope="module")
def pipeline(model):
    return Pipeline(model.folder)


def copy_of(model, folder):
    shutil.copytree(model.folder, folder, dirs_exist_ok=True)
    return folder


def test_channels_that_are_missing_are_named_by_slot(pipeline):
    window = random_model.window("imu_phone", "audio")
    mask = np.array([False, True, False, False, False, True])
    slots = {**window.slots, "imu_phone": replace(window.slots["imu_phone"], missing_channels=mask)}
    seen = pipeline.perceive(replace(window, slots=slots))
    assert seen.missing_channels == {"imu_phone": ("acc_y", "gyro_z")}
    assert pipeline.perceive(window).missing_channels == {}


def rewrite(folder, change):
    """Change the manifest's JSON, with checksums that fit whatever lies in the folder."""
    path = folder / manifests.MANIFEST_NAME
    content = json.loads(path.read_text())
    change(content)
    content["files"] = {n: manifests.describe(folder / n).model_dump() for n in content["files"]}
    path.write_text(json.dumps(content))


def torch_inputs(model, window):
    tokens, pooled, mask, logits = [], [], [], {}
    for slot, module in model.encoders.items():
        with torch.no_grad():
            if slot in window.slots:
                x = window.slots[slot].values
                x = log_mel(x[:, 0]) if slot == "audio" else x
                out = module(torch.from_numpy(x)[None])
                logits[slot] = out.logits[0].numpy()
                tokens.append(out.tokens)
                pooled.append(out.pooled)
            else:
                n = random_model.N_TOKENS[slot]
                tokens.append(torch.zeros(1, n, 128))
                pooled.append(torch.zeros(1, 128))
        mask.append(float(slot in window.slots))
    return torch.cat(tokens, 1), torch.stack(pooled, 1), torch.tensor([mask]), logits


@pytest.mark.parametrize("slots", SUBSETS, ids=lambda s: "+".join(s) or "none")
def test_a_percept_holds_the_numbers_of_torch_for_every_subset(model, pipeline, slots):
    window = random_model.window(*slots, seed=5)
    percept = pipeline.perceive(window)
    tokens, pooled, mask, _ = torch_inputs(model, window)
    with torch.no_grad():
        dialog = model.adapter(tokens, pooled, mask, torch.tensor([TASKS.index("dialog")]))
    assert np.abs(percept.conditioning.soft - dialog.soft[0].numpy()).max() < TOLERANCE
    assert np.abs(percept.conditioning.control - dialog.control[0].numpy()).max() < TOLERANCE
    serves = {ACTIVITY: {"imu_phone", "imu_watch"}, EVENT: {"audio"}}
    assert set(percept.tasks) == {t for t, s in serves.items() if s & set(slots)}
    for task, found in percept.tasks.items():
        allowed = torch.tensor([[float(s in serves[task] and s in slots) for s in SLOTS]])
        with torch.no_grad():
            out = model.adapter(tokens, pooled, allowed, torch.tensor([TASKS.index(task)]))
        expected = out.logits[task][0].softmax(-1).numpy()
        assert np.abs(np.array(list(found.probabilities.values())) - expected).max() < TOLERANCE
        assert found.probability == max(found.probabilities.values())
        assert found.probabilities[found.label] == found.probability
        assert set(found.alpha) == serves[task] & set(slots)
        assert sum(found.alpha.values()) == pytest.approx(1.0, abs=1e-5)
    assert percept.present == slots
    assert set(percept.missing) == set(ALL) - set(slots)


def test_an_absent_slot_is_not_the_same_as_a_silent_one(pipeline):
    window = random_model.window("imu_phone", "imu_watch", seed=1)
    still = replace(window.slots["imu_watch"], values=np.zeros((100, 6), np.float32))
    silent = pipeline.perceive(replace(window, slots={**window.slots, "imu_watch": still}))
    absent = pipeline.perceive(replace(window, slots={"imu_phone": window.slots["imu_phone"]}))
    assert np.abs(silent.conditioning.soft - absent.conditioning.soft).max() > 1e-3


def test_temperature_and_threshold_come_from_the_manifest(model, tmp_path):
    folder = copy_of(model, tmp_path)
    window = random_model.window("audio", seed=2)
    before = Pipeline(folder).perceive(window).tasks[EVENT]

    def soften(content):
        for task in content["tasks"]:
            task["temperature"] = 4.0
            task["threshold"] = before.probability

    rewrite(folder, soften)
    after = Pipeline(folder).perceive(window).tasks[EVENT]
    logits = np.log(np.array(list(before.probabilities.values())))
    expected = calibration.probabilities(logits, 4.0)
    assert np.allclose(list(after.probabilities.values()), expected, atol=1e-5)
    assert before.known
    assert not after.known


def test_novelty_is_the_energy_of_the_most_used_encoder(model, pipeline, tmp_path):
    window = random_model.window("imu_phone", "imu_watch", seed=3)
    found = pipeline.perceive(window).tasks[ACTIVITY]
    *_, logits = torch_inputs(model, window)
    most_used = max(found.alpha, key=found.alpha.get)
    assert found.novelty == pytest.approx(-np.log(np.exp(logits[most_used]).sum()), abs=1e-4)
    folder = copy_of(model, tmp_path)
    rewrite(folder, lambda c: [t.update(novelty_threshold=found.novelty - 0.1) for t in c["tasks"]])
    assert found.known
    assert not Pipeline(folder).perceive(window).tasks[ACTIVITY].known


def test_values_that_are_not_finite_are_left_out_and_counted(model):
    pipeline = Pipeline(model.folder)
    window = random_model.window("imu_phone", "audio")
    window.slots["imu_phone"].values[7, 2] = np.nan
    percept = pipeline.perceive(window)
    assert percept.present == ("audio",)
    assert ACTIVITY not in percept.tasks
    assert pipeline.rejected == 1


def test_one_simulated_slot_marks_the_percept(pipeline):
    assert not pipeline.perceive(random_model.window("audio")).simulated
    assert pipeline.perceive(random_model.window("audio", simulated=True)).simulated


def test_a_window_of_another_shape_is_refused(pipeline):
    window = random_model.window("imu_phone")
    short = replace(window.slots["imu_phone"], values=np.zeros((50, 6), np.float32))
    with pytest.raises(ModelError, match=r"\(50, 6\).*\(100, 6\)"):
        pipeline.perceive(replace(window, slots={"imu_phone": short}))


def test_task_embeddings_are_in_the_order_of_the_network():
    assert TASK_ORDER == TASKS


def test_rows_of_one_call_do_not_touch_each_other(model, pipeline):
    features = pipeline.encode(random_model.window(*ALL, seed=9))
    adapter = Adapter(model.folder, model.manifest)
    queries = [Query(t, frozenset(s)) for t, s in [(ACTIVITY, ALL), (EVENT, ALL[:1]), ("dialog", ())]]
    together = adapter(features, queries)
    for query, reading in zip(queries, together, strict=True):
        (alone,) = adapter(features, [query])
        assert np.allclose(alone.conditioning.soft, reading.conditioning.soft, atol=1e-6)
        assert alone.alpha == pytest.approx(reading.alpha, abs=1e-6)


# -- folders that must not load ------------------------------------------------------------------------


def test_a_missing_file_is_named(model, tmp_path):
    folder = copy_of(model, tmp_path)
    (folder / "audio.onnx").unlink()
    with pytest.raises(ModelError, match=r"missing model file .*audio\.onnx") as caught:
        Pipeline(folder)
    assert caught.value.hint


def test_one_changed_byte_is_found(model, tmp_path):
    folder = copy_of(model, tmp_path)
    content = bytearray((folder / "adapter.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "adapter.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="was changed: sha256"):
        Pipeline(folder)


def test_the_wrong_embedding_width_is_refused(model, tmp_path):
    """A manifest that agrees with itself but not with the network."""
    folder = copy_of(model, tmp_path)

    def widen(content):
        content["adapter"]["n_embd"] = content["language"]["n_embd"] = 512

    rewrite(folder, widen)
    with pytest.raises(ModelError, match=r"'soft' is \(8, 256\).*\(8, 512\)"):
        Pipeline(folder)


def test_an_adapter_for_another_language_model_is_refused_by_the_manifest(model, tmp_path):
    folder = copy_of(model, tmp_path)
    rewrite(folder, lambda c: c["language"].update(n_embd=512))
    with pytest.raises(ModelError, match="width 256 and 3 blocks"):
        Pipeline(folder)


def test_an_encoder_of_another_slot_is_refused(model, tmp_path):
    folder = copy_of(model, tmp_path)
    shutil.copy(folder / "imu_phone.onnx", folder / "audio.onnx")
    rewrite(folder, lambda _: None)
    with pytest.raises(ModelError, match=r"audio\.onnx: input 'x' is \(100, 6\).*\(99, 64\)"):
        Pipeline(folder)


def test_a_file_that_is_no_network_is_refused(model, tmp_path):
    folder = copy_of(model, tmp_path)
    (folder / "audio.onnx").write_bytes(b"not a network")
    rewrite(folder, lambda _: None)
    with pytest.raises(ModelError, match="not a network that onnxruntime can load"):
        Pipeline(folder)


def test_log_mel_at_another_rate_is_refused(model):
    slot = model.manifest.slot("audio").model_copy(update={"rate_hz": 8000.0})
    with pytest.raises(ModelError, match="one channel at 16000 Hz"):
        Encoder(model.folder, model.manifest, slot)


# -- the written files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*(f"{s}.onnx" for s in SLOTS), "adapter.onnx"])
def test_onnx_files_are_plain_and_speak_of_no_machine(model, name):
    network = onnx.load(model.folder / name)
    assert {o.domain for o in network.opset_import} <= {"", "ai.onnx"}
    assert network.opset_import[0].version == onnx_writer.OPSET
    assert not any(i.external_data for i in network.graph.initializer)
    assert b".py" not in (model.folder / name).read_bytes()


# -- calibration ---------------------------------------------------------------------------------------


@given(st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=8), st.floats(0.1, 10))
@settings(max_examples=50, deadline=None)
def test_probabilities_sum_to_one_and_keep_the_order(logits, temperature):
    values = calibration.probabilities(np.array(logits, np.float32), temperature)
    assert values.sum() == pytest.approx(1.0, abs=1e-5)
    assert values[int(np.argmax(logits))] == values.max()


def test_energy_of_huge_logits_does_not_overflow():
    assert calibration.energy(np.array([1000.0, 0.0], np.float32)) == pytest.approx(-1000.0)


def test_a_temperature_that_was_applied_is_found_again():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 5)).astype(np.float32)
    labels = np.array([rng.choice(5, p=p / p.sum()) for p in calibration.probabilities(logits).astype(float)])
    assert calibration.fit_temperature(logits * 3, labels) == pytest.approx(3.0, rel=0.1)
    before = calibration.probabilities(logits * 3).max(-1), (logits.argmax(-1) == labels)
    after = calibration.probabilities(logits).max(-1), (logits.argmax(-1) == labels)
    assert calibration.expected_calibration_error(*after) < 0.03
    assert calibration.expected_calibration_error(*before) > 0.1


def test_the_threshold_keeps_the_promised_accuracy():
    probability = np.array([0.9, 0.8, 0.7, 0.6, 0.5], np.float32)
    correct = np.array([1, 1, 0, 1, 0])
    assert calibration.fit_threshold(probability, correct, 1.0) == pytest.approx(0.8)
    assert calibration.fit_threshold(probability, correct, 0.75) == pytest.approx(0.6)
    assert calibration.fit_threshold(probability, np.zeros(5, int), 0.5) == 1.0
    assert math.isclose(calibration.fit_novelty_threshold(np.arange(101, dtype=np.float32), 0.99), 99.0)

"""The fast path on a random model: torch's numbers, every subset of slots, and folders that must not load."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
import random_model
import torch
from agent_process import configuration
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent import config
from edge_agent import manifest as manifests
from edge_agent.assembly import assemble
from edge_agent.clock import SystemClock
from edge_agent.errors import ModelError
from edge_agent.perception import calibration, facts
from edge_agent.perception import pipeline as pipelines
from edge_agent.perception.adapter import Reading
from edge_agent.perception.encoders import Encoder
from edge_agent.perception.features import local_metres, log_mel
from edge_agent.perception.pipeline import Pipeline
from export import onnx_writer
from export.catalog import ACTIVITY, EVENT, HEADS

TOLERANCE = 1e-4
ALL = random_model.SLOTS
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
    """What the adapter takes, by torch: tokens, pooled, logits and mask, and each slot's own logits."""
    tokens, pooled, logits, mask, alone = [], [], [], [], {}
    for slot, module in model.encoders.items():
        x = torch.zeros(1, *random_model.window(slot).slots[slot].values.shape)
        if slot in window.slots:
            x = torch.from_numpy(window.slots[slot].values)[None]
        x = torch.from_numpy(log_mel(x[0, :, 0].numpy()))[None] if slot == "audio" else x
        with torch.no_grad():
            t, p, said, _ = module(x, torch.ones(1, x.shape[2]))
        present = float(slot in window.slots)
        tokens.append(present * t)
        pooled.append(present * p)
        logits.append(present * said)
        mask.append(present)
        alone[slot] = said[0].numpy()
    stacked = torch.cat(tokens, 1), torch.stack(pooled, 1), torch.cat(logits, 1), torch.tensor([mask])
    return stacked, alone


@pytest.mark.parametrize("slots", SUBSETS, ids=lambda s: "+".join(s) or "none")
def test_a_percept_holds_the_numbers_of_torch_for_every_subset(model, pipeline, slots):
    window = random_model.window(*slots, seed=5)
    percept = pipeline.perceive(window)
    inputs, _ = torch_inputs(model, window)
    with torch.no_grad():
        out = model.adapter(*inputs)
    assert np.abs(percept.conditioning.soft - out.soft[0].numpy()).max() < TOLERANCE
    assert np.abs(percept.conditioning.control - out.control[0].numpy()).max() < TOLERANCE
    serves = {ACTIVITY: {"imu_phone", "imu_watch"}, EVENT: {"audio"}}
    assert set(percept.tasks) == {t for t, s in serves.items() if s & set(slots)}
    for task, found in percept.tasks.items():
        expected = out.heads[task][0].softmax(-1).numpy()
        assert np.abs(np.array(list(found.probabilities.values())) - expected).max() < TOLERANCE
        assert found.probability == max(found.probabilities.values())
        assert found.probabilities[found.label] == found.probability
        assert set(found.alpha) == serves[task] & set(slots)
        assert sum(found.alpha.values()) == pytest.approx(1.0, abs=1e-5)
    assert percept.present == slots
    assert set(percept.missing) == set(ALL) - set(slots)


def test_a_head_that_reads_numbers_gives_them_in_their_units_with_a_deviation():
    wide = random_model.shared(random_model.WIDE)
    window = random_model.window("gaze", seed=4)
    percept = Pipeline(wide.folder).perceive(window)
    inputs, _ = torch_inputs(wide, window)
    with torch.no_grad():
        mean, log_sigma = wide.adapter(*inputs).heads["gaze"][0].chunk(2)
    found = percept.numbers["gaze"]
    assert found.values == pytest.approx(1.0 + 2.0 * mean.numpy(), abs=1e-4)
    assert found.sigma == pytest.approx(2.0 * 1.5 * log_sigma.exp().numpy(), rel=1e-3)
    assert found.alpha == {"gaze": pytest.approx(1.0)}
    assert percept.facts["gaze_x"] == f"{found.values[0]:.1f} centimetres"
    assert not percept.tasks


def test_what_a_slot_measures_is_a_fact_without_a_network():
    pipeline = Pipeline(random_model.shared(random_model.WIDE).folder)
    window = random_model.window("air")
    air = window.slots["air"]
    air.values[:] = np.array([21.44, 40.6, 312.0, 640.0])
    air.values[0, 0] = 19.0
    said = pipeline.perceive(window).facts
    assert said["temperature"] == "21.4 degrees"
    assert said["temperature_before"] == "19.0 degrees"
    assert said["humidity"] == "41 percent"
    dark = replace(air, missing_channels=np.array([False, False, True, False]))
    partly = pipeline.perceive(replace(window, slots={"air": dark}))
    assert "light" not in partly.facts
    assert partly.facts["co2"] == "640 ppm"


def test_a_missing_channel_is_masked_and_not_taken_for_its_value():
    pipeline = Pipeline(random_model.shared(random_model.WIDE).folder)
    window = random_model.window("air", seed=3)
    air = window.slots["air"]
    lacks = np.array([False, True, False, False])

    def soft(humidity, missing):
        values = air.values.copy()
        values[:, 1] = humidity
        slot = replace(air, values=values, missing_channels=missing)
        return pipeline.perceive(replace(window, slots={"air": slot})).conditioning.soft

    assert np.array_equal(soft(0.0, lacks), soft(5.0, lacks))
    assert np.abs(soft(0.0, ~lacks & lacks) - soft(5.0, ~lacks & lacks)).max() > 1e-4


def test_only_the_encoders_of_configured_slots_are_loaded(model):
    pipeline = Pipeline(model.folder, configured=("audio",))
    percept = pipeline.perceive(random_model.window(*ALL))
    assert percept.present == ("audio",)
    assert set(percept.tasks) == {EVENT}


def test_the_network_of_a_slot_without_a_sensor_is_not_opened_but_verified(model, tmp_path):
    folder = copy_of(model, tmp_path)
    (folder / "imu_phone.onnx").write_bytes(b"not a network")
    with pytest.raises(ModelError, match=r"imu_phone\.onnx has 13 bytes, the manifest says"):
        Pipeline(folder, configured=("audio",))
    rewrite(folder, lambda _: None)
    assert Pipeline(folder, configured=("audio",)).perceive(random_model.window(*ALL)).present == ("audio",)
    with pytest.raises(ModelError, match="not a network that onnxruntime can load"):
        Pipeline(folder, configured=("audio", "imu_phone"))


def test_an_agent_opens_the_networks_of_its_own_slots_alone(model, tmp_path):
    folder = copy_of(model, tmp_path / "model")
    (folder / "imu_phone.onnx").write_bytes(b"not a network")
    rewrite(folder, lambda _: None)
    sound = '[[sensor]]\nkind = "simulated"\nname = "sound"\nslot = "audio"\n'
    parts = assemble(config.load(configuration(tmp_path, folder, 1883, sensors=sound)), SystemClock())
    assert parts.pipeline.perceive(random_model.window(*ALL)).present == ("audio",)


def test_a_fact_is_said_in_its_own_unit_and_never_as_minus_nothing():
    turn = manifests.Fact(name="turn", unit="degrees", decimals=0, reduce="value", scale=57.29578)
    assert facts.worded(turn, np.array([np.pi / 2])) == "90 degrees"
    assert facts.worded(turn, np.array([-0.004])) == "0 degrees"
    way = manifests.Fact(name="way", unit="metres", decimals=2, reduce="norm")
    assert facts.worded(way, np.array([0.3, -0.4])) == "0.50 metres"


def test_what_a_slot_says_of_several_heads_stands_one_after_the_other():
    manifest = random_model.shared(random_model.WIDE).manifest
    found = pipelines._columns(manifest, (ACTIVITY, "gaze", EVENT))
    assert found == {ACTIVITY: slice(0, 5), "gaze": slice(5, 9), EVENT: slice(9, 20)}


def test_a_braced_name_that_is_no_fact_is_found():
    assert facts.fill("It is {a}, it was {b}.", {"a": "1 m", "b": "2 m"}) == ("It is 1 m, it was 2 m.", "")
    assert facts.fill("It is {a} {c}.", {"a": "1 m"}) == ("It is 1 m {c}.", "c")
    assert facts.fill("no number", {}) == ("no number", "")
    assert facts.fill('{"tool": "none"}', {}) == ('{"tool": "none"}', "")


def test_what_was_before_is_a_fact_or_said_to_be_unknown(model):
    earlier = facts.before(model.manifest, {EVENT: "rain"})
    assert earlier == {"before_event_detection": "rain falling"}
    text = "Before it was {before_event_detection}."
    assert facts.fill(text, earlier) == ("Before it was rain falling.", "")
    assert facts.fill(text, {}) == (f"Before it was {facts.NOTHING_BEFORE}.", "")


def test_what_is_known_is_summed_up(pipeline):
    seen = pipeline.perceive(random_model.window("imu_phone", "audio", seed=1))
    sure = {n: replace(t, known=True) for n, t in seen.tasks.items()}
    label = {n: t.label for n, t in sure.items()}
    phrase = {h.name: h.phrases[h.labels.index(label[h.name])] for h in pipeline.manifest.tasks}
    told = facts.summary(pipeline.manifest, replace(seen, tasks=sure))
    assert told == " ".join(f"{h.readout.strip()} {phrase[h.name]}." for h in pipeline.manifest.tasks)
    unsure = {n: replace(t, known=False) for n, t in seen.tasks.items()}
    assert facts.summary(pipeline.manifest, replace(seen, tasks=unsure)) == ""
    assert "summary" not in facts.of_percept(pipeline.manifest, replace(seen, tasks=unsure))


def test_two_slots_of_one_head_are_compared(pipeline):
    both = pipeline.perceive(random_model.window(*ALL, seed=1))
    assert set(both.alone) == {ACTIVITY}, "only one slot serves the other head"
    assert list(both.alone[ACTIVITY]) == ["imu_phone", "imu_watch"]
    labels = HEADS[ACTIVITY].labels
    one, other = (HEADS[ACTIVITY].phrases[label] for label in labels[:2])

    def told(phone, watch):
        alone = {ACTIVITY: {"imu_phone": phone, "imu_watch": watch}}
        return facts.of_percept(pipeline.manifest, replace(both, alone=alone))["agreement"]

    assert told(*labels[:2]) == f"The phone says {one}. The watch says {other}. They do not agree."
    assert told(labels[0], labels[0]).endswith("They agree.")
    single = pipeline.perceive(random_model.window("imu_phone", "audio", seed=1))
    assert facts.agreement(pipeline.manifest, single).startswith("No two sensors")


def test_what_a_slot_says_alone_is_its_encoders_word(pipeline):
    window = random_model.window(*ALL, seed=2)
    said = pipeline.said(window, ACTIVITY)
    labels = [HEADS[ACTIVITY].labels[int(logits.argmax())] for logits in said]
    assert list(pipeline.perceive(window).alone[ACTIVITY].values()) == labels


@given(
    st.floats(-80, 80), st.floats(-180, 180),
    st.lists(st.tuples(st.floats(-500, 500), st.floats(-500, 500)), min_size=2, max_size=6),
)  # fmt: skip
@settings(max_examples=50, deadline=None)
def test_degrees_become_the_metres_that_were_walked(latitude, longitude, steps):
    """Against the haversine distance, across the date line too."""
    radius = 6371008.8
    path = [(latitude, longitude)]
    for east, north in steps:
        lat, lon = path[-1]
        lon += np.degrees(east / radius / np.cos(np.radians(lat)))
        path.append((lat + np.degrees(north / radius), (lon + 180) % 360 - 180))
    metres = local_metres(np.array(path))
    assert metres[-1].tolist() == [0.0, 0.0]
    lat, lon = np.radians(np.array(path)).T
    a = np.sin((lat - lat[-1]) / 2) ** 2 + np.cos(lat) * np.cos(lat[-1]) * np.sin((lon - lon[-1]) / 2) ** 2
    true = 2 * radius * np.arcsin(np.sqrt(a))
    assert np.hypot(*metres.T) == pytest.approx(true, rel=0.01, abs=0.05)


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
    assert (after.known, after.novel) == (False, False), "unsure is not unlike"


def test_what_cannot_be_ruled_out_is_the_conformal_set_of_the_manifest(model, tmp_path):
    window = random_model.window("audio", seed=2)
    before = Pipeline(model.folder).perceive(window).tasks[EVENT]
    assert before.possible == tuple(before.probabilities), "all of them, where nothing was calibrated"
    ranked = sorted(before.probabilities.values(), reverse=True)
    for threshold, expected in ((ranked[2], 3), (1.0, 1)):
        folder = copy_of(model, tmp_path / str(expected))
        rewrite(folder, lambda c, t=threshold: [task.update(conformal=t) for task in c["tasks"]])
        after = Pipeline(folder).perceive(window).tasks[EVENT]
        assert len(after.possible) == expected
        assert after.label in after.possible


def test_novelty_is_that_of_the_most_used_encoder(model, pipeline, tmp_path):
    window = random_model.window("imu_phone", "imu_watch", seed=3)
    found = pipeline.perceive(window).tasks[ACTIVITY]
    most_used = max(found.alpha, key=found.alpha.get)
    x = torch.from_numpy(window.slots[most_used].values)[None]
    _, pooled, logits, novelty = model.encoders[most_used](x, torch.ones(1, x.shape[2]))
    assert found.novelty == pytest.approx(float(novelty[0, 0]), rel=1e-4)
    nearest = (pooled - model.encoders[most_used].novelties[0].means).norm(dim=1).min()
    energy = -logits[:, :5].logsumexp(-1)
    assert found.novelty == pytest.approx(max(float(nearest), float(energy)), rel=1e-4)
    folder = copy_of(model, tmp_path)
    rewrite(folder, lambda c: [t.update(novelty_threshold=found.novelty - 0.1) for t in c["tasks"]])
    assert (found.known, found.novel) == (True, False)
    after = Pipeline(folder).perceive(window).tasks[ACTIVITY]
    assert (after.known, after.novel) == (False, True)


def test_of_two_encoders_the_one_that_weighs_more_tells_how_new_a_window_is(model, pipeline):
    """With weights of its own: those of the random gates are all alike."""
    features = pipeline.encode(random_model.window("imu_phone", "imu_watch", seed=3))
    slots = {s: replace(f, novelty=np.full(1, i, np.float32)) for i, (s, f) in enumerate(features.items())}
    head = model.manifest.task(ACTIVITY)
    for weights, novelty in (((0.2, 0.8), 1.0), ((0.8, 0.2), 0.0)):
        alpha = {ACTIVITY: dict(zip(slots, weights, strict=True))}
        assert pipeline._novelty(head, Reading(random_model.conditioning(), alpha, {}), slots) == novelty


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
    both = random_model.window("audio", "imu_phone")
    both.slots["audio"] = replace(both.slots["audio"], simulated=True)
    assert pipeline.perceive(both).simulated


def test_a_window_of_another_shape_is_refused(pipeline):
    window = random_model.window("imu_phone")
    short = replace(window.slots["imu_phone"], values=np.zeros((50, 6), np.float32))
    with pytest.raises(ModelError, match=r"\(50, 6\).*\(100, 6\)"):
        pipeline.perceive(replace(window, slots={"imu_phone": short}))


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


@pytest.mark.parametrize("name", [*(f"{s}.onnx" for s in ALL), "adapter.onnx"])
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

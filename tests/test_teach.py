"""Classes that a device is taught: the arithmetic, the file, the percept, the sentences, the command."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import random_model
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edge_agent import config
from edge_agent.assembly import assemble, check
from edge_agent.cli import main
from edge_agent.clock import ManualClock, SystemClock
from edge_agent.delivery import payloads
from edge_agent.errors import ModelError
from edge_agent.perception import taught as teaching
from edge_agent.perception.nearest_mean import NearestMean, left_out
from edge_agent.perception.pipeline import Pipeline
from edge_agent.perception.taught import Taught, TaughtError, TaughtFile, TaughtSlot
from edge_agent.perception.taught_answers import TaughtAnswers
from edge_agent.record.encoding import Arrival, Source
from edge_agent.record.mcap_file import End, Header, RecordingWriter
from edge_agent.types import AnswerSource, Chunk, SlotWindow, Window

S = 1_000_000_000
MODEL = payloads.ModelId("random", "0", "0" * 64)
FEW = st.integers(0, 2**32 - 1)


def classes(seed: int, counts=(3, 5, 4), d: int = 6, apart: float = 3.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        f"class {k}": (rng.normal(0, 1, (n, d)) + apart * rng.normal(0, 1, d)).astype(np.float32)
        for k, n in enumerate(counts)
    }


def motion(kind: str, count: int, seed: int = 0) -> np.ndarray:
    """Windows (N,100,6) of a phone: at rest, or shaken three times a second."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.05, (count, 100, 6)).astype(np.float32)
    x[..., 2] += 9.81
    if kind == "shaken":
        phase = rng.uniform(0, 6, (count, 1))
        x[..., 0] += 20 * np.sin(2 * np.pi * 3 * np.arange(100) / 100 + phase)
    return x


def phone(values: np.ndarray) -> Window:
    return Window(3, 5 * S, {"imu_phone": SlotWindow(values, coverage=1.0, age_s=0.0)})


@pytest.fixture(scope="module")
def model():
    return random_model.shared()


@pytest.fixture(scope="module")
def pipeline(model):
    return Pipeline(model.folder)


@pytest.fixture(scope="module")
def file(pipeline) -> TaughtFile:
    """Rest and shaking, twelve windows each."""
    slot = TaughtSlot(teaching.encoder_of(pipeline.manifest, "imu_phone"), {})
    for kind in ("at_rest", "shaken"):
        z = [pipeline.encode(phone(x))["imu_phone"].pooled for x in motion(kind, 12)]
        slot = slot.with_class(kind, np.stack(z))
    return TaughtFile({"imu_phone": slot})


@pytest.fixture
def agent(tmp_path: Path, model) -> Path:
    """A configuration with a phone."""
    path = tmp_path / "edge-agent.toml"
    path.write_text(
        f'[model]\npath = "{model.folder}"\n'
        '[[sensor]]\nkind = "simulated"\nname = "phone"\nslot = "imu_phone"\n'
    )
    return path


def stored(agent: Path) -> Path:
    return agent.parent / "state" / "taught.npz"


def labelled(path: Path, seed: int = 0, count: int = 10) -> Path:
    x = np.concatenate([motion("at_rest", count, seed), motion("shaken", count, seed)])
    np.savez(path, x=x, label=np.array(["at_rest"] * count + ["shaken"] * count))
    return path


def body(pipeline: Pipeline, window: Window) -> bytes:
    return payloads.encode(payloads.percept("0" * 26, pipeline.perceive(window), MODEL, ManualClock(5 * S)))


# -- the arithmetic --------------------------------------------------------------------------------------


@given(FEW)
@settings(max_examples=30, deadline=None)
def test_the_likeliest_class_is_the_one_with_the_nearest_mean(seed):
    windows = classes(seed)
    reader = NearestMean.fit(windows)
    z = np.random.default_rng(seed + 1).normal(0, 4, (20, 6)).astype(np.float32)
    means = np.stack([w.mean(0) for w in windows.values()])
    expected = np.array([[np.linalg.norm(a - m) ** 2 for m in means] for a in z])
    assert reader.distances(z) == pytest.approx(expected, rel=1e-4)
    found = reader.probabilities(z)
    assert found.sum(-1) == pytest.approx(1.0, abs=1e-5)
    assert (found.max(-1) == found[np.arange(20), expected.argmin(-1)]).all()


@given(FEW)
@settings(max_examples=30, deadline=None)
def test_a_window_is_measured_against_a_mean_that_was_made_without_it(seed):
    windows = classes(seed)
    means = np.stack([w.mean(0, dtype=np.float64) for w in windows.values()])
    found, row = left_out(windows, means), 0
    for k, z in enumerate(windows.values()):
        for i in range(len(z)):
            expected = ((z[i].astype(np.float64) - means) ** 2).sum(-1)
            expected[k] = ((z[i] - np.delete(z, i, axis=0).mean(0, dtype=np.float64)) ** 2).sum()
            assert found[row] == pytest.approx(expected, rel=1e-5, abs=1e-9)
            row += 1
    assert row == len(found)


@given(FEW, st.floats(0.0, 8.0), st.floats(0.05, 20.0))
@settings(max_examples=30, deadline=None)
def test_moving_and_scaling_all_features_changes_nothing(seed, shift, scale):
    windows = classes(seed)
    z = np.random.default_rng(seed + 1).normal(0, 3, (8, 6)).astype(np.float32)
    plain = NearestMean.fit(windows)
    moved = NearestMean.fit({k: (w * scale + shift).astype(np.float32) for k, w in windows.items()})
    there = (z * scale + shift).astype(np.float32)
    assert moved.probabilities(there) == pytest.approx(plain.probabilities(z), abs=0.01)
    assert moved.novelty(there) == pytest.approx(plain.novelty(z), rel=0.01)


@pytest.mark.parametrize("n", [2, 5, 20])
def test_a_few_windows_promise_no_more_than_they_prove(n):
    windows = classes(0, counts=(n, n), apart=50.0)
    reader = NearestMean.fit(windows)
    logits = -left_out(windows, reader.means) / (reader.spread * reader.temperature)
    right = np.exp(logits)[np.arange(2 * n), [0] * n + [1] * n] / np.exp(logits).sum(-1)
    assert right.min() > 0.5  # they are told apart without a mistake
    assert right.mean() == pytest.approx((2 * n + 1) / (2 * n + 2), abs=1e-3)


def test_what_was_taught_is_known_and_what_is_far_away_is_novel():
    windows = classes(1)
    reader = NearestMean.fit(windows)
    assert (reader.novelty(np.concatenate(list(windows.values()))) <= 1.0).all()
    assert reader.novelty(np.full(6, 100.0, np.float32)) > 10.0


def test_windows_that_are_all_alike_keep_every_number_finite():
    reader = NearestMean.fit({"a": np.ones((3, 4), np.float32), "b": np.zeros((3, 4), np.float32)})
    assert np.isfinite(reader.probabilities(np.ones(4, np.float32))).all()
    assert reader.novelty(np.ones(4, np.float32)) == 0.0


def test_a_class_of_one_window_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        NearestMean.fit({"a": np.ones((1, 4), np.float32)})
    with pytest.raises(TaughtError, match="needs at least 2") as caught:
        TaughtSlot("0" * 64, {}).with_class("a", np.ones((1, 4), np.float32))
    assert caught.value.hint


# -- the file --------------------------------------------------------------------------------------------


def test_a_file_comes_back_as_it_was_written(tmp_path, file):
    path = tmp_path / "deep" / "taught.npz"
    other = TaughtSlot("1" * 64, {"Föhn, stark": np.ones((2, 128), np.float32)})
    file.replacing("audio", other).write(path)
    back = TaughtFile.read(path)
    assert list(back.slots) == ["imu_phone", "audio"]
    for name, slot in file.replacing("audio", other).slots.items():
        assert back.slots[name].encoder_sha256 == slot.encoder_sha256
        assert list(back.slots[name].windows) == list(slot.windows)
        for label, z in slot.windows.items():
            assert np.array_equal(back.slots[name].windows[label], z)
    assert [p.name for p in path.parent.iterdir()] == ["taught.npz"]


def test_a_file_with_nothing_left_is_removed(tmp_path, file):
    path = tmp_path / "taught.npz"
    file.write(path)
    file.replacing("imu_phone", TaughtSlot("", {})).write(path)
    assert list(tmp_path.iterdir()) == []
    assert TaughtFile.read(path).slots == {}


def test_a_file_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path, file):
    (tmp_path / "state").write_text("a file in the way")
    with pytest.raises(TaughtError, match="cannot write"):
        file.write(tmp_path / "state" / "taught.npz")


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_damaged_file_is_refused_and_never_half_read(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "taught.npz"
    slot = TaughtSlot("1" * 64, {"a": np.ones((2, 8), np.float32), "b": np.zeros((3, 8), np.float32)})
    TaughtFile({"air": slot}).write(path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with contextlib.suppress(TaughtError):
        back = TaughtFile.read(path)  # whole after all: a byte that no reader of zip files looks at
        assert all(np.array_equal(back.slots["air"].windows[k], z) for k, z in slot.windows.items())


def test_half_a_file_is_refused_with_the_next_step(tmp_path, file):
    path = tmp_path / "taught.npz"
    file.write(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TaughtError, match="no file of taught classes") as caught:
        TaughtFile.read(path)
    assert "teach again" in caught.value.hint


def test_a_pickle_is_never_loaded(tmp_path):
    path = tmp_path / "taught.npz"
    np.savez(path, about=np.array({"format": 1}, dtype=object))
    with pytest.raises(TaughtError, match="no file of taught classes"):
        TaughtFile.read(path)


@pytest.mark.parametrize("label", ["", " a", "a\n", "x" * 49, "unknown", "\x1b[31m"])
def test_what_cannot_be_said_is_no_label(label):
    with pytest.raises(TaughtError, match="is no label"):
        TaughtSlot("0" * 64, {}).with_class(label, np.ones((2, 4), np.float32))


def test_teaching_again_adds_windows_up_to_a_bound():
    slot = TaughtSlot("0" * 64, {}).with_class("a", np.zeros((300, 4), np.float32))
    slot = slot.with_class("a", np.ones((600, 4), np.float32))
    assert len(slot.windows["a"]) == teaching.MOST_WINDOWS
    assert slot.windows["a"].mean() == pytest.approx(2 / 3, abs=0.01)


# -- the percept -----------------------------------------------------------------------------------------


def test_a_taught_slot_is_one_more_task_and_changes_no_other(model, pipeline, file):
    taught = Pipeline(model.folder, taught=Taught(file, model.manifest))
    for kind in ("at_rest", "shaken"):
        window = phone(motion(kind, 1, seed=7)[0])
        plain, more = pipeline.perceive(window), taught.perceive(window)
        found = more.tasks["taught_imu_phone"]
        assert (found.task, found.label, found.known) == ("taught_imu_phone", kind, True)
        assert found.alpha == {"imu_phone": 1.0}
        assert found.possible == ("at_rest", "shaken"), "all: nothing was held back to calibrate on"
        assert sum(found.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
        assert {k: t for k, t in more.tasks.items() if k != "taught_imu_phone"} == plain.tasks
        assert np.array_equal(more.conditioning.soft, plain.conditioning.soft)
        sent = json.loads(body(taught, window))
        Draft202012Validator(payloads.schema("percept")).validate(sent)
        assert sent["tasks"]["taught_imu_phone"]["label"] == kind
    absent = taught.perceive(random_model.window("audio"))
    assert "taught_imu_phone" not in absent.tasks


def test_what_is_like_nothing_taught_is_not_known(model, file):
    taught = Pipeline(model.folder, taught=Taught(file, model.manifest))
    strange = np.random.default_rng(0).normal(0, 60, (100, 6)).astype(np.float32)
    found = taught.perceive(phone(strange)).tasks["taught_imu_phone"]
    assert found.novelty > 1.0
    assert (found.novel, found.known) == (True, False)


def test_the_features_of_another_encoder_are_refused(model, file):
    stale = TaughtFile({"imu_phone": TaughtSlot("2" * 64, file.slots["imu_phone"].windows)})
    with pytest.raises(ModelError, match="another encoder") as caught:
        Taught(stale, model.manifest)
    assert "--forget --all" in caught.value.hint
    with pytest.raises(ModelError, match="another encoder"):
        Taught(TaughtFile({"nowhere": file.slots["imu_phone"]}), model.manifest)


# -- the sentences ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def answers(model, file):
    return TaughtAnswers(model.manifest, Taught(file, model.manifest), ["imu_phone", "audio"])


@pytest.mark.parametrize(
    ("question", "verdict"),
    [("is the phone shaken?", "Yes. "), ("is it at rest?", "No. "), (teaching.QUESTION, "")],
)
def test_a_taught_class_is_told_without_the_language_model(model, file, answers, question, verdict):
    window = phone(motion("shaken", 1, seed=7)[0])
    percept = Pipeline(model.folder, taught=Taught(file, model.manifest)).perceive(window)
    draft = answers.screen(question, percept, percept.end_ns)
    assert draft.source is AnswerSource.FALLBACK
    assert f"{verdict}Of what I was taught, the phone shows shaken (" in draft.text
    evidence = answers.answer(question, draft, percept, percept.end_ns).evidence
    assert {"taught_imu_phone": "shaken"}.items() <= {e.get("task"): e.get("label") for e in evidence}.items()


def test_what_is_not_known_is_told_as_not_known(model, file, answers):
    strange = phone(np.random.default_rng(0).normal(0, 60, (100, 6)).astype(np.float32))
    percept = Pipeline(model.folder, taught=Taught(file, model.manifest)).perceive(strange)
    assert answers.screen(teaching.QUESTION, percept, percept.end_ns).text.startswith("I do not know.")


def test_a_question_about_anything_else_goes_to_the_language_model(model, file, answers):
    window = phone(motion("shaken", 1, seed=7)[0])
    percept = Pipeline(model.folder, taught=Taught(file, model.manifest)).perceive(window)
    assert answers.screen("what is the person doing?", percept, percept.end_ns) is None


# -- the command -----------------------------------------------------------------------------------------


def recording(path: Path, seconds: dict[str, int]) -> Path:
    """A phone that shows one kind of motion after the other."""
    x = np.concatenate([motion(kind, n, seed=3) for kind, n in seconds.items()]).reshape(-1, 6)
    windows = {"hop_s": 0.5, "max_gap_s": 0.06, "min_coverage": 0.8, "settle_s": 0.15}
    header = Header("kitchen", "1", "random", 0, S, windows, {"phone": "imu_phone"})
    with RecordingWriter(path.open("wb", buffering=0), header) as writer:
        writer.announce(Source("phone", "imu_phone", "imu"))
        for i in range(0, len(x), 10):
            times_ns = np.arange(i, i + 10, dtype=np.int64) * (S // 100)
            end_ns = int(times_ns[-1])
            writer.add(Arrival(Chunk("phone", times_ns, x[i : i + 10]), end_ns, S + end_ns, i // 10))
        writer.finish(End(len(x) * S // 100, {"phone": len(x) // 10}))
    return path


def test_from_arrays_to_a_class_and_back(agent, tmp_path, capsys):
    window = phone(motion("shaken", 1, seed=9)[0])
    before = body(assemble(config.load(agent), SystemClock()).pipeline, window)
    teach = ["teach", "imu_phone", "-c", str(agent)]
    assert main([*teach, "--from", str(labelled(tmp_path / "windows.npz"))]) == 0
    assert "at_rest 10, shaken 10" in capsys.readouterr().out
    during = body(assemble(config.load(agent), SystemClock()).pipeline, window)
    assert json.loads(during)["tasks"]["taught_imu_phone"]["label"] == "shaken"
    assert main(["teach", "--list", "--json", "-c", str(agent)]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["slots"]["imu_phone"] == {"classes": {"at_rest": 10, "shaken": 10}, "usable": True}
    assert main([*teach, "--forget", "shaken"]) == 0
    assert list(TaughtFile.read(stored(agent)).slots["imu_phone"].windows) == ["at_rest"]
    assert main([*teach, "--forget", "--all"]) == 0
    assert not stored(agent).exists()
    assert body(assemble(config.load(agent), SystemClock()).pipeline, window) == before


def test_from_a_recording_and_checked_with_another(agent, tmp_path, capsys):
    teach = ["teach", "imu_phone", "-c", str(agent)]
    file = str(recording(tmp_path / "day.mcap", {"at_rest": 8, "shaken": 9}))
    assert main([*teach, "--label", "at_rest", "--from", file, "--stop", "8"]) == 0
    assert main([*teach, "--label", "shaken", "--from", file, "--start", "8", "--stop", "16"]) == 0
    kept = TaughtFile.read(stored(agent)).slots["imu_phone"].windows
    # Windows of 1 s every 0.5 s that lie wholly in 8 s.
    assert {label: len(z) for label, z in kept.items()} == {"at_rest": 15, "shaken": 15}
    capsys.readouterr()
    unseen = str(labelled(tmp_path / "unseen.npz", seed=5))
    assert main([*teach, "--check", unseen, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["windows"] == 20
    assert facts["accuracy"] >= 0.8
    assert sum(n for c in facts["classes"].values() for n in c["said"].values()) == 20
    assert main([*teach, "--check", file, "--stop", "8"]) == 0
    said = capsys.readouterr().out
    assert "15 windows, " in said
    assert "% right" not in said  # nobody said what it shows
    assert main(["replay", file, "-c", str(agent), "--speed", "max", "--json"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["tasks"]["taught_imu_phone"]["label"] == "shaken"


def test_a_file_for_another_encoder_stops_the_agent_and_can_be_forgotten(agent, capsys, file):
    TaughtFile({"imu_phone": TaughtSlot("2" * 64, file.slots["imu_phone"].windows)}).write(stored(agent))
    with pytest.raises(ModelError, match="another encoder"):
        check(config.load(agent))
    teach = ["teach", "imu_phone", "-c", str(agent)]
    assert main([*teach, "--list"]) == 0
    assert "another encoder" in capsys.readouterr().out
    assert main([*teach, "--forget", "--all"]) == 0
    check(config.load(agent))


def test_the_file_may_lie_where_the_configuration_says(agent, tmp_path):
    agent.write_text(agent.read_text().replace("[model]\n", '[model]\ntaught = "elsewhere.npz"\n'))
    windows = str(labelled(tmp_path / "w.npz"))
    assert main(["teach", "imu_phone", "-c", str(agent), "--from", windows]) == 0
    assert (tmp_path / "elsewhere.npz").exists()
    assert not stored(agent).exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--list", "--forget", "a"], 2, "not allowed with"),
        (["--check", "w.npz"], 2, "name the slot"),
        (["imu_phone", "--forget"], 2, "LABEL or --all"),
        (["imu_phone", "--forget", "a"], 1, "was not taught"),
        (["nowhere", "--from", "w.npz"], 1, 'no slot "nowhere"'),
        (["audio", "--from", "w.npz"], 1, "takes numbers (N, 32000, 1)"),
        (["imu_phone", "--from", "absent.npz"], 1, "no labelled windows"),
        (["imu_phone", "--from", "absent.mcap", "--label", "a"], 1, "cannot read"),
        (["imu_phone", "--check", "w.npz"], 1, "was taught nothing"),
    ],
)
def test_wrong_use_says_what_is_right(agent, tmp_path, monkeypatch, capsys, arguments, code, says):
    labelled(tmp_path / "w.npz")
    monkeypatch.chdir(tmp_path)
    try:
        done = main(["teach", *arguments, "-c", str(agent)])
    except SystemExit as error:
        done = error.code
    assert done == code
    assert says in capsys.readouterr().err
    assert not stored(agent).exists()


def test_windows_with_holes_are_left_out(agent, tmp_path):
    x = motion("shaken", 6)
    x[2, 50] = np.nan
    np.savez(tmp_path / "holes.npz", x=x)
    teach = ["teach", "imu_phone", "-c", str(agent), "--from", str(tmp_path / "holes.npz")]
    with pytest.raises(SystemExit):
        main(teach)  # nobody said what they show
    assert main([*teach, "--label", "shaken"]) == 0
    assert len(TaughtFile.read(stored(agent)).slots["imu_phone"].windows["shaken"]) == 5


def test_the_other_model_of_the_same_slot_is_another_encoder(agent, tmp_path, model):
    """As an update of the model would be: one byte of the encoder's hash differs."""
    assert main(["teach", "imu_phone", "-c", str(agent), "--from", str(labelled(tmp_path / "w.npz"))]) == 0
    folder = tmp_path / "other"
    shutil.copytree(model.folder, folder)
    manifest = folder / "manifest.json"
    content = json.loads(manifest.read_text())
    said = content["files"]["imu_phone.onnx"]["sha256"]
    content["files"]["imu_phone.onnx"]["sha256"] = ("1" if said[0] == "0" else "0") + said[1:]
    manifest.write_text(json.dumps(content))
    agent.write_text(agent.read_text().replace(str(model.folder), str(folder)))
    assert main(["check", "-c", str(agent)]) == 1

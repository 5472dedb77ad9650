"""The speech network and the search over what it hears: its files, its pieces of words, what leads it."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voice_rig import MODEL, SLOTS, needs_espeak, spoken

pytest.importorskip("moonshine_voice")
pytest.importorskip("pocketsphinx")

from edge_agent.errors import VoiceError
from edge_agent.voice import beam, speech_network
from edge_agent.voice.beam import Beam
from edge_agent.voice.foreseen import Foreseen
from edge_agent.voice.grammar import make_grammar
from edge_agent.voice.jsgf import Rules
from edge_agent.voice.ngrams import WordOrder, arpa
from edge_agent.voice.pieces import Pieces, Spelling, written_forms
from edge_agent.voice.sense import Sense
from edge_agent.voice.speech_network import END, SpeechNetwork
from edge_agent.voice.transcribers import moonshine
from edge_agent.voice.transcribers.moonshine import MoonshineTranscriber
from edge_agent.voice.types import RATE_HZ


@pytest.fixture
def pieces():
    return _vocabulary()[0]


@pytest.fixture
def spelling():
    return _vocabulary()[1]


# -- its files ----------------------------------------------------------------------------------------------


def copied(folder: Path) -> Path:
    for name in ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"):
        shutil.copy(speech_network.installed() / name, folder / name)
    return folder


@pytest.mark.parametrize("name", ["encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"])
def test_a_file_that_was_changed_is_refused_before_it_is_loaded(tmp_path, name):
    path = copied(tmp_path) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(VoiceError, match=name) as caught:
        SpeechNetwork(tmp_path)
    assert speech_network.VERSION in caught.value.hint


def test_a_file_that_is_missing_is_named(tmp_path):
    (copied(tmp_path) / "tokenizer.bin").unlink()
    with pytest.raises(VoiceError, match=r"tokenizer\.bin"):
        SpeechNetwork(tmp_path)


def test_without_its_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setattr(speech_network, "PACKAGE", "moonshine-voice-that-is-not-there")
    with pytest.raises(VoiceError, match="not installed") as caught:
        speech_network.installed()
    assert "pip install" in caught.value.hint
    assert "pocketsphinx" in caught.value.hint


# -- pieces of words ----------------------------------------------------------------------------------------


@settings(deadline=None)  # the first word waits for the vocabulary
@given(st.text(st.characters(codec="utf-8", exclude_characters="\u2581 \n"), min_size=1, max_size=12))
def test_pieces_of_a_word_are_the_word(word):
    pieces, spelling = _vocabulary()
    assert b"".join(pieces[piece] for piece in spelling.of(word)) == "\u2581".encode() + word.encode()


@cache
def _vocabulary() -> tuple[Pieces, Spelling]:
    pieces = Pieces((speech_network.installed() / "tokenizer.bin").read_bytes())
    return pieces, Spelling(pieces)


def test_usual_words_are_few_pieces_and_the_first_begins_a_word(pieces, spelling):
    for word in ("what", "happened", "Computer", "kitchen"):
        found = spelling.of(word)
        assert len(found) <= 2
        assert pieces.starts[found[0]]
        assert not pieces.starts[found[1:]].any()


def test_a_tree_holds_every_way_to_write_a_word(pieces, spelling):
    words = ["three", "monday", "a_m", "what"]
    tree = spelling.tree(words, capital=False)
    for number, word in enumerate(words):
        for form in written_forms(word):
            node = tree
            for piece in spelling.of(form):
                node = node.next[piece]
                assert number in node.under
            assert node.word == number
    assert spelling.of("What")[0] in spelling.tree(words, capital=True).next
    assert spelling.of("What")[0] not in tree.next
    assert written_forms("three") == ("three", "3")
    assert written_forms("monday") == ("Monday",)


@pytest.mark.parametrize("cut", [1, 100, 249_973])
def test_a_vocabulary_that_is_cut_off_is_refused(cut):
    data = (speech_network.installed() / "tokenizer.bin").read_bytes()
    with pytest.raises(VoiceError, match=r"cut off|not one"):
        Pieces(data[:cut])


# -- the order of words -------------------------------------------------------------------------------------

SENTENCES = ["what is it", "what is the time", "is it the rain", "the rain", "what what is"]


def of_text(text: str, history: tuple[str, ...], word: str) -> float:
    """log10 of a word after a history, by the rules of the ARPA format."""
    grams = {}
    for line in text.splitlines():
        parts = line.split()
        if line[:1] == "-" or line[:1].isdigit():
            number = next(n for n in range(1, 4) if len(parts) in {n + 1, n + 2} and _is_number(parts, n))
            grams[tuple(parts[1 : number + 1])] = (
                float(parts[0]),
                float(parts[-1]) if len(parts) == number + 2 else 0.0,
            )
    if (*history, word) in grams:
        return grams[(*history, word)][0]
    if not history:
        return -math.inf
    return grams.get(history, (0.0, 0.0))[1] + of_text(text, history[1:], word)


def _is_number(parts: list[str], n: int) -> bool:
    if len(parts) == n + 1:
        return not parts[-1].startswith("-")
    return parts[-1].startswith("-") or parts[-1][0].isdigit()


@pytest.mark.parametrize(
    "history", [("<s>", "what"), ("what", "is"), ("is", "it"), ("it", "the"), ("the", "rain"), ("rain", "it")]
)
def test_all_words_at_once_are_as_likely_as_one_by_one(history):
    order, text = WordOrder(SENTENCES), arpa(SENTENCES)
    numbers = {word: i for i, word in enumerate(order.words)} | {"<s>": WordOrder.BEGIN}
    found = order.log_probabilities((numbers[history[0]], numbers[history[1]]))
    for word in order.words:
        assert found[numbers[word]] / math.log(10) == pytest.approx(of_text(text, history, word), abs=2e-4)
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-6)


@given(
    st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=5).map(" ".join), min_size=1, max_size=8)
)
def test_every_history_has_one_word_after_it(sentences):
    order = WordOrder(sentences)
    every = range(-2, len(order.words))
    for first in every:
        for second in every:
            assert np.exp(order.log_probabilities((first, second))).sum() == pytest.approx(1, abs=1e-6)


# -- what is heard ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [9.0, 9.5, 12.6, 61.0])
def test_it_listens_as_long_as_a_question_may_last(network, seconds):
    sound, said, likely = network.listen(np.zeros(round(seconds * RATE_HZ), np.float32))
    assert np.isfinite(likely).all()
    assert len(network.go_on(sound, [(said, END)])) == 1


@needs_espeak
def test_words_that_no_question_has_are_heard_as_well(network):
    made = MoonshineTranscriber(network, make_grammar(MODEL, SLOTS))
    assert (
        made.transcribe(spoken("did the elephant sneeze yesterday")).text
        == "did the elephant sneeze yesterday"
    )


@needs_espeak
def test_the_order_of_words_decides_what_is_half_heard(network):
    """Only what leads the network is another."""
    sound = spoken("is the room empty")
    led = Beam(network, WordOrder(["is the room empty", "is the room occupied"] * 50)).search(sound)
    assert led[0].text == "is the room empty"
    order = WordOrder(["is the broom empty", "is the room full"] * 50)
    scores = {sentence.text: sentence for sentence in Beam(network, order).search(sound)}
    unknown = scores["is the room empty"]
    assert unknown.order < led[0].order - 5, "words in an order that no question has"


@needs_espeak
def test_a_sentence_is_not_ended_in_its_middle(network):
    sound = spoken("what happened in the last five minutes")
    found = Beam(network, WordOrder(["what happened", "what happened in the last five minutes"])).search(
        sound
    )
    assert found[0].text == "what happened in the last five minutes"
    short = next(sentence for sentence in found if sentence.text == "what happened")
    assert short.penalty > 10


ROOMS = WordOrder([*["is a room empty"] * 50, "is the room empty"])


def _foreseen(rule):
    return Foreseen(Rules({"top": rule}, "top"), ROOMS)


@needs_espeak
def test_a_sentence_of_the_grammar_is_worth_more_than_one_like_it(network):
    found = Beam(network, ROOMS, _foreseen("is a room ( empty | occupied )")).search(
        spoken("is the room empty")
    )
    assert [sentence.text for sentence in found if sentence.foreseen] == ["is a room empty"]
    led = next(sentence for sentence in found if sentence.foreseen)
    bare = replace(led, foreseen=False)
    assert led.score == pytest.approx(bare.score + beam.FORESEEN)


@needs_espeak
def test_what_the_grammar_has_is_not_given_up_for_what_begins_better(network):
    """One sentence is kept at a time."""
    sound = spoken("is the room empty")
    assert "is the room empty" not in [s.text for s in Beam(network, ROOMS, width=1).search(sound)]
    led = Beam(network, ROOMS, _foreseen("is the room empty"), width=1).search(sound)
    assert led[0].text == "is the room empty"


def test_what_may_follow_is_numbered_as_the_words_are():
    order = WordOrder(["what happened", "what is that"])
    foreseen = Foreseen(Rules({"top": "what ( happened [ today ] | is )"}, "top"), order)
    assert _words(order, foreseen.after(())) == ["what"]
    assert _words(order, foreseen.after(("what",))) == ["happened", "is"]
    assert _words(order, foreseen.after(("what", "is"))) == ["</s>"]
    assert not foreseen.after(("that",)).any()


def _words(order, which):
    return [order.words[i] for i in np.flatnonzero(which)]


@needs_espeak
def test_what_is_heard_badly_is_listened_to_once_more_and_slower(network, monkeypatch):
    made = MoonshineTranscriber(network, make_grammar(MODEL, SLOTS))
    sounds, search = [], made._beam.search

    def noted(samples):
        sounds.append(samples)
        return search(samples)

    monkeypatch.setattr(made._beam, "search", noted)
    sound = spoken("what happened in the last five minutes")
    made.transcribe(sound)
    noise = np.random.default_rng(1).normal(0, 0.1, len(sound)).astype(np.float32)
    made.transcribe(sound + noise)
    assert len(sounds) == 3
    quiet = round(moonshine.QUIET_S * RATE_HZ)
    assert not sounds[2][:quiet].any()
    assert len(sounds[2]) - quiet == pytest.approx(1.1 * len(sounds[1]), rel=0.01)
    assert sounds[2].dtype == np.float32


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 3 * RATE_HZ), st.floats(0, 1), st.integers(0, 9))
def test_any_sound_is_heard_as_something_or_nothing(length, level, seed):
    samples = np.random.default_rng(seed).normal(0, level, length).astype(np.float32)
    found = _small().search(samples)
    assert all(math.isfinite(sentence.score) for sentence in found)
    most = beam._PIECES_PER_S * length / RATE_HZ + beam._PIECES_MORE + 1
    assert all(len(sentence.words) <= most for sentence in found)


@cache
def _small() -> Beam:
    return Beam(SpeechNetwork(), WordOrder(SENTENCES), width=2)


# -- what makes sense ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sensible"),
    [
        ("when did the dog last bark", True),
        ("and before that", True),
        ("are you sure", True),
        ("is the person walking", True),
        ("how humid is the air", True),
        ("is it raining", True),
        ("is the dog still barking", True),
        ("was the microphone online today", True),
        ("when did the stock market fall", False),
        ("the quick brown fox", False),
        ("", False),
    ],
)
def test_what_can_be_answered_makes_sense(text, sensible):
    assert Sense(MODEL, SLOTS).of(text) is sensible

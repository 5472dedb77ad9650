"""The grammar of spoken questions: of the sensors that are there, the same each time, all understood."""

from __future__ import annotations

import math
import random
import re
import shutil
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pocketsphinx")

from edge_agent import manifest as manifests
from edge_agent.memory.grammar import Grammar
from edge_agent.memory.lexicon import Lexicon
from edge_agent.perception.answer import Answers
from edge_agent.voice import accents, forms, ngrams, spelled, sphinx
from edge_agent.voice.grammar import make_grammar
from edge_agent.voice.jsgf import Rules, rules_in
from edge_agent.voice.written import written

MODEL = manifests.read(Path(__file__).parent.parent / "models" / "iotlm-7m")
SLOTS = ("imu_watch", "audio", "air", "thermal", "room")
NOW_NS = 1_774_626_000 * 1_000_000_000


@pytest.fixture(scope="module")
def grammar():
    return make_grammar(MODEL, SLOTS, ("kitchen_microphone",))


def test_the_same_sensors_give_the_same_grammar(grammar):
    assert make_grammar(MODEL, SLOTS, ("kitchen_microphone",)).jsgf == grammar.jsgf


def test_other_sensors_give_another_grammar(grammar):
    small = make_grammar(MODEL, ("audio",))
    assert small.rules.accepts("how often did the dog bark yesterday")
    assert not small.rules.accepts("how long was the room occupied yesterday")
    assert grammar.rules.accepts("how long was the room occupied yesterday")
    assert "humidity" in grammar.words
    assert "humidity" not in small.words


@pytest.mark.parametrize(
    "question",
    [
        "what is the person doing", "what do you hear", "is the baby crying", "is the room occupied",
        "what happened in the last twenty five minutes", "when did the dog last bark",
        "when was the last time the person stood up", "how often did the baby cry last night",
        "how long has the person been sitting on the bed", "did it rain this morning",
        "did somebody use the toilet during the night", "was anything strange between ten and eleven",
        "was the microphone online yesterday", "is the kitchen microphone working",
        "what was the person doing at quarter past seven", "what happened on the third of march",
        "which sensor told you", "are you sure", "and before that", "what about yesterday",
        "how humid is the air", "how many people are in the room", "did you hear rain",
        "when did you last see someone on the floor", "how has the temperature changed since this morning",
        "is it more humid than yesterday", "has my watch been offline", "how long were two people here",
        "is anybody in the bathroom", "did anyone use the shower this morning", "why was the room empty",
        "anything odd happen last night", "did the baby cry more than twice", "run me through yesterday",
    ],
)  # fmt: skip
def test_holds_the_questions_that_the_product_answers(grammar, question):
    assert grammar.rules.accepts(question)


@pytest.mark.parametrize("nobody_says", ["did you hear a seas", "did it rain in the anyone in the room"])
def test_has_no_words_that_nobody_would_say(grammar, nobody_says):
    assert not grammar.rules.accepts(nobody_says)


def test_says_nothing_that_the_ask_path_cannot_place(grammar):
    """Of a question about the past the ask path makes a query; of one about a label, of that label."""
    asking = Grammar(Lexicon(MODEL, SLOTS), UTC)
    rng = random.Random(3)
    past = [
        written(grammar.rules.say(rng, rule)) for rule in ("whether", "how_often", "when") for _ in range(70)
    ]
    unplaced = [question for question in past if asking.parse(question, NOW_NS) is None]
    # "is the dog barking" is a question about now
    assert [q for q in unplaced if not re.match(r"(is|has) ", q)] == []


def test_every_head_can_be_asked_about_now(grammar):
    answers = Answers(MODEL, SLOTS)
    rng = random.Random(4)
    asked = {name for _ in range(600) for name in answers.concerned(grammar.rules.say(rng, "ask_now"))}
    assert {h.name for h in MODEL.tasks if MODEL.serving(h.name) & set(SLOTS)} <= asked


def test_pocketsphinx_reads_a_grammar_of_ours():
    rules = Rules({"a": "/2/ what is [ /0.3/ the ] <b> | stop", "b": "dog | cat"}, "a")
    decoder = sphinx.decoder(sphinx.pronunciations(rules.words()))
    decoder.add_jsgf_string("a", rules.text("a"))
    assert [decoder.lookup_word(word) is not None for word in rules.words()] == [True] * 6


def test_a_word_that_nobody_can_say_is_left_out_and_told(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")  # without espeak-ng there is nobody to spell it
    made = make_grammar(MODEL, SLOTS, ("zorkblatt",))
    assert "zorkblatt" in made.left_out
    assert not made.rules.accepts("is the zorkblatt working")
    assert made.rules.accepts("is the microphone working")


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_a_word_that_no_dictionary_has_is_spelled():
    made = make_grammar(MODEL, SLOTS, ("zorkblatt",))
    assert made.left_out == ()
    assert made.words["zorkblatt"][0] == "Z AO R K B L AE T"
    assert made.rules.accepts("is the zorkblatt working")


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_spelling_uses_phones_of_the_dictionary_alone():
    known = {
        phone for ways in sphinx.pronunciations(["judge", "thought", "measure"]).values() for phone in ways
    }
    assert known
    said = spelled.pronunciations(["jukebox", "vestibule", "x1", "Öl"])
    assert said["jukebox"] == ("JH UW K B AA K S",)
    assert "x1" not in said


@pytest.mark.parametrize(
    ("word", "american", "british"),
    [("last", "L AE S T", "L AA S T"), ("four", "F AO R", "F AO"), ("sensor", "S EH N S ER", "S EH N S AH"),
     ("morning", "M AO R N IH NG", "M AO N IH NG"), ("what", "W AH T", "W AO T")],
)  # fmt: skip
def test_words_are_also_said_as_in_britain(word, american, british):
    assert accents.ways(word, american)[:2] == (american, british)


@pytest.mark.parametrize(
    ("spoken", "text"),
    [
        ("What happened in the last 5 minutes?", "what happened in the last 5 minutes"),
        ("what happened on the third of march", "what happened on the 3rd of march"),
        ("what happened on may the twenty first", "what happened on may the 21st"),
        ("at two p_m", "at two pm"), ("At 2:30 P.M., please.", "at 2:30 pm please"),
        ("at three o clock", "at three o'clock"), ("", ""), (" ... ", ""),
        ("was c o two above a thousand", "was co2 above 1000"), ("the C.O.2 level", "the co2 level"),
        ("over twelve hundred parts per million", "over 1200 ppm"), ("one thousand two hundred", "1200"),
        ("between a hundred and two hundred", "between 100 and 200"), ("above twenty five", "above 25"),
        ("more than one person", "more than one person"), ("the last ten minutes", "the last ten minutes"),
        ("two hundred and five", "205"), ("the third time", "the third time"), ("what’s on", "what's on"),
    ],
)  # fmt: skip
def test_text_is_written_as_the_ask_path_reads_it(spoken, text):
    assert written(spoken) == text


@given(st.text(max_size=60))
def test_writing_twice_changes_nothing(text):
    assert written(written(text)) == written(text)


# -- the format ---------------------------------------------------------------------------------------------

WORDS = st.sampled_from(["a", "b", "c", "d"])
SIDES = st.recursive(
    WORDS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(" ".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda xs: f"( {' | '.join(xs)} )"),
        inner.map(lambda x: f"[ /0.5/ {x} ]"),
    ),
    max_leaves=8,
)


@given(SIDES, SIDES, st.integers(0, 9))
@settings(max_examples=60)
def test_a_grammar_accepts_what_it_says_also_when_written_and_read_again(first, second, seed):
    rules = Rules({"top": f"{first} | <other> {first}", "other": second}, "top")
    text = rules.text("g")
    again = Rules(rules_in(re.sub(r"<NULL>", "[ zzz ]", text.replace("public ", ""))), "top")
    rng = random.Random(seed)
    for _ in range(5):
        sentence = rules.say(rng)
        assert rules.accepts(sentence)
        assert again.accepts(sentence)
        words = tuple(sentence.split())
        for i, word in enumerate(words):
            assert word in rules.after(words[:i])[0]
        assert rules.after(words)[1]
    assert not rules.accepts("a z")
    assert rules.after(("z",)) == (frozenset(), False)


def test_the_words_that_may_follow_are_those_of_every_way_to_go_on():
    rules = Rules({"top": "a ( b | [ c ] <other> ) | a b e", "other": "d | f g"}, "top")
    assert rules.after(()) == ({"a"}, False)
    assert rules.after(("a",)) == ({"b", "c", "d", "f"}, False)
    assert rules.after(("a", "b")) == ({"e"}, True)
    assert rules.after(("a", "c", "f")) == ({"g"}, False)
    assert rules.after(("a", "d")) == (frozenset(), True)


@pytest.mark.parametrize("side", ["( a", "a )", "[ a", "a | | b", "( )", "a ]"])
def test_a_malformed_rule_is_refused(side):
    with pytest.raises(ValueError, match=r"closed|empty|beginning"):
        Rules({"top": side}, "top")


def test_a_rule_that_refers_to_nothing_is_dropped_with_all_that_needs_it():
    rules = Rules({"top": "a | <gone> b | [ c ] <half>", "half": "d | e <gone>"}, "top")
    assert rules.words() == ["a", "c", "d"]
    assert not rules.accepts("e")


def test_english_has_rules_for_all_that_it_names_but_what_the_model_gives():
    english = rules_in(forms.ENGLISH)
    named = {name for side in english.values() for name in re.findall(r"<(\w+)>", side)}
    given_by_model = {
        "thing", "counted", "place", "fixture", "spent", "start", "sensor", "sound", "some_sound", "noun",
        "heard", "ing_heard", "measured", "measure_question", "manifest_question", "quantity",
        "adjective", "comparative", "superlative", "measure", "measure_small", "person_base", "state",
        "person_done", "clause_ing", "clause_is", "clause_base", "clause_begin", "clause_done",
        "clause_been", "clause_past", "clause_last", "clause_stopped", "person_past", "room", "in_room",
    }  # fmt: skip
    assert named - english.keys() == given_by_model


# -- which word follows which -----------------------------------------------------------------------------


@given(st.lists(st.lists(WORDS, min_size=1, max_size=5).map(" ".join), min_size=1, max_size=12))
@settings(max_examples=40)
def test_the_words_after_each_history_share_one_probability(sentences):
    grams, back = _read(ngrams.arpa(sentences))
    vocabulary = [gram for gram in grams if len(gram) == 1 and gram != ("<s>",)]
    assert math.isclose(sum(10 ** grams[gram] for gram in vocabulary), 1.0, abs_tol=2e-3)
    for history in back:
        total = sum(10 ** _likely(grams, back, (*history, word)) for (word,) in vocabulary)
        assert total == pytest.approx(1.0, abs=0.3)  # interpolated weights, written as a back-off
        assert total > 0.9


def test_no_sentence_is_an_error():
    with pytest.raises(ValueError, match="no sentence"):
        ngrams.arpa([])


def _read(text):
    grams, back, order = {}, {}, 0
    for line in text.splitlines():
        if found := re.fullmatch(r"\\(\d)-grams:", line):
            order = int(found[1])
        elif order and line and not line.startswith("\\"):
            parts = line.split()
            gram = tuple(parts[1 : order + 1])
            grams[gram] = float(parts[0])
            if len(parts) > order + 1:
                back[gram] = float(parts[-1])
    return grams, back


def _likely(grams, back, gram):
    if gram in grams or len(gram) == 1:
        return grams[gram]
    return back.get(gram[:-1], 0.0) + _likely(grams, back, gram[1:])

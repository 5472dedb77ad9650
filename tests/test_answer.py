"""What is said without the language model, and what it may not say."""

from __future__ import annotations

import dataclasses

import pytest
import random_model

from edge_agent.perception.answer import NO_DATA, AnswerLimits, Answers, Draft, claimed_label, numbers_in
from edge_agent.perception.client import whole_sentences
from edge_agent.perception.facts import join
from edge_agent.types import AnswerSource, Percept, TaskPercept
from export import questions
from export.catalog import ACTIVITY, EVENT, HEADS
from export.wordings import FAMILIES, MEASURED, WORDINGS

SECOND_NS = 1_000_000_000
NOW_NS = 100 * SECOND_NS
ALL = ("imu_phone", "imu_watch", "audio")


@pytest.fixture(scope="module")
def manifest():
    return random_model.shared().manifest


@pytest.fixture
def answers(manifest):
    return Answers(manifest)


def task(name, label, probability=0.93, *, known=True, alpha=None):
    alpha = alpha or ({"audio": 1.0} if name == EVENT else {"imu_phone": 0.28, "imu_watch": 0.72})
    return TaskPercept(name, label, probability, {label: probability}, alpha, -3.0, known)


def percept(*tasks: TaskPercept, present=ALL, age_s=0.5):
    missing = tuple(s for s in ALL if s not in present)
    end_ns = NOW_NS - round(age_s * SECOND_NS)
    return Percept(1, end_ns, {t.task: t for t in tasks}, present, missing, random_model.conditioning())


BOTH = percept(task(ACTIVITY, "walking"), task(EVENT, "rain", 0.88))


@pytest.mark.parametrize("question", ["", "   ", "\n\t", "???", "🙂"])
def test_an_empty_question_is_met_with_an_example(answers, question):
    draft = answers.screen(question, BOTH, NOW_NS)
    assert draft.source is AnswerSource.REFUSAL
    assert "what is the person doing?" in draft.text


def test_a_question_of_ten_thousand_characters_is_refused_with_its_length(answers):
    draft = answers.screen("why " * 2500, BOTH, NOW_NS)
    assert draft.source is AnswerSource.REFUSAL
    assert "10000 characters" in draft.text
    assert "400" in draft.text
    longest = ("is the person walking " * 40)[:400]
    assert answers.screen(longest, BOTH, NOW_NS) is None


@pytest.mark.parametrize(
    ("question", "sensor"),
    [
        ("What does the lidar see?", "no lidar"),
        ("what is on the CAMERA", "no camera"),
        ("what does the thermal camera show?", "no thermal camera"),
        ("Where am I according to the GPS", "no gps"),
        ("what does the moisture sensor say?", "no moisture sensor"),
        ("is the heart rate sensor on?", "no heart rate sensor"),
        ("ask the radar and the lidar", "no lidar and no radar"),
    ],
)
def test_a_sensor_that_does_not_exist_is_refused_by_name_with_what_is_there(answers, question, sensor):
    draft = answers.screen(question, BOTH, NOW_NS)
    assert draft.source is AnswerSource.REFUSAL
    assert sensor in draft.text
    assert "I have the phone, the watch and the microphone." in draft.text


def test_a_slot_without_a_configured_sensor_is_not_claimed(manifest):
    answers = Answers(manifest, configured=("imu_phone", "imu_watch"))
    draft = answers.screen("what does the microphone hear?", percept(task(ACTIVITY, "walking")), NOW_NS)
    assert draft.text == "I have no microphone. I have the phone and the watch."


def test_questions_the_model_was_trained_on_reach_the_model(answers):
    """No wording of the training set may be mistaken for one about a sensor that is not there."""
    plain = [
        *questions.WHICH_SENSOR, *questions.FOLLOW_SENSOR, *questions.FOLLOW_WHY, *questions.UNKNOWABLE,
        *questions.IDENTITY, *questions.MEDICAL, *questions.HELP, *questions.BOTH_QUERY,
        *FAMILIES.before, *FAMILIES.conflict, *FAMILIES.advice, *FAMILIES.small_talk,
        *(w.format(s=s) for w in questions.ONE_SENSOR for s in ("the phone", "the watch", "the microphone")),
        *(w.format(x=x, y="silence", z="turning around")
          for t in (ACTIVITY, EVENT) for x in HEADS[t].phrases.values() for w in WORDINGS[t].every),
    ]  # fmt: skip
    assert len(plain) > 200
    for question in plain:
        assert answers.screen(question, BOTH, NOW_NS) is None, question


def test_without_data_nothing_is_claimed(answers):
    for nothing in (None, percept(present=())):
        draft = answers.screen("what is the person doing?", nothing, NOW_NS)
        assert (draft.text, draft.source) == (NO_DATA, AnswerSource.REFUSAL)


def test_stale_data_is_refused_with_its_age(answers):
    old = percept(task(ACTIVITY, "walking"), age_s=12)
    draft = answers.screen("what is the person doing?", old, NOW_NS)
    assert "12 seconds" in draft.text
    assert draft.reason == "stale data"
    patient = Answers(answers.manifest, limits=AnswerLimits(stale_s=20))
    assert patient.screen("what is the person doing?", old, NOW_NS) is None


def test_a_silent_sensor_is_named_with_those_that_speak(answers):
    seen = percept(task(ACTIVITY, "walking"), present=("imu_phone", "imu_watch"))
    draft = answers.screen("what does the microphone say?", seen, NOW_NS)
    assert draft.text == "There is no data from the microphone. I have data from the phone and the watch."


def test_a_task_whose_sensors_are_silent_cannot_be_told(answers):
    seen = percept(task(EVENT, "rain"), present=("audio",))
    draft = answers.screen("what is the person doing?", seen, NOW_NS)
    assert draft.text == "There is no data from the phone or the watch, so I cannot say."
    assert draft.source is AnswerSource.REFUSAL


def test_below_the_threshold_it_says_that_it_does_not_know(answers):
    seen = percept(task(ACTIVITY, "turning", 0.41, known=False), task(EVENT, "rain"))
    draft = answers.screen("what is the person doing?", seen, NOW_NS)
    assert draft.text == "I do not know. My best guess, at 41 percent: the person is turning around."
    assert draft.source is AnswerSource.REFUSAL
    assert answers.screen("what do you hear?", seen, NOW_NS) is None


@pytest.mark.parametrize(
    "text",
    [
        "The person is walking.",
        "It sounds like rain falling. I know it from the microphone.",
        "The person is walking, so no.",
        "I am 93 percent sure.",
        "The watch counts for 72 percent of it.",
        "I have data from three sensors.",
        "I do not know. My sensors cannot tell.",
    ],
)
def test_what_the_percept_bears_out_may_be_said(answers, text):
    assert answers.objection(text, BOTH) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I am 95 percent sure.", "not measured: 95"),
        ("There are 17 people.", "not measured: 17"),
        ("There are seven people.", "not measured: 7"),
        ("The person is seated.", "fast path read walking"),
        ("The person is sitting down, so yes.", "fast path read walking"),
        ("It sounds like  Clock ticking.", "fast path read rain"),
        ("  ", "said nothing"),
        ("There is no data from the watch.", "wrong about the data of the watch"),
    ],
)
def test_what_the_percept_does_not_bear_out_may_not(answers, text, why):
    assert why in answers.objection(text, BOTH)


def test_a_task_that_is_not_known_may_not_be_claimed(answers):
    seen = percept(task(ACTIVITY, "walking", 0.4, known=False), task(EVENT, "rain"))
    assert "not known" in answers.objection("The person is walking. It sounds like rain falling.", seen)
    absent = percept(task(EVENT, "rain"), present=("audio",))
    assert "not known" in answers.objection("The person is walking.", absent)


@pytest.mark.parametrize(
    ("question", "text", "follows"),
    [
        ("Is the person walking?", "The person is walking, so yes.", True),
        ("Is the person walking?", "The person is walking, so no.", False),
        ("Is the person seated?", "The person is walking, so no.", True),
        ("Is the person seated?", "The person is walking, so yes.", False),
        ("Why is the person walking?", "The person is walking, so that is not so.", False),
        ("Why is the person seated?", "The person is walking, so that is not so.", True),
        ("seated or walking?", "The person is walking, none of these.", False),
        ("seated or turning around?", "The person is walking, none of these.", True),
        ("seated or walking?", "The person is walking.", True),
    ],
)
def test_a_verdict_must_follow_from_the_label_that_is_said(answers, question, text, follows):
    objection = answers.objection(text, BOTH, question)
    assert objection == ("" if follows else "its verdict does not follow from walking")


def test_a_silent_sensor_may_not_be_named_as_a_source(answers):
    seen = percept(task(ACTIVITY, "walking"), present=("imu_phone",))
    assert answers.objection("The person is walking. I know it from the phone.", seen) == ""
    assert "the watch" in answers.objection("I know it from the phone and the watch.", seen)
    assert "the microphone" in answers.objection("I have data from the phone and the microphone.", seen)
    assert answers.objection("There is no data from the watch.", seen) == ""


def test_sentences_carry_probability_and_sensor(answers):
    assert (
        answers.sentence(BOTH.tasks[ACTIVITY]) == "The person is walking (93 percent, mostly from the watch)."
    )
    assert (
        answers.sentence(BOTH.tasks[EVENT])
        == "It sounds like rain falling (88 percent, from the microphone)."
    )


def test_the_fallback_speaks_of_what_was_asked_and_passes_its_own_check(answers):
    asked = answers.fallback(BOTH, "what do you hear?")
    assert "rain falling" in asked
    assert "walking" not in asked
    everything = answers.fallback(BOTH, "what is going on?")
    assert "rain falling" in everything
    assert "walking" in everything
    assert answers.objection(everything, BOTH) == ""
    assert answers.fallback(percept(present=()), "what is going on?") == NO_DATA


def test_the_fallback_says_yes_or_no_where_that_was_asked(answers):
    assert answers.fallback(BOTH, "Is the person walking?").startswith("Yes. The person is walking (93")
    assert answers.fallback(BOTH, "is the person seated?").startswith("No. The person is walking (93")
    assert answers.fallback(BOTH, "is the person seated or walking?").startswith("The person")
    assert answers.fallback(BOTH, "why is the person walking?").startswith("The person")
    unsure = percept(task(ACTIVITY, "walking", 0.4, known=False))
    assert answers.fallback(unsure, "is the person walking?").startswith("I do not know.")


def proof(answers, seen, question="", text=""):
    return answers.answer(question, Draft(text, AnswerSource.LANGUAGE_MODEL, ""), seen, NOW_NS).evidence


def test_evidence_is_facts_with_their_window_and_its_age(answers):
    fact, other = proof(answers, BOTH)
    assert fact["task"] == ACTIVITY
    assert fact["label"] == "walking"
    assert fact["age_s"] == pytest.approx(0.5)
    assert other["probability"] == 0.88
    assert fact["alpha"] == {"imu_phone": 0.28, "imu_watch": 0.72}
    assert fact["known"] is True
    assert fact["sequence"] == BOTH.sequence
    assert proof(answers, None) == ()


def test_evidence_says_which_facts_were_used_and_names_them_first(answers):
    def used(question, text):
        found = proof(answers, BOTH, question, text)
        assert [f["used"] for f in found] == sorted((f["used"] for f in found), reverse=True)
        return [f["task"] for f in found if f["used"]]

    (other,) = set(BOTH.tasks) - {ACTIVITY}
    assert used("what is going on?", "The person is walking.") == [ACTIVITY]
    assert used("what is the person doing?", "I do not know.") == [ACTIVITY]
    assert used("what is going on?", answers.sentence(BOTH.tasks[other])) == [other]
    assert used("what is the weather?", "I do not know.") == []
    assert set(used("and?", answers.fallback(BOTH, ""))) == set(BOTH.tasks)


def test_evidence_says_whether_it_is_simulated(answers):
    assert {fact["simulated"] for fact in proof(answers, BOTH)} == {False}
    made_up = dataclasses.replace(BOTH, simulated=True)
    assert {fact["simulated"] for fact in proof(answers, made_up)} == {True}


def test_numbers_are_found_in_digits_and_words():
    assert numbers_in("93 percent, 1,5 m and twelve, one of these, often") == {"93", "1.5", "12"}


def test_a_claim_needs_the_read_out_words(manifest):
    head = manifest.task(ACTIVITY)
    assert claimed_label("Yes: the person is Standing up now", head) == "standing_up"
    assert claimed_label("The person is not walking", head) == ""
    assert claimed_label("walking", head) == ""


def test_a_cut_text_ends_at_its_last_whole_sentence():
    assert whole_sentences("It is 3.5 m. I know", cut=True) == "It is 3.5 m."
    assert whole_sentences("I know it from", cut=True) == ""
    assert whole_sentences(" I know it from ", cut=False) == "I know it from"


@pytest.fixture(scope="module")
def wide():
    return Answers(random_model.shared(random_model.WIDE).manifest)


SEEN = dataclasses.replace(
    percept(task("occupancy", "empty", alpha={"air": 1.0}), present=("air", "gaze")),
    facts={"temperature": "21.4 degrees", "gaze_x": "3.1 centimetres", "gaze_y": "7.0 centimetres"},
)


def test_numbers_are_told_from_the_facts(wide):
    assert wide.fallback(SEEN, MEASURED["temperature"].query[0]) == "The temperature is 21.4 degrees."
    looks = wide.fallback(SEEN, HEADS["gaze"].question)
    assert looks == "The person looks 3.1 centimetres across and 7.0 centimetres down."
    assert wide.objection(looks, SEEN) == ""
    assert "not measured: 21.5" in wide.objection("The temperature is 21.5 degrees.", SEEN)


def test_a_number_that_was_not_measured_is_not_told(wide):
    assert wide.fallback(SEEN, MEASURED["humidity"].query[0]) == (
        "There is no data from the air sensor, so I cannot say."
    )


def test_a_question_about_a_silent_number_is_refused(wide):
    silent = percept(task(ACTIVITY, "walking"))
    draft = wide.screen(MEASURED["temperature"].query[0], silent, NOW_NS)
    assert draft.source is AnswerSource.REFUSAL
    assert "no data from the air sensor" in draft.text


def test_facts_are_evidence_with_the_sensor_that_measured_them(wide):
    found = proof(wide, SEEN, "how warm is it?", "The temperature is 21.4 degrees.")
    facts = {e["fact"]: e["value"] for e in found if "fact" in e}
    assert facts == dict(SEEN.facts)
    assert found[0]["fact"] == "temperature"
    assert found[0]["alpha"] == {"air": 1.0}
    assert [e["used"] for e in found].count(True) == 1
    asked = proof(wide, SEEN, MEASURED["temperature"].query[0], "I do not know.")
    assert [e["fact"] for e in asked if e["used"]] == ["temperature"]


def test_lists_read_as_english():
    assert [join(x) for x in ((), ("a",), ("a", "b"), ("a", "b", "c"))] == ["", "a", "a and b", "a, b and c"]


def test_drafts_keep_question_evidence_and_reason(answers):
    draft = answers.screen("what does the lidar see?", BOTH, NOW_NS)
    answer = answers.answer("what does the lidar see?", draft, BOTH, NOW_NS)
    assert dataclasses.asdict(answer)["reason"] == "no such sensor"
    assert len(answer.evidence) == 2

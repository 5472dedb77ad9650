"""The controls tell a model that reads its sensors from one that guesses, repeats the question or counts."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from edge_agent.perception.pipeline import Pipeline
from export import controls
from export.answers import HELP, IDENTITY, MEDICAL, SMALL_TALK, Turn, says
from export.catalog import ACTIVITY, HEADS
from export.controls import Controls, Gate
from export.readers import Case, Reading, log_probabilities
from tests import random_model

HEAD = HEADS[ACTIVITY]
LABELS = HEAD.labels


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline(random_model.shared().folder)


@pytest.fixture(scope="module")
def readings(pipeline):
    """Windows whose reading is set here, five of each label: random weights would read one alone."""
    return [reading(pipeline, i % len(LABELS), seed=i) for i in range(5 * len(LABELS))]


def reading(pipeline, label, seed):
    window = random_model.window("imu_phone", "imu_watch", seed=seed)
    percept = pipeline.perceive(window)
    read = replace(percept.tasks[ACTIVITY], label=LABELS[label], known=True)
    percept = replace(percept, tasks={ACTIVITY: read})
    sure = log_probabilities(np.eye(len(LABELS))[label])
    return Reading(Case({}, label, str(seed)), sure, sure, sure, percept)


class Speaker:
    """Answers by what a rule makes of the label that is shown (None: no sensors) and of the question."""

    def __init__(self, readings, rule) -> None:
        self.shown = {id(r.percept.conditioning): LABELS[r.case.truth] for r in readings}
        self.rule, self.heard = rule, []

    def generate(self, conditioning, question, *, history=()):
        self.heard.append((question, list(history)))
        return SimpleNamespace(text=self.rule(self.shown.get(id(conditioning)), question))


def sentence(label):
    return f"{HEAD.readout.strip()} {HEAD.phrases[label]}."


def reads(label, _question):
    return "There is no motion sensor data, so I cannot say." if label is None else sentence(label)


def guesses(_label, _question):
    return sentence("walking")


def repeats(label, question):
    """The first class that the question names, else what is shown."""
    return sentence(next((n for n, phrase in HEAD.phrases.items() if phrase in question), label or "walking"))


def passed(pipeline, readings, rule):
    found = Controls(pipeline, Speaker(readings, rule), ACTIVITY, readings).gates()
    return {gate.name.partition(":")[0].partition(" ")[0]: gate.passed for gate in found}


def test_who_reads_passes_every_control(pipeline, readings):
    assert passed(pipeline, readings, reads) == {
        "shuffle": True,
        "blind": True,
        "swap-follow": True,
        "a": True,
    }


def test_who_guesses_follows_nothing_and_speaks_without_sensors(pipeline, readings):
    found = passed(pipeline, readings, guesses)
    assert not any(found[name] for name in ("blind", "swap-follow", "a"))


def test_who_repeats_the_question_falls_for_a_pushed_label(pipeline, readings):
    assert not passed(pipeline, readings, repeats)["a"]


def test_who_says_the_same_whatever_is_shown_loses_nothing_when_shuffled(pipeline, readings):
    same = log_probabilities(np.eye(len(LABELS))[0])
    blind = [replace(r, language=same) for r in readings]
    assert Controls(pipeline, Speaker(blind, guesses), ACTIVITY, blind).shuffle() == 0
    right = Controls(pipeline, Speaker(readings, reads), ACTIVITY, readings).shuffle()
    assert right == pytest.approx(1.0, abs=0.1)


def test_a_gate_is_passed_from_its_least_value_on():
    assert Gate("g", 0.9, 0.9).passed
    assert not Gate("g", 0.8999, 0.9).passed


@pytest.fixture(scope="module")
def families(pipeline, readings):
    speaker = Speaker(readings, reads)
    tested = Controls(pipeline, speaker, ACTIVITY, readings)
    return tested.families(count=300, dialogs=25), tested, speaker


def test_an_answer_counts_where_it_is_right_word_for_word(families):
    found, _, _ = families
    assert found["label"]["as_fused_head"] == 1.0
    assert found["why"]["as_fused_head"] == 0.0, "the sensors it rests on are left out"
    assert found["yes_no"]["as_fused_head"] == 0.0, "the verdict is left out"


def test_refusals_and_plain_talk_are_families_of_their_own(families):
    found, _, _ = families
    assert {"refusal", controls.TALK, "multi-turn"} <= found.keys()
    assert "fixed" not in found
    assert {controls.FIXED[IDENTITY], controls.FIXED[MEDICAL]} == {"refusal"}
    assert {controls.FIXED[HELP], controls.FIXED[SMALL_TALK]} == {controls.TALK}


def test_a_dialog_has_three_to_six_turns_and_its_follow_ups_know_the_one_before(families):
    found, tested, speaker = families
    assert 25 * 2 <= found["multi-turn"]["count"] <= 25 * 5
    followed = [(question, history) for question, history in speaker.heard if history]
    assert followed
    for question, history in followed:
        assert len(history) == 1
        assert not tested.answers.concerned(question), "a question that names something stands alone"


def test_right_for_the_head_is_not_right_for_the_world(pipeline, readings):
    wrong = [replace(r, case=replace(r.case, truth=(r.case.truth + 1) % len(LABELS))) for r in readings]
    speaker = Speaker(readings, reads)
    found = Controls(pipeline, speaker, ACTIVITY, wrong).families(count=150, dialogs=0)
    assert found["label"]["as_fused_head"] == 1.0
    assert found["label"]["as_truth"] == 0.0
    assert "multi-turn" not in found


def test_a_number_of_its_own_is_counted_and_a_fact_in_braces_is_none(pipeline, readings):
    def counts(_label, _question):
        return "It is 21 degrees."

    def fills(_label, _question):
        return "The co2 level is {co2}."

    for rule, some in ((counts, True), (fills, False)):
        tested = Controls(pipeline, Speaker(readings, rule), ACTIVITY, readings)
        tested.families(count=20, dialogs=2)
        assert (tested.invented > 0) == some


def test_the_answer_of_a_head_of_numbers_is_its_sentence():
    pipeline = Pipeline(random_model.shared(random_model.WIDE).folder)
    window = random_model.window("gaze")
    cases = [Case({"gaze": window.slots["gaze"].values}, -1, "one", np.zeros(2, np.float32))]

    def tells(_label, _question):
        return HEADS["gaze"].readout

    for rule, least in ((tells, 0.5), (guesses, 0.0)):
        found = controls.numeric(pipeline, Speaker([], rule), "gaze", cases, count=20)["number"]
        assert found["count"] == 20
        assert (found["as_fused_head"] >= least) if least else (found["as_fused_head"] == 0)


def test_the_text_alone_tells_a_classifier_what_leaks_and_nothing_else():
    def leaks(asker, state, task):
        return f"{asker.label_query(state, task).question} {state.labels[task]}"

    accuracy, chance = controls.text_only(ACTIVITY, leaks, samples=600)
    assert chance == 1 / len(LABELS)
    assert accuracy > 0.95
    honest, _ = controls.text_only(ACTIVITY, lambda a, s, t: a.label_query(s, t).question, samples=3000)
    assert honest < chance + 0.06


def test_what_the_rule_says_is_what_the_corpus_calls_right(pipeline, readings):
    state = Controls(pipeline, Speaker(readings, reads), ACTIVITY, readings)._state(readings[2])
    turn = Turn("label", ACTIVITY, "q", says(ACTIVITY, state), reads=True)
    assert turn.answer.strip() == reads(LABELS[readings[2].case.truth], "q")

"""The instruction corpus: deterministic, honest about missing sensors, and free of leaked labels."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from edge_agent.perception.prompt import normalise_question
from export import questions as q
from export.answers import NO_SENSORS, State, listed, missing, tool_call
from export.catalog import ACTIVITY, HEADS, SLOT_FACTS, SLOTS, classes, numbers
from export.dialogs import Asker
from export.wordings import FAMILIES, MEASURED, WORDINGS

CLASSES = [head.name for head in classes()]
EVERY_SLOT = frozenset(SLOTS)


def draw(seed: int, count: int, *, held_out: bool = False):
    asker = Asker(np.random.default_rng(seed), held_out=held_out)
    for _ in range(count):
        state = asker.state()
        yield state, asker.turn(state)


def test_the_same_seed_gives_the_same_dialogs() -> None:
    assert list(draw(3, 200)) == list(draw(3, 200))
    assert list(draw(3, 200)) != list(draw(4, 200))


@pytest.mark.parametrize("family", ["query", "yes_no", "false_premise", "choice", "why", "change"])
def test_held_out_wordings_are_never_trained_on(family: str) -> None:
    every = [getattr(w, family) for w in (WORDINGS | MEASURED).values()]
    for wordings in (w for w in [*every, FAMILIES.before, FAMILIES.advice] if w):
        train, test = q.split(wordings, held_out=False), q.split(wordings, held_out=True)
        assert test
        assert not set(train) & set(test)
        assert sorted(train + test) == sorted(wordings)


def test_an_answer_that_reads_names_the_true_label_and_no_other() -> None:
    named: set[str] = set()
    for state, turn in draw(5, 6000):
        if turn.reads and turn.head and turn.family not in ("follow_sensor", "conflict"):
            head = HEADS[turn.head]
            phrase = head.phrases[state.labels[head.name]]
            assert turn.answer.startswith(f"{head.readout} {phrase}"), (state, turn)
            named.add(head.name)
    assert named == set(CLASSES)


@pytest.mark.parametrize("head", CLASSES)
def test_without_a_sensor_the_answer_says_so(head: str) -> None:
    asker = Asker(np.random.default_rng(0))
    others = EVERY_SLOT - set(HEADS[head].slots)
    for present in (frozenset(), others):
        state = State({}, frozenset(present))
        for ask in (asker.label_query, asker.yes_no, asker.choice, asker.why, asker.false_premise):
            turn = ask(state, head)
            assert (turn.answer, turn.reads, turn.family) == (missing(HEADS[head]), False, "missing")


@pytest.mark.parametrize("head", CLASSES)
@pytest.mark.parametrize("family", ["label_query", "yes_no", "choice", "false_premise", "why", "comparison"])
def test_a_question_is_the_same_whatever_the_truth_is(head: str, family: str) -> None:
    """So that no classifier of the text can do better than chance, of any head."""
    asked = []
    for label in HEADS[head].labels:
        asker = Asker(np.random.default_rng(11))
        state = State({head: label}, frozenset(HEADS[head].slots))
        asked.append([getattr(asker, family)(state, head).question for _ in range(40)])
    assert all(other == asked[0] for other in asked)
    assert len(set(asked[0])) > 10


@pytest.mark.parametrize("head", [ACTIVITY, "people"])
@pytest.mark.parametrize("family", ["yes_no", "choice"])
def test_a_text_only_classifier_stays_at_chance(head: str, family: str) -> None:
    asker = Asker(np.random.default_rng(11))
    labels = HEADS[head].labels
    texts, truth = [], []
    for _ in range(3000):
        label = labels[asker.rng.integers(len(labels))]
        texts.append(getattr(asker, family)(State({head: label}, EVERY_SLOT), head).question)
        truth.append(label)
    model = make_pipeline(CountVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=300))
    model.fit(texts[:2000], truth[:2000])
    assert model.score(texts[2000:], truth[2000:]) < 1 / len(labels) + 0.05


def test_a_verdict_compares_what_was_asked_with_what_is_read() -> None:
    verdicts = set()
    for state, turn in draw(8, 6000):
        if turn.family == "yes_no" and turn.head:
            phrase = HEADS[turn.head].phrases[state.labels[turn.head]]
            yes = turn.answer.endswith(", so yes.")
            assert turn.answer.endswith((", so yes.", ", so no."))
            assert (turn.rare_ending == ", so yes.") == yes
            if yes:
                assert phrase.split()[-1] in turn.question
            verdicts.add(yes)
    assert verdicts == {True, False}


def test_a_number_is_a_place_that_the_device_fills_and_never_a_digit() -> None:
    asker = Asker(np.random.default_rng(0))
    full, seen = State({}, EVERY_SLOT), set()
    for _ in range(400):
        turn = asker.number(full)
        assert "{" in turn.answer
        assert not any(c.isdigit() for c in turn.answer.replace("co2", "")), turn
        assert not turn.reads
        seen.add(turn.answer.split(" I know")[0])
    wanted = {h.readout for h in numbers()}
    assert seen == wanted | {f" {f.sentence}" for f in SLOT_FACTS["air"] if f.sentence}
    for _ in range(200):
        assert asker.number(State({}, frozenset())).family == "missing"


def test_a_number_is_mostly_asked_of_what_has_data() -> None:
    asker, state = Asker(np.random.default_rng(5)), State({}, frozenset({"lidar"}))
    turns = [turn for turn in (asker.number(state) for _ in range(600)) if turn.head]
    shown = [turn for turn in turns if turn.family == "number"]
    assert {turn.head for turn in shown} == {h.name for h in numbers() if "lidar" in h.slots}
    assert 0.75 < len(shown) / len(turns) < 0.98


def test_a_sensor_is_mostly_asked_of_that_has_data() -> None:
    asker, state = Asker(np.random.default_rng(6)), State({"travel": "driving"}, frozenset({"gps"}))
    turns = [asker.one_sensor(state) for _ in range(400)]
    assert 0.75 < sum(turn.family == "one_sensor" for turn in turns) / len(turns) < 0.98
    assert {turn.family for turn in turns} == {"one_sensor", "missing"}


def test_a_comparison_says_what_it_is_and_leaves_what_it_was_to_the_device() -> None:
    label, phrase = next(iter(HEADS["posture"].phrases.items()))
    state = State({"posture": label}, EVERY_SLOT)
    turn = Asker(np.random.default_rng(2)).comparison(state, "posture")
    assert turn.answer == f"{HEADS['posture'].readout} {phrase}. Before it was {{before_posture}}."
    assert (turn.family, turn.reads) == ("comparison", True)


def test_what_has_a_fixed_answer_is_asked_in_many_ways_and_never_as_it_is_held_out() -> None:
    known = {normalise_question(w) for w in (*q.IDENTITY, *q.MEDICAL, *q.HELP, *FAMILIES.small_talk)}
    groups = (q.IDENTITY, q.MEDICAL, q.HELP, FAMILIES.small_talk)
    unseen = {normalise_question(w) for group in groups for w in q.split(group, held_out=True)}
    asker = Asker(np.random.default_rng(3))
    asked = [asker.fixed(State({}, EVERY_SLOT)).question for _ in range(4000)]
    assert not unseen & set(asked)
    assert len(set(asked) - known) > 1200
    assert not any("{" in text for text in asked)
    shown = Asker(np.random.default_rng(3), held_out=True)
    assert {shown.fixed(State({}, EVERY_SLOT)).question for _ in range(400)} <= unseen


@pytest.mark.parametrize("head", CLASSES)
def test_now_and_then_one_telling_word_asks_for_a_head(head: str) -> None:
    asker, own = Asker(np.random.default_rng(4)), WORDINGS[head].alone
    asked = [asker.label_query(State({}, frozenset()), head).question for _ in range(1000)]
    unseen = {normalise_question(w) for w in q.split(WORDINGS[head].query, held_out=True)}
    assert not unseen & set(asked)
    others = {word for name, wordings in WORDINGS.items() if name != head for word in wordings.words}
    assert own
    assert not set(own) & others
    assert sum(text.rstrip("?") in own for text in asked) > 15


def test_an_alarm_goes_before_a_notice_and_a_notice_before_nothing() -> None:
    def call(**labels: str) -> dict[str, str]:
        found: dict[str, str] = json.loads(tool_call(State(labels, EVERY_SLOT)))
        return found

    assert call() == call(posture="standing", travel="driving") == {"tool": "none"}
    assert call(occupancy="occupied") == {"tool": "notify", "reason": "occupied"}
    both = call(event_detection="chainsaw", posture="lying_on_floor")
    assert both == {"tool": "alarm", "reason": "down on the floor"}


def test_what_the_device_compares_and_sums_up_is_left_to_it() -> None:
    for state, turn in draw(9, 3000):
        if turn.family in ("conflict", "both"):
            braced = " {agreement}" if turn.family == "conflict" else " {summary}"
            assert turn.answer == (braced if state.present else NO_SENSORS)


def test_a_head_that_is_to_be_asked_often_is() -> None:
    asker = Asker(np.random.default_rng(0))
    asker.often = {h.name: 0.01 for h in classes()} | {"touch": 1.0}
    state = State({h.name: h.labels[0] for h in classes()}, EVERY_SLOT)
    heads = [asker.label_query(state).head for _ in range(300)]
    assert heads.count("touch") > 200
    first = [asker.captions(state, most=2)[0].head for _ in range(300)]
    assert first.count("touch") > 150
    assert len({t.head for t in asker.captions(state, most=6) if t.family in ("label", "caption")}) > 2


def test_what_is_listed_is_what_is_present() -> None:
    for state, turn in draw(9, 3000):
        if turn.family == "which_sensor":
            assert turn.answer == (" I have data from {sensors}." if state.present else NO_SENSORS)
    assert listed(("audio",)) == "the microphone"
    assert (
        listed(frozenset(("audio", "imu_watch", "gaze"))) == "the watch, the microphone and the eye tracker"
    )

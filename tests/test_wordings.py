"""The wordings of questions: each once, each known by the words of what it asks about, enough of them."""

from __future__ import annotations

import re
from collections import Counter
from itertools import permutations
from string import Formatter

import pytest

from export import questions as q
from export.catalog import ACTIVITY, HEADS, classes, numbers
from export.catalog import EVENT as SOUND
from export.wordings import FAMILIES, MEASURED, WORDINGS, Wordings

EVERY = WORDINGS | MEASURED
NEW = {name: w for name, w in EVERY.items() if name not in (ACTIVITY, SOUND)}
NUMBERS = (*(head.name for head in numbers()), *MEASURED)
CLASSES = [head.name for head in classes()]
PHRASES = {name: tuple(head.phrases.values()) for name, head in HEADS.items() if head.phrases}
"""As the classes are said; a filled question must not be taken for one about something else."""
FAMILY_TUPLES = {
    "before": (FAMILIES.before, 30, set()), "before_of": (FAMILIES.before_of, 20, {"noun"}),
    "conflict": (FAMILIES.conflict, 25, set()), "advice": (FAMILIES.advice, 30, set()),
    "small_talk": (FAMILIES.small_talk, 30, set()),
}  # fmt: skip


def holds(text: str, words: tuple[str, ...]) -> list[str]:
    return [w for w in words if re.search(rf"\b{re.escape(w)}\b", text)]


def placeholders(wording: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(wording) if name}


def filled(name: str, wording: str) -> list[str]:
    """A wording with every phrase in every place."""
    if not placeholders(wording):
        return [wording]
    triples = [(*pair, pair[-1]) for pair in permutations(PHRASES[name], 2)]
    return sorted({wording.format(x=x, y=y, z=z) for x, y, z in triples})


def tuples(wordings: Wordings) -> dict[str, tuple[str, ...]]:
    kinds = ("query", "yes_no", "false_premise", "choice", "why", "change")
    return {kind: getattr(wordings, kind) for kind in kinds}


def old_wordings() -> set[str]:
    """All of questions.py, as it is asked, but what only stands around a question or is filled into one."""
    found = set(WORDINGS[ACTIVITY].every)
    for name, value in vars(q).items():
        if name.isupper() and name not in ("OPENERS", "CLOSERS", "THINGS"):
            found.update(w for t in (value.values() if isinstance(value, dict) else (value,)) for w in t)
    return found


def test_no_wording_occurs_twice() -> None:
    new = [w for wordings in NEW.values() for w in wordings.every]
    families = [w for wordings, _, _ in FAMILY_TUPLES.values() for w in wordings]
    counted = Counter([*new, *families, *old_wordings()])
    assert [w for w, count in counted.items() if count > 1] == []
    for name in (ACTIVITY, SOUND):
        assert max(Counter(EVERY[name].every).values()) == 1


@pytest.mark.parametrize("name", EVERY)
def test_a_question_is_known_by_the_words_of_what_it_asks_about(name: str) -> None:
    foreign = tuple(w for other, wordings in EVERY.items() if other != name for w in wordings.words)
    for wording in EVERY[name].every:
        for question in filled(name, wording):
            assert holds(question, EVERY[name].words), f"{question!r} has no word of {name}"
            assert holds(question, foreign) == [], f"{question!r} of {name}"


@pytest.mark.parametrize("name", EVERY)
def test_every_word_is_of_use_and_of_one_thing(name: str) -> None:
    questions = [text for wording in EVERY[name].every for text in filled(name, wording)]
    assert [w for w in EVERY[name].words if not any(holds(text, (w,)) for text in questions)] == []


def test_what_belongs_to_nothing_names_nothing() -> None:
    words = tuple(w for wordings in EVERY.values() for w in wordings.words)
    for family in ("before", "before_of", "advice", "small_talk"):
        for wording in FAMILY_TUPLES[family][0]:
            assert holds(wording, words) == [], f"{wording!r} of {family}"
    not_motion = tuple(w for n, wordings in EVERY.items() if n != ACTIVITY for w in wordings.words)
    for wording in FAMILIES.conflict:
        assert holds(wording, not_motion) == [], wording


@pytest.mark.parametrize("family", ["IDENTITY", "MEDICAL", "HELP", "WHICH_SENSOR"])
def test_a_question_with_a_fixed_answer_is_not_taken_for_one_about_a_number(family: str) -> None:
    words = tuple(w for name in NUMBERS for w in EVERY[name].words)
    for wording in getattr(q, family):
        assert holds(wording, words) == [], wording


def test_what_was_before_names_no_sensor() -> None:
    for wording in (*FAMILIES.before, *FAMILIES.before_of):
        assert holds(wording, ("sensor", "sensors", "phone", "watch", "tracker", "scanner", "array")) == []


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_asked_for_in_enough_ways(name: str) -> None:
    wanted = {"query": 45, "yes_no": 20, "false_premise": 12, "choice": 10, "why": 20, "change": 0}
    assert {k: len(t) for k, t in tuples(EVERY[name]).items() if len(t) < wanted[k]} == {}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_asked_for_in_enough_ways(name: str) -> None:
    counts = {k: len(t) for k, t in tuples(EVERY[name]).items()}
    assert counts["query"] >= 45
    assert counts["why"] >= 20
    assert counts["change"] >= 12 if name in MEASURED else counts["change"] == 0
    assert counts["yes_no"] == counts["false_premise"] == counts["choice"] == 0


@pytest.mark.parametrize("family", FAMILY_TUPLES)
def test_a_family_is_asked_in_enough_ways(family: str) -> None:
    wordings, least, names = FAMILY_TUPLES[family]
    assert len(wordings) >= least
    assert {w for w in wordings if placeholders(w) != names} == set()


@pytest.mark.parametrize("name", EVERY)
def test_a_wording_has_the_places_of_its_kind(name: str) -> None:
    wordings = EVERY[name]
    for wording in (*wordings.query, *wordings.why, *wordings.change):
        assert placeholders(wording) == set(), wording
    for wording in (*wordings.yes_no, *wordings.false_premise):
        assert placeholders(wording) == {"x"}, wording
    three = [{"x", "y", "z"}] if len(PHRASES.get(name, ())) > 2 else []
    for wording in wordings.choice:
        assert placeholders(wording) in ({"x", "y"}, *three), wording
    assert not three or any("{z}" in wording for wording in wordings.choice)


@pytest.mark.parametrize("name", NEW)
def test_what_is_held_out_is_new_in_wording_and_not_in_words(name: str) -> None:
    assert_words_are_trained([t for t in tuples(NEW[name]).values() if t])


@pytest.mark.parametrize("family", FAMILY_TUPLES)
def test_what_a_family_holds_out_is_new_in_wording_and_not_in_words(family: str) -> None:
    assert_words_are_trained([FAMILY_TUPLES[family][0]])


def assert_words_are_trained(kinds: list[tuple[str, ...]]) -> None:
    trained = {
        w for t in kinds for wording in q.split(t, held_out=False) for w in re.findall(r"\w+", wording)
    }
    for wording in (w for t in kinds for w in q.split(t, held_out=True)):
        assert set(re.findall(r"\w+", wording)) <= trained, wording


def test_a_wording_is_plain() -> None:
    families = [w for wordings, _, _ in FAMILY_TUPLES.values() for w in wordings]
    for wording in (*(w for wordings in NEW.values() for w in wordings.every), *families):
        letters = wording.replace("co2", "co")  # the gas has the only digit
        assert re.fullmatch(r"[a-z ,:{}]+", letters), wording
        assert wording == " ".join(wording.split()), wording

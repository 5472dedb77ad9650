"""What the second parser adds to the rules: paraphrases it never saw, and questions about other things."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from past_paraphrases import HELD_OUT, OTHER, SEEN

from edge_agent import manifest as manifests
from edge_agent.memory.grammar import Grammar, Refused
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.measured import Measured
from edge_agent.memory.nearest import FORMS, NEAR, Nearest

MODEL = Path(__file__).parent.parent / "models" / "iotlm-7m"
NOW_NS = 1_423_046_642 * 10**9
MOST_FALSE = 2
"""Questions of OTHER that are answered: the rules alone answer as many."""


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    if not (MODEL / "manifest.json").is_file():
        pytest.skip("no shipped model in models/iotlm-7m")
    lexicon = Lexicon(manifests.read(MODEL), ("imu_watch", "audio", "air", "room"))
    return Grammar(lexicon, ZoneInfo("Europe/Brussels"))


def parsed(grammar: Grammar, question: str) -> tuple[str, str]:
    """(kind, what it names); kind is empty where there is no query."""
    query = grammar.parse(question, NOW_NS)
    if query is None or isinstance(query, Refused):
        return "", ""
    if isinstance(query, Measured):
        return f"Measured {query.wanted}", query.name
    target, slots = getattr(query, "target", None), getattr(query, "slots", ())
    named = ",".join(target.labels) if target else "".join(slots if len(slots) == 1 else ())
    return type(query).__name__, named


@pytest.mark.parametrize(("several", "least"), [(SEEN, 0.85), (HELD_OUT, 0.65)], ids=["seen", "held out"])
def test_paraphrases_are_understood(grammar: Grammar, several, least: float):
    right = [parsed(grammar, question) == (kind, named) for question, kind, named in several]
    missed = [question for (question, _, _), good in zip(several, right, strict=True) if not good]
    print(f"{sum(right)} of {len(right)} as meant; not: {missed}")
    assert sum(right) / len(right) >= least


def test_questions_about_something_else_are_not_answered_from_memory(grammar: Grammar):
    answered = [question for question in OTHER if parsed(grammar, question)[0]]
    print(f"{len(answered)} of {len(OTHER)} answered: {answered}")
    assert len(answered) <= MOST_FALSE


@pytest.mark.parametrize("question", OTHER)
def test_what_names_nothing_known_is_near_to_nothing(question: str):
    assert Nearest().wanted(question, 0.7)[0] == ""


def test_every_form_is_nearest_to_itself():
    nearest = Nearest()
    for wanted, forms in FORMS.items():
        for form in forms:
            assert nearest.wanted(form, NEAR) == (wanted, pytest.approx(1.0))


def test_no_word_at_all_is_near_to_nothing():
    assert Nearest().wanted("", NEAR)[0] == ""

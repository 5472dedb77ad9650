"""Other ways to ask about the past, and questions about other things, in the words of the shipped model."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from past_paraphrases import BLIND, HELD_OUT, LATER, OTHER, OTHER_BLIND, OTHER_LATER, SEEN
from test_memory_phrases import CASES, at

from edge_agent import manifest as manifests
from edge_agent.memory import unanswered
from edge_agent.memory.grammar import Grammar, Refused
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.measured import Measured
from edge_agent.memory.queries import Query

MODEL = Path(__file__).parent.parent / "models" / "iotlm-7m"
NOW_NS = 1_423_046_642 * 10**9


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    if not (MODEL / "manifest.json").is_file():
        pytest.skip("no shipped model in models/iotlm-7m")
    lexicon = Lexicon(manifests.read(MODEL), ("imu_watch", "audio", "air", "room"))
    return Grammar(lexicon, ZoneInfo("Europe/Berlin"))


def parsed(grammar: Grammar, question: str) -> tuple[str, str]:
    return named(grammar.parse(question, NOW_NS))


def named(query: Query | Measured | Refused | None) -> tuple[str, str]:
    """(kind, what it names); kind is empty where there is no query."""
    if query is None or isinstance(query, Refused):
        return "", ""
    if isinstance(query, Measured):
        return f"Measured {query.wanted}", query.name
    target, slots = getattr(query, "target", None), getattr(query, "slots", ())
    return type(query).__name__, ",".join(target.labels) if target else "".join(
        slots if len(slots) == 1 else ()
    )


LEAST = [(SEEN, 0.9), (HELD_OUT, 0.85), (LATER[::2], 0.95), (LATER[1::2], 0.85), (BLIND, 0.75)]
"""What is understood. The last two were only counted, so less can be expected."""


@pytest.mark.parametrize(("several", "least"), LEAST, ids=["seen", "held out", "later", "unseen", "blind"])
def test_paraphrases_are_understood(grammar: Grammar, several, least: float):
    right = [parsed(grammar, question) == (kind, named) for question, kind, named in several]
    print(f"{sum(right)} of {len(right)} as meant")
    assert sum(right) / len(right) >= least


@pytest.mark.parametrize("several", [OTHER, OTHER_LATER], ids=["at hand", "later"])
def test_questions_about_something_else_are_not_answered_from_memory(grammar: Grammar, several):
    answered = [question for question in several if parsed(grammar, question)[0]]
    print(f"{len(answered)} of {len(several)} answered")
    assert not answered


def test_few_questions_about_something_else_are_answered_of_those_that_were_only_counted(grammar: Grammar):
    answered = [question for question in OTHER_BLIND if parsed(grammar, question)[0]]
    print(f"{len(answered)} of {len(OTHER_BLIND)} answered")
    assert len(answered) <= 3


GRID = [
    ("What happened {}?", "Timeline"), ("Tell me everything {}.", "Timeline"),
    ("Anything to report {}?", "Timeline"), ("What did you hear {}?", "Timeline"),
    ("What was the person doing {}?", "Timeline"), ("How often did the dog bark {}?", "HowOften"),
    ("How many sneezes were there {}?", "HowOften"), ("How long did it rain {}?", "HowLong"),
    ("For how long was the room occupied {}?", "HowLong"), ("Was the room occupied {}?", "Whether"),
    ("Did you hear a helicopter {}?", "Whether"), ("Was there anybody in the room {}?", "Whether"),
    ("When did the rooster last crow {}?", "LastTime"), ("When did the dog first bark {}?", "FirstTime"),
    ("Was anything unusual {}?", "Unusual"), ("Were all sensors working {}?", "Availability"),
    ("What was the lowest temperature {}?", "Measured lowest"), ("Did it get warmer {}?", "Measured change"),
]  # fmt: skip


@pytest.mark.parametrize(("question", "kind"), GRID)
def test_every_question_can_be_asked_of_every_time(grammar: Grammar, question: str, kind: str):
    for zone, now, phrase, start, end in CASES:
        if (
            zone == "Europe/Berlin"
            and "2026-" not in phrase
            and "march" not in phrase
            and "dec" not in phrase
        ):
            query = grammar.parse(question.format(phrase), at(now, zone))
            whole = kind == "Whether" and unanswered.whole(phrase)  # that it was so once is no yes
            assert named(query)[0] == ("HowLong" if whole else kind), (phrase, query)
            span = query.span  # type: ignore[union-attr]  # all of GRID have one
            if kind != "Measured change":
                assert (span.start_ns, span.end_ns) == (at(start, zone), at(end, zone)), phrase


@pytest.mark.parametrize(
    ("words", "label"), [("sitting", "seated"), ("seated", "seated"), ("sitting down", "sitting_down")]
)
def test_sitting_is_no_sitting_down(grammar: Grammar, words: str, label: str):
    assert parsed(grammar, f"how long was the person {words} today?") == ("HowLong", label)


def test_the_word_that_is_not_known_is_named(grammar: Grammar):
    refused = grammar.parse("Was the baby fed this morning?", NOW_NS)
    assert isinstance(refused, Refused)
    assert 'I do not know what "fed" is.' in refused.text

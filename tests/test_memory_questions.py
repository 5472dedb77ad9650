"""Questions about recorded days: every answer exact, with its evidence, and without a number of its own."""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_checks import invented
from memory_world import (
    GAP_NS,
    HEADS,
    HOLD_NS,
    JOIN_NS,
    SLOTS,
    ZONE,
    Moment,
    S,
    World,
    generated_days,
    manifest,
    recorded_days,
    remember,
    remembering,
    stretches,
    watched_ns,
)

from edge_agent.askers import Askers
from edge_agent.clock import ManualClock
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.notes import Event
from edge_agent.memory.queries import HowOften, LastTime, Queries, Span, Target
from edge_agent.memory.recall import Recall
from edge_agent.memory.spells import Hold
from edge_agent.memory.store import Store
from edge_agent.types import Answer, AnswerSource

ASKED = {
    "seated": "the person seated", "sitting_down": "the person sitting down", "walking": "the person walking",
    "lying": "the person lying down", "dog": "a dog barking", "rain": "rain falling",
    "baby_cry": "a baby crying", "silence": "silence",
    "empty": "the room empty", "occupied": "the room occupied",
    "nobody": "people none", "one_person": "people one", "two_people": "people two",
    "three_people": "people three",
}  # fmt: skip
SPANS = (
    ("yesterday", lambda d: (d(1, 0), d(0, 0))),
    ("today", lambda d: (d(0, 0), None)),
    ("this morning", lambda d: (d(0, 5), d(0, 12))),
    ("yesterday afternoon", lambda d: (d(1, 12), d(1, 18))),
    ("yesterday between two and four", lambda d: (d(1, 14), d(1, 16))),
    ("since 8:30", lambda d: (d(0, 8, 30), None)),
    ("last night", lambda d: (d(1, 22), d(0, 6))),
    ("in the last ninety minutes", lambda _: (-5400, None)),
    ("in the last two hours", lambda _: (-7200, None)),
)  # fmt: skip


@pytest.fixture(scope="module", params=["recorded", "generated"])
def world(request, tmp_path_factory) -> Iterator[World]:
    start_ns = int(datetime(2026, 3, 27, 18, tzinfo=UTC).timestamp()) * S
    day = recorded_days() if request.param == "recorded" else generated_days(start_ns, seed=3)
    with remembering(day, tmp_path_factory.mktemp("memory")) as made:
        yield made


def utc_ns(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000) * 1_000_000


def spells_of(answer: Answer) -> list[tuple[str, int, int, float]]:
    return [
        (f["label"], utc_ns(f["start_utc"]), utc_ns(f["end_utc"]), f["seconds"])
        for f in answer.evidence
        if "start_utc" in f and "label" in f
    ]


def clock_numbers(at_ns: int) -> set[str]:
    at = datetime.fromtimestamp(at_ns // S, UTC).astimezone(ZONE)
    return {f"{at:%H}", f"{at:%M}", f"{at:%S}", str(at.day), str(at.year)}


def length_numbers(length_ns: int) -> set[str]:
    left, found = round(length_ns / S), set()
    for size in (86_400, 3600, 60, 1):
        found.add(str(left // size))
        left %= size
    return found


def check_numbers(answer: Answer, world: World, expected, span: tuple[int, int], watched: int) -> None:
    """Every number of a text is one of the facts, as the naive reader has them."""
    allowed = {str(len(expected))}
    for at_ns in (*span, *(s.start_ns for s in expected), *(s.end_ns for s in expected)):
        allowed |= clock_numbers(at_ns)
    lengths = [s.seen_ns for s in expected] + [s.end_ns - s.start_ns for s in expected]
    lengths += [
        sum(s.seen_ns for s in expected),
        watched,
        span[1] - span[0],
        world.now_ns - world.day[-1].wall_ns,
    ]
    for label in {s.label for s in expected}:
        lengths.append(sum(s.seen_ns for s in expected if s.label == label))
        allowed.add(str(sum(s.label == label for s in expected)))
    for length in lengths:
        allowed |= length_numbers(length)
    facts = [f for f in answer.evidence if "probability" in f]
    weight = sum(f["windows"] for f in facts if "windows" in f)
    if weight:
        allowed.add(f"{100 * sum(f['probability'] * f['windows'] for f in facts) / weight:.0f}")
    allowed |= {f"{100 * f['probability']:.0f}" for f in facts}
    said = set(re.findall(r"\d+", answer.text))
    assert said <= allowed, (answer.text, said - allowed)


def questions(world: World, count: int, seed: int):
    """(question, what is asked, head, label, span), the same for the same seed."""
    rng = random.Random(seed)
    heads = [head for head in HEADS if any(head in moment.read for moment in world.day)]
    for _ in range(count):
        head = rng.choice(heads)
        label = rng.choice(list(HEADS[head][4]))
        words, make = rng.choice(SPANS)
        kind = rng.choice(["how_often", "how_long", "whether", "first", "last", "last_ever", "timeline"])
        name = ASKED[label]
        text = {
            "how_often": f"How often was {name} {words}?",
            "how_long": f"How long was {name} {words}?",
            "whether": f"Was {name} {words}?",
            "first": f"When was {name} first {words}?",
            "last": f"When was {name} last {words}?",
            "last_ever": f"When was the last time of {name}?",
            "timeline": f"What happened {words}?",
        }[kind]
        yield text, kind, head, label, world.span(make) if kind != "last_ever" else (0, world.now_ns)


def test_two_hundred_questions_are_answered_exactly(world: World):
    asked = refused = 0
    for text, kind, head, label, span in questions(world, 200, seed=11):
        asked += 1
        answer = world.recall.answer(text, "test")
        assert answer is not None, text
        heads = [head] if kind != "timeline" else list(HEADS)
        labels = [label] if kind != "timeline" else [la for spec in HEADS.values() for la in spec[4]]
        expected = sorted(
            (s for h in heads for s in world.expected(h, [la for la in labels if la in HEADS[h][4]], span)),
            key=lambda s: s.start_ns,
        )
        watched = max(watched_ns(world.day, h, span, GAP_NS) for h in heads)
        assert answer.source is AnswerSource.MEMORY, (text, answer.text)
        summary = answer.evidence[0]
        if kind in {"first", "last", "last_ever"}:
            expected = expected[:1] if kind == "first" else sorted(expected, key=lambda s: s.end_ns)[-1:]
        assert summary["count"] == len(expected), (text, answer.text)
        assert summary["seconds"] == pytest.approx(sum(s.seen_ns for s in expected) / S), text
        told = sorted(spells_of(answer), key=lambda s: (s[1], s[0]))
        wanted = [(s.label, s.start_ns, s.end_ns, s.seen_ns / S) for s in expected][-50:]
        assert told == sorted(wanted, key=lambda s: (s[1], s[0])), text
        if kind != "last_ever":
            assert summary["watched_seconds"] == pytest.approx(watched / S), text
            refused += watched == 0
            part = 0 < watched < 0.95 * (span[1] - span[0])
            assert ("I had data for" in answer.text) == part, answer.text
        check_numbers(answer, world, expected, span, watched)
        assert not invented(answer, ZONE), answer.text
        if expected and kind != "timeline":
            assert any(word in answer.text for word in HEADS[head][4].values())
        assert bool(expected) or re.search(r"\b(not|no|nothing)\b", answer.text), answer.text
    print(f"{asked} questions, {refused} of times without data")


def test_a_time_without_data_is_not_answered_with_no(world: World):
    answer = world.recall.answer("Was the room occupied on 1 January 2015?", "test")
    assert answer is not None
    assert "no data from the air sensor" in answer.text
    assert "cannot say" in answer.text


def test_what_sensors_did(world: World):
    answer = world.recall.answer("Was the room sensors data missing yesterday?", "test")
    assert answer is not None
    assert "the room sensors" in answer.text


DIALOGS = [
    (["How often was the room occupied yesterday?", "and today?"], "HowOften", "today"),
    (["How long was the room empty today?", "what about occupied?"], "HowLong", "occupied"),
    (["When was the room last occupied?", "and before that?"], "LastTime", "occupied"),
    (["What happened in the last two hours?", "and before that?"], "Timeline", ""),
    (
        ["How often was the room occupied yesterday?", "which sensor told you?"],
        "HowOften",
        "air sensor told me",
    ),
    (["How often was the room occupied yesterday?", "are you sure?"], "HowOften", "percent"),
    (["Is the room occupied?", "how long has it been so?"], "Ongoing", "The room is" and "room is"),
    (["Is the room occupied?", "and before that?"], "Before", "room is"),
    (["Is the room occupied?", "and yesterday?"], "Timeline", "room is"),
    (["Was the room occupied yesterday?", "for how long?"], "HowLong", "occupied"),
    (["Was the room occupied yesterday?", "how often was that?"], "HowOften", "occupied"),
    (["Was the room occupied yesterday?", "when was that?"], "LastTime", "occupied"),
    (["How often was the room occupied yesterday?", "and the first time?"], "FirstTime", "I first read"),
    (["Was the room occupied yesterday?", "for how long?", "are you sure?"], "HowLong", "percent sure"),
    (
        ["Was the room occupied yesterday?", "for how long?", "and today?", "which sensor told you?"],
        "HowLong",
        "air sensor told me",
    ),
    (["Was the room occupied today?", "and the day before?"], "Whether", "yesterday"),
    (["Was the room occupied today?", "and yesterday?", "same for today"], "Whether", "today"),
    (["Was the room occupied today?", "yesterday?"], "Whether", "yesterday"),
    (["Is the room occupied?", "and since midnight?"], "Timeline", "room is"),
    (["What happened in the last two hours?", "and earlier?"], "Timeline", ""),
    (["How often was the room occupied yesterday?", "based on what?"], "HowOften", "air sensor told me"),
    (["Was the room occupied yesterday?", "how do you know?"], "Whether", "air sensor told me"),
    (["Was the room occupied yesterday?", "why do you think so?"], "Whether", "air sensor told me"),
    (["Was the room occupied yesterday?", "can I trust that?"], "Whether", "percent sure"),
    (["Was the room occupied yesterday?", "is that true?"], "Whether", "percent sure"),
    (["Was the room occupied yesterday?", "how many times?"], "HowOften", "yesterday"),
    (["Was the room occupied yesterday?", "and the last time?"], "LastTime", "I last read"),
    (["Was the watch working yesterday?", "what about the air sensor?"], "Availability", "the air sensor"),
    (["Was the room occupied yesterday?", "what about the air sensor?"], "Availability", "the air sensor"),
    (["What happened yesterday?", "what about the air sensor?"], "Timeline", "room is"),
    (["What happened yesterday?", "and how often was the room occupied today?"], "HowOften", "today"),
    (["When was the room last occupied?", "and how long was the room empty today?"], "HowLong", "empty"),
    (["Why was the room occupied yesterday?"], "Whether", "I cannot tell why, only what I read."),
]


@pytest.mark.parametrize(("turns", "query", "words"), DIALOGS, ids=[" / ".join(d[0]) for d in DIALOGS])
def test_one_question_follows_another(world: World, turns, query, words):
    asker = f"asker {turns}"
    answers = [world.recall.answer(turn, asker) for turn in turns]
    last = answers[-1]
    assert last is not None
    assert last.evidence[0]["query"] == query
    assert words in last.text


@pytest.mark.parametrize("back", [0, 1])
def test_why_is_answered_with_whether(world: World, back: int):
    span = (world.local(back, 4), world.local(back, 5))
    for label in HEADS["occupancy"][4]:
        day = ("today", "yesterday")[back]
        answer = world.recall.answer(f"Why was the room {label} {day} between 4 am and 5 am?", "why")
        assert answer is not None
        held = bool(world.expected("occupancy", [label], span))
        assert answer.text.startswith(
            ("No, so there is no why. ", "I cannot tell why, only what I read. ")[held]
        )


def test_before_that_is_as_long_and_ends_where_that_began(world: World):
    first, before = (
        world.recall.answer(text, "before")
        for text in ("How often was the room occupied in the last two hours?", "and before that?")
    )
    assert first is not None
    assert before is not None
    assert before.evidence[0]["end_utc"] == first.evidence[0]["start_utc"]
    assert utc_ns(before.evidence[0]["start_utc"]) == pytest.approx(world.now_ns - 4 * 3600 * S, abs=S)


def test_askers_do_not_share_a_dialog_and_there_are_not_too_many(world: World):
    world.recall.answer("How often was the room occupied yesterday?", "one")
    other = world.recall.answer("and today?", "two")
    assert other is not None
    assert other.evidence[0]["query"] == "Timeline"  # not the question of the one before
    nothing = world.recall.answer("and before that?", "three")
    assert nothing is not None
    assert nothing.source is AnswerSource.REFUSAL
    for i in range(100):
        world.recall.answer("How often was the room occupied yesterday?", f"asker-{i}")
    assert len(world.recall.askers) <= 32


def test_a_question_follows_on_another_for_five_minutes():
    clock = ManualClock(S)
    askers: Askers[str] = Askers(clock)
    askers.remember("me", "how often")
    clock.advance(299)
    assert askers.last("me") == "how often"
    clock.advance(2)
    assert askers.last("me") is None


REFUSED = [
    ("Did the radar see anything yesterday?", "no radar"),
    ("When did the cat last meow?", "dog barking"),
    ("How often did the stock market crash yesterday?", "look back for"),
    ("What will happen tomorrow?", "not happened yet"),
    ("When was the person not walking?", "without the word not"),
    ("What happened on the 31st of February?", "no date"),
    ("Why was the door open?", "look back for"),
    ("Was the door open?", "look back for"),
    ("Did the postman come?", "look back for"),
    ("Were the windows closed yesterday?", "look back for"),
    ("Who was in the kitchen yesterday?", "people apart"),
    ("When was that?", "the whole question"),
    ("How often?", "the whole question"),
    ("Was the barometer working yesterday?", "no barometer"),
]


@pytest.mark.parametrize(("question", "words"), REFUSED)
def test_what_cannot_be_answered_is_refused_with_help(world: World, question: str, words: str):
    answer = world.recall.answer(question, "refused")
    assert answer is not None
    assert answer.source is AnswerSource.REFUSAL
    assert words in answer.text
    assert not answer.evidence


@pytest.mark.parametrize(
    "question",
    [
        "what is the person doing?", "is the room occupied?", "how many people are in the room?",
        "what do you hear?", "good morning", "what was that?",
        "were you trained on this?", "how are you today?", "how do you know that?",
        "which sensor do you trust?", "how sure are you?",
        "is anything unusual?", "",
    ],
)  # fmt: skip
def test_questions_about_now_go_to_the_model(world: World, question: str):
    assert world.recall.answer(question, "now") is None


def test_an_alarm_is_told_with_its_event(tmp_path: Path):
    clock = ManualClock(S, 1_760_000_000 * S)
    store, words = Store(tmp_path / "m.sqlite", clock), manifest()
    recall = Recall(Queries(store, words), Lexicon(words, SLOTS), ZONE, clock)
    start_ns = clock.wall_ns()
    day = [
        Moment(
            start_ns + i * S,
            {"activity_recognition": ("lying", 0.9, True)},
            frozenset(["activity_recognition"][: i > 5]),
        )
        for i in range(1, 11)
    ]
    remember(store, clock, day, words)
    store.event(Event("e-1", clock.monotonic_ns() - 4 * S, "activity_recognition", "lying", "seated", 0.91))
    store.event(Event("e-2", clock.monotonic_ns() - 3 * S, "activity_recognition", "seated", "lying", 0.9))
    answer = recall.answer("was anything unusual today?", "a")
    assert answer is not None
    assert "lying down" in answer.text
    assert "once" in answer.text
    assert [fact["event"] for fact in answer.evidence if "event" in fact] == ["e-1"], "it alone is an alarm"
    assert answer.evidence[0]["count"] == 1
    novel = next(fact for fact in answer.evidence if "windows" in fact and "label" in fact)
    assert (novel["first_window"], novel["last_window"], novel["windows"]) == (5, 9, 5)
    assert novel["sensors"] == ["imu_watch"]
    clock.advance(3600)
    stale = recall.answer("how long has the person been lying down?", "a")
    assert stale is not None
    assert "do not read" in stale.text
    assert "1 hour" in stale.text
    store.close()


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 300), st.integers(1, 300), st.booleans())
def test_queries_are_what_a_naive_reader_finds(seed: int, begin_min: int, length_min: int, blocked: bool):
    start_ns = 1_760_000_000 * S
    day, words = generated_days(start_ns, seed, hours=4), manifest()
    clock = ManualClock(7 * S, start_ns - 7 * S)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        store = Store(Path(folder) / "m.sqlite", clock, max_gap_s=GAP_NS / S)
        remember(store, clock, day, words)
        hold = Hold(JOIN_NS, HOLD_NS * (3 if blocked else 1))
        queries, now_ns = Queries(store, words, hold), clock.wall_ns()
        span = (start_ns + begin_min * 60 * S, min(now_ns, start_ns + (begin_min + length_min) * 60 * S))
        for head, spec in HEADS.items():
            for label in spec[4]:
                expected = stretches(day, head, [label], span, GAP_NS, JOIN_NS, hold.hold_ns)
                target, asked = Target(head, (label,)), Span(*span)
                found = queries.run(HowOften(target, asked), now_ns)
                told = [(s.label, s.start_ns, s.end_ns, s.seen_ns) for s in found.spells]
                assert told == [(s.label, s.start_ns, s.end_ns, s.seen_ns) for s in expected]
                assert found.watched_ns == watched_ns(day, head, span, GAP_NS)
                last = queries.run(LastTime(target, asked), now_ns).spells
                assert [(s.start_ns, s.end_ns) for s in last] == [
                    (s.start_ns, s.end_ns) for s in expected[-1:]
                ]
        store.close()

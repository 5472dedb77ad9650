"""Two hundred and more questions about a recorded day, perceived by the shipped model from real recordings.

What is right is computed from the list of percepts, by the naive reader of memory_world; every fact of an
answer, in its evidence and in its words, is compared with that.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
from memory_checks import clock_words, invented, length_words, utc_ns
from memory_world import ZONE, LocalTime, Moment, S, Stretch, stretches, watched_ns
from recorded_day import CONFIGURED, FIRST, HOP_S, RecordedDay

from edge_agent.clock import ManualClock
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.queries import Queries
from edge_agent.memory.recall import Recall
from edge_agent.memory.spells import Hold
from edge_agent.memory.store import Store
from edge_agent.types import Answer, AnswerSource

pytestmark = pytest.mark.e2e
GAP_NS, JOIN_NS, HOLD_NS = round(3 * HOP_S) * S, round(2 * HOP_S) * S, 60 * S
Day = Callable[..., int]
SPANS: tuple[tuple[str, Callable[[Day], tuple[int, int | None]]], ...] = (
    ("yesterday", lambda d: (d(1, 0), d(0, 0))),
    ("today", lambda d: (d(0, 0), None)),
    ("so far today", lambda d: (d(0, 0), None)),
    ("this morning", lambda d: (d(0, 5), d(0, 12))),
    ("yesterday morning", lambda d: (d(1, 5), d(1, 12))),
    ("yesterday afternoon", lambda d: (d(1, 12), d(1, 18))),
    ("yesterday evening", lambda d: (d(1, 18), d(1, 22))),
    ("last night", lambda d: (d(1, 22), d(0, 6))),
    ("on tuesday", lambda d: (d(1, 0), d(0, 0))),
    ("on 3 february", lambda d: (d(1, 0), d(0, 0))),
    ("on 2015-02-03", lambda d: (d(1, 0), d(0, 0))),
    ("yesterday between two and four", lambda d: (d(1, 14), d(1, 16))),
    ("between 9:15 and 10:45 today", lambda d: (d(0, 9, 15), d(0, 10, 45))),
    ("between 10 am and 2 pm yesterday", lambda d: (d(1, 10), d(1, 14))),
    ("from 13:10 to 17:50 yesterday", lambda d: (d(1, 13, 10), d(1, 17, 50))),
    ("since 8:30", lambda d: (d(0, 8, 30), None)),
    ("since midnight", lambda d: (d(0, 0), None)),
    ("since breakfast", lambda d: (d(0, 8), None)),
    ("since lunch", lambda d: (d(1, 13), None)),
    ("since yesterday at three", lambda d: (d(1, 15), None)),
    ("since yesterday", lambda d: (d(1, 0), None)),
    ("before noon yesterday", lambda d: (d(1, 0), d(1, 12))),
    ("after 15:00 yesterday", lambda d: (d(1, 15), d(0, 0))),
    ("around noon yesterday", lambda d: (d(1, 11, 45), d(1, 12, 15))),
    ("in the last ninety minutes", lambda _: (-5400, None)),
    ("in the last two hours", lambda _: (-7200, None)),
    ("during the past half an hour", lambda _: (-1800, None)),
    ("within the last 24 hours", lambda _: (-86_400, None)),
    ("over the last three hours", lambda _: (-10_800, None)),
)
SAID = {
    "activity_recognition": {
        "seated": "seated", "sitting_down": "sitting down", "standing_up": "standing up",
        "turning": "turning around", "walking": "walking",
    },
    "event_detection": {
        "dog": "a dog barking", "rain": "rain falling", "sea_waves": "sea waves", "baby_cry": "a baby crying",
        "clock_tick": "a clock ticking", "sneeze": "sneezing", "helicopter": "a helicopter",
        "chainsaw": "a chainsaw", "rooster": "a rooster crowing", "fire_crackling": "a fire crackling",
    },
    "occupancy": {"empty": "empty", "occupied": "occupied"},
    "people": {"nobody": "nobody", "one_person": "one person", "two_people": "two people",
               "three_people": "three people"},
}  # fmt: skip
ASKED = {
    "activity_recognition": {
        "how_often": ("How often was the person {} {w}?", "How many times did you see the person {} {w}?",
                      "{W}, how often was the person {}?"),
        "how_long": ("How long was the person {} {w}?", "For how long have you seen the person {} {w}?"),
        "whether": ("Was the person {} {w}?", "Tell me if the person was {} {w}.",
                    "Did you see the person {} {w}?"),
        "first": ("When was the person first {} {w}?", "When did you first see the person {} {w}?"),
        "last": ("When was the person last {} {w}?", "At what time was the person last {} {w}?"),
        "last_ever": ("When was the last time the person was {}?", "When was the person last {}?"),
        "ongoing": ("How long has the person been {}?", "Since when has the person been {}?"),
        "head": ("What was the person doing {w}?", "What did the person do {w}?"),
    },
    "event_detection": {
        "how_often": ("How often did you hear {} {w}?", "How many times was there {} {w}?",
                      "{W}, how often was {} heard?"),
        "how_long": ("How long did you hear {} {w}?", "For how long was there {} {w}?"),
        "whether": ("Did you hear {} {w}?", "Was there {} {w}?", "Have you heard {} {w}?"),
        "first": ("When did you first hear {} {w}?", "When was {} first heard {w}?"),
        "last": ("When did you last hear {} {w}?", "What time did you last hear {} {w}?"),
        "last_ever": ("When did you last hear {}?", "When was the last time you heard {}?"),
        "ongoing": ("How long has there been {}?", "Since when is there {}?"),
        "head": ("What did you hear {w}?", "Which sounds were there {w}?"),
    },
    "occupancy": {
        "how_often": ("How often was the room {} {w}?", "How many times has the room been {} {w}?"),
        "how_long": ("How long was the room {} {w}?", "How much time was the room {} {w}?"),
        "whether": ("Was the room {} {w}?", "Has the room been {} {w}?", "Was the room ever {} {w}?"),
        "first": ("When was the room first {} {w}?",),
        "last": ("When was the room last {} {w}?", "At what time was the room last {} {w}?"),
        "last_ever": ("When was the room last {}?", "When was the last time the room was {}?"),
        "ongoing": ("How long has the room been {}?", "Since when is the room {}?"),
        "head": ("Tell me the occupancy {w}.", "What happened with the occupancy {w}?"),
    },
    "people": {
        "how_often": ("How often were there {} in the room {w}?", "How many times were there {} {w}?"),
        "how_long": ("How long were there {} in the room {w}?",),
        "whether": ("Were there {} in the room {w}?", "Were there {} {w}?"),
        "first": ("When were there first {} in the room {w}?",),
        "last": ("When were there last {} in the room {w}?",),
        "last_ever": ("When were there last {} in the room?",),
        "ongoing": ("How long have there been {} in the room?",),
        "head": ("How many people were there {w}?",),
    },
}  # fmt: skip
ALL = ("What happened {w}?", "What went on {w}?", "Tell me what happened {w}.", "What did I miss {w}?")
UNUSUAL = ("Was anything unusual {w}?", "Did anything strange happen {w}?")
SENSORS = {
    "audio": "the microphone", "imu_watch": "the watch", "air": "the air sensor", "room": "the room sensors",
}  # fmt: skip
AVAILABLE = ("Was {} working {w}?", "Was {} online {w}?", "Did {} have data {w}?")
TIMED = ("how_often", "how_long", "whether", "first", "last", "last_ever", "ongoing")
KINDS = (*TIMED, *TIMED, "head", "all", "unusual", "available", "all_sensors")


@dataclass
class World(LocalTime):
    day: list[Moment]
    """head -> what was read; "@audio" -> whether there were data; "novel head" -> its novel readings."""
    recall: Recall
    now_ns: int

    def found(self, head: str, labels: list[str], span: tuple[int, int]) -> list[Stretch]:
        return stretches(self.day, head, labels, span, GAP_NS, JOIN_NS, HOLD_NS)

    def had_data(self, slot: str, span: tuple[int, int]) -> int:
        lost = [m for m in self.day if m.read[f"@{slot}"][0] == "no data"]
        silent = {m.wall_ns for m in lost}
        total = watched_ns(self.day, f"@{slot}", span, GAP_NS)
        return total - sum(
            max(0, min(span[1], b.wall_ns) - max(span[0], a.wall_ns))
            for a, b in pairwise(self.day)
            if a.wall_ns in silent
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    clock = ManualClock(7 * S, round(FIRST.timestamp()) * S - 300 * S)
    store = Store(tmp_path_factory.mktemp("memory") / "m.sqlite", clock, max_gap_s=GAP_NS / S)
    replayed = RecordedDay(store, clock)
    clock.advance(2.0)
    manifest = replayed.pipeline.manifest
    day = []
    for at_ns, percept in replayed.percepts:
        read = {head: (t.label, t.probability, t.known) for head, t in percept.tasks.items()}
        for slot in CONFIGURED:
            read[f"@{slot}"] = ("data" if slot in percept.present else "no data", 1.0, True)
        for head, task in percept.tasks.items():
            novel = task.novelty > manifest.task(head).novelty_threshold
            read[f"novel {head}"] = (task.label if novel else "-", task.probability, novel)
        day.append(Moment(at_ns, read))
    lexicon = Lexicon(manifest, CONFIGURED)
    recall = Recall(Queries(store, manifest, Hold(JOIN_NS, HOLD_NS)), lexicon, ZONE, clock)
    yield World(day, recall, clock.wall_ns())
    store.close()


@dataclass
class Question:
    text: str
    kind: str
    heads: tuple[str, ...]
    labels: tuple[str, ...]
    span: tuple[int, int]


def questions(world: World, count: int, seed: int) -> Iterator[Question]:
    rng = random.Random(seed)
    for i in range(count):
        kind = KINDS[i % len(KINDS)]
        words, make = rng.choice(SPANS)
        span = world.span(make)
        head = rng.choice(list(SAID))
        label = rng.choice(list(SAID[head]))
        if kind in {"last_ever", "ongoing"}:
            span = (0, world.now_ns)
        fill = {"w": words, "W": words.capitalize()}
        if kind == "all":
            yield Question(rng.choice(ALL).format(**fill), kind, tuple(SAID), (), span)
        elif kind == "unusual":
            heads = tuple(f"novel {h}" for h in SAID)
            yield Question(rng.choice(UNUSUAL).format(**fill), kind, heads, (), span)
        elif kind == "available":
            slot = rng.choice(CONFIGURED)
            text = rng.choice(AVAILABLE).format(SENSORS[slot], **fill)
            yield Question(text, kind, (f"@{slot}",), ("no data",), span)
        elif kind == "all_sensors":
            heads = tuple(f"@{s}" for s in CONFIGURED)
            yield Question(f"Which sensors were missing {words}?", kind, heads, ("no data",), span)
        else:
            text = rng.choice(ASKED[head][kind]).format(SAID[head][label], **fill)
            if label in {"nobody", "one_person"}:
                text = text.replace("were there", "was there").replace("have there", "has there")
            yield Question(text, kind, (head,), () if kind == "head" else (label,), span)


def expected(world: World, q: Question) -> list[Stretch]:
    by_head = []
    for head in q.heads:
        labels = list(q.labels) or sorted({m.read[head][0] for m in world.day if head in m.read})
        by_head += [(head, stretch) for stretch in world.found(head, labels, q.span)]
    by_head.sort(key=lambda pair: (pair[1].start_ns, pair[0], pair[1].label))
    found = [stretch for _, stretch in by_head]
    if q.kind == "first":
        return found[:1]
    if q.kind in {"last", "last_ever", "ongoing"}:
        return sorted(found, key=lambda s: s.end_ns)[-1:]
    return found


def told(answer: Answer) -> list[tuple[object, int, int, float]]:
    """The spells of the evidence."""
    return [
        (f["label"], utc_ns(f["start_utc"]), utc_ns(f["end_utc"]), f["seconds"])
        for f in answer.evidence
        if "start_utc" in f and "label" in f
    ]


def check_words(world: World, q: Question, answer: Answer, found: list[Stretch]) -> None:
    """The facts that a sentence of this kind must tell are in its words."""
    text, total = answer.text, sum(s.seen_ns for s in found)
    times = "once" if len(found) == 1 else f"{len(found)} times"
    if not found:
        assert re.search(r"\b(not|no|nothing|without)\b", text.lower()), text
        return
    if q.kind in {"how_often", "how_long", "whether"}:
        assert re.search(rf"\b{times}\b", text), text
        assert f"for {length_words(total)}" in text, text
        assert text.startswith("Yes. ") == (q.kind == "whether"), text
    if q.kind in {"first", "last", "last_ever", "ongoing"}:
        moment = found[0].end_ns if "It ended" in text else found[0].start_ns
        assert clock_words(moment, ZONE) in text, text
        length = found[0].end_ns - found[0].start_ns if "so far" in text else found[0].seen_ns
        assert length_words(length) in text, text
    if q.kind == "unusual":
        assert f"Unlike anything that I know, {times}" in text, text
    if q.kind in {"all", "head"} and len(found) <= 5:
        assert all(
            f"at {clock_words(s.start_ns, ZONE)}, for {length_words(s.seen_ns)}" in text for s in found
        )
    if q.kind in {"all", "head"} and len(found) > 5:
        for head in q.heads:
            sums: dict[str, list[int]] = {}
            for s in world.found(
                head, sorted({m.read[head][0] for m in world.day if head in m.read}), q.span
            ):
                sums.setdefault(s.label, []).append(s.seen_ns)
            best = max(sums.values(), key=sum, default=[])
            count = "once" if len(best) == 1 else f"{len(best)} times"
            assert not best or f"{count}, for {length_words(sum(best))}" in text, text
    if q.kind == "available":
        assert f"gave no data {times}, for {length_words(total)}" in text, text


def check(world: World, q: Question, asker: str) -> bool:
    """Whether there was anything; every fact of the answer is compared."""
    answer = world.recall.answer(q.text, asker)
    assert answer is not None, "not about the past?"
    assert answer.source is AnswerSource.MEMORY, answer.text
    summary, found = answer.evidence[0], expected(world, q)
    assert summary["count"] == len(found), answer.text
    assert summary["seconds"] == pytest.approx(sum(s.seen_ns for s in found) / S), answer.text
    wanted = [(s.label, s.start_ns, s.end_ns, s.seen_ns / S) for s in found][-50:]
    assert told(answer) == wanted, answer.text
    if q.kind not in {"last_ever", "ongoing"}:
        watched = max(
            world.had_data(head[1:], q.span)
            if head[0] == "@"
            else watched_ns(world.day, head.removeprefix("novel "), q.span, GAP_NS)
            for head in q.heads
        )
        assert summary["watched_seconds"] == pytest.approx(watched / S), answer.text
        assert (utc_ns(summary["start_utc"]), utc_ns(summary["end_utc"])) == q.span, answer.text
    check_words(world, q, answer, found)
    assert not invented(answer, ZONE), answer.text
    return bool(found)


def test_two_hundred_and_more_questions_are_answered_exactly(world: World):
    wrong, empty, asked = [], 0, list(questions(world, 285, seed=200))
    for i, q in enumerate(asked):
        try:
            empty += not check(world, q, f"asker {i}")
        except AssertionError as error:
            wrong.append(f"{q.text} ({q.kind}): {str(error).splitlines()[0]}")
    print(f"{len(asked)} questions, of {empty} the answer is that there was nothing")
    assert not wrong, "\n".join(wrong)
    assert len({q.text for q in asked}) > 200
    assert empty < len(asked) / 2


DIALOGS = (
    ("Was the room occupied yesterday?", "for how long?", "and today?", "and before that?",
     "which sensor told you?", "are you sure?"),
    ("Did you hear a dog barking this morning?", "and yesterday?", "how often?", "when was that?",
     "what about a rooster crowing?", "are you sure?"),
    ("What was the highest temperature today?", "and yesterday?", "and the lowest?",
     "what about the co2 level?", "and before that?", "which sensor told you?", "are you sure?"),
    ("What happened in the last two hours?", "and before that?", "and yesterday?", "which sensor told you?"),
    ("Is the room occupied?", "how long has it been so?", "and before that?", "are you sure?"),
)  # fmt: skip


@pytest.mark.parametrize("turns", DIALOGS, ids=[d[0] for d in DIALOGS])
def test_no_number_of_a_dialog_is_invented(world: World, turns: tuple[str, ...]):
    for i, turn in enumerate(turns):
        answer = world.recall.answer(turn, turns[0])
        if i == 0 and answer is None:
            continue  # about now: for the model
        assert answer is not None, turn
        assert answer.source is AnswerSource.MEMORY, answer.text
        assert not invented(answer, ZONE), (turn, answer.text, invented(answer, ZONE))

"""Measured numbers over time: a real room's two days, asked and compared with the list of its values."""

from __future__ import annotations

import csv
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_checks import clock_words, invented, utc_ns
from memory_world import DATA, NOTHING, SLOTS, ZONE, LocalTime, S, manifest
from test_memory_store import WALL, SetClock

from edge_agent.clock import ManualClock
from edge_agent.manifest import Fact, Manifest, SlotFacts
from edge_agent.memory.database import EVER_NS, Database
from edge_agent.memory.forgetting import erase
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.notes import Measure, Note, note_of
from edge_agent.memory.queries import Queries
from edge_agent.memory.recall import Recall
from edge_agent.memory.store import Bounds, Store
from edge_agent.types import Answer, AnswerSource, Percept

MINUTE = 60 * S
MEASURE = Measure("temperature", "degrees", sensors=("air",))
FACTS = {
    "temperature": ("degrees", 1, ("temperature", "warm", "warmer", "cold", "colder", "degrees")),
    "humidity": ("percent", 0, ("humidity", "humid", "damp", "damper")),
    "light": ("lux", 0, ("light", "bright", "brighter", "dark", "darker", "lux")),
    "co2": ("ppm", 0, ("co2", "carbon dioxide", "air quality", "stuffy")),
}
ASKED = {
    "highest": ("What was the highest {n} {w}?", "What was the maximum {n} {w}?", "The peak {n} {w}?"),
    "lowest": ("What was the lowest {n} {w}?", "What was the minimum {n} {w}?"),
    "average": ("What was the average {n} {w}?", "Average {n} {w}", "What was the {n} on average {w}?"),
    "range": ("What was the {n} {w}?", "How was the {n} {w}?"),
    "above": ("Was the {n} above {x} {w}?", "Did the {n} go over {x} {w}?",
              "How long was the {n} above {x} {w}?"),
    "below": ("Was the {n} below {x} {w}?", "Did the {n} fall under {x} {w}?"),
    "change": ("How did the {n} change {w}?", "Has the {n} risen {w}?"),
    "value": ("What was the {n} {at}?", "How was the {n} {at}?"),
}  # fmt: skip
SPANS = (
    ("yesterday", lambda d: (d(1, 0), d(0, 0))),
    ("today", lambda d: (d(0, 0), None)),
    ("this morning", lambda d: (d(0, 5), d(0, 12))),
    ("last night", lambda d: (d(1, 22), d(0, 6))),
    ("yesterday between two and four", lambda d: (d(1, 14), d(1, 16))),
    ("since 8:30", lambda d: (d(0, 8, 30), None)),
    ("since yesterday at noon", lambda d: (d(1, 12), None)),
    ("in the last ninety minutes", lambda _: (-5400, None)),
    ("on 1 january 2015", lambda _: None),
)
MOMENTS = (
    ("at noon yesterday", (1, 12, 0)),
    ("at 9:40 today", (0, 9, 40)),
    ("yesterday at a quarter to five", (1, 16, 45)),
)


def numbers() -> Manifest:
    """The words of memory_world, and the four numbers of its air sensor."""
    facts = tuple(
        Fact(
            name=name, unit=unit, decimals=decimals, reduce="last", first=i, words=words,
            sentence=f"The {name} is {{{name}}}.",
        )
        for i, (name, (unit, decimals, words)) in enumerate(FACTS.items())
    )  # fmt: skip
    return manifest().model_copy(update={"facts": (SlotFacts(slot="air", facts=facts),)})


@dataclass
class World(LocalTime):
    rows: list[tuple[int, dict[str, float]]]
    recall: Recall
    now_ns: int

    def values(self, name: str, span: tuple[int, int]) -> list[tuple[int, float]]:
        """What was measured in the minutes that began in a span."""
        return [(at, row[name]) for at, row in self.rows if span[0] <= at < span[1]]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    path = DATA / "room_occupancy" / "datatest.txt"
    if not path.exists():
        pytest.skip(f"the recordings are not at {DATA} (EDGE_AGENT_DATA)")
    with path.open(newline="") as file:
        recorded = [(row[1], [float(v) for v in row[2:6]]) for row in list(csv.reader(file))[1:]]
    words, rows = numbers(), []
    start = datetime.strptime(recorded[0][0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    clock = ManualClock(7 * S, round(start.timestamp()) * S - 67 * S)
    store = Store(tmp_path_factory.mktemp("memory") / "m.sqlite", clock)
    for i, (at, measured) in enumerate(recorded):
        moment = datetime.strptime(at, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        clock.advance(moment.timestamp() - clock.wall_ns() / S)
        said = {
            name: f"{value:.{FACTS[name][1]}f} {FACTS[name][0]}"
            for name, value in zip(FACTS, measured, strict=True)
        }
        percept = Percept(i, clock.monotonic_ns(), {}, ("air",), (), NOTHING, facts=said)
        store.observe(note_of(percept, words, SLOTS))
        rows.append((clock.wall_ns(), {name: float(text.split()[0]) for name, text in said.items()}))
    clock.advance(2.0)
    yield World(rows, Recall(Queries(store, words), Lexicon(words, SLOTS), ZONE, clock), clock.wall_ns())
    store.close()


@dataclass
class Question:
    text: str
    kind: str
    name: str
    span: tuple[int, int]
    limit: float = 0.0


def questions(world: World, count: int) -> Iterator[Question]:
    rng = random.Random(6)
    for i in range(count):
        kind, name = list(ASKED)[i % len(ASKED)], rng.choice(list(FACTS))
        unit, decimals, _ = FACTS[name]
        words, make = rng.choice(SPANS)
        made = make(world.local) or tuple(
            round(datetime(2015, 1, day, tzinfo=ZONE).timestamp()) * S for day in (1, 2)
        )
        start = world.now_ns + made[0] * S if made[0] < 0 else made[0]
        span = (start, min(made[1] or world.now_ns, world.now_ns))
        at, moment = rng.choice(MOMENTS)
        if kind == "value":
            span = (world.local(*moment), world.local(*moment))
        limit = round(rng.choice(world.rows)[1][name], decimals)
        unit_said = rng.choice([f" {unit}", ""])
        text = rng.choice(ASKED[kind]).format(n=name, w=words, at=at, x=f"{limit:g}{unit_said}")
        yield Question(text, kind, name, span, limit)


def minute_words(at_ns: int) -> str:
    return clock_words(at_ns // MINUTE * MINUTE, ZONE)


def check(world: World, q: Question) -> None:
    answer = world.recall.answer(q.text, q.text)
    assert answer is not None, "not about the past?"
    assert answer.source is AnswerSource.MEMORY, answer.text
    fact = answer.evidence[0]
    assert (fact["query"], fact["number"], fact["wanted"]) == ("Measured", q.name, q.kind), answer.text
    assert not invented(answer, ZONE), answer.text
    unit, decimals, _ = FACTS[q.name]
    values = world.values(q.name, q.span)
    if q.kind == "value":
        values = world.values(q.name, (0, EVER_NS))
        nearest = min((at // MINUTE for at, _ in values), key=lambda m: (abs(m - q.span[0] // MINUTE), m))
        values = [pair for pair in values if pair[0] // MINUTE == nearest]
    else:
        assert (utc_ns(fact["start_utc"]), utc_ns(fact["end_utc"])) == q.span
    assert fact["count"] == len(values), answer.text
    if not values:
        assert "cannot say" in answer.text
        return
    assert fact["sensors"] == ["air"]
    only = [value for _, value in values]
    low, high = min(only), max(only)
    mean = sum(only) / len(only)
    assert (fact["lowest"], fact["highest"]) == (low, high)
    assert fact["average"] == pytest.approx(mean)
    said = {name: f"{value:.{decimals}f} {unit}" for name, value in (("low", low), ("high", high))}
    wanted = {
        "highest": [said["high"], clock_words(next(at for at, v in values if v == high), ZONE)],
        "lowest": [said["low"], clock_words(next(at for at, v in values if v == low), ZONE)],
        "average": [fact["said_average"]],
        "range": [f"between {said['low']} and {said['high']}"],
        "value": [fact["said_average"], minute_words(values[0][0])],
        "change": [f"{only[0]:.{decimals}f} {unit}", f"{only[-1]:.{decimals}f} {unit}"],
    }.get(q.kind, [])
    if q.kind == "change" and only[0] != only[-1]:
        wanted.append("rose by" if only[-1] > only[0] else "fell by")
        wanted.append(f"{abs(only[-1] - only[0]):.{decimals}f} {unit}")
    if q.kind in {"above", "below"}:
        over = [(at, v) for at, v in values if (v > q.limit if q.kind == "above" else v < q.limit)]
        assert fact["minutes_beyond"] == len({at // MINUTE for at, _ in over}), answer.text
        assert answer.text.startswith("Yes. " if over else "No. "), answer.text
        wanted = [said["high" if q.kind == "above" else "low"], f"{q.limit:g} {unit}"]
        wanted += [minute_words(over[i][0]) for i in ((0, -1) if over else ())]
    assert all(words in answer.text for words in wanted), (answer.text, wanted)
    assert float(fact["said_average"].split()[0]) == pytest.approx(mean, abs=0.51 * 10**-decimals)


def test_questions_about_numbers_are_answered_exactly(world: World):
    wrong, asked = [], list(questions(world, 160))
    for q in asked:
        try:
            check(world, q)
        except (AssertionError, LookupError) as error:
            wrong.append(f"{q.text} ({q.kind}): {str(error).splitlines()[0]}")
    print(f"{len(asked)} questions, {len({q.text for q in asked})} different")
    assert not wrong, "\n".join(wrong)


WAYS = [
    ("How warm was it at noon yesterday?", "value", "temperature"),
    ("Was it above 21 degrees this morning?", "above", "temperature"),
    ("average CO2 since yesterday", "average", "co2"),
    ("How warm did it get yesterday?", "highest", "temperature"),
    ("How cold did it get last night?", "lowest", "temperature"),
    ("When was it warmest today?", "highest", "temperature"),
    ("When was it coldest last night?", "lowest", "temperature"),
    ("Did it get warmer since midnight?", "change", "temperature"),
    ("Is the air more humid than it was at noon yesterday?", "change", "humidity"),
    ("Has the air quality got worse since noon?", "change", "co2"),
    ("How humid was it two hours ago?", "value", "humidity"),
    ("How bright was it between 18 and 20 yesterday?", "range", "light"),
    ("Was the temperature between 20 and 22 degrees yesterday?", "range", "temperature"),
    ("Did it reach 1000 ppm yesterday?", "above", "co2"),
    ("How stuffy was it this morning?", "range", "co2"),
]  # fmt: skip


@pytest.mark.parametrize(("question", "wanted", "name"), WAYS)
def test_ways_to_ask_for_a_number(world: World, question: str, wanted: str, name: str):
    answer = world.recall.answer(question, question)
    assert answer is not None
    assert answer.evidence, answer.text
    assert (answer.evidence[0]["wanted"], answer.evidence[0]["number"]) == (wanted, name)
    assert not invented(answer, ZONE), answer.text


def test_than_at_noon_is_since_noon(world: World):
    fact = ask(world, "Is it warmer than it was at noon yesterday?").evidence[0]
    assert utc_ns(fact["start_utc"]) == world.local(1, 12)
    assert utc_ns(fact["end_utc"]) // S == world.now_ns // S


def ask(world: World, *turns: str) -> Answer:
    answers = [world.recall.answer(turn, " / ".join(turns)) for turn in turns]
    assert answers[-1] is not None
    return answers[-1]


def test_one_question_about_a_number_follows_another(world: World):
    first = "What was the highest temperature today?"
    yesterday = ask(world, first, "and yesterday?")
    assert yesterday.evidence[0]["wanted"] == "highest"
    assert "yesterday" in yesterday.text
    assert ask(world, first, "and the lowest?").evidence[0]["wanted"] == "lowest"
    assert ask(world, first, "what about the humidity?").evidence[0]["number"] == "humidity"
    assert ask(world, first, "which sensor told you?").text.startswith("The air sensor measured it, ")
    assert "degrees" in ask(world, first, "are you sure?").text
    before = ask(world, "How warm was it in the last two hours?", "and before that?").evidence[0]
    assert (world.now_ns - utc_ns(before["end_utc"])) // S == 7200
    now = ask(world, "what is the temperature?", "and yesterday?")
    assert (now.evidence[0]["number"], now.evidence[0]["wanted"]) == ("temperature", "range")
    assert world.recall.answer("what is the temperature?", "x") is None, "now is for the model"


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Was it above 77 fahrenheit today?", "degrees"),
        ("Was the temperature above 5 ppm today?", "in degrees"),
        ("What was the wind speed yesterday?", "the temperature"),
    ],
)
def test_what_is_not_measured_is_refused_with_help(world: World, question: str, words: str):
    answer = ask(world, question)
    assert answer.source is AnswerSource.REFUSAL
    assert words in answer.text


# -- what is kept -----------------------------------------------------------------------------------------


def note(clock: ManualClock, value: float, sequence: int = 0) -> Note:
    return Note(clock.monotonic_ns(), sequence, {}, {MEASURE: value})


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("see"), st.sampled_from([0.5, 1.0, 7.0, 59.0, 61.0]), st.integers(-50, 50)),
        st.tuples(st.just("flush"), st.just(0.0), st.just(0)),
        st.tuples(st.just("kill"), st.sampled_from([0.1, 90.0]), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_any_sequence_of_values_and_kills(steps):
    """Minutes hold every value but, after a kill, those since the last heartbeat."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        path, clock = Path(folder) / "m.sqlite", SetClock()
        store, seen, sure = Store(path, clock), list[tuple[int, int]](), 0
        for i, (what, seconds, value) in enumerate(steps):
            if what == "see":
                clock.advance(seconds)
                store.observe(note(clock, value, i))
                seen.append((clock.wall_ns(), value))
            elif what == "flush":
                store.flush()
                sure = len(seen)
            else:
                store.read.close()
                clock = SetClock(clock.monotonic_ns() + S, clock.wall_ns() + S)
                clock.advance(seconds)
                store = Store(path, clock)
                kept = sum(m.count for m in store.read.minutes("temperature", "degrees", 0, EVER_NS))
                assert sure <= kept <= len(seen)
                seen, sure = seen[:kept] if kept == len(seen) else [], 0
                erase(store.read)
                store.close()
                store, seen = Store(path, clock), []
        store.flush()
        minutes = store.read.minutes("temperature", "degrees", 0, EVER_NS)
        expected: dict[int, list[int]] = {}
        for at, value in seen:
            expected.setdefault(at // (60 * S), []).append(value)
        told = [(m.low, m.high, m.first, m.last, m.total, m.count) for m in minutes]
        assert told == [(min(v), max(v), v[0], v[-1], sum(v), len(v)) for v in expected.values()]
        store.close()


def test_a_killed_process_keeps_the_values_up_to_the_last_heartbeat(tmp_path: Path):
    path = tmp_path / "m.sqlite"
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from pathlib import Path
from test_memory_numbers import SetClock, Store, note
clock = SetClock()
store = Store(Path({str(path)!r}), clock)
for i in range(51):
    clock.advance(0.5)
    store.observe(note(clock, i))
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == -9
    minutes = Database(path).minutes("temperature", "degrees", 0, EVER_NS)
    assert sum(m.count for m in minutes) == 40  # noted until 25.5 s, beats at 10 and 20 s
    assert max(m.high for m in minutes) == 39


def test_numbers_are_kept_within_their_age_and_bytes(tmp_path: Path):
    clock = SetClock()
    store = Store(tmp_path / "m.sqlite", clock, Bounds(keep_days=1, max_bytes=300_000))
    for i in range(6000):
        clock.advance(60)
        store.observe(note(clock, i))
    store.flush()
    kept = store.read.minutes("temperature", "degrees", 0, EVER_NS)
    assert clock.wall_ns() - kept[0].start_ns <= (86_400 + 2 * 3600) * S
    assert kept[-1].last == 5999
    assert store.read.used_bytes() <= 300_000 + 1000 * 200
    store.close()
    clock = SetClock()
    store = Store(tmp_path / "n.sqlite", clock, Bounds(max_bytes=300_000))
    for i in range(9000):
        clock.advance(60)
        store.observe(note(clock, i))
    assert store.read.used_bytes() <= 300_000 + 1000 * 200
    assert store.read.minutes("temperature", "degrees", 0, EVER_NS)[-1].last == 8999
    store.close()


def test_erased_numbers_are_gone_with_the_whole_minute_and_the_agent_goes_on(tmp_path: Path):
    clock = SetClock(wall_ns=WALL - WALL % (60 * S))
    store = Store(tmp_path / "m.sqlite", clock)
    for i in range(300):
        clock.advance(1)
        store.observe(note(clock, i))
    begin_ns = clock.wall_ns() - 300 * S
    beside = Database(store.read.path)
    erase(beside, begin_ns + 150 * S)
    beside.close()
    for i in range(300, 330):
        clock.advance(1)
        store.observe(note(clock, i))
    store.flush()
    minutes = store.read.minutes("temperature", "degrees", 0, EVER_NS)
    assert [m.high for m in minutes if m.start_ns < begin_ns + 150 * S] == [58, 118]
    assert all(m.low >= 300 for m in minutes if m.start_ns >= begin_ns + 150 * S)
    store.close()


def test_a_file_from_before_numbers_is_read_and_taken_further(tmp_path: Path):
    path, clock = tmp_path / "m.sqlite", SetClock()
    Store(path, clock).close()
    old = sqlite3.connect(path)
    old.executescript("DROP TABLE minute; DROP TABLE measure; PRAGMA user_version = 1;")
    old.close()
    store = Store(path, clock)
    clock.advance(1)
    store.observe(note(clock, 3))
    assert store.read.stat().minutes == 1
    store.close()

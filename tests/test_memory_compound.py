"""Two times compared, several things at once, what was most, what came after: against a naive reader."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import fmean

import pytest
from memory_checks import invented
from memory_world import (
    GAP_NS,
    HEADS,
    HOLD_NS,
    JOIN_NS,
    SLOTS,
    ZONE,
    LocalTime,
    Moment,
    S,
    Stretch,
    generated_days,
    percept_of,
    stretches,
)
from test_memory_numbers import FACTS, numbers

from edge_agent.clock import ManualClock
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.notes import note_of
from edge_agent.memory.queries import Queries
from edge_agent.memory.recall import Recall
from edge_agent.memory.spells import Hold
from edge_agent.memory.store import Store
from edge_agent.types import Answer, AnswerSource

START_NS = int(datetime(2026, 3, 17, 18, tzinfo=UTC).timestamp()) * S
END_NS = START_NS + round(39.3 * 3600) * S
MORNING, NIGHT = (5, 12), (22, 6)


@dataclass
class World(LocalTime):
    day: list[Moment]
    values: list[dict[str, float]]
    recall: Recall
    now_ns: int
    asked: int = 0

    def ask(self, *turns: str) -> Answer | None:
        """The answer to the last of some turns of a dialog of its own."""
        self.asked += 1
        return [self.recall.answer(turn, f"asker {self.asked}") for turn in turns][-1]

    def told(self, *turns: str) -> Answer:
        answer = self.ask(*turns)
        assert answer is not None
        assert answer.source is AnswerSource.MEMORY, answer.text
        assert not invented(answer, ZONE), (answer.text, invented(answer, ZONE))
        return answer

    def refused(self, *turns: str) -> str:
        answer = self.ask(*turns)
        assert answer is not None
        assert answer.source is AnswerSource.REFUSAL, answer.text
        return answer.text

    def read(self, label: str, span: tuple[int, int]) -> list[Stretch]:
        head = next(head for head, spec in HEADS.items() if label in spec[4])
        return stretches(self.day, head, [label], span, GAP_NS, JOIN_NS, HOLD_NS)

    def mean(self, name: str, span: tuple[int, int]) -> float:
        pairs = zip(self.day, self.values, strict=True)
        return fmean(row[name] for moment, row in pairs if span[0] <= moment.wall_ns < span[1])


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    day = [moment for moment in generated_days(START_NS, seed=8) if moment.wall_ns < END_NS]
    words = numbers()
    clock = ManualClock(7 * S, day[0].wall_ns - 107 * S)
    store = Store(tmp_path_factory.mktemp("memory") / "m.sqlite", clock, max_gap_s=GAP_NS / S)
    values = []
    for i, moment in enumerate(day):
        row = {
            "temperature": round(20 + i / 1000 + 3 * math.sin(i / 300), 1),
            "humidity": float(40 + i % 7 + i // 900),
            "light": float(i % 400),
            "co2": float(500 + i % 90 + i // 10),
        }
        clock.advance((moment.wall_ns - clock.wall_ns()) / S)
        said = {name: f"{row[name]:.{FACTS[name][1]}f} {FACTS[name][0]}" for name in FACTS}
        percept = replace(percept_of(moment, i, clock.monotonic_ns()), facts=said)
        store.observe(note_of(percept, words, SLOTS))
        values.append(row)
    clock.advance(2.0)
    recall = Recall(Queries(store, words, Hold(JOIN_NS, HOLD_NS)), Lexicon(words, SLOTS), ZONE, clock)
    yield World(day, values, recall, clock.wall_ns())
    store.close()


def so_far(world: World, back: int) -> tuple[int, int]:
    """A day up to the hour that it is now."""
    at = datetime.fromtimestamp(world.now_ns // S, UTC).astimezone(ZONE)
    end_ns = world.local(back, at.hour, at.minute) + at.second * S
    return world.local(back, 0), end_ns if back else world.now_ns


def part(world: World, back: int, hours: tuple[int, int]) -> tuple[int, int]:
    begin, end = hours
    return world.local(back + (begin > end), begin), min(world.local(back, end), world.now_ns)


# -- two times ------------------------------------------------------------------------------------------

OF_NUMBERS = [
    ("Was it warmer than yesterday?", "temperature", so_far, 0, so_far, 1, True),
    ("Is it warmer today than yesterday?", "temperature", so_far, 0, so_far, 1, True),
    ("Was it colder yesterday than today?", "temperature", so_far, 1, so_far, 0, False),
    ("Was it less warm today than yesterday?", "temperature", so_far, 0, so_far, 1, False),
    ("Was the humidity higher today than yesterday?", "humidity", so_far, 0, so_far, 1, True),
    ("Was the air less damp today than yesterday?", "humidity", so_far, 0, so_far, 1, False),
    ("Compare the co2 today with yesterday.", "co2", so_far, 0, so_far, 1, None),
    ("Was it brighter yesterday or today?", "light", so_far, 1, so_far, 0, None),
    ("How much warmer was it today than yesterday?", "temperature", so_far, 0, so_far, 1, None),
    ("Average humidity today versus yesterday?", "humidity", so_far, 0, so_far, 1, None),
]


@pytest.mark.parametrize(("question", "name", "first", "a", "second", "b", "up"), OF_NUMBERS)
def test_a_number_at_two_times(world: World, question, name, first, a, second, b, up):
    answer = world.told(question)
    one, other = (round(world.mean(name, make(world, n)), FACTS[name][1]) for make, n in
                  ((first, a), (second, b)))  # fmt: skip
    check_number(answer, name, one, other, up)


def of_day(world: World, back: int) -> list[dict[str, float]]:
    start_ns, end_ns = so_far(world, back)
    pairs = zip(world.day, world.values, strict=True)
    return [row for moment, row in pairs if start_ns <= moment.wall_ns < end_ns]


def check_number(answer: Answer, name: str, one: float, other: float, up: bool | None) -> None:
    unit, decimals, _ = FACTS[name]
    relation = "higher" if one > other else "lower" if one < other else "equal"
    assert (answer.evidence[0]["query"], answer.evidence[0]["relation"]) == ("Compared", relation)
    told = [f["number"] for f in answer.evidence if f.get("query") == "Measured"]
    assert told == [name, name], "the evidence is of both"
    said = (f"{one:.{decimals}f} {unit}", f"{other:.{decimals}f} {unit}")
    assert all(words in answer.text for words in said), (answer.text, said)
    assert (f"{abs(one - other):.{decimals}f} {unit} {relation}" in answer.text) == (relation != "equal")
    yes = one > other if up else one < other
    lead = "" if up is None else "Yes. " if yes else "No. "
    assert re.match(r"(Yes\. |No\. )?", answer.text)[0] == lead, answer.text  # type: ignore[index]


OF_PARTS = [
    ("Was it warmer this morning than yesterday morning?", MORNING, 0, MORNING, 1),
    ("Was it warmer this morning than last night?", MORNING, 0, NIGHT, 0),
    ("Was it warmer yesterday morning than last night?", MORNING, 1, NIGHT, 0),
    ("Was it warmer yesterday morning than this morning?", MORNING, 1, MORNING, 0),
]


@pytest.mark.parametrize(("question", "one", "a", "other", "b"), OF_PARTS)
def test_a_part_of_a_day_that_is_not_over_is_compared_with_as_much_of_the_other(
    world: World, question, one, a, other, b
):
    spans = [part(world, a, one), part(world, b, other)]
    if one == other:  # as long as this morning is now
        begun = world.now_ns - world.local(0, 5)
        spans = [(start, start + begun) for start, _ in spans]
    first, second = (round(world.mean("temperature", span), 1) for span in spans)
    check_number(world.told(question), "temperature", first, second, up=True)


def test_now_is_compared_with_the_mean_of_a_time_or_with_the_same_hour_of_a_day(world: World):
    answer = world.told("Is the air less damp now than last night?")
    newest = world.values[-1]["humidity"]
    check_number(answer, "humidity", newest, round(world.mean("humidity", part(world, 0, NIGHT))), up=False)
    answer = world.told("Is it warmer now than yesterday?")
    at_ns = so_far(world, 1)[1]
    minute = min(world.day, key=lambda moment: abs(moment.wall_ns // (60 * S) - at_ns // (60 * S)))
    then = world.values[world.day.index(minute)]["temperature"]
    check_number(answer, "temperature", world.values[-1]["temperature"], then, up=True)


def test_since_a_moment_it_is_told_how_it_changed(world: World):
    fact = world.told("How much warmer is it now than at six this morning?").evidence[0]
    assert (fact["query"], fact["wanted"]) == ("Measured", "change")
    assert world.told("Was it warmer at nine today than at eight today?").evidence[0]["query"] == "Compared"


def test_the_highest_is_compared_with_the_highest(world: World):
    text = world.told("Was the highest temperature higher today than yesterday?").text
    low, high = (max(row["temperature"] for row in of_day(world, back)) for back in (1, 0))
    assert high != low
    assert text.count("at its highest") == 2
    assert f"{abs(high - low):.1f} degrees" in text


OF_LABELS = [
    ("Did the dog bark more often today than yesterday?", "dog", "often", True),
    ("Did the dog bark less often today than yesterday?", "dog", "often", False),
    ("Was the person walking longer today than yesterday?", "walking", "long", True),
    ("Was the baby crying more today than yesterday?", "baby_cry", "long", True),
    ("Did it rain more yesterday or today?", "rain", "long", None),
    ("Compare how often the baby cried today with yesterday.", "baby_cry", "often", None),
]


@pytest.mark.parametrize(("question", "label", "what", "up"), OF_LABELS)
def test_a_label_at_two_times(world: World, question, label, what, up):
    answer = world.told(question)
    order = (1, 0) if "yesterday or today" in question else (0, 1)
    found = [world.read(label, so_far(world, back)) for back in order]
    one, other = (len(f) if what == "often" else sum(s.seen_ns for s in f) // S for f in found)
    assert one != other, "the day of this test tells nothing"
    assert answer.evidence[0]["relation"] == ("more" if one > other else "less")
    facts = [f for f in answer.evidence if f.get("query") in {"HowOften", "HowLong"}]
    assert [(f["count"], f["seconds"]) for f in facts] == [
        (len(f), pytest.approx(sum(s.seen_ns for s in f) / S)) for f in found
    ]
    assert answer.evidence[0]["change" if what == "often" else "change_seconds"] == abs(one - other)
    lead = "" if up is None else "Yes. " if (one > other if up else one < other) else "No. "
    assert re.match(r"(Yes\. |No\. )?", answer.text)[0] == lead, answer.text  # type: ignore[index]


def test_without_data_of_one_of_the_times_nothing_is_compared(world: World):
    answer = world.told("Did the dog bark more often today than on 1 january 2015?")
    assert "no data" in answer.text
    assert "cannot say" in answer.text
    assert "cannot say" in world.told("Was it warmer today than on 1 january 2015?").text


def test_two_things_are_compared_by_their_place(world: World):
    answer = world.told("Did the dog bark more often than the baby cried yesterday?")
    span = (world.local(1, 0), world.local(0, 0))
    counts = {label: len(world.read(label, span)) for label in ("dog", "baby_cry")}
    assert answer.evidence[0]["query"] == "Most"
    assert {f["label"]: f["count"] for f in answer.evidence if "count" in f and "label" in f} == counts


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Is it warmer than usual?", "usual"),
        ("Was it warmer than outside today?", "at two times"),
        ("Was the radio louder today than yesterday?", "how loud"),
        ("Was the postman more often here today than yesterday?", "postman"),
        ("Was it warmer today than tomorrow?", "not happened yet"),
        ("Was it warmer today than today?", "two times"),
    ],
)
def test_what_cannot_be_compared_is_refused(world: World, question, words):
    assert words in world.refused(question)


def test_a_comparison_is_followed_by_another_one(world: World):
    first = "Was it warmer today than yesterday?"
    humid = world.told(first, "and the humidity?")
    one, other = (round(world.mean("humidity", so_far(world, back))) for back in (0, 1))
    check_number(humid, "humidity", one, other, None)
    assert world.told(first, "are you sure?").text.count("It was measured") == 2
    often = "Did the dog bark more often today than yesterday?"
    assert '"it sounds like baby crying"' in world.told(often, "what about the baby?").text
    assert world.told(often, "for how long?").evidence[1]["query"] == "HowLong"
    assert world.told(often, "which sensor told you?").text.count("The microphone told me") == 2
    assert "the whole question" in world.refused(first, "and on monday?")


# -- each, and most ---------------------------------------------------------------------------------------

NAMED = [
    ("Was the person walking or seated yesterday?", "Whether", ("walking", "seated")),
    ("Did you hear a dog or a baby today?", "Whether", ("dog", "baby_cry")),
    ("Did you hear a dog, a baby or rain today?", "Whether", ("dog", "baby_cry", "rain")),
    ("How often did the dog bark and the baby cry yesterday?", "HowOften", ("dog", "baby_cry")),
    ("How long was the room empty or occupied this morning?", "HowLong", ("empty", "occupied")),
    ("Were there two or three people in the room yesterday?", "Whether", ("two_people", "three_people")),
    ("Was the dog barking or the room empty yesterday?", "Whether", ("dog", "empty")),
]


@pytest.mark.parametrize(("question", "kind", "labels"), NAMED)
def test_each_thing_that_is_named_is_told_of(world: World, question, kind, labels):
    answer = world.told(question)
    assert answer.evidence[0] == {"query": "Each", "questions": len(labels)}
    facts = [f for f in answer.evidence if f.get("query") == kind]
    words = {"yesterday": (world.local(1, 0), world.local(0, 0)), "this morning": part(world, 0, MORNING)}
    span = next((s for w, s in words.items() if w in question), (world.local(0, 0), world.now_ns))
    assert [f["count"] for f in facts] == [len(world.read(label, span)) for label in labels]
    phrases = {label: spec[4][label] for spec in HEADS.values() for label in spec[4]}
    told = [answer.text.index(f'{phrases[label]}"') for label in labels]
    assert told == sorted(told)


def test_the_last_time_of_each(world: World):
    answer = world.told("When did you last hear a dog or a baby?")
    ever = (0, world.now_ns)
    last = [max(world.read(label, ever), key=lambda s: s.end_ns).start_ns for label in ("dog", "baby_cry")]
    told = [f["start_utc"] for f in answer.evidence if "probability" in f]
    assert [datetime.fromisoformat(str(at)).timestamp() for at in told] == [at / S for at in last]


def test_what_names_one_thing_only_is_one_question(world: World):
    for question in (
        "Was the room occupied, yes or no, yesterday?", "Was the person walking or not yesterday?",
        "Was the person walking or what yesterday?", "Was there rain and then rain yesterday?",
    ):  # fmt: skip
        assert world.told(question).evidence[0]["query"] == "Whether", question
    assert "cat" in world.refused("Did you hear a dog or a cat yesterday?")


def test_several_numbers_are_each_told(world: World):
    answer = world.told("What was the temperature and the humidity at nine this morning?")
    assert [f["number"] for f in answer.evidence if "number" in f and "query" in f] == [
        "temperature",
        "humidity",
    ]
    answer = world.told("What were the highest temperature and the lowest humidity yesterday?")
    assert [f["wanted"] for f in answer.evidence if "wanted" in f] == ["highest", "lowest"]


def test_follow_ups_are_of_each(world: World):
    first = "How often did the dog bark and the baby cry yesterday?"
    today = world.told(first, "and today?")
    assert [f["query"] for f in today.evidence if "query" in f] == ["Each", "HowOften", "HowOften"]
    assert today.text.count(" today") >= 2
    assert world.told(first, "are you sure?").text.count("percent sure") == 2
    assert world.told(first, "what about the rain?").evidence[0]["query"] == "HowOften"


MOST = [
    ("What was the most frequent sound yesterday?", "event_detection", False, {"silence"}),
    ("Which sound did you hear most frequently yesterday?", "event_detection", False, {"silence"}),
    ("Which sound did you hear most often yesterday?", "event_detection", False, {"silence"}),
    ("What was the longest sound yesterday?", "event_detection", True, {"silence"}),
    ("What did the person do most yesterday?", "activity_recognition", True, set()),
    ("Was the person mostly walking, seated or lying down yesterday?", "activity_recognition", True,
     {"sitting_down"}),
]  # fmt: skip


@pytest.mark.parametrize(("question", "head", "longest", "left_out"), MOST)
def test_what_was_most(world: World, question, head, longest, left_out):
    answer = world.told(question)
    span = (world.local(1, 0), world.local(0, 0))
    found = {label: world.read(label, span) for label in HEADS[head][4] if label not in left_out}
    size = {
        label: sum(s.seen_ns for s in several) if longest else len(several)
        for label, several in found.items()
        if several
    }
    ranked = sorted(size, key=lambda label: -size[label])
    assert size[ranked[0]] > size[ranked[1]], "the day of this test tells nothing"
    told = re.findall(r'"[^"]*"', answer.text)
    assert HEADS[head][4][ranked[0]] in told[0], answer.text
    assert len(told) == len(ranked)
    assert answer.text.startswith("Longest" if longest else "Most often")
    assert answer.evidence[0]["count"] == sum(len(several) for several in found.values())


def test_the_other_ranking_follows(world: World):
    answer = world.told("What was the most frequent sound yesterday?", "and the longest?")
    assert answer.text.startswith("Longest yesterday")


@pytest.mark.parametrize(
    "question", ["What was the loudest sound today?", "How loud was it last night?", "Was it louder today?"]
)
def test_how_loud_it_was_is_not_known(world: World, question):
    assert "how loud" in world.refused(question)
    assert "most frequent" in world.refused(question)


# -- after that ---------------------------------------------------------------------------------------------


def next_of(world: World, head: str, at_ns: int) -> Stretch:
    """What the naive reader finds to begin first at a moment or later."""
    ever = (0, world.now_ns)
    every = stretches(world.day, head, HEADS[head][4], ever, GAP_NS, JOIN_NS, HOLD_NS)
    return min((s for s in every if s.start_ns >= at_ns), key=lambda s: s.start_ns)


def told_of(answer: Answer) -> list[tuple[object, float]]:
    return [
        (f["label"], datetime.fromisoformat(str(f["start_utc"])).timestamp())
        for f in answer.evidence
        if "probability" in f
    ]


@pytest.mark.parametrize("turn", ["and after that?", "what came after that?", "and then?", "what came next?"])
def test_what_began_after_the_last_time(world: World, turn):
    first = "When did you last hear a dog?"
    dog = max(world.read("dog", (0, world.now_ns)), key=lambda s: s.end_ns)
    after = next_of(world, "event_detection", dog.end_ns)
    answer = world.told(first, turn)
    assert answer.evidence[0]["query"] == "After"
    assert told_of(answer) == [(after.label, after.start_ns / S)]
    again = next_of(world, "event_detection", after.start_ns + 1)
    assert told_of(world.told(first, turn, turn)) == [(again.label, again.start_ns / S)]


def test_what_happened_after_that_is_of_all_that_is_perceived(world: World):
    dog = min(world.read("dog", (world.local(1, 0), world.now_ns)), key=lambda s: s.start_ns)
    answer = world.told("When did you first hear a dog yesterday?", "what happened after that?")
    wanted = sorted((next_of(world, head, dog.end_ns).start_ns / S) for head in HEADS)
    assert [at for _, at in told_of(answer)] == wanted


def test_after_the_first_time_comes_the_second(world: World):
    second = world.read("dog", (world.local(1, 0), world.local(0, 0)))[1]
    answer = world.told("When did you first hear a dog yesterday?", "and after that?")
    assert told_of(answer) == [("dog", second.start_ns / S)]


def test_after_a_time_comes_one_as_long(world: World):
    answer = world.told("How often did the dog bark yesterday between two and four?", "and after that?")
    assert answer.evidence[0]["count"] == len(world.read("dog", (world.local(1, 16), world.local(1, 18))))
    assert "from 16:00 to 18:00" in answer.text
    happened = world.told(
        "Was the room occupied yesterday between two and four?", "what happened after that?"
    )
    assert happened.evidence[0]["query"] == "Timeline"
    assert "16:00 to 18:00" in happened.text


def test_nothing_is_after_now_and_nothing_after_nothing(world: World):
    assert "until now" in world.refused("What happened in the last two hours?", "and after that?")
    assert "until now" in world.refused("Is the room occupied?", "what happened after that?")
    assert "After what?" in world.refused("and after that?")


# -- single gaps ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "name", "wanted"),
    [
        ("average humidity?", "humidity", "average"), ("highest temperature?", "temperature", "highest"),
        ("What is the minimum co2?", "co2", "lowest"),
    ],
)  # fmt: skip
def test_a_statistic_without_a_time_is_of_today(world: World, question, name, wanted):
    fact = world.told(question).evidence[0]
    assert (fact["number"], fact["wanted"]) == (name, wanted)
    assert fact["minutes"] == len([m for m in world.day if m.wall_ns >= world.local(0, 0)])


@pytest.mark.parametrize(
    "question",
    ["which sensors are offline?", "which sensors are working?", "what sensors do you have?",
     "which sensor is missing?"],
)  # fmt: skip
def test_a_question_about_the_sensors_is_none_about_the_answer_before(world: World, question):
    assert world.ask("Was the room occupied yesterday?", question) is None, "it is for the model"


@pytest.mark.parametrize(
    "question", ["which sensor told you?", "which sensors did you use?", "which sensor?"]
)
def test_a_question_about_the_answer_before_is_one(world: World, question):
    assert "air sensor told me" in world.told("Was the room occupied yesterday?", question).text


@pytest.mark.parametrize(
    "question",
    [
        "Did the dog bark while nobody was in the room?", "Was the room empty when the dog barked?",
        "What happened after the dog barked?", "Did anyone come in while it was dark?",
    ],
)  # fmt: skip
def test_one_thing_in_the_time_of_another_is_not_told_of_the_whole_day(world: World, question):
    assert "Please ask first" in world.refused(question)


def test_how_many_is_not_answered_with_yes(world: World):
    often = world.told("Did the dog bark more than 90 times yesterday?")
    assert not often.text.startswith(("Yes", "No"))
    assert often.evidence[0]["query"] == "HowOften"
    long = world.told("Was the person walking for at least ten hours yesterday?")
    assert long.evidence[0]["query"] == "HowLong"


def test_when_it_stopped_is_when_it_ended(world: World):
    answer = world.told("When did the dog stop barking?")
    last = max(world.read("dog", (0, world.now_ns)), key=lambda s: s.end_ns)
    at = datetime.fromtimestamp(last.end_ns // S, UTC).astimezone(ZONE)
    assert f"It ended today at {at:%H:%M}" in answer.text


def test_the_last_time_beyond_a_limit_reaches_as_far_back_as_there_is_memory(world: World):
    answer = world.told("When was the temperature last above 22.5 degrees?")
    beyond = [m for m, row in zip(world.day, world.values, strict=True) if row["temperature"] > 22.5]
    assert answer.evidence[0]["minutes_beyond"] == len(beyond)
    at = datetime.fromtimestamp(beyond[-1].wall_ns // S, UTC).astimezone(ZONE)
    assert f"{at:%H:%M}; the highest" in answer.text

"""What is not answered with something else: refused with what can be asked, or told without a yes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_agent import manifest as manifests
from edge_agent.memory.compound import Compared, Each
from edge_agent.memory.grammar import Grammar, Refused
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.measured import Measured
from edge_agent.memory.queries import (
    Availability,
    HowLong,
    HowOften,
    LastTime,
    Ongoing,
    Timeline,
    Unusual,
    Whether,
)

MODEL = manifests.read(Path(__file__).parent.parent / "models" / "iotlm-7m")
SLOTS = ("imu_watch", "audio", "thermal", "air", "room")
NOW = datetime(2026, 3, 18, 17, 7, tzinfo=UTC)
"""A Wednesday."""


def parse(question: str):
    return Grammar(Lexicon(MODEL, SLOTS), UTC).parse(question, round(NOW.timestamp()) * 1_000_000_000)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Did the dog bark while nobody was in the room?", "Please ask first"),
        ("Since the dog barked, has it rained?", "Please ask first"),
        ("How often did it rain after he left?", "Please ask first"),
        ("Did the dog and the baby make noise at the same time today?", "Please ask first"),
        ("what did you hear while we were asleep", "name a time"),
        ("When did the dog bark the second time today?", "after that"),
        ("When did the dog bark for the 3rd time?", "after that"),
        ("Who was here yesterday?", "people apart"),
        ("Who left the room last?", "people apart"),
        ("Did she get up earlier today than yesterday?", "how long one thing was"),
        ("Did she go to bed later last night than the night before?", "how long one thing was"),
        ("Which room was warmest today?", "places apart"),
        ("How often did the dog bark longer than five minutes today?", "every time"),
        ("When did you hear the most noise today?", "look back for"),
        ("Has the fire alarm gone off?", "that alarm"),
        ("Did the smoke alarm sound last night?", "that alarm"),
        ("Was anybody outside today?", "outside"),
        ("What happened outside yesterday?", "outside"),
        ("Which day did the dog bark most often this week?", "of one day"),
        ("How many times a day did the dog bark this week?", "of one day"),
        ("What sound did you hear least often today?", "most often"),
        ("How far did I walk today?", "how often"),
        ("When did it get dark?", "above or below"),
        ("How long was the light on yesterday?", "above or below"),
        ("At what time was the temperature 20 degrees?", "above or below"),
        ("did the temperature go above 22 and below 19 today", "one limit"),
        ("was it over 25 or under 18 today", "look back for"),
        ("what was the temperature an hour ago and now", "two times"),
        ("humidity at noon yesterday and today", "two times"),
        ("was the dog barking from yesterday evening to this morning", "two times"),
        ("What was the temperature outside today?", "outside"),
        ("Did the watch fall off?", "look back for"),
        ("Did anything fall last night?", "look back for"),
        ("Did anyone move last night?", "look back for"),
        ("Did the baby sleep through?", "sleep"),
    ],
)
def test_it_is_refused_with_what_can_be_asked(question, words):
    found = parse(question)
    assert isinstance(found, Refused), found
    assert words in found.text


@pytest.mark.parametrize(
    ("question", "kind", "labels"),
    [
        ("Was the room not occupied this morning?", HowOften, "occupied"),
        ("Which day did the dog last bark?", LastTime, "dog"),
        ("Has the dog never barked today?", HowOften, "dog"),
        ("Wasn't the dog barking last night?", HowOften, "dog"),
        ("Has the baby been crying a lot today?", HowOften, "baby_cry"),
        ("Is the dog barking too much today?", HowOften, "dog"),
        ("Did I walk more today?", HowOften, "walking"),
        ("Did the dog stop barking after midnight?", HowOften, "dog"),
        ("Did the dog bark more than three times today?", HowOften, "dog"),
        ("Did the dog bark at least twice today?", HowOften, "dog"),
        ("Was the person walking for more than an hour today?", HowLong, "walking"),
        ("Was the room occupied all day?", HowLong, "occupied"),
        ("Was the person only sitting today?", HowLong, "seated"),
        ("Did it rain all night?", HowLong, "rain"),
        ("Was the room always empty yesterday?", HowLong, "empty"),
        ("Has it stopped raining?", Ongoing, "rain"),
        ("When did it stop raining?", Ongoing, "rain"),
        ("How much of the day was the room empty?", HowLong, "empty"),
        ("Was the person walking or not yesterday?", Whether, "walking"),
        ("Did someone sneeze just now?", Whether, "sneeze"),
        ("Did you hear a dog outside today?", Whether, "dog"),
        ("Has anyone been around today?", Whether, "occupied"),
        ("tell me when the dog barked", LastTime, "dog"),
        ("On what day did the dog last bark?", LastTime, "dog"),
        ("How long is it since the dog barked?", LastTime, "dog"),
    ],
)
def test_no_yes_is_given_to_more_than_was_read(question, kind, labels):
    found = parse(question)
    assert type(found) is kind, found
    assert ",".join(found.target.labels) == labels


@pytest.mark.parametrize(
    ("question", "labels"),
    [
        ("Were there more than two people in the room today?", ("three_people",)),
        ("Were there at least two people in the room today?", ("two_people", "three_people")),
        ("Were there less than two people in the room today?", ("nobody", "one_person")),
        ("Did more than one person come in today?", ("two_people", "three_people")),
    ],
)
def test_more_than_two_people_are_three(question, labels):
    found = parse(question)
    assert isinstance(found, Whether)
    assert found.target.labels == labels


@pytest.mark.parametrize(
    "question",
    [
        "Was it always above 18 degrees today?", "Did it stay below 25 degrees today?",
        "Was it never below 19 degrees today?", "was it between 20 and 22 degrees all day",
    ],
)  # fmt: skip
def test_whether_a_number_was_so_all_the_time_is_told_from_where_to_where_it_was(question):
    found = parse(question)
    assert isinstance(found, Measured)
    assert (found.name, found.wanted.value, found.limit) == ("temperature", "range", None)


def hours(span) -> tuple[datetime, datetime]:
    start, end = (datetime.fromtimestamp(at_ns / 1e9, UTC) for at_ns in (span.start_ns, span.end_ns))
    return start, end


@pytest.mark.parametrize(
    ("question", "day", "begins", "ends"),
    [
        ("Did the dog bark yesterday after lunch?", 17, 13, 24),
        ("Did the dog bark today before noon?", 18, 0, 12),
        ("Did the dog bark in the morning yesterday?", 17, 5, 12),
        ("Did it rain from Monday to yesterday?", 16, 0, 48),
        ("Did it rain between Monday at ten and yesterday at noon?", 16, 10, 36),
        ("Did it rain from Monday to now?", 16, 0, 24 + 24 + 17 + 7 / 60),
        ("Did it rain today since ten?", 18, 10, 17 + 7 / 60),
        ("Did it rain in the last hour today?", 18, 16 + 7 / 60, 17 + 7 / 60),
    ],
)  # fmt: skip
def test_two_words_of_one_time_are_one_time(question, day, begins, ends):
    found = parse(question)
    assert isinstance(found, Whether)
    midnight = datetime(2026, 3, day, tzinfo=UTC)
    assert hours(found.span) == (midnight + timedelta(hours=begins), midnight + timedelta(hours=ends))


def test_a_question_of_two_times_is_one_of_each():
    found = parse("How often did the dog bark yesterday and today?")
    assert isinstance(found, Each)
    assert [hours(part.span)[0].day for part in found.parts] == [17, 18]
    assert isinstance(parse("temperature this morning and last night"), Each)
    assert isinstance(parse("Was it raining yesterday or today?"), Each)


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        ("Was the morning warmer than the evening yesterday?", (17, 5), (17, 18)),
        ("Was it warmer this morning than yesterday evening?", (18, 5), (17, 18)),
    ],
)
def test_a_day_that_is_said_once_is_of_both_sides(question, one, other):
    found = parse(question)
    begin = [hours(part.span)[0] for part in (found.one, found.other)]
    assert [(at.day, at.hour) for at in begin] == [one, other]


def test_as_long_as_now_is_no_more_than_that():
    found = parse("Was it warmer yesterday than the day before?")
    assert isinstance(found, Compared)
    assert [hours(part.span)[0].day for part in (found.one, found.other)] == [17, 16]
    found = parse("Was there more co2 this afternoon than this morning?")
    assert [(a.hour, b.hour) for a, b in map(hours, (found.one.span, found.other.span))] == [
        (12, 17),
        (5, 12),
    ]


@pytest.mark.parametrize(
    ("question", "name", "wanted"),
    [
        ("avg temp today", "temperature", "average"), ("lowest temp last night", "temperature", "lowest"),
        ("what's the coldest it has ever been?", "temperature", "lowest"),
        ("on which day was it warmest?", "temperature", "highest"),
        ("how long did the temperature stay above 22 today", "temperature", "above"),
        ("When was the last time the air was above 1000 ppm?", "co2", "above"),
        ("How often was it above 22 degrees today?", "temperature", "above"),
        ("average moisture?", "humidity", "average"),
    ],
)  # fmt: skip
def test_more_ways_to_ask_for_a_number(question, name, wanted):
    found = parse(question)
    assert isinstance(found, Measured), found
    assert (found.name, found.wanted.value) == (name, wanted)
    assert found.span.open == any(word in question for word in ("ever", "which day", "last time"))


def test_what_another_head_has_a_word_for_is_not_of_the_room():
    found = parse("Did anyone use the bathroom before six?")
    assert isinstance(found, Timeline)
    assert found.heads == ("posture",)
    assert parse("Was anyone in the room before six?").target.labels == ("occupied",)


@pytest.mark.parametrize(
    "question",
    [
        "how loud is it",
        "what is the most frequent sound right now?",
        "which sensors are offline?",
        "who is there?",
    ],
)
def test_what_is_now_stays_with_the_model(question):
    assert parse(question) is None


def test_than_it_was_is_how_it_changed():
    found = parse("is it dimmer than it was")
    assert isinstance(found, Measured)
    assert found.wanted.value == "change"


def test_an_alarm_that_is_not_named_is_one_of_the_device():
    assert isinstance(parse("Did any alarm go off today?"), Unusual)


@pytest.mark.parametrize(
    "question", ["Was there any data loss last night?", "Was the data of yesterday complete?"]
)
def test_data_are_those_of_the_sensors(question):
    found = parse(question)
    assert isinstance(found, Availability)
    assert set(found.slots) == set(SLOTS)

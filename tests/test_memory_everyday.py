"""Questions as people say them reach the labels that are meant."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_agent import manifest as manifests
from edge_agent.memory.grammar import Grammar, Refused
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.queries import HowLong, HowOften, LastTime, Whether

MODEL = manifests.read(Path(__file__).parent.parent / "models" / "iotlm-7m")
SLOTS = ("imu_watch", "audio", "thermal", "air", "room")
NOW_NS = 1_774_626_000 * 1_000_000_000


def parse(question, slots=SLOTS):
    return Grammar(Lexicon(MODEL, slots), UTC).parse(question, NOW_NS)


@pytest.mark.parametrize(
    ("question", "kind", "label"),
    [
        ("has she fallen", Whether, "lying_on_floor"),
        ("did anyone fall over today", Whether, "lying_on_floor"),
        ("when did he last fall", LastTime, "lying_on_floor"),
        ("were there any falls last night", Whether, "lying_on_floor"),
        ("did she fall in the shower", Whether, "lying_in_shower"),
        ("did the rain fall", Whether, "rain"),
        ("did she sleep last night", Whether, "lying_on_bed"),
        ("how long was he in bed", HowLong, "lying_on_bed"),
        ("has someone fallen asleep", Whether, "lying_on_bed"),
        ("how many times did i get up last night", HowOften, "standing_up"),
        ("was i on the bed last night", Whether, "lying_on_bed"),
        ("how long was she on the floor", HowLong, "lying_on_floor"),
        ("how long was she sitting on the floor", HowLong, "sitting_on_floor"),
        ("how many hours ago did it rain", LastTime, "rain"),
        ("in which moment did the dog bark", LastTime, "dog"),
        ("when did he last get out of bed", LastTime, "standing_up"),
    ],
)
def test_what_people_call_it_is_the_label_that_is_read(question, kind, label):
    found = parse(question)
    assert isinstance(found, kind)
    assert found.target.labels == (label,)


def test_what_no_sensor_reads_is_refused_as_it_was_said():
    assert isinstance(parse("did she sleep last night", ("audio",)), Refused)


@pytest.mark.parametrize(
    ("question", "kind", "label"),
    [
        ("tell me when the dog barked", LastTime, "dog"),
        ("Could you tell me if the baby cried?", Whether, "baby_cry"),
        ("would you mind telling me how often the dog barked today", HowOften, "dog"),
        ("i was wondering whether the person sat down", Whether, "sitting_down"),
        ("do you know if anyone fell", Whether, "lying_on_floor"),
        ("was a person in the room yesterday", Whether, "occupied"),
        ("please let me know when somebody came in", LastTime, "occupied"),
    ],
)
def test_what_is_asked_politely_is_asked(question, kind, label):
    found = parse(question)
    assert isinstance(found, kind)
    assert found.target.labels == (label,)


@pytest.mark.parametrize(
    "question",
    [
        "tell me when the baby cries",
        "let me know if the person is in bed",
        "do you know if the room is occupied",
    ],
)
def test_what_is_or_will_be_is_not_of_the_past(question):
    assert parse(question) is None


@pytest.mark.parametrize(
    ("said", "hour", "minute"),
    [
        ("ten past seven", 7, 10), ("five to eight", 7, 55), ("half seven", 7, 30), ("half past two", 14, 30),
        ("twenty five past eight", 8, 25), ("quarter to one", 12, 45), ("a quarter past three", 15, 15),
        ("twenty to one", 12, 40),
    ],
)  # fmt: skip
def test_an_hour_is_the_whole_of_what_was_said(said, hour, minute):
    found = parse(f"did the dog bark at {said}")
    middle = datetime.fromtimestamp((found.span.start_ns + found.span.end_ns) / 2e9, UTC)
    assert (middle.hour, middle.minute) == (hour, minute)


def test_all_tens_are_numbers():
    assert parse("did the humidity go above seventy five percent today").limit == 75
    assert parse("was the humidity below eighty percent today").limit == 80

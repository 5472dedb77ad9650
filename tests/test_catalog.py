"""The catalog against what its heads are trained on, asked by and said with."""

from __future__ import annotations

import re
from math import prod
from string import Formatter

import numpy as np
import pytest

pytest.importorskip("torch")

from edge_agent.perception.prompt import normalise_question
from export import catalog
from export.catalog import HEADS, SLOT_FACTS, SLOTS, Fact, HeadSpec, SlotSpec
from export.datasets import common
from export.dialogs import Asker
from export.train_slots import as_steps, columns_of, outputs_of
from export.wordings import MEASURED, WORDINGS

EVERY = [pytest.param(head, id=name) for name, head in HEADS.items()]
FIXED_RATE = ("imu", "audio")
"""Their readers give recordings; windows are cut by `readers`."""
LONG = ("posture", "travel")
"""Many files or many windows: seconds to load."""
WINDOWED = [
    pytest.param(head, id=name, marks=[pytest.mark.e2e] if name in LONG else [])
    for name, head in HEADS.items()
    if SLOTS[head.slots[0]].encoder not in FIXED_RATE
]


def channels(slot: SlotSpec) -> int:
    return prod(slot.grid[1:4]) + slot.grid[4] if slot.grid else slot.shape[1]


def holds(text: str, words: tuple[str, ...]) -> list[str]:
    return [w for w in words if re.search(rf"\b{re.escape(w)}\b", text)]


def test_there_are_sixteen_of_each_and_their_names_are_their_keys() -> None:
    assert len(SLOTS) == len(HEADS) == 16
    assert [s.name for s in SLOTS.values()] == list(SLOTS)
    assert [h.name for h in HEADS.values()] == list(HEADS)
    assert len({h.task for h in HEADS.values()}) == 8


def test_every_slot_serves_and_every_head_is_served() -> None:
    assert all(catalog.heads_of(slot) for slot in SLOTS)
    for head in HEADS.values():
        assert head.slots
        assert set(head.slots) <= set(SLOTS)
        assert [s for s in SLOTS if s in head.slots] == list(head.slots), "in the order of the mask"


def test_classes_come_before_numbers() -> None:
    assert (*catalog.classes(), *catalog.numbers()) == tuple(HEADS.values())
    assert all(h.phrases and not h.numbers for h in catalog.classes())
    assert all(h.numbers and not h.phrases for h in catalog.numbers())


@pytest.mark.parametrize("head", EVERY)
def test_a_head_reads_what_its_recordings_are_labelled_with(head: HeadSpec) -> None:
    info = head.reader.INFO
    assert head.labels == info.labels
    assert head.numbers == info.outputs
    assert head.width == (2 * len(info.outputs) if info.outputs else len(info.labels))
    assert (head.task, head.kind) == (info.task, info.kind)
    assert info.licence_class == "A", "what may not be shipped must not be trained on"
    assert {SLOTS[s].modality for s in head.slots} == {info.modality}


@pytest.mark.parametrize("head", EVERY)
def test_a_slot_has_the_rate_the_channels_and_the_length_of_its_recordings(head: HeadSpec) -> None:
    info = head.reader.INFO
    for slot in (SLOTS[s] for s in head.slots):
        assert slot.rate_hz == pytest.approx(info.rate_hz)
        assert len(info.channels) == channels(slot)
        assert len(info.units) in (1, channels(slot))
        steps = round(info.window_s * info.rate_hz)
        assert steps in (1, slot.shape[0]), "a single step is repeated, any other number is not"


@pytest.mark.parametrize("head", WINDOWED)
def test_the_windows_of_a_reader_fit_its_slot(head: HeadSpec) -> None:
    slot = SLOTS[head.slots[0]]
    if head.kind == "simulated":
        samples = head.reader.generate(6, 0)  # type: ignore[attr-defined]  # only a simulator has it
    else:
        try:
            samples = head.reader.load()
        except common.DatasetMissingError as missing:
            pytest.skip(str(missing))
    assert as_steps(samples.x[:6], slot.shape[0]).shape == (6, slot.shape[0], channels(slot))
    if head.regression:
        assert samples.target.shape[1:] == (len(head.numbers),)
    else:
        assert samples.target.max() < len(head.labels)


@pytest.mark.parametrize("head", [pytest.param(h, id=h.name) for h in catalog.classes()])
def test_a_class_is_known_by_its_first_word(head: HeadSpec) -> None:
    first = [phrase.split()[0] for phrase in head.phrases.values()]
    assert len(set(first)) == len(first), first
    assert set(head.alarms) <= set(head.labels)
    assert set(head.alarms.values()) <= {"notify", "alarm"}
    assert all(re.fullmatch(r"[a-z]+( [a-z]+)*", phrase) for phrase in head.phrases.values())


@pytest.mark.parametrize("head", EVERY)
def test_what_a_head_is_called_is_routed_to_it_and_to_no_other(head: HeadSpec) -> None:
    every = WORDINGS | MEASURED
    foreign = tuple(w for name, wordings in every.items() if name != head.name for w in wordings.words)
    assert head.name in WORDINGS
    assert head.question == normalise_question(head.question)
    for text in (head.question, head.noun):
        assert holds(text, WORDINGS[head.name].words), text
        assert holds(text, foreign) == [], text


def test_wordings_are_of_heads_and_of_measured_facts_alone() -> None:
    assert set(WORDINGS) == set(HEADS)
    assert set(MEASURED) == {f.name for facts in SLOT_FACTS.values() for f in facts if f.sentence}


def all_facts() -> list[tuple[Fact, int]]:
    """Each with how many numbers there are to choose from."""
    of_heads = [(f, len(h.numbers)) for h in HEADS.values() for f in h.facts]
    return [*of_heads, *((f, channels(SLOTS[s])) for s, facts in SLOT_FACTS.items() for f in facts)]


def test_a_fact_is_of_numbers_that_there_are() -> None:
    names = [f.name for f, _ in all_facts()]
    assert len(set(names)) == len(names)
    for fact, count in all_facts():
        assert 0 <= fact.first <= fact.last < count, fact
        assert fact.unit
        if fact.reduce in ("value", "first", "last"):
            assert fact.first == fact.last, fact


def test_a_sentence_says_facts_that_there_are() -> None:
    for head in catalog.numbers():
        said = [name for _, name, _, _ in Formatter().parse(head.readout) if name]
        assert said == [f.name for f in head.facts], head.name
    for slot, facts in SLOT_FACTS.items():
        known = {f.name for f in facts}
        for fact in facts:
            if fact.sentence:
                assert f"{{{fact.name}}}" in fact.sentence
                assert f"{fact.name}_before" in known, f"{slot} cannot say what {fact.name} was before"


def test_a_regression_has_its_unit_in_the_name_of_each_number() -> None:
    for head in catalog.numbers():
        assert all(re.search(r"_(m|cm|rad)$", n) for n in head.numbers), head.numbers


@pytest.mark.parametrize("slot", SLOTS)
def test_the_pieces_of_an_output_follow_each_other(slot: str) -> None:
    columns = columns_of(SLOTS[slot])
    assert list(columns) == [h.name for h in catalog.heads_of(slot)]
    covered = [i for where in columns.values() for i in range(where.start, where.stop)]
    assert covered == list(range(outputs_of(SLOTS[slot])))
    assert all(where.stop - where.start == HEADS[name].width for name, where in columns.items())


def test_every_head_is_asked_about_in_the_corpus() -> None:
    asker = Asker(np.random.default_rng(0))
    asked = {asker.turn(asker.state()).head for _ in range(6000)}
    assert asked >= set(HEADS)

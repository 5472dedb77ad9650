"""The voice loop's states: whatever happens, in whatever order, it goes on."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.clock import NS_PER_S, ManualClock
from edge_agent.voice.machine import (
    INDICATED,
    NEEDS_MICROPHONE,
    OF_A_TURN,
    OPEN,
    REST,
    TABLE,
    Event,
    Machine,
    State,
)

DEADLINES_S = {state: 1.0 + i for i, state in enumerate(State)}
KNOWN = {state: [event for known, event in TABLE if known is state] for state in State}
TO_REST_S = sum(DEADLINES_S.values())


def machine(state: State = State.OFFLINE) -> tuple[Machine, ManualClock]:
    clock = ManualClock()
    return Machine(DEADLINES_S, clock.monotonic_ns, state), clock


def test_every_state_ends_by_itself_and_work_ends_somewhere_else():
    for state in State:
        after = TABLE[state, Event.DEADLINE]
        assert (after is state) == (state in REST), state


def test_every_state_can_be_muted_and_only_unmuting_ends_that():
    for state in State:
        made, _ = machine(state)
        made.on(Event.MUTE)
        assert made.state is State.MUTED
    for event in set(Event) - {Event.UNMUTE}:
        made, _ = machine(State.MUTED)
        made.on(event)
        assert made.state is State.MUTED, event
    assert State.MUTED not in OPEN | NEEDS_MICROPHONE | INDICATED


def test_a_question_from_its_wake_phrase_to_the_end_of_its_answer():
    made, clock = machine()
    story = [
        (Event.FOUND, State.WAITING), (Event.WAKE, State.CHIMING), (Event.CHIMED, State.LISTENING),
        (Event.SPEECH, State.HEARING), (Event.SILENCE, State.TRANSCRIBING), (Event.HEARD, State.THINKING),
        (Event.ANSWERED, State.SPEAKING), (Event.SPOKEN, State.SETTLING), (Event.DEADLINE, State.WAITING),
    ]  # fmt: skip
    for event, state in story:
        clock.advance(0.1)
        assert made.on(event, 1) is not None
        assert made.state is state
    assert not made.ignored


def test_what_an_earlier_question_gives_does_not_answer_this_one():
    made, _ = machine(State.WAITING)
    for event in (Event.TALK, Event.CHIMED, Event.SPEECH, Event.SILENCE):
        made.on(event)
    for event in (Event.STOP, Event.TALK, Event.CHIMED, Event.SPEECH, Event.SILENCE):
        made.on(event)
    assert made.turn == 2
    assert made.on(Event.HEARD, turn=1) is None
    assert made.state is State.TRANSCRIBING
    assert made.ignored == {"late": 1}
    assert made.on(Event.HEARD, turn=2) is not None


@pytest.mark.parametrize("event", [Event.WAKE, Event.TALK])
def test_who_talks_into_an_answer_is_listened_to(event: Event):
    made, _ = machine(State.SPEAKING)
    made.on(event)
    assert made.state is State.CHIMING


def test_what_the_table_does_not_have_is_ignored_and_counted():
    for state in State:
        for event in Event:
            made, _ = machine(state)
            step = made.on(event)
            if (state, event) in TABLE:
                assert step is not None
                assert (step.before, step.after, step.event) == (state, TABLE[state, event], event)
                assert not made.ignored
            else:
                assert step is None
                assert made.state is state
                assert made.ignored == {event.value: 1}


def test_a_state_without_a_deadline_is_refused():
    clock = ManualClock()
    with pytest.raises(ValueError, match="thinking"):
        Machine({**DEADLINES_S, State.THINKING: 0.0}, clock.monotonic_ns)


MOMENTS = st.tuples(
    st.sampled_from([None, *Event]), st.integers(0, 3), st.sampled_from([0.0, 0.01, 0.3, 2.0, 20.0])
)


def follow(made: Machine, clock: ManualClock, event: Event | None, turns_ago: int, wait_s: float) -> None:
    """One moment of a life, with what must hold after it."""
    clock.advance(wait_s)
    late = clock.monotonic_ns() >= made.deadline_ns
    before = made.state
    step = made.tick()
    assert late == (step is not None)
    if late and before not in REST:
        assert made.state is not before
    assert clock.monotonic_ns() < made.deadline_ns
    turn, state = made.turn, made.state
    step = None if event is None else made.on(event, made.turn - turns_ago)
    if step is None:
        assert (made.state, made.turn) == (state, turn)
    else:
        assert made.state is TABLE[state, step.event]
        assert not (turns_ago and step.event in OF_A_TURN)
        assert made.turn == turn + (made.state is State.CHIMING)
    if event is Event.MUTE:
        assert made.state is State.MUTED


def comes_to_rest(made: Machine, clock: ManualClock) -> None:
    """With nothing but time, and then it can be asked again."""
    begun_ns = clock.monotonic_ns()
    while made.state not in REST:
        clock.advance((made.deadline_ns - clock.monotonic_ns()) / NS_PER_S)
        assert made.tick() is not None
    assert clock.monotonic_ns() - begun_ns <= TO_REST_S * NS_PER_S
    for event in (Event.UNMUTE, Event.FOUND, Event.TALK, Event.CHIMED):
        made.on(event)
    assert made.state is State.LISTENING


@settings(max_examples=250, deadline=None)
@given(life=st.lists(MOMENTS, max_size=60))
def test_no_order_of_events_makes_it_stick(life: list[tuple[Event | None, int, float]]):
    made, clock = machine()
    for moment in life:
        follow(made, clock, *moment)
    comes_to_rest(made, clock)


def test_a_hundred_thousand_events_do_not_make_it_stick():
    """Ten lives of 10,000 events each."""
    events, waits_s = [None, *Event], [0.0, 0.0, 0.01, 0.3, 2.0, 20.0]
    seen = set()
    for seed in range(10):
        rng = random.Random(seed)
        made, clock = machine()
        for _ in range(10_000):
            # Half of them mean something to the state: by chance alone no story goes far.
            event = rng.choice(events if rng.random() < 0.5 else KNOWN[made.state])
            follow(made, clock, event, rng.choice([0, 0, 0, 1, 2]), rng.choice(waits_s))
            seen.add(made.state)
        comes_to_rest(made, clock)
    assert seen == set(State)

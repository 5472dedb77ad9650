"""Instruction data: what is asked about a state of the sensors, and the one right answer.

Deterministic from a random generator. The text never carries the state: the model must read it from
the soft tokens and control vectors. The answers are those of `export.answers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from edge_agent.perception.prompt import normalise_question
from export import questions as q
from export.answers import (
    HELP,
    IDENTITY,
    MEDICAL,
    NO_MORE,
    NO_SENSORS,
    SMALL_TALK,
    UNKNOWN,
    YES,
    State,
    Turn,
    because,
    before,
    missing,
    says,
    sure,
    told,
    tool_call,
)
from export.catalog import HEADS, SLOT_FACTS, SLOTS, classes, numbers
from export.everyday import framed, put
from export.wordings import FAMILIES, MEASURED, WORDINGS, fixed

T = TypeVar("T")
ABLE_SHARE = 0.85
"""How often what is asked about has data, where anything has; else that there is none must be said."""
FORMS_SHARE = 0.35
"""How often what has a fixed answer is asked in a form with words filled in: the held-out ones are not."""
ALONE_SHARE = 0.12
BESIDE_READINGS = 0.15
"""How often a caption of another level stands beside the readings."""


class Asker:
    """Draws turns about states from the training wordings or the held-out ones."""

    def __init__(self, rng: np.random.Generator, *, held_out: bool = False) -> None:
        self.rng = rng
        self.held_out = held_out
        self.often: Mapping[str, float] = {}
        """How often a head is asked about beside another; those that are not named: once."""
        self.families: dict[str, tuple[float, Callable[[State], Turn]]] = {
            "label": (0.27, self.label_query), "yes_no": (0.16, self.yes_no),
            "false_premise": (0.05, self.false_premise), "choice": (0.10, self.choice),
            "why": (0.06, self.why), "both": (0.04, self.both), "which_sensor": (0.04, self.which_sensor),
            "one_sensor": (0.05, self.one_sensor), "number": (0.12, self.number),
            "change": (0.05, self.change), "comparison": (0.04, self.comparison),
            "conflict": (0.03, self.conflict), "advice": (0.04, self.advice),
            "unknown": (0.09, self.unknowable), "fixed": (0.06, self.fixed),
        }  # fmt: skip

    def state(self) -> State:
        """A made-up state: some slots present, labels uniform. For words alone, never for a score."""
        slots = [s for s in SLOTS if self.rng.random() < 0.3]
        if slots and self.rng.random() < 0.05:
            slots = []
        present = frozenset(slots)
        heads = [h for h in classes() if present & set(h.slots)]
        labels = {h.name: self._any_label(h.name) for h in heads}
        return State(labels, present)

    def dialog(self, state: State, turns: int) -> list[Turn]:
        """`turns` turns about one state; a turn may follow up on the one before it."""
        dialog = [self.turn(state)]
        while len(dialog) < turns:
            before = dialog[-1]
            follow = before.reads and before.head is not None and self.rng.random() < 0.4
            dialog.append(self.follow_up(state, before.head) if follow and before.head else self.turn(state))
        return dialog

    def captions(self, state: State, most: int = 6) -> list[Turn]:
        """At most `most` plain sentences in any order, to align words with what is shown (DESIGN.md).

        Three levels: what present heads read (meaning), each mostly after its plainest question; now and
        then which sensors there are or agree (structure), and what they measured (statistics).
        """
        able = [h.name for h in classes() if state.label(h.name)]
        found = [self._caption(state, head) for head in self._drawn(able, most)]
        for beside in (self.conflict, self.which_sensor, self.number):
            if not able or self.rng.random() < BESIDE_READINGS:
                found.insert(int(self.rng.integers(len(found) + 1)), beside(state))
        return found[:most]

    def _caption(self, state: State, head: str) -> Turn:
        if self.rng.random() < 0.5:
            return self.label_query(state, head)
        return self._reading("caption", head, HEADS[head].question.rstrip("?"), state, says)

    def turn(self, state: State) -> Turn:
        """One turn of a family drawn by its weight."""
        families = list(self.families.values())
        weights = np.array([w for w, _ in families])
        return families[self.rng.choice(len(weights), p=weights / weights.sum())][1](state)

    # -- families about one head ------------------------------------------------------------------------

    def label_query(self, state: State, head: str | None = None) -> Turn:
        head = head or self._head(state)
        return self._reading("label", head, self._query(head), state, says)

    def yes_no(self, state: State, head: str | None = None) -> Turn:
        head = head or self._head(state)
        label = self._any_label(head)

        def answer(head: str, state: State) -> str:
            return says(head, state, YES if state.labels[head] == label else ", so no.")

        text = self._word(WORDINGS[head].yes_no).format(x=HEADS[head].phrases[label])
        return self._reading("yes_no", head, text, state, answer)

    def false_premise(self, state: State, head: str | None = None) -> Turn:
        head = head or self._head(state)
        label = self._any_label(head)

        def answer(head: str, state: State) -> str:
            same = state.labels[head] == label
            return says(head, state, NO_MORE if same else ", so that is not so.")

        text = self._word(WORDINGS[head].false_premise).format(x=HEADS[head].phrases[label])
        return self._reading("false_premise", head, text, state, answer)

    def choice(self, state: State, head: str | None = None) -> Turn:
        head = head or self._head(state)
        names = list(HEADS[head].phrases)
        text = self._word(WORDINGS[head].choice)
        wanted = 3 if "{z}" in text else 2
        options = [str(o) for o in self.rng.choice(names, min(wanted, len(names)), replace=False)]

        def answer(head: str, state: State) -> str:
            inside = state.labels[head] in options
            return says(head, state, "." if inside else ", none of these.")

        said = [HEADS[head].phrases[o] for o in options]
        filled = text.format(x=said[0], y=said[1], z=said[-1])
        return self._reading("choice", head, filled, state, answer)

    def why(self, state: State, head: str | None = None) -> Turn:
        head = head or self._head(state)
        return self._reading("why", head, self._word(WORDINGS[head].why), state, because)

    def change(self, state: State, head: str | None = None) -> Turn:
        """What it was before: the earlier label is a fact of the device, not of the model."""
        if self.rng.random() < 0.4:
            return self._measured(state, changed=True)
        head = head or self._head(state)
        text = self._word(FAMILIES.before_of).format(noun=HEADS[head].noun)
        return self._reading("change", head, text, state, before)

    def comparison(self, state: State, head: str | None = None) -> Turn:
        """Two windows of a head, this one and the last that read otherwise."""
        head = head or self._head(state)
        text = self._word(FAMILIES.compared).format(noun=HEADS[head].noun)
        return self._reading("comparison", head, text, state, before)

    def conflict(self, state: State) -> Turn:
        """Do two sensors of one head agree? The device compares them."""
        answer = " {agreement}" if state.present else NO_SENSORS
        return Turn("conflict", None, self._ask(FAMILIES.conflict), answer, reads=False)

    def advice(self, state: State) -> Turn:
        """What should be done: a call of a tool, as JSON."""
        text = self._ask(FAMILIES.advice)
        return Turn("advice", None, text, tool_call(state), bool(self._alarming(state)))

    def _alarming(self, state: State) -> list[str]:
        return [h.name for h in classes() if h.alarms and state.label(h.name)]

    # -- numbers ----------------------------------------------------------------------------------------

    def number(self, state: State) -> Turn:
        """A number from a head or from a slot's own channels; the device fills it in."""
        if not numbers() or self.rng.random() < 0.4:
            return self._measured(state, changed=False)
        head = self._mostly([h for h in numbers() if state.slots(h.name)], numbers())
        wordings = WORDINGS[head.name]
        why = self.rng.random() < 0.25
        text = normalise_question(self._word(wordings.why) if why else self._query(head.name))
        slots = state.slots(head.name)
        if not slots:
            return Turn("missing", head.name, text, missing(head), reads=False)
        ending = f" I know it from {{sensors_{head.name}}}." if why else ""
        return Turn("number", head.name, text, head.readout + ending, reads=False)

    def _measured(self, state: State, *, changed: bool) -> Turn:
        slot = self._mostly([s for s in SLOT_FACTS if s in state.present], tuple(SLOT_FACTS))
        facts = [f for f in SLOT_FACTS[slot] if f.sentence]
        fact = facts[self.rng.integers(len(facts))]
        wordings = MEASURED[fact.name]
        text = normalise_question(self._word(wordings.change if changed else wordings.query))
        if slot not in state.present:
            return Turn(
                "missing", None, text, f" There is no data from {SLOTS[slot].description}.", reads=False
            )
        earlier = f" Before it was {{{fact.name}_before}}." if changed else ""
        return Turn("change" if changed else "number", None, text, f" {fact.sentence}{earlier}", reads=False)

    # -- families about everything ----------------------------------------------------------------------

    def both(self, state: State) -> Turn:
        answer = " {summary}" if state.present else NO_SENSORS
        return Turn("both", None, self._ask(q.BOTH_QUERY), answer, reads=False)

    def which_sensor(self, state: State) -> Turn:
        answer = " I have data from {sensors}." if state.present else NO_SENSORS
        return Turn("which_sensor", None, self._ask(q.WHICH_SENSOR), answer, reads=False)

    def one_sensor(self, state: State) -> Turn:
        slot = self._mostly([s for s in SLOTS if s in state.present], tuple(SLOTS))
        head = next(h for h in HEADS.values() if slot in h.slots)
        text = normalise_question(self._word(q.ONE_SENSOR).format(s=SLOTS[slot].description))
        if slot not in state.present:
            return Turn(
                "missing", head.name, text, f" There is no data from {SLOTS[slot].description}.", reads=False
            )
        answer = head.readout if head.regression else says(head.name, state)
        return Turn("one_sensor", head.name, text, answer, reads=not head.regression)

    def unknowable(self, _state: State) -> Turn:
        asked = self._word(q.UNKNOWABLE)
        if not self.held_out and self.rng.random() < 0.75:
            things = {"thing": self._one(q.THINGS), "other": self._one(q.THINGS)}
            asked = framed(self.rng, self._one(q.UNKNOWABLE_FORMS).format(**things))
        return Turn("unknown", None, normalise_question(asked), UNKNOWN, reads=False)

    def fixed(self, _state: State) -> Turn:
        wordings, forms, answer = (
            (q.IDENTITY, fixed.IDENTITY, IDENTITY), (q.MEDICAL, fixed.MEDICAL, MEDICAL),
            (q.HELP, fixed.HELP, HELP), (FAMILIES.small_talk, fixed.SMALL_TALK, SMALL_TALK),
        )[self.rng.integers(4)]  # fmt: skip
        asked, unseen = self._word(wordings), q.split(wordings, held_out=True)
        if not self.held_out and self.rng.random() < FORMS_SHARE:
            filled = put(self.rng, fixed.filled(self.rng, forms), unseen)
            asked = asked if filled in unseen else filled
        return Turn("fixed", None, normalise_question(asked), answer, reads=False)

    def follow_up(self, state: State, head: str) -> Turn:
        """A question that only makes sense after one about `head`."""
        kind = self.rng.integers(4)
        if kind == 0:
            return self._reading("follow_why", head, self._word(q.FOLLOW_WHY), state, because)
        if kind == 1:
            return self._reading("follow_sure", head, self._word(q.FOLLOW_SURE), state, sure)
        if kind == 2:
            return self._reading("follow_before", head, self._word(FAMILIES.before), state, before)
        return self._reading("follow_sensor", head, self._word(q.FOLLOW_SENSOR), state, told)

    # -- small parts ------------------------------------------------------------------------------------

    def _reading(
        self, family: str, head: str, text: str, state: State, answer: Callable[[str, State], str]
    ) -> Turn:
        if state.label(head) is None:
            return Turn("missing", head, normalise_question(text), missing(HEADS[head]), reads=False)
        said = answer(head, state)
        rare = next((ending for ending in (YES, NO_MORE) if said.endswith(ending)), "")
        return Turn(family, head, normalise_question(text), said, reads=True, rare_ending=rare)

    def _any_label(self, head: str) -> str:
        """A label drawn without a look at the truth, so that no question leaks it."""
        return self._one(tuple(HEADS[head].phrases))

    def _head(self, state: State) -> str:
        """Mostly one that a present slot serves; now and then any, to learn to say that there is no data."""
        able = tuple(h.name for h in classes() if state.label(h.name))
        if able and self.rng.random() < ABLE_SHARE:
            return self._drawn(able, 1)[0]
        return self._one(tuple(h.name for h in classes()))

    def _mostly(self, able: Sequence[T], every: Sequence[T]) -> T:
        """Mostly one that has data: of all alike most have none, and "no data" is learned for every one."""
        among = able if able and self.rng.random() < ABLE_SHARE else every
        return among[int(self.rng.integers(len(among)))]

    def _drawn(self, heads: Sequence[str], most: int) -> list[str]:
        """At most so many of the heads in any order, each at most once."""
        if not heads:
            return []
        weight = np.array([self.often.get(head, 1.0) for head in heads])
        count = min(most, len(heads))
        chosen = self.rng.choice(len(heads), count, replace=False, p=weight / weight.sum())
        return [heads[i] for i in chosen]

    def _word(self, wordings: tuple[str, ...]) -> str:
        """One wording; in training as people do ask."""
        word = self._one(q.split(wordings, held_out=self.held_out))
        return word if self.held_out else put(self.rng, word, q.split(wordings, held_out=True))

    def _query(self, head: str) -> str:
        """A question for what a head reads; in training now and then one of its telling words alone."""
        query, own = WORDINGS[head].query, WORDINGS[head].alone
        if self.held_out or not own or self.rng.random() >= ALONE_SHARE:
            return self._word(query)
        word = framed(self.rng, self._one(own))  # "and trip now", but never "trip" where that is held out
        return self._word(query) if word in q.split(query, held_out=True) else word

    def _ask(self, wordings: tuple[str, ...]) -> str:
        return normalise_question(self._word(wordings))

    def _one(self, items: tuple[str, ...]) -> str:
        return items[self.rng.integers(len(items))]

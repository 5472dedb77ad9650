"""Instruction data: what is asked about a state of the sensors, and the one right answer.

Deterministic from a random generator. The text never carries the state: the model must read it from
the soft tokens and control vectors. Numbers are never worded here; the device attaches them as facts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge_agent.perception.prompt import normalise_question
from export import questions as q
from export.labels import ACTIVITY, EVENT, PHRASES, READOUT, SLOTS, TASK_SLOTS

NO_DATA = {
    ACTIVITY: " There is no motion sensor data, so I cannot say.",
    EVENT: " There is no sound data, so I cannot say.",
}
YES, NO_MORE = ", so yes.", ". More I cannot tell."
UNKNOWN = " I do not know. My sensors cannot tell."
IDENTITY = " I cannot tell who it is. My sensors do not identify people."
MEDICAL = " I cannot judge health. Please ask a doctor."
HELP = " I watch the sensors of this device. Ask me what the person is doing or what I hear."
SMALL_WORDS = ("the", "a", "is", "do", "does", "of", "to", "it")


@dataclass(frozen=True)
class State:
    """What the sensors perceive: a label per task and the slots that have data."""

    labels: dict[str, str]
    present: frozenset[str]

    def label(self, task: str) -> str | None:
        """The label of a task, None where none of its slots has data."""
        return self.labels[task] if self.slots(task) else None

    def slots(self, task: str) -> tuple[str, ...]:
        """The slots with data that serve a task, in the model's order."""
        return tuple(s for s in TASK_SLOTS[task] if s in self.present)


@dataclass(frozen=True)
class Turn:
    """One question and its answer. `reads` is True where the answer depends on a label.

    `rare_ending` is the end of an answer that few questions have, since no question may lean towards the
    truth: training gives those words alone more weight.
    """

    family: str
    task: str | None
    question: str
    answer: str
    reads: bool
    rare_ending: str = ""


class Asker:
    """Draws turns about states from the training wordings or the held-out ones."""

    def __init__(self, rng: np.random.Generator, *, held_out: bool = False) -> None:
        self.rng = rng
        self.held_out = held_out
        self._families: tuple[tuple[float, Callable[[State], Turn]], ...] = (
            (0.24, self.label_query), (0.08, self.both), (0.20, self.yes_no), (0.06, self.false_premise),
            (0.12, self.choice), (0.07, self.why), (0.06, self.which_sensor), (0.05, self.one_sensor),
            (0.07, self.unknowable), (0.05, self.fixed),
        )  # fmt: skip

    def state(self) -> State:
        """A state with labels uniform per task; sensors drop out as in training of the adapter."""
        labels = {task: self._one(tuple(PHRASES[task])) for task in (ACTIVITY, EVENT)}
        if self.rng.random() < 0.05:
            return State(labels, frozenset())
        present = frozenset(s for s in SLOTS if self.rng.random() > 0.3)
        return State(labels, present or frozenset([self._one(tuple(SLOTS))]))

    def dialog(self, state: State, turns: int) -> list[Turn]:
        """`turns` turns about one state; a turn may follow up on the one before it."""
        dialog = [self.turn(state)]
        while len(dialog) < turns:
            before = dialog[-1]
            follow = before.task is not None and self.rng.random() < 0.4
            dialog.append(self.follow_up(state, before.task) if follow and before.task else self.turn(state))
        return dialog

    def turn(self, state: State) -> Turn:
        """One turn of a family drawn by its weight."""
        weights = np.array([w for w, _ in self._families])
        index = self.rng.choice(len(weights), p=weights / weights.sum())
        return self._families[index][1](state)

    # -- families -----------------------------------------------------------------------------------

    def label_query(self, state: State, task: str | None = None) -> Turn:
        task = task or self._task()
        wordings = q.ACTIVITY_QUERY if task == ACTIVITY else q.EVENT_QUERY
        return self._reading("label", task, self._word(wordings), state, says)

    def both(self, state: State) -> Turn:
        known = [says(task, state) for task in (ACTIVITY, EVENT) if state.label(task)]
        answer = "".join(known) if known else " There is no sensor data."
        return Turn("both", None, self._ask(q.BOTH_QUERY), answer, bool(known))

    def yes_no(self, state: State, task: str | None = None) -> Turn:
        task = task or self._task()
        label = self._any_label(task)

        def answer(task: str, state: State) -> str:
            return says(task, state, YES if state.labels[task] == label else ", so no.")

        text = self._word(q.YES_NO[task]).format(x=PHRASES[task][label])
        return self._reading("yes_no", task, text, state, answer)

    def false_premise(self, state: State, task: str | None = None) -> Turn:
        task = task or self._task()
        label = self._any_label(task)

        def answer(task: str, state: State) -> str:
            same = state.labels[task] == label
            return says(task, state, NO_MORE if same else ", so that is not so.")

        text = self._word(q.FALSE_PREMISE[task]).format(x=PHRASES[task][label])
        return self._reading("false_premise", task, text, state, answer)

    def choice(self, state: State, task: str | None = None) -> Turn:
        task = task or self._task()
        options = list(self.rng.choice(list(PHRASES[task]), 3, replace=False))
        text = self._word(q.CHOICE[task])
        if "{z}" not in text:
            options = options[:2]

        def answer(task: str, state: State) -> str:
            inside = state.labels[task] in options
            return says(task, state, "." if inside else ", none of these.")

        said = [PHRASES[task][o] for o in options]
        return self._reading("choice", task, text.format(x=said[0], y=said[1], z=said[-1]), state, answer)

    def why(self, state: State, task: str | None = None) -> Turn:
        task = task or self._task()
        return self._reading("why", task, self._word(q.WHY[task]), state, because)

    def which_sensor(self, state: State) -> Turn:
        answer = (
            f" I have data from {listed(state.present)}." if state.present else " There is no sensor data."
        )
        return Turn("which_sensor", None, self._ask(q.WHICH_SENSOR), answer, reads=False)

    def one_sensor(self, state: State) -> Turn:
        slot = self._one(tuple(SLOTS))
        task = next(t for t, slots in TASK_SLOTS.items() if slot in slots)
        answer = says(task, state) if slot in state.present else f" There is no data from {SLOTS[slot]}."
        text = self._word(q.ONE_SENSOR).format(s=SLOTS[slot])
        return Turn("missing", task, normalise_question(text), answer, slot in state.present)

    def unknowable(self, _state: State) -> Turn:
        asked = self._word(q.UNKNOWABLE)
        if not self.held_out and self.rng.random() < 0.75:
            things = {"thing": self._one(q.THINGS), "other": self._one(q.THINGS)}
            asked = self._framed(self._one(q.UNKNOWABLE_FORMS).format(**things))
        return Turn("unknown", None, normalise_question(asked), UNKNOWN, reads=False)

    def fixed(self, _state: State) -> Turn:
        wordings, answer = (
            (q.IDENTITY, IDENTITY), (q.MEDICAL, MEDICAL), (q.HELP, HELP),
        )[self.rng.integers(3)]  # fmt: skip
        return Turn("fixed", None, self._ask(wordings), answer, reads=False)

    def follow_up(self, state: State, task: str) -> Turn:
        """A question that only makes sense after one about `task`."""
        kind = self.rng.integers(3)
        if kind == 0:
            return self._reading("follow_why", task, self._word(q.FOLLOW_WHY), state, because)
        if kind == 1:
            return self._reading("follow_sure", task, self._word(q.FOLLOW_SURE), state, sure)
        return self._reading("follow_sensor", task, self._word(q.FOLLOW_SENSOR), state, told)

    # -- small parts --------------------------------------------------------------------------------

    def _reading(
        self, family: str, task: str, text: str, state: State, answer: Callable[[str, State], str]
    ) -> Turn:
        if state.label(task) is None:
            return Turn("missing", task, normalise_question(text), NO_DATA[task], reads=False)
        said = answer(task, state)
        rare = next((ending for ending in (YES, NO_MORE) if said.endswith(ending)), "")
        return Turn(family, task, normalise_question(text), said, reads=True, rare_ending=rare)

    def _any_label(self, task: str) -> str:
        """A label drawn without a look at the truth, so that no question leaks it."""
        return self._one(tuple(PHRASES[task]))

    def _task(self) -> str:
        return ACTIVITY if self.rng.random() < 0.5 else EVENT

    def _word(self, wordings: tuple[str, ...]) -> str:
        """One wording; in training often worn and framed, as people do ask."""
        word = self._one(q.split(wordings, held_out=self.held_out))
        return word if self.held_out else self._framed(self._worn(word))

    def _worn(self, text: str) -> str:
        """Now and then without one of the small words, as typed in haste or half heard."""
        words = text.split()
        small = [i for i, word in enumerate(words) if word in SMALL_WORDS]
        if len(words) > 3 and small and self.rng.random() < 0.12:
            del words[small[self.rng.integers(len(small))]]
        return " ".join(words)

    def _framed(self, text: str) -> str:
        """With the words that people put around a question."""
        opener = f"{self._one(q.OPENERS)} " if self.rng.random() < 0.3 else ""
        closer = f" {self._one(q.CLOSERS)}" if self.rng.random() < 0.2 else ""
        return f"{opener}{text}{closer}"

    def _ask(self, wordings: tuple[str, ...]) -> str:
        return normalise_question(self._word(wordings))

    def _one(self, items: tuple[str, ...]) -> str:
        return items[self.rng.integers(len(items))]


def says(task: str, state: State, end: str = ".") -> str:
    """The canonical sentence: the read-out words, then the phrase of the label.

    It comes first in every answer: a verdict ("so yes") is then a comparison with words already said,
    which a small model gets right, rather than a guess ahead of them.
    """
    return f"{READOUT[task]} {PHRASES[task][state.labels[task]]}{end}"


def because(task: str, state: State) -> str:
    """The canonical sentence with the sensors it rests on."""
    return f"{says(task, state)} I know it from {listed(state.slots(task))}."


def sure(task: str, state: State) -> str:
    """Standing by a reading."""
    return says(task, state, ", I am sure of it.")


def told(task: str, state: State) -> str:
    """Which sensors an earlier reading came from."""
    return f" I know it from {listed(state.slots(task))}."


def listed(slots: frozenset[str] | tuple[str, ...]) -> str:
    """The sensors' names as a list in a sentence, in the model's order."""
    names = [SLOTS[s] for s in SLOTS if s in slots]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

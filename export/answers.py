"""What a right answer is: the one sentence to a question about a state of the sensors.

Nothing that the device knows is worded: an answer holds `{temperature}`, `{sensors}` or `{summary}`, and the
device puts in what it measured, which sensors have data, and all that its heads read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from export.catalog import ACTIVITY, EVENT, HEADS, SLOTS, HeadSpec, classes

YES, NO_MORE = ", so yes.", ". More I cannot tell."
NO_SENSORS = " There is no sensor data."
UNKNOWN = " I do not know. My sensors cannot tell."
IDENTITY = " I cannot tell who it is. My sensors do not identify people."
MEDICAL = " I cannot judge health. Please ask a doctor."
HELP = " I watch the sensors of this device. Ask me what they see, hear or measure."
SMALL_TALK = " Hello. I am here and watching the sensors."


@dataclass(frozen=True)
class State:
    """What the sensors perceive.

    labels: head -> label, of every head that a present slot serves.
    """

    labels: Mapping[str, str]
    present: frozenset[str]

    def label(self, head: str) -> str | None:
        """The label of a head, None where none of its slots has data."""
        return self.labels.get(head)

    def slots(self, head: str) -> tuple[str, ...]:
        """The slots with data that serve a head, in the model's order."""
        return tuple(s for s in HEADS[head].slots if s in self.present)


@dataclass(frozen=True)
class Turn:
    """One question and its answer. `reads` is True where the answer depends on a label.

    `rare_ending` is the end of an answer that few questions have, since no question may lean towards the
    truth: training gives those words alone more weight.
    """

    family: str
    head: str | None
    question: str
    answer: str
    reads: bool
    rare_ending: str = ""


def says(head: str, state: State, end: str = ".") -> str:
    """The canonical sentence: the read-out words, then the phrase of the label.

    It comes first in every answer: a verdict ("so yes") is then a comparison with words already said,
    which a small model gets right, rather than a guess ahead of them.
    """
    return f"{HEADS[head].readout} {HEADS[head].phrases[state.labels[head]]}{end}"


def because(head: str, state: State) -> str:
    """The canonical sentence with the sensors it rests on."""
    return f"{says(head, state)} I know it from {{sensors_{head}}}."


def before(head: str, state: State) -> str:
    """The canonical sentence and what it was before, which the device knows."""
    return f"{says(head, state)} Before it was {{before_{head}}}."


def sure(head: str, state: State) -> str:
    """Standing by a reading."""
    return says(head, state, ", I am sure of it.")


def told(head: str, _state: State) -> str:
    """Which sensors an earlier reading came from, which the device knows."""
    return f" I know it from {{sensors_{head}}}."


def missing(head: HeadSpec) -> str:
    """That no slot of a head has data."""
    if head.name == ACTIVITY:
        return " There is no motion sensor data, so I cannot say."
    if head.name == EVENT:
        return " There is no sound data, so I cannot say."
    return f" There is no data from {listed(head.slots)}, so I cannot say."


def tool_call(state: State) -> str:
    """The most urgent tool that what is perceived asks for, as JSON."""
    wanted = [
        (h.alarms[label] != "alarm", h.phrases[label], h.alarms[label])
        for h in classes()
        if (label := state.label(h.name)) and label in h.alarms
    ]
    if not wanted:
        return f" {json.dumps({'tool': 'none'})}"
    _, phrase, tool = min(wanted, key=lambda w: w[0])
    return f" {json.dumps({'tool': tool, 'reason': phrase})}"


def listed(slots: frozenset[str] | tuple[str, ...]) -> str:
    """The sensors' names as a list in a sentence, in the model's order."""
    names = [SLOTS[s].description for s in SLOTS if s in slots]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

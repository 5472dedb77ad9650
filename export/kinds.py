"""Dialogs in which the language model tells which kind of answer a question about the past wants.

The question stands as the device puts it: a fixed word for whatever is asked about, another one for the time
(edge_agent/memory/kinds.py). So only the way of asking is to be learned.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from edge_agent.memory import kinds
from edge_agent.memory.known_words import DEVICE, NUMBER, THING
from export import everyday
from export import questions as q
from export.answers import Turn
from export.past import FAMILY
from export.wordings.kinds import DEVICES, FRAMES, KINDS, NUMBERS, THINGS, WORDS
from export.wordings.past import PAST

USUAL = {
    "often": "how often", "long": "how long", "last": "last", "first": "first", "whether": "whether",
    "events": "what happened", "highest": "highest", "lowest": "lowest", "average": "average",
    "value": "value", "change": "change", "sensors": "sensors",
}  # fmt: skip
"""Kind -> its usual wordings among those that are told of."""
SHARES = (0.5, 0.2, 0.3)
"""Of the wordings that are a kind's own, of the usual ones and of those that are one word in a frame."""
TIMED = 0.75
_PLACE = re.compile(r"\{([xnms])\}")
_USUAL_WAYS = (0, 2)
"""Half questions ("and {x}") are said of several kinds."""


class Kinds:
    """Draws questions and the kinds that they ask for, of the training wordings or the held-out ones."""

    def __init__(self, rng: np.random.Generator, *, held_out: bool = False) -> None:
        self.rng = rng
        self.held_out = held_out

    def turn(self) -> Turn:
        """What the device asks the language model, and what it is to write."""
        return self.draw()[1]

    def draw(self) -> tuple[str, Turn]:
        """The same beside the kind."""
        kind = self._one(tuple(KINDS))
        several = sources(kind)[self.rng.choice(len(SHARES), p=SHARES)]
        return kind, self._turn(kind, self._one(part(several, held_out=self.held_out)))

    def each(self) -> list[tuple[str, Turn]]:
        """Every wording that is a kind's own once, filled anew."""
        return [
            (kind, self._turn(kind, wording))
            for kind, several in KINDS.items()
            for wording in part(several, held_out=self.held_out)
        ]

    def _turn(self, kind: str, wording: str) -> Turn:
        if not self.held_out:
            wording = everyday.put(self.rng, wording, unseen())
        filled = re.sub(r" +", " ", _PLACE.sub(self._filled, wording.replace("{t}", ""))).strip(" ,")
        question = kinds.asking(filled, timed=bool(self.rng.random() < TIMED))
        said = f" {kinds.answer(kind)}"  # of more weight: one word, beside answers of thirty
        return Turn(FAMILY, None, question, said, reads=False, rare_ending=said)

    def _filled(self, place: re.Match[str]) -> str:
        match place[1]:
            case "x":
                return self._one(THINGS).format(x=THING)
            case "n":
                return self._one(NUMBERS).format(n=NUMBER)
            case "s":
                return self._one(DEVICES).format(s=DEVICE)
        return NUMBER

    def _one(self, items: tuple[str, ...]) -> str:
        return items[self.rng.integers(len(items))]


@cache
def sources(kind: str) -> tuple[tuple[str, ...], ...]:
    """The wordings of a kind: its own, the usual ones that name what they ask about, one word in a frame."""
    usual = [wording for way in _USUAL_WAYS for wording in PAST.get(USUAL.get(kind, ""), ((),) * 3)[way]]
    named = tuple(wording for wording in usual if kind == "events" or _PLACE.search(wording))
    place = {**dict.fromkeys(kinds.OF_NUMBER, "{n}"), "sensors": "{s}"}.get(kind, "{x}")
    framed = tuple(frame.format(word=word, place=place) for word in WORDS[kind] for frame in FRAMES)
    return KINDS[kind], named or KINDS[kind], framed


@cache
def unseen() -> tuple[str, ...]:
    """All that is held out, of whatever kind and source: some is said in two of them."""
    return tuple({w for kind in KINDS for source in sources(kind) for w in q.split(source, held_out=True)})


@cache
def part(several: tuple[str, ...], *, held_out: bool) -> tuple[str, ...]:
    """The wordings of one source that are held out, or those that are trained on."""
    if held_out:
        return q.split(several, held_out=True)
    return tuple(w for w in q.split(several, held_out=False) if w not in unseen())

"""What a person may ask about one thing, as tables of wordings."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_LETTERS, LEAST_SAID = 4, 4
"""Of a word that is understood alone, and how often it stands among the questions."""


@dataclass(frozen=True)
class Wordings:
    """The wordings about one thing that is read or measured: lower case, no final mark, no digits.

    `{x}`, `{y}` and `{z}` are filled with the phrases of classes; what reads a number has none of the
    three tuples that need them. `export.questions.split` holds out every fifth of each tuple: those say
    it in a new way, with words that other wordings of the same thing hold. New ones go to the end.
    """

    query: tuple[str, ...]
    """Ask for the class or the number."""
    why: tuple[str, ...]
    """Ask how it is known. Each names the thing, so that it stands alone."""
    words: tuple[str, ...]
    """One of them stands in every wording of this thing, once filled, and none in one of another thing."""
    yes_no: tuple[str, ...] = ()
    """Ask whether it is `{x}`."""
    false_premise: tuple[str, ...] = ()
    """Take for granted that it is `{x}`."""
    choice: tuple[str, ...] = ()
    """Ask which of `{x}` and `{y}`, or of `{x}`, `{y}` and `{z}`, it is."""
    change: tuple[str, ...] = ()
    """Ask whether a measured number rose or fell, or what it was before."""

    @property
    def alone(self) -> tuple[str, ...]:
        """Those of `words` that ask for it without another one: "trip?"."""
        said = " ".join((*self.query, *self.yes_no)).split()
        return tuple(w for w in self.words if len(w) >= LEAST_LETTERS and said.count(w) >= LEAST_SAID)

    @property
    def every(self) -> tuple[str, ...]:
        """All wordings."""
        return (*self.query, *self.yes_no, *self.false_premise, *self.choice, *self.why, *self.change)


@dataclass(frozen=True)
class Families:
    """The wordings that belong to no single thing."""

    before: tuple[str, ...]
    """What was it before? After a turn that said what it is now; no sensor is named."""
    before_of: tuple[str, ...]
    """The same, of `{noun}`: "the posture"."""
    compared: tuple[str, ...]
    """How does `{noun}` compare with what it was before?"""
    conflict: tuple[str, ...]
    """Do two sensors of one thing agree?"""
    advice: tuple[str, ...]
    """What should be done? It is answered by a call of a tool."""
    small_talk: tuple[str, ...]
    """Greetings, thanks and praise."""

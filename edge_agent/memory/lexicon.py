"""The words for what can be remembered, built from a manifest: labels, heads, slots and numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection

from edge_agent.manifest import Manifest, Slot, TaskHead
from edge_agent.memory.clock_words import NUMBERS, TO_99, number
from edge_agent.memory.queries import Target
from edge_agent.perception import vocabulary
from edge_agent.perception.vocabulary import has_words

_IRREGULAR = {
    "sat": "sit", "stood": "stand", "fell": "fall", "fallen": "fall", "lay": "lie", "lying": "lie",
    "ran": "run", "cried": "cry", "cries": "cry", "crew": "crow", "drove": "driv", "driven": "driv",
    "slept": "sleep", "rose": "rise", "left": "leave", "waving": "wave", "went": "go",
    "news": "news", "seated": "sit",
}  # fmt: skip
_PLAIN = frozenset(
    (
        "a", "an", "the", "is", "are", "be", "been", "was", "were", "of", "on", "in", "at", "by", "to", "it",
        "there", "another", "noise", "sound", "person", "room", "and", "or", "using",
    )
)  # fmt: skip
_WEAK = frozenset(
    (
        *NUMBERS, "none", "nothing", "still", "left", "right", "leave", "away", "closer", "open", "close",
        "closed", "mov", "up", "down", "near", "go", "empty",
    )
)  # fmt: skip
"""Words that mean a label only where its head is meant as well."""
_PARTICLES = frozenset(("up", "down", "around", "fall"))
"""Never mean a label alone: "what was the person up to" is not of standing up, "did it fall" not of rain."""
_SMALL = frozenset(
    (
        "how",
        "thi",
        "that",
        "they",
        "them",
        "see",
        "do",
        "doe",
        "he",
        "she",
        "am",
        "i",
        "somebody",
        "nobody",
        "hear",
        "heard",
        "near",
        "front",
        "before",
        "take",
        "in",
        "my",
        "what",
        "you",
        "people",
    )
)
"""Small words that are in some names of heads as well."""
_STANDS_FOR = {
    **dict.fromkeys(("anybody", "anyone", "somebody", "someone"), "occupied"),
    **dict.fromkeys(("nobody", "noone"), "empty"),
}
"""Of a room, where no other label is named."""


def stem(word: str) -> str:
    """A word without its ending, so that "barked", "barking" and "barks" are one."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    for ending, instead in (("ied", "y"), ("ies", "y"), ("ing", ""), ("ed", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word.removesuffix(ending) + instead
            if ending in {"ing", "ed"} and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word.removesuffix("e") if len(word) > 3 else word


def stems(text: str) -> set[str]:
    """The stems of the words that carry meaning."""
    words = re.findall(r"[a-z]+", text.lower().replace("_", " "))
    return {stem(word) for word in words if word not in _PLAIN}


def _stems_of(head: TaskHead) -> set[str]:
    return stems(" ".join((*head.words, *head.labels, *head.phrases)))


class Lexicon:
    """What the words of a normalised question name. `configured` are the slots that have a sensor."""

    def __init__(self, manifest: Manifest, configured: Collection[str]) -> None:
        self.manifest = manifest
        self.slots: list[Slot] = [s for s in manifest.slots if s.name in configured]
        own = set(configured)
        self.heads: list[TaskHead] = [t for t in manifest.tasks if manifest.serving(t.name) & own]
        self._labels = {
            head.name: [
                (label, [stems(phrase), stems(label)])
                for label, phrase in zip(head.labels, head.phrases, strict=True)
            ]
            for head in self.heads
        }

    def target(self, asked: str, question: str = "") -> Target | None:
        """The labels that fit best, of the head where they fit best; None where none is named.

        `question` is what `asked` is a part of: a head that it is about is meant in its part as well.
        """
        concerned = self.concerned(question or asked)
        if (found := self._named(asked, stems(asked), concerned)) is not None:
            return found
        stand_ins = {_STANDS_FOR[word] for word in re.findall(r"[a-z]+", asked) if word in _STANDS_FOR}
        found = self._named(asked, {stem(word) for word in stand_ins}, concerned)
        # "Did anyone use the bathroom" is not of the room: another head has a word for it.
        return None if found is not None and stems(asked) & self._others(found.head) else found

    def _others(self, name: str) -> set[str]:
        """The stems of the words of the other heads that are no word of this one."""
        own = next(head for head in self.heads if head.name == name)
        words = set[str]().union(*(_stems_of(head) for head in self.heads if head is not own))
        return words - _stems_of(own) - _SMALL - _PARTICLES

    def _named(self, asked: str, words: set[str], concerned: Collection[str]) -> Target | None:
        best = (0.0, 0.0, 0.0)
        found: Target | None = None
        for head in self.heads:
            spelled = {la for la in head.labels if "_" in la and has_words(asked, la.replace("_", " "))}
            score, labels = self._fit(head, words, spelled, meant=head.name in concerned)
            rank = (*score, float(head.name in concerned))
            if labels and rank > best:
                best, found = rank, Target(head.name, labels)
        return found

    def _fit(
        self, head: TaskHead, words: set[str], spelled: set[str], *, meant: bool
    ) -> tuple[tuple[float, float], tuple[str, ...]]:
        """((words matched, share of the label's words), the labels that fit best).

        `spelled` are the labels that stand in the question as they are: "one person" is one even where "one"
        alone would be no more than a number.
        """
        entries = self._labels[head.name]
        shared = Counter(word for _, forms in entries for word in set().union(*forms))
        fits: dict[str, tuple[float, float]] = {}
        for label, forms in entries:
            hit = words & set().union(*forms)
            telling = {
                word for word in hit - _PARTICLES if shared[word] == 1 and (meant or word not in _WEAK)
            }
            whole = any(form and form <= words and (meant or not form <= _WEAK) for form in forms)
            if telling or whole or label in spelled:
                fits[label] = (len(hit), max(len(form & words) / len(form) for form in forms if form))
        if not fits:
            return (0.0, 0.0), ()
        best = max(fits.values())
        return best, tuple(label for label in fits if fits[label] == best)

    def counted(self, head: str, how: str, count: str) -> tuple[str, ...]:
        """The labels of a head that are "more than" a number; none where they are no numbers."""
        found = self.manifest.task(head)
        values = {
            label: 0 if phrase == "none" else TO_99[phrase]
            for label, phrase in zip(found.labels, found.phrases, strict=True)
            if phrase == "none" or phrase in TO_99
        }
        if len(values) < len(found.labels) or not (count in NUMBERS or count.isdigit()):
            return ()
        limit, sign = number(count), -1 if how in {"less than", "fewer than", "at most", "under"} else 1
        closed = how.startswith("at ")
        if how == "exactly":
            return tuple(label for label, value in values.items() if value == limit)
        return tuple(la for la, value in values.items() if sign * (value - limit) > (-1 if closed else 0))

    def concerned(self, asked: str) -> tuple[str, ...]:
        """The heads that a question is about by their words."""
        return tuple(h.name for h in self.heads if vocabulary.concerns(asked, h.words))

    def named_slots(self, asked: str) -> tuple[str, ...]:
        """The configured slots that a question names."""
        return tuple(slot.name for slot in vocabulary.named_slots(asked, self.slots))

    def read_by(self, slots: Collection[str]) -> tuple[str, ...]:
        """The heads that some slots serve."""
        return tuple(h.name for h in self.heads if self.manifest.serving(h.name) & set(slots))

    def absent(self, asked: str) -> list[str]:
        """The sensors that a question names and that are not there."""
        return vocabulary.absent_sensors(asked, self.slots)

    def phrase(self, head: str, label: str) -> str:
        """How a label is said."""
        found = self.manifest.task(head)
        return found.phrase(label)

    def known_phrases(self) -> list[str]:
        """Every label that can be asked about."""
        return [phrase for head in self.heads for phrase in head.phrases]

    def naming(self, target: Target, asked: str) -> set[str]:
        """The words of a question that name a target."""
        labels = [text for la in target.labels for text in (la, self.phrase(target.head, la))]
        own = set().union(*map(stems, labels))
        every = set(re.findall(r"[a-z]+", asked))
        return {word for word in every if stem(word) in own} or {
            word for word in every if word in _STANDS_FOR and stem(_STANDS_FOR[word]) in own
        }

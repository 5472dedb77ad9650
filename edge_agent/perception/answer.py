"""What may be said: questions that need no language model, and words that must not leave it.

Pure. A question about a sensor that does not exist, about data that is absent or stale, or about a task
below its threshold is answered here; a sentence whose numbers or claims the percept does not bear out is
replaced by one built from the percept.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from edge_agent.manifest import Manifest, TaskHead
from edge_agent.perception import facts, tools, vocabulary
from edge_agent.perception.evidence import evidence
from edge_agent.perception.facts import join
from edge_agent.perception.prompt import normalise_question
from edge_agent.types import Answer, AnswerSource, Percept, TaskPercept

NO_DATA = "There is no sensor data."
EMPTY = "Please ask a question, for example: what is the person doing?"

_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """Where a question or a percept stops being usable."""

    question_characters: int = 400
    stale_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Topic:
    """Something that can be asked about: a head, or a number that a slot measures.

    `sentence` is how a number is said, with facts in braces; empty for a head that names a class.
    """

    name: str
    words: tuple[str, ...]
    slots: frozenset[str]
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that needs no language model, who words it and why."""

    text: str
    source: AnswerSource
    reason: str


class Answers:
    """The rules for one model and one configuration. `configured` names the slots that have a sensor."""

    def __init__(
        self,
        manifest: Manifest,
        configured: Collection[str] | None = None,
        limits: AnswerLimits | None = None,
    ) -> None:
        self.manifest = manifest
        self.limits = limits or AnswerLimits()
        self._slots = [s for s in manifest.slots if configured is None or s.name in configured]
        self._heads: dict[str, TaskHead] = {t.name: t for t in manifest.tasks}
        self._topics = {topic.name: topic for topic in topics_of(manifest)}

    # -- before the language model ---------------------------------------------------------------------

    def screen(self, question: str, percept: Percept | None, now_ns: int) -> Draft | None:
        """A refusal or a plain statement, or None where the language model should word the answer."""
        if len(question) > self.limits.question_characters:
            return _refusal(
                f"The question is too long: {len(question)} characters, at most "
                f"{self.limits.question_characters} are read.",
                "question too long",
            )
        asked = normalise_question(question)
        if not asked:
            return _refusal(EMPTY, "empty question")
        return self._about_sensors(asked, percept) or self._about_data(asked, percept, now_ns)

    def _about_sensors(self, asked: str, percept: Percept | None) -> Draft | None:
        if absent := vocabulary.absent_sensors(asked, self._slots):
            listed = join(f"no {name}" for name in absent)
            return _refusal(f"I have {listed}. I have {self._owned()}.", "no such sensor")
        named = vocabulary.named_slots(asked, self._slots)
        present = percept.present if percept else ()
        if named and not any(s.name in present for s in named):
            silent = join(s.description for s in named)
            return _refusal(
                f"There is no data from {silent}.{self._others(present)}", "no data from this sensor"
            )
        return None

    def _about_data(self, asked: str, percept: Percept | None, now_ns: int) -> Draft | None:
        if percept is None or not percept.present:
            return _refusal(NO_DATA, "no data")
        if (age_s := (now_ns - percept.end_ns) * 1e-9) > self.limits.stale_s:
            return _refusal(f"I have had no sensor data for {age_s:.0f} seconds.", "stale data")
        concerned = self.concerned(asked)
        present = [name for name in concerned if self._topics[name].slots & set(percept.present)]
        if concerned and not present:
            return _refusal(self._cannot_say(concerned), "no data for this")
        read = [percept.tasks[t] for t in present if t in percept.tasks]
        if read and len(read) == len(present) and not any(found.known for found in read):
            unsure = " ".join(self.sentence(found) for found in read)
            return Draft(unsure, AnswerSource.REFUSAL, "below the threshold or novel")
        return None

    def concerned(self, question: str) -> list[str]:
        """What the words of a question are about, as names of topics; empty where they tell nothing.

        What no configured sensor serves is left out where something else is meant as well.
        """
        asked = normalise_question(question)
        named = [t for t in self._topics.values() if vocabulary.concerns(asked, t.words)]
        own = {s.name for s in self._slots}
        return [t.name for t in named if t.slots & own] or [t.name for t in named]

    # -- after the language model ----------------------------------------------------------------------

    def objection(self, text: str, percept: Percept, question: str = "") -> str:
        """Why a worded answer to `question` must not be given; empty where it may."""
        if not text.strip():
            return "the language model said nothing"
        if tools.is_call(text):
            return "" if text.strip() == tools.call_for(self.manifest, percept) else "another call is right"
        if invented := sorted(numbers_in(text) - self._facts(percept)):
            return f"a number that was not measured: {', '.join(invented)}"
        if denied := self._false_sources(text, percept):
            return f"it is wrong about the data of {denied}"
        objections = (self._false_claim(text, percept, question, head) for head in self._heads.values())
        return next((o for o in objections if o), "")

    def _false_claim(self, text: str, percept: Percept, question: str, head: TaskHead) -> str:
        """Why what a text says about one task must not be said."""
        if not (claimed := claimed_label(text, head)):
            return ""
        found = percept.tasks.get(head.name)
        if found is None or not found.known:
            return f"a claim about {head.name}, which is not known"
        if claimed != found.label:
            return f"it said {claimed}, the fast path read {found.label}"
        if false_verdict(question, text, claimed, head):
            return f"its verdict does not follow from {claimed}"
        return ""

    def _false_sources(self, text: str, percept: Percept) -> str:
        """The sensor that a text names as a source though it is silent, or calls silent though it is not."""
        for slot in self._slots:
            name = re.escape(slot.description.lower())
            denied = re.search(rf"\bno data from [^.]*{name}\b", text.lower()) is not None
            used = re.search(rf"\b(?:have data|know it) from [^.]*{name}\b", text.lower()) is not None
            if (denied and slot.name in percept.present) or (used and slot.name not in percept.present):
                return slot.description
        return ""

    def _facts(self, percept: Percept) -> set[str]:
        """Every number that may be said of this percept, as it would be written."""
        found = {str(len(percept.present)), str(len(percept.missing)), str(len(self._slots))}
        for task in percept.tasks.values():
            found |= numbers_in(self._phrase(task))
            for value in (task.probability, *task.probabilities.values(), *task.alpha.values()):
                found |= {f"{100 * value:.0f}", f"{100 * value:.1f}", f"{value:.2f}"}
        return found.union(*(numbers_in(fact) for fact in percept.facts.values()))

    # -- sentences from the percept --------------------------------------------------------------------

    def fallback(self, percept: Percept, question: str) -> str:
        """The sentences of what the question is about, or of all that the heads read."""
        if vocabulary.concerns(normalise_question(question), tools.ADVICE_WORDS) and percept.present:
            return tools.call_for(self.manifest, percept)
        concerned = self.concerned(question) or [*self._heads, *(n.name for n in self.manifest.numbers)]
        told = [self._told(name, percept, question) for name in concerned]
        return " ".join(filter(None, told)) or (
            NO_DATA if not percept.present else self._cannot_say(concerned)
        )

    def _told(self, name: str, percept: Percept, question: str) -> str:
        """One topic in words; empty where this percept has nothing of it."""
        if name in percept.tasks:
            return self._verdict(question, percept.tasks[name])
        sentence, unknown = facts.fill(self._topics[name].sentence.strip(), percept.facts)
        return "" if unknown else sentence

    def _verdict(self, question: str, found: TaskPercept) -> str:
        """The sentence, after "Yes." or "No." where the question asks whether one label holds."""
        named = named_labels(question, self._heads[found.task])
        if not found.known or len(named) != 1 or not vocabulary.asks_whether(normalise_question(question)):
            return self.sentence(found)
        return f"{'Yes' if named == [found.label] else 'No'}. {self.sentence(found)}"

    def sentence(self, found: TaskPercept) -> str:
        """One task in words, with its probability and the sensor that weighed most."""
        head = self._heads[found.task]
        words = f"{head.readout.strip()} {self._phrase(found)}"
        percent = f"{100 * found.probability:.0f} percent"
        if not found.known:
            return f"I do not know. My best guess, at {percent}: {words[0].lower()}{words[1:]}."
        return f"{words} ({percent}{self._weight(found.alpha)})."

    def _phrase(self, found: TaskPercept) -> str:
        return self._heads[found.task].phrase(found.label)

    def _weight(self, alpha: Mapping[str, float]) -> str:
        if not alpha:
            return ""
        most = max(alpha, key=lambda name: alpha[name])
        return f", {'mostly ' if len(alpha) > 1 else ''}from {self.manifest.slot(most).description}"

    def _cannot_say(self, concerned: Collection[str]) -> str:
        wanted = frozenset[str]().union(*(self._topics[name].slots for name in concerned))
        serving = [s for s in self._slots if s.name in wanted]
        if not serving:
            return f"No sensor of mine can tell that. I have {self._owned()}."
        return f"There is no data from {join((s.description for s in serving), 'or')}, so I cannot say."

    def _others(self, present: Iterable[str]) -> str:
        names = [s.description for s in self._slots if s.name in set(present)]
        return f" I have data from {join(names)}." if names else ""

    def _owned(self) -> str:
        return join(s.description for s in self._slots) or "no sensors"

    def answer(self, question: str, draft: Draft, percept: Percept | None, now_ns: int) -> Answer:
        """A draft with the facts it rests on."""
        proof: tuple[Mapping[str, object], ...] = ()
        if percept is not None:
            age_s = max(0.0, (now_ns - percept.end_ns) * 1e-9)
            proof = evidence(self.manifest, percept, age_s, self._used(question, draft.text, percept))
        return Answer(question, draft.text, draft.source, proof, draft.reason)

    def _used(self, question: str, text: str, percept: Percept) -> set[str]:
        """The heads and facts that an answer states; where it states none, what was asked about."""
        stated = {head.name for head in self._heads.values() if claimed_label(text, head)}
        stated |= {name for name, value in percept.facts.items() if value in text}
        if stated:
            return stated
        asked = {name.split()[-1] for name in self.concerned(question)}  # "air temperature"
        return asked.union(*({f.name for f in n.facts} for n in self.manifest.numbers if n.name in asked))


def topics_of(manifest: Manifest) -> list[Topic]:
    """Everything that a model can be asked about."""
    classes = [Topic(t.name, t.words, manifest.serving(t.name)) for t in manifest.tasks]
    numbers = [Topic(n.name, n.words, manifest.serving(n.name), n.readout) for n in manifest.numbers]
    measured = [
        Topic(f"{part.slot} {fact.name}", fact.words, frozenset((part.slot,)), fact.sentence)
        for part in manifest.facts
        for fact in part.facts
        if fact.sentence
    ]
    return [*classes, *numbers, *measured]


def numbers_in(text: str) -> set[str]:
    """The numbers of a text, in digits or as words from two to twenty, as digits."""
    digits = {n.replace(",", ".").rstrip(".") for n in _NUMBER.findall(text)}
    return digits | vocabulary.number_words(text)


def claimed_label(text: str, head: TaskHead) -> str:
    """The label that a text states with the task's read-out words; empty where it states none."""
    lowered = " ".join(text.lower().split())
    readout = " ".join(head.readout.lower().split())
    for label, phrase in zip(head.labels, head.phrases, strict=True):
        if re.search(rf"\b{re.escape(readout)} {re.escape(phrase.lower())}\b", lowered):
            return label
    return ""


def named_labels(question: str, head: TaskHead) -> list[str]:
    """The labels whose phrases a question holds."""
    asked = normalise_question(question)
    pairs = zip(head.labels, head.phrases, strict=True)
    return [label for label, phrase in pairs if vocabulary.has_words(asked, phrase.lower())]


def false_verdict(question: str, text: str, claimed: str, head: TaskHead) -> bool:
    """Whether a text concludes "yes", "no" or "none" against the label that it states itself."""
    named, lowered = named_labels(question, head), text.lower()
    if "none of these" in lowered:
        return claimed in named
    if len(named) != 1:
        return False
    denied = vocabulary.has_words(lowered, "so no") or vocabulary.has_words(lowered, "not so")
    affirmed = vocabulary.has_words(lowered, "so yes")
    return denied if claimed in named else affirmed


def _refusal(text: str, reason: str) -> Draft:
    return Draft(text, AnswerSource.REFUSAL, reason)

"""What may be asked aloud, as a grammar: of one model, the sensors that are installed, and how people ask.

Made anew from the manifest and the configuration at each start, and always the same from the same.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass

from edge_agent.manifest import Manifest, TaskHead
from edge_agent.memory.lexicon import Lexicon
from edge_agent.memory.numbers import numbers_of
from edge_agent.perception.answer import topics_of
from edge_agent.perception.vocabulary import MODALITY_WORDS
from edge_agent.voice import accents, forms, labels_said, numbers_said, spelled, sphinx
from edge_agent.voice.jsgf import Rules, rules_in
from edge_agent.voice.sense import Sense

NAME = "questions"
_LETTERS = {"a_m": ("EY EH M",), "p_m": ("P IY EH M",), "co2": ("S IY OW T UW",)}
_MEASURED = (
    "what is the {0}", "how {0} is it [ in the room | in here ]", "is it {0} [ in the room | in here ]",
    "how {0} is the ( air | room )", "is the ( air | room ) {0}", "what about the {0}", "how is the {0}",
    "tell me the {0}", "give me the {0}", "what {0} ( is it | do you measure )",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SpokenGrammar:
    """`rules` are its sentences, `words` how each is said; `left_out` has what nobody knows how to say.

    `sense` knows which sentences can be answered, be they of the rules or not.
    """

    rules: Rules
    words: sphinx.Pronunciations
    left_out: tuple[str, ...]
    sense: Sense

    @property
    def jsgf(self) -> str:
        """The grammar as text."""
        return self.rules.text(NAME)


def make_grammar(manifest: Manifest, slots: Collection[str], names: Iterable[str] = ()) -> SpokenGrammar:
    """The grammar of a model with sensors in `slots`; `names` are what the configuration calls them.

    Raises VoiceError when the dictionary is missing.
    """
    lexicon = Lexicon(manifest, slots)
    texts = rules_in(forms.ENGLISH)
    known = sphinx.Vocabulary()
    texts |= _about_labels(lexicon, known) | _about_sensors(lexicon, names, known)
    texts |= _about_now(lexicon, set(slots)) | _about_numbers(manifest, set(slots), known)
    rules = Rules({name: text for name, text in texts.items() if text}, forms.TOP)
    said = rules.words()
    words = {**sphinx.pronunciations(said), **{w: p for w, p in _LETTERS.items() if w in said}}
    words |= spelled.pronunciations([word for word in said if word not in words])
    unknown = [word for word in said if word not in words]
    heard = {word: _ways(word, known) for word, known in words.items()}
    return SpokenGrammar(rules.without(set(unknown)), heard, tuple(unknown), Sense(manifest, slots))


def _ways(word: str, known: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(way for phones in known for way in accents.ways(word, phones)))


def _about_labels(lexicon: Lexicon, known: Container[str]) -> dict[str, str]:
    labels = [(head, label) for head in lexicon.heads for label in head.labels]
    named = [(head, labels_said.things(head, label, lexicon, known)) for head, label in labels]
    heard = [things for head, things in named if "like" in head.readout]
    seen = [things for head, things in named if "like" not in head.readout]
    sounds = _any(_each(things.one for things in heard))
    places = _each(labels_said.places(head, label, lexicon) for head, label in labels)
    fixtures = [place.partition(" ")[2] for place in places]
    parts = _parts(
        (c, "like" in h.readout) for h, la in labels for c in labels_said.clauses(h, la, lexicon, known)
    )
    person = parts.get(labels_said.SOMEONE, {})
    usual = {**parts, labels_said.SOMEONE: _with_everyday(person, labels)} if person else parts
    heard_parts = {s: group for s, group in parts.items() if re.match(r"\( the \| a", s) or s == "it"}
    own = {kind: _any(words) for kind, words in usual.get(labels_said.SOMEONE, {}).items()}
    return {
        "thing": _any(filter(None, ("<sound>" if sounds else "", _any(_each(t.one for t in seen))))),
        "counted": _any(_each(t.one for t in seen)),
        "noun": sounds,
        "sound": "/2/ ( a | the ) <noun> | /2/ <some_sound>" if sounds else "",
        "some_sound": _any(_each(things.some for things in heard)),
        "start": "the <noun>" if sounds else "",
        "place": _any([*(f"/3/ {place}" for place in places), *_spots(lexicon, labels)]),
        "fixture": _any(dict.fromkeys(fixtures)),
        "room": _any(dict.fromkeys([*fixtures, *_rooms(lexicon)])),
        "in_room": _any(f"in {room}" for room in _rooms(lexicon)),
        "heard": _clauses(heard_parts, "{s} ( {ing} )", "{s} ( {base} )"),
        "ing_heard": _any(_each(group["ing"] for group in heard_parts.values())),
        "spent": own.get("ing", ""),
        "state": _any(_each(g["ing"] for s, g in parts.items() if s.startswith("the "))),
        "person_base": own.get("base", ""),
        "person_past": own.get("past", ""),
        "person_done": own.get("done", ""),
        "clause_ing": _clauses(usual, "{s} [ /0.12/ <last> | /0.06/ still ] ( {ing} ) [ /0.02/ <here> ]"),
        "clause_is": _clauses(usual, "{s} is ( {ing} )"),
        "clause_base": _clauses(usual, "{w} [ /0.2/ <last> ] ( {base} )"),
        "clause_begin": _clauses(usual, "{w} <begin> ( {ing} )", "{w} <begin> to ( {base} )"),
        "clause_done": _clauses(usual, "{s} [ /0.1/ ever ] ( {done} )", "{s} been ( {ing} )"),
        "clause_been": _clauses(usual, "{s} been ( {ing} )"),
        "clause_past": _clauses(usual, "{w} ( {past} )", "{s} was ( {ing} )"),
        "clause_stopped": _clauses(usual, "{s} ( stopped | started ) ( {ing} )"),
        "clause_last": _clauses(usual, "{w} last ( {past} )", "{s} was last ( {ing} )"),
    }


Parts = dict[str, dict[str, dict[str, None]]]
"""Subject -> form of the verb -> the ways to say it."""


def _parts(clauses: Iterable[tuple[labels_said.Clause, bool]]) -> Parts:
    """Of (clause, whether it is heard): what is heard of a person is little, and asked about as often."""
    parts: Parts = defaultdict(lambda: defaultdict(dict))
    for clause, heard in clauses:
        group = parts[clause.subject]
        weight = "/4/ " if heard and clause.subject == labels_said.SOMEONE else ""
        group["ing"][weight + clause.ing] = None
        group["be" if not clause.base else "past"][weight + (clause.past or clause.ing)] = None
        if clause.base:
            group["base"][weight + clause.base] = None
        if clause.done:
            group["done"][weight + clause.done] = None
    return dict(parts)


def _with_everyday(
    person: dict[str, dict[str, None]], labels: Iterable[tuple[TaskHead, str]]
) -> dict[str, dict[str, None]]:
    """What a person does, and what people call it besides."""
    others = _parts((c, False) for _, label in labels for c in labels_said.everyday(label))
    more = others.get(labels_said.SOMEONE, {})
    return {kind: {**person.get(kind, {}), **more.get(kind, {})} for kind in {**person, **more}}


def _spots(lexicon: Lexicon, labels: Iterable[tuple[TaskHead, str]]) -> Iterable[str]:
    """Where a person can be of whom more is read than that: "on the floor", "in the bathroom"."""
    everyday = [c.ing for _, label in labels for c in labels_said.everyday(label)]
    return dict.fromkeys(
        [
            *(ing for ing in everyday if re.match(r"(in|on) ", ing)),
            *(f"in {room}" for room in _rooms(lexicon)),
        ]
    )


def _rooms(lexicon: Lexicon) -> Iterable[str]:
    words = (word for head in lexicon.heads for word in head.words)
    return dict.fromkeys(f"the {word}" for word in words if re.fullmatch(r"\w+room", word))


def _each(several: Iterable[Iterable[str]]) -> Iterable[str]:
    return dict.fromkeys(text for texts in several for text in texts)


def _clauses(parts: Parts, *patterns: str) -> str:
    """`patterns` with {s} for the subject, {w} for one whose verb need not agree with it."""
    said = []
    for subject, group in parts.items():
        alternatives = {kind: _any(words) for kind, words in group.items()}
        whoever = "<whoever>" if subject == labels_said.SOMEONE else subject
        for pattern in patterns:
            wanted = set(re.findall(r"\{(\w+)\}", pattern)) - {"s", "w"}
            if wanted <= alternatives.keys():
                weight = math.sqrt(len(group["ing"]))  # a person does much, but is not all there is
                said.append(f"/{weight:.2f}/ " + pattern.format(s=subject, w=whoever, **alternatives))
    return " | ".join(said)


def _about_sensors(lexicon: Lexicon, names: Iterable[str], known: Container[str]) -> dict[str, str]:
    own = [slot.description.lower() for slot in lexicon.slots]
    own += [f"the {name.lower().replace('_', ' ').replace('-', ' ')}" for name in names]
    also = [f"the {words}" for slot in lexicon.slots for words in MODALITY_WORDS[slot.modality]]
    sayable = [words for words in also if words not in own and all(w in known for w in words.split())]
    own += [
        f"my {slot.description.lower().removeprefix('the ')}"
        for slot in lexicon.slots
        if slot.modality == "imu"
    ]
    said = [f"/4/ {words}" for words in dict.fromkeys(own) if _sayable(words)]
    return {
        "sensor": _any((*said, *(f"/0.4/ {words}" for words in dict.fromkeys(sayable) if _sayable(words))))
    }


def _about_now(lexicon: Lexicon, slots: set[str]) -> dict[str, str]:
    manifest = lexicon.manifest
    heads = [h.question for h in manifest.heads if manifest.serving(h.name) & slots]
    measured = [t for t in topics_of(manifest) if t.sentence and t.slots & slots]
    words = dict.fromkeys(word for topic in measured for word in topic.words if _sayable(word))
    questions = [_tidy(question) for question in heads]
    return {
        "manifest_question": _any(dict.fromkeys(filter(_sayable, questions))),
        "measured": _any(words),
        "measure_question": _any(pattern.format("<measured>") for pattern in _MEASURED) if words else "",
    }


def _about_numbers(manifest: Manifest, slots: set[str], known: Container[str]) -> dict[str, str]:
    found = numbers_said.measures((n for n in numbers_of(manifest) if n.slots & slots), known)
    return {
        "quantity": _any(filter(_sayable, found.quantities)),
        "adjective": _any(filter(_sayable, found.adjectives)),
        "comparative": _any(filter(_sayable, found.comparatives)),
        "superlative": _any(filter(_sayable, found.superlatives)),
        "measure": _any(filter(_sayable, found.units)),
        "measure_small": _any(filter(numbers_said.SMALL.__contains__, found.units)),
    }


def _any(alternatives: Iterable[str]) -> str:
    return " | ".join(filter(None, alternatives))


def _tidy(text: str) -> str:
    return re.sub(r"[^a-z' ]", "", text.lower()).strip()


def _sayable(text: str) -> bool:
    return re.fullmatch(r"[a-z' ]+", text.replace("co2", "")) is not None or text == "co2"

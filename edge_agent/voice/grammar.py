"""What may be asked aloud, as a grammar: of one model, the sensors that are installed, and how people ask.

Made anew from the manifest and the configuration at each start, and always the same from the same.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass

from edge_agent.manifest import Manifest
from edge_agent.memory.lexicon import Lexicon
from edge_agent.perception.answer import topics_of
from edge_agent.voice import accents, forms, labels_said, spelled, sphinx
from edge_agent.voice.jsgf import Rules, rules_in
from edge_agent.voice.sense import Sense

NAME = "questions"
_LETTERS = {"a_m": ("EY EH M",), "p_m": ("P IY EH M",)}
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
    texts |= _about_labels(lexicon, sphinx.Vocabulary())
    texts |= _about_sensors(lexicon, names) | _about_now(lexicon, set(slots))
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
    parts: dict[str, dict[str, dict[str, None]]] = defaultdict(lambda: defaultdict(dict))
    for head, label in labels:
        for clause in labels_said.clauses(head, label, lexicon, known):
            group = parts[clause.subject]
            group["ing"][clause.ing] = None
            group["be" if not clause.base else "past"][clause.past or clause.ing] = None
            if clause.base:
                group["base"][clause.base] = None
            if clause.done:
                group["done"][clause.done] = None
    return {
        "thing": _any(filter(None, ("<sound>" if sounds else "", _any(_each(t.one for t in seen))))),
        "counted": _any(_each(t.one for t in seen)),
        "noun": sounds,
        "sound": "/2/ ( a | the ) <noun> | /2/ <some_sound>" if sounds else "",
        "some_sound": _any(_each(things.some for things in heard)),
        "start": "the <noun>" if sounds else "",
        "place": _any(places),
        "spent": _any(parts[labels_said.SOMEONE]["ing"]),
        "clause_ing": _clauses(parts, "{s} [ /0.15/ <last> ] ( {ing} )"),
        "clause_base": _clauses(parts, "{s} [ /0.2/ <last> ] ( {base} )"),
        "clause_begin": _clauses(parts, "{s} <begin> ( {ing} )", "{s} <begin> to ( {base} )"),
        "clause_done": _clauses(parts, "{s} [ /0.1/ ever ] ( {done} )", "{s} been ( {ing} )"),
        "clause_been": _clauses(parts, "{s} been ( {ing} )"),
        "clause_past": _clauses(parts, "{s} ( {past} )", "{s} was ( {ing} )"),
    }


def _each(several: Iterable[Iterable[str]]) -> Iterable[str]:
    return dict.fromkeys(text for texts in several for text in texts)


def _clauses(parts: dict[str, dict[str, dict[str, None]]], *patterns: str) -> str:
    said = []
    for subject, group in parts.items():
        alternatives = {kind: _any(words) for kind, words in group.items()}
        for pattern in patterns:
            wanted = set(re.findall(r"\{(\w+)\}", pattern)) - {"s"}
            if wanted <= alternatives.keys():
                weight = math.sqrt(len(group["ing"]))  # a person does much, but is not all there is
                said.append(f"/{weight:.2f}/ " + pattern.format(s=subject, **alternatives))
    return " | ".join(said)


def _about_sensors(lexicon: Lexicon, names: Iterable[str]) -> dict[str, str]:
    own = [slot.description.lower() for slot in lexicon.slots]
    own += [f"the {name.lower().replace('_', ' ').replace('-', ' ')}" for name in names]
    return {"sensor": _any(dict.fromkeys(filter(_sayable, own)))}


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


def _any(alternatives: Iterable[str]) -> str:
    return " | ".join(filter(None, alternatives))


def _tidy(text: str) -> str:
    return re.sub(r"[^a-z' ]", "", text.lower()).strip()


def _sayable(text: str) -> bool:
    return re.fullmatch(r"[a-z' ]+", text) is not None

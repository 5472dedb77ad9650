"""How the classes of a model are spoken of: "the dog barking", "did the dog bark", "the dog has barked".

Made from the phrases and names of a manifest by rules of English; what memory's own lexicon then does not
take for the class that was meant is left out.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace

from edge_agent.manifest import TaskHead
from edge_agent.memory.lexicon import Lexicon

SOMEONE = "<someone>"
_HEARD = "sounds like"
_VOWELS = "aeiou"
_PAST = {
    "sit": ("sat", "sat"), "stand": ("stood", "stood"), "fall": ("fell", "fallen"), "lie": ("lay", "lain"),
    "run": ("ran", "run"), "cry": ("cried", "cried"), "crow": ("crowed", "crowed"),
    "drive": ("drove", "driven"), "sleep": ("slept", "slept"), "rise": ("rose", "risen"),
    "leave": ("left", "left"), "go": ("went", "gone"),
}  # fmt: skip
"""base -> (past, participle)"""
_PARTICIPLES = {participle: base for base, (_, participle) in _PAST.items()}
_GERUNDS = {"lying": "lie"}
_WHERE = re.compile(r"\b(in|on|at) the \w+$")
_PLACE = re.compile(r"\b(in|on|at) (?!the\b|an?\b|foot\b|front\b)(?=\w)")
_WEATHER = frozenset(["rain", "snow", "hail", "thunder"])
_MASS = _WEATHER | {"silence", "music", "speech", "laughter", "traffic", "wind", "water", "sea"}
"""What is heard without an article, and never several of it."""


@dataclass(frozen=True, slots=True)
class Clause:
    """What someone or something does or is; `base` is empty where it only is."""

    subject: str
    ing: str
    base: str = ""
    past: str = ""
    done: str = ""


_EVERYDAY = {
    "shower": (
        Clause(SOMEONE, "having a shower", "have a shower", "had a shower", "had a shower"),
        Clause(SOMEONE, "in the shower", "take a shower", "took a shower", "taken a shower"),
        Clause(SOMEONE, "using the shower", "use the shower", "used the shower", "used the shower"),
    ),
    "bed": (
        Clause(SOMEONE, "in bed", "go to bed", "went to bed", "gone to bed"),
        Clause(SOMEONE, "lying in bed", "lie in bed", "lay in bed", "lain in bed"),
        Clause(SOMEONE, "in bed", "get into bed", "got into bed", "got into bed"),
        Clause(SOMEONE, "awake", "wake up", "woke up", "woken up"),
        Clause(SOMEONE, "asleep", "sleep", "slept", "slept"),
        Clause(SOMEONE, "on the bed", "get out of bed", "got out of bed", "got out of bed"),
    ),
    "floor": (
        Clause(SOMEONE, "on the floor", "fall", "fell", "fallen"),
        Clause(SOMEONE, "on the floor", "fall over", "fell over", "fallen over"),
        Clause(SOMEONE, "lying on the floor", "fall down", "fell down", "fallen down"),
        Clause(SOMEONE, "down on the floor", "fall on the floor", "fell on the floor", "fallen on the floor"),
    ),
    "toilet": (
        Clause(SOMEONE, "on the toilet", "go to the toilet", "went to the toilet", "been to the toilet"),
    ),
    "sink": (
        Clause(
            SOMEONE, "standing at the sink", "stand at the sink", "stood at the sink", "stood at the sink"
        ),
    ),
    "lying": (Clause(SOMEONE, "lying down", "lie down", "lay down", "lain down"),),
    "standing_up": (Clause(SOMEONE, "getting up", "get up", "got up", "got up"),),
    "(seated|sitting)": (Clause(SOMEONE, "sitting", "sit", "sat", "sat"),),
    "standing": (Clause(SOMEONE, "standing", "stand", "stood", "stood"),),
    "walking": (Clause(SOMEONE, "walking around", "walk around", "walked around", "walked around"),),
}
"""Part of a label's name -> other words for it; those that the ask path cannot place it refuses in words."""


@dataclass(frozen=True, slots=True)
class Things:
    """`one` goes with an article ("dog"), `some` without ("dogs", "barking")."""

    one: tuple[str, ...]
    some: tuple[str, ...]


def clauses(head: TaskHead, label: str, lexicon: Lexicon, known: Container[str]) -> list[Clause]:
    """The clauses about one label, of words in `known`."""
    made = dict.fromkeys(c for form in _forms(head, label) for c in _clauses(head, form, known))
    meant = [c for c in made if _meant(head, label, lexicon, f"was {_plain(c.subject)} {c.ing}")]
    return [replace(c, done=c.done if _done_is_meant(head, label, lexicon, c) else "") for c in meant]


def things(head: TaskHead, label: str, lexicon: Lexicon, known: Container[str]) -> Things:
    """The names of one label as of something that is there or is heard; none where it is a state."""
    readout = head.readout.strip().lower()
    if _subject(readout):
        return Things((), ())
    one: dict[str, None] = {}
    some: dict[str, None] = {}
    for words in map(str.split, _forms(head, label)):
        if _HEARD not in readout:
            if len(words) > 1:  # "two people"; "two" alone is a number
                one[" ".join(words)] = None
            continue
        whole, noun, last = " ".join(words), " ".join(words[:-1]), words[-1]
        if noun or last.endswith("ing"):
            some[whole] = None
        if noun:
            one |= dict.fromkeys((whole, noun))  # "a dog barking", "a dog"
            some[_several(noun)] = None
        if noun and last.endswith("ing") and noun not in _WEATHER:
            some[last] = one[f"{noun} {base_of(last, known)}"] = None
        elif noun and last.endswith("s"):
            some[last] = one[last] = None  # "waves"
        elif not last.endswith("ing") and not noun:
            one[last] = some[_several(last)] = None
    asked = "did you hear" if _HEARD in readout else "was there"
    meant = [tuple(t for t in kind if _meant(head, label, lexicon, f"{asked} {t}")) for kind in (one, some)]
    return Things(*meant)


def everyday(label: str) -> Iterator[Clause]:
    """What people say for a label that has another name."""
    for named, clauses_of in _EVERYDAY.items():
        if re.search(rf"(^|_){named}(_|$)", label):
            yield from clauses_of


def places(head: TaskHead, label: str, lexicon: Lexicon) -> list[str]:
    """Where somebody is by this label: "on the bed"."""
    if _subject(head.readout.strip().lower()) != SOMEONE:
        return []
    found = [match[0] for form in _forms(head, label) if (match := _WHERE.search(form))]
    meant = {place: lexicon.target(f"was the person {place}") for place in found}
    return [place for place, target in meant.items() if target is not None and target.head == head.name]


def _several(noun: str) -> str:
    if noun in _MASS:
        return noun
    if noun.endswith("y") and noun[-2] not in _VOWELS:
        return f"{noun[:-1]}ies"
    return noun if noun.endswith("s") else f"{noun}s"


def base_of(gerund: str, known: Container[str]) -> str:
    """'bark' of "barking"; `known` tells "use" from "us"."""
    if gerund in _GERUNDS:
        return _GERUNDS[gerund]
    root = gerund.removesuffix("ing")
    doubled = len(root) > 3 and root[-1] == root[-2] and root[-1] not in "lsz"
    candidates = [root[:-1]] if doubled else [root, f"{root}e"]
    if (not doubled and len(root) == 2) or root.endswith(("v", "kl", "cl", "bl")):
        candidates.reverse()
    return next((c for c in candidates if c in known), candidates[0])


def past_of(base: str) -> tuple[str, str]:
    """(past, participle) of a verb."""
    if base in _PAST:
        return _PAST[base]
    if base.endswith("e"):
        return f"{base}d", f"{base}d"
    if base.endswith("y") and base[-2] not in _VOWELS:
        return f"{base[:-1]}ied", f"{base[:-1]}ied"
    return f"{base}ed", f"{base}ed"


def _forms(head: TaskHead, label: str) -> Iterator[str]:
    """The phrase of a label, and its name with its articles."""
    phrase = head.phrase(label).lower()
    yield phrase
    name = _PLACE.sub(r"\1 the ", label.lower().replace("_", " "))
    if name != phrase and re.fullmatch(r"[a-z' ]+", name):
        yield name


def _clauses(head: TaskHead, form: str, known: Container[str]) -> Iterator[Clause]:
    words, readout = form.split(), head.readout.strip().lower()
    about = _subject(readout)
    first, rest = words[0], " ".join(words[1:])
    if about and first.endswith("ing"):
        yield _verb(about, first, rest, known)
    elif about and first in _PARTICIPLES:
        base = _PARTICIPLES[first]
        past, done = past_of(base)
        yield Clause(about, form, _joined(base, rest), _joined(past, rest), _joined(done, rest))
    elif about:
        yield Clause(about, form)
    elif _HEARD in readout and words[-1].endswith("ing"):
        noun = " ".join(words[:-1])
        yield _verb(f"( the | a | any ) {noun}" if noun else SOMEONE, words[-1], "", known)
        if noun in _WEATHER:
            past, done = past_of(noun)
            yield Clause("it", f"{noun}ing", noun, past, done)


def _subject(readout: str) -> str:
    if re.search(r"\bperson is$", readout):
        return SOMEONE
    found = re.search(r"(the \w+) is$", readout)
    return found[1] if found else ""


def _verb(subject: str, gerund: str, rest: str, known: Container[str]) -> Clause:
    base = base_of(gerund, known)
    past, done = past_of(base)
    return Clause(subject, *(_joined(verb, rest) for verb in (gerund, base, past, done)))


def _done_is_meant(head: TaskHead, label: str, lexicon: Lexicon, clause: Clause) -> bool:
    return _meant(head, label, lexicon, f"has {_plain(clause.subject)} {clause.done}")


def _joined(*words: str) -> str:
    return " ".join(filter(None, words))


def _plain(subject: str) -> str:
    return "the person" if subject == SOMEONE else subject.replace("( the | a | any )", "the")


def _meant(head: TaskHead, label: str, lexicon: Lexicon, question: str) -> bool:
    found = lexicon.target(question)
    return found is not None and (found.head, found.labels) == (head.name, (label,))

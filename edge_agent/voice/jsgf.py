"""Grammars of the JSpeech Grammar Format (W3C note, June 2000): read, written, and spoken from.

The part that is used here: sequences, alternatives with weights, groups, options and references. A weight
inside an option is that of saying it, against 1 for leaving it out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

_TOKEN = re.compile(r"/[\d.]+/|<[^<>]+>|[()\[\]|]|[^\s()\[\]|<>/]+")
_RULE = re.compile(r"<([^<>]+)>\s*=([^;]*);")


@dataclass(frozen=True, slots=True)
class Word:
    """One word."""

    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What another rule says."""

    rule: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other; nothing at all where it is empty."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """(weight, what is said): one of them."""

    options: tuple[tuple[float, Node], ...]

    def pick(self, rng: random.Random) -> Node:
        """One of them, as likely as its weight makes it."""
        at = rng.random() * sum(weight for weight, _ in self.options)
        for weight, option in self.options:
            at -= weight
            if at < 0:
                return option
        return self.options[-1][1]


Node = Word | Reference | Sequence | Choice
NOTHING = Sequence(())
IMPOSSIBLE = Choice(())
"""What nobody can say."""


class Rules:
    """Rules by name, each a right-hand side in JSGF. Raises ValueError for one that is malformed."""

    def __init__(self, texts: Mapping[str, str], top: str) -> None:
        self.top = top
        self._nodes = _pruned({name: _parse(name, text) for name, text in texts.items()})
        self._begins: dict[int, Begins] = {}

    def words(self) -> list[str]:
        """Every word that can be said, sorted."""
        return sorted({word for name in self._used() for word in _words(self._nodes[name])})

    def text(self, name: str) -> str:
        """The whole as JSGF, named `name`."""
        lines = ["#JSGF V1.0;", f"grammar {name};"]
        for rule in self._used():
            public = "public " if rule == self.top else ""
            lines.append(f"{public}<{rule}> = {_written(self._nodes[rule])};")
        return "\n".join(lines) + "\n"

    def say(self, rng: random.Random, rule: str | None = None) -> str:
        """A sentence, as likely as the weights make it."""
        words: list[str] = []
        self._say(self._nodes[rule or self.top], rng, words)
        return " ".join(words)

    def accepts(self, sentence: str) -> bool:
        """Whether a sentence is one of these."""
        words = tuple(sentence.split())
        ends = _Reader(self._nodes, words, self._begins).ends(Reference(self.top), 0)
        return len(words) in ends

    def after(self, words: tuple[str, ...]) -> tuple[frozenset[str], bool]:
        """The words that may follow in a sentence that begins so; whether it may end there."""
        reader = _Reader(self._nodes, words, self._begins)
        ends = reader.ends(Reference(self.top), 0)
        return frozenset(reader.following), len(words) in ends

    def without(self, words: set[str]) -> Rules:
        """The same without every sentence that has one of `words`."""
        made = Rules({}, self.top)
        made._nodes = _pruned({name: _cut(node, words) for name, node in self._nodes.items()})
        return made

    def _used(self) -> list[str]:
        found, waiting = [self.top], [self.top]
        while waiting:
            for rule in _references(self._nodes[waiting.pop()]):
                if rule not in found:
                    found.append(rule)
                    waiting.append(rule)
        return found

    def _say(self, node: Node, rng: random.Random, words: list[str]) -> None:
        match node:
            case Word(text):
                words.append(text)
            case Reference(rule):
                self._say(self._nodes[rule], rng, words)
            case Sequence(parts):
                for part in parts:
                    self._say(part, rng, words)
            case Choice():
                self._say(node.pick(rng), rng, words)


@dataclass(frozen=True, slots=True)
class Begins:
    """Of a choice: the options that begin with a word, and those that may say nothing."""

    by_word: dict[str, list[Node]]
    with_none: list[Node]


class _Reader:
    """Where a sentence can have got to, after each rule from each place.

    `begins` is kept from sentence to sentence: by the identity of a choice of these nodes, how it may begin.
    `following` gathers the words that were possible after the last.
    """

    def __init__(self, nodes: Mapping[str, Node], words: tuple[str, ...], begins: dict[int, Begins]) -> None:
        self._nodes, self._words, self._begins = nodes, words, begins
        self._read: dict[tuple[str, int], frozenset[int]] = {}
        self.following: set[str] = set()

    def ends(self, node: Node, at: int) -> frozenset[int]:
        """The places after what `node` may be, from `at`."""
        match node:
            case Word(text):
                if at == len(self._words):
                    self.following.add(text)
                    return frozenset()
                return frozenset((at + 1,)) if self._words[at] == text else frozenset()
            case Reference(rule):
                if (rule, at) not in self._read:
                    self._read[rule, at] = self.ends(self._nodes[rule], at)
                return self._read[rule, at]
            case Sequence(parts):
                places = frozenset((at,))
                for part in parts:
                    places = frozenset(end for place in places for end in self.ends(part, place))
                return places
            case Choice():
                return frozenset(end for option in self._possible(node, at) for end in self.ends(option, at))

    def _possible(self, choice: Choice, at: int) -> Iterator[Node]:
        """Its options that may begin with the word at this place, or say nothing."""
        if (begins := self._begins.get(id(choice))) is None:
            begins = self._begins[id(choice)] = Begins({}, [])
            for _, option in choice.options:
                first = self._first(option)
                if None in first:
                    begins.with_none.append(option)
                    continue
                for word in first:
                    begins.by_word.setdefault(str(word), []).append(option)
        if at < len(self._words):
            yield from begins.by_word.get(self._words[at], ())
        else:
            self.following |= begins.by_word.keys()
        yield from begins.with_none

    def _first(self, node: Node) -> frozenset[str | None]:
        """The words that a node may begin with, and None where it may say nothing."""
        match node:
            case Word(text):
                return frozenset((text,))
            case Reference(rule):
                return self._first(self._nodes[rule])
            case Sequence(parts):
                found: frozenset[str | None] = frozenset((None,))
                for part in parts:
                    if None not in found:
                        break
                    found = (found - {None}) | self._first(part)
                return found
            case Choice(options):
                return frozenset(word for _, option in options for word in self._first(option))


def rules_in(text: str) -> dict[str, str]:
    """name -> right-hand side, of rules that are written one after the other."""
    return {name: " ".join(side.split()) for name, side in _RULE.findall(text)}


def _pruned(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """Rules without what refers to a rule that says nothing or that there is none of."""
    found = dict(nodes)
    while True:
        sound = {name for name, node in found.items() if node != IMPOSSIBLE}
        pruned = {name: _held(found[name], sound) for name in found}
        if pruned == found:
            return {name: found[name] for name in sound}
        found = pruned


def _held(node: Node, sound: Collection[str]) -> Node:
    match node:
        case Reference(rule):
            return node if rule in sound else IMPOSSIBLE
        case Sequence(parts):
            kept = tuple(_held(part, sound) for part in parts)
            return IMPOSSIBLE if IMPOSSIBLE in kept else Sequence(kept)
        case Choice(options):
            left = [(weight, _held(option, sound)) for weight, option in options]
            return Choice(tuple((w, o) for w, o in left if o != IMPOSSIBLE))
        case _:
            return node


def _parse(name: str, text: str) -> Node:
    tokens = _TOKEN.findall(text)
    node, at = _choice(tokens, 0)
    if at != len(tokens):
        raise ValueError(f"rule {name}: {tokens[at]} has no beginning")
    return node


def _choice(tokens: list[str], at: int) -> tuple[Node, int]:
    options: list[tuple[float, Node]] = []
    while True:
        weight = 1.0
        if at < len(tokens) and tokens[at].startswith("/"):
            weight, at = float(tokens[at].strip("/")), at + 1
        parts: list[Node] = []
        while at < len(tokens) and tokens[at] not in {"|", ")", "]"}:
            part, at = _item(tokens, at)
            parts.append(part)
        if not parts:
            raise ValueError(f"an alternative is empty: {' '.join(tokens[:at])}")
        options.append((weight, parts[0] if len(parts) == 1 else Sequence(tuple(parts))))
        if at == len(tokens) or tokens[at] != "|":
            break
        at += 1
    return (options[0][1] if len(options) == 1 and options[0][0] == 1 else Choice(tuple(options))), at


def _item(tokens: list[str], at: int) -> tuple[Node, int]:
    first = tokens[at]
    if first in {"(", "["}:
        inner, end = _choice(tokens, at + 1)
        if end == len(tokens) or tokens[end] != {"(": ")", "[": "]"}[first]:
            raise ValueError(f"{first} is not closed: {' '.join(tokens[at:])}")
        if first == "[":
            said = inner.options if isinstance(inner, Choice) and len(inner.options) == 1 else ((1.0, inner),)
            inner = Choice((*said, (1.0, NOTHING)))
        return inner, end + 1
    if first.startswith("<"):
        return Reference(first[1:-1]), at + 1
    return Word(first), at + 1


def _words(node: Node) -> Iterator[str]:
    match node:
        case Word(text):
            yield text
        case Sequence(parts):
            for part in parts:
                yield from _words(part)
        case Choice(options):
            for _, option in options:
                yield from _words(option)


def _references(node: Node) -> Iterator[str]:
    match node:
        case Reference(rule):
            yield rule
        case Sequence(parts):
            for part in parts:
                yield from _references(part)
        case Choice(options):
            for _, option in options:
                yield from _references(option)


def _cut(node: Node, words: set[str]) -> Node:
    match node:
        case Word(text):
            return IMPOSSIBLE if text in words else node
        case Sequence(parts):
            return Sequence(tuple(_cut(part, words) for part in parts))
        case Choice(options):
            return Choice(tuple((weight, _cut(option, words)) for weight, option in options))
        case _:
            return node


def _written(node: Node) -> str:
    match node:
        case Word(text):
            return text
        case Reference(rule):
            return f"<{rule}>"
        case Sequence(parts):
            return " ".join(_written(part) for part in parts) or "<NULL>"
        case Choice(options):
            total = sum(weight for weight, _ in options)
            said = " | ".join(f"/{weight / total:.6f}/ {_written(option)}" for weight, option in options)
            return f"( {said} )"

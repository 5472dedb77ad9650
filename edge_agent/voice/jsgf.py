"""Grammars of the JSpeech Grammar Format (W3C note, June 2000): read, written, and spoken from.

The part that is used here: sequences, alternatives with weights, groups, options and references. A weight
inside an option is that of saying it, against 1 for leaving it out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_TOKEN = re.compile(r"/[\d.]+/|<[^<>]+>|[()\[\]|]|[^\s()\[\]|<>/]+")


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


Node = Word | Reference | Sequence | Choice
NOTHING = Sequence(())


class Rules:
    """Rules by name, each a right-hand side in JSGF. Raises ValueError for one that is malformed."""

    def __init__(self, texts: Mapping[str, str], top: str) -> None:
        self.top = top
        self._nodes = {name: _parse(name, text) for name, text in texts.items()}
        self._nodes = {name: self._pruned(node) for name, node in self._nodes.items()}

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
        return " ".join(self._say(self._nodes[rule or self.top], rng))

    def without(self, words: set[str]) -> Rules:
        """The same without every sentence that has one of `words`."""
        made = Rules({}, self.top)
        made._nodes = {name: _cut(node, words) or Choice(()) for name, node in self._nodes.items()}
        made._nodes = {name: made._pruned(node) for name, node in made._nodes.items()}
        return made

    def _used(self) -> list[str]:
        found, waiting = [self.top], [self.top]
        while waiting:
            for rule in _references(self._nodes[waiting.pop()]):
                if rule not in found:
                    found.append(rule)
                    waiting.append(rule)
        return found

    def _say(self, node: Node, rng: random.Random) -> Iterator[str]:
        match node:
            case Word(text):
                yield text
            case Reference(rule):
                yield from self._say(self._nodes[rule], rng)
            case Sequence(parts):
                for part in parts:
                    yield from self._say(part, rng)
            case Choice(options):
                weights = [weight for weight, _ in options]
                yield from self._say(rng.choices([o for _, o in options], weights)[0], rng)

    def _possible(self, rule: str) -> bool:
        return rule in self._nodes and self._pruned(self._nodes[rule]) != Choice(())

    def _pruned(self, node: Node) -> Node:
        """Without what refers to a rule that says nothing; an empty choice where nothing is left."""
        match node:
            case Reference(rule):
                return node if self._possible(rule) else Choice(())
            case Sequence(parts):
                kept = tuple(self._pruned(part) for part in parts)
                return Choice(()) if Choice(()) in kept else Sequence(kept)
            case Choice(options):
                left = [(weight, self._pruned(option)) for weight, option in options]
                return Choice(tuple((w, o) for w, o in left if o != Choice(())))
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
    token = tokens[at]
    if token in {"(", "["}:
        inner, end = _choice(tokens, at + 1)
        if end == len(tokens) or tokens[end] != {"(": ")", "[": "]"}[token]:
            raise ValueError(f"{token} is not closed: {' '.join(tokens[at:])}")
        if token == "[":
            weighed = isinstance(inner, Choice) and len(inner.options) == 1
            inner = Choice((*(inner.options if weighed else ((1.0, inner),)), (1.0, NOTHING)))
        return inner, end + 1
    if token.startswith("<"):
        return Reference(token[1:-1]), at + 1
    return Word(token), at + 1


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


def _cut(node: Node, words: set[str]) -> Node | None:
    match node:
        case Word(text):
            return None if text in words else node
        case Sequence(parts):
            kept = [_cut(part, words) for part in parts]
            return None if None in kept else Sequence(tuple(part for part in kept if part is not None))
        case Choice(options):
            left = [(weight, _cut(option, words)) for weight, option in options]
            some = tuple((weight, option) for weight, option in left if option is not None)
            return Choice(some) if some else None
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
